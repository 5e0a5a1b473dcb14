//! Log chunks of an execution: stored once, in their order, under a lease that is held.

use crate::engine::txn::{Decided, Txn};
use crate::id::AttemptId;
use crate::run::start::{Writer, held};
use crate::stream::Record;

#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    pub attempt_id: AttemptId,
    pub term: u64,
    /// 0, 1, 2 ... for each attempt.
    pub number: u64,
    /// Without run and attempt: those are the lease's.
    pub records: Vec<Record>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkAck {
    pub attempt_id: AttemptId,
    /// The number that is expected next.
    pub next_number: u64,
    /// The writer may not write any more.
    pub fenced: bool,
}

pub(crate) fn decide(txn: &mut Txn<'_>, writer: &Writer, chunk: &Chunk) -> Decided<ChunkAck> {
    let attempt_id = chunk.attempt_id;
    let Some(mut lease) = held(txn, writer, attempt_id, chunk.term)? else {
        return Ok(ChunkAck { attempt_id, next_number: 0, fenced: true });
    };
    // A smaller number was stored already; a larger one comes again after the missing ones.
    if chunk.number == lease.next_chunk {
        lease.next_chunk += 1;
        let place = |record: &Record| Record {
            run_id: Some(lease.run_id),
            attempt_id: Some(attempt_id),
            ..record.clone()
        };
        let records: Vec<Record> = chunk.records.iter().map(place).collect();
        if !records.is_empty() {
            txn.staged.append(lease.task_id, records);
        }
        txn.put_lease(lease.clone())?;
    }
    Ok(ChunkAck { attempt_id, next_number: lease.next_chunk, fenced: false })
}

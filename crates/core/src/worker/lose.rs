//! A worker is gone: it said goodbye, or its lease has run out.
//!
//! A lease is over when this server has seen the same renewal for the whole of `limits::LEASE` by
//! its own clock. So neither another server's clock nor a restart can end one early: a server
//! that has just started waits a whole lease before it gives anything away.

use super::{Status, Worker};
use crate::engine::txn::{Decided, Txn};
use crate::id::WorkerId;
use crate::run::finish::finish;
use crate::run::outcome::Cause;
use crate::run::start::Writer;

/// The lease has run out, if the renewal is still the one that was watched.
pub(crate) fn expire(txn: &mut Txn<'_>, id: &WorkerId, renewal: u64) -> Decided<()> {
    match txn.worker(id.clone())? {
        Some(worker) if worker.renewal == renewal && worker.status != Status::Offline => {
            lose(txn, worker, "its worker was lost")
        }
        _ => Ok(()),
    }
}

/// The worker has stopped and holds nothing.
pub(crate) fn goodbye(txn: &mut Txn<'_>, writer: &Writer) -> Decided<()> {
    match txn.worker(writer.worker_id.clone())? {
        Some(worker) if worker.incarnation == writer.incarnation => {
            lose(txn, worker, "its worker was stopped")
        }
        _ => Ok(()),
    }
}

fn lose(txn: &mut Txn<'_>, worker: Worker, why: &str) -> Decided<()> {
    for lease in txn.leases_of(&worker.id)? {
        finish(txn, lease, &Cause::Lost, why)?;
    }
    // What its leases took was given back on the row.
    let mut worker = txn.known(txn.worker(worker.id))?;
    worker.status = Status::Offline;
    worker.until = None;
    worker.renewal += 1;
    txn.put_worker(worker);
    Ok(())
}

//! What is written stays written, in its order: terminal runs, snapshots, streams, log chunks.

use std::collections::BTreeMap;

use hostler_core::batch::Batch;
use hostler_core::id::{AttemptId, RunId};
use hostler_core::key::{Key, Row};
use hostler_core::run::{Run, Snapshot};
use hostler_core::stream::{Body, Record};

use super::{Change, Verdict};
use crate::disk::Disk;

#[derive(Default)]
pub struct Order {
    /// The last chunk and line that is stored of each attempt.
    logs: BTreeMap<AttemptId, (u64, u64)>,
    /// Chunks of executions whose end was accepted.
    ended: BTreeMap<AttemptId, u64>,
}

impl Order {
    /// The worker said how many chunks came before the end, all of them acknowledged.
    pub fn ended(&mut self, attempt: AttemptId, chunk_count: u64) {
        self.ended.insert(attempt, chunk_count);
    }

    pub fn stored_chunks(&self, attempt: AttemptId) -> u64 {
        self.logs.get(&attempt).map_or(0, |(number, _)| number + 1)
    }

    pub fn committed(&mut self, changes: &[Change<'_>], batch: &Batch) -> Verdict {
        for change in changes {
            match (change.before, change.after) {
                (Some(Row::Run(before)), after)
                    if before.status.is_terminal() && after != change.before =>
                {
                    return Err(format!("INV-RUN-3: the run {} changed", before.id));
                }
                (Some(Row::Attempt(before)), after)
                    if before.status.is_terminal() && after != change.before =>
                {
                    return Err(format!("INV-ATTEMPT-1: {} changed", before.id));
                }
                (Some(Row::Snapshot(before)), _) => {
                    return Err(format!("INV-RUN-4: a snapshot of {} changed", before.run_id));
                }
                (before, Some(Row::Run(after))) => snapshots(before, after, changes)?,
                (Some(Row::Session(before)), Some(Row::Session(after)))
                    if after.term < before.term =>
                {
                    return Err(format!("INV-SESSION-1: the term of {} fell", after.id));
                }
                (Some(Row::Worker(before)), Some(Row::Worker(after)))
                    if after.renewal < before.renewal =>
                {
                    return Err(format!("INV-WORKER-2: the renewals of {} fell", after.id));
                }
                _ => {}
            }
        }
        for append in &batch.appends {
            append.records.iter().try_for_each(|record| self.log(record))?;
        }
        Ok(())
    }

    /// Lines of a worker's log name their attempt, chunk and place in it.
    fn log(&mut self, record: &Record) -> Verdict {
        let Body::Log { data, .. } = &record.body else { return Ok(()) };
        let words: Vec<&str> = data.split(' ').collect();
        let attempt: AttemptId = words[0].parse().map_err(|_| format!("a strange log {data:?}"))?;
        let place: (u64, u64) = (words[1].parse().unwrap_or(0), words[2].parse().unwrap_or(0));
        if record.attempt_id != Some(attempt) {
            return Err(format!("STR-1: a log of {attempt} stands under {:?}", record.attempt_id));
        }
        let follows = match self.logs.insert(attempt, place) {
            None => place == (0, 0),
            Some((number, line)) => place == (number, line + 1) || place == (number + 1, 0),
        };
        follows.then_some(()).ok_or(format!("STR-1: the log of {attempt} goes on with {place:?}"))
    }

    /// INV-STREAM-1 and the logs of ended executions, at rest.
    pub fn at_rest(&self, disk: &Disk) -> Verdict {
        let mut verdict = Ok(());
        disk.memory.each_stream(|task, records| {
            let mut seqs = records.iter().map(|record| record.seq);
            let is_gapless = (1..).zip(&mut seqs).all(|(wanted, seq)| wanted == seq);
            if !is_gapless && verdict.is_ok() {
                verdict = Err(format!("INV-STREAM-1: the stream of {task} has a hole"));
            }
        });
        verdict?;
        let mut stored: BTreeMap<AttemptId, u64> = BTreeMap::new();
        disk.memory.each_stream(|_, records| {
            for record in records {
                if let (Body::Log { data, .. }, Some(attempt)) =
                    (&record.record.body, record.record.attempt_id)
                {
                    let number = data.split(' ').nth(1).and_then(|word| word.parse().ok());
                    stored.insert(attempt, number.unwrap_or(0) + 1);
                }
            }
        });
        for (attempt, count) in &self.ended {
            let kept = stored.get(attempt).copied().unwrap_or(0);
            if kept != *count {
                return Err(format!("STR-1: {kept} of {count} chunks of {attempt} are stored"));
            }
        }
        Ok(())
    }
}

/// INV-RUN-4: numbers without holes, the last one with the run's status, one at each change.
fn snapshots(before: Option<&Row>, after: &Run, changes: &[Change<'_>]) -> Verdict {
    let (seq, status) = match before {
        Some(Row::Run(before)) => (before.snapshot_seq, Some(before.status)),
        _ => (0, None),
    };
    let written: Vec<&Snapshot> =
        changes.iter().filter_map(|change| snapshot_of(after.id, change)).collect();
    let numbers: Vec<u32> = written.iter().map(|snapshot| snapshot.seq).collect();
    let wanted: Vec<u32> = (seq + 1..=after.snapshot_seq).collect();
    if numbers != wanted {
        return Err(format!("INV-RUN-4: {} has snapshots {numbers:?}, not {wanted:?}", after.id));
    }
    let last = written.last().map(|snapshot| snapshot.status);
    if last.is_some_and(|last| last != after.status)
        || (last.is_none() && status != Some(after.status))
    {
        return Err(format!("INV-RUN-4: {} became {} without a snapshot", after.id, after.status));
    }
    Ok(())
}

fn snapshot_of<'a>(run: RunId, change: &Change<'a>) -> Option<&'a Snapshot> {
    match (change.key, change.after) {
        (Key::Snapshot(of, _), Some(Row::Snapshot(snapshot))) if *of == run => Some(snapshot),
        _ => None,
    }
}

//! What is written stays written, in its order: terminal runs, snapshots, streams, log chunks.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::batch::Batch;
use hostler_core::id::{AttemptId, RunId, TaskId};
use hostler_core::key::{Key, Row};
use hostler_core::retention::Retention;
use hostler_core::run::{Run, Snapshot};
use hostler_core::stream::{Body, Record, Trim};
use hostler_store::query::Sequenced;

use super::{Change, Verdict};
use crate::disk::Disk;

#[derive(Default)]
pub struct Order {
    /// The last chunk and line that is stored of each attempt.
    logs: BTreeMap<AttemptId, (u64, u64)>,
    /// Chunks of executions whose end was accepted.
    ended: BTreeMap<AttemptId, u64>,
    /// How long the stream of a task has ever been, and how much of it was to go.
    lengths: BTreeMap<TaskId, (u64, u64)>,
    /// Tasks that rest and still have their streams.
    pub rested: BTreeSet<TaskId>,
    /// What rests may be forgotten.
    pub day_is_over: bool,
    pub retention: Retention,
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
        for change in changes {
            if let Some(Row::Task(task)) = change.after {
                match task.rested_at {
                    Some(_) => self.rested.insert(task.id),
                    None => self.rested.remove(&task.id),
                };
                if task.rested_at.is_some() && !task.state.is_terminal() {
                    return Err(format!("INV-KEEP-2: {} rests and is {}", task.id, task.state));
                }
            }
        }
        for append in &batch.appends {
            let length = self.lengths.entry(append.task_id).or_default();
            length.0 += append.records.iter().map(Record::width).sum::<u64>();
            append.records.iter().try_for_each(|record| self.log(record))?;
        }
        batch.trims.iter().try_for_each(|trim| self.trim(trim))
    }

    /// INV-KEEP-1: no more goes than is too much.
    fn trim(&mut self, trim: &Trim) -> Verdict {
        let (length, gone) = self.lengths.entry(trim.task_id).or_default();
        let is_forgotten = self.day_is_over && self.rested.contains(&trim.task_id);
        let kept = length.saturating_sub(trim.to_seq);
        // What another server has removed just before is not removed once more.
        let removes = trim.to_seq.min(*length) > *gone;
        if removes && kept < self.retention.records_max_per_task && !is_forgotten {
            return Err(format!("INV-KEEP-1: {kept} records of {} are left", trim.task_id));
        }
        *gone = trim.to_seq.min(*length).max(*gone);
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

    /// INV-STREAM-1, INV-STREAM-2 and the logs of ended executions, at rest.
    pub fn at_rest(&self, disk: &Disk) -> Verdict {
        let mut verdict = Ok(());
        let mut seen = 0;
        disk.each_stream(|task, records| {
            seen += 1;
            let wrong = self.stream(task, records);
            verdict = std::mem::replace(&mut verdict, Ok(())).and(wrong);
        });
        verdict?;
        let stored = self.lengths.values().filter(|(length, _)| *length > 0).count();
        if seen != stored {
            return Err(format!("INV-STREAM-1: {seen} of {stored} streams are there"));
        }
        for (attempt, count) in &self.ended {
            let kept = self.stored_chunks(*attempt);
            if kept != *count {
                return Err(format!("STR-1: {kept} of {count} chunks of {attempt} are stored"));
            }
        }
        if self.day_is_over
            && let Some(task) = self.rested.first()
        {
            return Err(format!("INV-KEEP-2: the stream of {task} is not forgotten"));
        }
        Ok(())
    }

    /// A gap for what is gone, and then every number.
    fn stream(&self, task: TaskId, records: &[Sequenced]) -> Verdict {
        let (length, gone) = self.lengths.get(&task).copied().unwrap_or_default();
        let mut wanted = 1;
        for (place, one) in records.iter().enumerate() {
            let is_gap = matches!(one.record.body, Body::Gap { .. });
            let is_right = match one.record.body {
                Body::Gap { from_seq, to_seq } => (from_seq, to_seq) == (1, gone),
                Body::Log { .. } | Body::Event { .. } => place > 0 || gone == 0,
            };
            if one.seq != wanted || !is_right || (is_gap && place > 0) {
                return Err(format!(
                    "INV-STREAM-1, INV-STREAM-2: {task} lost {gone} of {length} records and has \
                     {:?} at {place}",
                    one.record.body
                ));
            }
            wanted += one.record.width();
        }
        match wanted == length + 1 {
            true => Ok(()),
            false => Err(format!("INV-STREAM-1: {task} has {wanted} of {length} records")),
        }
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

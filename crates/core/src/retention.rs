//! # Retention
//!
//! **What** How much of a task's stream is kept, and for how long: the newest records of one that
//! grows without end, and nothing of one whose task has rested long enough. A gap tells of what
//! is gone (INV-STREAM-2), so what was trimmed needs no other note.
//!
//! **Invariants** `INV-KEEP-1`: only records beyond `records_max_per_task` are removed from the
//! stream of a task that has not rested for `days_after_rest`. `INV-KEEP-2`: a task whose
//! `rested_at` is set rests; it is set when the task comes to rest and cleared when it moves on
//! or when its stream is gone.
//!
//! **Failure** A trim that is lost (a crash, a store that failed) is made up for: the next step
//! of the stream's growth trims more, and a task that rests is found again.
//!
//! **Cost** A growing stream is trimmed once for each step of its growth, so a record costs its
//! removal and nothing else. Tasks that rest are found by index, a few at a time.
//!
//! **Not here** How a stream is trimmed (`stream::Trim`, the keepers); old rows other than streams.

use crate::engine::txn::{Decided, Txn};
use crate::id::TaskId;
use crate::limits;
use crate::stream::Trim;
use crate::task::Task;
use crate::time::Timestamp;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Records that a stream keeps at least; a step more stand there at times. 0: all.
    pub records_max_per_task: u64,
    /// Days from when a task has come to rest until its stream goes. 0: it stays for ever.
    pub days_after_rest: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            records_max_per_task: limits::RECORDS_MAX_DEFAULT,
            days_after_rest: limits::DAYS_AFTER_REST_DEFAULT,
        }
    }
}

impl Retention {
    /// How many records come between two trims: a tenth of what is kept.
    fn step(&self) -> u64 {
        (self.records_max_per_task / 10).clamp(1, limits::TRIM_STEP_MAX)
    }

    /// Up to where a stream is trimmed that has just grown by `count` to `last_seq`, when a step
    /// was completed by that. It needs no memory of earlier trims.
    pub fn overgrown(&self, count: u64, last_seq: u64) -> Option<u64> {
        let (max, step) = (self.records_max_per_task, self.step());
        let completed = last_seq / step > last_seq.saturating_sub(count) / step;
        let too_long = max > 0 && last_seq >= max.saturating_add(step);
        (completed && too_long).then(|| last_seq - max)
    }

    /// Tasks that came to rest then or before lose their streams.
    pub fn rested_until(&self, now: Timestamp) -> Option<Timestamp> {
        let kept_ms = i64::from(self.days_after_rest) * 24 * 3_600_000;
        (self.days_after_rest > 0).then(|| Timestamp(now.0.saturating_sub(kept_ms)))
    }
}

/// Since when a task rests with a stream, once it is written.
pub(crate) fn rested_at(before: Option<&Task>, after: &Task) -> Option<Timestamp> {
    let rested = before.is_some_and(|before| before.state.is_terminal());
    match after.state.is_terminal() {
        false => None,
        true if rested => after.rested_at,
        true => Some(after.updated_at),
    }
}

/// Removes the beginning of a stream.
pub(crate) fn trim(txn: &mut Txn<'_>, task_id: TaskId, to_seq: u64) {
    txn.staged.trims.push(Trim { task_id, to_seq, at: txn.now });
}

/// Removes the stream of a task that still rests; when it is `emptied`, notes it on the row.
pub(crate) fn forget(txn: &mut Txn<'_>, id: TaskId, emptied: bool) -> Decided<()> {
    let Some(until) = txn.config.retention.rested_until(txn.now) else { return Ok(()) };
    let task = txn.task(id)?.filter(|task| task.rested_at.is_some_and(|at| at <= until));
    // It was restarted, or another server was here first.
    let Some(mut task) = task else { return Ok(()) };
    match emptied {
        false => trim(txn, id, u64::MAX),
        true => {
            task.rested_at = None;
            txn.put_task(task)?;
        }
    }
    Ok(())
}

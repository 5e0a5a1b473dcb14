//! SCH-3, SCH-4, INV-SCHEDULE-1, INV-SCHEDULE-2: each tick fires at most once, none is forgotten,
//! and ticks fire beside open tasks only where their rule says so.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::batch::Batch;
use hostler_core::id::{ScheduleId, TaskId};
use hostler_core::key::{Key, Row};
use hostler_core::schedule::{Missed, Overlap, Schedule};
use hostler_core::stream::Body;
use hostler_core::task::Task;
use hostler_core::time::Timestamp;

use super::{Change, Tally, Verdict};

#[derive(Default)]
pub struct Schedules {
    /// Ticks that have fired, in seconds, and what became of them.
    fired: BTreeMap<ScheduleId, BTreeMap<i64, TaskId>>,
    /// Ranges of missed ticks by number.
    missed: BTreeMap<ScheduleId, BTreeMap<u32, (i64, i64)>>,
    /// Tasks made by ticks that others wait for, and since when they are queued.
    open: BTreeMap<ScheduleId, BTreeMap<TaskId, Option<Timestamp>>>,
    /// Those that will be looked at.
    pub active: BTreeSet<ScheduleId>,
}

impl Schedules {
    pub fn committed(
        &mut self,
        changes: &[Change<'_>],
        batch: &Batch,
        tally: &mut Tally,
    ) -> Verdict {
        for change in changes {
            match (change.before, change.after) {
                (Some(Row::Task(_)), Some(Row::Task(after))) => self.note_rest(after),
                (before, Some(Row::Missed(after))) => self.note_missed(before, after)?,
                (Some(Row::Missed(_)), None) => {
                    return Err(format!("SCH-4: {:?} is gone", change.key));
                }
                _ => {}
            }
        }
        for change in changes {
            if let (None, Some(Row::Task(task))) = (change.before, change.after)
                && let Some(id) = task.schedule_id
            {
                self.fires(id, task, changes, batch, tally)?;
            }
        }
        for change in changes {
            if let (before, Some(Row::Schedule(after))) = (change.before, change.after) {
                match after.fire_at.is_some() {
                    true => self.active.insert(after.id),
                    false => self.active.remove(&after.id),
                };
                if let Some(Row::Schedule(before)) = before {
                    self.goes_on(before, after, changes, tally)?;
                }
            }
        }
        Ok(())
    }

    /// It has come to rest, another took its place, or an input has begun it anew.
    fn note_rest(&mut self, task: &Task) {
        let Some(open) = task.schedule_id.and_then(|id| self.open.get_mut(&id)) else { return };
        let is_anew = open.get(&task.id).is_some_and(|queued| *queued != task.queued_at);
        if task.state.is_terminal() || task.cancel_requested_at.is_some() || is_anew {
            open.remove(&task.id);
        }
    }

    fn note_missed(&mut self, before: Option<&Row>, after: &Missed) -> Verdict {
        let Missed { schedule_id, seq, from, to, count, .. } = after;
        let grows = match before {
            Some(Row::Missed(old)) => {
                old.from == *from
                    && old.to < *to
                    && old.count < *count
                    && old.reason == after.reason
            }
            _ => *from <= *to && *count > 0,
        };
        if !grows {
            return Err(format!("SCH-4: {after:?} does not follow from {before:?}"));
        }
        let ranges = self.missed.entry(*schedule_id).or_default();
        ranges.insert(*seq, (secs(*from), secs(*to)));
        Ok(())
    }

    /// A task that a schedule makes.
    fn fires(
        &mut self,
        id: ScheduleId,
        task: &Task,
        changes: &[Change<'_>],
        batch: &Batch,
        tally: &mut Tally,
    ) -> Verdict {
        let schedule = changes.iter().find_map(|change| match (change.before, change.after) {
            (Some(Row::Schedule(before)), Some(Row::Schedule(after))) if after.id == id => {
                Some((before, after))
            }
            _ => None,
        });
        let Some((before, after)) = schedule else {
            return Err(format!("INV-SCHEDULE-2: {} was made and {id} stays as it was", task.id));
        };
        let cause = cause(task.id, batch);
        *tally
            .entry(match cause {
                Some("tick") => "tick fired",
                Some("buffer") => "buffered tick fired",
                Some("backfill") => "backfilled",
                _ => "triggered",
            })
            .or_default() += 1;
        let prefix = format!("schedule:{id}:");
        let tick = task.idempotency_key.strip_prefix(&prefix);
        if let Some(tick) = tick.and_then(|text| text.parse::<i64>().ok()) {
            let fired = self.fired.entry(id).or_default();
            if let Some(other) = fired.insert(tick, task.id) {
                return Err(format!("INV-SCHEDULE-1: {tick} of {id} made {other} and {}", task.id));
            }
            let next = after.next_run_at.map(secs);
            if cause == Some("tick") && next.is_some_and(|next| next <= tick) {
                return Err(format!("INV-SCHEDULE-2: {id} fired {tick} and stands at {next:?}"));
            }
        }
        if !matches!(cause, Some("tick" | "buffer")) {
            return Ok(());
        }
        let waits =
            |overlap| matches!(overlap, Overlap::Skip | Overlap::BufferOne | Overlap::BufferAll);
        let open = self.open.entry(id).or_default();
        if before.overlap == after.overlap && waits(after.overlap) {
            if let Some((other, _)) = open.first_key_value() {
                let rule = after.overlap;
                return Err(format!("SCH-4: {id} ({rule}) made {} beside {other}", task.id));
            }
            // It may have been cancelled in the batch that made it.
            if !task.state.is_terminal() && task.cancel_requested_at.is_none() {
                open.insert(task.id, task.queued_at);
            }
        }
        Ok(())
    }

    /// Between two looks every tick has become something.
    fn goes_on(
        &self,
        before: &Schedule,
        after: &Schedule,
        changes: &[Change<'_>],
        tally: &mut Tally,
    ) -> Verdict {
        let id = after.id;
        let is_made = |change: &&Change<'_>| match (change.before, change.after) {
            (None, Some(Row::Task(task))) => task.schedule_id == Some(id),
            _ => false,
        };
        let made = changes.iter().filter(is_made).count() as u64;
        if after.fired_count != before.fired_count + made {
            let (old, new) = (before.fired_count, after.fired_count);
            return Err(format!("SCH-3: {id} made {made} tasks and counts {new} after {old}"));
        }
        let missed: u64 = changes.iter().map(|change| missed_more(id, change)).sum();
        if after.missed_count != before.missed_count + missed {
            let (old, new) = (before.missed_count, after.missed_count);
            return Err(format!("SCH-4: {id} missed {missed} ticks and counts {new} after {old}"));
        }
        *tally.entry("tick missed").or_default() += missed;
        if after.deleted_at.is_some() {
            return Ok(());
        }
        for tick in before.buffered.iter().filter(|tick| !after.buffered.contains(tick)) {
            self.became(after, secs(*tick))?;
        }
        if after.buffered.len() > before.buffered.len() {
            *tally.entry("tick buffered").or_default() += 1;
        }
        let is_anew = before.prompt != after.prompt || before.cron_expr != after.cron_expr;
        let (Some(from), Some(to)) = (before.next_run_at, after.next_run_at) else {
            return Ok(());
        };
        if is_anew || !before.active || !after.active {
            return Ok(());
        }
        if to < from {
            return Err(format!("INV-SCHEDULE-2: {id} went back from {from:?} to {to:?}"));
        }
        let step = if after.cron_expr.starts_with("*/2") { 120 } else { 60 };
        let mut tick = secs(from);
        while tick < secs(to) {
            self.became(after, tick)?;
            tick += step;
        }
        match tick == secs(to) {
            true => Ok(()),
            false => Err(format!("SCH-1: the next tick of {id} is {to:?}, not {tick}")),
        }
    }

    fn became(&self, schedule: &Schedule, tick: i64) -> Verdict {
        let id = schedule.id;
        let has_fired = self.fired.get(&id).is_some_and(|fired| fired.contains_key(&tick));
        let within = |(from, to): &(i64, i64)| (*from..=*to).contains(&tick);
        let is_missed = self.missed.get(&id).is_some_and(|all| all.values().any(within));
        let waits = schedule.buffered.iter().any(|one| secs(*one) == tick);
        match has_fired || is_missed || waits {
            true => Ok(()),
            false => Err(format!("INV-SCHEDULE-1: nothing became of {tick} of {id}")),
        }
    }
}

fn secs(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000)
}

fn missed_more(id: ScheduleId, change: &Change<'_>) -> u64 {
    let count = |row: Option<&Row>| match row {
        Some(Row::Missed(missed)) => missed.count,
        _ => 0,
    };
    match change.key {
        Key::Missed(of, _) if *of == id => count(change.after).saturating_sub(count(change.before)),
        _ => 0,
    }
}

/// Why a task was made, by its stream.
fn cause(task: TaskId, batch: &Batch) -> Option<&str> {
    let appends = batch.appends.iter().filter(|append| append.task_id == task);
    appends.flat_map(|append| &append.records).find_map(|record| match &record.body {
        Body::Event { event_type, payload } if event_type == "schedule_fired" => {
            payload.get("cause").and_then(|cause| cause.as_str())
        }
        _ => None,
    })
}

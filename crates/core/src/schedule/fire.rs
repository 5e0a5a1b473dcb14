//! A schedule that is due makes its task (SCH-3, SCH-4), and hears of it when it rests.
//!
//! One command makes at most one task: ticks that have piled up are taken one in each round, and
//! no schedule holds up the others or makes a batch of its own size.

use serde_json::json;

use super::launch::{self, Cause, Launch, launch};
use super::missed::{self, Ranges};
use super::next::Rule;
use super::{Overlap, Schedule};
use crate::agent::Agent;
use crate::engine::txn::{Decided, Halt, Txn};
use crate::id::{ScheduleId, TaskId};
use crate::limits;
use crate::task::accept::Accepted;
use crate::task::{State, Task, cancel};
use crate::time::Timestamp;

/// What one look at a schedule comes to.
struct Look {
    schedule: Schedule,
    agent: Agent,
    missed: Ranges,
    accepted: Option<Accepted>,
    /// Open tasks that the new one takes the place of.
    replaced: Vec<TaskId>,
}

pub(crate) fn decide(txn: &mut Txn<'_>, id: ScheduleId) -> Decided<Option<Accepted>> {
    let Some(schedule) = txn.schedule(id)? else { return Ok(None) };
    // Another server was faster, or somebody has changed it.
    if schedule.fire_at.is_none_or(|at| at > txn.now) {
        return Ok(None);
    }
    if let Some(tick) = schedule.buffered.first().copied().or(schedule.next_run_at) {
        launch::wants(txn, &schedule, tick);
    }
    let agent = txn.known(txn.agent(schedule.agent_id))?;
    if agent.deleted_at.is_some() {
        super::manage::remove(txn, schedule);
        return Ok(None);
    }
    let (missed, replaced) = (Ranges::default(), Vec::new());
    let mut look = Look { schedule, agent, missed, accepted: None, replaced };
    look.take_buffered(txn)?;
    if look.accepted.is_none() && look.schedule.active {
        match look.schedule.rule() {
            Ok(rule) => look.take_ticks(txn, &rule)?,
            Err(no) => {
                let reason = format!("its rule can no longer be read: {}", no.message);
                look.schedule.pause(Some(reason), txn.now);
            }
        }
    }
    look.end(txn)
}

impl Look {
    /// The first tick that waits, once nothing is open.
    fn take_buffered(&mut self, txn: &mut Txn<'_>) -> Decided<()> {
        while self.accepted.is_none()
            && self.schedule.open_tasks.is_empty()
            && !self.schedule.buffered.is_empty()
        {
            let tick = self.schedule.buffered.remove(0);
            self.fire(txn, tick, Cause::Buffer, true)?;
        }
        Ok(())
    }

    /// Ticks that are due, in their order, until one of them has fired.
    fn take_ticks(&mut self, txn: &mut Txn<'_>, rule: &Rule) -> Decided<()> {
        for _ in 0..limits::TICKS_AT_ONCE_MAX {
            let Some(tick) = self.schedule.next_run_at else { break };
            if self.schedule.due_at(tick) > txn.now || self.accepted.is_some() {
                break;
            }
            self.take(txn, tick)?;
            self.schedule.next_run_at = rule.next_after(tick);
        }
        Ok(())
    }

    fn take(&mut self, txn: &mut Txn<'_>, tick: Timestamp) -> Decided<()> {
        let overlap = self.schedule.overlap;
        if self.schedule.fires_until(tick) < txn.now {
            self.missed.add(tick, missed::CATCHUP_WINDOW);
            return Ok(());
        }
        if self.schedule.open_tasks.is_empty() || fires_beside(overlap) {
            return self.fire(txn, tick, Cause::Tick, Schedule::keeps_open(overlap));
        }
        // It may have been asked for before its time.
        let (workspace, agent) = (self.schedule.workspace_id, self.schedule.agent_id);
        let key = launch::tick_key(&self.schedule, tick);
        if txn.receipt(workspace, agent, key)?.is_none()
            && let Err(reason) = buffer(&mut self.schedule, overlap, tick)
        {
            self.missed.add(tick, reason);
        }
        Ok(())
    }

    /// Makes the task of a tick; one that is refused is missed.
    fn fire(
        &mut self,
        txn: &mut Txn<'_>,
        tick: Timestamp,
        cause: Cause,
        open: bool,
    ) -> Decided<()> {
        let before = self.schedule.open_tasks.clone();
        // Nothing else is written before: what a refusal leaves behind is taken back whole.
        assert!(txn.staged.rows.is_empty(), "a tick is the first thing that its command writes");
        match launch(txn, &mut self.schedule, &self.agent, Launch::of(tick, cause, open)) {
            Ok(accepted) if accepted.idempotent_hit => {}
            Ok(accepted) => {
                self.accepted = Some(accepted);
                if self.schedule.overlap == Overlap::CancelOther {
                    self.schedule.open_tasks.retain(|task| !before.contains(task));
                    self.replaced = before;
                }
            }
            Err(Halt::Rejected(no)) => {
                txn.staged = Default::default();
                self.missed.add(tick, no.code.as_str());
            }
            Err(missing) => return Err(missing),
        }
        Ok(())
    }

    fn end(mut self, txn: &mut Txn<'_>) -> Decided<Option<Accepted>> {
        self.missed.record(txn, &mut self.schedule)?;
        self.schedule.rearm(txn.now);
        txn.put_schedule(self.schedule);
        cancel_all(txn, &self.replaced)?;
        Ok(self.accepted)
    }
}

/// A tick of this rule fires whatever is open.
pub(crate) fn fires_beside(overlap: Overlap) -> bool {
    matches!(overlap, Overlap::AllowAll | Overlap::CancelOther)
}

/// Keeps a tick for later; otherwise why it is missed.
pub(crate) fn buffer(
    schedule: &mut Schedule,
    overlap: Overlap,
    tick: Timestamp,
) -> Result<(), &'static str> {
    let buffered = &mut schedule.buffered;
    let room = match overlap {
        Overlap::BufferOne => 1,
        Overlap::BufferAll => limits::BUFFERED_TICKS_MAX,
        Overlap::Skip | Overlap::CancelOther | Overlap::AllowAll => 0,
    };
    if buffered.contains(&tick) {
        return Ok(());
    }
    if buffered.len() >= room {
        return Err(if room > 1 { missed::BUFFER_FULL } else { missed::OVERLAP });
    }
    // A backfill may come with one that is older.
    let place = buffered.partition_point(|waits| *waits < tick);
    buffered.insert(place, tick);
    Ok(())
}

/// Cancels tasks that are not on the schedule's row any more.
pub(crate) fn cancel_all(txn: &mut Txn<'_>, tasks: &[TaskId]) -> Decided<()> {
    for id in tasks {
        let task = txn.known(txn.task(*id))?;
        if !task.state.is_terminal() {
            cancel::task(txn, task.workspace_id, *id)?;
        }
    }
    Ok(())
}

/// A task of a schedule has come to rest.
pub(crate) fn rested(txn: &mut Txn<'_>, task: &Task) -> Decided<()> {
    let Some(id) = task.schedule_id else { return Ok(()) };
    let Some(mut schedule) = txn.schedule(id)? else { return Ok(()) };
    let before = schedule.clone();
    schedule.open_tasks.retain(|open| *open != task.id);
    match task.state {
        State::Done => schedule.failure_count = 0,
        State::Error | State::Dropped => {
            schedule.failure_count = schedule.failure_count.saturating_add(1);
        }
        // Somebody's wish is no failure, and no success.
        State::Cancelled => {}
        State::Queued | State::Running | State::Waiting => unreachable!("it rests"),
    }
    let limit = schedule.pause_after_failures;
    let fails = schedule.failure_count > before.failure_count;
    if schedule.active && limit > 0 && fails && schedule.failure_count >= limit {
        let reason = format!("{} of its tasks in a row have failed", schedule.failure_count);
        super::manage::drop_buffered(txn, &mut schedule)?;
        let payload = json!({ "schedule_id": schedule.id, "reason": reason });
        txn.event(task.id, task.target_run_id.map(|run| (run, None)), "schedule_paused", payload);
        schedule.pause(Some(reason), txn.now);
    } else if schedule.open_tasks != before.open_tasks {
        schedule.rearm(txn.now);
    }
    if schedule != before {
        txn.put_schedule(schedule);
    }
    Ok(())
}

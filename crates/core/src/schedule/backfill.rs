//! The ticks of a time that has passed, as if they were due now (SCH-4).
//!
//! Each has the key that it fires under, so that one which has fired is answered with its task,
//! and a backfill may be repeated. All of them are accepted, or none.

use super::launch::{self, Cause, Launch, launch};
use super::manage::{agent_of, parse_overlap, schedule_in};
use super::{Overlap, Schedule, fire};
use crate::code::Rejection;
use crate::engine::txn::{Decided, Txn};
use crate::id::{ScheduleId, TaskId, WorkspaceId};
use crate::key::Key;
use crate::limits;
use crate::text::words;
use crate::time::{Span, Timestamp};

/// Both ends belong to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backfill {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// The schedule's own rule when absent.
    pub overlap: Option<String>,
}

words! {
    /// What became of a tick of a backfill.
    pub enum Became {
        Fired => "fired",
        /// It has fired before.
        Hit => "hit",
        /// It fires when the open tasks have come to rest.
        Buffered => "buffered",
        Skipped => "skipped",
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Filled {
    pub tick: Timestamp,
    pub became: Became,
    pub task_id: Option<TaskId>,
}

pub(crate) fn decide(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    id: ScheduleId,
    backfill: &Backfill,
) -> Decided<Vec<Filled>> {
    let mut schedule = schedule_in(txn, workspace, id)?;
    let ticks = ticks(txn.now, &schedule, backfill)?;
    let overlap = match &backfill.overlap {
        Some(given) => parse_overlap(given)?,
        None => schedule.overlap,
    };
    for tick in &ticks {
        launch::wants(txn, &schedule, *tick);
    }
    let agent = agent_of(txn, &schedule)?;
    want_hits(txn, &schedule, &ticks)?;
    let (mut filled, mut replaced) = (Vec::with_capacity(ticks.len()), Vec::new());
    for tick in ticks {
        let key = launch::tick_key(&schedule, tick);
        let has_fired = txn.receipt(workspace, agent.id, key)?.is_some();
        let waits = !schedule.open_tasks.is_empty() || !schedule.buffered.is_empty();
        if !has_fired && waits && !fire::fires_beside(overlap) {
            let became = match fire::buffer(&mut schedule, overlap, tick) {
                Ok(()) => Became::Buffered,
                Err(_) => Became::Skipped,
            };
            filled.push(Filled { tick, became, task_id: None });
            continue;
        }
        let before = schedule.open_tasks.clone();
        let one = Launch::of(tick, Cause::Backfill, Schedule::keeps_open(overlap));
        let accepted = launch(txn, &mut schedule, &agent, one)?;
        if overlap == Overlap::CancelOther && !accepted.idempotent_hit {
            schedule.open_tasks.retain(|task| !before.contains(task));
            replaced.extend(before);
        }
        let became = if accepted.idempotent_hit { Became::Hit } else { Became::Fired };
        filled.push(Filled { tick, became, task_id: Some(accepted.task.id) });
    }
    schedule.rearm(txn.now);
    txn.put_schedule(schedule);
    fire::cancel_all(txn, &replaced)?;
    Ok(filled)
}

/// The rows of ticks that have fired, asked for together.
fn want_hits(txn: &Txn<'_>, schedule: &Schedule, ticks: &[Timestamp]) -> Decided<()> {
    for tick in ticks {
        let key = launch::tick_key(schedule, *tick);
        let receipt = txn.receipt(schedule.workspace_id, schedule.agent_id, key)?;
        if let Some(receipt) = receipt {
            txn.want(Key::Task(receipt.task_id));
            txn.want(Key::Input(receipt.input_id));
        }
    }
    Ok(())
}

fn ticks(
    now: Timestamp,
    schedule: &Schedule,
    backfill: &Backfill,
) -> Result<Vec<Timestamp>, Rejection> {
    let from = backfill.from.ok_or_else(|| Rejection::required("from"))?;
    let to = backfill.to.ok_or_else(|| Rejection::required("to"))?;
    if to < from {
        return Err(Rejection::invalid("to", "to is before from"));
    }
    if to > now {
        return Err(Rejection::invalid(
            "to",
            "to has not come yet; allowed: a time that has passed",
        ));
    }
    let rule = schedule.rule()?;
    let within = rule.upcoming(from + Span::millis(-1)).take_while(|tick| *tick <= to);
    let ticks: Vec<Timestamp> = within.take(limits::BACKFILL_TICKS_MAX + 1).collect();
    if ticks.len() > limits::BACKFILL_TICKS_MAX {
        let most = limits::BACKFILL_TICKS_MAX;
        let text = format!("the range has more than {most} ticks; choose an earlier end");
        return Err(Rejection::invalid("to", text));
    }
    Ok(ticks)
}

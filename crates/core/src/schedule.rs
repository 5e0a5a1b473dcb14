//! # Schedules
//!
//! **What** A cron rule that makes tasks (SCH-1 to SCH-5). A *tick* is a moment that the rule
//! names; it keeps that moment as its name whenever it fires.
//!
//! **Invariants** `INV-SCHEDULE-1`: each tick ends in one of two ways, once: it has fired, under an
//! idempotency key of its own, or it is in a [`Missed`] range with a reason. `INV-SCHEDULE-2`:
//! going on to the next tick and accepting the task are one batch, guarded by the schedule's
//! version.
//!
//! **Failure** A tick that cannot be accepted is recorded as missed; it is never tried again by
//! itself. A rule that can no longer be read pauses its schedule.
//!
//! **Not here** Carrying out the task (`task`, `run`); when a row is looked at (`engine`).

pub mod backfill;
pub mod cron;
pub mod fire;
pub mod launch;
pub mod manage;
mod missed;
pub mod next;
pub mod preview;
pub mod trigger;

use serde::{Deserialize, Serialize};

use crate::code::Rejection;
use crate::id::{AgentId, ScheduleId, TaskId, WorkspaceId};
use crate::policy::Policy;
use crate::task::Priority;
use crate::text::words;
use crate::time::{Span, Timestamp};
use next::Rule;

words! {
    /// What a tick does while a task of an earlier one has not come to rest (SCH-4).
    pub enum Overlap {
        /// It is missed.
        Skip => "skip",
        /// One tick waits; further ones are missed.
        BufferOne => "buffer_one",
        /// Ticks wait, one after the other.
        BufferAll => "buffer_all",
        /// It fires, and the earlier tasks are cancelled.
        CancelOther => "cancel_other",
        /// It fires.
        AllowAll => "allow_all",
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub id: ScheduleId,
    pub workspace_id: WorkspaceId,
    pub agent_id: AgentId,
    pub cron_expr: String,
    pub timezone: String,
    pub prompt: String,
    /// Skills that the agent is told to read first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skill_paths: Vec<String>,
    /// Of the tasks that it makes, as the next two.
    #[serde(default, skip_serializing_if = "Policy::is_default")]
    pub policy: Policy,
    pub priority: Priority,
    /// 0: no limit.
    pub timeout_ms: u64,
    pub overlap: Overlap,
    /// A tick that is later than this is missed.
    pub catchup_window_ms: u64,
    /// Each tick fires up to so much later, always by the same for one tick.
    pub jitter_ms: u64,
    /// Pause after so many failures in a row; 0: never.
    pub pause_after_failures: u32,
    pub active: bool,
    /// Why it is not active, when nobody asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_reason: Option<String>,
    /// The next tick, before jitter; `None` while it is not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<Timestamp>,
    /// When it is looked at. `None` while nothing is to fire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fire_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<Timestamp>,
    /// Its tasks that have not come to rest; not kept for [`Overlap::AllowAll`], which asks for
    /// none. At most `limits::OPEN_TASKS_MAX`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_tasks: Vec<TaskId>,
    /// Ticks that wait for the open tasks; at most `limits::BUFFERED_TICKS_MAX`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buffered: Vec<Timestamp>,
    pub fired_count: u64,
    pub missed_count: u64,
    /// Failures in a row.
    pub failure_count: u32,
    /// The number of the last range of missed ticks; 0: there is none.
    pub missed_seq: u32,
    /// Nothing has fired since that range: it may still grow.
    pub missed_grows: bool,
    /// A member of the workspace, in versions that have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by_member_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Ticks that did not fire, one after the other and for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Missed {
    pub schedule_id: ScheduleId,
    /// From 1.
    pub seq: u32,
    /// The first and the last of them.
    pub from: Timestamp,
    pub to: Timestamp,
    pub count: u64,
    /// `catchup_window`, `overlap`, `buffer_full`, `paused`, or the code of a refusal.
    pub reason: String,
    pub at: Timestamp,
}

impl Schedule {
    pub(crate) fn rule(&self) -> Result<Rule, Rejection> {
        Rule::parse(&self.cron_expr, &self.timezone)
    }

    /// When a tick is due: the tick with its jitter.
    pub fn due_at(&self, tick: Timestamp) -> Timestamp {
        if self.jitter_ms == 0 {
            return tick;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.id.0.as_bytes()).update(&tick.0.to_le_bytes());
        let bytes = hasher.finalize();
        let bits = u64::from_le_bytes(bytes.as_bytes()[..8].try_into().expect("eight bytes"));
        tick + Span((bits % (self.jitter_ms + 1)).cast_signed())
    }

    /// A tick later than this is missed. The window opens when the longest jitter is over: a
    /// tick may have waited for the one before it, whose jitter was longer.
    pub fn fires_until(&self, tick: Timestamp) -> Timestamp {
        tick + Span(self.jitter_ms.cast_signed()) + Span(self.catchup_window_ms.cast_signed())
    }

    /// The first tick after a time, and when it is looked at.
    pub(crate) fn begin_after(&mut self, rule: &Rule, after: Timestamp) {
        self.next_run_at = rule.next_after(after);
        // Ticks lie between that are not missed: nobody wanted them.
        self.missed_grows = false;
        self.rearm(after);
    }

    /// When it is looked at, by what the rest of the row says.
    pub(crate) fn rearm(&mut self, now: Timestamp) {
        let waits = !self.buffered.is_empty() && self.open_tasks.is_empty();
        self.fire_at = match () {
            () if self.deleted_at.is_some() => None,
            () if waits => Some(now),
            () if self.active => self.next_run_at.map(|tick| self.due_at(tick)),
            () => None,
        };
    }

    /// No tick comes until it is made active again.
    pub(crate) fn pause(&mut self, reason: Option<String>, now: Timestamp) {
        self.active = false;
        self.paused_reason = reason;
        self.next_run_at = None;
        self.rearm(now);
    }

    /// A tick of this rule waits for, or ends, what is open.
    pub(crate) fn keeps_open(overlap: Overlap) -> bool {
        overlap != Overlap::AllowAll
    }
}

//! # Capacity
//!
//! **What** Who may start, and why not: the instance of each execution class with its counts.
//!
//! **Invariants** `INV-CAP-1`: `pending + running + stopping` is the number of the class's leases
//! and never above `concurrency` at a claim. `INV-CAP-2`: `queued` is the number of its queued
//! tasks, `parked` of those that are parked. `INV-CAP-3`: no process is kept warm while its class
//! has work and no room, or while others wait for its session, unless another is about to end.
//!
//! **Not here** Which worker is there (`worker`), one live run for each session (`session`).

pub mod claim;
pub mod health;
pub mod waiting;

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, WorkspaceId};
use crate::lease;
use crate::limits;
use crate::policy::RuntimeType;
use crate::text::words;
use crate::time::Timestamp;

words! {
    pub enum Health { Healthy => "healthy", Warning => "warning", Degraded => "degraded" }
}

/// The concurrency and health of one execution class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    pub key: String,
    pub workspace_id: WorkspaceId,
    pub agent_id: AgentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    pub runtime_type: RuntimeType,
    pub status: Health,
    pub concurrency: u32,
    pub failed_attempt_threshold: u32,
    /// Attempts that failed since the last success (INS-1).
    #[serde(default)]
    pub failed_attempts: u32,
    /// When a degraded class may try one task (INS-2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_at: Option<Timestamp>,
    /// Nothing of it is dispatched before, although it has room: its agent's budget is spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// Queued tasks, parked ones included.
    pub queued: u32,
    pub parked: u32,
    /// Leases by state.
    pub pending: u32,
    pub running: u32,
    pub stopping: u32,
    /// Running ones whose process has no turn and is kept warm.
    #[serde(default)]
    pub idle: u32,
    /// Its place in the fair order: when it was claimed from last, in milliseconds.
    pub pass: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Instance {
    /// How many more leases it may have.
    pub fn room(&self) -> u32 {
        let taken = self.pending + self.running + self.stopping;
        match self.status {
            Health::Degraded => 0,
            Health::Healthy | Health::Warning => self.concurrency.saturating_sub(taken),
        }
    }

    /// When it is to be looked at again, while it is held back.
    pub fn due_at(&self) -> Option<Timestamp> {
        [self.probe_at, self.held_until].into_iter().flatten().min()
    }

    /// The search for ready work may find it.
    pub fn is_ready(&self) -> bool {
        self.queued > self.parked && self.room() > 0
    }

    /// It has work and no room, and keeps warm processes (INV-CAP-3).
    pub fn is_starved(&self) -> bool {
        self.queued > self.parked && self.room() == 0 && self.idle > 0
    }

    /// Moves one lease from a count to another; `None` stands for outside.
    pub fn recount(&mut self, from: Option<lease::State>, to: Option<lease::State>) {
        if let Some(state) = from
            && let Some(count) = self.count_of(state)
        {
            *count = count.checked_sub(1).expect("INV-LEASE-3: the lease was counted");
        }
        if let Some(state) = to
            && let Some(count) = self.count_of(state)
        {
            *count += 1;
        }
    }

    fn count_of(&mut self, state: lease::State) -> Option<&mut u32> {
        match state {
            lease::State::Granted => Some(&mut self.pending),
            lease::State::Held => Some(&mut self.running),
            lease::State::Stopping => Some(&mut self.stopping),
            lease::State::Released | lease::State::Expired => None,
        }
    }

    pub fn new(key: String, agent: &crate::agent::Agent, now: Timestamp) -> Self {
        Instance {
            key,
            workspace_id: agent.workspace_id,
            agent_id: agent.id,
            lane: None,
            runtime_type: RuntimeType::Gvisor,
            status: Health::Healthy,
            concurrency: agent.concurrency(),
            failed_attempt_threshold: limits::FAILED_ATTEMPT_THRESHOLD,
            failed_attempts: 0,
            probe_at: None,
            held_until: None,
            queued: 0,
            parked: 0,
            pending: 0,
            running: 0,
            stopping: 0,
            idle: 0,
            pass: 0,
            created_at: now,
            updated_at: now,
        }
    }
}

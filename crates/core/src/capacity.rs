//! # Capacity
//!
//! **What** Who may start, and why not: the instance of each execution class with its counts.
//!
//! **Invariants** `INV-CAP-1`: `pending + running + stopping` is the number of the class's leases
//! and never above `concurrency` at a claim. `INV-CAP-2`: `queued` is the number of its queued
//! tasks, `parked` of those that are parked, and `ready` of the others by priority. `INV-CAP-3`: no
//! process is kept warm while its class has work and no room, or while others wait for its session,
//! unless another is about to end.
//!
//! **Not here** Which worker is there (`worker`), one live run for each session (`session`).

pub mod claim;
pub mod follow;
pub mod health;
pub mod manage;
pub mod needs;
pub mod ready;
pub mod waiting;

use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::id::{AgentId, WorkspaceId};
use crate::lease;
use crate::limits;
use crate::policy::Policy;
use crate::task::Priority;
use crate::text::words;
use crate::time::Timestamp;
pub use needs::Needs;

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
    /// What a worker must have to take its tasks.
    #[serde(default)]
    pub needs: Needs,
    pub status: Health,
    /// How many executions may be live: a person's word, else its agent's.
    pub concurrency: u32,
    /// A person has set the concurrency: the agent's config does not change it.
    #[serde(default)]
    pub concurrency_is_own: bool,
    pub failed_attempt_threshold: u32,
    /// Attempts that failed since the last success (INS-1).
    #[serde(default)]
    pub failed_attempts: u32,
    /// When a degraded class may try one task; a degraded one without it may (INS-2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_at: Option<Timestamp>,
    /// How often it was degraded in a row.
    #[serde(default)]
    pub degradations: u32,
    /// The last changes of its status, the newest last (INS-3).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Change>,
    /// Nothing of it is dispatched before, although it has room: a budget is spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// Which budget, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// Queued tasks, parked ones included.
    pub queued: u32,
    pub parked: u32,
    /// Queued tasks that are not parked, by priority.
    #[serde(default)]
    pub ready: [u32; Priority::ALL.len()],
    /// Leases by state.
    pub pending: u32,
    pub running: u32,
    pub stopping: u32,
    /// Running ones whose process has no turn and is kept warm.
    #[serde(default)]
    pub idle: u32,
    /// Its place in the fair order: when its last turn ended, in milliseconds.
    pub pass: u64,
    /// Its share among the classes of its workspace: how many claims a turn has.
    #[serde(default = "one")]
    pub weight: u32,
    /// Claims in the turn that goes on.
    #[serde(default)]
    pub served: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A change of an instance's status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub at: Timestamp,
    pub from: Health,
    pub to: Health,
    pub reason: String,
}

/// A weight that nobody set, in rows of before there were any too.
pub(crate) fn one() -> u32 {
    1
}

impl Instance {
    /// Leases of any state.
    pub fn taken(&self) -> u32 {
        self.pending + self.running + self.stopping
    }

    /// How many more leases it may have.
    pub fn room(&self) -> u32 {
        match self.status {
            _ if self.held_until.is_some() => 0,
            Health::Degraded if self.probe_at.is_some() => 0,
            Health::Degraded => 1_u32.saturating_sub(self.taken()),
            Health::Healthy | Health::Warning => self.concurrency.saturating_sub(self.taken()),
        }
    }

    /// As many executions are live as there may be.
    pub fn is_full(&self) -> bool {
        self.taken() >= self.concurrency
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

    /// The search finds it among those with ready tasks of this priority.
    pub fn is_ready_at(&self, priority: Priority) -> bool {
        self.ready[priority as usize] > 0 && self.room() > 0
    }

    /// Claims that are left in its turn.
    pub fn turn_left(&self) -> u32 {
        self.weight.saturating_sub(self.served).max(1)
    }

    /// One task was claimed: after its turn the others go before it. Neither a new class nor one
    /// that was idle has credit (DSP-2).
    pub(crate) fn serve(&mut self, now: Timestamp) {
        self.served += 1;
        if self.served >= self.weight {
            self.served = 0;
            self.pass = (self.pass + 1).max(u64::try_from(now.0).unwrap_or(0));
        }
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

    pub fn new(key: String, agent: &Agent, policy: &Policy, now: Timestamp) -> Self {
        Instance {
            key,
            workspace_id: agent.workspace_id,
            agent_id: agent.id,
            lane: None,
            needs: Needs::of(agent, policy),
            status: Health::Healthy,
            concurrency: agent.concurrency(),
            concurrency_is_own: false,
            failed_attempt_threshold: limits::FAILED_ATTEMPT_THRESHOLD,
            failed_attempts: 0,
            probe_at: None,
            degradations: 0,
            history: Vec::new(),
            held_until: None,
            held_by: None,
            queued: 0,
            parked: 0,
            ready: [0; Priority::ALL.len()],
            pending: 0,
            running: 0,
            stopping: 0,
            idle: 0,
            pass: 0,
            weight: one(),
            served: 0,
            created_at: now,
            updated_at: now,
        }
    }
}

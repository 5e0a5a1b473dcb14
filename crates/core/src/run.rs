//! # Runs
//!
//! **What** One materialisation of a task on its session: its attempts, its turns, its outcome.
//!
//! **States** [`Status`]; `docs/STATES.md` has the diagram.
//!
//! **Invariants** `INV-RUN-1`: at most one live run for each (workspace, session).
//! `INV-RUN-2`: a run is `ok` only after the agent's own end-of-work event (RUN-2).
//! `INV-RUN-3`: a terminal run never changes. `INV-RUN-4`: one snapshot for each change of status.
//!
//! **Failure** What ends an attempt decides by `outcome` whether another follows.
//!
//! **Not here** The lease under which a worker writes (`lease`), the process (the worker).

pub mod finish;
pub mod idle;
pub mod live;
pub mod outcome;
pub mod start;
pub mod state;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{AgentId, AttemptId, InputId, RunId, TaskId, WorkspaceId};
use crate::policy::Policy;
use crate::session::SessionId;
use crate::time::Timestamp;
pub use state::Status;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
    pub workspace_id: WorkspaceId,
    pub agent_id: AgentId,
    pub origin_task_id: TaskId,
    pub session_id: SessionId,
    pub status: Status,
    /// The effective policy, with the source of each field (POL-3).
    #[serde(default, skip_serializing_if = "Policy::is_default")]
    pub policy: Policy,
    /// The runtime that was used, and the reason when it is not the one asked for (POL-4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    pub timeout_ms: u64,
    pub instance_key: String,
    /// The input of its turn, until the agent has ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_id: Option<InputId>,
    /// Inputs that share its turn (`collect`), in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<InputId>,
    /// The attempt that has the run's lease; `None` between two attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_attempt_id: Option<AttemptId>,
    /// Attempts so far; the last one's number.
    pub attempt_count: u32,
    /// Attempts that use up no retry: the worker was stopped in an orderly way, or was lost before
    /// the attempt had started.
    #[serde(default)]
    pub excused_count: u32,
    /// Attempts of it that lost their worker (RUN-7).
    pub loss_count: u32,
    pub turn_count: u32,
    pub usage: Usage,
    /// The final text of the last turn, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The last turn ended with a question.
    pub waiting_for_input: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The class of the failure, a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<outcome::Failure>,
    /// How many snapshots it has.
    pub snapshot_seq: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Tokens and cost, summed over turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    /// Millionths of a US dollar.
    pub cost_micro_usd: u64,
}

impl Usage {
    pub fn is_nothing(&self) -> bool {
        *self == Usage::default()
    }

    pub fn add(&mut self, turn: Usage) {
        self.input_tokens = self.input_tokens.saturating_add(turn.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(turn.output_tokens);
        self.cache_read_tokens = self.cache_read_tokens.saturating_add(turn.cache_read_tokens);
        self.cache_write_tokens = self.cache_write_tokens.saturating_add(turn.cache_write_tokens);
        self.cost_micro_usd = self.cost_micro_usd.saturating_add(turn.cost_micro_usd);
    }
}

/// The status of a run at one of its changes (RUN-10); append-only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub run_id: RunId,
    /// From 1.
    pub seq: u32,
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub at: Timestamp,
    /// `event` says what happened; more by its kind.
    pub payload: Map<String, Value>,
}

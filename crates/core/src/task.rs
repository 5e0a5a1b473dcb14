//! # Tasks
//!
//! **What** One durable request, and the conversation that grows from it.
//!
//! **States** [`State`]; `docs/STATES.md` has the diagram.
//!
//! **Invariants** `INV-TASK-1`: a queued task is counted in its instance, and a task that is not
//! queued is not. `INV-TASK-2`: `inbox` holds exactly the task's waiting inputs, in their order.
//! `INV-TASK-3`: a running task has a run that is live.
//!
//! **Failure** A task is never lost: whatever ends its run, it is settled or queued again in the
//! same transaction.
//!
//! **Not here** Its runs (`run`), its messages (`input`), whether it may start (`capacity`).

pub mod accept;
pub mod archive;
pub mod cancel;
pub mod state;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::budget::Budget;
use crate::id::{AgentId, InputId, RunId, ScheduleId, TaskId, WorkspaceId};
use crate::input::Mode;
use crate::policy::Policy;
use crate::run::Usage;
use crate::session::SessionId;
use crate::text::words;
use crate::time::Timestamp;
pub use state::State;

words! {
    /// Who goes first (DSP-2).
    pub enum Priority { Urgent => "urgent", High => "high", Normal => "normal", Low => "low" }
}

words! {
    /// Why a queued task is kept out of the search for ready work.
    pub enum Parked {
        /// Until `wake_at`.
        Timer => "timer",
        /// Until its session's live run has ended.
        Session => "session",
        /// While messages are collected, until `wake_at`.
        Quiet => "quiet",
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub id: TaskId,
    pub workspace_id: WorkspaceId,
    pub agent_id: AgentId,
    pub session_id: SessionId,
    pub state: State,
    pub queue_mode: Mode,
    pub priority: Priority,
    pub idempotency_key: String,
    /// The message and attachments that began it are this input's.
    pub first_input_id: InputId,
    pub details: Details,
    #[serde(default, skip_serializing_if = "Policy::is_default")]
    pub policy: Policy,
    /// The execution class key: the instance that it is counted against.
    pub instance_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_run_id: Option<RunId>,
    /// Waiting inputs in their order; at most `limits::INBOX_MAX` and the first one.
    pub inbox: Vec<InputId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    /// When a parked task is looked at again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<Timestamp>,
    /// The schedule that fired it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_id: Option<ScheduleId>,
    /// What its command allowed it to spend in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What its runs have used, and their turns.
    #[serde(default, skip_serializing_if = "Usage::is_nothing")]
    pub usage: Usage,
    #[serde(default)]
    pub turn_count: u64,
    /// A cancel was accepted and the live run is being stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_reason: Option<String>,
    pub accepted_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispatched_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Timestamp>,
    /// Since when it rests and has a stream that is to be trimmed some day (`retention`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rested_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What the command said besides its message: carried, and given to the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_id: Option<u64>,
    /// 0: no limit.
    pub timeout_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_system_prompt: Option<String>,
    /// `source`, `message_id`, `channel`, `tool_call_id`, `correlation_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_provenance: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spawned_by: Option<String>,
    /// The ten routing fields that were given.
    pub routing: Map<String, Value>,
    /// A folder of the worker's machine offered in place of the workspace's own (WRK-7).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
}

impl Task {
    /// It may be found by the search for ready work.
    pub fn is_ready(&self) -> bool {
        self.state == State::Queued && self.parked.is_none()
    }
}

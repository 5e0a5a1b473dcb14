//! # Inputs
//!
//! **What** One message for a task: the first command, a follow-up, a steer, an interrupt.
//!
//! **States** [`State`]; `docs/STATES.md` has the diagram.
//!
//! **Invariants** `INV-INPUT-1`: an input is durable before it is acknowledged and ends in exactly
//! one recorded [`Outcome`]. `INV-INPUT-2`: an input is taken by at most one run.
//!
//! **Failure** A turn that dies before the agent took its input leaves the input taken: the run's
//! next attempt gives it again.

pub mod edit;
pub(crate) mod inbox;
pub mod state;
pub mod submit;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{InputId, RunId, TaskId, WorkspaceId};
use crate::text::words;
use crate::time::Timestamp;
pub use state::State;

words! {
    /// How an input reaches the agent (INP-2).
    pub enum Mode {
        Queue => "queue",
        Followup => "followup",
        Collect => "collect",
        Steer => "steer",
        Interrupt => "interrupt",
    }
}

words! {
    /// What became of an input (INP-1).
    pub enum Outcome {
        /// It reached the running turn.
        Injected => "injected",
        /// It had its own turn.
        Turn => "turn",
        /// It was merged into a turn with others.
        Collected => "collected",
        /// It began a new run.
        Restarted => "restarted",
        Withdrawn => "withdrawn",
        /// Never delivered; the reason is kept beside.
        Dropped => "dropped",
    }
}

words! {
    /// What happened to an input at once (INP-3).
    pub enum Delivery {
        Direct => "direct",
        Queued => "queued",
        Interrupted => "interrupted",
        Restarted => "restarted",
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    pub id: InputId,
    pub workspace_id: WorkspaceId,
    pub task_id: TaskId,
    pub mode: Mode,
    pub message: String,
    pub attachments: Vec<Value>,
    /// Routing, provenance and the like that came with it (ACC-5).
    pub details: serde_json::Map<String, Value>,
    pub idempotency_key: String,
    pub state: State,
    /// What was answered when it came.
    pub delivery: Delivery,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The run that took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

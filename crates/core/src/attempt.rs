//! # Attempts
//!
//! **What** One try of a run. Every attempt is kept; none is overwritten.
//!
//! **States** [`Status`]; `docs/STATES.md` has the diagram.
//!
//! **Invariants** `INV-ATTEMPT-1`: an attempt that is not terminal has a lease, and only such an
//! attempt has one.

pub mod state;

use serde::{Deserialize, Serialize};

use crate::id::{AttemptId, RunId, TaskId, WorkerId};
use crate::run::outcome::Failure;
use crate::text::words;
use crate::time::Timestamp;
pub use state::Status;

words! {
    pub enum Strategy { Primary => "primary", Retry => "retry" }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub id: AttemptId,
    pub run_id: RunId,
    pub task_id: TaskId,
    /// From 1.
    pub attempt_no: u32,
    pub status: Status,
    pub strategy: Strategy,
    pub worker_id: WorkerId,
    /// The session's term under which its worker may write.
    pub term: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

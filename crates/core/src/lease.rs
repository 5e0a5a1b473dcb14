//! # Leases
//!
//! **What** The right of one worker to carry out one attempt: `(owner, term, until)`.
//!
//! The owner reads `worker_id:execution_id`. The term is the session's: it grows with every
//! lease that the session's runs are given, and every write made under a lease names it. `until`
//! is not kept here but in the worker's row: one renewal there renews all its leases.
//!
//! **The formula** A worker counts from the moment `s` at which it *sent* its last acknowledged
//! heartbeat; the server from the moment `r` at which it *handled* it; `s <= r` on any pair of
//! clocks that run at the same rate. The worker begins to stop its sandboxes at
//! `s + LEASE - FENCE` and they are gone, killed, before `s + LEASE`; the server gives the work
//! to another at `r + LEASE` and never before. So two workers never work on one session as long
//! as the clocks' rates differ by less than `FENCE / LEASE` (a quarter) less the time of a kill.
//!
//! **States** [`State`]; `docs/STATES.md` has the diagram.
//!
//! **Invariants** `INV-LEASE-1`: a write under an old term is refused (RUN-5). `INV-LEASE-2`: a
//! session has at most one lease. `INV-LEASE-3`: a lease's state is the one that its instance
//! counts it under.
//!
//! **Not here** Renewal (`worker`), what a lost lease means for the run (`run::finish`).

pub mod owner;
pub mod state;

use serde::{Deserialize, Serialize};

use crate::id::{AttemptId, IncarnationId, InputId, RunId, TaskId, WorkerId, WorkspaceId};
use crate::session::SessionId;
pub use state::State;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    pub attempt_id: AttemptId,
    pub run_id: RunId,
    pub task_id: TaskId,
    pub workspace_id: WorkspaceId,
    pub session_id: SessionId,
    pub instance_key: String,
    pub worker_id: WorkerId,
    pub incarnation: IncarnationId,
    pub term: u64,
    pub state: State,
    pub turn: Turn,
    /// Turns that the agent has ended in this execution.
    #[serde(default)]
    pub ended_turns: u32,
    /// The next log chunk expected: a smaller number was stored already.
    pub next_chunk: u64,
}

/// Where the execution stands between turns; what makes a repeated report harmless.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Turn {
    /// The input was handed over; the agent has not said that it took it.
    Given(InputId),
    /// The agent works on it.
    Open(InputId),
    /// The agent ended it, and no further turn follows in this execution.
    Ended(InputId, Ended),
}

impl Turn {
    pub fn input_id(&self) -> InputId {
        match self {
            Turn::Given(id) | Turn::Open(id) | Turn::Ended(id, _) => *id,
        }
    }
}

/// The agent's own end-of-work event, as the outcome needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub is_error: bool,
    pub reason: String,
    /// The error's text when `is_error`.
    pub text: String,
    pub waiting_for_input: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<crate::run::outcome::Failure>,
}

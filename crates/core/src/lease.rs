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
//! A worker that stands still (SIGSTOP, a starved machine) cannot begin. Its guardian, a process
//! beside it, was told `s + LEASE - GUARDIAN` with each acknowledgement, and kills then what is
//! left; `LEASE - GUARDIAN + STOP_KILL < LEASE`. In a worker that goes on, the ladder has reached
//! its own SIGKILL before, at `s + LEASE - FENCE + STOP_GENTLE + STOP_TERMINATE`. The guardian's
//! margin is smaller: for a worker that stands still the rates may differ by less than
//! `(GUARDIAN - STOP_KILL) / LEASE` (an eightieth).
//!
//! **States** [`State`]; `docs/STATES.md` has the diagram.
//!
//! **Invariants** `INV-LEASE-1`: a write under an old term is refused (RUN-5). `INV-LEASE-2`: a
//! session has at most one lease. `INV-LEASE-3`: a lease's state is the one that its instance
//! counts it under. `INV-LEASE-4`: `steers` are the inputs that its run has taken, but for
//! its turn's; `idle_until` is set while its process has no turn, and only then.
//!
//! **Not here** Renewal (`worker`), what a lost lease means for the run (`run::finish`).

pub mod owner;
pub mod state;

use serde::{Deserialize, Serialize};

use crate::id::{AttemptId, IncarnationId, InputId, RunId, TaskId, WorkerId, WorkspaceId};
use crate::run::Usage;
use crate::session::SessionId;
use crate::text::words;
use crate::time::Timestamp;
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
    /// What the agent's process can do, as its worker said at its start.
    #[serde(default)]
    pub can: Can,
    /// Inputs that are on their way into the running turn and not confirmed, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steers: Vec<InputId>,
    /// Steers that the process gave back and that wait: it is not steered with them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<InputId>,
    /// The running turn is being stopped for an input that waits (INP-2).
    #[serde(default)]
    pub interrupted: bool,
    /// Why it is being stopped, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Until when a process without a turn is kept warm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_until: Option<Timestamp>,
    /// What the running turn has used so far.
    #[serde(default, skip_serializing_if = "Usage::is_nothing")]
    pub spent: Usage,
    /// What it takes of its worker.
    #[serde(default, skip_serializing_if = "Resources::is_nothing")]
    pub resources: Resources,
    /// A turn that the agent began by itself after its last one, until it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<InputId>,
    /// Turns that the agent has ended in this execution.
    #[serde(default)]
    pub ended_turns: u32,
    /// The next log chunk expected: a smaller number was stored already.
    pub next_chunk: u64,
}

/// What an agent's process can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Can {
    /// It takes messages into a running turn.
    pub steer: bool,
    /// It can stop its turn and go on with another one.
    pub interrupt: bool,
    /// It takes further turns.
    pub keep: bool,
}

words! {
    /// Why an execution is being stopped.
    pub enum Stop {
        Cancel => "cancel",
        /// An input interrupts, and the agent can only be stopped as a whole.
        Interrupt => "interrupt",
        /// A budget is spent.
        Budget => "budget",
    }
}

/// What an execution takes of its worker, as far as its policy names it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(default)]
pub struct Resources {
    pub cpu_millis: u64,
    pub memory_bytes: u64,
    pub gpus: u64,
}

impl Resources {
    pub fn is_nothing(&self) -> bool {
        *self == Resources::default()
    }
}

/// Where the execution stands between turns; what makes a repeated report harmless.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Turn {
    /// The input was handed over; the agent has not said that it took it.
    Given(InputId),
    /// The agent works on it.
    Open(InputId),
    /// The agent ended it, and its process is kept for the next one.
    Idle(InputId, Ended),
    /// The agent ended it, and no further turn follows in this execution.
    Ended(InputId, Ended),
}

impl Lease {
    /// Its process has no turn and is kept warm: others may have its place.
    pub fn is_idle(&self) -> bool {
        matches!(self.turn, Turn::Idle(..)) && self.state == State::Held
    }
}

impl Turn {
    pub fn input_id(&self) -> InputId {
        match self {
            Turn::Given(id) | Turn::Open(id) | Turn::Idle(id, _) | Turn::Ended(id, _) => *id,
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

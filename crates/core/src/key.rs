//! What a store keeps: rows under keys, each with a version that grows with every write.

use crate::agent::Agent;
use crate::attempt::Attempt;
use crate::budget::Account;
use crate::capacity::Instance;
use crate::id::{AgentId, AttemptId, InputId, RunId, ScheduleId, TaskId, WorkerId, WorkspaceId};
use crate::idempotency::Receipt;
use crate::input::Input;
use crate::lease::Lease;
use crate::run::{Run, Snapshot};
use crate::schedule::{Missed, Schedule};
use crate::session::{Session, SessionId};
use crate::task::Task;
use crate::worker::Worker;
use crate::workspace::Workspace;

/// The name of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Workspace(WorkspaceId),
    Agent(AgentId),
    /// The agent that an `agent_key` names.
    AgentKey(WorkspaceId, String),
    Task(TaskId),
    Input(InputId),
    Run(RunId),
    Attempt(AttemptId),
    Lease(AttemptId),
    Session(WorkspaceId, SessionId),
    Instance(String),
    Worker(WorkerId),
    /// What an idempotency key was answered with.
    Receipt(WorkspaceId, AgentId, String),
    Snapshot(RunId, u32),
    Schedule(ScheduleId),
    /// Ticks of a schedule that did not fire, by number.
    Missed(ScheduleId, u32),
    /// What a workspace, or an agent of it, has spent.
    Account(WorkspaceId, Option<AgentId>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    Workspace(Workspace),
    Agent(Agent),
    AgentKey(AgentId),
    Task(Box<Task>),
    Input(Input),
    Run(Box<Run>),
    Attempt(Attempt),
    Lease(Lease),
    Session(Session),
    Instance(Instance),
    Worker(Worker),
    Receipt(Receipt),
    Snapshot(Snapshot),
    Schedule(Box<Schedule>),
    Missed(Missed),
    Account(Account),
}

/// Grows by one with every write of a row; the first is 1.
pub type Version = u64;

/// A row as it was loaded; `None` when there is none.
pub type Loaded = (Key, Option<(Version, Row)>);

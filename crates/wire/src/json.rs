//! The public JSON types.
//!
//! **What** What HTTP answers and takes, what the command line prints with `--json`, what the
//! dashboard reads. Field names and words are the original's; what Hostler adds stands beside.
//! The doc comments become the descriptions of the OpenAPI document.
//!
//! **Invariants** Requests refuse unknown fields. Points in time are RFC 3339 in UTC with
//! milliseconds ([`Time`]), except the fields that end in `_ms` and the `ts` of log records, which
//! are milliseconds since 1970 as in the original. An absent field and `null` mean the same.
//!
//! **Not here** Checking what a request says: core does, so that the first fault is named in the
//! order of the contract (ACC-2).

pub mod agent;
pub mod attempt;
pub mod budget;
mod given;
pub mod input;
pub mod instance;
pub mod list;
mod nested;
pub mod policy;
pub mod problem;
pub mod run;
pub mod schedule;
pub mod snapshot;
pub mod stream;
pub mod task;
mod time;
pub mod word;
pub mod worker;
pub mod workspace;

pub use agent::{Agent, AgentDefaults, CreateAgent, UpdateAgent};
pub use attempt::Attempt;
pub use budget::{Budget, BudgetStanding};
pub use hostler_core::id::{AgentId, AttemptId, IncarnationId, InputId, RunId, ScheduleId, TaskId};
pub use input::{EditInput, Input, InputAccepted, SendInput};
pub use instance::{Instance, UpdateInstance};
pub use list::{
    AgentList, AttemptList, InputList, InstanceList, ListRuns, ListTasks, Paged, RunList,
    SnapshotList, TaskList, WorkerList, WorkspaceList,
};
pub use policy::{Policy, PolicyRequest, Retry};
pub use problem::{Changed, Problem};
pub use run::{Interaction, PendingInput, Run, RunMoved, Usage};
pub use schedule::{
    BackfillSchedule, Backfilled, CreateSchedule, ListSchedules, MissedList, MissedTicks,
    PreviewSchedule, PreviewedTimes, Schedule, ScheduleList, TriggerSchedule, UpdateSchedule,
};
pub use snapshot::Snapshot;
pub use stream::{Record, RecordBody, TaskSnapshot};
pub use task::{
    Accepted, BatchResult, CreateTask, CreateTasks, Created, Task, TaskMoved, WaitingOn,
};
pub use time::Time;
pub use worker::Worker;
pub use workspace::{CreateWorkspace, UpdateWorkspace, Workspace};

/// An open JSON object. The schema's derive knows it by this name.
pub type Object = serde_json::Map<String, serde_json::Value>;

#[cfg(test)]
mod tests;

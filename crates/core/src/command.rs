//! Everything that can be asked of the engine, and every answer: closed enums.

use crate::agent::Agent;
use crate::agent::manage::{CreateAgent, UpdateAgent};
use crate::budget::Standing;
use crate::capacity::Instance;
use crate::capacity::manage::UpdateInstance;
use crate::id::{AttemptId, InputId, RunId, ScheduleId, TaskId, WorkerId, WorkspaceId};
use crate::input::Input;
use crate::input::edit::EditInput;
use crate::input::submit::{Submit, Target};
use crate::run::start::{Event, Verdict, Writer};
use crate::schedule::Schedule;
use crate::schedule::backfill::{Backfill, Filled};
use crate::schedule::manage::{CreateSchedule, UpdateSchedule};
use crate::schedule::preview::Preview;
use crate::task::Task;
use crate::task::accept::{Accept, Accepted};
use crate::task::cancel::Cancelled;
use crate::worker::append::{Chunk, ChunkAck};
use crate::worker::beat::Beat;
use crate::worker::hello::{Hello, Orders};
use crate::workspace::Workspace;
use crate::workspace::manage::{CreateWorkspace, UpdateWorkspace};

#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Accept { workspace: WorkspaceId, accept: Box<Accept> },
    Submit { workspace: WorkspaceId, target: Target, submit: Box<Submit> },
    EditInput { workspace: WorkspaceId, input: InputId, edit: Box<EditInput> },
    WithdrawInput { workspace: WorkspaceId, input: InputId },
    CancelTask { workspace: WorkspaceId, task: TaskId },
    CancelRun { workspace: WorkspaceId, run: RunId },
    ArchiveTask { workspace: WorkspaceId, task: TaskId },
    CreateAgent { workspace: WorkspaceId, create: Box<CreateAgent> },
    UpdateAgent { workspace: WorkspaceId, agent: String, update: Box<UpdateAgent> },
    DeleteAgent { workspace: WorkspaceId, agent: String },
    CreateSchedule { workspace: WorkspaceId, create: Box<CreateSchedule> },
    UpdateSchedule { workspace: WorkspaceId, id: ScheduleId, update: Box<UpdateSchedule> },
    DeleteSchedule { workspace: WorkspaceId, id: ScheduleId },
    Trigger { workspace: WorkspaceId, id: ScheduleId, idempotency_key: Option<String> },
    Backfill { workspace: WorkspaceId, id: ScheduleId, backfill: Backfill },
    Preview(Box<Preview>),
    CreateWorkspace { create: Box<CreateWorkspace> },
    UpdateWorkspace { workspace: WorkspaceId, update: Box<UpdateWorkspace> },
    UpdateInstance { workspace: WorkspaceId, key: String, update: Box<UpdateInstance> },
    ResetInstance { workspace: WorkspaceId, key: String },
    ShowBudget { workspace: WorkspaceId, agent: Option<String> },
    ResetBudget { workspace: WorkspaceId, agent: Option<String> },

    // From workers.
    Hello(Box<Hello>),
    Beat(Box<Beat>),
    Report { writer: Writer, events: Vec<Event> },
    Append { writer: Writer, chunks: Vec<Chunk> },
    Goodbye(Writer),

    // From the engine to itself.
    Claim(TaskId),
    Wake(TaskId),
    CloseIdle(AttemptId),
    Reopen(String),
    Fire(ScheduleId),
    Expire { worker: WorkerId, renewal: u64 },
    Trim { task: TaskId, to_seq: u64 },
    Forget { task: TaskId, emptied: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Accepted(Box<Accepted>),
    Cancelled(Box<Cancelled>),
    Task(Box<Task>),
    Input(Box<Input>),
    Agent(Box<Agent>),
    Schedule(Box<Schedule>),
    Backfilled(Vec<Filled>),
    /// Of a preview.
    Times(Vec<String>),
    Workspace(Box<Workspace>),
    Instance(Box<Instance>),
    Standing(Box<Standing>),
    Orders(Orders),
    /// A heartbeat of a worker that is not known: it must say hello with a new incarnation.
    UnknownWorker,
    Verdicts(Vec<Verdict>),
    ChunkAcks(Vec<ChunkAck>),
    Done,
}

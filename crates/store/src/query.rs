//! Lists and stream pages, as transports ask for them.

use hostler_core::id::{AgentId, InputId, RunId, ScheduleId, TaskId, WorkerId, WorkspaceId};
use hostler_core::key::Row;
use hostler_core::run;
use hostler_core::session::SessionId;
use hostler_core::stream::Record;
use hostler_core::task;
use hostler_core::time::Timestamp;
use uuid::Uuid;

/// A list. Ids are UUIDv7, so "newest first" is the order of ids downwards, and the id of the
/// last row is the cursor: it neither skips nor repeats under inserts (API-2).
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// Not deleted, by `agent_key` upwards; the cursor is not used and all are given.
    Agents {
        workspace: WorkspaceId,
    },
    /// Newest first.
    Tasks {
        workspace: WorkspaceId,
        filter: TaskFilter,
        after: Option<Uuid>,
        limit: usize,
    },
    /// Newest first.
    Runs {
        workspace: WorkspaceId,
        filter: RunFilter,
        after: Option<Uuid>,
        limit: usize,
    },
    /// By number upwards.
    Attempts {
        run: RunId,
    },
    /// By `seq` upwards, from after `after_seq`.
    Snapshots {
        run: RunId,
        after_seq: u32,
        limit: usize,
    },
    /// In the order of their coming, from after an input of the task; after any other id there
    /// are none.
    Inputs {
        task: TaskId,
        after: Option<InputId>,
        limit: usize,
    },
    /// Not deleted, newest first.
    Schedules {
        workspace: WorkspaceId,
        agent: Option<AgentId>,
        after: Option<Uuid>,
        limit: usize,
    },
    /// The last one first, from before the number `before`.
    Missed {
        schedule: ScheduleId,
        before: Option<u32>,
        limit: usize,
    },
    /// Newest first, from after an instance of the workspace; after any other key there are none.
    Instances {
        workspace: WorkspaceId,
        after: Option<String>,
        limit: usize,
    },
    /// By id upwards, from after one; so are those that follow.
    Workers {
        after: Option<WorkerId>,
        limit: usize,
    },
    Workspaces {
        after: Option<WorkspaceId>,
        limit: usize,
    },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskFilter {
    pub agent: Option<AgentId>,
    /// Any of these; empty: all.
    pub states: Vec<task::State>,
    pub session: Option<SessionId>,
    /// Both inclusive.
    pub created_after: Option<Timestamp>,
    pub created_before: Option<Timestamp>,
    /// Archived tasks are left out without it.
    pub include_archived: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFilter {
    pub agent: Option<AgentId>,
    pub task: Option<TaskId>,
    pub statuses: Vec<run::Status>,
    pub session: Option<SessionId>,
    pub created_after: Option<Timestamp>,
    pub created_before: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub rows: Vec<Row>,
    /// There are more rows after the last one.
    pub has_more: bool,
}

/// A piece of a task's stream: what stands above `after`, and the gap that `after` lies in.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRange {
    pub task: TaskId,
    pub after: u64,
    pub limit: usize,
    /// About how many bytes of data; the first record is given whatever its size.
    pub bytes: usize,
}

/// A record with its place in the stream. A gap stands at its `from_seq`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequenced {
    pub seq: u64,
    pub record: Record,
}

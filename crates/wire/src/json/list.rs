//! Lists and what they are filtered by.
//!
//! **Invariants** A cursor neither skips nor repeats under inserts (API-2). It is opaque.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::word::schema;
use super::{
    Agent, Attempt, Input, Instance, Run, Snapshot, Task, TaskId, Time, Worker, Workspace,
};

macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident { $rows:ident: $row:ident }),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
        pub struct $name {
            pub $rows: Vec<$row>,
            /// Where the next page starts; `null` on the last one.
            #[schema(required = true)]
            pub next_cursor: Option<String>,
            /// There are rows after these.
            pub has_more: bool,
        }
    )*};
}

lists! {
    /// A page of agents, by key.
    AgentList { agents: Agent },
    /// The attempts of a run, in their order.
    AttemptList { attempts: Attempt },
    /// The inputs of a task, in the order of their coming.
    InputList { inputs: Input },
    /// A page of instances, by key.
    InstanceList { instances: Instance },
    /// A page of runs, newest first.
    RunList { runs: Run },
    /// The snapshots of a run, by `seq`.
    SnapshotList { snapshots: Snapshot },
    /// A page of tasks, newest first.
    TaskList { tasks: Task },
    /// A page of workers, by id.
    WorkerList { workers: Worker },
    /// A page of workspaces, by number.
    WorkspaceList { workspaces: Workspace },
}

/// Which page of a list without a filter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paged {
    /// Rows of the page: 1 to 200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which tasks are listed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListTasks {
    /// Rows of the page: 1 to 200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// An agent's id or key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// States with commas between them.
    #[param(example = "queued,running")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Created then or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Time>,
    /// Created then or earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Time>,
    /// `true` lists archived tasks as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_archived: Option<bool>,
}

/// Which runs are listed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListRuns {
    /// Rows of the page: 1 to 200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// An agent's id or key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    #[param(value_type = Option<schema::Id>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Statuses with commas between them.
    #[param(example = "accepted,running")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Created then or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Time>,
    /// Created then or earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Time>,
}

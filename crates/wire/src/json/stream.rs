//! The stream of a task, in the shapes of Hostler and of the original.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::word::{self, schema};
use super::{AttemptId, Interaction, Object, PendingInput, Run, RunId, Task, TaskId};

/// The name of the server-sent event that comes first.
pub const EVENT_SNAPSHOT: &str = "snapshot";
/// The name of the server-sent event of a log line or a lifecycle event.
pub const EVENT_RECORD: &str = "record";
/// The name of the server-sent event of a gap.
pub const EVENT_GAP: &str = "gap";

/// One record of a task's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Record {
    /// From 1, without holes, across runs and attempts. A gap stands at its `from_seq`.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub ts: i64,
    #[schema(value_type = Option<schema::Id>, required = true)]
    pub run_id: Option<RunId>,
    #[schema(value_type = Option<schema::Id>, required = true)]
    pub attempt_id: Option<AttemptId>,
    #[serde(flatten)]
    pub body: RecordBody,
}

/// What a record says, by its `kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RecordBody {
    /// A line of the agent, of its program, or of a person.
    Log {
        #[schema(value_type = schema::Channel)]
        stream: word::Channel,
        data: String,
        /// `text`, `json`, `user_input`, `task_prompt`, or the `type` of a JSON line.
        chunk_type: String,
        /// The JSON line as an object.
        #[schema(required = true)]
        metadata: Option<Object>,
    },
    /// Something that happened to the task.
    Event { event_type: String, payload: Object },
    /// The records `from_seq` to `to_seq` are gone.
    Gap { from_seq: u64, to_seq: u64 },
}

impl Record {
    /// The cursor after this record: also the id of its server-sent event. After a gap it is the
    /// gap's end.
    pub fn cursor(&self) -> u64 {
        match self.body {
            RecordBody::Gap { to_seq, .. } => to_seq.max(self.seq),
            RecordBody::Log { .. } | RecordBody::Event { .. } => self.seq,
        }
    }

    /// The name of its server-sent event.
    pub fn event_name(&self) -> &'static str {
        match self.body {
            RecordBody::Gap { .. } => EVENT_GAP,
            RecordBody::Log { .. } | RecordBody::Event { .. } => EVENT_RECORD,
        }
    }
}

/// The first server-sent event of a stream: where the task stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskSnapshot {
    pub task: Task,
    /// The run that it targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// The last record's `seq` at that moment; 0 when there is none.
    pub last_seq: u64,
}

/// A page of a task's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordPage {
    pub records: Vec<Record>,
    /// The `seq` after which the next page starts: the given one when nothing came.
    pub next_cursor: u64,
    /// There are records after these.
    pub has_more: bool,
}

/// A log line in the shape of the original.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskLogEntry {
    /// The execution's id; the task's for lines that belong to none.
    pub task_id: String,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub seq_num: u64,
    pub event_id: String,
    #[schema(value_type = schema::Channel)]
    pub stream: word::Channel,
    pub data: String,
    pub chunk_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
}

/// A page of log lines in the shape of the original.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogPage {
    pub logs: Vec<TaskLogEntry>,
    pub next_cursor: i64,
}

/// A lifecycle event in the shape of the original.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunEvent {
    #[schema(value_type = Option<schema::Id>, required = true)]
    pub run_id: Option<RunId>,
    pub event_type: String,
    /// Milliseconds since 1970.
    pub ts: i64,
    pub payload: Object,
}

/// A page of the events of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunEventList {
    pub events: Vec<RunEvent>,
    /// The `seq` after which the next page starts.
    pub next_cursor: u64,
    /// There are records of the task's stream after these, of this run or of another.
    pub has_more: bool,
}

/// What is new of a task since two cursors, in the shape of the original.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskEventBatch {
    #[schema(value_type = schema::Id)]
    pub task_id: TaskId,
    #[schema(value_type = Option<schema::Id>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interaction: Option<Interaction>,
    pub logs: Vec<TaskLogEntry>,
    pub run_events: Vec<RunEvent>,
    pub pending_inputs: Vec<PendingInput>,
    pub next_log_cursor: i64,
    pub next_run_event_cursor: i64,
}

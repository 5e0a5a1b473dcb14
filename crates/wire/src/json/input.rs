//! Inputs: messages for a task.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::word::{self, schema};
use super::{InputId, Object, RunId, Task, TaskId, Time};

/// One message for a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Input {
    #[schema(value_type = schema::Id)]
    pub id: InputId,
    #[schema(value_type = schema::Id)]
    pub task_id: TaskId,
    /// The run that took it.
    #[schema(value_type = Option<schema::Id>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    #[schema(value_type = schema::QueueMode)]
    pub queue_mode: word::QueueMode,
    pub message: String,
    #[schema(value_type = Vec<Object>)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Value>,
    /// Routing, provenance and the like that came with it.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub details: Object,
    #[schema(value_type = schema::InputState)]
    pub state: word::InputState,
    /// Its place among the task's inputs that wait, from 0, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
    /// What was answered when it came.
    #[schema(value_type = schema::Delivery)]
    pub delivery: word::Delivery,
    /// What became of it: once, when `state` is `settled`.
    #[schema(value_type = Option<schema::InputOutcome>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<word::InputOutcome>,
    /// Why it was dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub idempotency_key: String,
    pub created_at: Time,
    pub updated_at: Time,
}

/// A message for a task that is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendInput {
    /// At most 1 MiB.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 1048576)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `followup` (when blank or absent) and `queue`: a turn of its own, later. `collect`: merged
    /// with others like it into one turn, 2 s after the last of them. `steer`: into the running
    /// turn if the agent can, else the next turn (`steer-backlog` is the same). `interrupt`: stops
    /// the running turn, then runs.
    #[schema(example = "steer")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_mode: Option<String>,
    /// The same key with the same body is answered as before, with another body refused; at most
    /// 256 bytes. It may come as the header `Idempotency-Key` instead.
    #[schema(max_length = 256)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Refused when the live run is another one.
    #[schema(value_type = Option<schema::Id>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_run_id: Option<RunId>,
    /// At most 32, and 10 MiB in all as JSON text.
    #[schema(value_type = Option<Vec<Object>>, max_items = 32)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<Value>>,
}

/// What is to change of an input that waits; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditInput {
    /// At most 1 MiB.
    #[schema(min_length = 1, max_length = 1048576)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// At most 32, and 10 MiB in all as JSON text.
    #[schema(value_type = Option<Vec<Object>>, max_items = 32)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<Value>>,
    /// Its place among the task's waiting inputs, from 0; beyond the end is the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
}

/// The answer to an input: it is durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InputAccepted {
    /// Always `true`.
    pub accepted: bool,
    /// The same key had the same body before: nothing was done.
    pub idempotent_hit: bool,
    pub task: Task,
    /// The task's live run, or its last one; `null` before there is one.
    #[schema(value_type = Option<schema::Id>, required = true)]
    pub run_id: Option<RunId>,
    /// What happened to the input at once.
    #[schema(value_type = schema::Delivery)]
    pub outcome: word::Delivery,
    pub input: Input,
}

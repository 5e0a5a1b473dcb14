//! Tasks, and the command that makes one.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::word::{self, schema};
use super::{
    AgentId, Budget, Input, Object, Policy, PolicyRequest, Problem, RunId, TaskId, Time, Usage,
    nested,
};

/// One durable request, and the conversation that grows from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    #[schema(value_type = schema::Id)]
    pub id: TaskId,
    pub workspace_id: u64,
    #[schema(value_type = schema::Id)]
    pub agent_id: AgentId,
    pub session_id: String,
    #[schema(value_type = schema::QueueMode)]
    pub queue_mode: word::QueueMode,
    #[schema(value_type = schema::TaskState)]
    pub state: word::TaskState,
    #[schema(value_type = schema::Priority)]
    pub priority: word::Priority,
    pub idempotency_key: String,
    pub payload_json: Payload,
    /// The routing fields that were given.
    pub routing_json: Object,
    /// The execution class key: the instance that it is counted against.
    pub instance_key: String,
    #[schema(value_type = Option<schema::Id>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_task_id: Option<TaskId>,
    /// Its live run, or its last one.
    #[schema(value_type = Option<schema::Id>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_run_id: Option<RunId>,
    /// Why it waits, while it is queued; otherwise `null`.
    #[schema(required = true)]
    pub waiting_on: Option<WaitingOn>,
    /// Inputs that wait, the first message of a task that has not started among them.
    pub pending_inputs: usize,
    /// What it may spend in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What its runs have used together.
    pub usage_json: Usage,
    /// Turns that have ended, of all its runs.
    pub turn_count: u64,
    /// A cancel was accepted and the live run is being stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_reason: Option<String>,
    pub accepted_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispatched_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// What the command said; only what is present.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Payload {
    /// Absent where the list that it stands in leaves it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub session_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_key: Option<String>,
    #[schema(value_type = schema::Id)]
    pub agent_id: AgentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_id: Option<u64>,
    /// Working time of a run, in milliseconds; 0: no limit.
    pub timeout_ms: u64,
    /// The effective policy.
    pub policy: Policy,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_system_prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_provenance: Option<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver: Option<bool>,
    #[schema(value_type = Vec<Object>)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Value>,
    pub instance_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spawned_by: Option<String>,
    /// The folder of the worker's machine that was offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
}

/// Why a queued task may not start yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingOn {
    #[schema(value_type = schema::WaitCode)]
    pub code: word::WaitCode,
    /// The same in words, with what is missing.
    pub message: String,
}

/// A command for an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTask {
    /// What the agent is to do; at most 1 MiB.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 1048576)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The agent's id or its key.
    #[schema(value_type = String, required = true, min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The hook that it came from: such a command always makes a task of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_id: Option<u64>,
    /// The conversation; a new UUID when absent. A command for a session that this agent has
    /// already becomes an input of its task. At most 256 bytes.
    #[schema(max_length = 256)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The caller's own name of the conversation; carried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_key: Option<String>,
    /// Send the result to `routing` when it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver: Option<bool>,
    /// Working time of each attempt of a run in milliseconds; 0: no limit; 600 000 when absent; at
    /// most 30 days.
    #[schema(minimum = 0, maximum = 2592000000i64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i64>,
    #[serde(default, deserialize_with = "nested::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRequest>,
    /// Tasks of one agent in different lanes are counted apart; at most 256 bytes.
    #[schema(max_length = 256)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// Put after the agent's system prompt; at most 256 KiB.
    #[schema(max_length = 262144)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_system_prompt: Option<String>,
    #[serde(default, deserialize_with = "nested::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_provenance: Option<Provenance>,
    #[serde(default, deserialize_with = "nested::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// At most 32, and 10 MiB in all as JSON text.
    #[schema(value_type = Option<Vec<Object>>, max_items = 32)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<Value>>,
    /// The same key with the same body is answered as before, with another body refused; a new
    /// UUID when absent; at most 256 bytes. It may come as the header `Idempotency-Key` instead.
    #[schema(max_length = 256)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// For people; at most 4 KiB.
    #[schema(max_length = 4096)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Who or what made it; at most 4 KiB.
    #[schema(max_length = 4096)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spawned_by: Option<String>,
    /// `urgent`, `high`, `normal` (when absent) or `low`.
    #[schema(example = "normal")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// A folder of the worker's machine offered in place of the workspace's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// What the task may spend in all, with `max_usd`, `max_tokens` and `max_turns`.
    #[schema(value_type = Option<Budget>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Object>,
}

/// Where a message came from; carried, and given to the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

/// Where answers go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Routing {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_space: Option<String>,
}

/// The answer to a command: the task is durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Always `true`.
    pub accepted: bool,
    /// The same key had the same body before: nothing was done.
    pub idempotent_hit: bool,
    pub task: Task,
    /// The task's live run, or its last one; `null` before there is one.
    #[schema(value_type = Option<schema::Id>, required = true)]
    pub run_id: Option<RunId>,
    /// What happened at once, when the command became an input of a task that was there.
    #[schema(value_type = Option<schema::Delivery>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<word::Delivery>,
    /// The input that the command became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
}

/// Many commands, each with its own outcome.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTasks {
    // Each is read by itself: `CreateTask::read`.
    /// At most 1 000. A command that cannot be read spoils none of the others.
    #[schema(value_type = Vec<CreateTask>, max_items = 1000)]
    pub commands: Vec<Value>,
}

/// The answers to many commands, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Created {
    pub results: Vec<BatchResult>,
}

/// The answer to one of many commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum BatchResult {
    Accepted(Box<BatchAccepted>),
    Refused(Problem),
}

/// A command of a batch that was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchAccepted {
    /// The HTTP status that the command by itself would have had: 202 or 200.
    pub status: u16,
    #[serde(flatten)]
    pub accepted: Accepted,
}

/// The answer to a cancel or an archive: it is durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskMoved {
    /// `cancelled` or `archived`. A run that is live is still being stopped: the task's `state`
    /// says when it is over.
    #[schema(example = "cancelled")]
    pub status: String,
    pub task: Task,
}

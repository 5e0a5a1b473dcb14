//! Runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::word::{self, schema};
use super::{AgentId, AttemptId, InputId, Object, Retry, RunId, TaskId, Time};

/// One materialisation of a task on its session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    #[schema(value_type = schema::Id)]
    pub id: RunId,
    pub workspace_id: u64,
    #[schema(value_type = schema::Id)]
    pub agent_id: AgentId,
    #[schema(value_type = schema::Id)]
    pub origin_task_id: TaskId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_id: Option<u64>,
    #[schema(value_type = schema::RunStatus)]
    pub status: word::RunStatus,
    pub session_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[schema(value_type = schema::Host)]
    pub exec_host: word::Host,
    #[schema(value_type = schema::Security)]
    pub exec_security: word::Security,
    #[schema(value_type = schema::Ask)]
    pub exec_ask: word::Ask,
    /// The runtime that the policy asks for.
    #[schema(value_type = schema::RuntimeType)]
    pub runtime_type: word::RuntimeType,
    #[schema(value_type = schema::WorkspaceAccess)]
    pub workspace_access: word::WorkspaceAccess,
    pub network_enabled: bool,
    pub interactive: bool,
    /// `cpu` (millicores), `memory` (bytes), `gpu` (count).
    pub resources: Object,
    pub retry: Retry,
    /// Where each field of the policy came from.
    #[schema(value_type = BTreeMap<String, schema::Source>)]
    pub policy_sources: BTreeMap<String, word::Source>,
    /// The runtime that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_used: Option<String>,
    /// Why it is not the one asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_note: Option<String>,
    /// The instance that it is counted against.
    pub instance_key: String,
    /// Working time, in milliseconds; 0: no limit.
    pub timeout_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// The worker that carries it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_by_worker_id: Option<String>,
    /// When that worker was last heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_heartbeat_at: Option<Time>,
    /// When the run goes to another worker unless that one is heard of again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_expires_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The class of the failure.
    #[schema(value_type = Option<schema::Failure>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<word::Failure>,
    /// The final text of the last turn, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The last turn ended with a question.
    pub waiting_for_input: bool,
    pub attempt_count: u32,
    pub turn_count: u32,
    /// How many snapshots it has: a counter, not a time.
    pub snapshot_ts: u32,
    pub usage_json: Usage,
    pub delivery_json: Object,
    pub created_at: Time,
    pub updated_at: Time,
}

/// Tokens, cost and turns of a run so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    /// US dollars.
    pub total_cost_usd: f64,
    pub turns: u32,
}

/// Whether a run's agent works or waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Interaction {
    pub state: InteractionState,
    #[schema(value_type = Option<schema::Id>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_execution_id: Option<AttemptId>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<i64>,
    /// The messages that wait, in their order.
    pub pending_inputs: Vec<PendingInput>,
    pub pending_count: usize,
}

/// What a run's agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InteractionState {
    Working,
    /// It asked something.
    WaitingForInput,
    /// The run is over.
    Closed,
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PendingInput {
    #[schema(value_type = schema::Id)]
    pub id: InputId,
    pub message: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// The answer to a cancel of a run: it is durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunMoved {
    /// `cancelled`. A run that is live is still being stopped: its own `status` says when it is
    /// over.
    #[schema(example = "cancelled")]
    pub status: String,
    pub run: Run,
}

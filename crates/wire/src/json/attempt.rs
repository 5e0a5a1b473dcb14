//! Attempts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::word::{self, schema};
use super::{AttemptId, RunId, TaskId, Time};

/// One try of a run; every attempt is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    #[schema(value_type = schema::Id)]
    pub id: AttemptId,
    #[schema(value_type = schema::Id)]
    pub run_id: RunId,
    #[schema(value_type = schema::Id)]
    pub task_id: TaskId,
    /// From 1.
    pub attempt_no: u32,
    #[schema(value_type = schema::AttemptStatus)]
    pub status: word::AttemptStatus,
    #[schema(value_type = schema::Strategy)]
    pub strategy: word::Strategy,
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
    /// The runtime that was used, as the worker named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_used: Option<String>,
    /// The attempt's own id: an attempt has exactly one execution.
    #[schema(value_type = schema::Id)]
    pub execution_id: AttemptId,
    pub worker_id: String,
    /// The term of the lease under which its worker writes.
    pub term: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[schema(value_type = Option<schema::Failure>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<word::Failure>,
    pub created_at: Time,
    pub updated_at: Time,
}

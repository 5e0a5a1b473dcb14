//! Instances.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::word::{self, schema};
use super::{AgentId, Time};

/// The concurrency and health of one execution class: agent, lane and policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// The execution class key.
    #[schema(example = "execclass_7c1f9e1b0f1a5d0e8f0a4ad0c6f2d7a9b3c4d5e6")]
    pub instance_key: String,
    pub workspace_id: u64,
    #[schema(value_type = schema::Id)]
    pub agent_id: AgentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    #[schema(value_type = schema::RuntimeType)]
    pub runtime_type: word::RuntimeType,
    #[schema(value_type = schema::Health)]
    pub status: word::Health,
    /// How many of its runs may be live at once.
    pub concurrency: u32,
    /// Failures in a row that degrade it.
    pub failed_attempt_threshold: u32,
    /// How many more of its runs may start; 0 while it is degraded.
    pub desired_dispatch_target: u32,
    /// Queued tasks, parked ones included.
    pub queued_tasks: u32,
    /// Queued tasks that wait for a time or for their session.
    pub parked_tasks: u32,
    pub pending_attempts: u32,
    pub running_attempts: u32,
    pub stopping_attempts: u32,
    pub created_at: Time,
    pub updated_at: Time,
}

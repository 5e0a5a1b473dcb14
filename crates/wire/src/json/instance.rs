//! Instances.

use std::collections::BTreeMap;

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
    /// The pool of its workers, from the agent's config.
    pub pool: String,
    /// What its workers are labelled with, from the agent's config.
    pub labels: BTreeMap<String, String>,
    /// What each of its runs takes of a worker, as far as the policy names it.
    pub resources: Taken,
    #[schema(value_type = schema::Health)]
    pub status: word::Health,
    /// How many of its runs may be live at once.
    pub concurrency: u32,
    /// A person has set it: the agent's config does not change it.
    pub concurrency_is_own: bool,
    /// Its share among the classes of its workspace.
    pub weight: u32,
    /// Failures in a row that degrade it.
    pub failed_attempt_threshold: u32,
    /// Failures since the last success.
    pub failed_attempts: u32,
    /// When a degraded one tries a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_at: Option<Time>,
    /// Until when a spent budget holds it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Time>,
    /// Which budget that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// How many more of its runs may start; 0 while it is degraded.
    pub desired_dispatch_target: u32,
    /// Queued tasks, parked ones included.
    pub queued_tasks: u32,
    /// Queued tasks that wait for a time or for their session.
    pub parked_tasks: u32,
    /// Queued tasks that are not parked.
    pub ready_tasks: ByPriority,
    pub pending_attempts: u32,
    pub running_attempts: u32,
    pub stopping_attempts: u32,
    /// Running ones whose agent has no turn and is kept warm.
    pub idle_attempts: u32,
    /// The last changes of its status, the newest last; at most 20.
    pub history: Vec<StatusChange>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// What is taken of a worker; 0: nothing that is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Taken {
    /// Thousandths of a core.
    pub cpu_millis: u64,
    pub memory_bytes: u64,
    pub gpus: u64,
}

/// A number for each priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ByPriority {
    pub urgent: u32,
    pub high: u32,
    pub normal: u32,
    pub low: u32,
}

/// A change of an instance's status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusChange {
    pub at: Time,
    #[schema(value_type = schema::Health)]
    pub from: word::Health,
    #[schema(value_type = schema::Health)]
    pub to: word::Health,
    pub reason: String,
}

/// What is to change of an instance; absent fields stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateInstance {
    /// 1 to 10 000; `null`: what the agent's config says counts again.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10000)]
    #[serde(default, with = "super::given", skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Option<i64>>,
    /// 1 to 1 000.
    #[schema(minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_attempt_threshold: Option<i64>,
    /// 1 to 1 000.
    #[schema(minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
}

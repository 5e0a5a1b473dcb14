//! Agents.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::word::schema::Id;
use super::{AgentId, Object, Time, nested};

/// A configured agent of a workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    #[schema(value_type = Id)]
    pub id: AgentId,
    /// The number of its workspace.
    pub workspace_id: u64,
    /// Unique in its workspace; also accepted wherever an agent's id is.
    pub agent_key: String,
    pub name: String,
    /// `runner`, `provider`, `model`, `system_prompt`, `workspace_dir`, `max_concurrency`, `pool`
    /// and `labels` of its workers, `budget` (`max_usd`, `max_tokens`, `max_turns`, `period`) and
    /// others; keys that Hostler does not know are kept. Secrets are shown as `[REDACTED]`.
    pub config_json: Object,
    /// An agent that is not active accepts no commands.
    pub active: bool,
    pub created_at: Time,
    pub updated_at: Time,
}

/// A new agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAgent {
    /// It names a directory: at most 128 bytes.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 128)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_key: Option<String>,
    /// For people: at most 4 KiB.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 4096)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Laid over the default config; at most 256 KiB.
    #[serde(default, deserialize_with = "nested::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Object>,
    /// `true` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
}

/// What is to change of an agent; absent fields stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAgent {
    /// Not blank; at most 4 KiB.
    #[schema(min_length = 1, max_length = 4096)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Laid over the stored config, key by key; `null` removes a key.
    #[serde(default, deserialize_with = "nested::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
}

/// The config that a new agent starts from: the object itself, as in the original.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct AgentDefaults(pub Object);

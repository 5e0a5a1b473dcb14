//! Policies: as asked for, and as effective.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::word::{self, schema};
use super::{Object, nested};

/// How a run is executed: every field has its effective value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    #[schema(value_type = schema::Host)]
    pub host: word::Host,
    #[schema(value_type = schema::Security)]
    pub security: word::Security,
    #[schema(value_type = schema::Ask)]
    pub ask: word::Ask,
    #[schema(value_type = schema::RuntimeType)]
    pub runtime_type: word::RuntimeType,
    #[schema(value_type = schema::WorkspaceAccess)]
    pub workspace_access: word::WorkspaceAccess,
    pub network_enabled: bool,
    pub interactive: bool,
    /// `cpu` (millicores), `memory` (bytes), `gpu` (count), as they were given.
    pub resources: Object,
    pub retry: Retry,
}

/// How often a run is tried, and how long after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Retry {
    /// Attempts in all.
    pub max_attempts: u32,
    /// Milliseconds from a failure to the next attempt.
    pub delay_ms: u64,
}

/// A policy as a command asks for it: an absent field means the default, also for booleans.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyRequest {
    /// `sandbox`, also when absent.
    #[schema(example = "sandbox")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// `deny`, `allowlist` (when absent) or `full`.
    #[schema(example = "allowlist")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security: Option<String>,
    /// `off` (when absent), `on-miss` or `always`.
    #[schema(example = "off")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<String>,
    /// `gvisor` (when absent) or `runc`.
    #[schema(example = "gvisor")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_type: Option<String>,
    /// `none`, `ro` or `rw` (when absent).
    #[schema(example = "rw")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_access: Option<String>,
    /// `true` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_enabled: Option<bool>,
    /// `false` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interactive: Option<bool>,
    /// What a run may use; absent: the worker's defaults.
    #[schema(value_type = Option<Resources>)]
    #[serde(default, deserialize_with = "nested::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Object>,
    #[serde(default, deserialize_with = "nested::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryRequest>,
}

/// How often a run is tried; absent fields mean the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// Attempts in all: 1 to 100, 2 when absent.
    #[schema(minimum = 1, maximum = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i64>,
    /// Milliseconds from a failure to the next attempt: 0 (when absent) to a day.
    #[schema(minimum = 0, maximum = 86400000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<i64>,
}

// The values themselves stay as they came, since the execution class key formats numbers as they
// were given (POL-2).
/// What a run may use.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is a schema only")]
pub struct Resources {
    /// Thousandths of a core: 0 to 32 000.
    #[schema(value_type = Option<f64>, nullable = false, minimum = 0, maximum = 32000)]
    cpu: Option<Value>,
    /// Bytes: 0 to 128 GiB.
    #[schema(value_type = Option<f64>, nullable = false, minimum = 0, maximum = 137438953472i64)]
    memory: Option<Value>,
    /// Count: 0 to 8.
    #[schema(value_type = Option<f64>, nullable = false, minimum = 0, maximum = 8)]
    gpu: Option<Value>,
}

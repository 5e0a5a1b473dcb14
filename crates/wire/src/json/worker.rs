//! Workers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::instance::Taken;
use super::word::{self, schema};
use super::{IncarnationId, Time};

/// A process that carries out executions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Worker {
    /// Its own name, stable across its restarts.
    pub id: String,
    /// This start of its process.
    #[schema(value_type = schema::Id)]
    pub incarnation: IncarnationId,
    #[schema(value_type = schema::WorkerStatus)]
    pub status: word::WorkerStatus,
    pub pool: String,
    /// Runtimes whose probe passed there: `gvisor`, `runc`, `bubblewrap`.
    pub runtimes: Vec<String>,
    /// Runners whose program is there: `claude_code`, `command`, `scripted` …
    pub runners: Vec<String>,
    /// Thousandths of a core.
    pub cpu_millis: u32,
    pub memory_bytes: u64,
    pub gpus: u32,
    pub labels: BTreeMap<String, String>,
    pub version: String,
    /// Executions given to it in all.
    pub grant_count: u64,
    /// What its executions take of what it offers.
    pub reserved: Taken,
    /// The end of its leases unless it renews.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Time>,
    pub connected_at: Time,
    pub updated_at: Time,
}

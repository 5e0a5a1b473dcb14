//! Snapshots: the changes of a run's status.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::word::{self, schema};
use super::{Object, RunId, Time};

/// The status of a run at one of its changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// The same number as `seq`: unique within its run.
    pub id: u32,
    #[schema(value_type = schema::Id)]
    pub run_id: RunId,
    /// From 1, without holes.
    pub seq: u32,
    #[schema(value_type = schema::RunStatus)]
    pub status: word::RunStatus,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at_ms: Option<i64>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Milliseconds since 1970.
    pub ts: i64,
    /// `event` says what happened; more by its kind.
    pub payload_json: Object,
    pub created_at: Time,
}

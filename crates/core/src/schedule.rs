//! # Schedules
//!
//! **What** A cron rule that makes tasks (SCH-1 to SCH-5).

pub mod cron;
pub mod fire;
pub mod next;

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, ScheduleId, TaskId, WorkspaceId};
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub id: ScheduleId,
    pub workspace_id: WorkspaceId,
    pub agent_id: AgentId,
    pub cron_expr: String,
    pub timezone: String,
    pub prompt: String,
    pub active: bool,
    /// The next tick, before jitter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<Timestamp>,
    /// When it is due: the next tick with its jitter. `None` while nothing is to fire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fire_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<Timestamp>,
    /// Fired tasks that have not come to rest.
    pub open_tasks: Vec<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Ticks that did not fire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Missed {
    pub schedule_id: ScheduleId,
    /// From 1.
    pub seq: u32,
    pub from: Timestamp,
    pub to: Timestamp,
    pub count: u64,
    pub reason: String,
    pub at: Timestamp,
}

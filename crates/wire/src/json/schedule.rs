//! Schedules: rules that make tasks.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::word::{self, schema};
use super::{AgentId, Policy, PolicyRequest, ScheduleId, TaskId, Time};

/// A cron rule that makes tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    #[schema(value_type = schema::Id)]
    pub id: ScheduleId,
    /// The same as `id`.
    #[schema(value_type = schema::Id)]
    pub external_id: ScheduleId,
    pub workspace_id: u64,
    #[schema(value_type = schema::Id)]
    pub agent_id: AgentId,
    pub agent_name: String,
    /// Five fields: minute, hour, day of the month, month, day of the week.
    #[schema(example = "0 9 * * mon-fri")]
    pub cron_expr: String,
    /// An IANA name.
    #[schema(example = "Europe/Vienna")]
    pub timezone: String,
    /// The message of the tasks that it makes.
    pub prompt: String,
    /// Skills that the agent is told, after its system prompt, to read before it begins.
    pub skill_paths: Vec<String>,
    pub policy: Policy,
    #[schema(value_type = schema::Priority)]
    pub priority: word::Priority,
    pub timeout_ms: u64,
    #[schema(value_type = schema::Overlap)]
    pub overlap: word::Overlap,
    pub catchup_window_ms: u64,
    pub jitter_ms: u64,
    pub pause_after_failures: u32,
    /// Ticks fire; a schedule that is paused is not active.
    pub active: bool,
    /// Why it was paused, when nobody asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_reason: Option<String>,
    /// The next tick, before jitter; `null` while it is not active.
    #[schema(required = true)]
    pub next_run_at: Option<Time>,
    /// When a task of it was made last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<Time>,
    /// Its tasks that have not come to rest; not kept while `overlap` is `allow_all`.
    #[schema(value_type = Vec<schema::Id>)]
    pub open_tasks: Vec<TaskId>,
    /// Ticks that wait for the open tasks.
    pub buffered: Vec<Time>,
    /// Tasks that it has made.
    pub fired_count: u64,
    /// Ticks that did not fire; `/missed` says why.
    pub missed_count: u64,
    /// Failures in a row.
    pub failure_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by_member_id: Option<u64>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// A new schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSchedule {
    /// The agent's id or its key.
    #[schema(value_type = String, required = true, max_length = 256)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Five fields, with names, ranges, steps and lists; at most 256 bytes. A prefix
    /// `CRON_TZ=Zone ` goes before `timezone`.
    #[schema(value_type = String, required = true, max_length = 256, example = "0 9 * * mon-fri")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron_expr: Option<String>,
    /// An IANA name; UTC when absent.
    #[schema(max_length = 256, example = "Europe/Vienna")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The message of the tasks; at most 256 KiB.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 262144)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Skills to be read first: at most 32, one line each.
    #[schema(max_items = 32)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill_paths: Option<Vec<String>>,
    /// `true` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// What a tick does while an earlier task is open: `skip`, `buffer_one`, `buffer_all`,
    /// `cancel_other` or `allow_all` (when absent).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
    /// How late a tick may fire, after a downtime: 10 000 to 2 592 000 000; an hour when absent.
    #[schema(minimum = 10000, maximum = 2592000000i64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catchup_window_ms: Option<i64>,
    /// Each tick fires up to so much later: 0 (when absent) to 86 400 000.
    #[schema(minimum = 0, maximum = 86400000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_ms: Option<i64>,
    /// Pause after so many failures in a row: 0 (when absent) is never, at most 1 000.
    #[schema(minimum = 0, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_after_failures: Option<i64>,
    /// Of the tasks, as the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRequest>,
    /// `urgent`, `high`, `normal` (when absent) or `low`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// 0: no limit; 600 000 when absent; at most 30 days.
    #[schema(minimum = 0, maximum = 2592000000i64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i64>,
}

/// What is to change of a schedule; absent fields stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSchedule {
    #[schema(max_length = 256)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron_expr: Option<String>,
    #[schema(max_length = 256)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[schema(min_length = 1, max_length = 262144)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    #[schema(max_items = 32)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill_paths: Option<Vec<String>>,
    /// `false` pauses it. `true` lets it begin with the next tick from now; no tick of the pause
    /// fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
    #[schema(minimum = 10000, maximum = 2592000000i64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catchup_window_ms: Option<i64>,
    #[schema(minimum = 0, maximum = 86400000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_ms: Option<i64>,
    #[schema(minimum = 0, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_after_failures: Option<i64>,
    /// Takes the place of the whole policy; `{}` is the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    #[schema(minimum = 0, maximum = 2592000000i64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i64>,
}

/// A task that is to be made now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerSchedule {
    /// The same key is answered with the same task; it may come as the header `Idempotency-Key`
    /// instead.
    #[schema(max_length = 256)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// A time that has passed, whose ticks are to fire now. Both ends belong to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackfillSchedule {
    #[schema(value_type = Time, required = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    #[schema(value_type = Time, required = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    /// The schedule's own rule when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
}

/// What became of the ticks of a backfill, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Backfilled {
    pub ticks: Vec<FilledTick>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FilledTick {
    pub tick: Time,
    #[schema(value_type = schema::TickOutcome)]
    pub outcome: word::TickOutcome,
    /// The task that was made of it, now or before.
    #[schema(value_type = Option<schema::Id>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
}

/// A rule whose next times are asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewSchedule {
    #[schema(value_type = String, required = true, max_length = 256, example = "0 9 * * mon-fri")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron_expr: Option<String>,
    /// UTC when absent.
    #[schema(max_length = 256, example = "Europe/Vienna")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Times after this one; now when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Time>,
    /// 1 to 100; 5 when absent.
    #[schema(minimum = 1, maximum = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
}

/// The next times of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PreviewedTimes {
    /// RFC 3339 in the rule's timezone.
    #[schema(example = json!(["2026-10-25T09:00:00+01:00"]))]
    pub times: Vec<String>,
}

/// Ticks that did not fire, one after the other and for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MissedTicks {
    pub seq: u32,
    /// The first of them.
    pub from: Time,
    /// The last of them.
    pub to: Time,
    pub count: u64,
    /// `catchup_window`: they were too late; `overlap`: a task was open; `buffer_full`: too many
    /// waited; `paused`: they waited when the schedule was paused; else the code of a refusal,
    /// such as `agent_inactive`.
    #[schema(example = "catchup_window")]
    pub reason: String,
    /// When this was recorded last.
    pub at: Time,
}

/// A page of schedules, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleList {
    pub schedules: Vec<Schedule>,
    /// Where the next page starts; `null` on the last one.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
    /// There are rows after these.
    pub has_more: bool,
}

/// A page of missed ticks, the last ones first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MissedList {
    pub missed: Vec<MissedTicks>,
    /// Where the next page starts; `null` on the last one.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
    /// There are rows after these.
    pub has_more: bool,
}

/// Which schedules are listed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListSchedules {
    /// Rows of the page: 1 to 200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// An agent's id or key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
}

//! Schedules, both ways.

use hostler_core::schedule::backfill::{Backfill, Filled};
use hostler_core::schedule::manage::{self, Options};
use hostler_core::schedule::preview::Preview;
use hostler_core::schedule::{Missed, Schedule};

use super::{policy, text};
use crate::json::schedule::{FilledTick, MissedTicks};
use crate::json::{
    self, BackfillSchedule, CreateSchedule, PolicyRequest, PreviewSchedule, Time, UpdateSchedule,
};
use crate::redact;

/// A schedule with the name of its agent.
pub fn schedule(schedule: &Schedule, agent_name: &str) -> json::Schedule {
    let Schedule {
        id,
        workspace_id,
        agent_id,
        cron_expr,
        timezone,
        prompt,
        skill_paths,
        policy,
        priority,
        timeout_ms,
        overlap,
        catchup_window_ms,
        jitter_ms,
        pause_after_failures,
        active,
        paused_reason,
        next_run_at,
        fire_at: _,
        last_run_at,
        open_tasks,
        buffered,
        fired_count,
        missed_count,
        failure_count,
        missed_seq: _,
        missed_grows: _,
        created_by_member_id,
        deleted_at: _,
        created_at,
        updated_at,
    } = schedule;
    json::Schedule {
        id: *id,
        external_id: *id,
        workspace_id: workspace_id.0,
        agent_id: *agent_id,
        agent_name: redact::copy(agent_name),
        cron_expr: cron_expr.clone(),
        timezone: timezone.clone(),
        prompt: redact::copy(prompt),
        skill_paths: skill_paths.iter().map(|path| redact::copy(path)).collect(),
        policy: self::policy(policy),
        priority: *priority,
        timeout_ms: *timeout_ms,
        overlap: *overlap,
        catchup_window_ms: *catchup_window_ms,
        jitter_ms: *jitter_ms,
        pause_after_failures: *pause_after_failures,
        active: *active,
        paused_reason: text(paused_reason),
        next_run_at: next_run_at.map(Time),
        last_run_at: last_run_at.map(Time),
        open_tasks: open_tasks.clone(),
        buffered: buffered.iter().copied().map(Time).collect(),
        fired_count: *fired_count,
        missed_count: *missed_count,
        failure_count: *failure_count,
        created_by_member_id: *created_by_member_id,
        created_at: Time(*created_at),
        updated_at: Time(*updated_at),
    }
}

pub fn missed(missed: &Missed) -> MissedTicks {
    let Missed { schedule_id: _, seq, from, to, count, reason, at } = missed;
    MissedTicks {
        seq: *seq,
        from: Time(*from),
        to: Time(*to),
        count: *count,
        reason: reason.clone(),
        at: Time(*at),
    }
}

pub fn backfilled(filled: &[Filled]) -> json::Backfilled {
    let tick = |Filled { tick, became, task_id }: &Filled| FilledTick {
        tick: Time(*tick),
        outcome: *became,
        task_id: *task_id,
    };
    json::Backfilled { ticks: filled.iter().map(tick).collect() }
}

impl CreateSchedule {
    pub fn into_command(self) -> manage::CreateSchedule {
        let CreateSchedule {
            agent_id,
            cron_expr,
            timezone,
            prompt,
            skill_paths,
            active,
            overlap,
            catchup_window_ms,
            jitter_ms,
            pause_after_failures,
            policy,
            priority,
            timeout_ms,
        } = self;
        let options = Options {
            skill_paths,
            overlap,
            catchup_window_ms,
            jitter_ms,
            pause_after_failures,
            policy: policy.map(PolicyRequest::into_patch),
            priority,
            timeout_ms,
        };
        let agent = agent_id;
        manage::CreateSchedule { agent, cron_expr, timezone, prompt, active, options }
    }
}

impl UpdateSchedule {
    pub fn into_command(self) -> manage::UpdateSchedule {
        let UpdateSchedule {
            cron_expr,
            timezone,
            prompt,
            skill_paths,
            active,
            overlap,
            catchup_window_ms,
            jitter_ms,
            pause_after_failures,
            policy,
            priority,
            timeout_ms,
        } = self;
        let options = Options {
            skill_paths,
            overlap,
            catchup_window_ms,
            jitter_ms,
            pause_after_failures,
            policy: policy.map(PolicyRequest::into_patch),
            priority,
            timeout_ms,
        };
        manage::UpdateSchedule { cron_expr, timezone, prompt, active, options }
    }
}

impl BackfillSchedule {
    pub fn into_command(self) -> Backfill {
        let BackfillSchedule { from, to, overlap } = self;
        Backfill { from: from.map(|time| time.0), to: to.map(|time| time.0), overlap }
    }
}

impl PreviewSchedule {
    pub fn into_command(self) -> Preview {
        let PreviewSchedule { cron_expr, timezone, after, count } = self;
        Preview { cron_expr, timezone, after: after.map(|time| time.0), count }
    }
}

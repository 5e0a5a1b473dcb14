//! Making, changing and removing schedules.

use super::missed::{self, Ranges};
use super::next::Rule;
use super::{Overlap, Schedule};
use crate::agent::Agent;
use crate::code::{Code, Rejection};
use crate::engine::txn::{Decided, Txn};
use crate::id::{ScheduleId, WorkspaceId};
use crate::limits;
use crate::policy::{self, Policy, PolicyPatch, Source};
use crate::task::accept::{parse_priority, parse_timeout};
use crate::text::{bounded, trimmed, whole};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateSchedule {
    /// The agent's id or its key.
    pub agent: Option<String>,
    pub cron_expr: Option<String>,
    pub timezone: Option<String>,
    pub prompt: Option<String>,
    pub active: Option<bool>,
    pub options: Options,
}

/// What is to change; absent fields stay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateSchedule {
    pub cron_expr: Option<String>,
    pub timezone: Option<String>,
    pub prompt: Option<String>,
    pub active: Option<bool>,
    pub options: Options,
}

/// What a schedule may say besides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub skill_paths: Option<Vec<String>>,
    pub overlap: Option<String>,
    pub catchup_window_ms: Option<i64>,
    pub jitter_ms: Option<i64>,
    pub pause_after_failures: Option<i64>,
    pub policy: Option<PolicyPatch>,
    pub priority: Option<String>,
    pub timeout_ms: Option<i64>,
}

/// A schedule of the workspace, or `schedule_not_found`.
pub(crate) fn schedule_in(
    txn: &Txn<'_>,
    workspace: WorkspaceId,
    id: ScheduleId,
) -> Decided<Schedule> {
    let is_there = |row: &Schedule| row.workspace_id == workspace && row.deleted_at.is_none();
    txn.schedule(id)?.filter(is_there).ok_or_else(|| {
        Rejection::new(Code::ScheduleNotFound, format!("there is no schedule {id}")).into()
    })
}

/// The schedule's agent, unless it was deleted a moment ago.
pub(crate) fn agent_of(txn: &Txn<'_>, schedule: &Schedule) -> Decided<Agent> {
    let agent = txn.known(txn.agent(schedule.agent_id))?;
    if agent.deleted_at.is_some() {
        let text = format!("the agent {:?} was deleted", agent.agent_key);
        return Err(Rejection::field(Code::AgentNotFound, "agent_id", text).into());
    }
    Ok(agent)
}

pub(crate) fn create(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    create: &CreateSchedule,
) -> Decided<Schedule> {
    let required = |field, text: &Option<String>| {
        trimmed(text.clone()).ok_or_else(|| Rejection::required(field))
    };
    let cron_expr = required("cron_expr", &create.cron_expr)?;
    let prompt = required("prompt", &create.prompt)?;
    let agent = required("agent_id", &create.agent)?;
    bounded("agent_id", &agent, limits::KEY_BYTES_MAX)?;
    let timezone = trimmed(create.timezone.clone()).unwrap_or_else(|| "UTC".to_owned());
    let rule = parse_rule(&cron_expr, &timezone)?;
    bounded("prompt", &prompt, limits::MESSAGE_BYTES_MAX)?;
    let mut schedule = Schedule {
        id: ScheduleId(txn.ids.uuid()),
        workspace_id: workspace,
        agent_id: crate::id::AgentId(uuid::Uuid::nil()),
        cron_expr,
        timezone,
        prompt,
        skill_paths: Vec::new(),
        policy: Policy::default(),
        priority: crate::task::Priority::Normal,
        timeout_ms: limits::TIMEOUT_MS_DEFAULT,
        overlap: Overlap::AllowAll,
        catchup_window_ms: limits::CATCHUP_WINDOW_MS_DEFAULT,
        jitter_ms: 0,
        pause_after_failures: 0,
        active: create.active.unwrap_or(true),
        paused_reason: None,
        next_run_at: None,
        fire_at: None,
        last_run_at: None,
        open_tasks: Vec::new(),
        buffered: Vec::new(),
        fired_count: 0,
        missed_count: 0,
        failure_count: 0,
        missed_seq: 0,
        missed_grows: false,
        created_by_member_id: None,
        deleted_at: None,
        created_at: txn.now,
        updated_at: txn.now,
    };
    apply(&mut schedule, &create.options)?;
    let agent = crate::agent::manage::resolve(txn, workspace, &agent)?;
    agent.works()?;
    schedule.agent_id = agent.id;
    if schedule.active {
        schedule.begin_after(&rule, txn.now);
    }
    txn.put_schedule(schedule.clone());
    Ok(schedule)
}

/// A new rule, and a schedule that is made active again, begin now: no tick of the time before
/// fires. A new jitter holds for the tick that comes next.
pub(crate) fn update(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    id: ScheduleId,
    update: &UpdateSchedule,
) -> Decided<Schedule> {
    let mut schedule = schedule_in(txn, workspace, id)?;
    let before = schedule.clone();
    if let Some(given) = &update.cron_expr {
        let text = trimmed(Some(given.clone()));
        schedule.cron_expr = text.ok_or_else(|| Rejection::required("cron_expr"))?;
    }
    if let Some(given) = &update.timezone {
        schedule.timezone = trimmed(Some(given.clone())).unwrap_or_else(|| "UTC".to_owned());
    }
    let is_new = (&schedule.cron_expr, &schedule.timezone) != (&before.cron_expr, &before.timezone);
    if is_new {
        parse_rule(&schedule.cron_expr, &schedule.timezone)?;
    }
    if let Some(given) = &update.prompt {
        let text = trimmed(Some(given.clone()));
        let text = text.ok_or_else(|| Rejection::invalid("prompt", "prompt cannot be empty"))?;
        bounded("prompt", &text, limits::MESSAGE_BYTES_MAX)?;
        whole("prompt", &text, &schedule.prompt)?;
        schedule.prompt = text;
    }
    apply(&mut schedule, &update.options)?;
    match (before.active, update.active.unwrap_or(before.active)) {
        (true, false) => {
            drop_buffered(txn, &mut schedule)?;
            schedule.pause(None, txn.now);
        }
        (false, true) => {
            (schedule.active, schedule.paused_reason) = (true, None);
            schedule.failure_count = 0;
            schedule.begin_after(&schedule.rule()?, txn.now);
        }
        (true, true) if is_new => schedule.begin_after(&schedule.rule()?, txn.now),
        _ => schedule.rearm(txn.now),
    }
    txn.put_schedule(schedule.clone());
    Ok(schedule)
}

/// Its tasks go on to their end; ticks that wait for them are gone with it.
pub(crate) fn delete(txn: &mut Txn<'_>, workspace: WorkspaceId, id: ScheduleId) -> Decided<()> {
    let schedule = schedule_in(txn, workspace, id)?;
    remove(txn, schedule);
    Ok(())
}

/// The schedules of an agent that is being deleted. Those beyond the limit of the search go when
/// they are looked at next.
pub(crate) fn delete_of(txn: &mut Txn<'_>, agent: &Agent) -> Decided<()> {
    for schedule in txn.schedules_of(agent.id)? {
        remove(txn, schedule);
    }
    Ok(())
}

pub(crate) fn remove(txn: &mut Txn<'_>, mut schedule: Schedule) {
    schedule.deleted_at = Some(txn.now);
    schedule.buffered.clear();
    schedule.pause(None, txn.now);
    txn.put_schedule(schedule);
}

/// Ticks that wait are missed when their schedule is paused.
pub(crate) fn drop_buffered(txn: &mut Txn<'_>, schedule: &mut Schedule) -> Decided<()> {
    let mut ranges = Ranges::default();
    for tick in std::mem::take(&mut schedule.buffered) {
        ranges.add(tick, missed::PAUSED);
    }
    ranges.record(txn, schedule)
}

pub(crate) fn parse_rule(cron_expr: &str, timezone: &str) -> Result<Rule, Rejection> {
    bounded("cron_expr", cron_expr, limits::KEY_BYTES_MAX)?;
    bounded("timezone", timezone, limits::KEY_BYTES_MAX)?;
    Rule::parse(cron_expr, timezone)
}

/// Lays what was given over the row; the first fault is named.
fn apply(schedule: &mut Schedule, options: &Options) -> Result<(), Rejection> {
    if let Some(paths) = &options.skill_paths {
        schedule.skill_paths = parse_skill_paths(paths)?;
    }
    if let Some(given) = &options.overlap {
        schedule.overlap = parse_overlap(given)?;
    }
    if let Some(given) = options.catchup_window_ms {
        let allowed = limits::CATCHUP_WINDOW_MS_MIN..=limits::CATCHUP_WINDOW_MS_MAX;
        schedule.catchup_window_ms = within("catchup_window_ms", given, allowed)?;
    }
    if let Some(given) = options.jitter_ms {
        schedule.jitter_ms = within("jitter_ms", given, 0..=limits::JITTER_MS_MAX)?;
    }
    if let Some(given) = options.pause_after_failures {
        let most = u64::from(limits::PAUSE_AFTER_FAILURES_MAX);
        schedule.pause_after_failures = within("pause_after_failures", given, 0..=most)? as u32;
    }
    if let Some(given) = options.timeout_ms {
        schedule.timeout_ms = parse_timeout(Some(given))?;
    }
    if let Some(patch) = &options.policy {
        schedule.policy = policy::merge(&Policy::default(), patch, Source::Command)?;
    }
    if let Some(given) = &options.priority {
        schedule.priority = parse_priority(Some(given))?;
    }
    Ok(())
}

fn parse_skill_paths(paths: &[String]) -> Result<Vec<String>, Rejection> {
    if paths.len() > limits::SKILL_PATHS_MAX {
        let most = limits::SKILL_PATHS_MAX;
        let text = format!("{} skill paths; at most {most} are allowed", paths.len());
        return Err(Rejection::field(Code::TooLarge, "skill_paths", text));
    }
    let parse = |(index, path): (usize, &String)| {
        let field = format!("skill_paths[{index}]");
        let path = trimmed(Some(path.clone()));
        // Each is told to the agent on a line of its own.
        let path = path.filter(|path| !path.chars().any(char::is_control));
        let path = path.ok_or_else(|| Rejection::invalid(&field, "a path is one line of text"))?;
        bounded(&field, &path, limits::TEXT_BYTES_MAX)?;
        Ok(path)
    };
    paths.iter().enumerate().map(parse).collect()
}

pub(crate) fn parse_overlap(given: &str) -> Result<Overlap, Rejection> {
    Overlap::parse(&given.trim().to_ascii_lowercase()).ok_or_else(|| {
        let text = format!("invalid overlap: {given:?}; allowed: {}", Overlap::list());
        Rejection::invalid("overlap", text)
    })
}

fn within(
    field: &str,
    given: i64,
    allowed: std::ops::RangeInclusive<u64>,
) -> Result<u64, Rejection> {
    u64::try_from(given).ok().filter(|number| allowed.contains(number)).ok_or_else(|| {
        let (least, most) = (allowed.start(), allowed.end());
        let text = format!("invalid {field}: {given}; allowed: {least} to {most}");
        Rejection::invalid(field, text)
    })
}

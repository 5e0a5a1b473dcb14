//! `hostler schedules`.

use hostler_wire::json::{
    BackfillSchedule, CreateSchedule, ListSchedules, Paged, PreviewSchedule, Schedule, Time,
    TriggerSchedule, UpdateSchedule,
};
use hostler_wire::status::Exit;

use super::text;
use crate::args::{Global, RuleArgs, Schedules};
use crate::connect::Site;
use crate::fault::Fault;
use crate::print::{self, Card, Table, age, clean, clean_line, cut, dim};

/// Letters of a prompt in a list.
const PROMPT_LETTERS_MAX: usize = 40;

pub async fn schedules(global: &Global, schedules: Schedules) -> anyhow::Result<Exit> {
    let site = Site::find(global).await?;
    let client = &site.client;
    let json = global.json;
    match schedules {
        Schedules::List { agent, page } => {
            let of = ListSchedules { limit: page.limit, cursor: page.cursor, agent_id: agent };
            let list = client.list_schedules(&of).await?;
            shown(json, &list, || table(&list.schedules, list.next_cursor.as_deref()))
        }
        Schedules::Get { schedule } => one(json, &client.get_schedule(&schedule).await?),
        Schedules::Create { agent, cron, prompt, rule, paused } => {
            let create = created(agent, cron, text::message(prompt)?, rule, paused);
            one(json, &client.create_schedule(&create).await?)
        }
        Schedules::Update { schedule, cron, prompt, rule } => {
            let prompt = prompt.map(text::message).transpose()?;
            let change = changed(cron, prompt, rule);
            one(json, &client.update_schedule(&schedule, &change).await?)
        }
        Schedules::Pause { schedule } => one(json, &active(&site, &schedule, false).await?),
        Schedules::Resume { schedule } => one(json, &active(&site, &schedule, true).await?),
        Schedules::Delete { schedule } => {
            client.delete_schedule(&schedule).await?;
            if !json {
                print::err("deleted");
            }
            Ok(Exit::Ok)
        }
        Schedules::Trigger { schedule, idempotency_key } => {
            let trigger = TriggerSchedule { idempotency_key };
            let accepted = client.trigger_schedule(&schedule, &trigger).await?;
            shown(json, &accepted, || {
                print::out(accepted.task.id);
                print::err(dim(&format!("follow it: hostler tasks logs -f {}", accepted.task.id)));
            })
        }
        Schedules::Backfill { schedule, from, to, overlap } => {
            let (from, to) = (Some(time("--from", &from)?), Some(time("--to", &to)?));
            let fill = BackfillSchedule { from, to, overlap };
            let filled = client.backfill_schedule(&schedule, &fill).await?;
            shown(json, &filled, || {
                let mut table = Table::new("ticks", &["time", "became", "task"]);
                for tick in &filled.ticks {
                    let task = tick.task_id.map(|id| id.to_string()).unwrap_or_default();
                    table.row([tick.tick.to_string(), tick.outcome.as_str().to_owned(), task]);
                }
                table.print(None);
            })
        }
        Schedules::Missed { schedule, page } => {
            let of = Paged { limit: page.limit, cursor: page.cursor };
            let list = client.list_missed(&schedule, &of).await?;
            shown(json, &list, || {
                let mut table = Table::new("missed ticks", &["from", "to", "count", "why"]);
                for one in &list.missed {
                    let (from, to) = (one.from.to_string(), one.to.to_string());
                    table.row([from, to, one.count.to_string(), clean_line(&one.reason)]);
                }
                table.print(list.next_cursor.as_deref());
            })
        }
        Schedules::Preview { cron, timezone, count } => {
            let preview = PreviewSchedule { cron_expr: Some(cron), timezone, after: None, count };
            let times = client.preview_schedule(&preview).await?;
            shown(json, &times, || times.times.iter().for_each(print::out))
        }
    }
}

fn shown(json: bool, answer: &impl serde::Serialize, show: impl FnOnce()) -> anyhow::Result<Exit> {
    match json {
        true => print::json(answer)?,
        false => show(),
    }
    Ok(Exit::Ok)
}

fn one(json: bool, schedule: &Schedule) -> anyhow::Result<Exit> {
    shown(json, schedule, || card(schedule))
}

async fn active(site: &Site, schedule: &str, active: bool) -> anyhow::Result<Schedule> {
    let change = UpdateSchedule { active: Some(active), ..UpdateSchedule::default() };
    Ok(site.client.update_schedule(schedule, &change).await?)
}

fn time(option: &str, text: &str) -> Result<Time, Fault> {
    let quoted = serde_json::Value::String(text.to_owned());
    serde_json::from_value(quoted).map_err(|_| {
        Fault::usage(format!("{option}: {text:?} is no time; for example 2026-11-01T00:00:00Z"))
    })
}

fn created(
    agent: String,
    cron: String,
    prompt: String,
    rule: RuleArgs,
    paused: bool,
) -> CreateSchedule {
    CreateSchedule {
        agent_id: Some(agent),
        cron_expr: Some(cron),
        timezone: rule.timezone,
        prompt: Some(prompt),
        skill_paths: Some(rule.skills).filter(|skills| !skills.is_empty()),
        active: Some(!paused),
        overlap: rule.overlap,
        catchup_window_ms: rule.catchup_window_ms,
        jitter_ms: rule.jitter_ms,
        pause_after_failures: rule.pause_after_failures,
        policy: None,
        priority: rule.priority,
        timeout_ms: rule.timeout_ms,
    }
}

fn changed(cron: Option<String>, prompt: Option<String>, rule: RuleArgs) -> UpdateSchedule {
    UpdateSchedule {
        cron_expr: cron,
        timezone: rule.timezone,
        prompt,
        skill_paths: Some(rule.skills).filter(|skills| !skills.is_empty()),
        active: None,
        overlap: rule.overlap,
        catchup_window_ms: rule.catchup_window_ms,
        jitter_ms: rule.jitter_ms,
        pause_after_failures: rule.pause_after_failures,
        policy: None,
        priority: rule.priority,
        timeout_ms: rule.timeout_ms,
    }
}

fn state(schedule: &Schedule) -> String {
    match (&schedule.paused_reason, schedule.active) {
        (_, true) => "active".to_owned(),
        (Some(reason), false) => format!("paused: {}", clean_line(reason)),
        (None, false) => "paused".to_owned(),
    }
}

fn table(schedules: &[Schedule], next_cursor: Option<&str>) {
    let header = ["schedule", "state", "rule", "zone", "next", "agent", "fired", "prompt"];
    let mut table = Table::new("schedules", &header);
    for schedule in schedules {
        table.row([
            schedule.id.to_string(),
            cut(&state(schedule), 24),
            clean_line(&schedule.cron_expr),
            clean_line(&schedule.timezone),
            schedule.next_run_at.map(|at| at.to_string()).unwrap_or_default(),
            clean_line(&schedule.agent_name),
            schedule.fired_count.to_string(),
            cut(&clean_line(&schedule.prompt), PROMPT_LETTERS_MAX),
        ]);
    }
    table.print(next_cursor);
}

fn card(schedule: &Schedule) {
    let mut card = Card::default();
    card.line("schedule", schedule.id)
        .line("state", state(schedule))
        .line("rule", format!("{}  {}", clean(&schedule.cron_expr), clean(&schedule.timezone)))
        .maybe("next", schedule.next_run_at.as_ref())
        .maybe("last", schedule.last_run_at.map(age).as_ref())
        .line("agent", format!("{} ({})", clean(&schedule.agent_name), schedule.agent_id))
        .line("overlap", schedule.overlap.as_str())
        .line("catch-up", format!("{} ms", schedule.catchup_window_ms))
        .line("jitter", format!("{} ms", schedule.jitter_ms))
        .line("fired", schedule.fired_count)
        .line("missed", schedule.missed_count)
        .line("open tasks", schedule.open_tasks.len())
        .line("buffered", schedule.buffered.len())
        .line("failures", format!("{} in a row", schedule.failure_count))
        .line("prompt", clean(&schedule.prompt));
    card.print();
}

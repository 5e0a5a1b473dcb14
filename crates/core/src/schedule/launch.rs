//! The task that a schedule makes (SCH-5).

use serde_json::{Map, json};

use super::Schedule;
use crate::agent::Agent;
use crate::engine::txn::{Decided, Txn};
use crate::id::ScheduleId;
use crate::idempotency::BodyHash;
use crate::key::Key;
use crate::limits;
use crate::session::SessionId;
use crate::task::Details;
use crate::task::accept::{self, Accepted, Request};
use crate::text::words;
use crate::time::Timestamp;

/// How many characters of its prompt a fired task's label has.
const LABEL_CHARS_MAX: usize = 60;

words! {
    /// Why a task of a schedule was made.
    pub enum Cause {
        Tick => "tick",
        Buffer => "buffer",
        Trigger => "trigger",
        Backfill => "backfill",
    }
}

/// What is to be made.
pub(crate) struct Launch {
    /// `None` for one that a person asked for.
    pub tick: Option<Timestamp>,
    pub cause: Cause,
    pub idempotency_key: Option<String>,
    /// It is kept among the schedule's open tasks.
    pub open: bool,
}

impl Launch {
    pub fn of(tick: Timestamp, cause: Cause, open: bool) -> Self {
        Launch { tick: Some(tick), cause, idempotency_key: None, open }
    }
}

/// Accepts the task and notes it on the schedule, which the caller writes. The same tick, or the
/// same key, is answered with the task that was made of it.
pub(crate) fn launch(
    txn: &mut Txn<'_>,
    schedule: &mut Schedule,
    agent: &Agent,
    launch: Launch,
) -> Decided<Accepted> {
    let Launch { tick, cause, idempotency_key, open } = launch;
    let session_id = match tick {
        Some(tick) => session_id(schedule.id, tick),
        None => SessionId(txn.ids.uuid().to_string()),
    };
    let idempotency_key = tick.map(|tick| tick_key(schedule, tick)).or(idempotency_key);
    let accepted = accept::admit(txn, agent, request(schedule, session_id, idempotency_key))?;
    if accepted.idempotent_hit {
        return Ok(accepted);
    }
    let task_id = accepted.task.id;
    let mut payload = Map::new();
    payload.insert("schedule_id".to_owned(), schedule.id.to_string().into());
    payload.insert("cause".to_owned(), cause.as_str().into());
    if let Some(tick) = tick {
        payload.insert("tick".to_owned(), super::next::shown_utc(tick).into());
        let late_ms = (txn.now - schedule.due_at(tick)).0;
        payload.insert("late_ms".to_owned(), late_ms.max(0).into());
    }
    txn.event(task_id, None, "schedule_fired", payload.into());
    schedule.fired_count += 1;
    schedule.missed_grows = false;
    schedule.last_run_at = Some(txn.now);
    if open && schedule.open_tasks.len() < limits::OPEN_TASKS_MAX {
        schedule.open_tasks.push(task_id);
    }
    Ok(accepted)
}

/// The rows that making the task of a tick reads, so that they are read in one go.
pub(crate) fn wants(txn: &Txn<'_>, schedule: &Schedule, tick: Timestamp) {
    let (workspace, agent) = (schedule.workspace_id, schedule.agent_id);
    txn.want(Key::Receipt(workspace, agent, tick_key(schedule, tick)));
    txn.want(Key::Session(workspace, session_id(schedule.id, tick)));
    let lane = lane(schedule);
    txn.want(Key::Instance(accept::instance_key(workspace, agent, Some(&lane), &schedule.policy)));
    txn.want(Key::Workspace(workspace));
    txn.want(Key::Agent(agent));
}

fn request(schedule: &Schedule, session_id: SessionId, idempotency_key: Option<String>) -> Request {
    let provenance = json!({ "source": "scheduled_task" });
    let details = Details {
        timeout_ms: schedule.timeout_ms,
        lane: Some(lane(schedule)),
        extra_system_prompt: skills(&schedule.skill_paths),
        input_provenance: provenance.as_object().cloned(),
        label: Some(label(&schedule.prompt)),
        spawned_by: Some(format!("schedule:{}", schedule.id)),
        ..Details::default()
    };
    // A tick is the same tick whatever the schedule says by now.
    let mut body = BodyHash::new("schedule");
    body.field("schedule_id", Some(&schedule.id.to_string()));
    Request {
        message: schedule.prompt.clone(),
        idempotency_key,
        session_id: Some(session_id),
        policy: schedule.policy.clone(),
        policy_given: false,
        timeout_given: false,
        priority: schedule.priority,
        priority_given: false,
        details,
        budget: None,
        attachments: Vec::new(),
        body_hash: body.end(),
        schedule_id: Some(schedule.id),
    }
}

fn lane(schedule: &Schedule) -> String {
    format!("schedule-lane:{}", schedule.id)
}

/// `schedule:<id>:<unix seconds>`.
pub(crate) fn tick_key(schedule: &Schedule, tick: Timestamp) -> String {
    format!("schedule:{}:{}", schedule.id, tick.0.div_euclid(1_000))
}

/// A UUID, since agents resume by nothing else, made from the original's name of the session.
///
/// It begins with the tick and the schedule's age, as other ids begin with their time: sessions
/// that are made in one go lie side by side in every index. The hash is the rest of it.
fn session_id(schedule: ScheduleId, tick: Timestamp) -> SessionId {
    let name = format!("schedule-session:{schedule}:{}", tick.0.div_euclid(1_000));
    let hash = blake3::hash(name.as_bytes());
    let hash = u64::from_be_bytes(hash.as_bytes()[..8].try_into().expect("eight bytes"));
    // An id begins with 48 bits of milliseconds; the lower 32 of them are enough for an order.
    let age = (schedule.0.as_u128() >> 80) as u64 & 0xFFFF_FFFF;
    // The version takes 4 bits in the middle of the upper half, the variant the first 2 of the
    // lower one.
    let upper = (tick.0.cast_unsigned() << 16) | (age >> 20);
    let lower = ((age & 0xF_FFFF) << 42) | (hash >> 22);
    let bytes = uuid::Uuid::from_u64_pair(upper, lower).into_bytes();
    SessionId(uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string())
}

fn label(prompt: &str) -> String {
    let mut text = String::from("Schedule: ");
    let mut characters = prompt.chars();
    let shown = characters.by_ref().take(LABEL_CHARS_MAX);
    text.extend(shown.map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
    if characters.next().is_some() {
        text.push_str("...");
    }
    text
}

/// What the agent is told of the skills.
fn skills(paths: &[String]) -> Option<String> {
    if paths.is_empty() {
        return None;
    }
    let mut text = String::from("Before you begin, read these skills and follow them:");
    for path in paths {
        text.push_str("\n- ");
        text.push_str(path);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_cut_between_characters_and_has_no_newlines() {
        assert_eq!(label("look\nat it"), "Schedule: look at it");
        let sixty = "ü".repeat(60);
        assert_eq!(label(&sixty), format!("Schedule: {sixty}"));
        assert_eq!(label(&format!("{sixty}x")), format!("Schedule: {sixty}..."));
    }

    #[test]
    fn sessions_of_a_tick_are_ordered_as_their_schedules_are() {
        let id = |millis: u64, tail: u8| {
            let builder = uuid::Builder::from_unix_timestamp_millis(millis, &[tail; 10]);
            ScheduleId(builder.into_uuid())
        };
        let tick = Timestamp(1_700_000_040_000);
        let ages = [0x1_2345_6780, 0x1_2345_6781, 0x1_2345_67C0, 0x1_2346_6781, 0x1_F345_6781];
        let sessions = ages.map(|millis| session_id(id(millis, 7), tick));
        assert!(sessions.is_sorted(), "{sessions:?}");
        for session in &sessions {
            assert_eq!(session.0.parse::<uuid::Uuid>().unwrap().get_version_num(), 8);
        }
        let (one, other) = (session_id(id(5, 1), tick), session_id(id(5, 2), tick));
        assert_ne!(one, other, "they were made in one millisecond");
        assert_eq!(one, session_id(id(5, 1), tick));
        assert!(one.max(other) < session_id(id(1, 1), Timestamp(1_700_000_100_000)));
    }

    #[test]
    fn skills_are_told_line_by_line() {
        assert_eq!(skills(&[]), None);
        let text = skills(&["a/SKILL.md".to_owned(), "b".to_owned()]).unwrap();
        assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), ["- a/SKILL.md", "- b"]);
    }
}

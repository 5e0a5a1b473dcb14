//! Sending an input to a task or a run (INP-1 to INP-6).

use serde_json::{Map, Value, json};

use super::{Delivery, Input, Mode, State, inbox};
use crate::capacity::waiting;
use crate::code::{Code, Rejection};
use crate::engine::txn::{Decided, Txn, legal};
use crate::id::{InputId, RunId, TaskId, WorkspaceId};
use crate::idempotency::{BodyHash, Receipt};
use crate::key::Key;
use crate::limits;
use crate::run::live;
use crate::task::accept::{self, Accepted, check_attachments};
use crate::task::{self, Parked, Task};
use crate::text::{bounded, trimmed};

/// An input as it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Submit {
    pub message: Option<String>,
    pub queue_mode: Option<String>,
    pub idempotency_key: Option<String>,
    /// Refuse if another run is live (INP-4).
    pub expected_run_id: Option<RunId>,
    pub attachments: Vec<Value>,
}

/// What the input is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Task(TaskId),
    Run(RunId),
}

/// An input that has been checked.
pub(crate) struct Submission {
    pub message: String,
    pub mode: Mode,
    pub attachments: Vec<Value>,
    pub details: Map<String, Value>,
    pub idempotency_key: String,
}

pub(crate) fn decide(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    target: Target,
    submit: &Submit,
) -> Decided<Accepted> {
    let message = trimmed(submit.message.clone()).ok_or_else(|| Rejection::required("message"))?;
    bounded("message", &message, limits::MESSAGE_BYTES_MAX)?;
    let mode = parse_mode(submit.queue_mode.as_deref())?;
    let given_key = trimmed(submit.idempotency_key.clone());
    if let Some(key) = &given_key {
        bounded("idempotency_key", key, limits::KEY_BYTES_MAX)?;
    }
    check_attachments(&submit.attachments)?;
    let task = match target {
        Target::Task(id) => txn.task_in(workspace, id)?,
        Target::Run(id) => {
            let run = txn.run_in(workspace, id)?;
            txn.task_in(workspace, run.origin_task_id)?
        }
    };
    let mut hash = BodyHash::new("input");
    hash.field("message", Some(&message));
    hash.field("queue_mode", Some(mode.as_str()));
    hash.field("task", Some(&task.id.to_string()));
    let expected = submit.expected_run_id.map(|run| run.to_string());
    hash.field("expected_run_id", expected.as_deref());
    hash.list("attachments", &submit.attachments);
    let hash = hash.end();
    let key = given_key.clone().unwrap_or_else(|| txn.ids.uuid().to_string());
    if given_key.is_some()
        && let Some(receipt) = txn.receipt(workspace, task.agent_id, key.clone())?
    {
        return accept::repeated(txn, &receipt, &hash, &key);
    }
    if let Some(expected) = submit.expected_run_id {
        check_expected(txn, &task, expected)?;
    }
    let receipt_key = Key::Receipt(workspace, task.agent_id, key.clone());
    let submission = Submission {
        message,
        mode,
        attachments: submit.attachments.clone(),
        details: Map::new(),
        idempotency_key: key,
    };
    let (task, input) = enqueue(txn, task, submission)?;
    let receipt = Receipt { task_id: task.id, input_id: input.id, body_hash: hash };
    txn.put_receipt(receipt_key, receipt);
    let waiting_on = waiting::of(txn, &task)?;
    Ok(Accepted { task, input, idempotent_hit: false, is_input: true, waiting_on })
}

/// A run is live until it has ended, also between two of its attempts.
fn check_expected(txn: &Txn<'_>, task: &Task, expected: RunId) -> Decided<()> {
    let target = match task.target_run_id {
        Some(id) => txn.run(id)?,
        None => None,
    };
    let live = target.filter(|run| !run.status.is_terminal()).map(|run| run.id);
    if live == Some(expected) {
        return Ok(());
    }
    let text = match live {
        Some(live) => format!("the live run is {live}, not {expected}"),
        None => format!("no run is live; {expected} was expected"),
    };
    Err(Rejection::field(Code::ExpectedRun, "expected_run_id", text).into())
}

/// INP-2: trimmed and in lower case; empty means `followup`, and `steer-backlog` is `steer`.
fn parse_mode(given: Option<&str>) -> Result<Mode, Rejection> {
    let text = given.map(|text| text.trim().to_lowercase()).unwrap_or_default();
    match text.as_str() {
        "" => Ok(Mode::Followup),
        "steer-backlog" => Ok(Mode::Steer),
        _ => Mode::parse(&text).ok_or_else(|| {
            let allowed = Mode::list();
            let text = format!("invalid queue_mode: {text:?}; allowed: {allowed}, steer-backlog");
            Rejection::invalid("queue_mode", text)
        }),
    }
}

/// Puts an input into the task's inbox, or straight to its agent where its mode asks for it; a
/// task that had come to rest is queued again.
pub(crate) fn enqueue(
    txn: &mut Txn<'_>,
    mut task: Task,
    submission: Submission,
) -> Decided<(Task, Input)> {
    let live = live::lease_of(txn, &task)?;
    let waiting = task.inbox.len() + live.as_ref().map_or(0, |lease| lease.steers.len());
    if waiting >= limits::INBOX_MAX {
        let text = format!(
            "{} inputs wait for the task {}; at most {} may wait",
            waiting,
            task.id,
            limits::INBOX_MAX
        );
        return Err(Rejection::new(Code::InboxFull, text).into());
    }
    let restarts = live.is_none() && task.state != task::State::Queued;
    if restarts {
        // What runs goes on to its end; nothing new begins for an agent that is switched off.
        let agent = txn.known(txn.agent(task.agent_id))?;
        agent.works()?;
    }
    let delivery = if restarts { Delivery::Restarted } else { Delivery::Queued };
    let mut input = Input {
        id: InputId(txn.ids.uuid()),
        workspace_id: task.workspace_id,
        task_id: task.id,
        mode: submission.mode,
        message: submission.message,
        attachments: submission.attachments,
        details: submission.details,
        idempotency_key: submission.idempotency_key,
        state: State::Waiting,
        delivery,
        outcome: None,
        reason: None,
        run_id: None,
        created_at: txn.now,
        updated_at: txn.now,
    };
    inbox::insert(txn, &mut task, &input)?;
    if task.parked == Some(Parked::Quiet) {
        // Whether there is more to wait for is looked at when it is claimed.
        task.parked = None;
        task.wake_at = None;
    }
    if restarts {
        task.state = legal(task.state.next(task::state::Event::Restart));
        task.queued_at = Some(txn.now);
        task.error = None;
        task.dropped_reason = None;
        task.cancel_requested_at = None;
        task.archived_at = None;
    }
    let event = if restarts { "task_restarted" } else { "input_queued" };
    let payload = json!({ "input_id": input.id, "queue_mode": input.mode.as_str() });
    txn.event(task.id, None, event, payload);
    txn.put_input(input.clone());
    if let Some(lease) = live {
        let delivery = live::offer(txn, lease, &mut task, &input)?;
        input = Input { delivery, ..txn.known(txn.input(input.id))? };
        txn.put_input(input.clone());
    }
    txn.put_task(task.clone())?;
    Ok((task, input))
}

/// Records the one outcome of an input (INV-INPUT-1).
pub(crate) fn settle(
    txn: &mut Txn<'_>,
    mut input: Input,
    outcome: super::Outcome,
    reason: Option<&str>,
) {
    input.state = legal(input.state.next(super::state::Event::Settle));
    input.outcome = Some(outcome);
    input.reason = reason.map(str::to_owned);
    if outcome == super::Outcome::Dropped {
        let payload = json!({ "input_id": input.id, "reason": reason });
        txn.event(input.task_id, input.run_id.map(|run| (run, None)), "input_dropped", payload);
    }
    txn.put_input(input);
}

/// Drops every waiting input of a task; the inbox is empty afterwards.
pub(crate) fn drop_waiting(txn: &mut Txn<'_>, task: &mut Task, reason: &str) -> Decided<()> {
    for id in std::mem::take(&mut task.inbox) {
        let input = txn.known(txn.input(id))?;
        settle(txn, input, super::Outcome::Dropped, Some(reason));
    }
    Ok(())
}

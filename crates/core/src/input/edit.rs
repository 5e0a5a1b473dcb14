//! Changing, moving and withdrawing an input that waits (INP-7).

use serde_json::{Value, json};

use super::{Input, Outcome, State, submit};
use crate::capacity::claim::wake_waiter;
use crate::code::{Code, Rejection};
use crate::engine::txn::{Decided, Txn, legal};
use crate::id::{InputId, WorkspaceId};
use crate::limits;
use crate::run;
use crate::task::accept::check_attachments;
use crate::task::{self, Parked, Task};
use crate::text::{bounded, trimmed, whole};

/// What is to change; `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EditInput {
    pub message: Option<String>,
    pub attachments: Option<Vec<Value>>,
    /// Its place among the task's waiting inputs, from 0; beyond the end is the end.
    pub position: Option<usize>,
}

pub(crate) fn edit(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    id: InputId,
    edit: &EditInput,
) -> Decided<Input> {
    let (mut task, mut input) = waiting(txn, workspace, id)?;
    if let Some(message) = &edit.message {
        let message = trimmed(Some(message.clone()));
        let message = message.ok_or_else(|| Rejection::required("message"))?;
        bounded("message", &message, limits::MESSAGE_BYTES_MAX)?;
        whole("message", &message, &input.message)?;
        input.message = message;
    }
    if let Some(attachments) = &edit.attachments {
        check_attachments(attachments)?;
        input.attachments.clone_from(attachments);
    }
    if let Some(position) = edit.position {
        task.inbox.retain(|one| *one != id);
        // Nothing goes before the message that began the task.
        let first = task.inbox.iter().position(|one| *one == task.first_input_id);
        let position = position.max(first.map_or(0, |first| first + 1)).min(task.inbox.len());
        task.inbox.insert(position, id);
    }
    txn.event(task.id, None, "input_edited", json!({ "input_id": id }));
    txn.put_input(input.clone());
    txn.put_task(task)?;
    Ok(input)
}

/// Takes an input out. A task that was queued for nothing else is as its last run left it.
pub(crate) fn withdraw(txn: &mut Txn<'_>, workspace: WorkspaceId, id: InputId) -> Decided<Input> {
    let (mut task, input) = waiting(txn, workspace, id)?;
    task.inbox.retain(|one| *one != id);
    submit::settle(txn, input, Outcome::Withdrawn, None);
    txn.event(task.id, None, "input_withdrawn", json!({ "input_id": id }));
    let was_awake = task.state == task::State::Queued && task.parked != Some(Parked::Session);
    if task.state == task::State::Queued && task.inbox.is_empty() {
        settle_idle(txn, &mut task)?;
    }
    txn.put_task(task.clone())?;
    if task.inbox.is_empty() {
        run::idle::reconsider(txn, &task)?;
    }
    if was_awake && task.state != task::State::Queued {
        // It may have been the one that its session's other tasks waited behind.
        let session = txn.session(task.workspace_id, task.session_id.clone());
        let session = txn.known(session)?;
        wake_waiter(txn, &session)?;
    }
    txn.known(txn.input(id))
}

/// Settles a queued task that has nothing to do any more, unless a run of it waits to go on.
fn settle_idle(txn: &Txn<'_>, task: &mut Task) -> Decided<()> {
    use run::Status;
    let last = match task.target_run_id {
        Some(id) => Some(txn.known(txn.run(id))?),
        None => None,
    };
    let event = match &last {
        None => task::state::Event::Cancel,
        Some(run) => match run.status {
            Status::Accepted | Status::Running => return Ok(()),
            Status::Ok if run.waiting_for_input => task::state::Event::Ask,
            Status::Ok => task::state::Event::Finish,
            Status::Error | Status::Timeout => task::state::Event::Fail,
            Status::Cancelled => task::state::Event::Cancel,
        },
    };
    task.error = last.and_then(|run| run.error);
    task.state = legal(task.state.next(event));
    if task.parked == Some(Parked::Quiet) || task.parked == Some(Parked::Session) {
        task.parked = None;
        task.wake_at = None;
    }
    Ok(())
}

/// The input with its task, if it can still be changed.
fn waiting(txn: &Txn<'_>, workspace: WorkspaceId, id: InputId) -> Decided<(Task, Input)> {
    let input = txn.input(id)?.filter(|input| input.workspace_id == workspace);
    let input = input
        .ok_or_else(|| Rejection::new(Code::InputNotFound, format!("there is no input {id}")))?;
    if input.state != State::Waiting {
        let text = match input.outcome {
            Some(outcome) => format!("the input {id} is settled: {outcome}"),
            None => format!("the input {id} is with the agent already"),
        };
        return Err(Rejection::new(Code::InputNotWaiting, text).into());
    }
    let task = txn.known(txn.task(input.task_id))?;
    Ok((task, input))
}

//! Cancelling a task or a run (RUN-8): durable, and it always wins.

use serde_json::json;

use super::{Parked, Task, state};
use crate::capacity::claim::wake_waiter;
use crate::code::{Code, Rejection};
use crate::engine::txn::{Decided, Txn, legal};
use crate::id::{RunId, TaskId, WorkspaceId};
use crate::input::submit;
use crate::lease::Stop;
use crate::run::{finish, live};

/// What a cancel did at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Cancelled {
    pub task: Task,
    /// It is settled; otherwise the worker is being told to stop.
    pub settled: bool,
}

pub(crate) fn task(txn: &mut Txn<'_>, workspace: WorkspaceId, id: TaskId) -> Decided<Cancelled> {
    let task = txn.task_in(workspace, id)?;
    if task.state.is_terminal() {
        let text = format!("the task {id} is {} and cannot be cancelled", task.state);
        return Err(Rejection::new(Code::TaskNotCancellable, text).into());
    }
    cancel(txn, task)
}

pub(crate) fn run(txn: &mut Txn<'_>, workspace: WorkspaceId, id: RunId) -> Decided<Cancelled> {
    let run = txn.run_in(workspace, id)?;
    if run.status.is_terminal() {
        let text = format!("the run {id} has ended ({}) and cannot be cancelled", run.status);
        return Err(Rejection::new(Code::RunNotCancellable, text).into());
    }
    let task = txn.known(txn.task(run.origin_task_id))?;
    cancel(txn, task)
}

fn cancel(txn: &mut Txn<'_>, mut task: Task) -> Decided<Cancelled> {
    if task.cancel_requested_at.is_some() {
        return Ok(Cancelled { task, settled: false });
    }
    task.cancel_requested_at = Some(txn.now);
    if let Some(lease) = live::lease_of(txn, &task)? {
        txn.put_task(task.clone())?;
        finish::stop(txn, lease, Stop::Cancel)?;
        return Ok(Cancelled { task, settled: false });
    }
    let open = match task.target_run_id {
        Some(id) => txn.run(id)?.filter(|run| !run.status.is_terminal()),
        None => None,
    };
    let was_awake = task.parked != Some(Parked::Session);
    task.state = legal(task.state.next(state::Event::Cancel));
    task.parked = None;
    task.wake_at = None;
    if open.is_none() {
        let at = task.target_run_id.map(|id| (id, None));
        txn.event(task.id, at, "task_cancelled", json!({}));
    }
    submit::drop_waiting(txn, &mut task, "cancelled")?;
    txn.put_task(task.clone())?;
    match open {
        Some(run) => finish::cancel_idle(txn, &mut task, run)?,
        None if was_awake => {
            // It may have been the one that its session's other tasks waited behind.
            let session = txn.session(task.workspace_id, task.session_id.clone());
            let session = txn.known(session)?;
            wake_waiter(txn, &session)?;
        }
        None => {}
    }
    Ok(Cancelled { task, settled: true })
}

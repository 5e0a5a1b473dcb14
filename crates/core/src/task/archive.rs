//! Archiving a task: it leaves the default lists. A task that has not come to rest is cancelled
//! first; while its run is being stopped it cannot be archived.

use super::Task;
use crate::code::{Code, Rejection};
use crate::engine::txn::{Decided, Txn};
use crate::id::{TaskId, WorkspaceId};

pub(crate) fn decide(txn: &mut Txn<'_>, workspace: WorkspaceId, id: TaskId) -> Decided<Task> {
    let mut task = txn.task_in(workspace, id)?;
    if task.archived_at.is_some() {
        return Ok(task);
    }
    if !task.state.is_terminal() {
        let cancelled = super::cancel::task(txn, workspace, id)?;
        if !cancelled.settled {
            let text = format!(
                "the task {id} is {}; cancel it, and archive it when it is cancelled",
                cancelled.task.state
            );
            return Err(Rejection::new(Code::TaskNotArchivable, text).into());
        }
        // As it was written, with what came of that.
        task = txn.task_in(workspace, id)?;
    }
    task.archived_at = Some(txn.now);
    txn.put_task(task.clone())?;
    Ok(task)
}

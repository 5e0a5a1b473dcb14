//! A schedule that is due makes its task (SCH-3).

use crate::engine::txn::{Decided, Txn};
use crate::id::ScheduleId;
use crate::task::Task;

pub(crate) fn decide(_txn: &mut Txn<'_>, _id: ScheduleId) -> Decided<()> {
    Ok(())
}

/// A fired task has come to rest.
pub(crate) fn rested(_txn: &mut Txn<'_>, _task: &Task) -> Decided<()> {
    Ok(())
}

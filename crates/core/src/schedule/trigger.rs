//! A task of a schedule that is made now, whatever its rule, its pause or what is open says.

use super::Schedule;
use super::launch::{Cause, Launch, launch};
use super::manage::schedule_in;
use crate::engine::txn::{Decided, Txn};
use crate::id::{ScheduleId, WorkspaceId};
use crate::limits;
use crate::task::accept::Accepted;
use crate::text::{bounded, trimmed};

pub(crate) fn decide(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    id: ScheduleId,
    idempotency_key: Option<&String>,
) -> Decided<Accepted> {
    let mut schedule = schedule_in(txn, workspace, id)?;
    let idempotency_key = trimmed(idempotency_key.cloned());
    if let Some(key) = &idempotency_key {
        bounded("idempotency_key", key, limits::KEY_BYTES_MAX)?;
    }
    let agent = super::manage::agent_of(txn, &schedule)?;
    let open = Schedule::keeps_open(schedule.overlap);
    let now = Launch { tick: None, cause: Cause::Trigger, idempotency_key, open };
    let accepted = launch(txn, &mut schedule, &agent, now)?;
    if !accepted.idempotent_hit {
        txn.put_schedule(schedule);
    }
    Ok(accepted)
}

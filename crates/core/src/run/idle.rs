//! A process that is kept warm between turns: it is given its next turn, or closed when it has
//! waited long enough or others need its place.

use serde_json::json;

use crate::budget;
use crate::engine::txn::{Decided, Txn, legal};
use crate::engine::{Push, PushKind};
use crate::id::AttemptId;
use crate::input::inbox::{self, Next};
use crate::lease::{Lease, Turn};
use crate::limits;
use crate::run::{Run, Usage, live};
use crate::task::{self, Task};
use crate::time::{Span, Timestamp};

/// Until when the process of a run is kept; `None`: it is closed at once. An agent that asked
/// something is kept for a while unless its config says otherwise.
pub(crate) fn until(txn: &Txn<'_>, lease: &Lease, run: &Run) -> Decided<Option<Timestamp>> {
    let agent = txn.known(txn.agent(run.agent_id))?;
    let default = if run.waiting_for_input { limits::IDLE_TIMEOUT_ASKED_MS } else { 0 };
    let set = agent.config.get("idle_timeout_ms").and_then(serde_json::Value::as_u64);
    let idle_ms = i64::try_from(set.unwrap_or(default)).unwrap_or(i64::MAX);
    let instance = txn.known(txn.instance(lease.instance_key.clone()))?;
    let session = txn.known(txn.session(lease.workspace_id, lease.session_id.clone()))?;
    // A process without a turn never has its worker's last place.
    let others_wait = session.waiter_count > 0
        || txn.free_slots(&lease.worker_id) == 0
        || (instance.queued > instance.parked && instance.room() == 0);
    Ok((idle_ms > 0 && lease.can.keep && !others_wait).then(|| txn.now + Span::millis(idle_ms)))
}

/// Gives a warm process its next turn, if the inbox has one by now and the budget allows it. A
/// process that has steers says first what becomes of them.
pub(crate) fn resume(txn: &mut Txn<'_>, mut lease: Lease, task: &mut Task) -> Decided<bool> {
    if !lease.steers.is_empty() {
        return Ok(false);
    }
    if !task.inbox.is_empty() && budget::spent(txn, task, Usage::default())?.is_some() {
        // What waits is held back, or refused, where it is claimed.
        shut(txn, lease)?;
        return Ok(false);
    }
    let mut run = txn.known(txn.run(lease.run_id))?;
    match inbox::take(txn, task, run.id)? {
        Next::Nothing => Ok(false),
        Next::Quiet(until) => {
            lease.idle_until = Some(until);
            txn.put_lease(lease)?;
            Ok(false)
        }
        Next::Turn(inputs) => {
            run.input_id = Some(inputs[0].id);
            run.merged = inputs[1..].iter().map(|input| input.id).collect();
            lease.turn = Turn::Given(inputs[0].id);
            lease.idle_until = None;
            lease.interrupted = false;
            lease.ended_turns += 1;
            task.state = legal(task.state.next(task::state::Event::Resume));
            give(txn, &lease, inbox::merged(inputs), false);
            txn.put_run(run, None);
            txn.put_lease(lease)?;
            Ok(true)
        }
    }
}

/// What a warm process waited for was withdrawn: it is kept as long as its config says, or closed.
pub(crate) fn reconsider(txn: &mut Txn<'_>, task: &Task) -> Decided<()> {
    let lease = live::lease_of(txn, task)?.filter(Lease::is_idle);
    let Some(mut lease) = lease.filter(|lease| lease.steers.is_empty()) else { return Ok(()) };
    let run = txn.known(txn.run(lease.run_id))?;
    match until(txn, &lease, &run)?.filter(|_| !lease.interrupted) {
        Some(until) => {
            lease.idle_until = Some(until);
            txn.put_lease(lease)
        }
        None => shut(txn, lease),
    }
}

/// Hands an input to an execution that runs.
pub(crate) fn give(txn: &mut Txn<'_>, lease: &Lease, input: crate::input::Input, steer: bool) {
    let (attempt_id, term) = (lease.attempt_id, lease.term);
    let what = PushKind::Give { attempt_id, term, steer, input: Box::new(input) };
    txn.push(Push::to(lease, what));
}

/// Its time is over: it takes what has been collected meanwhile, or is closed.
pub(crate) fn close(txn: &mut Txn<'_>, attempt: AttemptId) -> Decided<()> {
    let Some(lease) = txn.lease(attempt)? else { return Ok(()) };
    if lease.idle_until.is_none_or(|until| until > txn.now) {
        return Ok(());
    }
    let mut task = txn.known(txn.task(lease.task_id))?;
    // A process that has not said what becomes of its steers will not.
    if task.inbox.is_empty() || !lease.steers.is_empty() {
        return shut(txn, lease);
    }
    if resume(txn, lease, &mut task)? {
        txn.put_task(task)?;
    }
    Ok(())
}

/// No further turn comes: its worker closes the agent and reports the end.
pub(crate) fn shut(txn: &mut Txn<'_>, mut lease: Lease) -> Decided<()> {
    let Turn::Idle(input_id, ended) = lease.turn else { return Ok(()) };
    lease.turn = Turn::Ended(input_id, ended);
    lease.idle_until = None;
    let at = Some((lease.run_id, Some(lease.attempt_id)));
    txn.event(lease.task_id, at, "closing", json!({}));
    txn.push(Push::to(&lease, PushKind::Close(lease.attempt_id)));
    txn.put_lease(lease)
}

/// A task of another agent, or of a hook, waits for the session of a run: if it is idle, it ends.
pub(crate) fn make_way(txn: &mut Txn<'_>, run: crate::id::RunId) -> Decided<()> {
    let run = txn.known(txn.run(run))?;
    match run.live_attempt_id {
        Some(attempt) => match txn.lease(attempt)?.filter(Lease::is_idle) {
            Some(lease) => shut(txn, lease),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// A class has work and no room, and keeps warm processes: the one that has been idle longest
/// makes room.
pub(crate) fn evict(txn: &mut Txn<'_>, instance: &str) -> Decided<()> {
    let idle = txn.idle_leases(instance)?;
    match idle.into_iter().min_by_key(|lease| (lease.idle_until, lease.attempt_id)) {
        Some(lease) => shut(txn, lease),
        None => Ok(()),
    }
}

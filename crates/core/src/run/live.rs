//! Messages for an execution that runs: into its turn, as its next one, or to stop it (INP-2).

use serde_json::json;

use super::Usage;
use super::{finish, idle};
use crate::budget;
use crate::engine::txn::{Decided, Txn, legal};
use crate::engine::{Push, PushKind};
use crate::id::InputId;
use crate::input::{self, Delivery, Input, Mode, Outcome, inbox, submit};
use crate::lease::{self, Lease, Stop, Turn};
use crate::run::start::Verdict;
use crate::task::{self, Task};

/// The lease under which a task's run is carried out now.
pub(crate) fn lease_of(txn: &Txn<'_>, task: &Task) -> Decided<Option<Lease>> {
    let Some(id) = task.target_run_id else { return Ok(None) };
    match txn.run(id)?.and_then(|run| run.live_attempt_id) {
        Some(attempt) => txn.lease(attempt),
        None => Ok(None),
    }
}

/// An input has come for a task whose run is carried out. What happened to it at once.
pub(crate) fn offer(
    txn: &mut Txn<'_>,
    lease: Lease,
    task: &mut Task,
    input: &Input,
) -> Decided<Delivery> {
    if lease.state == lease::State::Stopping {
        return Ok(Delivery::Queued);
    }
    match (&lease.turn, input.mode) {
        (Turn::Ended(..), _) => Ok(Delivery::Queued),
        (Turn::Idle(..), _) => {
            let resumed = idle::resume(txn, lease, task)?;
            Ok(if resumed { Delivery::Direct } else { Delivery::Queued })
        }
        (_, Mode::Interrupt) => {
            interrupt(txn, lease, task, input.id)?;
            Ok(Delivery::Interrupted)
        }
        (Turn::Open(_), Mode::Steer) => {
            steer(txn, lease, task)?;
            let taken = txn.known(txn.input(input.id))?.state != input::State::Waiting;
            Ok(if taken { Delivery::Direct } else { Delivery::Queued })
        }
        _ => Ok(Delivery::Queued),
    }
}

/// The running turn is to be stopped. One that the agent has not taken is stopped when it has:
/// its message is then part of the conversation, and not lost.
fn interrupt(txn: &mut Txn<'_>, mut lease: Lease, task: &Task, id: InputId) -> Decided<()> {
    let at = Some((lease.run_id, Some(lease.attempt_id)));
    txn.event(task.id, at, "interrupted", json!({ "input_id": id }));
    lease.interrupted = true;
    match lease.turn {
        Turn::Open(_) => stop_turn(txn, lease),
        _ => txn.put_lease(lease),
    }
}

/// Stops the turn that the agent has. An agent that cannot is stopped as a whole, and the task's
/// next run begins with the input that waits.
pub(crate) fn stop_turn(txn: &mut Txn<'_>, lease: Lease) -> Decided<()> {
    if lease.can.interrupt && lease.can.keep {
        say_interrupt(txn, &lease);
        return txn.put_lease(lease);
    }
    finish::stop(txn, lease, Stop::Interrupt)
}

/// It names the turn: one that arrives late must not stop the next one.
pub(crate) fn say_interrupt(txn: &mut Txn<'_>, lease: &Lease) {
    let (attempt_id, input_id) = (lease.attempt_id, lease.turn.input_id());
    txn.push(Push::to(lease, PushKind::Interrupt { attempt_id, input_id }));
}

/// Hands every steer that waits into the running turn, if the agent can take it.
pub(crate) fn steer(txn: &mut Txn<'_>, mut lease: Lease, task: &mut Task) -> Decided<()> {
    let takes = matches!(lease.turn, Turn::Open(_))
        && lease.state == lease::State::Held
        && lease.can.steer
        && !lease.interrupted;
    if !takes || task.inbox.is_empty() {
        return Ok(());
    }
    let mut left = Vec::with_capacity(task.inbox.len());
    let mut is_kept_back = false;
    for id in std::mem::take(&mut task.inbox) {
        let mut input = txn.known(txn.input(id))?;
        // Behind one that is to have a turn of its own the others wait: their order is kept.
        is_kept_back |= lease.returned.contains(&id);
        if input.mode != Mode::Steer || is_kept_back {
            left.push(id);
            continue;
        }
        inbox::give(txn, &mut input, lease.run_id);
        lease.steers.push(id);
        let at = Some((lease.run_id, Some(lease.attempt_id)));
        txn.event(task.id, at, "input_steered", json!({ "input_id": id }));
        idle::give(txn, &lease, input, true);
    }
    task.inbox = left;
    txn.put_lease(lease)
}

/// The agent has taken a steer into its running turn: the proof of `injected`.
pub(crate) fn injected(txn: &mut Txn<'_>, mut lease: Lease, id: InputId) -> Decided<Verdict> {
    let Some(input) = txn.input(id)?.filter(|input| input.run_id == Some(lease.run_id)) else {
        return Ok(Verdict::Illegal);
    };
    if let Some(place) = lease.steers.iter().position(|steer| *steer == id) {
        lease.steers.remove(place);
        submit::settle(txn, input, Outcome::Injected, None);
        let at = Some((lease.run_id, Some(lease.attempt_id)));
        txn.event(lease.task_id, at, "input_injected", json!({ "input_id": id }));
        txn.put_lease(lease)?;
    }
    Ok(Verdict::Accepted)
}

/// The agent has begun a turn with a steer by itself. Another one that was to be the next turn is
/// in the process like a steer, and may come after it.
pub(crate) fn begun(txn: &mut Txn<'_>, lease: &mut Lease, id: InputId) -> Decided<()> {
    lease.steers.retain(|steer| *steer != id);
    let mut run = txn.known(txn.run(lease.run_id))?;
    match lease.turn {
        Turn::Given(given) => lease.steers.insert(0, given),
        _ => {
            let mut task = txn.known(txn.task(lease.task_id))?;
            task.state = legal(task.state.next(task::state::Event::Resume));
            txn.put_task(task)?;
            lease.ended_turns += 1;
            lease.idle_until = None;
        }
    }
    run.input_id = Some(id);
    run.merged.clear();
    txn.put_run(run, None);
    lease.turn = Turn::Given(id);
    Ok(())
}

/// The agent has begun a turn with a steer by itself, although no further turn was to come: it has
/// taken it, and its process ends.
pub(crate) fn begun_late(txn: &mut Txn<'_>, mut lease: Lease, id: InputId) -> Decided<Verdict> {
    lease.steers.retain(|steer| *steer != id);
    lease.late = Some(id);
    let input = txn.known(txn.input(id))?;
    submit::settle(txn, input, Outcome::Turn, None);
    let mut run = txn.known(txn.run(lease.run_id))?;
    run.turn_count += 1;
    let at = Some((lease.run_id, Some(lease.attempt_id)));
    let payload = json!({ "input_id": id, "turn": run.turn_count });
    txn.event(lease.task_id, at, "turn_started", payload);
    txn.put_run(run, None);
    txn.put_lease(lease)?;
    Ok(Verdict::Accepted)
}

/// Such a turn has ended. It decides nothing any more, but what it used is used (INV-BUDGET-1).
pub(crate) fn ended_late(txn: &mut Txn<'_>, mut lease: Lease, used: Usage) -> Decided<Verdict> {
    lease.late = None;
    let mut run = txn.known(txn.run(lease.run_id))?;
    run.usage.add(used);
    let mut task = txn.known(txn.task(lease.task_id))?;
    budget::charge(txn, &mut task, used)?;
    txn.put_task(task)?;
    txn.put_run(run, None);
    txn.put_lease(lease)?;
    Ok(Verdict::Accepted)
}

/// A steer that its process will not take any more waits for a turn of its own.
pub(crate) fn returned(txn: &mut Txn<'_>, mut lease: Lease, id: InputId) -> Decided<Verdict> {
    if let Some(place) = lease.steers.iter().position(|steer| *steer == id) {
        let mut task = txn.known(txn.task(lease.task_id))?;
        lease.steers.remove(place);
        // What has left the inbox since is asked about no more.
        lease.returned.retain(|id| task.inbox.contains(id));
        lease.returned.push(id);
        txn.put_lease(lease.clone())?;
        fall_back(txn, &lease, &mut task, &[id], "returned")?;
        if matches!(lease.turn, Turn::Idle(..)) {
            idle::resume(txn, lease, &mut task)?;
        }
        txn.put_task(task)?;
    }
    Ok(Verdict::Accepted)
}

/// Steers that did not reach the turn that they were meant for wait again, before the others.
pub(crate) fn fall_back(
    txn: &mut Txn<'_>,
    lease: &Lease,
    task: &mut Task,
    steers: &[InputId],
    why: &str,
) -> Decided<()> {
    for id in steers.iter().rev() {
        if inbox::take_back(txn, task, *id)? {
            let at = Some((lease.run_id, Some(lease.attempt_id)));
            let payload = json!({ "input_id": id, "reason": why });
            txn.event(task.id, at, "steer_fallback", payload);
        }
    }
    Ok(())
}

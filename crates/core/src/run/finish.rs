//! The end of an attempt: its outcome, a retry or the end of its run, and what becomes of the
//! task (RUN-2, RUN-3, RUN-7, RUN-8). One transaction, whoever brings the news.

use serde_json::json;

use super::outcome::{Cause, Failure, Outcome, outcome};
use super::{Run, Status, live, state::Event};
use crate::attempt;
use crate::budget;
use crate::capacity::claim::{detail, wake_waiter};
use crate::capacity::health;
use crate::engine::txn::{Decided, Txn, legal};
use crate::engine::{Push, PushKind};
use crate::id::InputId;
use crate::input::{self, inbox, submit};
use crate::lease::{self, Lease, Stop, Turn};
use crate::limits;
use crate::task::{self, Parked, Task};
use crate::text::shortened;
use crate::time::Span;

pub(crate) fn finish(txn: &mut Txn<'_>, lease: Lease, cause: &Cause, text: &str) -> Decided<()> {
    // Another one's end before it may have closed its process, to make room.
    let mut lease = txn.known(txn.lease(lease.attempt_id))?;
    let mut task = txn.known(txn.task(lease.task_id))?;
    let mut run = txn.known(txn.run(lease.run_id))?;
    run.live_attempt_id = None;
    budget::unfinished(txn, &mut task, &mut run, &lease)?;
    let text = shortened(text, limits::TEXT_BYTES_MAX);
    let stop = match lease.stop {
        _ if task.cancel_requested_at.is_some() => Some(Stop::Cancel),
        // A turn that was to be stopped when it begins, and never did, is tried again.
        None if lease.interrupted && !matches!(lease.turn, Turn::Given(_)) => Some(Stop::Interrupt),
        stop => stop,
    };
    let mut outcome = outcome(&lease.turn, stop, cause, text);
    let unstarted = lease.state == lease::State::Granted;
    // What was nobody's failure uses up no retry; what goes on and on is somebody's.
    let may_be = run.excused_count < limits::EXCUSED_MAX;
    let excused = match outcome.failure {
        Some(Failure::Stopped) => may_be,
        Some(Failure::Lost) => unstarted && may_be,
        _ => false,
    };
    run.loss_count += u32::from(*cause == Cause::Lost && !excused);
    run.excused_count += u32::from(excused);
    end_attempt(txn, &lease, cause, &outcome)?;
    let event = match cause {
        Cause::Lost => lease::state::Event::Expire,
        _ => lease::state::Event::Release,
    };
    lease.state = legal(lease.state.next(event));
    txn.put_lease(lease.clone())?;
    if !excused {
        health::ended(txn, &lease, &outcome)?;
    }
    live::fall_back(txn, &lease, &mut task, &lease.steers, "process_ended")?;

    if outcome.failure == Some(Failure::Lost) && run.loss_count >= limits::POISON_LOSSES_MAX {
        let error = format!("set aside: it lost {} workers", run.loss_count);
        outcome.failure = Some(Failure::Poisoned);
        outcome.error = Some(error);
    }
    let retries = outcome.failure.is_some_and(Failure::is_retryable)
        && run.attempt_count - run.excused_count < run.policy.retry.max_attempts;
    if retries {
        retry(txn, &mut task, run, lease.turn.input_id(), &outcome);
        return txn.put_task(task);
    }
    // A lost worker may have given it to the agent without our knowing, and so may the worker of
    // an attempt before this one.
    if matches!(lease.turn, Turn::Given(_))
        && *cause != Cause::Lost
        && lease.ended_turns > 0
        && outcome.event != Event::Cancel
        && outcome.failure != Some(Failure::Poisoned)
        && give_back(txn, &mut task, &mut run)?
        && run.status == Status::Running
    {
        // The turn before was done well, or there would have been no next one.
        outcome = Outcome::succeeded();
    }
    end_run(txn, &mut task, run, &outcome)?;
    settle_task(txn, &mut task, &outcome)?;
    free_session(txn, &task)?;
    txn.put_task(task)?;
    Ok(())
}

fn end_attempt(txn: &mut Txn<'_>, lease: &Lease, cause: &Cause, outcome: &Outcome) -> Decided<()> {
    let mut attempt = txn.known(txn.attempt(lease.attempt_id))?;
    let event = match outcome.event {
        Event::Succeed => attempt::state::Event::Succeed,
        Event::TimeOut => attempt::state::Event::TimeOut,
        Event::Cancel => attempt::state::Event::Cancel,
        Event::Fail | Event::Start | Event::Retry => attempt::state::Event::Fail,
    };
    attempt.status = legal(attempt.status.next(event));
    attempt.ended_at = Some(txn.now);
    attempt.error = outcome.error.clone();
    attempt.failure = outcome.failure;
    attempt.exit_code = match cause {
        Cause::Exited { code } => Some(*code),
        _ => None,
    };
    txn.put_attempt(attempt);
    Ok(())
}

/// The later turn of a run that the agent never took waits again, before the others, and has a run
/// of its own. Whether it was so.
fn give_back(txn: &mut Txn<'_>, task: &mut Task, run: &mut Run) -> Decided<bool> {
    let mut any = false;
    let merged = std::mem::take(&mut run.merged);
    for id in run.input_id.into_iter().chain(merged).rev() {
        any |= inbox::take_back(txn, task, id)?;
    }
    if any {
        run.input_id = None;
    }
    Ok(any)
}

/// The run waits for its next attempt, through dispatch like everything else (RUN-7). It keeps
/// its session, so nothing else runs on it meanwhile.
fn retry(txn: &mut Txn<'_>, task: &mut Task, mut run: Run, input_id: InputId, outcome: &Outcome) {
    run.status = legal(run.status.next(Event::Retry));
    run.error = outcome.error.clone();
    run.failure = outcome.failure;
    // The turn is given again, also one that the agent had ended in an error.
    run.input_id = Some(input_id);
    let delay_ms = run.policy.retry.delay_ms;
    // It keeps its place: what was taken once is taken up again before what has waited less.
    task.state = legal(task.state.next(task::state::Event::Requeue));
    if delay_ms > 0 {
        task.parked = Some(Parked::Timer);
        task.wake_at = Some(txn.now + Span::millis(delay_ms as i64));
    }
    let payload = json!({
        "next_attempt_no": run.attempt_count + 1,
        "retry_delay_ms": delay_ms,
        "failure": outcome.failure.map(Failure::as_str),
        "error": outcome.error,
    });
    let at = Some((run.id, None));
    txn.event(task.id, at, "retry_scheduled", payload.clone());
    let payload = payload.as_object().cloned().unwrap_or_default();
    txn.put_run(run, Some(("retry_scheduled", payload)));
}

fn end_run(txn: &mut Txn<'_>, task: &mut Task, mut run: Run, outcome: &Outcome) -> Decided<()> {
    run.status = legal(run.status.next(outcome.event));
    run.ended_at = Some(txn.now);
    run.error = outcome.error.clone();
    run.failure = outcome.failure;
    for id in run.input_id.take().into_iter().chain(std::mem::take(&mut run.merged)) {
        let input = txn.known(txn.input(id))?;
        if input.state != input::State::Settled {
            let reason = match outcome.event {
                Event::Cancel if task.cancel_requested_at.is_some() => "cancelled",
                Event::Cancel => "interrupted",
                _ if outcome.failure == Some(Failure::Budget) => "budget",
                _ => "run_failed",
            };
            submit::settle(txn, input, input::Outcome::Dropped, Some(reason));
        }
    }
    let payload = json!({
        "status": run.status.as_str(),
        "failure": run.failure.map(Failure::as_str),
        "error": run.error,
    });
    txn.event(task.id, Some((run.id, None)), "finished", payload.clone());
    let payload = payload.as_object().cloned().unwrap_or_default();
    txn.put_run(run, Some(("finished", payload)));
    Ok(())
}

/// What the task becomes when its run has ended.
fn settle_task(txn: &mut Txn<'_>, task: &mut Task, outcome: &Outcome) -> Decided<()> {
    let poisoned = outcome.failure == Some(Failure::Poisoned);
    let interrupted = outcome.event == Event::Cancel
        && matches!(task.state, task::State::Running | task::State::Waiting)
        && task.cancel_requested_at.is_none();
    let event = match outcome.event {
        Event::Cancel if !interrupted || task.inbox.is_empty() => task::state::Event::Cancel,
        _ if poisoned => task::state::Event::Drop,
        // Inputs that wait have their own turns, whatever became of this one.
        _ if !task.inbox.is_empty() => task::state::Event::Requeue,
        Event::Succeed if outcome.waiting_for_input => task::state::Event::Ask,
        Event::Succeed => task::state::Event::Finish,
        _ => task::state::Event::Fail,
    };
    task.state = legal(task.state.next(event));
    task.error = outcome.error.clone();
    match event {
        task::state::Event::Requeue => {
            // That was its last run's.
            task.error = None;
            task.queued_at = Some(txn.now);
        }
        task::state::Event::Cancel => submit::drop_waiting(txn, task, "cancelled")?,
        task::state::Event::Drop => {
            task.dropped_reason = Some("poisoned".to_owned());
            submit::drop_waiting(txn, task, "poisoned")?;
        }
        _ => {}
    }
    Ok(())
}

fn free_session(txn: &mut Txn<'_>, task: &Task) -> Decided<()> {
    let session = txn.session(task.workspace_id, task.session_id.clone());
    let mut session = txn.known(session)?;
    session.live_run = None;
    wake_waiter(txn, &session)?;
    // Waking moved the waiter's count on the row: write only what is this function's.
    let row = txn.session(task.workspace_id, task.session_id.clone());
    session.waiter_count = txn.known(row)?.waiter_count;
    txn.put_session(session);
    Ok(())
}

/// Ends a run that has no live lease: it waited for its next attempt when it was cancelled.
pub(crate) fn cancel_idle(txn: &mut Txn<'_>, task: &mut Task, run: Run) -> Decided<()> {
    end_idle(txn, task, run, &Outcome::cancelled())
}

/// Ends a run that waits for its next attempt.
pub(crate) fn end_idle(
    txn: &mut Txn<'_>,
    task: &mut Task,
    run: Run,
    outcome: &Outcome,
) -> Decided<()> {
    end_run(txn, task, run, outcome)?;
    free_session(txn, task)
}

/// Asks the worker to stop; its report that nothing is left settles the rest.
pub(crate) fn stop(txn: &mut Txn<'_>, mut lease: Lease, why: Stop) -> Decided<()> {
    let attempt = txn.known(txn.attempt(lease.attempt_id))?;
    let (event, mut payload) = match why {
        Stop::Cancel => ("cancel_requested", detail(&attempt)),
        Stop::Interrupt | Stop::Budget => ("stop_requested", detail(&attempt)),
    };
    payload.insert("reason".to_owned(), why.as_str().into());
    let at = Some((lease.run_id, Some(lease.attempt_id)));
    txn.event(lease.task_id, at, event, payload.into());
    lease.stop = match (lease.stop, why) {
        (_, Stop::Cancel) | (None, _) => Some(why),
        (before, _) => before,
    };
    if lease.state != lease::State::Stopping {
        lease.state = legal(lease.state.next(lease::state::Event::Stop));
        lease.idle_until = None;
        txn.push(Push::to(&lease, PushKind::Cancel(lease.attempt_id)));
    }
    txn.put_lease(lease)
}

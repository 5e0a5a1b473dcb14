//! What a worker reports while an execution is on its way: started, turn taken, turn ended.
//!
//! Every report may come twice: one that is repeated changes nothing and is answered as before.

use serde_json::{Value, json};

use super::Usage;
use crate::attempt;
use crate::budget;
use crate::capacity::claim::detail;
use crate::engine::txn::{Decided, Txn, legal};
use crate::id::{AttemptId, IncarnationId, InputId, RunId, WorkerId};
use crate::input::inbox::{self, Next};
use crate::input::{self, Input, Outcome};
use crate::lease::{self, Can, Ended, Lease, Turn};
use crate::limits;
use crate::run::outcome::{Cause, Failure};
use crate::run::{self, idle, live};
use crate::task::{self, Task};
use crate::text::shortened;
use crate::time::Timestamp;

/// One thing that happened to an execution.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub attempt_id: AttemptId,
    pub term: u64,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The sandbox is up and the agent's process runs in it.
    Started { provider: Option<String>, model: Option<String>, can: Can },
    /// The agent has taken the input.
    TurnStarted { input_id: InputId },
    /// The agent's own end-of-work event.
    TurnEnded(Box<TurnEnded>),
    /// The agent has taken a steer into its running turn.
    Injected { input_id: InputId },
    /// A steer will not be taken by this process any more.
    Returned { input_id: InputId },
    /// What the running turn has used so far.
    Spent { input_id: InputId, usage: Usage },
    /// Nothing of the execution is left on the worker.
    Ended { cause: Cause, detail: String },
}

#[derive(Clone, Debug, PartialEq)]
pub struct TurnEnded {
    pub input_id: InputId,
    pub is_error: bool,
    pub reason: String,
    pub text: String,
    pub waiting_for_input: bool,
    pub usage: Usage,
    pub failure: Option<Failure>,
    /// The process can take no further turn.
    pub last: bool,
}

/// The answer to an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Accepted,
    /// The term is old or the execution is settled: stop it and report no more of it.
    Fenced,
    /// The next turn.
    Next(Box<Input>),
    /// Nothing waits: keep the agent, more will come.
    Wait,
    /// Close the agent and report the end.
    Close,
    /// It cannot follow what was reported before.
    Illegal,
}

/// Who writes: a worker's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    pub worker_id: WorkerId,
    pub incarnation: IncarnationId,
}

/// The lease, if the writer may still write under it (INV-LEASE-1).
pub(crate) fn held(
    txn: &Txn<'_>,
    writer: &Writer,
    attempt_id: AttemptId,
    term: u64,
) -> Decided<Option<Lease>> {
    Ok(txn.lease(attempt_id)?.filter(|lease| {
        lease.term == term
            && lease.worker_id == writer.worker_id
            && lease.incarnation == writer.incarnation
    }))
}

pub(crate) fn decide(txn: &mut Txn<'_>, writer: &Writer, event: &Event) -> Decided<Verdict> {
    let Some(lease) = held(txn, writer, event.attempt_id, event.term)? else {
        return Ok(Verdict::Fenced);
    };
    match &event.what {
        What::Started { provider, model, can } => started(txn, lease, provider, model, *can),
        What::TurnStarted { input_id } => turn_started(txn, lease, *input_id),
        What::TurnEnded(ended) => turn_ended(txn, lease, ended),
        What::Injected { input_id } => live::injected(txn, lease, *input_id),
        What::Returned { input_id } => live::returned(txn, lease, *input_id),
        What::Spent { input_id, usage } => spent(txn, lease, *input_id, *usage),
        What::Ended { cause, detail } => {
            super::finish::finish(txn, lease, cause, detail)?;
            Ok(Verdict::Accepted)
        }
    }
}

fn started(
    txn: &mut Txn<'_>,
    mut lease: Lease,
    provider: &Option<String>,
    model: &Option<String>,
    can: Can,
) -> Decided<Verdict> {
    let mut attempt = txn.known(txn.attempt(lease.attempt_id))?;
    let mut run = txn.known(txn.run(lease.run_id))?;
    if attempt.status != attempt::Status::Pending {
        // Told again, or once more with what was learned of the agent since.
        if model.is_some() && attempt.model != *model {
            attempt.model = model.clone();
            run.model = model.clone();
            txn.put_attempt(attempt);
            txn.put_run(run, None);
        }
        return Ok(Verdict::Accepted);
    }
    attempt.status = legal(attempt.status.next(attempt::state::Event::Start));
    attempt.started_at = Some(txn.now);
    attempt.provider = provider.clone();
    attempt.model = model.clone();
    run.status = legal(run.status.next(run::state::Event::Start));
    run.started_at = run.started_at.or(Some(txn.now));
    run.provider = provider.clone();
    run.model = model.clone();
    lease.state = legal(lease.state.next(lease::state::Event::Confirm));
    lease.can = can;
    let at = Some((run.id, Some(attempt.id)));
    txn.event(run.origin_task_id, at, "started", json!({ "attempt_no": attempt.attempt_no }));
    let detail = detail(&attempt);
    txn.put_attempt(attempt);
    txn.put_run(run, Some(("started", detail)));
    txn.put_lease(lease)?;
    Ok(Verdict::Accepted)
}

/// The input had its turn in this run before the one that the lease is at.
fn is_past(txn: &Txn<'_>, lease: &Lease, input_id: InputId) -> Decided<bool> {
    let input = txn.input(input_id)?;
    Ok(input.is_some_and(|input| {
        input.run_id == Some(lease.run_id) && input.state == input::State::Settled
    }))
}

/// The worker has said that the agent's process runs: without that nothing can succeed.
fn is_started(txn: &Txn<'_>, lease: &Lease) -> Decided<bool> {
    let attempt = txn.known(txn.attempt(lease.attempt_id))?;
    Ok(attempt.status == attempt::Status::Running)
}

fn turn_started(txn: &mut Txn<'_>, mut lease: Lease, input_id: InputId) -> Decided<Verdict> {
    match &lease.turn {
        Turn::Given(given) if *given == input_id => {}
        Turn::Open(open) if *open == input_id => return Ok(Verdict::Accepted),
        Turn::Ended(ended, _) if *ended == input_id => return Ok(Verdict::Accepted),
        // The start of a turn before this one, told again.
        _ if is_past(txn, &lease, input_id)? => return Ok(Verdict::Accepted),
        // The agent began it by itself, as it may with what its process has.
        Turn::Given(_) | Turn::Idle(..) if lease.steers.contains(&input_id) => {
            live::begun(txn, &mut lease, input_id)?;
        }
        Turn::Ended(..) if lease.steers.contains(&input_id) => {
            return live::begun_late(txn, lease, input_id);
        }
        _ => return Ok(Verdict::Illegal),
    }
    if !is_started(txn, &lease)? {
        return Ok(Verdict::Illegal);
    }
    let mut run = txn.known(txn.run(lease.run_id))?;
    settle_turn(txn, &run, input_id)?;
    let session = txn.session(lease.workspace_id, lease.session_id.clone());
    let mut session = txn.known(session)?;
    if !session.begun {
        session.begun = true;
        txn.put_session(session);
    }
    run.turn_count += 1;
    let at = Some((run.id, Some(lease.attempt_id)));
    let mut payload = json!({ "input_id": input_id, "turn": run.turn_count });
    if !run.merged.is_empty() {
        payload["merged_input_ids"] = json!(run.merged);
    }
    txn.event(run.origin_task_id, at, "turn_started", payload);
    txn.put_run(run, None);
    lease.turn = Turn::Open(input_id);
    lease.spent = Usage::default();
    if lease.interrupted && lease.state == lease::State::Held {
        live::stop_turn(txn, lease)?;
        return Ok(Verdict::Accepted);
    }
    txn.put_lease(lease.clone())?;
    let mut task = txn.known(txn.task(lease.task_id))?;
    let waiting = task.inbox.len();
    live::steer(txn, lease, &mut task)?;
    if task.inbox.len() != waiting {
        txn.put_task(task)?;
    }
    Ok(Verdict::Accepted)
}

/// The agent has taken the turn: each of its inputs has its outcome.
fn settle_turn(txn: &mut Txn<'_>, run: &run::Run, first: InputId) -> Decided<()> {
    for id in std::iter::once(first).chain(run.merged.iter().copied()) {
        let input = txn.known(txn.input(id))?;
        if input.state != input::State::Taken {
            continue;
        }
        let outcome = match (run.turn_count, input.delivery) {
            _ if !run.merged.is_empty() => Outcome::Collected,
            (0, input::Delivery::Restarted) => Outcome::Restarted,
            _ => Outcome::Turn,
        };
        input::submit::settle(txn, input, outcome, None);
    }
    Ok(())
}

/// What the running turn has used so far: a spent budget stops it (RUN-11).
fn spent(txn: &mut Txn<'_>, mut lease: Lease, id: InputId, usage: Usage) -> Decided<Verdict> {
    if lease.turn != Turn::Open(id) || lease.spent == usage {
        return Ok(Verdict::Accepted);
    }
    lease.spent = usage;
    let task = txn.known(txn.task(lease.task_id))?;
    match budget::spent(txn, &task, usage)? {
        Some(_) if lease.state == lease::State::Held && lease.stop.is_none() => {
            super::finish::stop(txn, lease, lease::Stop::Budget)?;
        }
        _ => txn.put_lease(lease)?,
    }
    Ok(Verdict::Accepted)
}

fn turn_ended(txn: &mut Txn<'_>, mut lease: Lease, ended: &TurnEnded) -> Decided<Verdict> {
    match &lease.turn {
        Turn::Open(open) if *open == ended.input_id => {}
        Turn::Given(given) if *given == ended.input_id => {
            // The agent ended a turn whose start got lost on its way: it did take the input,
            // unless it was told to stop before.
            let attempt_id = lease.attempt_id;
            if lease.interrupted && ended.reason == NOT_TAKEN {
                drop_turn(txn, lease.run_id)?;
            } else if turn_started(txn, lease, ended.input_id)? == Verdict::Illegal {
                return Ok(Verdict::Illegal);
            }
            lease = txn.known(txn.lease(attempt_id))?;
        }
        _ if ended.reason == NOT_TAKEN && lease.steers.contains(&ended.input_id) => {
            return live::returned(txn, lease, ended.input_id);
        }
        Turn::Idle(id, _) if *id == ended.input_id => return Ok(Verdict::Wait),
        Turn::Ended(id, _) if *id == ended.input_id => return Ok(Verdict::Close),
        Turn::Given(_) | Turn::Open(_) if is_past(txn, &lease, ended.input_id)? => {
            // The turn before this one, told again: its answer was the next input.
            let run = txn.known(txn.run(lease.run_id))?;
            return Ok(Verdict::Next(Box::new(inbox::turn_of(txn, &run)?)));
        }
        Turn::Ended(..) if lease.late == Some(ended.input_id) => {
            return live::ended_late(txn, lease, ended.usage);
        }
        // Or a steer made the turn after it, and that one has ended too.
        Turn::Idle(..) | Turn::Ended(..) if is_past(txn, &lease, ended.input_id)? => {
            return Ok(Verdict::Accepted);
        }
        Turn::Given(_) | Turn::Open(_) | Turn::Idle(..) | Turn::Ended(..) => {
            return Ok(Verdict::Illegal);
        }
    }
    let mut run = txn.known(txn.run(lease.run_id))?;
    let mut task = txn.known(txn.task(lease.task_id))?;
    run.usage.add(ended.usage);
    run.result = Some(shortened(&ended.text, limits::RESULT_BYTES_MAX).to_owned());
    run.waiting_for_input = ended.waiting_for_input;
    run.input_id = None;
    budget::charge(txn, &mut task, ended.usage)?;
    lease.spent = Usage::default();
    let at = Some((run.id, Some(lease.attempt_id)));
    txn.event(run.origin_task_id, at, "turn_ended", turn_payload(&run, ended));
    let interrupted = lease.interrupted;
    // It may have ended by itself before it heard of the interrupt.
    lease.interrupted = interrupted && is_aborted(ended);
    let goes_on = (!ended.is_error || lease.interrupted)
        && !ended.last
        && task.cancel_requested_at.is_none()
        && lease.state == lease::State::Held
        && budget::spent(txn, &task, Usage::default())?.is_none();
    let is_unsettled = goes_on && interrupted && lease.can.keep && !lease.steers.is_empty();
    let next = match goes_on && !is_unsettled {
        true => next_turn(txn, &mut lease, &mut task, run.id)?,
        false => Next::Nothing,
    };
    let verdict = match next {
        Next::Turn(inputs) => {
            run.input_id = Some(inputs[0].id);
            run.merged = inputs[1..].iter().map(|input| input.id).collect();
            lease.turn = Turn::Given(inputs[0].id);
            lease.interrupted = false;
            lease.ended_turns += 1;
            Verdict::Next(Box::new(inbox::merged(inputs)))
        }
        // Its process drops its steers with the turn, or begins them by itself: it says which.
        _ if is_unsettled => {
            lease.interrupted = true;
            let until = txn.now + limits::STEERS_SETTLE;
            wait(txn, &mut lease, &mut task, ended, until)
        }
        Next::Quiet(until) if lease.can.keep => wait(txn, &mut lease, &mut task, ended, until),
        Next::Nothing | Next::Quiet(_) => {
            let keeps = goes_on && !lease.interrupted;
            let until = if keeps { idle::until(txn, &lease, &run)? } else { None };
            match until {
                Some(until) => wait(txn, &mut lease, &mut task, ended, until),
                None => {
                    lease.turn = Turn::Ended(ended.input_id, end_of(ended));
                    Verdict::Close
                }
            }
        }
    };
    txn.put_task(task)?;
    txn.put_run(run, None);
    txn.put_lease(lease)?;
    Ok(verdict)
}

/// The process has no turn until `until`, unless an input comes.
fn wait(
    txn: &mut Txn<'_>,
    lease: &mut Lease,
    task: &mut Task,
    ended: &TurnEnded,
    until: Timestamp,
) -> Verdict {
    let at = Some((lease.run_id, Some(lease.attempt_id)));
    txn.event(task.id, at, "waiting", json!({ "idle_ms": (until - txn.now).0 }));
    lease.turn = Turn::Idle(ended.input_id, end_of(ended));
    lease.idle_until = Some(until);
    task.state = legal(task.state.next(task::state::Event::Ask));
    Verdict::Wait
}

/// The agent's word for a turn that it was told to stop before it had taken its input.
pub const NOT_TAKEN: &str = "cancelled";

/// The turn was stopped, and not done.
fn is_aborted(ended: &TurnEnded) -> bool {
    ended.is_error || ended.reason.starts_with("aborted") || ended.reason == NOT_TAKEN
}

/// The inputs of a turn that the agent did not take were for the turn that was interrupted.
fn drop_turn(txn: &mut Txn<'_>, run: RunId) -> Decided<()> {
    let run = txn.known(txn.run(run))?;
    for id in run.input_id.into_iter().chain(run.merged) {
        let input = txn.known(txn.input(id))?;
        if input.state == input::State::Taken {
            input::submit::settle(txn, input, Outcome::Dropped, Some("interrupted"));
        }
    }
    Ok(())
}

fn end_of(ended: &TurnEnded) -> Ended {
    Ended {
        is_error: ended.is_error,
        reason: ended.reason.clone(),
        text: match ended.is_error {
            true => shortened(&ended.text, limits::TEXT_BYTES_MAX).to_owned(),
            false => String::new(),
        },
        waiting_for_input: ended.waiting_for_input,
        failure: ended.failure,
    }
}

/// A steer that came too late for its turn makes the next one, since the agent has it already;
/// then come the inputs that wait.
fn next_turn(txn: &mut Txn<'_>, lease: &mut Lease, task: &mut Task, run: RunId) -> Decided<Next> {
    if lease.steers.is_empty() {
        return inbox::take(txn, task, run);
    }
    let id = lease.steers.remove(0);
    let at = Some((run, Some(lease.attempt_id)));
    let payload = json!({ "input_id": id, "reason": "turn_ended" });
    txn.event(task.id, at, "steer_fallback", payload);
    Ok(Next::Turn(vec![txn.known(txn.input(id))?]))
}

fn turn_payload(run: &run::Run, ended: &TurnEnded) -> Value {
    json!({
        "input_id": ended.input_id,
        "turn": run.turn_count,
        "is_error": ended.is_error,
        "reason": ended.reason,
        "waiting_for_input": ended.waiting_for_input,
        "usage": {
            "input_tokens": ended.usage.input_tokens,
            "output_tokens": ended.usage.output_tokens,
            "cache_read_tokens": ended.usage.cache_read_tokens,
            "cache_write_tokens": ended.usage.cache_write_tokens,
            "cost_micro_usd": ended.usage.cost_micro_usd,
        },
    })
}

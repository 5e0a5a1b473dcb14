//! Claiming a queued task for a worker (DSP-1, DSP-3): its run, attempt, lease and counts are
//! written together, or none of them.

use serde_json::{Map, Value, json};

use crate::agent::Agent;
use crate::attempt::{self, Attempt};
use crate::budget;
use crate::capacity::Instance;
use crate::capacity::needs::Room;
use crate::engine::Push;
use crate::engine::txn::{Decided, Txn, legal};
use crate::id::{AttemptId, IncarnationId, RunId, TaskId, WorkerId};
use crate::input::inbox::{self, Next};
use crate::input::{Input, Mode};
use crate::lease::{self, Can, Lease, Resources, Turn};
use crate::policy::RuntimeType;
use crate::run::{self, Run, Usage, idle};
use crate::session::Session;
use crate::task::{self, Parked, Task};
use crate::time::Timestamp;
use crate::worker::{Offer, Status};

/// Everything that a worker needs to carry out an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    pub worker_id: WorkerId,
    pub lease: Lease,
    pub attempt_no: u32,
    pub runtime: String,
    /// The conversation was begun before: resume it.
    pub resume: bool,
    /// What may still be spent, in millionths of a US dollar; 0: no limit.
    pub budget_micro_usd: u64,
    pub task: Task,
    pub agent: Agent,
    pub input: Input,
}

/// Starts the task if it may start; does nothing if it may not (any more).
pub(crate) fn decide(txn: &mut Txn<'_>, task_id: TaskId) -> Decided<()> {
    let Some(mut task) = txn.task(task_id)?.filter(Task::is_ready) else { return Ok(()) };
    let workspace = txn.known(txn.workspace(task.workspace_id))?;
    let mut instance = txn.known(txn.instance(task.instance_key.clone()))?;
    if workspace.paused || instance.room() == 0 {
        return Ok(());
    }
    let session = txn.session(task.workspace_id, task.session_id.clone());
    let mut session = txn.known(session)?;
    if let Some(live) = session.live_run
        && Some(live) != task.target_run_id
    {
        task.parked = Some(Parked::Session);
        txn.put_task(task)?;
        return idle::make_way(txn, live);
    }
    let agent = txn.known(txn.agent(task.agent_id))?;
    // Its row may be older than the agent's config (DSP-6).
    let found = instance.clone();
    instance.follow(&agent, &task.policy);
    if instance.room() == 0 {
        return txn.change_instance(instance);
    }
    let chosen = choose(txn, &agent, &instance)?;
    let (Some(chosen), true) = (chosen, budget::allows(txn, &task, &mut instance)?) else {
        if instance != found {
            // One that a budget holds back keeps nothing warm (INV-CAP-3).
            txn.change_instance(instance)?;
        }
        return budget::settle(txn, task);
    };
    let mut run = match open_run(txn, &task)? {
        Some(run) => run,
        None => match new_run(txn, &mut task)? {
            Some(run) => run,
            // More messages are being collected; meanwhile its session is for others.
            None => {
                txn.put_task(task)?;
                return wake_waiter(txn, &session);
            }
        },
    };
    reserve(txn, &chosen)?;

    instance.serve(txn.now);
    let resources = instance.needs.resources;
    txn.put_instance(instance);
    txn.staged.served.push((workspace.id, workspace.weight));
    session.term += 1;
    let attempt = new_attempt(txn, &run, &chosen, session.term);
    run.attempt_count = attempt.attempt_no;
    run.live_attempt_id = Some(attempt.id);
    run.runtime = Some(chosen.runtime.clone());
    run.runtime_note = chosen.note.clone();
    let input_id = run.input_id.expect("a run that is claimed has an input");
    let input = inbox::turn_of(txn, &run)?;
    let lease = Lease {
        attempt_id: attempt.id,
        run_id: run.id,
        task_id: task.id,
        workspace_id: task.workspace_id,
        session_id: task.session_id.clone(),
        instance_key: task.instance_key.clone(),
        worker_id: chosen.worker_id.clone(),
        incarnation: chosen.incarnation,
        term: session.term,
        state: lease::State::Granted,
        turn: Turn::Given(input_id),
        can: Can::default(),
        steers: Vec::new(),
        returned: Vec::new(),
        interrupted: attempt.attempt_no > 1 && is_interrupted(txn, &task)?,
        stop: None,
        idle_until: None,
        spent: Usage::default(),
        resources,
        late: None,
        ended_turns: 0,
        next_chunk: 0,
    };
    let resume = session.begun;
    session.live_run = Some(run.id);
    txn.put_session(session);
    txn.create_lease(lease.clone())?;
    task.state = legal(task.state.next(task::state::Event::Claim));
    task.target_run_id = Some(run.id);
    task.dispatched_at = Some(txn.now);
    txn.put_task(task.clone())?;
    // Others of its class may have had their eyes on the room that it took.
    let instance = txn.known(txn.instance(task.instance_key.clone()))?;
    if instance.is_starved() {
        idle::evict(txn, &instance.key)?;
    }
    let payload = json!({
        "attempt_no": attempt.attempt_no,
        "worker_id": chosen.worker_id,
        "runtime": chosen.runtime,
    });
    let Value::Object(detail) = payload.clone() else { unreachable!() };
    let attempt_no = attempt.attempt_no;
    let budget_micro_usd = budget::left_micro_usd(txn, &task)?;
    txn.event(task.id, Some((run.id, Some(attempt.id))), "accepted", payload);
    txn.put_attempt(attempt);
    txn.put_run(run, Some(("accepted", detail)));
    let assignment = Assignment {
        worker_id: chosen.worker_id.clone(),
        lease,
        attempt_no,
        runtime: chosen.runtime,
        resume,
        budget_micro_usd,
        task,
        agent,
        input,
    };
    txn.push(Push::assign(assignment));
    Ok(())
}

/// An interrupt waits: the turn that is tried again is stopped when it begins.
fn is_interrupted(txn: &Txn<'_>, task: &Task) -> Decided<bool> {
    let Some(first) = task.inbox.first() else { return Ok(false) };
    Ok(txn.known(txn.input(*first))?.mode == Mode::Interrupt)
}

/// The worker that is to have it.
struct Chosen {
    worker_id: WorkerId,
    incarnation: IncarnationId,
    runtime: String,
    note: Option<String>,
}

/// Of the workers that fit, one that has the agent's program before one that has not (it refuses
/// and says what is missing), then the one with most free slots. A connection may outlive its
/// worker: only those that the store knows as available count.
fn choose(txn: &Txn<'_>, agent: &Agent, instance: &Instance) -> Decided<Option<Chosen>> {
    let runner = agent.text("runner").unwrap_or_default();
    let fallback = txn.config.fallback_runtime.as_deref();
    let mut best: Option<((bool, u32), Chosen)> = None;
    for (worker_id, connected) in txn.offers.connected() {
        let free = txn.free_slots(worker_id);
        let asked = instance.needs.runtime_type;
        let fitting = fit(&connected.offer, asked, fallback).filter(|_| free > 0);
        let Some((runtime, note)) = fitting else { continue };
        let current = txn.worker(worker_id.clone())?.is_some_and(|worker| {
            worker.incarnation == connected.incarnation
                && worker.status == Status::Available
                && instance.needs.fits(&Room::of(&connected.offer, worker.reserved, fallback))
        });
        let has_runner = connected.offer.runners.iter().any(|offered| offered == runner);
        let rank = (has_runner, free);
        if current && best.as_ref().is_none_or(|(known, _)| rank > *known) {
            let chosen = Chosen {
                worker_id: worker_id.clone(),
                incarnation: connected.incarnation,
                runtime,
                note,
            };
            best = Some((rank, chosen));
        }
    }
    Ok(best.map(|(_, chosen)| chosen))
}

/// Counts the grant on the worker's row. The write's guard is what makes a claim fail that races
/// with the worker's next incarnation or its loss, on whichever server those were noticed.
fn reserve(txn: &mut Txn<'_>, chosen: &Chosen) -> Decided<()> {
    let mut worker = txn.known(txn.worker(chosen.worker_id.clone()))?;
    worker.grant_count += 1;
    txn.put_worker(worker);
    Ok(())
}

/// The runtime that a worker would use for a policy, and why when it is another than asked for.
pub fn fit(
    offer: &Offer,
    asked: RuntimeType,
    fallback: Option<&str>,
) -> Option<(String, Option<String>)> {
    let offers = |name: &str| offer.runtimes.iter().any(|runtime| runtime == name);
    if offers(asked.as_str()) {
        return Some((asked.as_str().to_owned(), None));
    }
    let fallback = fallback.filter(|name| offers(name))?;
    let note = format!(
        "the policy asks for {asked}, which no worker here offers; \
         this server's fallback for development is {fallback}"
    );
    Some((fallback.to_owned(), Some(note)))
}

/// The run that waits for its next attempt.
fn open_run(txn: &Txn<'_>, task: &Task) -> Decided<Option<Run>> {
    match task.target_run_id {
        Some(id) => Ok(txn.run(id)?.filter(|run| !run.status.is_terminal())),
        None => Ok(None),
    }
}

/// A new run with the task's next turn; without one the task is parked until there is.
fn new_run(txn: &mut Txn<'_>, task: &mut Task) -> Decided<Option<Run>> {
    let run_id = RunId(txn.ids.uuid());
    let inputs = match inbox::take(txn, task, run_id)? {
        Next::Turn(inputs) => inputs,
        Next::Quiet(until) => {
            task.parked = Some(Parked::Quiet);
            task.wake_at = Some(until);
            return Ok(None);
        }
        Next::Nothing => unreachable!("INV-TASK-2: a queued task without a run has an input"),
    };
    Ok(Some(Run {
        id: run_id,
        workspace_id: task.workspace_id,
        agent_id: task.agent_id,
        origin_task_id: task.id,
        session_id: task.session_id.clone(),
        status: run::Status::Accepted,
        policy: task.policy.clone(),
        runtime: None,
        runtime_note: None,
        provider: None,
        model: None,
        timeout_ms: task.details.timeout_ms,
        instance_key: task.instance_key.clone(),
        input_id: Some(inputs[0].id),
        merged: inputs[1..].iter().map(|input| input.id).collect(),
        live_attempt_id: None,
        attempt_count: 0,
        excused_count: 0,
        loss_count: 0,
        turn_count: 0,
        usage: Usage::default(),
        result: None,
        waiting_for_input: false,
        error: None,
        failure: None,
        snapshot_seq: 0,
        started_at: None,
        ended_at: None,
        created_at: txn.now,
        updated_at: txn.now,
    }))
}

fn new_attempt(txn: &mut Txn<'_>, run: &Run, chosen: &Chosen, term: u64) -> Attempt {
    let attempt_no = run.attempt_count + 1;
    let strategy = match attempt_no {
        1 => attempt::Strategy::Primary,
        _ => attempt::Strategy::Retry,
    };
    Attempt {
        id: AttemptId(txn.ids.uuid()),
        run_id: run.id,
        task_id: run.origin_task_id,
        attempt_no,
        status: attempt::Status::Pending,
        strategy,
        worker_id: chosen.worker_id.clone(),
        term,
        runtime: Some(chosen.runtime.clone()),
        provider: None,
        model: None,
        exit_code: None,
        error: None,
        failure: None,
        started_at: None,
        ended_at: None,
        created_at: txn.now,
        updated_at: txn.now,
    }
}

/// The assignment of a lease once more, for a worker that may not have got it.
pub(crate) fn again(txn: &Txn<'_>, lease: Lease) -> Decided<Option<Assignment>> {
    if !matches!(lease.turn, Turn::Given(_)) {
        return Ok(None);
    }
    let attempt = txn.known(txn.attempt(lease.attempt_id))?;
    let task = txn.known(txn.task(lease.task_id))?;
    let agent = txn.known(txn.agent(task.agent_id))?;
    let run = txn.known(txn.run(lease.run_id))?;
    let input = inbox::turn_of(txn, &run)?;
    let budget_micro_usd = budget::left_micro_usd(txn, &task)?;
    let session = txn.session(lease.workspace_id, lease.session_id.clone());
    let resume = txn.known(session)?.begun;
    Ok(Some(Assignment {
        worker_id: lease.worker_id.clone(),
        attempt_no: attempt.attempt_no,
        runtime: attempt.runtime.unwrap_or_default(),
        resume,
        budget_micro_usd,
        task,
        agent,
        input,
        lease,
    }))
}

/// A parked task whose time has come is ready again.
pub(crate) fn wake(txn: &mut Txn<'_>, task_id: TaskId, now: Timestamp) -> Decided<()> {
    if let Some(mut task) = txn.task(task_id)?
        && matches!(task.parked, Some(Parked::Timer | Parked::Quiet))
        && task.wake_at.is_some_and(|at| at <= now)
    {
        task.parked = None;
        task.wake_at = None;
        txn.put_task(task)?;
    }
    Ok(())
}

/// The session is free: its next waiting task is ready again.
pub(crate) fn wake_waiter(txn: &mut Txn<'_>, session: &Session) -> Decided<()> {
    if session.live_run.is_some() || session.waiter_count == 0 {
        return Ok(());
    }
    let find = crate::batch::Find::Waiters {
        workspace: session.workspace_id,
        session: session.id.clone(),
    };
    let crate::batch::Found::Waiters(waiters) = txn.find(find)? else {
        unreachable!("a search is answered in kind")
    };
    let waits =
        |task: &Task| task.state == task::State::Queued && task.parked == Some(Parked::Session);
    let mut waiting = txn.tasks_of_round(session);
    for id in waiters {
        waiting.push(txn.known(txn.task(id))?);
    }
    waiting.retain(waits);
    waiting.sort_by_key(|task| (task.queued_at, task.id));
    // The first that could start: one that its class, its budget or the lack of a worker keeps
    // back would keep back all.
    let mut next = waiting.first().cloned();
    for task in waiting {
        let instance = txn.known(txn.instance(task.instance_key.clone()))?;
        let fits = |offer: &Offer| {
            let fallback = txn.config.fallback_runtime.as_deref();
            instance.needs.fits(&Room::of(offer, Resources::default(), fallback))
        };
        if instance.room() > 0 && txn.offers.connected().any(|(_, worker)| fits(&worker.offer)) {
            next = Some(task);
            break;
        }
    }
    match next {
        Some(next) => txn.put_task(Task { parked: None, ..next }),
        None => Ok(()),
    }
}

/// What the snapshot of a run says about an attempt.
pub(crate) fn detail(attempt: &Attempt) -> Map<String, Value> {
    let mut detail = Map::new();
    detail.insert("attempt_id".to_owned(), attempt.id.to_string().into());
    detail.insert("attempt_no".to_owned(), attempt.attempt_no.into());
    detail
}

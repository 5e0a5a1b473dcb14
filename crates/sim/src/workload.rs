//! # What clients do
//!
//! **What** The mix of commands: few agents and few sessions, so that sessions are shared, classes
//! fill up and tasks are cancelled at every moment of their lives.

use hostler_core::agent::manage::{CreateAgent, UpdateAgent};
use hostler_core::command::Command;
use hostler_core::id::{InputId, RunId, TaskId, WorkspaceId};
use hostler_core::input::edit::EditInput;
use hostler_core::input::submit::{Submit, Target};
use hostler_core::key::{Key, Row};
use hostler_core::policy::{PolicyPatch, RetryPatch};
use hostler_core::task::accept::Accept;
use hostler_core::task::{Priority, State};
use serde_json::json;

use crate::client::Kind;
use crate::dice::Dice;
use crate::world::World;

const WORKSPACE: WorkspaceId = WorkspaceId::DEFAULT;
const AGENTS: [&str; 3] = ["ada", "bert", "cleo"];
/// Made and deleted all the time: a key counts for one life of it only.
const MORTAL: &str = "dora";
/// How a message begins that makes its agent take the worker down.
pub const POISON: &str = "die";
/// How long processes are kept: not at all, a moment, and for longer than most clients wait. Not
/// longer: a process that is kept takes a place of its worker, also while other classes wait.
const IDLE_TIMEOUTS_MS: [u64; 4] = [0, 400, 3_000, 12_000];
const SESSIONS: [&str; 3] = ["red", "green", "blue"];

/// The next command of a client. The first ones make the agents.
pub fn next(world: &mut World, client: usize) -> (Kind, Command) {
    let made = world.model.agents.len();
    if made < AGENTS.len() {
        world.model.agents.push(AGENTS[made].to_owned());
        return (Kind::Other, create(&mut world.dice, AGENTS[made]));
    }
    let key = format!("c{client}-{}", world.clients[client].last_op);
    let mut known = world.clients[client].tasks.clone();
    if world.dice.chance(5_000) {
        let live: Vec<TaskId> =
            known.iter().copied().filter(|task| is_live(world, *task)).collect();
        known = if live.is_empty() { known } else { live };
    }
    let dice = &mut world.dice;
    if known.is_empty() {
        return (Kind::Keyed(key.clone()), accept(dice, key));
    }
    let task = *dice.pick(&known);
    // Commands that others add (workspaces, instances, schedules, budgets) have their place here.
    match dice.below(40) {
        0..=9 => (Kind::Keyed(key.clone()), accept(dice, key)),
        10..=24 => submit_now(world, client, task, key),
        25..=27 => (Kind::Other, edit(world, client, task)),
        28 | 29 => (Kind::Other, withdraw(world, client, task)),
        30 | 31 => (Kind::Other, Command::CancelTask { workspace: WORKSPACE, task }),
        32 => cancel_run(world, task),
        33 => (Kind::Other, Command::ArchiveTask { workspace: WORKSPACE, task }),
        34 | 35 => (Kind::Other, update(dice)),
        36 | 37 => reuse(world, task, key),
        _ => (Kind::Other, mortal(dice, key)),
    }
}

fn create(dice: &mut Dice, agent: &str) -> Command {
    let mut config = serde_json::Map::new();
    config.insert("runner".to_owned(), "scripted".into());
    config.insert("max_concurrency".to_owned(), dice.range(1, 3).into());
    config.insert("idle_timeout_ms".to_owned(), (*dice.pick(&IDLE_TIMEOUTS_MS)).into());
    let create = CreateAgent {
        agent_key: Some(agent.to_owned()),
        name: Some(agent.to_owned()),
        config,
        active: None,
    };
    Command::CreateAgent { workspace: WORKSPACE, create: Box::new(create) }
}

fn mortal(dice: &mut Dice, key: String) -> Command {
    match dice.below(3) {
        0 => Command::DeleteAgent { workspace: WORKSPACE, agent: MORTAL.to_owned() },
        1 => create(dice, MORTAL),
        _ => {
            let Command::Accept { workspace, mut accept } = accept(dice, format!("dora {key}"))
            else {
                unreachable!("an accept is an accept")
            };
            accept.agent = Some(MORTAL.to_owned());
            Command::Accept { workspace, accept }
        }
    }
}

fn update(dice: &mut Dice) -> Command {
    let idle_ms = *dice.pick(&IDLE_TIMEOUTS_MS);
    let config = json!({ "max_concurrency": dice.range(1, 4), "idle_timeout_ms": idle_ms });
    let config = config.as_object().cloned();
    let active = Some(!dice.chance(1_500));
    let update = UpdateAgent { name: None, config, active };
    let agent = (*dice.pick(&AGENTS)).to_owned();
    Command::UpdateAgent { workspace: WORKSPACE, agent, update: Box::new(update) }
}

fn accept(dice: &mut Dice, key: String) -> Command {
    let session_id = dice.chance(6_500).then(|| (*dice.pick(&SESSIONS)).to_owned());
    let agent = (*dice.pick(&AGENTS)).to_owned();
    let policy = dice.chance(4_000).then(|| PolicyPatch {
        runtime_type: dice.chance(3_000).then(|| "runc".to_owned()),
        retry: Some(RetryPatch {
            max_attempts: Some(dice.range(1, 6)),
            delay_ms: Some(*dice.pick(&[0, 0, 300, 3_000])),
        }),
        ..PolicyPatch::default()
    });
    let verb = if dice.chance(300) { POISON } else { "do" };
    let accept = Accept {
        message: Some(format!("{verb} {key}")),
        agent: Some(agent),
        idempotency_key: Some(key),
        session_id,
        // A hook's command is a task of its own, also on a session that has one.
        hook_id: dice.chance(1_500).then_some(7),
        policy,
        lane: dice.chance(1_500).then(|| "night".to_owned()),
        priority: dice.chance(3_000).then(|| dice.pick(Priority::ALL).as_str().to_owned()),
        ..Accept::default()
    };
    Command::Accept { workspace: WORKSPACE, accept: Box::new(accept) }
}

fn submit(dice: &mut Dice, task: TaskId, key: String) -> Command {
    let mode = match dice.below(10) {
        0..=3 => Some("steer"),
        4 | 5 => Some("interrupt"),
        6 | 7 => Some("collect"),
        8 => Some("queue"),
        _ => None,
    };
    let submit = Submit {
        message: Some(format!("more {key}")),
        queue_mode: mode.map(str::to_owned),
        idempotency_key: Some(key),
        ..Submit::default()
    };
    let target = Target::Task(task);
    Command::Submit { workspace: WORKSPACE, target, submit: Box::new(submit) }
}

/// One that may name a run that it is for: the live one, one of the past, one of another task.
fn submit_now(world: &mut World, client: usize, task: TaskId, key: String) -> (Kind, Command) {
    let run = run_of(world, task);
    world.clients[client].runs.extend(run);
    let seen = world.clients[client].runs.clone();
    let dice = &mut world.dice;
    let mut command = submit(dice, task, key.clone());
    if let Command::Submit { submit, target, .. } = &mut command
        && !seen.is_empty()
    {
        submit.expected_run_id = match dice.below(12) {
            0 | 1 => run,
            2 => Some(*dice.pick(&seen)),
            _ => None,
        };
        if let (Some(run), true) = (run, dice.chance(2_000)) {
            *target = Target::Run(run);
        }
    }
    (Kind::Keyed(key), command)
}

/// One that waits, as the screen shows it; or any that the client knows of.
fn some_input(world: &mut World, client: usize, task: TaskId) -> Option<InputId> {
    let inbox = match world.disk.row(Key::Task(task)) {
        Some(Row::Task(row)) => row.inbox,
        _ => Vec::new(),
    };
    let known = world.clients[client].inputs.clone();
    let from = if inbox.is_empty() || world.dice.chance(3_000) { &known } else { &inbox };
    (!from.is_empty()).then(|| *world.dice.pick(from))
}

/// Changed, moved or both.
fn edit(world: &mut World, client: usize, task: TaskId) -> Command {
    let Some(input) = some_input(world, client, task) else {
        return update(&mut world.dice);
    };
    let dice = &mut world.dice;
    let edit = EditInput {
        message: dice.chance(5_000).then(|| "changed".to_owned()),
        attachments: None,
        position: dice.chance(7_000).then(|| dice.below(4) as usize),
    };
    Command::EditInput { workspace: WORKSPACE, input, edit: Box::new(edit) }
}

fn withdraw(world: &mut World, client: usize, task: TaskId) -> Command {
    match some_input(world, client, task) {
        Some(input) => Command::WithdrawInput { workspace: WORKSPACE, input },
        None => update(&mut world.dice),
    }
}

fn is_live(world: &World, task: TaskId) -> bool {
    match world.disk.row(Key::Task(task)) {
        Some(Row::Task(row)) => matches!(row.state, State::Running | State::Waiting),
        _ => false,
    }
}

/// The task's run as the store has it: a person reads it off the screen.
fn run_of(world: &World, task: TaskId) -> Option<RunId> {
    match world.disk.row(Key::Task(task)) {
        Some(Row::Task(row)) => row.target_run_id,
        _ => None,
    }
}

fn cancel_run(world: &World, task: TaskId) -> (Kind, Command) {
    let command = match run_of(world, task) {
        Some(run) => Command::CancelRun { workspace: WORKSPACE, run },
        None => Command::CancelTask { workspace: WORKSPACE, task },
    };
    (Kind::Other, command)
}

/// A key that this client has used for the task, with another body; a new one if there is none.
fn reuse(world: &mut World, task: TaskId, key: String) -> (Kind, Command) {
    let accepted = world.model.accepted.iter();
    let used = accepted.filter(|(_, (of, _))| *of == task).map(|(used, _)| used.clone()).next();
    let dice = &mut world.dice;
    match used {
        Some(used) => {
            let Command::Submit { workspace, target, mut submit } =
                submit(dice, task, used.clone())
            else {
                unreachable!("a submit is a submit")
            };
            submit.message = Some(format!("something else {key}"));
            (Kind::Reused(used), Command::Submit { workspace, target, submit })
        }
        None => (Kind::Keyed(key.clone()), submit(dice, task, key)),
    }
}

pub fn shown(command: &Command) -> String {
    match command {
        Command::Accept { accept, .. } => format!(
            "accepts {:?} agent {:?} session {:?} hook {:?}",
            accept.idempotency_key, accept.agent, accept.session_id, accept.hook_id
        ),
        Command::Submit { target, submit, .. } => {
            let (mode, run) = (&submit.queue_mode, submit.expected_run_id);
            format!("sends {:?} {mode:?} to {target:?} for {run:?}", submit.idempotency_key)
        }
        other => format!("{other:?}"),
    }
}

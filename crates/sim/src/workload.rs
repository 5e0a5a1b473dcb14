//! # What clients do
//!
//! **What** The mix of commands: few agents and few sessions, so that sessions are shared, classes
//! fill up and tasks are cancelled at every moment of their lives.

use hostler_core::agent::manage::{CreateAgent, UpdateAgent};
use hostler_core::command::Command;
use hostler_core::id::{TaskId, WorkspaceId};
use hostler_core::input::submit::{Submit, Target};
use hostler_core::policy::{PolicyPatch, RetryPatch};
use hostler_core::task::Priority;
use hostler_core::task::accept::Accept;
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
const SESSIONS: [&str; 3] = ["red", "green", "blue"];

/// The next command of a client. The first ones make the agents.
pub fn next(world: &mut World, client: usize) -> (Kind, Command) {
    let made = world.model.agents.len();
    if made < AGENTS.len() {
        world.model.agents.push(AGENTS[made].to_owned());
        return (Kind::Other, create(&mut world.dice, AGENTS[made]));
    }
    let key = format!("c{client}-{}", world.clients[client].last_op);
    let known = world.clients[client].tasks.clone();
    let dice = &mut world.dice;
    if known.is_empty() {
        return (Kind::Keyed(key.clone()), accept(dice, key));
    }
    let task = *dice.pick(&known);
    match dice.below(20) {
        0..=8 => (Kind::Keyed(key.clone()), accept(dice, key)),
        9..=12 => (Kind::Keyed(key.clone()), submit(dice, task, key)),
        13 | 14 => (Kind::Other, Command::CancelTask { workspace: WORKSPACE, task }),
        15 => cancel_run(world, task),
        16 => (Kind::Other, Command::ArchiveTask { workspace: WORKSPACE, task }),
        17 => (Kind::Other, update(dice)),
        18 => reuse(world, task, key),
        _ => (Kind::Other, mortal(dice, key)),
    }
}

fn create(dice: &mut Dice, agent: &str) -> Command {
    let mut config = serde_json::Map::new();
    config.insert("runner".to_owned(), "scripted".into());
    config.insert("max_concurrency".to_owned(), dice.range(1, 3).into());
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
    let config = json!({ "max_concurrency": dice.range(1, 4) }).as_object().cloned();
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
    let submit = Submit {
        message: Some(format!("more {key}")),
        queue_mode: dice.chance(3_000).then(|| "queue".to_owned()),
        idempotency_key: Some(key),
        ..Submit::default()
    };
    let target = Target::Task(task);
    Command::Submit { workspace: WORKSPACE, target, submit: Box::new(submit) }
}

/// The task's run as the store has it: a person reads it off the screen.
fn cancel_run(world: &World, task: TaskId) -> (Kind, Command) {
    let run = match world.disk.row(hostler_core::key::Key::Task(task)) {
        Some(hostler_core::key::Row::Task(row)) => row.target_run_id,
        _ => None,
    };
    let command = match run {
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
            format!("sends {:?} to {target:?}", submit.idempotency_key)
        }
        other => format!("{other:?}"),
    }
}

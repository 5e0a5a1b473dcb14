//! # What clients do
//!
//! **What** The mix of commands: few agents and few sessions, so that sessions are shared, classes
//! fill up and tasks are cancelled at every moment of their lives.

use hostler_core::agent::manage::{CreateAgent, UpdateAgent};
use hostler_core::capacity::manage::UpdateInstance;
use hostler_core::command::Command;
use hostler_core::id::{InputId, RunId, ScheduleId, TaskId, WorkspaceId};
use hostler_core::input::edit::EditInput;
use hostler_core::input::submit::{Submit, Target};
use hostler_core::key::{Key, Row};
use hostler_core::policy::{PolicyPatch, RetryPatch};
use hostler_core::schedule::Overlap;
use hostler_core::schedule::backfill::Backfill;
use hostler_core::schedule::manage::{CreateSchedule, Options, UpdateSchedule};
use hostler_core::task::accept::Accept;
use hostler_core::task::{Priority, State};
use hostler_core::time::Timestamp;
use hostler_core::workspace::manage::{CreateWorkspace, UpdateWorkspace};
use serde_json::{Map, Value, json};

use crate::client::Kind;
use crate::dice::Dice;
use crate::world::{START, World};

const WORKSPACE: WorkspaceId = WorkspaceId::DEFAULT;
const AGENTS: [&str; 3] = ["ada", "bert", "cleo"];
/// Made and deleted all the time: a key counts for one life of it only.
const MORTAL: &str = "dora";
/// How a message begins that makes its agent take the worker down.
pub const POISON: &str = "die";
/// How a message begins whose turn fails.
pub const BAD: &str = "bad";
/// The agent whose messages are such, in some worlds.
const SICK: &str = "bert";
/// A pool that one worker has, in some worlds.
pub const POOL: &str = "side";
/// The second workspace, in some worlds.
const OTHER: WorkspaceId = WorkspaceId(2);
/// Schedules that one client makes.
const SCHEDULES_MAX: usize = 3;
/// How long processes are kept: not at all, a moment, and for longer than most clients wait. Not
/// longer: a process that is kept takes a place of its worker, also while other classes wait.
const IDLE_TIMEOUTS_MS: [u64; 4] = [0, 400, 3_000, 12_000];
const SESSIONS: [&str; 3] = ["red", "green", "blue"];

/// What there is of in a world.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    pub schedules: bool,
    budgets: bool,
    pauses: bool,
    sick: bool,
    /// Changes of instances, and of what agents need.
    classes: bool,
    two_workspaces: bool,
}

impl Habits {
    pub fn drawn(dice: &mut Dice) -> Habits {
        Habits {
            schedules: dice.chance(5_000),
            budgets: dice.chance(3_500),
            pauses: dice.chance(5_000),
            sick: dice.chance(3_000),
            classes: dice.chance(5_000),
            two_workspaces: dice.chance(3_000),
        }
    }
}

/// The next command of a client, in its workspace.
pub fn next(world: &mut World, client: usize) -> (Kind, Command) {
    let is_there = world.disk.row(Key::Workspace(OTHER)).is_some();
    if world.habits.two_workspaces && client > 0 {
        if is_there && world.clients[client].workspace != OTHER {
            world.clients[client].workspace = OTHER;
            world.clients[client].tasks.clear();
            world.clients[client].inputs.clear();
            world.clients[client].runs.clear();
            world.clients[client].schedules.clear();
        } else if !is_there && world.dice.chance(5_000) {
            let create = CreateWorkspace { key: Some("other".to_owned()) };
            return (Kind::Other, Command::CreateWorkspace { create: Box::new(create) });
        }
    }
    let (kind, mut command) = choose(world, client);
    put_in(&mut command, world.clients[client].workspace);
    (kind, command)
}

/// Commands are made for the default workspace.
fn put_in(command: &mut Command, id: WorkspaceId) {
    match command {
        Command::Accept { workspace, .. }
        | Command::Submit { workspace, .. }
        | Command::EditInput { workspace, .. }
        | Command::WithdrawInput { workspace, .. }
        | Command::CancelTask { workspace, .. }
        | Command::CancelRun { workspace, .. }
        | Command::ArchiveTask { workspace, .. }
        | Command::CreateAgent { workspace, .. }
        | Command::UpdateAgent { workspace, .. }
        | Command::DeleteAgent { workspace, .. }
        | Command::CreateSchedule { workspace, .. }
        | Command::UpdateSchedule { workspace, .. }
        | Command::DeleteSchedule { workspace, .. }
        | Command::Trigger { workspace, .. }
        | Command::Backfill { workspace, .. }
        | Command::UpdateWorkspace { workspace, .. }
        | Command::UpdateInstance { workspace, .. }
        | Command::ResetInstance { workspace, .. }
        | Command::ShowBudget { workspace, .. }
        | Command::ResetBudget { workspace, .. } => *workspace = id,
        _ => {}
    }
}

/// The first ones make the agents.
fn choose(world: &mut World, client: usize) -> (Kind, Command) {
    let workspace = world.clients[client].workspace;
    let name = |agent: &str| format!("{workspace} {agent}");
    let missing = AGENTS.iter().find(|agent| !world.model.agents.contains(&name(agent)));
    if let Some(agent) = missing {
        world.model.agents.push(name(agent));
        return (Kind::Other, create(&mut world.dice, agent));
    }
    let chance = if world.disk.is_paused(workspace) { 2_000 } else { 300 };
    if world.habits.pauses && world.dice.chance(chance) {
        *world.check.tally.entry("paused or let go on").or_default() += 1;
        let paused = Some(!world.disk.is_paused(workspace));
        let update = UpdateWorkspace { paused, weight: None, budget: None };
        return (Kind::Other, Command::UpdateWorkspace { workspace, update: Box::new(update) });
    }
    let key = format!("c{client}-{}", world.clients[client].last_op);
    let mut known = world.clients[client].tasks.clone();
    if world.dice.chance(5_000) {
        let live: Vec<TaskId> =
            known.iter().copied().filter(|task| is_live(world, *task)).collect();
        known = if live.is_empty() { known } else { live };
    }
    let habits = world.habits;
    if known.is_empty() {
        return (Kind::Keyed(key.clone()), accept(&mut world.dice, key, habits));
    }
    match world.dice.below(20) {
        0..=2 if habits.schedules => return schedule(world, client, key),
        3 if habits.classes => return (Kind::Other, class(world, client)),
        4 if habits.budgets => return (Kind::Other, budget(&mut world.dice)),
        _ => {}
    }
    let dice = &mut world.dice;
    let task = *dice.pick(&known);
    match dice.below(40) {
        0..=9 => (Kind::Keyed(key.clone()), accept(dice, key, habits)),
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

/// Makes, changes, fires and removes schedules.
fn schedule(world: &mut World, client: usize, key: String) -> (Kind, Command) {
    let known = world.clients[client].schedules.clone();
    let now = START + world.now;
    let dice = &mut world.dice;
    let workspace = WORKSPACE;
    if known.is_empty() || (known.len() < SCHEDULES_MAX && dice.chance(2_500)) {
        let create = CreateSchedule {
            agent: Some((*dice.pick(&AGENTS)).to_owned()),
            cron_expr: Some((*dice.pick(&["* * * * *", "* * * * *", "*/2 * * * *"])).to_owned()),
            timezone: None,
            prompt: Some(format!("do {key}")),
            active: None,
            options: options(dice),
        };
        return (Kind::Other, Command::CreateSchedule { workspace, create: Box::new(create) });
    }
    let id: ScheduleId = *dice.pick(&known);
    match dice.below(10) {
        0..=2 => {
            let key = format!("now {key}");
            (
                Kind::Keyed(key.clone()),
                Command::Trigger { workspace, id, idempotency_key: Some(key) },
            )
        }
        3..=5 => {
            let from = now - dice.range(0, 300_000);
            let to = from + dice.range(0, 240_000);
            let overlap = dice.chance(3_000).then(|| dice.pick(Overlap::ALL).as_str().to_owned());
            let at = |at| Some(Timestamp(at));
            let backfill = Backfill { from: at(from), to: at(to.min(now - 500)), overlap };
            (Kind::Other, Command::Backfill { workspace, id, backfill })
        }
        6 if dice.chance(3_000) => (Kind::Other, Command::DeleteSchedule { workspace, id }),
        6 | 7 => {
            let active = Some(dice.chance(7_500));
            // Whoever makes it active, or gives it another rule, also changes its prompt: so the
            // checkers see that the ticks begin anew.
            let prompt = (active == Some(true)).then(|| format!("do {key}"));
            let update = UpdateSchedule { active, prompt, ..UpdateSchedule::default() };
            (Kind::Other, Command::UpdateSchedule { workspace, id, update: Box::new(update) })
        }
        _ => {
            let update = UpdateSchedule { options: options(dice), ..UpdateSchedule::default() };
            (Kind::Other, Command::UpdateSchedule { workspace, id, update: Box::new(update) })
        }
    }
}

fn options(dice: &mut Dice) -> Options {
    Options {
        overlap: Some(dice.pick(Overlap::ALL).as_str().to_owned()),
        catchup_window_ms: Some(*dice.pick(&[10_000, 60_000, 3_600_000, 3_600_000])),
        jitter_ms: Some(*dice.pick(&[0, 0, 0, 5_000])),
        pause_after_failures: Some(*dice.pick(&[0, 0, 1, 2])),
        ..Options::default()
    }
}

/// A person's hand on an instance, or an agent that needs another worker.
fn class(world: &mut World, client: usize) -> Command {
    let workspace = world.clients[client].workspace;
    let mut keys = Vec::new();
    world.disk.memory.each(|_, _, row| match row {
        Row::Instance(row) if row.workspace_id == workspace => keys.push(row.key.clone()),
        _ => {}
    });
    let dice = &mut world.dice;
    if keys.is_empty() || dice.chance(2_500) {
        let pool = if dice.chance(3_000) { POOL } else { "default" };
        let update = UpdateAgent {
            name: None,
            config: json!({ "pool": pool }).as_object().cloned(),
            active: None,
        };
        let agent = (*dice.pick(&AGENTS)).to_owned();
        return Command::UpdateAgent { workspace, agent, update: Box::new(update) };
    }
    let key = dice.pick(&keys).clone();
    if dice.chance(2_000) {
        return Command::ResetInstance { workspace, key };
    }
    let update = UpdateInstance {
        concurrency: match dice.below(4) {
            0 => Some(None),
            1 => Some(Some(dice.range(1, 4))),
            _ => None,
        },
        failed_attempt_threshold: dice.chance(6_000).then(|| dice.range(1, 4)),
        weight: dice.chance(4_000).then(|| dice.range(1, 4)),
    };
    Command::UpdateInstance { workspace, key, update: Box::new(update) }
}

/// Gives a workspace or an agent a budget, raises it, takes it away, or begins it anew.
fn budget(dice: &mut Dice) -> Command {
    let workspace = WORKSPACE;
    let agent = dice.chance(6_000).then(|| (*dice.pick(&AGENTS)).to_owned());
    if dice.chance(2_500) {
        return Command::ResetBudget { workspace, agent };
    }
    let budget = dice.chance(6_000).then(|| limits(dice, 40));
    match agent {
        Some(agent) => {
            let config = json!({ "budget": budget }).as_object().cloned();
            let update = Box::new(UpdateAgent { name: None, config, active: None });
            Command::UpdateAgent { workspace, agent, update }
        }
        None => {
            let weight = dice.chance(4_000).then(|| dice.range(1, 4));
            let update = UpdateWorkspace { paused: None, weight, budget: Some(budget) };
            Command::UpdateWorkspace { workspace, update: Box::new(update) }
        }
    }
}

fn limits(dice: &mut Dice, most: i64) -> Map<String, Value> {
    let what = if dice.chance(7_000) { "max_tokens" } else { "max_turns" };
    Map::from_iter([(what.to_owned(), dice.range(1, most).into())])
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
            let accepted = accept(dice, format!("dora {key}"), Habits::default());
            let Command::Accept { workspace, mut accept } = accepted else {
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

fn accept(dice: &mut Dice, key: String, habits: Habits) -> Command {
    let session_id = dice.chance(6_500).then(|| (*dice.pick(&SESSIONS)).to_owned());
    let agent = (*dice.pick(&AGENTS)).to_owned();
    let policy = dice.chance(4_000).then(|| PolicyPatch {
        runtime_type: dice.chance(3_000).then(|| "runc".to_owned()),
        resources: dice
            .chance(3_000)
            .then(|| Map::from_iter([("cpu".to_owned(), (*dice.pick(&[500, 1_500])).into())])),
        retry: Some(RetryPatch {
            max_attempts: Some(dice.range(1, 6)),
            delay_ms: Some(*dice.pick(&[0, 0, 300, 3_000])),
        }),
        ..PolicyPatch::default()
    });
    let is_bad = habits.sick && agent == SICK && dice.chance(7_000);
    let verb = match dice.chance(300) {
        true => POISON,
        false if is_bad => BAD,
        false => "do",
    };
    let budget = (habits.budgets && dice.chance(1_500)).then(|| limits(dice, 5));
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
        budget,
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

//! Random batches and questions to two keepers, whose answers must be the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_core::attempt;
use hostler_core::batch::{Batch, Find, Found, Write};
use hostler_core::capacity::Health;
use hostler_core::capacity::needs::Room;
use hostler_core::id::{Ids, WorkspaceId};
use hostler_core::input;
use hostler_core::key::{Key, Row};
use hostler_core::lease;
use hostler_core::policy::RuntimeType;
use hostler_core::run;
use hostler_core::stream::{Append, Body, Record, Trim};
use hostler_core::task::{self, Parked, Priority, Task};
use hostler_core::time::Timestamp;
use uuid::Uuid;

use super::rows::{self, *};
use crate::query::{LogRange, Page, Query, RunFilter, TaskFilter};
use crate::{Error, Store, derived};

/// Rows of each kind that there can be: few, so that they meet.
const NUMBERS: u64 = 8;
const KINDS: u64 = 15;
/// More rounds than any seed has needed by far.
const ROUNDS_MAX: u64 = 20_000;

/// How often each thing has come to pass.
#[derive(Default)]
struct Seen(BTreeMap<&'static str, u64>);

/// What a run has to have seen before it may end.
const WANTED: &[&str] = &[
    "append",
    "append of a gap",
    "broken relation",
    "conflict",
    "find classes",
    "find due",
    "find due cut",
    "find held classes",
    "find leases",
    "find ready",
    "find rested",
    "find schedules",
    "find waiters",
    "find workspaces",
    "insert",
    "list of agents",
    "list of attempts",
    "list of inputs",
    "list of instances",
    "list of missed ticks",
    "list of runs",
    "list of schedules",
    "list of snapshots",
    "list of tasks",
    "list of workers",
    "list of workspaces",
    "page with more",
    "read",
    "remove",
    "trim",
    "update",
    "workspace",
    "agent",
    "agent key",
    "task",
    "input",
    "run",
    "attempt",
    "lease",
    "session",
    "instance",
    "worker",
    "receipt",
    "snapshot",
    "schedule",
    "missed ticks",
];

impl Seen {
    fn note(&mut self, what: &'static str) {
        assert!(WANTED.contains(&what), "{what} is not in the list of what is wanted");
        *self.0.entry(what).or_default() += 1;
    }

    fn missing(&self) -> Vec<&'static str> {
        WANTED.iter().copied().filter(|what| !self.0.contains_key(what)).collect()
    }
}

/// Goes on for so many rounds at least, and until everything has been seen.
pub fn run(one: &dyn Store, other: &dyn Store, seed: u64, rounds: u64) {
    let mut dice = Dice(Ids::new(Timestamp(0), seed));
    let mut seen = Seen::default();
    for round in 0..ROUNDS_MAX {
        if round >= rounds && seen.missing().is_empty() {
            return;
        }
        let context = format!("seed {seed}, round {round}");
        commit(one, other, &mut dice, &mut seen, &context);
        find(one, other, &mut dice, &mut seen, &context);
        scan(one, other, &mut dice, &mut seen, &context);
        read(one, other, &mut dice, &mut seen, &context);
        if dice.one_in(20) {
            load(one, other, &context);
        }
    }
    panic!("seed {seed} has not seen {:?}", seen.missing());
}

struct Dice(Ids);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.bits() % bound
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn some<T>(&mut self, count: u64, value: T) -> Option<T> {
        self.one_in(count).then_some(value)
    }

    fn number(&mut self) -> u64 {
        1 + self.below(NUMBERS)
    }

    fn time(&mut self) -> Timestamp {
        Timestamp(self.below(6).cast_signed())
    }

    fn workspace(&mut self) -> WorkspaceId {
        WorkspaceId(1 + self.below(2))
    }
}

fn commit(one: &dyn Store, other: &dyn Store, dice: &mut Dice, seen: &mut Seen, context: &str) {
    let mut batch = Batch::default();
    let mut staged: BTreeMap<Key, Option<u64>> = BTreeMap::new();
    for _ in 0..dice.below(5) {
        let (kind, key, row) = random_row(dice);
        let version = staged.get(&key).copied().unwrap_or_else(|| super::version(one, &key));
        let expect = if dice.one_in(40) { dice.of(&[None, Some(1), Some(2)]) } else { version };
        let row = if dice.one_in(5) { None } else { Some(row) };
        staged.insert(key.clone(), row.as_ref().map(|_| version.unwrap_or(0) + 1));
        batch.writes.push(Write { key, expect, row: row.map(Arc::new) });
        seen.note(kind);
    }
    for number in 1..=NUMBERS {
        if dice.one_in(10) {
            let records = (0..dice.below(4)).map(|_| random_record(dice)).collect();
            batch.appends.push(rows::append(number, records));
        }
        if dice.one_in(40) {
            let (task_id, at) = (task_id(number), dice.time());
            let to_seq = if dice.one_in(4) { u64::MAX } else { dice.below(60) };
            batch.trims.push(Trim { task_id, to_seq, at });
        }
    }
    let (left, right) = (one.commit(&batch), other.commit(&batch));
    match (&left, &right) {
        (Ok(left), Ok(right)) => {
            assert_eq!(left, right, "{context}: {batch:#?}");
            note_batch(&batch, seen);
        }
        (Err(Error::Conflict), Err(Error::Conflict)) => seen.note("conflict"),
        // Of two faults in one batch either may be seen first.
        (Err(_), Err(_)) if is_broken(&batch) => seen.note("broken relation"),
        _ => panic!("{context}: {left:?} and {right:?} for {batch:#?}"),
    }
}

fn note_batch(batch: &Batch, seen: &mut Seen) {
    for write in &batch.writes {
        match (&write.row, write.expect) {
            (Some(_), None) => seen.note("insert"),
            (Some(_), Some(_)) => seen.note("update"),
            (None, Some(_)) => seen.note("remove"),
            (None, None) => {}
        }
    }
    if !batch.trims.is_empty() {
        seen.note("trim");
    }
    for Append { records, .. } in &batch.appends {
        if !records.is_empty() {
            seen.note("append");
        }
        if records.iter().any(|record| matches!(record.body, Body::Gap { .. })) {
            seen.note("append of a gap");
        }
    }
}

fn is_broken(batch: &Batch) -> bool {
    batch
        .writes
        .iter()
        .filter_map(|write| write.row.as_ref())
        .any(|row| derived::check(row).is_err())
}

fn random_record(dice: &mut Dice) -> Record {
    match dice.below(4) {
        0 => gap(7, 7 + dice.below(4)),
        1 => event("run.started"),
        _ => line(&"x".repeat(dice.below(300) as usize)),
    }
}

/// A row of any kind. What it belongs to depends on its number alone.
fn random_row(dice: &mut Dice) -> (&'static str, Key, Row) {
    let number = dice.number();
    let owner = random_task(dice, number);
    let home = WorkspaceId(1 + number % 2);
    let (kind, row) = match dice.below(KINDS) {
        0 => ("workspace", {
            let mut row = workspace(1 + number % 3);
            row.paused = dice.one_in(8);
            row.weight = 1 + dice.below(3) as u32;
            Row::Workspace(row)
        }),
        1 => ("agent", {
            let mut row = agent(number);
            row.workspace_id = home;
            row.agent_key = format!("key-{}", dice.below(5));
            row.deleted_at = dice.some(3, Timestamp(1));
            row.config.insert("float".into(), (f64::from_bits(dice.0.bits() >> 2)).into());
            Row::Agent(row)
        }),
        2 => {
            let key = Key::AgentKey(home, format!("key-{number}"));
            return ("agent key", key, Row::AgentKey(agent_id(dice.number())));
        }
        3 => ("task", Row::Task(Box::new(owner))),
        4 => ("input", {
            let mut row = input(number, task_id(1 + number % 3));
            row.state = dice.of(input::State::ALL);
            row.message = "m".repeat(dice.below(9_000) as usize);
            Row::Input(row)
        }),
        5 => ("run", Row::Run(Box::new(random_run(dice, number)))),
        6 => ("attempt", {
            let run = rows::run(1 + number % 3, &owner);
            let mut row = attempt(number, &run);
            row.attempt_no = (number / 2) as u32;
            row.status = dice.of(attempt::Status::ALL);
            row.ended_at = dice.some(8, Timestamp(4)).or(ended(row.status.is_terminal(), dice));
            Row::Attempt(row)
        }),
        7 => ("lease", {
            let run = rows::run(number, &owner);
            let mut row = lease(&attempt(number, &run), &run);
            row.worker_id = worker_id(number % 3);
            row.state = dice.of(lease::State::ALL);
            Row::Lease(row)
        }),
        8 => ("session", {
            let mut row = session(&owner);
            row.term = dice.below(9);
            Row::Session(row)
        }),
        9 => ("instance", random_instance(dice, number)),
        10 => ("worker", {
            let mut row = worker(number, None);
            (row.until, row.renewal) = (Some(dice.time()), dice.below(9));
            row.until = row.until.filter(|_| !dice.one_in(3));
            Row::Worker(row)
        }),
        11 => {
            let key = Key::Receipt(home, agent_id(number % 3), format!("key-{number}"));
            return ("receipt", key, Row::Receipt(receipt(owner.id, input_id(dice.number()))));
        }
        12 => ("schedule", {
            let mut row = schedule(number);
            (row.workspace_id, row.agent_id) = (home, agent_id(number % 3));
            row.deleted_at = dice.some(4, Timestamp(1));
            row.fire_at = Some(dice.time()).filter(|_| row.deleted_at.is_none());
            Row::Schedule(Box::new(row))
        }),
        13 => ("missed ticks", Row::Missed(missed(number % 2, number as u32))),
        _ => ("snapshot", {
            let status = dice.of(run::Status::ALL);
            Row::Snapshot(snapshot(run_id(number % 2), number as u32, status))
        }),
    };
    let write = put(None, row);
    (kind, write.key, Row::clone(&write.row.expect("it was put")))
}

/// When it has ended; now and then that is forgotten, which no keeper takes.
fn ended(is_terminal: bool, dice: &mut Dice) -> Option<Timestamp> {
    let forgotten = dice.one_in(30);
    (is_terminal && !forgotten).then(|| dice.time())
}

fn random_task(dice: &mut Dice, number: u64) -> Task {
    let mut row = task(number);
    row.workspace_id = WorkspaceId(1 + number % 2);
    row.agent_id = agent_id(number % 4 % 3);
    row.session_id = session_id(number % 4);
    row.instance_key = instance_key(dice.below(4));
    let state = dice.of(task::State::ALL);
    row.state = dice.of(&[task::State::Queued, state]);
    row.priority = dice.of(Priority::ALL);
    row.parked = dice.of(&[None, None, Some(Parked::Timer), Some(Parked::Session)]);
    let wake_at = dice.time();
    row.wake_at = dice.some(2, wake_at);
    row.queued_at = Some(dice.time()).filter(|_| !dice.one_in(30));
    row.archived_at = dice.some(6, Timestamp(1));
    let rested_at = dice.time();
    row.rested_at = dice.some(2, rested_at);
    row
}

fn random_run(dice: &mut Dice, number: u64) -> run::Run {
    let mut owner = task(1 + number % 3);
    owner.workspace_id = WorkspaceId(1 + number % 2);
    owner.agent_id = agent_id(number % 3);
    let mut row = rows::run(number, &owner);
    row.status = dice.of(run::Status::ALL);
    row.ended_at = ended(row.status.is_terminal(), dice);
    row
}

fn random_instance(dice: &mut Dice, number: u64) -> Row {
    let mut row = instance(number % 4);
    row.workspace_id = WorkspaceId(1 + number % 2);
    row.key = instance_key(number % 4);
    row.needs.runtime_type = dice.of(RuntimeType::ALL);
    row.needs.pool = dice.of(&["default", "gpu"]).to_owned();
    row.needs.resources.cpu_millis = dice.below(3) * 1_000;
    row.agent_id = agent_id(number % 4 % 3);
    let status = dice.of(Health::ALL);
    row.status = dice.of(&[Health::Healthy, Health::Healthy, status]);
    row.concurrency = dice.below(4) as u32;
    (row.queued, row.parked) = (dice.below(3) as u32, dice.below(2) as u32);
    (row.pending, row.pass) = (dice.below(2) as u32, dice.below(4));
    row.weight = 1 + dice.below(3) as u32;
    row.served = dice.below(u64::from(row.weight)) as u32;
    row.ready = [(); 4].map(|()| dice.below(3) as u32);
    row.probe_at = dice.some(4, Timestamp(3)).filter(|_| row.status == Health::Degraded);
    row.held_until = dice.some(5, Timestamp(4));
    Row::Instance(row)
}

fn random_room(dice: &mut Dice) -> Room {
    let types: [&[RuntimeType]; 3] =
        [RuntimeType::ALL, &[RuntimeType::Gvisor], &[RuntimeType::Runc]];
    let cpu_millis = dice.below(3) * 1_000;
    Room {
        pool: dice.of(&["default", "gpu"]).to_owned(),
        runtime_types: dice.of(&types).to_vec(),
        cpu_millis: dice.some(2, cpu_millis),
        ..room()
    }
}

fn find(one: &dyn Store, other: &dyn Store, dice: &mut Dice, seen: &mut Seen, context: &str) {
    let limit = dice.below(6) as usize;
    let find = match dice.below(10) {
        0 => {
            let rooms = (0..dice.below(3)).map(|_| random_room(dice)).collect();
            Find::Ready { rooms, limit, after: WorkspaceId(dice.below(4)) }
        }
        1 => Find::Due { now: dice.time(), limit },
        2 => Find::Leases { worker: worker_id(dice.below(3)) },
        3 => Find::Schedules { agent: agent_id(dice.below(3)), limit },
        4 => Find::Rested { until: dice.time(), limit },
        5 => Find::Classes { agent: agent_id(dice.below(3)) },
        6 => Find::Held { workspace: dice.workspace() },
        7 => Find::Workspaces,
        _ => Find::Waiters { workspace: dice.workspace(), session: session_id(dice.below(4)) },
    };
    let (left, right) = (super::found(one, find.clone()), super::found(other, find.clone()));
    assert_eq!(left, right, "{context}: {find:?}");
    match &left {
        Found::Ready(ready) if !ready.candidates.is_empty() => seen.note("find ready"),
        Found::Due { due, next } if due.len() > 1 => {
            seen.note("find due");
            if matches!((&find, next), (Find::Due { now, .. }, Some(next)) if next <= now) {
                seen.note("find due cut");
            }
        }
        Found::Classes(classes) if !classes.is_empty() => match find {
            Find::Held { .. } => seen.note("find held classes"),
            _ => seen.note("find classes"),
        },
        Found::Workspaces(workspaces) if workspaces.len() > 1 => seen.note("find workspaces"),
        Found::Leases(leases) if !leases.is_empty() => seen.note("find leases"),
        Found::Schedules(schedules) if !schedules.is_empty() => seen.note("find schedules"),
        Found::Rested(tasks) if !tasks.is_empty() => seen.note("find rested"),
        Found::Waiters(waiters) if !waiters.is_empty() => seen.note("find waiters"),
        _ => {}
    }
}

fn random_query(dice: &mut Dice) -> (&'static str, Query) {
    let (number, limit) = (dice.number(), dice.below(5) as usize);
    let workspace = dice.workspace();
    let (from, to) = (task(dice.number()).created_at, task(dice.number()).created_at);
    let (created_after, created_before) = (dice.some(4, from), dice.some(4, to));
    let agent = dice.some(3, agent_id(number % 3));
    let session = dice.some(4, session_id(number % 4));
    match dice.below(12) {
        0 => ("list of agents", Query::Agents { workspace }),
        1 | 2 => {
            let states = (0..dice.below(3)).map(|_| dice.of(task::State::ALL)).collect();
            let include_archived = dice.one_in(2);
            let filter = TaskFilter {
                agent,
                states,
                session,
                created_after,
                created_before,
                include_archived,
            };
            let after: Option<Uuid> = dice.some(2, task_id(number).0);
            ("list of tasks", Query::Tasks { workspace, filter, after, limit })
        }
        3 => {
            let statuses = (0..dice.below(3)).map(|_| dice.of(run::Status::ALL)).collect();
            let task = dice.some(2, task_id(1 + number % 3));
            let filter =
                RunFilter { agent, task, statuses, session, created_after, created_before };
            let after = dice.some(2, run_id(number).0);
            ("list of runs", Query::Runs { workspace, filter, after, limit })
        }
        4 => ("list of attempts", Query::Attempts { run: run_id(1 + number % 3) }),
        5 => {
            let after_seq = dice.below(NUMBERS) as u32;
            ("list of snapshots", Query::Snapshots { run: run_id(number % 2), after_seq, limit })
        }
        6 => {
            let cursor = input_id(dice.number());
            let after = dice.some(2, cursor);
            ("list of inputs", Query::Inputs { task: task_id(1 + number % 3), after, limit })
        }
        7 => {
            let after = dice.some(2, instance_key(number % 4));
            ("list of instances", Query::Instances { workspace, after, limit })
        }
        8 => {
            let after = dice.some(2, worker_id(number));
            ("list of workers", Query::Workers { after, limit })
        }
        9 => {
            let after = dice.some(2, schedule_id(number).0);
            ("list of schedules", Query::Schedules { workspace, agent, after, limit })
        }
        10 => {
            let before = dice.some(2, number as u32);
            let schedule = schedule_id(dice.below(2));
            ("list of missed ticks", Query::Missed { schedule, before, limit })
        }
        _ => {
            let after = dice.some(2, workspace);
            ("list of workspaces", Query::Workspaces { after, limit })
        }
    }
}

fn scan(one: &dyn Store, other: &dyn Store, dice: &mut Dice, seen: &mut Seen, context: &str) {
    let (what, query) = random_query(dice);
    let (left, right) = (super::page(one, query.clone()), super::page(other, query.clone()));
    assert_eq!(left, right, "{context}: {query:?}");
    let Page { rows, has_more } = left;
    if !rows.is_empty() {
        seen.note(what);
    }
    if has_more && !rows.is_empty() {
        seen.note("page with more");
    }
}

fn read(one: &dyn Store, other: &dyn Store, dice: &mut Dice, seen: &mut Seen, context: &str) {
    let (task, after) = (task_id(dice.number()), dice.below(40));
    let range = LogRange {
        task,
        after,
        limit: dice.below(12) as usize,
        bytes: dice.of(&[0, 500, usize::MAX]),
    };
    let records = one.read(&range).expect("the stream is read");
    let others = other.read(&range).expect("the stream is read");
    assert_eq!(records, others, "{context}: {range:?}");
    if !records.is_empty() {
        seen.note("read");
    }
}

/// All rows that there can be.
fn load(one: &dyn Store, other: &dyn Store, context: &str) {
    let keys: Vec<Key> = (0..=NUMBERS).flat_map(keys_of).collect();
    let rows = one.load(&keys).expect("the rows load");
    assert_eq!(rows, other.load(&keys).expect("the rows load"), "{context}");
}

fn keys_of(number: u64) -> [Key; KINDS as usize] {
    let home = WorkspaceId(1 + number % 2);
    [
        Key::Workspace(WorkspaceId(number)),
        Key::Agent(agent_id(number)),
        Key::AgentKey(home, format!("key-{number}")),
        Key::Task(task_id(number)),
        Key::Input(input_id(number)),
        Key::Run(run_id(number)),
        Key::Attempt(attempt_id(number)),
        Key::Lease(attempt_id(number)),
        Key::Session(home, session_id(number)),
        Key::Instance(instance_key(number)),
        Key::Worker(worker_id(number)),
        Key::Receipt(home, agent_id(number % 3), format!("key-{number}")),
        Key::Snapshot(run_id(number % 2), number as u32),
        Key::Schedule(schedule_id(number)),
        Key::Missed(schedule_id(number % 2), number as u32),
    ]
}

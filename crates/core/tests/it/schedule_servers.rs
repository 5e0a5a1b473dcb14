//! Several servers on one store: each tick fires once, whoever is faster or dies (SCH-3).

use hostler_core::agent::manage::CreateAgent;
use hostler_core::batch::{Batch, Write};
use hostler_core::command::Command;
use hostler_core::engine::{Config, Engine, Input, Output, StoreFailure};
use hostler_core::id::WorkspaceId;
use hostler_core::key::Row;
use hostler_core::schedule::manage::CreateSchedule;
use hostler_core::task::accept::Accept;
use hostler_core::time::Timestamp;
use hostler_store::memory::Memory;
use hostler_store::query::TaskFilter;
use hostler_store::{Query, Store};

const WORKSPACE: WorkspaceId = WorkspaceId::DEFAULT;
/// A tick of every minute.
const TICK: Timestamp = Timestamp(60_000);

/// One server, which can be held at its commit.
struct Server {
    engine: Engine,
    now: Timestamp,
    seed: u64,
}

impl Server {
    fn start(seed: u64, now: Timestamp) -> Self {
        let engine = Engine::new(Config::default(), now, seed).on_shared_store();
        Server { engine, now, seed: seed * 1_000_000 }
    }

    /// Goes on until it wants to commit something, or has nothing to do.
    fn until_commit(&mut self, store: &Memory) -> Option<Batch> {
        loop {
            let input = match self.engine.poll() {
                Output::WaitUntil(_) => return None,
                Output::Commit(batch) => return Some(batch),
                Output::Load(keys) => Input::Loaded(store.load(&keys).expect("it loads")),
                Output::Find(find) => {
                    let found = store.find(&find).expect("it is searched");
                    Input::Found(find, found)
                }
                _ => continue,
            };
            self.engine.handle(input, self.now);
        }
    }

    fn commit(&mut self, store: &Memory, batch: &Batch) {
        let input = match store.commit(batch) {
            Ok(committed) => Input::Committed(committed),
            Err(_) => Input::Failed(StoreFailure::Conflict),
        };
        self.engine.handle(input, self.now);
    }

    fn run(&mut self, store: &Memory) {
        while let Some(batch) = self.until_commit(store) {
            self.commit(store, &batch);
        }
    }

    fn ask(&mut self, store: &Memory, command: Command) {
        self.seed += 1;
        let (ticket, seed) = (self.seed, self.seed);
        self.engine.handle(Input::Ask { ticket, command, seed }, self.now);
        self.run(store);
    }

    fn at(&mut self, now: Timestamp) {
        self.now = now;
        self.engine.handle(Input::Tick, now);
    }
}

/// A store with schedules of every minute, before their first tick.
fn begun(schedules: usize) -> Memory {
    let store = Memory::new();
    store.migrate().expect("the memory keeper takes its first row");
    let mut server = Server::start(1, Timestamp(1_000));
    let create = CreateAgent { agent_key: text("a"), name: text("a"), ..CreateAgent::default() };
    server.ask(&store, Command::CreateAgent { workspace: WORKSPACE, create: Box::new(create) });
    for _ in 0..schedules {
        let create = CreateSchedule {
            agent: text("a"),
            cron_expr: text("* * * * *"),
            prompt: text("look"),
            ..CreateSchedule::default()
        };
        let create = Box::new(create);
        server.ask(&store, Command::CreateSchedule { workspace: WORKSPACE, create });
    }
    store
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The tasks that there are, and how often the schedule says that it has fired.
fn fired(store: &Memory) -> (usize, u64) {
    let filter = TaskFilter::default();
    let tasks = Query::Tasks { workspace: WORKSPACE, filter, after: None, limit: 100 };
    let tasks = store.scan(&tasks).expect("it is listed").rows.len();
    let schedules = Query::Schedules { workspace: WORKSPACE, agent: None, after: None, limit: 9 };
    let rows = store.scan(&schedules).expect("it is listed").rows;
    let [Row::Schedule(schedule)] = rows.as_slice() else { panic!("one schedule: {rows:?}") };
    (tasks, schedule.fired_count)
}

#[test]
fn two_servers_that_decide_the_same_tick_fire_it_once() {
    let store = begun(1);
    let (mut one, mut other) = (Server::start(2, TICK), Server::start(3, TICK));
    let late = one.until_commit(&store).expect("the tick is due");
    other.run(&store);
    assert_eq!(fired(&store), (1, 1));
    one.commit(&store, &late);
    one.run(&store);
    assert_eq!(fired(&store), (1, 1));
    one.at(Timestamp(2 * TICK.0));
    one.run(&store);
    other.at(Timestamp(2 * TICK.0));
    other.run(&store);
    assert_eq!(fired(&store), (2, 2));
}

#[test]
fn a_server_that_dies_around_its_commit_neither_loses_nor_doubles_a_tick() {
    for is_written in [false, true] {
        let store = begun(1);
        let mut dies = Server::start(2, TICK);
        let batch = dies.until_commit(&store).expect("the tick is due");
        if is_written {
            store.commit(&batch).expect("nobody else writes");
        }
        drop(dies);
        Server::start(3, Timestamp(TICK.0 + 5)).run(&store);
        assert_eq!(fired(&store), (1, 1), "written: {is_written}");
    }
}

/// A user's accept is decided beside what is due, not behind all of it.
#[test]
fn a_command_is_answered_in_the_first_round_while_many_schedules_are_due() {
    let store = begun(1_000);
    let mut server = Server::start(2, TICK);
    let accept = Accept { agent: text("a"), message: text("now"), ..Accept::default() };
    let accept = Command::Accept { workspace: WORKSPACE, accept: Box::new(accept) };
    server.engine.handle(Input::Ask { ticket: 7, command: accept, seed: 9 }, TICK);
    let is_it = |write: &Write| match write.row.as_deref() {
        Some(Row::Task(task)) => task.schedule_id.is_none(),
        _ => false,
    };
    let first = server.until_commit(&store).expect("much is due");
    assert!(first.writes.iter().any(is_it));
    assert!(first.writes.len() > 500, "and schedules fire in the same round");
    server.commit(&store, &first);
    let mut rounds = 1;
    while let Some(batch) = server.until_commit(&store) {
        server.commit(&store, &batch);
        rounds += 1;
    }
    assert_eq!(rounds, 4, "a thousand schedules, at most 256 in a round");
}

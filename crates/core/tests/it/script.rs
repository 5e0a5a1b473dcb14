//! The script language of the cases: one command a line, its words parted by spaces.
//!
//! **What** `agent`, `accept`, `input`, `cancel`, `worker`, `start`, `end`, `tick` and so on, each
//! a line of [`Script::command`]. What comes of it is written down by `trace`.

use std::collections::{BTreeMap, VecDeque};

use expect_test::Expect;
use hostler_core::agent::manage::{CreateAgent, UpdateAgent};
use hostler_core::batch::Batch;
use hostler_core::command::Command;
use hostler_core::engine::{
    Config, Connected, Engine, Input, Link, Output, PushKind, StoreFailure,
};
use hostler_core::id::{AttemptId, IncarnationId, InputId, TaskId, WorkerId, WorkspaceId};
use hostler_core::input::edit::EditInput;
use hostler_core::input::submit::{Submit, Target};
use hostler_core::key::{Key, Row};
use hostler_core::policy::{PolicyPatch, RetryPatch};
use hostler_core::run::start::Writer;
use hostler_core::task::accept::Accept;
use hostler_core::time::{Span, Timestamp};
use hostler_core::worker::Offer;
use hostler_core::worker::beat::Beat;
use hostler_core::worker::hello::{Held, Hello};
use hostler_store::memory::Memory;
use hostler_store::{Error, Store};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::manage::{budget, labels, resources};

pub const WORKSPACE: WorkspaceId = WorkspaceId::DEFAULT;

/// Runs a script and compares what came of it.
#[track_caller]
pub fn check(text: &str, expected: Expect) {
    expected.assert_eq(&trace(text));
}

/// What comes of a script.
pub fn trace(text: &str) -> String {
    let mut script = run(text);
    script.check_counts();
    script.summary();
    script.trace
}

fn run(text: &str) -> Script {
    let mut script = Script::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        script.line(line);
    }
    script
}

/// The tasks in the order in which they were given to workers.
pub fn given(text: &str) -> Vec<String> {
    let trace = run(text).trace;
    let names = trace.lines().filter_map(|line| line.split_once("<- assign ")?.1.split_once('/'));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// What the next commit comes to.
#[derive(Clone, Copy)]
pub enum Fault {
    Unavailable,
    Unknown,
    UnknownAndWritten,
    /// Somebody else has written a row of it just before.
    Conflict,
}

/// An execution as its worker knows it.
#[derive(Clone)]
pub struct Given {
    pub attempt: AttemptId,
    pub term: u64,
    pub input: InputId,
    pub worker: WorkerId,
    pub writer: Writer,
}

pub struct Script {
    pub store: Memory,
    engine: Engine,
    config: Config,
    pub now: Timestamp,
    seed: u64,
    link: Link,
    pub trace: String,
    pub faults: VecDeque<Fault>,
    /// What each worker is: its incarnation, offer and connection.
    pub workers: BTreeMap<WorkerId, (IncarnationId, Offer, Option<Link>)>,
    pub tasks: BTreeMap<String, TaskId>,
    pub schedules: BTreeMap<String, hostler_core::id::ScheduleId>,
    /// The tasks that are being accepted.
    pub naming: VecDeque<String>,
    /// What is asked is decided together, later.
    gathers: bool,
    pub workspaces: BTreeMap<String, WorkspaceId>,
    /// The last execution of each task.
    pub given: BTreeMap<String, Given>,
    /// Ids and the names that the trace has for them.
    pub names: BTreeMap<Uuid, String>,
}

/// The words of a line: plain ones, and `name=value` ones.
pub struct Words {
    plain: VecDeque<String>,
    named: BTreeMap<String, String>,
}

impl Words {
    fn of(line: &str) -> Words {
        let mut words = Words { plain: VecDeque::new(), named: BTreeMap::new() };
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some((name, value)) => {
                    words.named.insert(name.to_owned(), value.to_owned());
                }
                None => words.plain.push_back(word.to_owned()),
            }
        }
        words
    }

    pub fn next(&mut self) -> String {
        self.plain.pop_front().expect("the line has one word more")
    }

    pub fn more(&mut self) -> Option<String> {
        self.plain.pop_front()
    }

    pub fn named(&mut self, name: &str) -> Option<String> {
        self.named.remove(name)
    }

    pub fn number<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        self.named(name).and_then(|text| text.parse().ok())
    }
}

impl Script {
    pub fn new() -> Script {
        let store = Memory::new();
        store.migrate().expect("the memory keeper takes its first row");
        let now = Timestamp(1_000_000);
        let mut script = Script {
            store,
            engine: Engine::new(Config::default(), now, 1),
            config: Config::default(),
            now,
            seed: 100,
            link: 0,
            trace: String::new(),
            faults: VecDeque::new(),
            workers: BTreeMap::new(),
            tasks: BTreeMap::new(),
            schedules: BTreeMap::new(),
            naming: VecDeque::new(),
            gathers: false,
            workspaces: BTreeMap::new(),
            given: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        script.drain();
        script
    }

    pub fn line(&mut self, line: &str) {
        self.trace += &format!("> {line}\n");
        let mut words = Words::of(line);
        self.command(&mut words);
        assert!(words.plain.is_empty() && words.named.is_empty(), "not understood: {line}");
    }

    fn command(&mut self, words: &mut Words) {
        let verb = words.next();
        match verb.as_str() {
            "agent" => self.create_agent(words),
            "update" => self.update_agent(words),
            "delete" => {
                let agent = words.next();
                self.ask(Command::DeleteAgent { workspace: WORKSPACE, agent });
            }
            "accept" => self.accept(words),
            "input" => self.submit(words),
            "withdraw" => {
                let input = InputId(self.id_of(&words.next()));
                self.ask(Command::WithdrawInput { workspace: WORKSPACE, input });
            }
            "edit" => {
                let input = InputId(self.id_of(&words.next()));
                let (message, position) = (words.named("message"), words.number("position"));
                let edit = Box::new(EditInput { message, position, attachments: None });
                self.ask(Command::EditInput { workspace: WORKSPACE, input, edit });
            }
            "cancel" => {
                let task = self.task(words);
                self.ask(Command::CancelTask { workspace: WORKSPACE, task });
            }
            "cancel-run" => {
                let task = self.task(words);
                let run = self.row_of_task(task).target_run_id.expect("it has had a run");
                self.ask(Command::CancelRun { workspace: WORKSPACE, run });
            }
            "archive" => {
                let task = self.task(words);
                self.ask(Command::ArchiveTask { workspace: WORKSPACE, task });
            }
            "worker" => self.connect(words),
            "offer" => {
                let worker = WorkerId(words.next());
                let total = words.next().parse().expect("a count");
                let link = self.workers[&worker].2.expect("it is connected");
                self.handle(Input::Offered { worker, link, total });
            }
            "drop" => {
                let worker = WorkerId(words.next());
                let entry = self.workers.get_mut(&worker).expect("a worker");
                let link = entry.2.take().expect("it is connected");
                self.handle(Input::Disconnected { worker, link });
            }
            "beat" => {
                let (writer, held) = self.writer_and_held(words);
                self.ask(Command::Beat(Box::new(Beat { writer, held })));
            }
            "goodbye" => {
                let writer = self.writer_and_held(words).0;
                self.ask(Command::Goodbye(writer));
            }
            "tick" => self.tick(&words.next()),
            "work" => self.work(words),
            "schedule-events" => self.schedule_events(),
            // Nothing runs for so long.
            "down" => {
                let span = words.next();
                let seconds = span.trim_end_matches('s').parse().expect("seconds");
                self.now = self.now + Span::seconds(seconds);
            }
            "reboot" => {
                self.seed += 1;
                self.engine = Engine::new(self.config.clone(), self.now, self.seed);
                self.workers.values_mut().for_each(|worker| worker.2 = None);
                self.drain();
            }
            "fault" => self.faults.push_back(match words.next().as_str() {
                "unavailable" => Fault::Unavailable,
                "unknown" => Fault::Unknown,
                "unknown-and-written" => Fault::UnknownAndWritten,
                "conflict" => Fault::Conflict,
                other => panic!("a fault is not {other}"),
            }),
            "schedule" | "reschedule" | "unschedule" | "trigger" | "backfill" | "show"
            | "details" => {
                self.scheduling(&verb, words);
            }
            "keep" => self.keep(words),
            "stream" => self.show_stream(words),
            "concurrency" => self.show_instance(words),
            "gather" => self.gathers = true,
            "decide" => {
                self.gathers = false;
                self.drain();
            }
            "workspace" | "pause" | "resume" | "set-workspace" | "set" | "reset" | "instance"
            | "waits" | "events" | "budget" | "reset-budget" | "room" => self.manage(&verb, words),
            _ => self.report(&verb, words),
        }
    }

    fn create_agent(&mut self, words: &mut Words) {
        let create = CreateAgent {
            agent_key: Some(words.next()),
            name: Some("somebody".to_owned()),
            config: config(words),
            active: words.number("active"),
        };
        let workspace = self.workspace_of(words);
        self.ask(Command::CreateAgent { workspace, create: Box::new(create) });
    }

    fn update_agent(&mut self, words: &mut Words) {
        let agent = words.next();
        let config = Some(config(words)).filter(|config| config.len() > 1);
        let update = UpdateAgent { name: None, config, active: words.number("active") };
        let update = Box::new(update);
        self.ask(Command::UpdateAgent { workspace: WORKSPACE, agent, update });
    }

    fn accept(&mut self, words: &mut Words) {
        let name = words.next();
        let agent = words.named("agent").unwrap_or_else(|| "a".to_owned());
        let retry = words.named("retry").map(|text| {
            let (attempts, delay) = text.split_once('/').unwrap_or((&text, "0"));
            let parse = |text: &str| text.parse::<i64>().ok();
            RetryPatch { max_attempts: parse(attempts), delay_ms: parse(delay) }
        });
        let (runtime_type, security) = (words.named("runtime"), words.named("security"));
        let resources = resources(words);
        let patch =
            PolicyPatch { runtime_type, security, retry, resources, ..PolicyPatch::default() };
        let accept = Accept {
            message: words
                .named("message")
                .or(Some(format!("do {name}")))
                .filter(|text| text != "-"),
            agent: Some(agent).filter(|text| text != "-"),
            idempotency_key: words.named("key"),
            session_id: words.named("session"),
            hook_id: words.number("hook"),
            timeout_ms: words.number("timeout"),
            policy: (patch != PolicyPatch::default()).then_some(patch),
            lane: words.named("lane"),
            priority: words.named("priority"),
            attachments: vec![Value::Object(Map::new()); words.number("attachments").unwrap_or(0)],
            budget: budget(words),
            ..Accept::default()
        };
        self.naming.push_back(name);
        // Whoever comes first comes a moment earlier, unless it is said otherwise.
        if words.named("at").is_none() {
            self.now = self.now + Span::millis(1);
        }
        let workspace = self.workspace_of(words);
        self.ask(Command::Accept { workspace, accept: Box::new(accept) });
        if !self.gathers {
            self.naming.clear();
        }
    }

    fn submit(&mut self, words: &mut Words) {
        let task = self.task(words);
        let expected = words.named("expect").map(|name| self.id_of(&name));
        let submit = Submit {
            message: words.named("message").or(Some("more".to_owned())).filter(|text| text != "-"),
            queue_mode: words.named("mode"),
            idempotency_key: words.named("key"),
            expected_run_id: expected.map(hostler_core::id::RunId),
            attachments: Vec::new(),
        };
        let target = match words.more().as_deref() {
            Some("run") => {
                Target::Run(self.row_of_task(task).target_run_id.expect("it has had a run"))
            }
            _ => Target::Task(task),
        };
        for _ in 0..words.number("times").unwrap_or(1) {
            let submit = Box::new(submit.clone());
            self.ask(Command::Submit { workspace: WORKSPACE, target, submit });
        }
    }

    /// `worker w1 [slots=1] [runtimes=gvisor] [anew] [held=A,B]`: connects and says hello.
    fn connect(&mut self, words: &mut Words) {
        let worker = WorkerId(words.next());
        let slots = words.number("slots").unwrap_or(1);
        let runtimes = words.named("runtimes").unwrap_or_else(|| "gvisor".to_owned());
        let offer = Offer {
            runtimes: runtimes.split(',').map(str::to_owned).collect(),
            runners: vec!["scripted".to_owned()],
            pool: words.named("pool").unwrap_or_default(),
            cpu_millis: words.number("cpu").unwrap_or(0),
            memory_bytes: words.number("memory").unwrap_or(0),
            gpus: words.number("gpus").unwrap_or(0),
            labels: labels(words),
            ..Offer::default()
        };
        self.seed += 1;
        let fresh = IncarnationId(Uuid::from_u64_pair(self.seed, 7));
        let known = self.workers.get(&worker).map(|known| known.0);
        let anew = words.more().is_some();
        let incarnation = known.filter(|_| !anew).unwrap_or(fresh);
        self.link += 1;
        let link = self.link;
        self.workers.insert(worker.clone(), (incarnation, offer.clone(), Some(link)));
        let held = self.held(&worker, words);
        let here = offer.clone();
        let connected = Connected { link, incarnation, offer: here, offered: 0, given: 0 };
        self.handle(Input::Connected { worker: worker.clone(), connected });
        let writer = Writer { worker_id: worker.clone(), incarnation };
        self.ask(Command::Hello(Box::new(Hello { writer, offer, held })));
        self.handle(Input::Offered { worker, link, total: slots });
    }

    fn writer_and_held(&mut self, words: &mut Words) -> (Writer, Vec<Held>) {
        let worker_id = WorkerId(words.next());
        let held = self.held(&worker_id, words);
        let incarnation = self.workers[&worker_id].0;
        (Writer { worker_id, incarnation }, held)
    }

    fn held(&self, worker: &WorkerId, words: &mut Words) -> Vec<Held> {
        let names = words.named("held").unwrap_or_default();
        let names = names.split(',').filter(|name| !name.is_empty());
        let given = names.map(|name| &self.given[name]).filter(|given| given.worker == *worker);
        let one = |given: &Given| {
            let (attempt_id, term) = (given.attempt, given.term);
            Held { attempt_id, term, inputs: vec![given.input] }
        };
        given.map(one).collect()
    }

    /// Goes on by so much, stopping wherever the engine wants to be woken.
    pub fn tick(&mut self, span: &str) {
        let millis: i64 = match span.strip_suffix("ms") {
            Some(text) => text.parse().expect("milliseconds"),
            None => {
                let text = span.strip_suffix('s').expect("a span ends with s or ms");
                text.parse::<i64>().expect("seconds") * 1_000
            }
        };
        let end = self.now + Span::millis(millis);
        while let Output::WaitUntil(at) = self.engine.poll() {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            self.handle(Input::Tick);
        }
        self.now = end;
        self.handle(Input::Tick);
    }

    pub fn task(&mut self, words: &mut Words) -> TaskId {
        let name = words.next();
        let unknown = || TaskId(Uuid::from_u64_pair(0, 9));
        self.tasks.get(&name).copied().unwrap_or_else(unknown)
    }

    fn id_of(&self, name: &str) -> Uuid {
        let found = self.names.iter().find(|(_, known)| *known == name);
        found.map_or(Uuid::nil(), |(id, _)| *id)
    }

    pub fn row_of_task(&self, task: TaskId) -> hostler_core::task::Task {
        match self.row(Key::Task(task)) {
            Some(Row::Task(task)) => *task,
            other => panic!("a task, not {other:?}"),
        }
    }

    pub fn row(&self, key: Key) -> Option<Row> {
        let rows = self.store.load(&[key]).expect("the memory keeper always loads");
        rows.into_iter().next().and_then(|(_, row)| row).map(|(_, row)| row)
    }

    /// `keep [records=1000000] [days=30]`: from here on.
    fn keep(&mut self, words: &mut Words) {
        let retention = &mut self.config.retention;
        retention.records_max_per_task = words.number("records").unwrap_or(1_000_000);
        retention.days_after_rest = words.number("days").unwrap_or(30);
        self.begin_again();
    }

    fn begin_again(&mut self) {
        self.engine = Engine::new(self.config.clone(), self.now, self.seed);
        self.drain();
    }

    pub fn ask(&mut self, command: Command) {
        self.seed += 1;
        let seed = self.seed;
        self.handle(Input::Ask { ticket: seed, command, seed });
    }

    fn handle(&mut self, input: Input) {
        self.engine.handle(input, self.now);
        if !self.gathers {
            self.drain();
        }
    }

    fn drain(&mut self) {
        loop {
            let answer = match self.engine.poll() {
                Output::WaitUntil(_) => return,
                Output::Load(keys) => self.store.load(&keys).map(Input::Loaded),
                Output::Find(find) => self.store.find(&find).map(|found| Input::Found(find, found)),
                Output::Commit(batch) => self.commit(&batch),
                Output::Reply(_, result) => {
                    self.trace_reply(result);
                    continue;
                }
                Output::Push(_, push) => {
                    match &push.what {
                        PushKind::Assign(assignment) => self.note_assignment(assignment),
                        PushKind::Give { steer: false, input, .. } => self.note_turn(input),
                        _ => {}
                    }
                    self.trace_push(&push);
                    continue;
                }
                Output::Appended(..) => continue,
            };
            let input = answer.unwrap_or_else(|error| {
                Input::Failed(match error {
                    Error::Conflict => StoreFailure::Conflict,
                    Error::Unavailable(_) | Error::Corrupt(_) => StoreFailure::Unavailable,
                    Error::Unknown(_) => StoreFailure::Unknown,
                })
            });
            self.engine.handle(input, self.now);
        }
    }

    fn commit(&mut self, batch: &Batch) -> Result<Input, Error> {
        match self.faults.pop_front() {
            None => {
                let committed = self.store.commit(batch)?;
                self.note_fired(batch);
                Ok(Input::Committed(committed))
            }
            Some(Fault::Unavailable) => Err(Error::Unavailable("no disk".into())),
            Some(Fault::Unknown) => Err(Error::Unknown("no word".into())),
            Some(Fault::Conflict) => Err(Error::Conflict),
            Some(Fault::UnknownAndWritten) => {
                self.store.commit(batch)?;
                self.note_fired(batch);
                Err(Error::Unknown("no word".into()))
            }
        }
    }
}

fn config(words: &mut Words) -> Map<String, Value> {
    let mut config = Map::new();
    config.insert("runner".to_owned(), "scripted".into());
    if let Some(max) = words.number::<u64>("max") {
        config.insert("max_concurrency".to_owned(), max.into());
    }
    if let Some(idle) = words.number::<u64>("idle") {
        config.insert("idle_timeout_ms".to_owned(), idle.into());
    }
    if let Some(pool) = words.named("pool") {
        config.insert("pool".to_owned(), pool.into());
    }
    let labels = labels(words);
    if !labels.is_empty() {
        let labels: Map<String, Value> =
            labels.into_iter().map(|(name, value)| (name, value.into())).collect();
        config.insert("labels".to_owned(), labels.into());
    }
    if let Some(budget) = budget(words) {
        config.insert("budget".to_owned(), budget.into());
    }
    config
}

//! What persons set, in scripts: workspaces, instances, budgets; and what a task waits on.

use std::collections::BTreeMap;

use hostler_core::capacity::manage::UpdateInstance;
use hostler_core::capacity::waiting::{self, Around};
use hostler_core::command::Command;
use hostler_core::id::{WorkerId, WorkspaceId};
use hostler_core::key::{Key, Row};
use hostler_core::lease::Resources;
use hostler_core::stream::Body;
use hostler_core::task::State;
use hostler_core::worker::Status;
use hostler_core::workspace::manage::{CreateWorkspace, UpdateWorkspace};
use hostler_store::{LogRange, Store};
use serde_json::{Map, Value};

use crate::script::{Script, WORKSPACE, Words};

impl Script {
    /// The workspace that a line names; `default` when it names none.
    pub fn workspace_of(&self, words: &mut Words) -> WorkspaceId {
        words.named("in").map_or(WORKSPACE, |key| self.workspaces[&key])
    }

    pub fn manage(&mut self, verb: &str, words: &mut Words) {
        match verb {
            "workspace" => {
                let key = words.next();
                let create = CreateWorkspace { key: Some(key) };
                self.ask(Command::CreateWorkspace { create: Box::new(create) });
            }
            "pause" | "resume" => {
                let paused = Some(verb == "pause");
                self.set_workspace(words, UpdateWorkspace { paused, ..UpdateWorkspace::default() });
            }
            "set-workspace" => {
                let none = words.named("budget").map(|_| None);
                let budget = budget(words).map(Some).or(none);
                let weight = words.number("weight");
                self.set_workspace(words, UpdateWorkspace { paused: None, weight, budget });
            }
            "set" => {
                let key = self.key_of(words);
                let concurrency = words.named("concurrency").map(|text| text.parse().ok());
                let failed_attempt_threshold = words.number("threshold");
                let weight = words.number("weight");
                let update = UpdateInstance { concurrency, failed_attempt_threshold, weight };
                let update = Box::new(update);
                self.ask(Command::UpdateInstance { workspace: WORKSPACE, key, update });
            }
            "reset" => {
                let key = self.key_of(words);
                self.ask(Command::ResetInstance { workspace: WORKSPACE, key });
            }
            "instance" => {
                // A change of nothing shows it.
                let (key, update) = (self.key_of(words), Box::default());
                self.ask(Command::UpdateInstance { workspace: WORKSPACE, key, update });
            }
            "budget" | "reset-budget" => {
                let (workspace, agent) = (self.workspace_of(words), words.more());
                self.ask(match verb {
                    "budget" => Command::ShowBudget { workspace, agent },
                    _ => Command::ResetBudget { workspace, agent },
                });
            }
            "waits" => self.show_waiting(words),
            "events" => self.show_events(words),
            "room" => {
                let worker = WorkerId(words.next());
                let Some(Row::Worker(worker)) = self.row(Key::Worker(worker)) else {
                    panic!("a worker")
                };
                self.trace += &format!("  reserved {:?}\n", worker.reserved);
            }
            other => panic!("there is no command {other}"),
        }
    }

    fn set_workspace(&mut self, words: &mut Words, update: UpdateWorkspace) {
        let workspace = self.workspace_of(words);
        self.ask(Command::UpdateWorkspace { workspace, update: Box::new(update) });
    }

    fn key_of(&mut self, words: &mut Words) -> String {
        let task = self.task(words);
        self.row_of_task(task).instance_key
    }

    /// Every count is what the rows say (INV-CAP-1, INV-CAP-2, INV-WORKER-3).
    pub fn check_counts(&self) {
        let (mut tasks, mut leases) = (Vec::new(), Vec::new());
        self.store.each(|_, _, row| match row {
            Row::Task(task) if task.state == State::Queued => tasks.push(task.clone()),
            Row::Lease(lease) => leases.push(lease.clone()),
            _ => {}
        });
        self.store.each(|_, _, row| match row {
            Row::Instance(instance) => {
                let of = || tasks.iter().filter(|task| task.instance_key == instance.key);
                let mut ready = [0; 4];
                for task in of().filter(|task| task.parked.is_none()) {
                    ready[task.priority as usize] += 1;
                }
                assert_eq!((instance.queued as usize, instance.ready), (of().count(), ready));
                assert_eq!(instance.queued - instance.parked, ready.iter().sum::<u32>());
                let live = leases.iter().filter(|lease| lease.instance_key == instance.key);
                assert_eq!(instance.taken() as usize, live.count());
            }
            Row::Worker(worker) => {
                let its = leases.iter().filter(|lease| lease.worker_id == worker.id);
                let taken = its.fold(Resources::default(), |sum, one| sum.plus(one.resources));
                assert_eq!(worker.reserved, taken);
            }
            _ => {}
        });
    }

    /// The kinds of event in a task's stream, with the reason that some have.
    fn show_events(&mut self, words: &mut Words) {
        let range = LogRange { task: self.task(words), after: 0, limit: 1_000, bytes: usize::MAX };
        let records = self.store.read(&range).expect("the memory keeper always reads");
        let events = records.into_iter().filter_map(|record| match record.record.body {
            Body::Event { event_type, payload } => Some((event_type, payload)),
            _ => None,
        });
        let shown = events.map(|(kind, payload)| match payload.get("reason") {
            Some(reason) => format!("{kind} ({reason})"),
            None => kind,
        });
        let shown: Vec<String> = shown.collect();
        self.say(&shown.join(", "));
    }

    /// As the API would say it, by the rows alone.
    fn show_waiting(&mut self, words: &mut Words) {
        let id = self.task(words);
        let task = self.row_of_task(id);
        let session = Key::Session(task.workspace_id, task.session_id.clone());
        let (
            Some(Row::Workspace(workspace)),
            Some(Row::Instance(instance)),
            Some(Row::Session(session)),
        ) = (
            self.row(Key::Workspace(task.workspace_id)),
            self.row(Key::Instance(task.instance_key.clone())),
            self.row(session),
        )
        else {
            panic!("rows that belong together")
        };
        let rows = self.workers.keys().map(|id| self.row(Key::Worker(id.clone())));
        let rows: Vec<Option<Row>> = rows.collect();
        let workers = rows.iter().filter_map(|row| match row {
            Some(Row::Worker(worker)) if worker.status == Status::Available => {
                Some(waiting::Worker {
                    offer: &worker.offer,
                    reserved: worker.reserved,
                    free: None,
                })
            }
            _ => None,
        });
        let workers: Vec<_> = workers.collect();
        let around = Around {
            workspace: &workspace,
            instance: &instance,
            session: &session,
            workers: &workers,
            fallback_runtime: None,
        };
        let text = match waiting::waiting_on(&task, &around) {
            Some(waits) => format!("{}: {}", waits.code, waits.message),
            None => "it does not wait".to_owned(),
        };
        self.say(&text);
    }
}

/// `tokens=`, `turns=`, `usd=` and `period=`.
pub fn budget(words: &mut Words) -> Option<Map<String, Value>> {
    let mut budget = Map::new();
    for (word, name) in [("max_tokens", "max_tokens"), ("turns", "max_turns")] {
        if let Some(count) = words.number::<u64>(word) {
            budget.insert(name.to_owned(), count.into());
        }
    }
    if let Some(usd) = words.number::<f64>("usd") {
        budget.insert("max_usd".to_owned(), usd.into());
    }
    if let Some(period) = words.named("period") {
        budget.insert("period".to_owned(), period.into());
    }
    Some(budget).filter(|budget| !budget.is_empty())
}

/// `label=name:value`.
pub fn labels(words: &mut Words) -> BTreeMap<String, String> {
    let given = words.named("label");
    let pair = given.as_deref().and_then(|text| text.split_once(':'));
    pair.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// `cpu=` and `memory=`, of a policy.
pub fn resources(words: &mut Words) -> Option<Map<String, Value>> {
    let mut resources = Map::new();
    for name in ["cpu", "memory", "gpu"] {
        if let Some(count) = words.number::<u64>(name) {
            resources.insert(name.to_owned(), count.into());
        }
    }
    Some(resources).filter(|resources| !resources.is_empty())
}

//! The verbs of schedules, and what is written down of them.
//!
//! **What** `schedule S cron=*_*_*_*_*` makes one (`_` is a space), `reschedule S …` changes it,
//! `unschedule S` deletes it; `trigger S A` names the task `A`, `details A` says what it was told;
//! `backfill S from=… to=…` in seconds; `show S` says what its row and its missed ticks are. Tasks
//! that it makes by itself are named `S-1`, `S-2`. Ticks are seconds since 1970; scripts begin at
//! 1 000.

use std::fmt::Write;

use hostler_core::batch::Batch;
use hostler_core::command::Command;
use hostler_core::id::{ScheduleId, WorkerId};
use hostler_core::key::{Key, Row};
use hostler_core::run::start::Writer;
use hostler_core::schedule::Schedule;
use hostler_core::schedule::backfill::{Backfill, Filled};
use hostler_core::schedule::manage::{CreateSchedule, Options, UpdateSchedule};
use hostler_core::stream::Body;
use hostler_core::time::Timestamp;
use hostler_core::worker::beat::Beat;
use hostler_core::worker::hello::Held;
use hostler_store::{LogRange, Query, Store};
use uuid::Uuid;

use crate::script::{Script, WORKSPACE, Words};

impl Script {
    pub fn scheduling(&mut self, verb: &str, words: &mut Words) {
        let name = words.next();
        let id = self.schedules.get(&name).copied().unwrap_or(ScheduleId(Uuid::nil()));
        let spaced = |text: String| text.replace('_', " ");
        match verb {
            "schedule" => {
                let create = CreateSchedule {
                    agent: words.named("agent").or(Some("a".to_owned())),
                    cron_expr: words.named("cron").or(Some("* * * * *".to_owned())).map(spaced),
                    timezone: words.named("tz"),
                    prompt: words.named("prompt").or(Some(format!("do {name}"))).map(spaced),
                    active: words.number("active"),
                    options: options(words),
                };
                self.naming.push_back(name);
                let create = Box::new(create);
                self.ask(Command::CreateSchedule { workspace: WORKSPACE, create });
                self.naming.clear();
            }
            "reschedule" => {
                let update = UpdateSchedule {
                    cron_expr: words.named("cron").map(spaced),
                    timezone: words.named("tz"),
                    prompt: words.named("prompt").map(spaced),
                    active: words.number("active"),
                    options: options(words),
                };
                let update = Box::new(update);
                self.ask(Command::UpdateSchedule { workspace: WORKSPACE, id, update });
            }
            "unschedule" => {
                self.ask(Command::DeleteSchedule { workspace: WORKSPACE, id });
            }
            "trigger" => {
                let name = words.next();
                self.naming.push_back(name);
                let idempotency_key = words.named("key");
                self.ask(Command::Trigger { workspace: WORKSPACE, id, idempotency_key });
                self.naming.clear();
            }
            "backfill" => {
                let mut time = |name: &str| {
                    words.number::<i64>(name).map(|seconds| Timestamp(seconds * 1_000))
                };
                let (from, to) = (time("from"), time("to"));
                let backfill = Backfill { from, to, overlap: words.named("overlap") };
                self.ask(Command::Backfill { workspace: WORKSPACE, id, backfill });
            }
            "details" => {
                let task = self.row_of_task(self.tasks[&name]);
                let details = serde_json::to_value(&task.details).expect("plain data");
                self.say(&format!("{} {} {}", task.session_id.0, task.priority, details));
                let session = Uuid::parse_str(&task.session_id.0).expect("the session is a UUID");
                assert_eq!(session.get_version_num(), 8);
            }
            _ => self.show(id),
        }
    }

    /// `work 60s w1`: goes on by so much while the worker beats with what it has.
    pub fn work(&mut self, words: &mut Words) {
        let span = words.next();
        let seconds: u64 = span.trim_end_matches('s').parse().expect("seconds");
        let worker_id = WorkerId(words.next());
        for _ in 0..seconds / 2 {
            self.tick("2s");
            let (incarnation, ..) = self.workers[&worker_id];
            let given = self.given.values().filter(|given| given.worker == worker_id);
            let held = given.filter(|given| self.row(Key::Lease(given.attempt)).is_some());
            let held = held.map(|given| Held {
                attempt_id: given.attempt,
                term: given.term,
                inputs: vec![given.input],
            });
            let writer = Writer { worker_id: worker_id.clone(), incarnation };
            let beat = Beat { writer, held: held.collect() };
            let before = self.trace.len();
            self.ask(Command::Beat(Box::new(beat)));
            if self.trace[before..] == *"  welcome\n" {
                self.trace.truncate(before);
            }
        }
    }

    /// Gives the tasks of a batch that a schedule has made their names.
    pub fn note_fired(&mut self, batch: &Batch) {
        let made = batch.writes.iter().filter(|write| write.expect.is_none());
        let mut made: Vec<_> = made
            .filter_map(|write| match write.row.as_deref() {
                Some(Row::Task(task)) => Some(task.as_ref().clone()),
                _ => None,
            })
            .collect();
        made.sort_by(|a, b| a.idempotency_key.cmp(&b.idempotency_key));
        for task in made {
            let Some(schedule) = task.schedule_id.and_then(|id| self.names.get(&id.0)) else {
                continue;
            };
            // A task that was asked for has its name from there.
            let Some(tick) = task.idempotency_key.strip_prefix("schedule:") else { continue };
            let tick = tick.rsplit(':').next().unwrap_or_default();
            let starts = format!("{schedule}-");
            let count = self.tasks.keys().filter(|name| name.starts_with(&starts)).count();
            let name = format!("{schedule}-{}", count + 1);
            self.names.insert(task.id.0, name.clone());
            self.tasks.insert(name.clone(), task.id);
            self.input_name(&name, task.first_input_id);
            self.trace += &format!("  {name} is made at {}, tick {tick}\n", seconds(self.now));
        }
    }

    pub fn shown_schedule(&mut self, schedule: &Schedule) -> String {
        if let Some(name) = self.naming.pop_front() {
            self.names.insert(schedule.id.0, name.clone());
            self.schedules.insert(name, schedule.id);
        }
        let (id, next) = (schedule.id, schedule.next_run_at.map(seconds));
        match (&schedule.paused_reason, schedule.active) {
            (Some(reason), _) => format!("{id} is paused: {reason}"),
            (None, false) => format!("{id} is paused"),
            (None, true) => format!("{id} is next at {}", next.unwrap_or_default()),
        }
    }

    pub fn shown_filled(&mut self, filled: &[Filled]) -> String {
        let one = |one: &Filled| {
            let task = one.task_id.map(|id| format!(" {id}")).unwrap_or_default();
            format!("{} {}{task}", seconds(one.tick), one.became)
        };
        filled.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn show(&mut self, id: ScheduleId) {
        let Some(Row::Schedule(row)) = self.row(Key::Schedule(id)) else {
            panic!("there is no schedule")
        };
        let mut line = self.shown_schedule(&row);
        let (fired, missed, failed) = (row.fired_count, row.missed_count, row.failure_count);
        let _ = write!(line, " | fired {fired} missed {missed} failures {failed}");
        let open: Vec<String> = row.open_tasks.iter().map(ToString::to_string).collect();
        let _ = write!(line, " | open [{}]", open.join(" "));
        let waits: Vec<String> = row.buffered.iter().copied().map(seconds).collect();
        let _ = write!(line, " buffered [{}]", waits.join(" "));
        if row.deleted_at.is_some() {
            line += " | deleted";
        }
        self.say(&line);
        for row in self.rows(&Query::Missed { schedule: id, before: None, limit: 100 }) {
            if let Row::Missed(missed) = row {
                let (from, to) = (seconds(missed.from), seconds(missed.to));
                let (count, reason) = (missed.count, missed.reason);
                self.say(&format!("missed {count} from {from} to {to}: {reason}"));
            }
        }
    }

    /// The events of a schedule on the streams of all tasks.
    pub fn schedule_events(&mut self) {
        let tasks: Vec<_> = self.tasks.clone().into_iter().collect();
        for (name, task) in tasks {
            let range = LogRange { task, after: 0, limit: 1_000, bytes: usize::MAX };
            for record in self.store.read(&range).expect("the memory keeper always reads") {
                if let Body::Event { event_type, payload } = record.record.body
                    && event_type.starts_with("schedule_")
                {
                    let payload = serde_json::Value::from(payload);
                    self.say(&format!("{name}: {event_type} {payload}"));
                }
            }
        }
    }
}

fn options(words: &mut Words) -> Options {
    Options {
        skill_paths: words.named("skills").map(|text| text.split(',').map(Into::into).collect()),
        overlap: words.named("overlap"),
        catchup_window_ms: words.number("catchup"),
        jitter_ms: words.number("jitter"),
        pause_after_failures: words.number("failures"),
        policy: None,
        priority: words.named("priority"),
        timeout_ms: words.number("timeout"),
    }
}

/// A time in seconds, with its milliseconds when there are any.
fn seconds(at: Timestamp) -> String {
    match at.0 % 1_000 {
        0 => (at.0 / 1_000).to_string(),
        millis => format!("{}.{millis:03}", at.0 / 1_000),
    }
}

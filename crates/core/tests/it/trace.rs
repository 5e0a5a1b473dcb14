//! What a script has led to, in words: replies and pushes as they come, and in the end what became
//! of every task. Ids have names: `A` a task, `A.1` its first input, `A/1` its first run.

use std::fmt::Write;

use hostler_core::capacity::Instance;
use hostler_core::capacity::claim::Assignment;
use hostler_core::command::Answer;
use hostler_core::engine::{Push, PushKind, Refused};
use hostler_core::id::{AttemptId, IncarnationId, InputId, RunId, TaskId};
use hostler_core::input::Input;
use hostler_core::key::{Key, Row};
use hostler_core::lease::Can;
use hostler_core::run::outcome::{Cause, Failure};
use hostler_core::run::start::{Event, TurnEnded, Verdict, What, Writer};
use hostler_core::run::{Run, Usage};
use hostler_core::stream::{Body, Channel, Record};
use hostler_core::task::accept::Accepted;
use hostler_core::time::Timestamp;
use hostler_core::worker::append::Chunk;
use hostler_core::worker::hello::Orders;
use hostler_store::{LogRange, Query, Store};
use uuid::Uuid;

use crate::script::{Given, Script, Words};

/// Told by a worker after the end of what it tells of.
const STALE_TERM: u64 = 99;

impl Script {
    /// `start A`, `turn A`, `end-turn A …`, `end A …`, `log A 0 text`; `done A` is all of it.
    pub fn report(&mut self, verb: &str, words: &mut Words) {
        let name = words.next();
        let Some(mut given) = self.given.get(&name).cloned() else {
            panic!("{name} was given to no worker:\n{}", self.trace)
        };
        if words.named("term").is_some() {
            given.term = STALE_TERM;
        }
        if words.named("incarnation").is_some() {
            given.writer.incarnation = IncarnationId(Uuid::from_u64_pair(5, 5));
        }
        match verb {
            "start" => {
                let can = can(words);
                self.tell(&given, What::Started { provider: None, model: None, can });
            }
            "injected" => {
                let input_id = self.input_or(words, given.input);
                self.tell(&given, What::Injected { input_id });
            }
            "returned" => {
                let input_id = self.input_or(words, given.input);
                self.tell(&given, What::Returned { input_id });
            }
            "spent" => {
                let tokens = words.next().parse().expect("a number of tokens");
                let usage = Usage { output_tokens: tokens, ..Usage::default() };
                self.tell(&given, What::Spent { input_id: given.input, usage });
            }
            "turn" => {
                let input_id = self.input_or(words, given.input);
                self.tell(&given, What::TurnStarted { input_id });
            }
            "end-turn" => {
                let input_id = self.input_or(words, given.input);
                let how = words.next();
                self.end_turn(&given, input_id, &how, words.number("tokens").unwrap_or(0));
            }
            "end" => self.tell(&given, ended(&words.next())),
            "log" => self.log(&given, words),
            "done" => {
                let can = Can::default();
                self.tell(&given, What::Started { provider: None, model: None, can });
                self.tell(&given, What::TurnStarted { input_id: given.input });
                self.end_turn(&given, given.input, "ok", 0);
                let given = self.given[&name].clone();
                self.tell(&given, ended("closed"));
            }
            other => panic!("there is no command {other}"),
        }
    }

    fn input_or(&self, words: &mut Words, otherwise: InputId) -> InputId {
        let named = words.named("input");
        let found = named.and_then(|name| self.names.iter().find(|(_, known)| **known == name));
        found.map_or(otherwise, |(id, _)| InputId(*id))
    }

    fn end_turn(&mut self, given: &Given, input_id: InputId, how: &str, tokens: u64) {
        let failure = how.strip_prefix("error:").and_then(Failure::parse);
        let ended = TurnEnded {
            input_id,
            is_error: how.starts_with("error"),
            reason: how.strip_prefix("as:").unwrap_or("completed").to_owned(),
            text: format!("it is {how}"),
            waiting_for_input: how == "asks",
            usage: Usage { output_tokens: tokens, ..Usage::default() },
            failure,
            last: how == "last",
        };
        self.tell(given, What::TurnEnded(Box::new(ended)));
    }

    fn tell(&mut self, given: &Given, what: What) {
        let event = Event { attempt_id: given.attempt, term: given.term, what };
        let writer: Writer = given.writer.clone();
        self.ask(hostler_core::command::Command::Report { writer, events: vec![event] });
    }

    fn log(&mut self, given: &Given, words: &mut Words) {
        let number = words.next().parse().expect("a chunk's number");
        let body = Body::Log {
            stream: Channel::Stdout,
            data: words.next(),
            chunk_type: "text".to_owned(),
            metadata: None,
        };
        let record = Record { ts: Timestamp(0), run_id: None, attempt_id: None, body };
        let (attempt_id, term) = (given.attempt, given.term);
        let records = vec![record; words.number("records").unwrap_or(1)];
        let chunks = vec![Chunk { attempt_id, term, number, records }];
        let writer = given.writer.clone();
        self.ask(hostler_core::command::Command::Append { writer, chunks });
    }

    pub fn note_assignment(&mut self, assignment: &Assignment) {
        let lease = &assignment.lease;
        let task = self.names[&lease.task_id.0].clone();
        let run = self.run_name(&task, lease.run_id);
        let attempt = format!("{run}#{}", assignment.attempt_no);
        self.names.insert(lease.attempt_id.0, attempt);
        let writer = Writer { worker_id: lease.worker_id.clone(), incarnation: lease.incarnation };
        let given = Given {
            attempt: lease.attempt_id,
            term: lease.term,
            input: assignment.input.id,
            worker: lease.worker_id.clone(),
            writer,
        };
        self.given.insert(task, given);
    }

    /// The execution's next turn.
    pub fn note_turn(&mut self, input: &Input) {
        let task = self.names[&input.task_id.0].clone();
        if let Some(given) = self.given.get_mut(&task) {
            given.input = input.id;
        }
    }

    fn run_name(&mut self, task: &str, run: RunId) -> String {
        if let Some(name) = self.names.get(&run.0) {
            return name.clone();
        }
        let is_run = |name: &&String| {
            name.strip_prefix(task).is_some_and(|rest| rest.starts_with('/') && !rest.contains('#'))
        };
        let name = format!("{task}/{}", self.names.values().filter(is_run).count() + 1);
        self.names.insert(run.0, name.clone());
        name
    }

    pub fn input_name(&mut self, task: &str, input: InputId) -> String {
        if let Some(name) = self.names.get(&input.0) {
            return name.clone();
        }
        let starts = format!("{task}.");
        let count = self.names.values().filter(|name| name.starts_with(&starts)).count();
        let name = format!("{task}.{}", count + 1);
        self.names.insert(input.0, name.clone());
        name
    }

    pub fn trace_push(&mut self, push: &Push) {
        let text = match &push.what {
            PushKind::Assign(assignment) => {
                let lease = &assignment.lease;
                let (input, resume) = (assignment.input.id, assignment.resume);
                let resume = if resume { ", resume" } else { "" };
                let term = lease.term;
                format!("assign {} term {term} input {input}{resume}", lease.attempt_id)
            }
            PushKind::Cancel(attempt) => format!("cancel {attempt}"),
            PushKind::Give { attempt_id, steer, input, .. } => {
                let (how, id) = (if *steer { "steer" } else { "next" }, input.id);
                format!("{how} {id} {:?} for {attempt_id}", input.message)
            }
            PushKind::Interrupt { attempt_id, input_id } => {
                format!("interrupt {attempt_id} in {input_id}")
            }
            PushKind::Close(attempt) => format!("close {attempt}"),
        };
        self.say(&format!("{} <- {text}", push.worker_id));
    }

    pub fn trace_reply(&mut self, result: Result<Answer, Refused>) {
        let text = match result {
            Ok(Answer::Accepted(accepted)) => self.accepted(&accepted),
            Ok(Answer::Cancelled(cancelled)) => {
                let settled = if cancelled.settled { "settled" } else { "is being stopped" };
                format!("{} is {}, {settled}", cancelled.task.id, cancelled.task.state)
            }
            Ok(Answer::Task(task)) => {
                format!("{} is {}, archived {}", task.id, task.state, task.archived_at.is_some())
            }
            Ok(Answer::Input(input)) => match input.outcome {
                Some(outcome) => format!("{} {outcome}", input.id),
                None => format!("{} {:?}", input.id, input.message),
            },
            Ok(Answer::Agent(agent)) => {
                let max = agent.config.get("max_concurrency").and_then(serde_json::Value::as_u64);
                self.names.insert(agent.id.0, format!("agent-{}", agent.agent_key));
                format!("agent {} active {} max {max:?}", agent.agent_key, agent.active)
            }
            Ok(Answer::Schedule(schedule)) => self.shown_schedule(&schedule),
            Ok(Answer::Backfilled(filled)) => self.shown_filled(&filled),
            Ok(Answer::Times(times)) => times.join(" "),
            Ok(Answer::Workspace(workspace)) => {
                let (id, paused, weight) = (workspace.id, workspace.paused, workspace.weight);
                self.workspaces.insert(workspace.key.clone(), id);
                format!("workspace {} is {id}, paused {paused}, weight {weight}", workspace.key)
            }
            Ok(Answer::Instance(instance)) => shown_instance(&instance),
            Ok(Answer::Standing(standing)) => match standing.account {
                Some(account) => format!("spent {:?}, turns {}", account.usage, account.turns),
                None => "nothing is counted".to_owned(),
            },
            Ok(Answer::Orders(orders)) => shown_orders(&orders),
            Ok(Answer::UnknownWorker) => "unknown worker".to_owned(),
            Ok(Answer::Verdicts(verdicts)) => {
                let words: Vec<String> =
                    verdicts.iter().map(|verdict| self.verdict(verdict)).collect();
                words.join(", ")
            }
            Ok(Answer::ChunkAcks(acks)) => {
                let words = acks.iter().map(|ack| match ack.fenced {
                    true => "fenced".to_owned(),
                    false => format!("next chunk {}", ack.next_number),
                });
                words.collect::<Vec<_>>().join(", ")
            }
            Ok(Answer::Done) => "done".to_owned(),
            Err(Refused::Rejected(no)) => {
                format!("no: {} [{}] {}", no.code, no.field.unwrap_or_default(), no.message)
            }
            Err(refused) => format!("{refused:?}").to_lowercase(),
        };
        self.say(&text);
    }

    fn accepted(&mut self, accepted: &Accepted) -> String {
        let task = accepted.task.id;
        if !self.names.contains_key(&task.0)
            && let Some(name) = self.naming.pop_front()
        {
            self.names.insert(task.0, name.clone());
            self.tasks.insert(name, task);
        }
        let name = self.names[&task.0].clone();
        let input = self.input_name(&name, accepted.input.id);
        let hit = if accepted.idempotent_hit { ", hit" } else { "" };
        let (state, delivery) = (accepted.task.state, accepted.input.delivery);
        format!("{name} is {state}, {input} {delivery}{hit}")
    }

    fn verdict(&mut self, verdict: &Verdict) -> String {
        match verdict {
            Verdict::Next(input) => {
                self.note_turn(input);
                format!("next {}", input.id)
            }
            Verdict::Accepted => "accepted".to_owned(),
            Verdict::Fenced => "fenced".to_owned(),
            Verdict::Wait => "wait".to_owned(),
            Verdict::Close => "close".to_owned(),
            Verdict::Illegal => "illegal".to_owned(),
        }
    }

    /// Writes a line with every id that has a name replaced by it.
    pub fn say(&mut self, text: &str) {
        let mut text = text.to_owned();
        for (id, name) in &self.names {
            text = text.replace(&id.to_string(), name);
        }
        self.trace += &format!("  {text}\n");
    }

    /// `concurrency A`: the counts of a task's instance.
    pub fn show_instance(&mut self, words: &mut Words) {
        let task = self.task(words);
        let key = self.row_of_task(task).instance_key;
        if let Some(Row::Instance(row)) = self.row(Key::Instance(key)) {
            let (queued, parked, pass) = (row.queued, row.parked, row.pass);
            let (pending, running, stopping) = (row.pending, row.running, row.stopping);
            self.say(&format!(
                "of {}: queued {queued} parked {parked} pending {pending} running {running} \
                 stopping {stopping} claims {pass}",
                row.concurrency
            ));
        }
    }

    /// `stream A`: which numbers of a task's stream are there.
    pub fn show_stream(&mut self, words: &mut Words) {
        let task = self.task(words);
        let range = LogRange { task, after: 0, limit: usize::MAX, bytes: usize::MAX };
        let mut text = "nothing is gone".to_owned();
        let mut kept = 0;
        for one in self.store.read(&range).expect("the memory keeper always reads") {
            match one.record.body {
                Body::Gap { from_seq, to_seq } => text = format!("{from_seq} to {to_seq} are gone"),
                _ => kept += 1,
            }
        }
        let end = self.store.end(task).expect("the memory keeper always reads");
        let rests = match self.row_of_task(task).rested_at {
            Some(_) => ", it rests with a stream",
            None => "",
        };
        self.say(&format!("{text}, {kept} are kept, the end is {end}{rests}"));
    }

    /// What became of every task.
    pub fn summary(&mut self) {
        let tasks: Vec<(String, TaskId)> =
            self.tasks.iter().map(|(name, id)| (name.clone(), *id)).collect();
        if !tasks.is_empty() {
            self.trace += "=\n";
        }
        for (name, id) in tasks {
            let task = self.row_of_task(id);
            let mut line = format!("{name} {}", task.state);
            if let Some(parked) = task.parked {
                let _ = write!(line, " (parked: {parked})");
            }
            if task.cancel_requested_at.is_some() {
                line += " (cancel)";
            }
            if let Some(reason) = &task.dropped_reason {
                let _ = write!(line, " ({reason})");
            }
            if let Some(error) = &task.error {
                let _ = write!(line, " {error:?}");
            }
            for row in self.rows(&Query::Inputs { task: id, after: None, limit: 100 }) {
                let Row::Input(input) = row else { continue };
                let input_name = self.input_name(&name, input.id);
                let _ = match (input.outcome, input.reason) {
                    (Some(outcome), Some(reason)) => {
                        write!(line, " | {input_name} {outcome}: {reason}")
                    }
                    (Some(outcome), None) => write!(line, " | {input_name} {outcome}"),
                    _ => write!(line, " | {input_name} {}", input.state),
                };
            }
            self.say(&line);
            self.runs_of(&name, id);
            self.logs_of(id);
        }
    }

    fn runs_of(&mut self, name: &str, task: TaskId) {
        let filter = hostler_store::query::RunFilter { task: Some(task), ..Default::default() };
        let query =
            Query::Runs { workspace: crate::script::WORKSPACE, filter, after: None, limit: 100 };
        let mut runs: Vec<Run> = Vec::new();
        for row in self.rows(&query) {
            if let Row::Run(run) = row {
                runs.push(*run);
            }
        }
        runs.sort_by_key(|run| self.names.get(&run.id.0).cloned());
        for run in runs {
            let run_name = self.run_name(name, run.id);
            let failure = run.failure.map_or("", Failure::as_str);
            let mut line = format!("  {run_name} {} {failure}", run.status).trim_end().to_owned();
            for row in self.rows(&Query::Attempts { run: run.id }) {
                if let Row::Attempt(attempt) = row {
                    let (number, status) = (attempt.attempt_no, attempt.status);
                    let failure = attempt.failure.map_or("", Failure::as_str);
                    let text = format!(" | #{number} {status} on {} {failure}", attempt.worker_id);
                    line += text.trim_end();
                }
            }
            let _ = write!(line, " | turns {} snapshots {}", run.turn_count, run.snapshot_seq);
            self.say(&line);
        }
    }

    fn logs_of(&mut self, task: TaskId) {
        let range = LogRange { task, after: 0, limit: 1_000, bytes: usize::MAX };
        let records = self.store.read(&range).expect("the memory keeper always reads");
        let lines = records.into_iter().filter_map(|record| match record.record.body {
            Body::Log { data, .. } => Some(data),
            _ => None,
        });
        let lines: Vec<String> = lines.collect();
        if !lines.is_empty() {
            self.say(&format!("  log: {}", lines.join(" ")));
        }
    }

    pub fn rows(&self, query: &Query) -> Vec<Row> {
        self.store.scan(query).expect("the memory keeper always scans").rows
    }
}

/// Its health, and what a person may set.
fn shown_instance(instance: &Instance) -> String {
    let mut text = format!(
        "{} after {} of {} failures, {} at once, weight {}",
        instance.status,
        instance.failed_attempts,
        instance.failed_attempt_threshold,
        instance.concurrency,
        instance.weight,
    );
    if let Some(at) = instance.probe_at {
        let _ = write!(text, ", tried at {}", at.0);
    }
    if let (Some(until), Some(by)) = (instance.held_until, &instance.held_by) {
        let _ = write!(text, ", held until {}: {by}", until.0);
    }
    for change in &instance.history {
        let _ =
            write!(text, " | {} {} -> {}: {}", change.at.0, change.from, change.to, change.reason);
    }
    text
}

fn shown_orders(orders: &Orders) -> String {
    let list =
        |ids: &[AttemptId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    match (orders.lost.is_empty(), orders.cancel.is_empty()) {
        (true, true) => "welcome".to_owned(),
        _ => format!("lost [{}] cancel [{}]", list(&orders.lost), list(&orders.cancel)),
    }
}

fn ended(how: &str) -> What {
    let cause = match how {
        "closed" => Cause::Closed,
        "stopped" => Cause::Stopped,
        "timeout" => Cause::TimedOut,
        "sandbox" => Cause::SandboxFailed,
        "refused" => Cause::Refused,
        "killed" => Cause::Crashed,
        "check-failed" => Cause::CheckFailed { code: 1 },
        other => Cause::Exited { code: other.parse().expect("an exit code") },
    };
    What::Ended { cause, detail: String::new() }
}

/// `steer`, `interrupt`, `keep`: what the agent's process can do; `can=all` is all of it.
fn can(words: &mut Words) -> Can {
    let named = words.named("can").unwrap_or_default();
    let has = |name: &str| named == "all" || named.split(',').any(|word| word == name);
    Can { steer: has("steer"), interrupt: has("interrupt"), keep: has("keep") }
}

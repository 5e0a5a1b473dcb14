//! Messages for a turn of the real Claude Code program that runs: the stream and the receipt of
//! each say the same.

use std::fs;
use std::path::PathBuf;

use hostler_wire::json::word::{Delivery, InputOutcome, RunStatus, TaskState};
use hostler_wire::json::{Input, InputAccepted, Task};
use serde_json::{Value, json};

use super::claude::{find, in_state, send, with_claude};
use super::host::{Host, Process, until};
use super::model::Model;

/// A turn that waits in a tool call until it is let go.
struct Held {
    host: Host,
    _dev: Process,
    model: Model,
    task: Task,
    folder: PathBuf,
}

impl Held {
    fn start() -> Option<Held> {
        Held::then(json!([]))
    }

    /// Goes on with these steps when it is let go.
    fn then(steps: Value) -> Option<Held> {
        let (host, dev, model) = with_claude()?;
        let wait = "touch started; for i in $(seq 600); do test -e go && break; sleep 0.1; done; \
            echo released";
        let mut script = vec![json!({ "bash": wait })];
        script.extend(steps.as_array()?.clone());
        script.push(json!({ "text": "the first answer" }));
        let script = Value::from(script);
        let task = send(&host, &format!("Do this. SCRIPT{script}"));
        let folder = host.data_dir().join("workspaces");
        let started = until("the turn runs", || find(&folder, "started"));
        let folder = started.parent()?.to_owned();
        Some(Held { host, _dev: dev, model, task, folder })
    }

    fn say(&self, mode: &str, message: &str) -> InputAccepted {
        self.host.ask(&["send", &self.task.id.to_string(), message, "--mode", mode])
    }

    fn release(&self) {
        fs::write(self.folder.join("go"), "").expect("a file in the workspace");
    }

    fn receipt(&self, sent: &InputAccepted) -> Input {
        self.host.ask(&["inputs", "get", &sent.input.id.to_string()])
    }

    /// Of the events of the task's stream, those that name the input.
    fn events_of(&self, sent: &InputAccepted) -> Vec<String> {
        let logs = self.host.run(["tasks", "logs", &self.task.id.to_string(), "--json"]).out;
        let records = logs.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let id = sent.input.id.to_string();
        let named = records.filter(|record| record["payload"]["input_id"] == id.as_str());
        named.filter_map(|record| Some(record["event_type"].as_str()?.to_owned())).collect()
    }

    fn heard(&self, text: &str) -> bool {
        self.model.asked().iter().any(|asked| asked.body.to_string().contains(text))
    }
}

#[test]
fn a_steer_reaches_the_running_turn_of_claude_code() {
    let Some(held) = Held::start() else { return };
    let sent = held.say("steer", "turn left at the lighthouse");
    assert_eq!(sent.outcome, Delivery::Direct);
    held.release();
    let (_, run) = in_state(&held.host, &held.task, TaskState::Done);
    assert_eq!(run.result.as_deref(), Some("the first answer"));
    assert_eq!((run.status, run.usage_json.turns), (RunStatus::Ok, 1), "it is the same turn");
    assert!(held.heard("turn left at the lighthouse"), "the model was told");
    assert_eq!(held.receipt(&sent).outcome, Some(InputOutcome::Injected));
    assert!(held.events_of(&sent).ends_with(&["input_injected".to_owned()]));
}

#[test]
fn a_steer_that_was_injected_outlives_the_process() {
    // The first time it kills everything in its sandbox.
    let crash = "test -e again || { touch again; kill -9 -1; }";
    let Some(held) = Held::then(json!([{ "bash": crash }])) else { return };
    let sent = held.say("steer", "turn left at the lighthouse");
    held.release();
    let (_, run) = in_state(&held.host, &held.task, TaskState::Done);
    assert_eq!((run.status, run.attempt_count), (RunStatus::Ok, 2));
    assert_eq!(held.receipt(&sent).outcome, Some(InputOutcome::Injected));
    let last = held.model.asked().pop().expect("it was asked").body.to_string();
    assert!(last.contains("turn left at the lighthouse"), "the resumed conversation has it");
}

#[test]
fn a_follow_up_is_the_next_turn_of_the_same_process() {
    let Some(held) = Held::start() else { return };
    let script = json!([{ "text": "the second answer" }]);
    let sent = held.say("followup", &format!("And this. SCRIPT{script}"));
    assert_eq!(sent.outcome, Delivery::Queued);
    held.release();
    let (_, run) = in_state(&held.host, &held.task, TaskState::Done);
    assert_eq!(run.result.as_deref(), Some("the second answer"));
    assert_eq!((run.usage_json.turns, run.attempt_count), (2, 1));
    assert_eq!(held.receipt(&sent).outcome, Some(InputOutcome::Turn));
    assert_eq!(held.events_of(&sent), ["input_queued", "turn_started", "turn_ended"]);
}

#[test]
fn an_interrupt_stops_the_turn_of_claude_code_and_keeps_its_process() {
    let Some(held) = Held::start() else { return };
    let script = json!([{ "text": "stopped and answered" }]);
    let sent = held.say("interrupt", &format!("Stop. SCRIPT{script}"));
    assert_eq!(sent.outcome, Delivery::Interrupted);
    let (_, run) = in_state(&held.host, &held.task, TaskState::Done);
    assert_eq!(run.result.as_deref(), Some("stopped and answered"));
    assert_eq!((run.usage_json.turns, run.attempt_count), (2, 1), "one process, two turns");
    assert_eq!(sent.run_id, Some(run.id));
    assert_eq!(held.receipt(&sent).outcome, Some(InputOutcome::Turn));
    let events = held.events_of(&sent);
    assert_eq!(events, ["input_queued", "interrupted", "turn_started", "turn_ended"]);
}

#[test]
fn a_message_that_was_withdrawn_is_never_said() {
    let Some(held) = Held::start() else { return };
    let sent = held.say("followup", "say nothing of the albatross");
    let gone: Input = held.host.ask(&["inputs", "withdraw", &sent.input.id.to_string()]);
    assert_eq!(gone.outcome, Some(InputOutcome::Withdrawn));
    held.release();
    let (_, run) = in_state(&held.host, &held.task, TaskState::Done);
    assert_eq!((run.status, run.usage_json.turns), (RunStatus::Ok, 1));
    assert!(!held.heard("albatross"));
    assert_eq!(held.receipt(&sent).outcome, Some(InputOutcome::Withdrawn));
    assert_eq!(held.events_of(&sent), ["input_queued", "input_withdrawn"]);
}

//! The dialogues against what real programs printed, and the scripted program as a process.
//!
//! A fixture is what the program printed, line by line, shortened, with `@N@` for the id of the
//! N-th message. Lines that begin with `#` say what was done at that point: `# turn`, `# steer`,
//! `# interrupt`, `# stderr TEXT`, `# exit N`.

mod claude;
mod scripted;
mod steer;

use std::collections::HashMap;
use std::path::PathBuf;

use hostler_worker::agent::{
    Action, Agent, Dialogue, Exit, Job, Log, Refusal, TurnInput, TurnResult, by_runner,
};
use serde_json::{Map, Value};

fn job(security: &str) -> Job {
    Job {
        workspace: "default".to_owned(),
        task_id: "task-1".to_owned(),
        run_id: "run-1".to_owned(),
        attempt_id: "attempt-1".to_owned(),
        agent_key: "demo".to_owned(),
        session_id: "session-1".to_owned(),
        resume: false,
        config: Map::new(),
        extra_system_prompt: None,
        security: security.to_owned(),
        context: Map::new(),
        state_dir: PathBuf::from("/nonexistent"),
        budget_micro_usd: 0,
    }
}

fn input(number: usize, message: &str) -> TurnInput {
    TurnInput {
        input_id: format!("input-{number}"),
        message: message.to_owned(),
        attachments: Vec::new(),
    }
}

fn runner(name: &str) -> std::sync::Arc<dyn Agent> {
    by_runner(name).expect("it is built in")
}

/// A dialogue and all that it wanted done.
struct Talk {
    dialogue: Box<dyn Dialogue>,
    actions: Vec<Action>,
    message_ids: Vec<String>,
}

impl Talk {
    fn begin(runner_name: &str, job: &Job) -> Talk {
        let mut dialogue = runner(runner_name).dialogue(job);
        let actions = dialogue.begin();
        Talk { dialogue, actions, message_ids: Vec::new() }
    }

    /// What a fixture's program printed, with what was said to it.
    fn replay(job: &Job, fixture: &str) -> Talk {
        let folder = env!("CARGO_MANIFEST_DIR");
        let path = format!("{folder}/tests/fixtures/claude/{fixture}.jsonl");
        let text = std::fs::read_to_string(&path).expect("the fixture is there");
        let mut talk = Talk::begin("claude_code", job);
        for line in text.lines() {
            match line.strip_prefix("# ").map(|rest| rest.split_once(' ').unwrap_or((rest, ""))) {
                None => talk.stdout(line),
                Some(("turn", _)) => talk.turn("do it"),
                Some(("steer", _)) => talk.steer("do that too"),
                Some(("interrupt", _)) => talk.actions.extend(talk.dialogue.interrupt()),
                Some(("stderr", text)) => talk.actions.extend(talk.dialogue.stderr(text)),
                Some(("exit", code)) => talk.exit(code.parse().expect("a number")),
                Some((other, _)) => unreachable!("a fixture has no `{other}`"),
            }
        }
        talk
    }

    fn turn(&mut self, message: &str) {
        let actions = self.dialogue.turn(&self.next_input(message));
        self.given(actions);
    }

    fn steer(&mut self, message: &str) {
        let actions = self.dialogue.steer(&self.next_input(message));
        self.given(actions);
    }

    fn next_input(&self, message: &str) -> TurnInput {
        input(self.message_ids.len() + 1, message)
    }

    fn given(&mut self, actions: Vec<Action>) {
        let id = written(&actions).iter().find_map(|line| line["uuid"].as_str().map(str::to_owned));
        self.message_ids.push(id.expect("a message has an id"));
        self.actions.extend(actions);
    }

    fn stdout(&mut self, line: &str) {
        let mut line = line.to_owned();
        for (index, id) in self.message_ids.iter().enumerate() {
            line = line.replace(&format!("@{}@", index + 1), id);
        }
        self.actions.extend(self.dialogue.stdout(&line));
    }

    fn exit(&mut self, code: i32) {
        self.actions.extend(self.dialogue.exited(Exit::Code(code)));
    }

    fn ended(&self) -> Vec<&TurnResult> {
        let ended = self.actions.iter().filter_map(|action| match action {
            Action::TurnEnded(result) => Some(result),
            _ => None,
        });
        ended.collect()
    }

    fn started(&self) -> Vec<&str> {
        let started = self.actions.iter().filter_map(|action| match action {
            Action::TurnStarted { input_id } => Some(input_id.as_str()),
            _ => None,
        });
        started.collect()
    }

    /// What became of messages and turns, in its order.
    fn told(&self) -> Vec<String> {
        let told = self.actions.iter().filter_map(|action| match action {
            Action::TurnStarted { input_id } => Some(format!("started {input_id}")),
            Action::TurnEnded(result) => {
                Some(format!("ended {} {}", result.input_id, result.reason))
            }
            Action::Injected { input_id } => Some(format!("injected {input_id}")),
            Action::Returned { input_id } => Some(format!("returned {input_id}")),
            _ => None,
        });
        told.collect()
    }

    fn logs(&self) -> Vec<&Log> {
        let logs = self.actions.iter().filter_map(|action| match action {
            Action::Log(log) => Some(log),
            _ => None,
        });
        logs.collect()
    }

    /// The texts of one chunk type.
    fn texts(&self, chunk_type: &str) -> Vec<&str> {
        let logs = self.logs().into_iter().filter(|log| log.chunk_type == chunk_type);
        logs.map(|log| log.data.as_str()).collect()
    }

    fn written(&self) -> Vec<Value> {
        written(&self.actions)
    }

    /// Our answers to the program's requests, by request.
    fn answers(&self) -> HashMap<String, Value> {
        let answers = self.written().into_iter().filter(|line| line["type"] == "control_response");
        let by_id = answers.map(|line| {
            let id = line["response"]["request_id"].as_str().unwrap_or_default().to_owned();
            (id, line["response"]["response"].clone())
        });
        by_id.collect()
    }
}

fn written(actions: &[Action]) -> Vec<Value> {
    let lines = actions.iter().filter_map(|action| match action {
        Action::Write(line) => Some(serde_json::from_str(line).expect("every line is JSON")),
        _ => None,
    });
    lines.collect()
}

#[test]
fn an_unknown_runner_is_refused_with_the_built_in_ones() {
    for name in ["codex", "acp", ""] {
        let Err(Refusal(text)) = by_runner(name) else { unreachable!("{name} is not built in") };
        assert!(text.contains("claude_code, command, scripted"), "{text}");
    }
}

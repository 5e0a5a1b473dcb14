//! The real Claude Code program in a real sandbox, against a model on loopback.

use std::path::{Path, PathBuf};

use hostler_wire::json::word::{RunStatus, TaskState};
use hostler_wire::json::{Accepted, Agent, InputAccepted, Run, Task};
use serde_json::json;

use super::host::{Host, Process, until};
use super::model::Model;

/// In the worker's environment, and nowhere in the sandbox.
const SECRET: &str = "sk-ant-real-secret-of-this-test";

/// `cargo xtask test` brings it there.
fn program() -> Option<PathBuf> {
    let package = ".cache/claude/node_modules/@anthropic-ai/claude-code-linux-x64/claude";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = root.join(package);
    if !program.is_file() {
        eprintln!("skipped: {} is not there; `cargo xtask test` brings it", program.display());
    }
    program.canonicalize().ok()
}

/// A machine with the program, a key, a model and an agent.
pub fn with_claude() -> Option<(Host, Process, Model)> {
    let program = program()?;
    let mut host = Host::with_sandbox()?;
    let model = Model::start();
    host.set("HOSTLER_CLAUDE_BIN", program.to_str()?);
    host.set("ANTHROPIC_API_KEY", SECRET);
    host.set("ANTHROPIC_BASE_URL", &model.url);
    let dev = host.dev();
    let _: Agent = host.ask(&["agents", "create", "coder", "--runner", "claude_code"]);
    Some((host, dev, model))
}

pub fn send(host: &Host, message: &str) -> Task {
    let accepted: Accepted =
        host.ask(&["run", "--agent", "coder", "--no-dir", "--detach", message]);
    accepted.task
}

pub fn in_state(host: &Host, task: &Task, state: TaskState) -> (Task, Run) {
    let id = task.id.to_string();
    until("the task comes to rest", || {
        let task: Task = host.ask(&["tasks", "get", &id]);
        let rests = matches!(task.state, TaskState::Done | TaskState::Error);
        if !rests {
            return None;
        }
        assert_eq!(task.state, state, "{task:?}");
        let run = task.target_run_id.expect("it had a run").to_string();
        Some((task, host.ask(&["runs", "get", &run])))
    })
}

#[test]
fn claude_code_works_in_the_sandbox_follows_up_and_never_sees_the_key() {
    let Some((host, _dev, model)) = with_claude() else { return };
    // Looks for the key wherever the agent can; the pattern does not contain it.
    let look = "echo made > made.txt; (env; cat /proc/[0-9]*/environ | tr '\\0' '\\n'; \
        grep -rs 'sk-ant-rea[l]' /workspace /home /run /tmp /etc) > found.txt 2>/dev/null; \
        cat made.txt";
    let script = json!([{ "bash": look }, { "text": "the first answer" }]);
    let task = send(&host, &format!("Do this. SCRIPT{script}"));
    let (_, run) = in_state(&host, &task, TaskState::Done);
    assert_eq!(run.status, RunStatus::Ok);
    assert_eq!(run.result.as_deref(), Some("the first answer"));
    assert_eq!((run.usage_json.input_tokens, run.usage_json.output_tokens), (200, 40));
    assert_eq!(run.usage_json.turns, 1);
    let folder = host.data_dir().join("workspaces");
    let folder = find(&folder, "made.txt").expect("the tool call wrote its file");
    assert_eq!(std::fs::read_to_string(&folder).expect("the file"), "made\n");
    let found = std::fs::read_to_string(folder.with_file_name("found.txt")).expect("the file");
    assert!(found.contains("ANTHROPIC_API_KEY="), "{found}");
    assert!(!found.contains("real-secret"), "the key is in the sandbox");
    assert!(model.asked().iter().all(|asked| asked.key.as_deref() == Some(SECRET)));

    let script = json!([{ "text": "the second answer" }]);
    let id = task.id.to_string();
    let sent: InputAccepted = host.ask(&["send", &id, &format!("And this. SCRIPT{script}")]);
    assert_eq!(sent.task.id, task.id);
    let second = until("the follow-up has its run", || {
        let (task, run) = in_state(&host, &task, TaskState::Done);
        (task.pending_inputs == 0 && run.result.as_deref() == Some("the second answer"))
            .then_some(run)
    });
    assert_ne!(second.id, run.id);
    let last = model.asked().pop().expect("it was asked").body.to_string();
    assert!(last.contains("the first answer"), "the conversation was resumed");
}

#[test]
fn an_error_of_the_api_ends_the_task_as_an_error_with_its_text() {
    let Some((host, _dev, _model)) = with_claude() else { return };
    let script = json!([{ "status": 400, "message": "the stub refuses this" }]);
    let task = send(&host, &format!("SCRIPT{script}"));
    let (task, run) = in_state(&host, &task, TaskState::Error);
    assert_eq!(run.status, RunStatus::Error);
    assert_eq!(run.attempt_count, 1, "a rejection is not tried again");
    let error = task.error.expect("an error has its text");
    assert!(error.contains("the stub refuses this"), "{error}");
}

/// The first file of this name below a folder.
pub fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if entry.file_name() == name {
            return Some(path);
        }
    }
    None
}

//! The real Claude Code program in a real sandbox, against a model on loopback: messages into its
//! running turn, and turns after an interrupt.
//!
//! The worker is this binary, run again with one test, so that it has an environment of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use hostler_wire::v1::ended::Cause;
use hostler_wire::v1::{Assignment, execution_event};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::super::guardian;
use super::model::Model;
use super::server::{FakeServer, State};
use super::{assignment, fresh, input, long_lease, poll, runtime};

/// Makes this binary a worker: its server and its data directory.
const WORKER: &str = "HOSTLER_TEST_CLAUDE_WORKER";

/// `cargo xtask test` brings it there.
fn program() -> Option<PathBuf> {
    let package = ".cache/claude/node_modules/@anthropic-ai/claude-code-linux-x64/claude";
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(package);
    if !program.is_file() {
        println!("skipped: {} is not there; `cargo xtask test` brings it", program.display());
    }
    program.canonicalize().ok()
}

#[test]
fn the_worker_itself() {
    let Ok(given) = std::env::var(WORKER) else { return };
    let (url, data_dir) = given.split_once(' ').expect("two words");
    let config = hostler_worker::Config::new(
        url,
        "secret",
        "worker-1",
        Path::new(data_dir),
        guardian::program(),
    );
    let executor = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = executor
        .expect("a runtime")
        .block_on(hostler_worker::run(config, tokio_util::sync::CancellationToken::new()));
    panic!("the worker ended: {ended:?}")
}

struct Bench {
    server: FakeServer,
    model: Model,
    folder: TempDir,
    worker: Child,
    session_id: String,
}

impl Bench {
    async fn start() -> Option<Bench> {
        let program = program()?;
        runtime()?;
        let server = FakeServer::start(long_lease()).await;
        let (model, folder) = (Model::start(), tempfile::tempdir().expect("a folder"));
        let (_, module) = module_path!().split_once("::").expect("the crate comes first");
        let mut worker = Command::new(std::env::current_exe().expect("this binary"));
        let test = format!("{module}::the_worker_itself");
        worker.args([&test, "--exact", "--nocapture", "--test-threads=1"]);
        worker.env(WORKER, format!("{} {}", server.url, folder.path().display()));
        worker.env("HOSTLER_CLAUDE_BIN", program);
        worker.env("ANTHROPIC_API_KEY", "sk-ant-of-this-test");
        worker.env("ANTHROPIC_BASE_URL", &model.url);
        let worker = worker.spawn().expect("it starts");
        let session_id = Uuid::from_u128(fresh()).to_string();
        Some(Bench { server, model, folder, worker, session_id })
    }

    /// Assigned with this script for the model; its attempt and its input.
    fn assign(&self, steps: Value) -> (String, String) {
        self.assign_within(0, steps)
    }

    fn assign_within(&self, budget_micro_usd: u64, steps: Value) -> (String, String) {
        let mut assigned: Assignment =
            assignment(json!({"runner": "claude_code"}), &format!("Do this. SCRIPT{steps}"));
        assigned.session_id.clone_from(&self.session_id);
        assigned.budget_micro_usd = budget_micro_usd;
        if let Some(policy) = &mut assigned.policy {
            policy.memory_bytes = 0;
        }
        let input_id = assigned.input.as_ref().expect("it has one").input_id.clone();
        let attempt_id = assigned.attempt_id.clone();
        self.server.assign(assigned);
        (attempt_id, input_id)
    }

    /// Where the agent works.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("workspaces/default/agents/demo").join(name)
    }

    fn make(&self, name: &str) {
        std::fs::write(self.path(name), "").expect("a file");
    }

    /// Waits until the program has said this of so many messages.
    async fn messages(&self, attempt_id: &str, state: &str, count: usize) {
        let line = format!("message {state}");
        let all = |state: &State| {
            let texts = state.texts(attempt_id, "stdout");
            (texts.iter().filter(|text| **text == line).count() >= count).then_some(())
        };
        self.server.until(&line, all).await;
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Its sandboxes die with it.
        let _ = self.worker.kill();
        let _ = self.worker.wait();
    }
}

/// A step that waits for the file `go`, and says in `ready` that it does.
fn waits() -> Value {
    json!({"bash": "touch ready; until [ -e go ]; do sleep 0.1; done; echo gone on"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steer_reaches_the_models_next_request_of_the_same_turn_and_only_once() {
    let Some(bench) = Bench::start().await else { return };
    let server = &bench.server;
    let (attempt_id, first_id) = bench.assign(json!([waits(), {"text": "the end"}]));
    poll("the tool runs", || bench.path("ready").exists()).await;
    let steer = input("and mind the gap");
    server.give(&attempt_id, true, steer.clone());
    bench.messages(&attempt_id, "queued", 2).await;
    assert!(!bench.model.asked().iter().any(|asked| asked.contains("mind the gap")));
    bench.make("go");
    server.fate(&attempt_id, &steer.input_id, &["injected"]).await;
    server.fate(&attempt_id, &first_id, &["turn_started", "turn_ended"]).await;
    let ended = server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Closed, "{}", ended.error);
    {
        let state = server.state();
        let turns = state.turns(&attempt_id);
        assert_eq!(turns.len(), 1);
        assert_eq!(turns[0].text, "the end");
        let spent = state.events.iter().any(|event| {
            matches!(&event.event, Some(execution_event::Event::Spent(spent))
                if spent.usage.as_ref().is_some_and(|usage| usage.input_tokens >= 100))
        });
        assert!(spent, "what it used was told while it ran");
        let asked = bench.model.asked();
        let of_turn: Vec<_> = asked.iter().filter(|asked| asked.contains("Do this.")).collect();
        assert_eq!(of_turn.len(), 2, "one request before the tool's result, one after");
        assert!(!of_turn[0].contains("mind the gap") && of_turn[1].contains("mind the gap"));
    }
    // Another attempt at it: the conversation holds the message, and the agent gets it once.
    std::fs::remove_file(bench.path("ready")).expect("it was there");
    let (again_id, _) = bench.assign(json!([waits(), {"text": "the end again"}]));
    poll("the tool runs", || bench.path("ready").exists()).await;
    server.give(&again_id, true, steer.clone());
    server.fate(&again_id, &steer.input_id, &["injected"]).await;
    assert_eq!(server.ended(&again_id).await.cause(), Cause::Closed);
    let last = bench.model.asked().pop().expect("it was asked");
    assert!(last.contains("the end") && last.contains("Do this."), "the conversation was resumed");
    assert_eq!(last.matches("mind the gap").count(), 1, "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn steers_during_the_last_text_are_a_turn_of_their_own() {
    let Some(bench) = Bench::start().await else { return };
    let server = &bench.server;
    let until = bench.folder.path().join("end-of-text");
    let (attempt_id, first_id) = bench.assign(json!([{"text": "the last words", "until": until}]));
    poll("the model speaks", || !bench.model.asked().is_empty()).await;
    let (one, two) = (input("one more thing"), input("and another"));
    server.state().inbox.push_back(one.clone());
    for steer in [&one, &two] {
        server.give(&attempt_id, true, steer.clone());
    }
    bench.messages(&attempt_id, "queued", 3).await;
    std::fs::write(&until, "").expect("a file");
    let ended = server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Closed, "{}", ended.error);
    let state = server.state();
    assert_eq!(state.fate(&attempt_id, &first_id), ["turn_started", "turn_ended"]);
    assert_eq!(state.fate(&attempt_id, &one.input_id), ["turn_started", "turn_ended"]);
    assert_eq!(state.fate(&attempt_id, &two.input_id), ["injected"]);
    let texts: Vec<_> = state.turns(&attempt_id).into_iter().map(|turn| turn.text).collect();
    assert_eq!(texts, ["the last words", "the script is over"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_keeps_the_process_and_the_next_turn_works_in_it() {
    let Some(bench) = Bench::start().await else { return };
    let server = &bench.server;
    server.state().keeps = true;
    let (attempt_id, first_id) = bench.assign(json!([waits(), {"text": "never"}]));
    poll("the tool runs", || bench.path("ready").exists()).await;
    let steer = input("never mind");
    server.give(&attempt_id, true, steer.clone());
    bench.messages(&attempt_id, "queued", 2).await;
    server.interrupt(&attempt_id, &first_id);
    server.fate(&attempt_id, &first_id, &["turn_started", "turn_ended"]).await;
    server.fate(&attempt_id, &steer.input_id, &["returned"]).await;
    let interrupted = server.state().turns(&attempt_id)[0].clone();
    assert!(interrupted.is_error && !interrupted.last, "{interrupted:?}");
    assert_eq!(interrupted.reason, "aborted_tools");
    let script = json!([{"text": "still here"}]);
    let next = input(&format!("And this. SCRIPT{script}"));
    server.give(&attempt_id, false, next.clone());
    server.fate(&attempt_id, &next.input_id, &["turn_started", "turn_ended"]).await;
    // What was returned comes again, as a turn.
    server.give(&attempt_id, false, steer.clone());
    let again = ["returned", "turn_started", "turn_ended"];
    server.fate(&attempt_id, &steer.input_id, &again).await;
    server.close(&attempt_id);
    let ended = server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Closed, "{}", ended.error);
    assert_eq!(server.state().turns(&attempt_id)[1].text, "still here");
    assert!(bench.model.asked().iter().any(|asked| asked.contains("never mind")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_assignment_allows_to_spend_ends_the_turn_as_spent() {
    let Some(bench) = Bench::start().await else { return };
    let server = &bench.server;
    let step = || json!({"bash": "echo on"});
    let (attempt_id, _) = bench.assign_within(1, json!([step(), step(), {"text": "never"}]));
    server.ended(&attempt_id).await;
    let turns = server.state().turns(&attempt_id);
    assert_eq!(turns.len(), 1);
    assert_eq!(
        (turns[0].failure.as_str(), turns[0].reason.as_str()),
        ("budget", "budget_exhausted")
    );
    assert!(turns[0].is_error && turns[0].last, "{:?}", turns[0]);
}

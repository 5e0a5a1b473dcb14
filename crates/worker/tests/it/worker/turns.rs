//! Messages into a process that runs: steers, interrupts, and turns after a wait.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use hostler_core::limits::RESULT_BYTES_MAX;
use hostler_wire::v1::ended::Cause;
use hostler_wire::v1::{Assignment, Started, execution_event};
use hostler_worker::config::Dirs;
use serde_json::json;
use tempfile::TempDir;

use super::server::State;
use super::{Bench, assignment, input, is_running, long_lease, marker, poll, runtime, shell};

/// A worker whose scripted agent works in a folder that the test sees.
struct Scripted {
    bench: Bench,
    folder: TempDir,
}

impl Scripted {
    async fn start() -> Scripted {
        let folder = tempfile::tempdir().expect("a folder");
        let program = super::scripted_agent(folder.path());
        Scripted::with(folder, program).await
    }

    async fn with(folder: TempDir, program: PathBuf) -> Scripted {
        let bench = Bench::with(long_lease(), |config| {
            config.hostler_bin = Some(program);
            config.dirs = Dirs::Under(vec![folder.path().to_owned()]);
        })
        .await;
        Scripted { bench, folder }
    }

    fn assignment(&self, message: &str) -> Assignment {
        let mut assigned = assignment(json!({"runner": "scripted"}), message);
        assigned.dir = Some(self.folder.path().to_str().expect("a text").to_owned());
        if let Some(policy) = &mut assigned.policy {
            policy.security = "full".to_owned();
            policy.memory_bytes = 0;
        }
        assigned
    }

    /// Assigned; its attempt and its input.
    fn assign(&self, message: &str) -> (String, String) {
        let assigned = self.assignment(message);
        let input_id = assigned.input.as_ref().expect("it has one").input_id.clone();
        let attempt_id = assigned.attempt_id.clone();
        self.bench.server.assign(assigned);
        (attempt_id, input_id)
    }

    fn let_go(&self) {
        std::fs::write(self.folder.path().join("go"), "").expect("a file");
    }

    fn pids(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("pids")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// Begins, waits for the file `go`, and goes on.
const WAITS: &str = "say: begun\nrun: until [ -e go ]; do sleep 0.02; done\nsay: last";

fn started(state: &State, attempt_id: &str) -> Option<Started> {
    state.events.iter().find_map(|event| match &event.event {
        Some(execution_event::Event::Started(started)) if event.attempt_id == attempt_id => {
            Some(started.clone())
        }
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steer_reaches_the_running_turn_once() {
    if runtime().is_none() {
        return;
    }
    let scripted = Scripted::start().await;
    let server = &scripted.bench.server;
    let (attempt_id, first_id) = scripted.assign(WAITS);
    server.printed(&attempt_id, "begun").await;
    let steer = input("run: echo joined >> joined\nsay: joined");
    let steer_id = steer.input_id.clone();
    for _ in 0..3 {
        server.give(&attempt_id, true, steer.clone());
    }
    let both = |state: &State| {
        (state.held(&attempt_id) == [first_id.clone(), steer_id.clone()]).then_some(())
    };
    server.until("both are held", both).await;
    scripted.let_go();
    let ended = server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Closed, "{}", ended.error);
    {
        let state = server.state();
        let started = started(&state, &attempt_id).expect("it started");
        assert!(started.can_steer && started.can_interrupt && started.keeps);
        assert_eq!(state.fate(&attempt_id, &first_id), ["turn_started", "turn_ended"]);
        assert_eq!(state.fate(&attempt_id, &steer_id), ["injected"]);
        assert_eq!(state.turns(&attempt_id)[0].text, "last");
    }
    let joined = std::fs::read_to_string(scripted.folder.path().join("joined"));
    assert_eq!(joined.expect("it was done"), "joined\n");
    scripted.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_with_a_long_text_ends() {
    if runtime().is_none() {
        return;
    }
    let scripted = Scripted::start().await;
    let server = &scripted.bench.server;
    // Each quote takes two bytes in a line of JSON.
    let (attempt_id, _) = scripted.assign(&format!("say: {}", "\"".repeat(1_000_000)));
    let ended = server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Closed, "{}", ended.error);
    let turn = server.state().turns(&attempt_id)[0].clone();
    assert!(!turn.is_error && turn.text.len() == RESULT_BYTES_MAX, "{}", turn.text.len());
    scripted.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steer_that_comes_too_late_is_a_turn_of_its_own() {
    if runtime().is_none() {
        return;
    }
    let scripted = Scripted::start().await;
    let server = &scripted.bench.server;
    let (attempt_id, first_id) =
        scripted.assign("say: begun\nrun: until [ -e go ]; do sleep 0.02; done");
    server.printed(&attempt_id, "begun").await;
    let steer = input("say: by itself");
    let steer_id = steer.input_id.clone();
    // The answer to the first turn's end names it too.
    server.state().inbox.push_back(steer.clone());
    server.give(&attempt_id, true, steer);
    server.printed(&attempt_id, "message queued").await;
    let both = |state: &State| (state.held(&attempt_id).len() == 2).then_some(());
    server.until("both are held", both).await;
    scripted.let_go();
    let ended = server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Closed, "{}", ended.error);
    {
        let state = server.state();
        assert_eq!(state.fate(&attempt_id, &first_id), ["turn_started", "turn_ended"]);
        assert_eq!(state.fate(&attempt_id, &steer_id), ["turn_started", "turn_ended"]);
        assert_eq!(state.turns(&attempt_id)[1].text, "by itself");
    }
    scripted.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_takes_no_steer_returns_it() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    let assigned = shell("echo ready; while [ ! -e go ]; do sleep 0.02; done", "x");
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    bench.server.printed(&attempt_id, "ready").await;
    let steer = input("more");
    bench.server.give(&attempt_id, true, steer.clone());
    bench.server.fate(&attempt_id, &steer.input_id, &["returned"]).await;
    bench.server.give(&attempt_id, true, steer.clone());
    let gone = |state: &State| (state.held(&attempt_id).len() == 1).then_some(());
    bench.server.until("it is not held any more", gone).await;
    let go = bench.data_dir().join("workspaces/default/agents/demo/go");
    std::fs::write(go, "").expect("a file");
    assert_eq!(bench.server.ended(&attempt_id).await.cause(), Cause::Exited);
    {
        let state = bench.server.state();
        let started = started(&state, &attempt_id).expect("it started");
        assert!(!started.can_steer && !started.can_interrupt && !started.keeps);
        assert_eq!(state.fate(&attempt_id, &steer.input_id), ["returned"]);
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steer_on_the_heels_of_its_assignment_waits_for_the_agent() {
    if runtime().is_none() {
        return;
    }
    let scripted = Scripted::start().await;
    let server = &scripted.bench.server;
    server.until("the offer", |state| (state.offered == 4).then_some(())).await;
    let (attempt_id, _) = scripted.assign(WAITS);
    let steer = input("say: joined");
    server.give(&attempt_id, true, steer.clone());
    server.printed(&attempt_id, "begun").await;
    let queued = |state: &State| {
        let texts = state.texts(&attempt_id, "stdout");
        (texts.iter().filter(|text| *text == "message queued").count() == 2).then_some(())
    };
    // It may have joined before the command already.
    server.until("both are queued", queued).await;
    scripted.let_go();
    server.fate(&attempt_id, &steer.input_id, &["injected"]).await;
    server.ended(&attempt_id).await;
    scripted.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_keeps_the_process_and_a_given_turn_works_in_it() {
    if runtime().is_none() {
        return;
    }
    let scripted = Scripted::start().await;
    let server = &scripted.bench.server;
    server.state().keeps = true;
    let (attempt_id, first_id) =
        scripted.assign("run: echo $PPID >> pids\nsay: begun\nwait: 10m\nsay: never");
    server.printed(&attempt_id, "begun").await;
    let steer = input("say: never either");
    server.give(&attempt_id, true, steer.clone());
    server.printed(&attempt_id, "message queued").await;
    let both = |state: &State| (state.held(&attempt_id).len() == 2).then_some(());
    server.until("both are held", both).await;
    server.interrupt(&attempt_id, &first_id);
    server.interrupt(&attempt_id, &first_id);
    server.fate(&attempt_id, &first_id, &["turn_started", "turn_ended"]).await;
    assert_eq!(server.state().turns(&attempt_id)[0].reason, "aborted_tools");
    server.fate(&attempt_id, &steer.input_id, &["returned"]).await;
    let nothing = |state: &State| state.held(&attempt_id).is_empty().then_some(());
    server.until("nothing is held", nothing).await;
    // That turn is over: it means nothing, whatever runs by now.
    let next = input("run: echo $PPID >> pids; until [ -e go ]; do sleep 0.02; done\nsay: alive");
    for _ in 0..3 {
        server.give(&attempt_id, false, next.clone());
    }
    server.fate(&attempt_id, &next.input_id, &["turn_started"]).await;
    server.interrupt(&attempt_id, &first_id);
    tokio::time::sleep(Duration::from_millis(200)).await;
    scripted.let_go();
    server.fate(&attempt_id, &next.input_id, &["turn_started", "turn_ended"]).await;
    assert_eq!(server.state().turns(&attempt_id)[1].reason, "completed");
    // What was returned may come again as a turn.
    server.give(&attempt_id, false, steer.clone());
    let again = ["returned", "turn_started", "turn_ended"];
    server.fate(&attempt_id, &steer.input_id, &again).await;
    // What is done with is left aside.
    server.give(&attempt_id, false, next.clone());
    server.close(&attempt_id);
    server.close(&attempt_id);
    let ended = server.ended(&attempt_id).await;
    assert_eq!((ended.cause(), ended.exit_code), (Cause::Closed, Some(0)), "{}", ended.error);
    let pids = scripted.pids();
    assert_eq!(pids.len(), 2);
    assert_eq!(pids[0], pids[1], "one process");
    assert_eq!(server.state().turns(&attempt_id).len(), 3);
    scripted.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_ignores_an_interrupt_is_stopped_with_its_reason() {
    if runtime().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let marker = marker();
    let program = folder.path().join("deaf");
    let script = format!("#!/bin/sh\nwhile read -r line; do echo \"$line\"; done; : {marker}\n");
    std::fs::write(&program, script).expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("executable");
    let scripted = Scripted::with(folder, program).await;
    let server = &scripted.bench.server;
    let (attempt_id, first_id) = scripted.assign("hello");
    server.printed(&attempt_id, "hello").await;
    let since = Instant::now();
    server.interrupt(&attempt_id, &first_id);
    let ended = server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Cancelled, "{}", ended.error);
    assert!(ended.error.contains("did not end within 10 s"), "{}", ended.error);
    assert!(since.elapsed() >= Duration::from_secs(10), "it had its time");
    // A command knows no interrupt: there is nothing to wait for.
    let stubborn = shell("trap '' TERM; echo ready; while :; do sleep 0.1; done", &marker);
    let attempt_id = stubborn.attempt_id.clone();
    let turn = stubborn.input.clone().expect("a turn").input_id;
    server.assign(stubborn);
    server.printed(&attempt_id, "ready").await;
    let since = Instant::now();
    server.interrupt(&attempt_id, &turn);
    let ended = server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Cancelled, "{}", ended.error);
    assert!(since.elapsed() < Duration::from_secs(9));
    assert!(!is_running(&marker));
    scripted.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_does_not_count_as_working_time() {
    if runtime().is_none() {
        return;
    }
    let scripted = Scripted::start().await;
    let server = &scripted.bench.server;
    server.state().keeps = true;
    let mut assigned = scripted.assignment("say: one");
    assigned.timeout_ms = 5_000;
    let (attempt_id, first) = (assigned.attempt_id.clone(), assigned.input.clone());
    let first_id = first.expect("it has one").input_id;
    server.assign(assigned);
    server.fate(&attempt_id, &first_id, &["turn_started", "turn_ended"]).await;
    tokio::time::sleep(Duration::from_millis(6_000)).await;
    let next = input("wait: 10m");
    let since = Instant::now();
    server.give(&attempt_id, false, next.clone());
    let ended = server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::TimedOut, "{}", ended.error);
    assert!(since.elapsed() > Duration::from_millis(1_000), "time was left");
    scripted.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_while_it_waits_has_ended() {
    if runtime().is_none() {
        return;
    }
    let scripted = Scripted::start().await;
    let server = &scripted.bench.server;
    server.state().keeps = true;
    let (attempt_id, first_id) =
        scripted.assign("run: (sleep 2; kill -9 $PPID) > /dev/null 2>&1 &");
    server.fate(&attempt_id, &first_id, &["turn_started", "turn_ended"]).await;
    let ended = server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Crashed, "{}", ended.error);
    assert!(!server.state().turns(&attempt_id)[0].is_error);
    scripted.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_turn_uses_is_told_while_it_runs() {
    if runtime().is_none() {
        return;
    }
    let scripted = Scripted::start().await;
    let server = &scripted.bench.server;
    let script = "usage: in=100 out=20\nsay: one\nusage: in=10\nsay: two\nusage: in=1\nsay: three\n\
                  run: until [ -e go ]; do sleep 0.02; done\nusage: in=5\nsay: last";
    let (attempt_id, first_id) = scripted.assign(script);
    let spent = |state: &State| {
        let spent = state.events.iter().filter_map(|event| match &event.event {
            Some(execution_event::Event::Spent(spent)) => Some(spent.clone()),
            _ => None,
        });
        spent.collect::<Vec<_>>()
    };
    let newest = |state: &State| {
        let last = spent(state).pop()?;
        (last.usage.as_ref()?.input_tokens == 111).then_some(last)
    };
    let last = server.until("all so far", newest).await;
    assert_eq!(last.input_id, first_id);
    assert!(spent(&server.state()).len() <= 2, "not each message by itself");
    scripted.let_go();
    server.ended(&attempt_id).await;
    {
        let state = server.state();
        let told = spent(&state).pop().and_then(|spent| spent.usage);
        assert_eq!(told.map(|usage| usage.input_tokens), Some(111), "none after the turn's end");
        let counted = state.turns(&attempt_id)[0].usage.clone();
        assert_eq!(counted.map(|usage| usage.input_tokens), Some(116));
    }
    scripted.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_says_which_messages_are_held() {
    if runtime().is_none() {
        return;
    }
    let scripted = Scripted::start().await;
    let server = &scripted.bench.server;
    let (attempt_id, first_id) = scripted.assign(WAITS);
    server.printed(&attempt_id, "begun").await;
    let steer = input("say: joined");
    server.give(&attempt_id, true, steer.clone());
    server.printed(&attempt_id, "message queued").await;
    let both = |state: &State| (state.held(&attempt_id).len() == 2).then_some(());
    server.until("both are held", both).await;
    server.cut();
    let second = |state: &State| state.hellos.get(1).cloned();
    let hello = server.until("the next hello", second).await;
    assert_eq!(hello.held[0].inputs, [first_id, steer.input_id.clone()]);
    server.give(&attempt_id, true, steer.clone());
    scripted.let_go();
    server.ended(&attempt_id).await;
    assert_eq!(server.state().fate(&attempt_id, &steer.input_id), ["injected"]);
    scripted.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_closed_process_is_checked_and_a_question_is_not() {
    if runtime().is_none() {
        return;
    }
    let scripted = Scripted::start().await;
    let server = &scripted.bench.server;
    let table = [("say: one", Cause::CheckFailed, Some(1)), ("ask: what?", Cause::Closed, Some(0))];
    for (script, cause, exit_code) in table {
        let mut assigned = scripted.assignment(script);
        assigned.config_json = json!({"runner": "scripted", "check": "test -e work"}).to_string();
        let attempt_id = assigned.attempt_id.clone();
        server.assign(assigned);
        let ended = server.ended(&attempt_id).await;
        assert_eq!((ended.cause(), ended.exit_code), (cause, exit_code), "{}", ended.error);
    }
    scripted.bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_it_waits_ends_it() {
    if runtime().is_none() {
        return;
    }
    let scripted = Scripted::start().await;
    let server = &scripted.bench.server;
    server.state().keeps = true;
    let (attempt_id, first_id) = scripted.assign("say: one");
    server.fate(&attempt_id, &first_id, &["turn_started", "turn_ended"]).await;
    server.cancel(&attempt_id);
    assert_eq!(server.ended(&attempt_id).await.cause(), Cause::Cancelled);
    poll("its slot is free", || server.state().offered >= 5).await;
    scripted.bench.stop().await;
}

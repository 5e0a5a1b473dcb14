//! A worker with a server that is in the test's hand: real sandboxes, a real stream.

mod check;
mod claude;
mod cutoff;
mod model;
mod server;
mod stop;
mod turns;

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hostler_wire::v1::ended::Cause;
use hostler_wire::v1::{Assignment, Policy, TurnInput, Welcome};
use hostler_worker::config::{Config, Dirs};
use hostler_worker::sandbox::runtimes;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::server::{FakeServer, PATIENCE};
use super::guardian;

/// The runtime these tests use: bubblewrap, or another that this host has.
fn runtime() -> Option<&'static str> {
    static FOUND: OnceLock<Option<&'static str>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let mut probes = Vec::new();
        for runtime in runtimes() {
            probes.push(runtime.probe());
        }
        let found = probes.iter().find(|probe| probe.available).map(|probe| probe.runtime);
        if found.is_none() {
            println!("skipped: no sandbox runtime on this host: {probes:?}");
        }
        found
    })
}

/// A lease that outlasts a busy machine.
fn long_lease() -> Welcome {
    Welcome { lease_ms: 60_000, heartbeat_ms: 100, fence_ms: 2_000, ..Welcome::default() }
}

struct Bench {
    server: FakeServer,
    folder: TempDir,
    shutdown: CancellationToken,
    worker: JoinHandle<Result<(), hostler_worker::Error>>,
}

impl Bench {
    async fn start(welcome: Welcome) -> Bench {
        Bench::with(welcome, |_| {}).await
    }

    async fn with(welcome: Welcome, change: impl FnOnce(&mut Config)) -> Bench {
        let server = FakeServer::start(welcome).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::new(
            &server.url,
            "secret",
            "worker-1",
            &folder.path().join("d"),
            guardian::program(),
        );
        config.slots = 4;
        change(&mut config);
        let shutdown = CancellationToken::new();
        let worker = tokio::spawn(hostler_worker::run(config, shutdown.clone()));
        Bench { server, folder, shutdown, worker }
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("d")
    }

    async fn stop(self) -> FakeServer {
        self.shutdown.cancel();
        let stopped = tokio::time::timeout(PATIENCE, self.worker).await;
        stopped.expect("in time").expect("no panic").expect("no error");
        let left = |name: &str| {
            let entries = fs::read_dir(self.folder.path().join("d").join(name));
            entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>()
        };
        assert_eq!(left("spool"), [] as [PathBuf; 0]);
        assert_eq!(left("m"), [] as [PathBuf; 0]);
        self.server
    }
}

fn assignment(config: Value, message: &str) -> Assignment {
    let attempt_id = Uuid::from_u128(fresh()).to_string();
    Assignment {
        attempt_id,
        term: 7,
        workspace: "default".to_owned(),
        task_id: "task-1".to_owned(),
        run_id: "run-1".to_owned(),
        attempt_no: 1,
        agent_id: "agent-1".to_owned(),
        agent_key: "demo".to_owned(),
        session_id: "session-1".to_owned(),
        config_json: config.to_string(),
        runtime: runtime().unwrap_or_default().to_owned(),
        policy: Some(Policy {
            security: "allowlist".to_owned(),
            workspace_access: "rw".to_owned(),
            memory_bytes: 256 << 20,
            ..Policy::default()
        }),
        input: Some(input(message)),
        ..Assignment::default()
    }
}

fn fresh() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("entropy");
    u128::from_be_bytes(bytes)
}

fn input(message: &str) -> TurnInput {
    let input_id = Uuid::from_u128(fresh()).to_string();
    TurnInput { input_id, message: message.to_owned(), ..TurnInput::default() }
}

/// A shell script, with a word among its arguments by which its processes are found.
fn shell(script: &str, marker: &str) -> Assignment {
    assignment(json!({"runner": "command", "command": ["/bin/sh", "-c", script, marker]}), "hi")
}

fn marker() -> String {
    format!("hostler-test-{:032x}", fresh())
}

fn is_running(marker: &str) -> bool {
    let entries = fs::read_dir("/proc").expect("a /proc").flatten();
    let own = std::process::id().to_string();
    let mut pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    pids.any(|pid| {
        let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        pid != own && String::from_utf8_lossy(&text).contains(marker)
    })
}

/// Looks again and again until it is so.
async fn poll(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never so: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_from_hello_to_its_end() {
    let Some(runtime) = runtime() else { return };
    let bench = Bench::start(long_lease()).await;
    let script = "cat; echo out; echo err >&2; pwd; echo kept > file; ls -A /home/agent/state";
    let assigned = shell(script, "x");
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned.clone());
    let ended = bench.server.ended(&attempt_id).await;
    assert_eq!((ended.cause(), ended.exit_code), (Cause::Exited, Some(0)), "{}", ended.error);
    {
        let state = bench.server.state();
        assert_eq!(state.tokens, ["Bearer secret"]);
        let hello = &state.hellos[0];
        assert_eq!((hello.worker_id.as_str(), hello.pool.as_str()), ("worker-1", "default"));
        assert!(hello.runtimes.iter().any(|name| name == runtime));
        assert!(hello.runners.iter().any(|name| name == "command"));
        assert!(hello.cpu_millis >= 1_000 && hello.memory_bytes > 0);
        let names = state.names(&attempt_id);
        assert_eq!(names, ["started", "turn_started", "turn_ended", "ended"]);
        let turn = &state.turns(&attempt_id)[0];
        assert!(turn.last && !turn.is_error && turn.text.contains("out"), "{turn:?}");
        assert_eq!(state.texts(&attempt_id, "user"), ["hi"]);
        assert_eq!(state.texts(&attempt_id, "stderr"), ["err"]);
        let out = state.texts(&attempt_id, "stdout");
        assert_eq!(out, ["hiout", "/workspace/agents/demo"]);
        assert_eq!(state.chunks_of(&attempt_id), ended.log_chunks);
    }
    let kept = bench.data_dir().join("workspaces/default/agents/demo/file");
    assert_eq!(fs::read_to_string(kept).expect("the workspace is kept"), "kept\n");
    // A free slot is offered again.
    bench.server.until("the offer", |state| (state.offered >= 5).then_some(())).await;
    // Settled: an assignment that comes again is not run again.
    bench.server.push(assigned);
    let second = shell("echo second", "x");
    let second_id = second.attempt_id.clone();
    bench.server.assign(second);
    bench.server.ended(&second_id).await;
    assert_eq!(bench.server.state().names(&attempt_id).len(), 4);
    let server = bench.stop().await;
    server.until("the goodbye", |state| (state.goodbyes == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_that_comes_twice_is_run_once() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    bench.server.until("the offer", |state| (state.offered == 4).then_some(())).await;
    let assigned = shell("echo once >> log; cat log", "x");
    let attempt_id = assigned.attempt_id.clone();
    for _ in 0..3 {
        bench.server.push(assigned.clone());
    }
    bench.server.ended(&attempt_id).await;
    assert_eq!(bench.server.state().texts(&attempt_id, "stdout"), ["once"]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_here_is_refused_with_the_reason() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    let mut no_dir = shell("true", "x");
    no_dir.dir = Some("/tmp".to_owned());
    let mut no_runtime = shell("true", "x");
    no_runtime.runtime = "gvisor-of-tomorrow".to_owned();
    let program = json!({"runner": "command", "command": ["/usr/bin/no-such-program"]});
    let late = json!({"runner": "command", "command": ["/workspace/no-such-program"]});
    let table = [
        (assignment(json!({"runner": "nobody"}), "hi"), Cause::Refused, "nobody"),
        (assignment(program, "hi"), Cause::Refused, "no-such-program"),
        (assignment(late, "hi"), Cause::Refused, "no-such-program"),
        (no_dir, Cause::Refused, "/tmp"),
        (no_runtime, Cause::SandboxFailed, "gvisor-of-tomorrow"),
    ];
    for (assigned, cause, text) in table {
        let attempt_id = assigned.attempt_id.clone();
        bench.server.assign(assigned);
        let ended = bench.server.ended(&attempt_id).await;
        assert_eq!(ended.cause(), cause, "{}", ended.error);
        assert!(ended.error.contains(text), "{}", ended.error);
        assert_eq!(bench.server.state().names(&attempt_id), ["ended"]);
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_and_a_crash_are_told_apart() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    let (exits, crashes) = (shell("echo no >&2; exit 3", "x"), shell("kill -9 $$", "x"));
    let (exit_id, crash_id) = (exits.attempt_id.clone(), crashes.attempt_id.clone());
    bench.server.assign(exits);
    bench.server.assign(crashes);
    let ended = bench.server.ended(&exit_id).await;
    assert_eq!((ended.cause(), ended.exit_code), (Cause::Exited, Some(3)));
    assert!(bench.server.state().turns(&exit_id)[0].is_error);
    let ended = bench.server.ended(&crash_id).await;
    assert_eq!((ended.cause(), ended.exit_code), (Cause::Crashed, None));
    assert!(ended.error.contains("signal 9"), "{}", ended.error);
    assert!(bench.server.state().turns(&crash_id).is_empty());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offered_folder_is_the_workspace_and_one_with_the_workers_data_is_refused() {
    if runtime().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::with(long_lease(), |config| config.dirs = Dirs::Any).await;
    let mut assigned = shell("pwd; ls -A; echo made > made", "x");
    assigned.dir = Some(folder.path().to_str().expect("a text").to_owned());
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    let ended = bench.server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Exited, "{}", ended.error);
    assert_eq!(bench.server.state().texts(&attempt_id, "stdout"), ["/workspace"]);
    assert!(folder.path().join("made").exists());
    // It holds the worker's data directory.
    let mut assigned = shell("echo made > made", "y");
    assigned.dir = Some(bench.folder.path().to_str().expect("a text").to_owned());
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    let ended = bench.server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Refused, "{}", ended.error);
    assert!(ended.error.contains("the worker's own data"), "{}", ended.error);
    assert!(!bench.folder.path().join("made").exists());
    bench.stop().await;
}

/// A program that is the scripted agent: this test binary, found in the offered folder.
fn scripted_agent(folder: &std::path::Path) -> PathBuf {
    let binary = std::env::current_exe().expect("this binary");
    let copy = folder.join("agent-program");
    if fs::hard_link(&binary, &copy).is_err() {
        fs::copy(&binary, &copy).expect("a copy");
    }
    let script = "#!/bin/sh\nHOSTLER_TEST_SCRIPTED_STATE=/home/agent/state/scripted \
                  exec /workspace/agent-program it::agents::scripted::the_program_itself \
                  --exact --nocapture --quiet --test-threads=1\n";
    let path = folder.join("agent-script");
    fs::write(&path, script).expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, mode).expect("executable");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_takes_turn_after_turn_until_it_is_closed() {
    if runtime().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = scripted_agent(folder.path());
    let bench = Bench::with(long_lease(), |config| {
        config.hostler_bin = Some(program);
        config.dirs = Dirs::Under(vec![folder.path().to_owned()]);
    })
    .await;
    let second = input("run: echo pid $PPID\nsay: two");
    let second_id = second.input_id.clone();
    bench.server.state().inbox.push_back(second);
    let mut assigned = assignment(json!({"runner": "scripted"}), "remember: a=b\nsay: one");
    assigned.dir = Some(folder.path().to_str().expect("a text").to_owned());
    if let Some(policy) = &mut assigned.policy {
        policy.security = "full".to_owned();
        policy.memory_bytes = 0;
    }
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    let ended = bench.server.ended(&attempt_id).await;
    assert_eq!((ended.cause(), ended.exit_code), (Cause::Closed, Some(0)), "{}", ended.error);
    {
        let state = bench.server.state();
        let turns = state.turns(&attempt_id);
        assert_eq!(turns.len(), 2, "{turns:?}");
        assert!(turns[0].text.contains("one") && turns[1].text.contains("two"), "{turns:?}");
        assert_eq!(turns[1].input_id, second_id);
        let names: Vec<_> =
            state.names(&attempt_id).into_iter().filter(|name| *name != "started").collect();
        assert_eq!(names, ["turn_started", "turn_ended", "turn_started", "turn_ended", "ended"]);
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_a_taken_directory_are_errors_of_their_own() {
    let server = FakeServer::start(long_lease()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = |token: &str| {
        Config::new(&server.url, token, "worker-1", folder.path(), guardian::program())
    };
    let refused = hostler_worker::run(config("wrong"), CancellationToken::new()).await;
    assert!(matches!(refused, Err(hostler_worker::Error::Refused(_))), "{refused:?}");
    let shutdown = CancellationToken::new();
    let first = tokio::spawn(hostler_worker::run(config("right"), shutdown.clone()));
    server.until("the hello", |state| state.hellos.first().map(|_| ())).await;
    let second = hostler_worker::run(config("right"), CancellationToken::new()).await;
    assert!(matches!(second, Err(hostler_worker::Error::InUse(_))), "{second:?}");
    shutdown.cancel();
    first.await.expect("no panic").expect("no error");
}

//! A worker that is cut off from its server: for a moment, for longer than its lease, and by a
//! server that is too slow for its output.

use std::time::{Duration, Instant};

use hostler_wire::v1::Welcome;
use hostler_wire::v1::ended::Cause;
use hostler_worker::spool::FILE_BYTES_MAX;

use super::super::guardian;
use super::server::FakeServer;
use super::{Bench, is_running, long_lease, marker, poll, runtime, shell};

/// Makes this binary, run again with one test, a worker: its server and its data directory. It
/// stands still when a file `stall` is there.
const STALLING_WORKER: &str = "HOSTLER_TEST_STALLING_WORKER";

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_loses_and_doubles_nothing() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    const LINES: usize = 400;
    let script = format!(
        "i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); \
                          [ $((i % 10)) = 0 ] && sleep 0.02; done; :"
    );
    let assigned = shell(&script, "x");
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    for (cuts, seen) in ["line 20", "line 120", "line 250"].into_iter().enumerate() {
        bench.server.printed(&attempt_id, seen).await;
        bench.server.cut();
        let again = |state: &super::server::State| (state.hellos.len() > cuts + 1).then_some(());
        bench.server.until("the next hello", again).await;
    }
    let ended = bench.server.ended(&attempt_id).await;
    assert_eq!((ended.cause(), ended.exit_code), (Cause::Exited, Some(0)));
    {
        let state = bench.server.state();
        let expected: Vec<String> = (0..LINES).map(|number| format!("line {number}")).collect();
        assert_eq!(state.texts(&attempt_id, "stdout"), expected);
        let names = state.names(&attempt_id);
        assert_eq!(names, ["started", "turn_started", "turn_ended", "ended"]);
        assert!(state.hellos.iter().all(|hello| hello.incarnation == state.hellos[0].incarnation));
        assert_eq!(state.hellos[1].held.len(), 1);
        assert_eq!(state.hellos[1].held[0].attempt_id, attempt_id);
        assert_eq!(state.hellos[1].held[0].term, 7);
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_fences_the_worker_before_its_lease_ends() {
    if runtime().is_none() {
        return;
    }
    let (lease_ms, fence_ms) = (6_000, 3_000);
    let welcome = Welcome { lease_ms, heartbeat_ms: 200, fence_ms, ..Welcome::default() };
    let bench = Bench::start(welcome).await;
    let marker = marker();
    let assigned = shell("trap '' TERM; echo ready; while :; do sleep 0.1; done", &marker);
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    bench.server.printed(&attempt_id, "ready").await;
    let since = Instant::now();
    bench.server.state().silent = true;
    poll("the process is gone", || !is_running(&marker)).await;
    // The last acknowledged heartbeat was sent before `since`, at most a beat or two.
    assert!(since.elapsed() < Duration::from_millis(lease_ms), "{:?}", since.elapsed());
    assert!(since.elapsed() > Duration::from_millis(lease_ms - fence_ms - 1_500));
    bench.server.state().silent = false;
    let second = |state: &super::server::State| state.hellos.get(1).cloned();
    let hello = bench.server.until("a new incarnation", second).await;
    assert_ne!(hello.incarnation, bench.server.state().hellos[0].incarnation);
    assert!(hello.held.is_empty());
    assert!(bench.server.state().ended(&attempt_id).is_none(), "it is not ours to report");
    // It is as good as new.
    let assigned = shell("echo again", "x");
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    assert_eq!(bench.server.ended(&attempt_id).await.cause(), Cause::Exited);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_not_known_any_more_begins_anew() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    let marker = marker();
    let assigned = shell("echo ready; sleep 1000; :", &marker);
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    bench.server.printed(&attempt_id, "ready").await;
    bench.server.state().forgets = true;
    let second = |state: &super::server::State| state.hellos.get(1).cloned();
    let hello = bench.server.until("a new incarnation", second).await;
    assert!(!is_running(&marker), "the hello came before the end of what was held");
    assert!(hello.held.is_empty());
    assert_ne!(hello.incarnation, bench.server.state().hellos[0].incarnation);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_bounded_while_the_server_takes_no_logs() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    bench.server.state().holds_logs = true;
    let marker = marker();
    let line = "x".repeat(16_000);
    let assigned = shell(&format!("yes {line}"), &marker);
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    let spooled = || {
        let entries = std::fs::read_dir(bench.data_dir().join("spool")).into_iter().flatten();
        let files = entries.flatten().filter_map(|entry| entry.metadata().ok());
        files.map(|file| file.len()).sum::<u64>()
    };
    poll("the spool is full", || spooled() >= FILE_BYTES_MAX).await;
    let beats = bench.server.state().heartbeats;
    let more = |state: &super::server::State| (state.heartbeats > beats + 10).then_some(());
    bench.server.until("heartbeats go on", more).await;
    assert!(spooled() < FILE_BYTES_MAX + (4 << 20), "{}", spooled());
    assert!(is_running(&marker));
    bench.server.state().holds_logs = false;
    bench.server.cancel(&attempt_id);
    // What was held back comes again over the next connection.
    bench.server.cut();
    let ended = bench.server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Cancelled);
    let lines = bench.server.state().texts(&attempt_id, "stdout");
    assert!(lines.iter().filter(|text| **text == line).count() > 4_000);
    bench.stop().await;
}

/// The worker has a thread and a runtime of its own, and the thread stands still for longer than
/// the lease. Acknowledgements wait in its socket when it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_stalled_sees_its_fence_before_its_mail() {
    let welcome =
        Welcome { lease_ms: 2_000, heartbeat_ms: 100, fence_ms: 1_000, ..Welcome::default() };
    let server = FakeServer::start(welcome).await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = hostler_worker::Config::new(
        &server.url,
        "secret",
        "worker-1",
        folder.path(),
        guardian::program(),
    );
    let (stall, stalled) = tokio::sync::oneshot::channel();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let until = shutdown.clone();
    let worker = std::thread::spawn(move || {
        let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
        executor.expect("a runtime").block_on(async {
            let stalls = async {
                stalled.await.expect("the word");
                // Nobody answers: the thread stands still for as long as that.
                let (_asked, answer) = std::sync::mpsc::channel::<()>();
                let _ = answer.recv_timeout(Duration::from_millis(2_500));
            };
            tokio::join!(hostler_worker::run(config, until), stalls).0
        })
    });
    let beats = |state: &super::server::State| (state.heartbeats >= 3).then_some(());
    server.until("heartbeats", beats).await;
    stall.send(()).expect("it listens");
    let second = |state: &super::server::State| state.hellos.get(1).cloned();
    let hello = server.until("a new incarnation", second).await;
    assert_ne!(hello.incarnation, server.state().hellos[0].incarnation);
    shutdown.cancel();
    worker.join().expect("no panic").expect("no error");
}

#[test]
fn the_stalling_worker_itself() {
    let Ok(given) = std::env::var(STALLING_WORKER) else { return };
    let (url, data_dir) = given.split_once(' ').expect("two words");
    let mut config = hostler_worker::Config::new(
        url,
        "secret",
        "worker-1",
        std::path::Path::new(data_dir),
        guardian::program(),
    );
    config.watchdog = true;
    let stall = std::path::Path::new(data_dir).join("stall");
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
    executor.expect("a runtime").block_on(async {
        let stalls = async {
            poll("the word", || stall.exists()).await;
            loop {
                std::thread::park();
            }
        };
        tokio::select! {
            ended = hostler_worker::run(config, Default::default()) => {
                panic!("the worker ended: {ended:?}")
            }
            never = stalls => never,
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stands_still_ends_itself_and_its_sandboxes_before_its_lease_ends() {
    if runtime().is_none() {
        return;
    }
    let (lease_ms, fence_ms) = (8_000, 4_000);
    let welcome = Welcome { lease_ms, heartbeat_ms: 200, fence_ms, ..Welcome::default() };
    let server = FakeServer::start(welcome).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (_, module) = module_path!().split_once("::").expect("the crate comes first");
    let mut worker = std::process::Command::new(std::env::current_exe().expect("this binary"));
    let test = format!("{module}::the_stalling_worker_itself");
    worker.args([&test, "--exact", "--nocapture", "--test-threads=1"]);
    worker.env(STALLING_WORKER, format!("{} {}", server.url, folder.path().display()));
    let mut worker = worker.spawn().expect("it starts");
    let marker = marker();
    let assigned = shell("trap '' TERM; echo ready; while :; do sleep 0.1; done", &marker);
    let attempt_id = assigned.attempt_id.clone();
    server.assign(assigned);
    server.printed(&attempt_id, "ready").await;
    let since = Instant::now();
    std::fs::write(folder.path().join("stall"), "").expect("a file");
    poll("the sandbox is gone", || !is_running(&marker)).await;
    assert!(since.elapsed() < Duration::from_millis(lease_ms), "{:?}", since.elapsed());
    let status = worker.wait().expect("it has ended");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "{status:?}");
}

/// Its first guardian is killed, and no other can be started for as long as a folder is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_guardian_takes_no_work_until_it_has_one_again() {
    if runtime().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let in_the_way = folder.path().join("in-the-way");
    let script = format!("[ -d {} ] || exec \"$0\" \"$@\"", in_the_way.display());
    let with_words = |mut words: Vec<std::ffi::OsString>| {
        words.splice(0..0, ["/bin/sh".into(), "-c".into(), script.into()]);
        words
    };
    let bench = Bench::with(long_lease(), |config| {
        config.guardian = with_words(std::mem::take(&mut config.guardian));
    })
    .await;
    bench.server.until("the offer", |state| (state.offered == 4).then_some(())).await;
    std::fs::create_dir(&in_the_way).expect("a folder");
    let own = i32::try_from(std::process::id()).expect("a pid");
    guardian::signal(guardian::of(own).expect("it has one"), "KILL");
    bench.server.until("nothing is offered", |state| (state.offered == 0).then_some(())).await;
    std::fs::remove_dir(&in_the_way).expect("removed");
    bench.server.until("the offer", |state| (state.offered == 4).then_some(())).await;
    let assigned = shell("echo guarded", "x");
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    let ended = bench.server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Exited, "{}", ended.error);
    bench.stop().await;
}

//! Stopping: by a cancel, by time, with the worker. What is left is looked for on the machine.

use std::time::{Duration, Instant};

use hostler_wire::v1::ended::Cause;

use super::{Bench, is_running, long_lease, marker, runtime, shell};

/// Ignores every signal that can be ignored, and so does a child that left its session.
const STUBBORN: &str = "trap '' TERM INT HUP; \
    setsid sh -c \"trap '' TERM INT HUP; while :; do sleep 0.1; done\" $0 & \
    echo ready; while :; do sleep 0.1; done";

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_it_runs_leaves_nothing() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    for script in ["echo ready; sleep 1000; :", STUBBORN] {
        let marker = marker();
        let assigned = shell(script, &marker);
        let attempt_id = assigned.attempt_id.clone();
        bench.server.assign(assigned);
        bench.server.printed(&attempt_id, "ready").await;
        assert!(is_running(&marker));
        bench.server.cancel(&attempt_id);
        let ended = bench.server.ended(&attempt_id).await;
        assert!(!is_running(&marker), "reported to have ended, and still there");
        assert_eq!(ended.cause(), Cause::Cancelled, "{}", ended.error);
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_on_the_heels_of_an_assignment_wins() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    bench.server.until("the offer", |state| (state.offered == 4).then_some(())).await;
    // At once, and a little later each time: preparing, starting, started.
    for delay_ms in [0, 2, 5, 10, 20, 40, 80] {
        let marker = marker();
        let assigned = shell("sleep 1000; :", &marker);
        let attempt_id = assigned.attempt_id.clone();
        bench.server.push(assigned);
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        bench.server.cancel(&attempt_id);
        let ended = bench.server.ended(&attempt_id).await;
        assert_eq!(ended.cause(), Cause::Cancelled, "{}", ended.error);
        assert!(!is_running(&marker), "after {delay_ms} ms");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn working_time_is_limited() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    let marker = marker();
    let mut assigned = shell(STUBBORN, &marker);
    assigned.timeout_ms = 1_000;
    let attempt_id = assigned.attempt_id.clone();
    let start = Instant::now();
    bench.server.assign(assigned);
    let ended = bench.server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::TimedOut, "{}", ended.error);
    assert!(ended.error.contains("1000"), "{}", ended.error);
    assert!(start.elapsed() >= Duration::from_millis(1_000));
    assert!(!is_running(&marker));
    assert!(bench.server.state().turns(&attempt_id).is_empty());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_takes_its_executions_with_it_and_says_so() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    let marker = marker();
    let assigned = shell(STUBBORN, &marker);
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    bench.server.printed(&attempt_id, "ready").await;
    let server = bench.stop().await;
    assert!(!is_running(&marker));
    let ended = server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Cancelled);
    assert!(ended.error.contains("worker"), "{}", ended.error);
    server.until("the goodbye", |state| (state.goodbyes == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_what_runs_come_to_its_end() {
    if runtime().is_none() {
        return;
    }
    let drain = |config: &mut hostler_worker::Config| config.drain = Duration::from_secs(50);
    let bench = Bench::with(long_lease(), drain).await;
    let assigned = shell("echo ready; while [ ! -e go ]; do sleep 0.05; done; echo done", "x");
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    bench.server.printed(&attempt_id, "ready").await;
    bench.shutdown.cancel();
    let go = bench.data_dir().join("workspaces/default/agents/demo/go");
    std::fs::write(go, "").expect("a file");
    let server = bench.stop().await;
    let ended = server.ended(&attempt_id).await;
    assert_eq!((ended.cause(), ended.exit_code), (Cause::Exited, Some(0)));
    assert_eq!(server.state().texts(&attempt_id, "stdout"), ["ready", "done"]);
}

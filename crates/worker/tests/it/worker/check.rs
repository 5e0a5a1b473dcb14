//! The config's check: a command that must pass for the work to count.

use std::time::{Duration, Instant};

use hostler_wire::v1::ended::Cause;
use serde_json::{Value, json};

use super::{Bench, assignment, is_running, long_lease, marker, poll, runtime};

fn checked(script: &str, check: Value) -> hostler_wire::v1::Assignment {
    let command = ["/bin/sh", "-c", script];
    assignment(json!({"runner": "command", "command": command, "check": check}), "hi")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_passes_sees_the_work_and_leaves_the_end_as_it_is() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    let check = "cat made; pwd; echo fine >&2; test ! -e /run/hostler/model.sock";
    for (check, expected) in [(json!(check), 3), (json!(null), 0), (json!("  "), 0)] {
        let assigned = checked("echo made > made", check);
        let attempt_id = assigned.attempt_id.clone();
        bench.server.assign(assigned);
        let ended = bench.server.ended(&attempt_id).await;
        assert_eq!((ended.cause(), ended.exit_code), (Cause::Exited, Some(0)), "{}", ended.error);
        let state = bench.server.state();
        let names = state.names(&attempt_id);
        assert_eq!(names, ["started", "turn_started", "turn_ended", "ended"]);
        let records = state.logs.get(&attempt_id).into_iter().flatten();
        let mut output: Vec<_> = records
            .filter(|record| record.chunk_type == "check")
            .map(|record| (record.stream.as_str(), record.data.as_str()))
            .collect();
        output.sort_unstable();
        let all = [("stderr", "fine"), ("stdout", "/workspace/agents/demo"), ("stdout", "made")];
        assert_eq!(output, all[..expected]);
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_fails_is_an_end_of_its_own_with_its_last_words() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    let table = [
        ("echo out; echo no luck >&2; exit 3", Some(3), "the check failed with exit code 3: "),
        ("kill -9 $$", None, "the check was killed by signal 9"),
        ("exit 1", Some(1), "the check failed with exit code 1"),
    ];
    for (check, exit_code, text) in table {
        let assigned = checked("echo done", json!(check));
        let attempt_id = assigned.attempt_id.clone();
        bench.server.assign(assigned);
        let ended = bench.server.ended(&attempt_id).await;
        assert_eq!((ended.cause(), ended.exit_code), (Cause::CheckFailed, exit_code));
        assert!(ended.error.starts_with(text), "{}", ended.error);
        assert_eq!(ended.error.contains("no luck"), check.contains("no luck"));
        assert!(!bench.server.state().turns(&attempt_id)[0].is_error);
    }
    let assigned = checked("echo done", json!(["make"]));
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    let ended = bench.server.ended(&attempt_id).await;
    assert_eq!(ended.cause(), Cause::Refused);
    assert!(ended.error.contains("config `check` must be a text"), "{}", ended.error);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_failed_is_not_checked() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    let assigned = checked("exit 4", json!("touch checked"));
    let attempt_id = assigned.attempt_id.clone();
    bench.server.assign(assigned);
    let ended = bench.server.ended(&attempt_id).await;
    assert_eq!((ended.cause(), ended.exit_code), (Cause::Exited, Some(4)));
    assert!(!bench.data_dir().join("workspaces/default/agents/demo/checked").exists());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_and_the_end_of_the_time_kill_a_check() {
    if runtime().is_none() {
        return;
    }
    let bench = Bench::start(long_lease()).await;
    for cancels in [true, false] {
        let marker = marker();
        let check = format!("trap '' TERM; echo {marker}; while :; do sleep 0.1; done");
        let mut assigned = checked("echo done", json!(check));
        if !cancels {
            assigned.timeout_ms = 3_000;
        }
        let attempt_id = assigned.attempt_id.clone();
        bench.server.assign(assigned);
        bench.server.printed(&attempt_id, &marker).await;
        // Its last word came before the check.
        assert_eq!(bench.server.state().turns(&attempt_id).len(), 1);
        poll("it runs", || is_running(&marker)).await;
        let since = Instant::now();
        if cancels {
            bench.server.cancel(&attempt_id);
        }
        let ended = bench.server.ended(&attempt_id).await;
        let expected = if cancels { Cause::Cancelled } else { Cause::TimedOut };
        assert_eq!(ended.cause(), expected, "{}", ended.error);
        assert!(!is_running(&marker));
        assert!(!cancels || since.elapsed() < Duration::from_secs(5));
    }
    bench.stop().await;
}

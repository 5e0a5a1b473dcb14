//! The guardian of a worker's sandboxes. Its process is this binary, run again with one test.
//!
//! That a worker which stands still is overtaken by its guardian is seen in the tests of the
//! command line, with workers of their own.

use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use hostler_worker::agent::Exit;
use hostler_worker::sandbox::{Guardian, Spec, StartError, main_guardian};

use super::sandbox::{PATIENCE, Room, for_each, read_until};

/// Makes this binary a guardian.
const GUARDIAN: &str = "HOSTLER_TEST_GUARDIAN";

/// This binary as a guardian, whose environment is empty.
pub fn program() -> Vec<OsString> {
    let binary = std::env::current_exe().expect("this binary");
    let (_, module) = module_path!().split_once("::").expect("the crate comes first");
    let script = format!(
        "{GUARDIAN}=1 exec \"$0\" --exact {module}::the_guardian_itself --nocapture \
         --test-threads=1"
    );
    vec!["/bin/sh".into(), "-c".into(), script.into(), binary.into()]
}

#[test]
fn the_guardian_itself() {
    if std::env::var_os(GUARDIAN).is_some() {
        std::process::exit(main_guardian());
    }
}

/// The guardian of the worker in this process.
pub fn of(worker: i32) -> Option<i32> {
    let parent = format!("PPid:\t{worker}");
    let entries = fs::read_dir("/proc").expect("a /proc").flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let is_guardian = String::from_utf8_lossy(&read("cmdline")).contains("the_guardian_itself");
        let status = String::from_utf8_lossy(&read("status")).into_owned();
        is_guardian && status.lines().any(|line| line == parent)
    })
}

pub fn signal(pid: i32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

fn own() -> i32 {
    i32::try_from(std::process::id()).expect("a pid")
}

/// Milliseconds of the time since boot.
fn now_ms() -> i64 {
    let text = fs::read_to_string("/proc/uptime").expect("a /proc");
    let seconds: f64 = text.split(' ').next().and_then(|one| one.parse().ok()).expect("a number");
    (seconds * 1_000.0) as i64
}

fn guarded(room: &Room, guardian: &std::sync::Arc<Guardian>) -> Spec {
    let script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    Spec { guardian: Some(guardian.clone()), ..room.shell(script) }
}

#[test]
fn a_sandbox_ends_when_its_time_is_over_and_none_starts_after_it() {
    for_each(async |runtime| {
        let room = Room::new();
        let guardian = Guardian::start(program()).expect("a guardian");
        let not_granted = runtime.start(guarded(&room, &guardian)).await.map(|_| ());
        assert!(matches!(&not_granted, Err(StartError::Failed(text)) if text.contains("lease")));
        guardian.renew(now_ms() + 60_000);
        let mut sandbox = runtime.start(guarded(&room, &guardian)).await.expect("started");
        read_until(&mut sandbox, "ready").await;
        let until_ms = now_ms() + 300;
        guardian.renew(until_ms);
        assert_eq!(sandbox.wait().await, Exit::Signal(9));
        // The clock read here counts hundredths of a second.
        assert!(now_ms() + 10 >= until_ms, "not before");
        assert_eq!(sandbox.survivors(), [] as [i32; 0]);
        let late = runtime.start(guarded(&room, &guardian)).await.map(|_| ());
        assert!(matches!(&late, Err(StartError::Failed(text)) if text.contains("lease")));
    });
}

/// Waits until there is another one than `last`.
async fn next(guardian: &Guardian, last: i32) -> i32 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let is_up = *guardian.is_up().borrow();
        if let Some(pid) = of(own()).filter(|pid| is_up && *pid != last) {
            return pid;
        }
        assert!(Instant::now() < deadline, "no other guardian came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_guardian_that_is_killed_or_stopped_is_replaced_by_one_that_knows_everything() {
    for_each(async |runtime| {
        let room = Room::new();
        let guardian = Guardian::start(program()).expect("a guardian");
        guardian.renew(i64::MAX);
        let mut sandbox = runtime.start(guarded(&room, &guardian)).await.expect("started");
        read_until(&mut sandbox, "ready").await;
        let first = of(own()).expect("there is one");
        signal(first, "KILL");
        let second = next(&guardian, first).await;
        signal(second, "STOP");
        while *guardian.is_up().borrow() {
            guardian.renew(i64::MAX);
        }
        next(&guardian, second).await;
        let unharmed = tokio::time::timeout(Duration::from_millis(200), sandbox.wait()).await;
        assert!(unharmed.is_err(), "{unharmed:?}");
        guardian.renew(now_ms());
        assert_eq!(sandbox.wait().await, Exit::Signal(9));
    });
}

#[test]
fn a_program_that_is_no_guardian_is_an_error_that_names_it() {
    for program in ["/bin/true", "/no/such/program"] {
        let error = Guardian::start(vec![program.into()]).expect_err("no guardian").to_string();
        assert!(error.contains("no guardian") || error.contains("No such file"), "{error}");
    }
    Guardian::start(Vec::new()).expect_err("no program");
}

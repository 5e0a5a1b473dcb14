//! A worker that stands still, or is gone at once: its guardian ends what it ran.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hostler_wire::json::Accepted;
use serde_json::Value;

use super::cluster::{Cluster, runs};
use super::host::{Host, Process, processes_with, until, within};

/// Each agent writes the time to a file of its own, ten times a second.
const WRITER: &str = "run: f=$(mktemp ticks.XXXXXX); \
    while :; do date +%s%N >> $f; sleep 0.1; done";

/// The times that each agent has written, by its file.
fn ticks(folder: &Path) -> BTreeMap<String, Vec<u64>> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let files = entries.filter(|one| one.file_name().to_string_lossy().starts_with("ticks."));
    let read = |path| -> Vec<u64> {
        let text = fs::read_to_string(path).unwrap_or_default();
        // The last line may be on its way.
        text.split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n')?.parse().ok())
            .collect()
    };
    files.map(|one| (one.file_name().to_string_lossy().into_owned(), read(one.path()))).collect()
}

/// The policy under which this runtime is used.
fn policy(runtime: &str) -> &'static str {
    match runtime {
        // By the fallback of the server: there is no gVisor here.
        "bubblewrap" => r#"{"runtime_type": "gvisor"}"#,
        "runc" => r#"{"runtime_type": "runc"}"#,
        other => panic!("{other} is not known here"),
    }
}

fn host_with(runtime: &str) -> Option<Host> {
    let host = Host::new();
    let report: Value = host.run(["doctor", "--json"]).json();
    let mut checks = report["checks"].as_array().expect("checks").iter();
    let check = checks.find(|check| check["name"] == runtime).expect("it is looked at");
    let works = check["state"] == "ok" || check["state"] == "warning";
    if !works {
        println!("skipped: {check}");
    }
    works.then_some(host)
}

fn detached(host: &Host, runtime: &str, message: &str) -> String {
    let words = ["run", "--detach", "--policy-json", policy(runtime), message];
    let accepted: Accepted = host.ask(&words);
    accepted.task.id.to_string()
}

/// The worker that has the task, taken out of the cluster.
fn take_owner(cluster: &mut Cluster, host: &Host, task: &str) -> Process {
    let run = runs(host, task).pop().expect("a run");
    cluster.take(&run.claimed_by_worker_id.expect("a worker"))
}

/// Stopped, until it is dropped: a test that fails leaves no stopped process behind.
struct Frozen(Process);

impl Frozen {
    fn new(worker: Process) -> Frozen {
        worker.signal("STOP");
        Frozen(worker)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.signal("CONT");
    }
}

fn the_agent_is_gone_before_another_begins(runtime: &str) {
    let Some(mut host) = host_with(runtime) else { return };
    let mut cluster = Cluster::start(&mut host);
    let task = detached(&host, runtime, WRITER);
    let mut written = BTreeMap::new();
    until("the first agent writes", || {
        written = ticks(&host.work());
        written.values().any(|times| times.len() > 5).then_some(())
    });
    let (first, _) = written.pop_first().expect("its file");
    let frozen = Frozen::new(take_owner(&mut cluster, &host, &task));
    let stopped_at = Instant::now();
    let second = until("the second agent writes", || {
        let mut others = ticks(&host.work()).into_iter().filter(|(file, _)| *file != first);
        others.find_map(|(_, times)| (times.len() > 10).then_some(times))
    });
    println!("{runtime}: taken up, and at work for a second, within {:?}", stopped_at.elapsed());
    let last = *ticks(&host.work())[&first].last().expect("it wrote");
    assert!(last < second[0], "two agents on one session: {last}, {}", second[0]);
    println!("{runtime}: {} ms without an agent", (second[0] - last) / 1_000_000);
    // It goes on, finds its lease lost, and becomes a worker like any other.
    frozen.0.signal("CONT");
    until("it has noticed", || frozen.0.err().contains("everything is stopped").then_some(()));
    let beats = |worker: &Process| worker.err().matches("connected").count();
    until("it serves again", || (beats(&frozen.0) >= 2).then_some(()));
    assert_eq!(ticks(&host.work())[&first].last(), Some(&last));
    assert_eq!(ticks(&host.work()).len(), 2, "two attempts, two agents");
}

#[test]
fn with_bubblewrap_the_agent_of_a_frozen_worker_is_gone_before_another_begins() {
    the_agent_is_gone_before_another_begins("bubblewrap");
}

#[test]
fn with_runc_the_agent_of_a_frozen_worker_is_gone_before_another_begins() {
    the_agent_is_gone_before_another_begins("runc");
}

#[test]
fn nothing_of_a_killed_worker_is_left_within_a_second() {
    for runtime in ["bubblewrap", "runc"] {
        let Some(mut host) = host_with(runtime) else { continue };
        let mut cluster = Cluster::start(&mut host);
        let mark = format!("86397.{}", std::process::id());
        // One of them in a session of its own.
        let message = format!("run: setsid sleep {mark} & touch begun; exec sleep {mark}");
        let task = detached(&host, runtime, &message);
        until("the agent works", || host.work().join("begun").exists().then_some(()));
        until("both", || (processes_with(&format!("sleep\0{mark}")).len() >= 2).then_some(()));
        take_owner(&mut cluster, &host, &task).crash();
        let died_at = Instant::now();
        within(Duration::from_secs(1), "nothing is left of the agent", || {
            processes_with(&mark).is_empty().then_some(())
        });
        println!("{runtime}: gone {:?} after the worker", died_at.elapsed());
        // The other worker takes it up, and is stopped with all that it runs.
        drop(cluster);
        until("nothing is left", || processes_with(&mark).is_empty().then_some(()));
    }
}

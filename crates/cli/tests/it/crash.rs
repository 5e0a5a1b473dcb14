//! Dying without a word: what was accepted is carried out, once at a time, and nothing is left.

use std::fs;
use std::time::{Duration, Instant};

use hostler_wire::json::Record;
use hostler_wire::json::word::{AttemptStatus, RunStatus};

use super::cluster::{Cluster, attempts, runs};
use super::host::{Host, processes_with, until, within};

/// A dead worker's runs are taken up again within this (RUN-6).
const TAKEOVER_MAX: Duration = Duration::from_secs(10);

/// The whole stream, without a hole.
fn records(host: &Host, task: &str) -> Vec<Record> {
    let outcome = host.run(["tasks", "logs", "--json", task]).ends_with(0);
    let read = |line: &str| serde_json::from_str(line).expect("a record");
    let records: Vec<Record> = outcome.out.lines().map(read).collect();
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.seq, index as u64 + 1);
    }
    records
}

#[test]
fn a_task_survives_the_crash_of_server_and_worker() {
    let Some(host) = Host::with_sandbox() else { return };
    let dev = host.dev();
    // A process that would outlive its agent, were it not for the sandbox.
    let mark = format!("86399.{}", std::process::id());
    let task = host.detached(&format!(
        "run: sleep {mark} > /dev/null 2>&1 &\nrun: echo one >> file\nwait: 3s\nsay: through"
    ));
    let file = host.work().join("file");
    until("the agent works", || file.exists().then_some(()));
    until("its process", || (!processes_with(&mark).is_empty()).then_some(()));
    let before = records(&host, &task);
    dev.crash();
    within(Duration::from_secs(5), "nothing is left of the sandbox", || {
        processes_with(&mark).is_empty().then_some(())
    });
    let crashed_at = Instant::now();
    let _dev = host.dev();
    let run = until("it is taken up again", || {
        let run = runs(&host, &task).pop()?;
        (run.attempt_count == 2 && run.status == RunStatus::Running).then_some(run)
    });
    println!("taken up again {} ms after the restart began", crashed_at.elapsed().as_millis());
    let finished = until("it is over", || {
        let run = runs(&host, &task).pop()?;
        (run.status == RunStatus::Ok).then_some(run)
    });
    assert_eq!((finished.id, finished.attempt_count), (run.id, 2));
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\none\n");
    let list = attempts(&host, &finished);
    let statuses: Vec<AttemptStatus> = list.attempts.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [AttemptStatus::Error, AttemptStatus::Ok]);
    let after = records(&host, &task);
    assert_eq!(after[..before.len()], before[..], "what was told stays");
    until("nothing is left", || processes_with(&mark).is_empty().then_some(()));
}

#[test]
fn the_run_of_a_dead_worker_is_taken_up_by_another() {
    let Some(mut host) = Host::with_sandbox() else { return };
    let mut cluster = Cluster::start(&mut host);
    let mark = format!("86398.{}", std::process::id());
    let task = host.detached(&format!(
        "run: sleep {mark} > /dev/null 2>&1 &\nrun: echo one >> file\nwait: 3s\nsay: through"
    ));
    let file = host.work().join("file");
    until("the agent works", || file.exists().then_some(()));
    let run = runs(&host, &task).pop().expect("a run");
    let owner = run.claimed_by_worker_id.expect("a worker");
    cluster.take(&owner).crash();
    let died_at = Instant::now();
    let taken = within(TAKEOVER_MAX, "another worker has taken it up (RUN-6)", || {
        let run = runs(&host, &task).pop()?;
        let list = attempts(&host, &run);
        let second = list.attempts.into_iter().find(|attempt| attempt.attempt_no == 2)?;
        (second.status == AttemptStatus::Running).then_some(second)
    });
    println!("taken up {} ms after the worker's death", died_at.elapsed().as_millis());
    assert_ne!(taken.worker_id, owner);
    host.run(["tasks", "logs", "-f", &task]).ends_with(0);
    assert_eq!(runs(&host, &task).len(), 1);
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\none\n");
    records(&host, &task);
    until("nothing is left", || processes_with(&mark).is_empty().then_some(()));
}

//! Stopping: nothing is left, nothing is lost.

use hostler_wire::json::word::TaskState;
use hostler_wire::json::{Accepted, Task};

use super::host::{Host, processes_with, until};

#[test]
fn dev_stops_its_sandboxes_and_removes_its_note() {
    let Some(host) = Host::with_sandbox() else { return };
    let dev = host.dev();
    let mark = format!("86400.{}", std::process::id());
    // An orderly stop is no failure of the task: it uses up none of its tries.
    let once = r#"{"retry": {"max_attempts": 1}}"#;
    let message = format!("run: touch begun; exec sleep {mark}");
    let accepted: Accepted = host.ask(&["run", "--detach", "--policy-json", once, &message]);
    let task = accepted.task.id.to_string();
    until("the agent works", || host.work().join("begun").exists().then_some(()));
    until("its process", || (!processes_with(&mark).is_empty()).then_some(()));
    dev.signal("TERM");
    let outcome = dev.end().ends_with(0);
    assert!(outcome.err.contains("stopping"), "{}", outcome.err);
    assert_eq!(processes_with(&mark), [0; 0]);
    assert!(!host.data_dir().join("dev.json").exists());
    // It was stopped by its worker's end, not by a person: it goes on with the next.
    let _dev = host.dev();
    until("it is taken up again", || {
        let again: Task = host.ask(&["tasks", "get", &task]);
        (again.state == TaskState::Running).then_some(())
    });
    host.run(["tasks", "cancel", &task]).ends_with(0);
    until("it is over", || {
        let over: Task = host.ask(&["tasks", "get", &task]);
        (over.state == TaskState::Cancelled).then_some(())
    });
}

#[test]
fn a_task_that_was_left_behind_is_carried_out_by_the_next_server() {
    let Some(host) = Host::with_sandbox() else { return };
    let outcome = host.run(["run", "--detach", "run: touch done-later"]).ends_with(0);
    assert!(outcome.err.contains("the server ends with this command"), "{}", outcome.err);
    let task = outcome.out.trim().to_owned();
    let _dev = host.dev();
    host.run(["tasks", "logs", "--follow", &task]).ends_with(0);
    assert!(host.work().join("done-later").exists());
}

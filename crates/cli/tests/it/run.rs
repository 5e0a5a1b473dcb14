//! `hostler run` from the command to the file in the folder.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use hostler_wire::json::word::{RunStatus, TaskState};
use hostler_wire::json::{Accepted, Record, RecordBody, Run, RunList, Task};

use super::host::{Host, until};

#[test]
fn a_run_without_a_server_brings_its_own_and_works_in_the_folder() {
    let Some(host) = Host::with_sandbox() else { return };
    let message = "run: echo hello > made.txt\nrun: cat made.txt\nsay: it is made";
    let outcome = host.run(["run", message]).ends_with(0);
    assert_eq!(fs::read_to_string(host.work().join("made.txt")).unwrap(), "hello\n");
    let expected = "> run: echo hello > made.txt\n  run: cat made.txt\n  say: it is made\n\
                    $ echo hello > made.txt\n$ cat made.txt\n  hello\nit is made\n";
    assert_eq!(outcome.out, expected, "{}", outcome.err);
    let work = host.work().canonicalize().unwrap();
    for said in ["agent scripted (no model is used: ", work.to_str().unwrap(), "done  "] {
        assert!(outcome.err.contains(said), "{said}: {}", outcome.err);
    }
    assert!(!host.data_dir().join("dev.json").exists());
}

#[test]
fn the_exit_code_tells_how_the_run_came_out() {
    let Some(host) = Host::with_sandbox() else { return };
    let _dev = host.dev();
    let outcome = host.run(["run", "fail: it cannot be done"]).ends_with(1);
    assert!(outcome.out.ends_with("it cannot be done\n"), "{}", outcome.out);
    assert!(outcome.err.contains("error: it cannot be done (agent)"), "{}", outcome.err);
    // Not retried: the agent said so itself.
    let runs: RunList = host.ask(&["runs", "list"]);
    assert_eq!((runs.runs.len(), runs.runs[0].attempt_count), (1, 1));
    host.run(["run", "exit: 3"]).ends_with(1);
}

#[test]
fn with_json_every_line_is_a_document_of_the_contract() {
    let Some(host) = Host::with_sandbox() else { return };
    let outcome = host.run(["run", "--json", "--no-dir", "say: hi\nusage: in=7 out=3"]);
    let outcome = outcome.ends_with(0);
    assert_eq!(outcome.err, "");
    let lines: Vec<&str> = outcome.out.lines().collect();
    let (first, rest) = lines.split_first().unwrap();
    let (last, records) = rest.split_last().unwrap();
    let accepted: Accepted = serde_json::from_str(first).unwrap();
    assert!(accepted.accepted && accepted.task.payload_json.dir.is_none());
    let records: Vec<Record> =
        records.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.seq, index as u64 + 1);
    }
    let said = |record: &Record| {
        matches!(&record.body, RecordBody::Log { data, chunk_type, .. }
            if data == "hi" && chunk_type == "text")
    };
    assert!(records.iter().any(said));
    let run: Run = serde_json::from_str(last).unwrap();
    assert_eq!((run.status, run.usage_json.input_tokens), (RunStatus::Ok, 7));
}

#[test]
fn the_message_may_come_by_standard_input() {
    let Some(host) = Host::with_sandbox() else { return };
    let mut process = host.start(host.command(["run", "-"]).stdin(Stdio::piped()));
    let mut input = process.child.stdin.take().unwrap();
    input.write_all(b"say: piped in\n").unwrap();
    drop(input);
    assert!(process.end().ends_with(0).out.ends_with("\npiped in\n"));
}

#[test]
fn a_question_is_answered_by_send_and_the_session_goes_on() {
    let Some(host) = Host::with_sandbox() else { return };
    let _dev = host.dev();
    let outcome = host.run(["run", "remember: colour=green\nask: which size?"]).ends_with(0);
    assert!(outcome.err.contains("waits for an answer"), "{}", outcome.err);
    let tasks: hostler_wire::json::TaskList = host.ask(&["tasks", "list"]);
    let task = &tasks.tasks[0];
    assert_eq!(task.state, TaskState::Waiting);
    let id = task.id.to_string();
    assert!(outcome.err.contains(&format!("answer it: hostler send {id}")), "{}", outcome.err);
    // By the end of its id, as the list shows it.
    let end = id.rsplit('-').next().unwrap();
    let outcome = host.run(["send", end, "--follow", "recall: colour"]).ends_with(0);
    assert!(outcome.out.ends_with("> recall: colour\ncolour = green\n"), "{}", outcome.out);
    assert!(!outcome.out.contains("which size?"), "what came before is not told again");
    let again: Task = host.ask(&["tasks", "get", &id]);
    assert_eq!((again.state, again.session_id), (TaskState::Done, task.session_id.clone()));
    // The same by its session: a command becomes an input, in the folder of before.
    let outcome = host.run(["run", "--session", &task.session_id, "recall: colour"]);
    let outcome = outcome.ends_with(0);
    assert_eq!(outcome.out, "> recall: colour\ncolour = green\n");
    let work = host.work().canonicalize().unwrap();
    assert!(outcome.err.contains(work.to_str().unwrap()), "{}", outcome.err);
    let elsewhere = host.path("home");
    let words = ["run", "--session", &task.session_id, "--dir", elsewhere.to_str().unwrap(), "x"];
    host.run(words).ends_with(4);
}

#[test]
fn an_agent_cannot_drive_the_terminal() {
    let Some(host) = Host::with_sandbox() else { return };
    let message = "run: printf '\\033[2J\\033]0;owned\\007\\r\\302\\233x'\nsay: \u{202e}\u{9b}2J";
    let outcome = host.run(["run", message]).ends_with(0);
    for text in [&outcome.out, &outcome.err] {
        let hostile = |letter: char| letter.is_control() && letter != '\n' || letter == '\u{202e}';
        assert!(!text.contains(hostile), "{text:?}");
    }
    assert!(outcome.out.contains("owned"), "{}", outcome.out);
}

#[test]
fn a_cancelled_task_is_followed_to_its_end() {
    let Some(host) = Host::with_sandbox() else { return };
    let _dev = host.dev();
    let task = host.detached("run: touch begun\nwait: 10m");
    until("the agent works", || host.work().join("begun").exists().then_some(()));
    let follower = host.start(&mut host.command(["tasks", "logs", "-f", &task]));
    until("it is followed", || follower.out().contains("touch begun").then_some(()));
    host.run(["tasks", "cancel", &task]).ends_with(0);
    let outcome = follower.end().ends_with(1);
    assert!(outcome.err.contains("cancelled"), "{}", outcome.err);
    let settled: Task = host.ask(&["tasks", "get", &task]);
    assert_eq!(settled.state, TaskState::Cancelled);
    let outcome = host.run(["tasks", "cancel", &task]).ends_with(4);
    assert!(outcome.err.contains("(task_not_cancellable)"), "{}", outcome.err);
    let _: hostler_wire::json::TaskMoved = host.ask(&["tasks", "archive", &task]);
}

#[test]
fn without_a_terminal_the_first_interrupt_cancels() {
    let Some(host) = Host::with_sandbox() else { return };
    let _dev = host.dev();
    let process = host.start(&mut host.command(["run", "run: touch begun\nwait: 10m"]));
    until("the agent works", || host.work().join("begun").exists().then_some(()));
    process.signal("INT");
    let outcome = process.end().ends_with(1);
    assert!(outcome.err.contains("cancelled"), "{}", outcome.err);
    let tasks: hostler_wire::json::TaskList = host.ask(&["tasks", "list"]);
    assert_eq!(tasks.tasks[0].state, TaskState::Cancelled);
}

#[test]
fn a_run_goes_on_with_a_server_that_was_restarted_elsewhere() {
    let Some(host) = Host::with_sandbox() else { return };
    let dev = host.dev();
    let process =
        host.start(&mut host.command(["run", "run: echo x >> begun\nwait: 1s\nsay: through"]));
    until("the agent works", || host.work().join("begun").exists().then_some(()));
    dev.crash();
    let _dev = host.dev();
    let outcome = process.end().ends_with(0);
    assert!(outcome.out.ends_with("through\n"), "{}\n{}", outcome.out, outcome.err);
    assert!(outcome.err.contains("trying again"), "{}", outcome.err);
}

#[test]
fn a_run_on_the_server_of_another_run_goes_on_without_it() {
    let Some(host) = Host::with_sandbox() else { return };
    let first = host.start(&mut host.command(["run", "run: touch begun\nwait: 1s"]));
    until("the agent works", || host.work().join("begun").exists().then_some(()));
    // It loses server and worker with the first, which uses up none of its tries.
    let once = r#"{"retry": {"max_attempts": 1}}"#;
    let words = ["run", "--policy-json", once, "wait: 3s\nsay: without it"];
    let second = host.start(&mut host.command(words));
    first.end().ends_with(0);
    let outcome = second.end().ends_with(0);
    assert!(outcome.out.ends_with("\nwithout it\n"), "{}\n{}", outcome.out, outcome.err);
    assert!(outcome.err.contains("trying again"), "{}", outcome.err);
}

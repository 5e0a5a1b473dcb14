//! Messages into a running turn, and what becomes of them, as Claude Code 2.1.330 tells it.

use hostler_worker::agent::{Action, Job};
use serde_json::json;

use super::{Talk, input, job, written};

const IDLE: &str = r#"{"type":"system","subtype":"session_state_changed","state":"idle"}"#;

fn begin() -> Talk {
    let mut talk = Talk::begin("claude_code", &job("full"));
    talk.stdout(r#"{"type":"system","subtype":"session_state_changed","state":"running"}"#);
    talk
}

/// What the program says of a message.
fn says(talk: &mut Talk, number: usize, state: &str) {
    let id = format!("@{number}@");
    let line = json!({"type": "command_lifecycle", "command_uuid": id, "state": state});
    talk.stdout(&line.to_string());
}

fn result(talk: &mut Talk, text: &str) {
    let line = json!({"type": "result", "subtype": "success", "is_error": false, "result": text});
    talk.stdout(&line.to_string());
}

#[test]
fn a_steer_joins_the_running_turn_which_ends_once() {
    let talk = Talk::replay(&job("allowlist"), "steer");
    assert_eq!(talk.told(), ["started input-1", "injected input-2", "ended input-1 completed"]);
    let ended = talk.ended();
    assert_eq!((ended[0].text.as_str(), ended[0].usage.cost_micro_usd), ("end", 1702));
    assert_eq!(talk.texts("user_input"), ["do it", "do that too"]);
    let steer = talk.written().into_iter().find(|line| line["priority"] == "next");
    assert_eq!(steer.expect("written")["message"]["content"], "do that too");
}

/// A turn with three steers, of which one was withdrawn, interrupted without withdrawing the
/// others; then a turn with one steer, interrupted as we do it.
#[test]
fn what_became_of_several_steers_is_told_of_each() {
    let talk = Talk::replay(&job("allowlist"), "steers");
    let expected = [
        "started input-1",
        "returned input-3",
        "ended input-1 aborted_tools",
        "started input-2",
        "injected input-4",
        "ended input-2 completed",
        "started input-5",
        "returned input-6",
        "ended input-5 aborted_tools",
    ];
    assert_eq!(talk.told(), expected);
}

#[test]
fn what_the_turn_has_used_is_told_while_it_runs() {
    let talk = Talk::replay(&job("allowlist"), "steer");
    let spent = talk.actions.iter().filter_map(|action| match action {
        Action::Spent(usage) => Some((usage.input_tokens, usage.output_tokens)),
        _ => None,
    });
    assert_eq!(spent.collect::<Vec<_>>(), [(100, 1), (200, 2)]);
    let of_cost =
        |action: &Action| matches!(action, Action::Spent(usage) if usage.cost_micro_usd > 0);
    assert!(!talk.actions.iter().any(of_cost), "money is not known before the end");
}

#[test]
fn a_steer_that_begins_after_the_result_is_a_turn_of_its_own() {
    let mut talk = begin();
    talk.turn("one");
    says(&mut talk, 1, "started");
    talk.steer("two");
    says(&mut talk, 2, "queued");
    result(&mut talk, "first");
    says(&mut talk, 1, "completed");
    assert_eq!(talk.ended().len(), 0);
    says(&mut talk, 2, "started");
    // The server's answer to the first turn's end.
    assert_eq!(talk.dialogue.turn(&input(2, "two")), []);
    result(&mut talk, "second");
    says(&mut talk, 2, "completed");
    talk.stdout(IDLE);
    let expected = [
        "started input-1",
        "ended input-1 completed",
        "started input-2",
        "ended input-2 completed",
    ];
    assert_eq!(talk.told(), expected);
    let texts: Vec<&str> = talk.ended().iter().map(|result| result.text.as_str()).collect();
    assert_eq!(texts, ["first", "second"]);
}

#[test]
fn of_several_that_begin_together_the_first_leads() {
    let mut talk = begin();
    talk.turn("one");
    says(&mut talk, 1, "started");
    talk.steer("two");
    talk.steer("three");
    result(&mut talk, "first");
    says(&mut talk, 2, "started");
    says(&mut talk, 3, "started");
    result(&mut talk, "both");
    says(&mut talk, 2, "completed");
    says(&mut talk, 3, "completed");
    talk.stdout(IDLE);
    let expected = [
        "started input-1",
        "ended input-1 completed",
        "started input-2",
        "injected input-3",
        "ended input-2 completed",
    ];
    assert_eq!(talk.told(), expected);
}

#[test]
fn a_steer_without_a_turn_begins_one() {
    let mut talk = begin();
    talk.steer("one");
    says(&mut talk, 1, "queued");
    says(&mut talk, 1, "started");
    result(&mut talk, "done");
    talk.stdout(IDLE);
    assert_eq!(talk.told(), ["started input-1", "ended input-1 completed"]);
}

#[test]
fn an_interrupt_returns_what_was_not_taken() {
    let mut talk = begin();
    talk.turn("one");
    says(&mut talk, 1, "started");
    talk.steer("two");
    says(&mut talk, 2, "queued");
    let interrupt = talk.dialogue.interrupt();
    assert_eq!(written(&interrupt)[0]["request"]["cancel_queued"], true);
    says(&mut talk, 2, "cancelled");
    let line = json!({"type": "result", "subtype": "error_during_execution", "is_error": true,
        "terminal_reason": "aborted_tools"});
    talk.stdout(&line.to_string());
    says(&mut talk, 1, "cancelled");
    talk.stdout(IDLE);
    let expected = ["started input-1", "returned input-2", "ended input-1 aborted_tools"];
    assert_eq!(talk.told(), expected);
    // It may come again, as a turn, and then under another id.
    let again = talk.dialogue.turn(&input(2, "two"));
    assert_ne!(written(&again)[0]["uuid"], talk.message_ids[1].as_str());
}

#[test]
fn a_steer_that_the_transcript_holds_was_taken() {
    let mut talk = begin();
    talk.turn("one");
    says(&mut talk, 1, "started");
    talk.steer("two");
    says(&mut talk, 2, "completed");
    assert_eq!(talk.told(), ["started input-1", "injected input-2"]);
}

#[test]
fn a_steer_that_an_earlier_process_took_is_not_written_again() {
    let state = tempfile::tempdir().expect("a folder");
    let session_id = "4851f103-9691-43ea-a43a-d15781a20756".to_owned();
    let job = Job { state_dir: state.path().to_owned(), session_id, ..job("full") };
    let mut first = Talk::begin("claude_code", &job);
    first.steer("one");
    let session = &job.session_id;
    let project = state.path().join("claude/projects/-workspace");
    std::fs::create_dir_all(&project).expect("a project");
    let attachment = json!({"type": "queued_command", "source_uuid": first.message_ids[0]});
    let transcript = format!(
        "{}\n{}\n",
        json!({"type": "user", "message": {"content": "hi"}, "uuid": "x"}),
        json!({"type": "attachment", "attachment": attachment}),
    );
    std::fs::write(project.join(format!("{session}.jsonl")), transcript).expect("a transcript");
    let mut again = Talk::begin("claude_code", &job);
    let actions = again.dialogue.steer(&input(1, "one"));
    assert_eq!(actions, [Action::Injected { input_id: "input-1".to_owned() }]);
}

#[test]
fn a_steer_that_became_the_awaited_turn_ends_as_one() {
    for (state, reason) in [("completed", "skipped"), ("cancelled", "cancelled")] {
        let mut talk = begin();
        talk.steer("one");
        assert_eq!(talk.dialogue.turn(&input(1, "one")), []);
        says(&mut talk, 1, state);
        assert_eq!(talk.told(), [format!("ended input-1 {reason}")]);
    }
}

#[test]
fn the_exit_returns_what_was_not_taken() {
    let mut talk = begin();
    talk.turn("one");
    says(&mut talk, 1, "started");
    talk.steer("two");
    result(&mut talk, "done");
    talk.exit(0);
    assert_eq!(talk.told(), ["started input-1", "ended input-1 completed", "returned input-2"]);
    let mut talk = begin();
    talk.turn("one");
    talk.steer("two");
    talk.exit(1);
    assert_eq!(talk.told(), ["returned input-2"]);
}

#[test]
fn a_steer_is_written_once_and_keeps_its_id_over_attempts() {
    let id = |attempt_id: &str, session_id: &str| {
        let job = Job {
            attempt_id: attempt_id.to_owned(),
            session_id: session_id.to_owned(),
            ..job("full")
        };
        let mut talk = Talk::begin("claude_code", &job);
        talk.steer("same");
        assert_eq!(talk.dialogue.steer(&input(1, "same")), []);
        talk.message_ids[0].clone()
    };
    assert_eq!(id("attempt-1", "session-1"), id("attempt-2", "session-1"));
    assert_ne!(id("attempt-1", "session-1"), id("attempt-1", "session-2"));
}

#[test]
fn a_turn_that_comes_while_another_runs_does_not_join_it() {
    let mut talk = begin();
    talk.steer("one");
    says(&mut talk, 1, "started");
    talk.turn("two");
    let last = talk.written().pop().expect("written");
    assert_eq!((&last["message"]["content"], &last["priority"]), (&json!("two"), &json!("later")));
}

#[test]
fn an_older_program_tells_nothing_and_is_taken_to_have_joined_it() {
    let mut talk = Talk::begin("claude_code", &job("full"));
    talk.turn("one");
    talk.stdout(r#"{"type":"system","subtype":"init","model":"m"}"#);
    talk.steer("two");
    result(&mut talk, "done");
    assert_eq!(talk.told(), ["started input-1", "injected input-2", "ended input-1 completed"]);
}

#[test]
fn a_command_takes_no_steer() {
    let mut talk = Talk::begin("command", &job("full"));
    talk.actions.extend(talk.dialogue.steer(&input(2, "more")));
    assert_eq!(talk.told(), ["returned input-2"]);
}

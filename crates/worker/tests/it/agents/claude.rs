//! Claude Code, as its program 2.1.330 (and 2.1.197) spoke.

use hostler_worker::agent::{Action, Failure, TurnInput};
use serde_json::{Value, json};

use super::{Talk, job};

fn replay(fixture: &str) -> Talk {
    Talk::replay(&job("allowlist"), fixture)
}

#[test]
fn two_turns_with_a_tool_call_end_with_their_texts_and_their_own_usage() {
    let talk = replay("success");
    assert_eq!(talk.started(), ["input-1", "input-2"]);
    let ended = talk.ended();
    let facts: Vec<_> = ended
        .iter()
        .map(|result| (result.input_id.as_str(), result.text.as_str(), result.reason.as_str()))
        .collect();
    assert_eq!(facts, [("input-1", "all done", "completed"), ("input-2", "second", "completed")]);
    let usage: Vec<_> = ended
        .iter()
        .map(|result| &result.usage)
        .map(|usage| (usage.input_tokens, usage.output_tokens, usage.cost_micro_usd))
        .collect();
    assert_eq!(usage, [(200, 40, 1702), (100, 20, 851)]);
    assert_eq!((ended[0].usage.cache_read_tokens, ended[0].usage.cache_write_tokens), (10, 20));
    let models = ended[0].usage.models.as_ref().expect("named");
    assert_eq!(models["claude-opus-5-5"]["cost_micro_usd"], 1702);
    assert!(ended.iter().all(|result| !result.is_error && !result.last));
    assert!(ended.iter().all(|result| result.failure == Failure::None));
}

#[test]
fn the_program_is_identified_once() {
    let talk = replay("success");
    let identified: Vec<&Action> =
        talk.actions.iter().filter(|action| matches!(action, Action::Identified { .. })).collect();
    let (provider, model) = ("claude".to_owned(), "claude-opus-5-5".to_owned());
    assert_eq!(identified, [&Action::Identified { provider, model }]);
}

#[test]
fn a_reader_sees_words_calls_and_results() {
    let talk = replay("success");
    assert_eq!(talk.texts("user_input"), ["do it", "do it"]);
    assert_eq!(talk.texts("text"), ["all done", "second"]);
    assert_eq!(talk.texts("tool_use"), ["Bash: touch made.txt && echo made"]);
    assert_eq!(talk.texts("tool_result"), ["made"]);
    assert_eq!(talk.texts("result"), ["all done", "second"]);
    let logs = talk.logs();
    let user = logs.iter().find(|log| log.stream == "user").expect("the message is logged");
    assert_eq!(user.metadata.as_ref().map(|map| map["input_id"].clone()), Some(json!("input-1")));
    let call = logs.iter().find(|log| log.chunk_type == "tool_use").expect("a call");
    let block = &call.metadata.as_ref().expect("the line")["message"]["content"][0];
    assert_eq!(block["input"]["command"], "touch made.txt && echo made");
    let giant = |log: &&&hostler_worker::agent::Log| {
        log.metadata.as_ref().is_some_and(|map| Value::Object(map.clone()).to_string().len() > 3000)
    };
    assert_eq!(logs.iter().filter(giant).count(), 0);
}

#[test]
fn a_permission_request_is_allowed_and_its_answer_names_it() {
    let talk = replay("success");
    let answers = talk.answers();
    let answer = answers.values().next().expect("one was asked");
    assert_eq!(answer["behavior"], "allow");
    assert_eq!(answer["updatedInput"]["command"], "touch made.txt && echo made");
}

#[test]
fn under_deny_every_call_is_hooked_and_commands_are_refused() {
    let mut talk = Talk::replay(&job("deny"), "success");
    let hooks = &talk.written()[0]["request"]["hooks"]["PreToolUse"][0];
    assert_eq!((&hooks["matcher"], &hooks["onFailure"]), (&json!("*"), &json!("block")));
    assert!(talk.answers().values().all(|answer| answer["behavior"] == "deny"));
    for (id, tool) in [("h1", "Bash"), ("h2", "Read")] {
        let input = json!({"tool_name": tool, "tool_input": {"command": "ls"}});
        let request =
            json!({"subtype": "hook_callback", "callback_id": "every-tool", "input": input});
        let line = json!({"type": "control_request", "request_id": id, "request": request});
        talk.stdout(&line.to_string());
    }
    let answers = talk.answers();
    let decision = |id: &str| answers[id]["hookSpecificOutput"]["permissionDecision"].clone();
    assert_eq!((decision("h1"), decision("h2")), (json!("deny"), json!("allow")));
}

#[test]
fn a_request_that_is_not_known_is_answered_with_an_error() {
    let mut talk = Talk::begin("claude_code", &job("full"));
    talk.stdout(r#"{"type":"control_request","request_id":"x","request":{"subtype":"elicit"}}"#);
    let answer = &talk.written()[1]["response"];
    assert_eq!((&answer["subtype"], &answer["request_id"]), (&json!("error"), &json!("x")));
}

#[test]
fn a_refused_request_is_rejected_and_the_next_turn_works() {
    let talk = replay("api_error_400");
    let ended = talk.ended();
    assert_eq!(ended.len(), 2);
    assert!(ended[0].is_error && !ended[0].last);
    assert_eq!((ended[0].failure, ended[0].reason.as_str()), (Failure::Rejected, "api_error"));
    assert_eq!(ended[0].text, "API Error: 400 bad thing");
    assert!(!ended[1].is_error);
    assert_eq!(ended[1].text, "fine");
}

#[test]
fn a_refused_key_is_a_matter_of_configuration_and_retries_are_logged() {
    let talk = replay("api_error_401");
    assert_eq!(talk.ended()[0].failure, Failure::Configuration);
    let retries = talk.texts("system");
    let retry = retries.iter().find(|text| text.contains("retry 1 of 1"));
    assert!(retry.is_some_and(|text| text.contains("401, authentication_failed")), "{retries:?}");
}

#[test]
fn an_overloaded_endpoint_may_work_later() {
    let talk = replay("api_error_529");
    assert_eq!(talk.ended()[0].failure, Failure::Overloaded);
    assert!(talk.ended()[0].is_error);
}

#[test]
fn background_work_belongs_to_the_turn_until_the_program_is_idle() {
    let talk = replay("several_results");
    let ended = talk.ended();
    assert_eq!(ended.len(), 1, "two results, one turn");
    assert!(ended[0].text.starts_with("stub: script over"), "the last one's text");
    let usage = &ended[0].usage;
    assert_eq!((usage.input_tokens, usage.cost_micro_usd), (500, 4255));
}

#[test]
fn an_interrupted_turn_ends_and_the_process_takes_the_next() {
    let talk = replay("interrupt");
    let requests = talk.written();
    let interrupt = requests.iter().find(|line| line["request"]["subtype"] == "interrupt");
    assert_eq!(interrupt.expect("sent")["request"]["cancel_queued"], true);
    let ended = talk.ended();
    assert_eq!((ended[0].is_error, ended[0].reason.as_str()), (true, "aborted_tools"));
    assert_eq!((ended[0].failure, ended[0].last), (Failure::None, false));
    assert_eq!(ended[0].usage.cost_micro_usd, 851, "what it cost until then");
    assert_eq!(ended[0].text, "the turn was interrupted");
    assert_eq!(ended[1].text, "alive");
}

#[test]
fn an_interrupt_without_a_turn_is_nothing() {
    let mut talk = Talk::begin("claude_code", &job("full"));
    assert_eq!(talk.dialogue.interrupt(), []);
}

#[test]
fn a_message_withdrawn_before_it_began_ends_its_turn() {
    let mut talk = Talk::begin("claude_code", &job("full"));
    talk.turn("never mind");
    talk.actions.extend(talk.dialogue.interrupt());
    talk.stdout(r#"{"type":"command_lifecycle","command_uuid":"@1@","state":"queued"}"#);
    talk.stdout(r#"{"type":"command_lifecycle","command_uuid":"@1@","state":"cancelled"}"#);
    talk.stdout(r#"{"type":"system","subtype":"session_state_changed","state":"idle"}"#);
    assert_eq!(talk.started(), Vec::<&str>::new());
    let ended = talk.ended();
    assert_eq!((ended.len(), ended[0].reason.as_str()), (1, "cancelled"));
}

#[test]
fn turns_and_budgets_that_are_spent_are_told_apart_and_not_tried_again() {
    let (turns, budget) = (replay("max_turns"), replay("budget"));
    let (turns, budget) = (turns.ended()[0].clone(), budget.ended()[0].clone());
    assert_eq!((turns.reason.as_str(), turns.failure), ("max_turns", Failure::Rejected));
    assert_eq!(turns.text, "Reached maximum number of turns (1)");
    assert!(!turns.last, "the limit is the turn's");
    assert_eq!((budget.reason.as_str(), budget.failure), ("budget_exhausted", Failure::Budget));
    assert!(budget.last, "the limit is the process's");
}

#[test]
fn a_question_goes_back_into_the_conversation_and_the_turn_waits() {
    let talk = replay("question");
    let answers = talk.answers();
    let answer = answers.values().next().expect("one was asked");
    assert_eq!(answer["behavior"], "deny");
    assert!(answer["message"].as_str().is_some_and(|text| text.contains("in the conversation")));
    let ended = talk.ended();
    assert_eq!(talk.texts("tool_use"), ["AskUserQuestion: Which?"]);
    assert!(ended[0].waiting_for_input && !ended[0].is_error);
    assert_eq!(ended[0].text, "Which one, A or B?");
}

#[test]
fn a_message_the_program_skips_as_known_does_not_hang() {
    let talk = replay("skipped");
    let ended = talk.ended();
    assert_eq!((ended.len(), ended[0].reason.as_str()), (1, "skipped"));
    assert!(ended[0].is_error);
}

#[test]
fn the_same_input_gets_a_new_id_in_every_attempt() {
    let mut first = Talk::begin("claude_code", &job("full"));
    let mut again = job("full");
    again.attempt_id = "attempt-2".to_owned();
    let mut again = Talk::begin("claude_code", &again);
    first.turn("same");
    again.turn("same");
    assert_ne!(first.message_ids, again.message_ids);
}

#[test]
fn a_session_that_cannot_be_resumed_says_so() {
    let talk = replay("no_conversation");
    let ended = talk.ended();
    assert_eq!(ended.len(), 1);
    assert!(ended[0].is_error && ended[0].last);
    assert!(ended[0].text.starts_with("No conversation found"), "{}", ended[0].text);
    assert_eq!(talk.started(), Vec::<&str>::new());
    assert!(talk.logs().iter().any(|log| log.stream == "stderr"));
}

#[test]
fn an_older_program_is_taken_at_its_init_and_its_totals() {
    let talk = replay("older_program");
    assert_eq!(talk.started(), ["input-1", "input-2", "input-3"]);
    let costs: Vec<u64> = talk.ended().iter().map(|result| result.usage.cost_micro_usd).collect();
    assert_eq!(costs, [2130, 1065, 1065], "the growth of the total");
    assert_eq!(talk.ended()[2].reason, "aborted_tools");
}

#[test]
fn a_program_that_never_says_it_is_idle_is_taken_at_its_result() {
    let mut talk = Talk::begin("claude_code", &job("full"));
    talk.turn("one");
    talk.stdout(r#"{"type":"system","subtype":"init","model":"m"}"#);
    talk.stdout(r#"{"type":"result","subtype":"success","is_error":false,"result":"done"}"#);
    assert_eq!((talk.started(), talk.ended().len()), (vec!["input-1"], 1));
}

#[test]
fn a_result_counts_when_the_process_ends_without_being_idle() {
    let mut talk = Talk::begin("claude_code", &job("full"));
    talk.turn("one");
    talk.stdout(r#"{"type":"system","subtype":"session_state_changed","state":"running"}"#);
    talk.stdout(r#"{"type":"command_lifecycle","command_uuid":"@1@","state":"started"}"#);
    talk.stdout(r#"{"type":"result","subtype":"success","is_error":false,"result":"done"}"#);
    assert_eq!(talk.ended().len(), 0);
    talk.exit(0);
    assert!(talk.ended()[0].last && !talk.ended()[0].is_error);
}

#[test]
fn a_process_that_ends_without_a_result_proves_nothing() {
    let mut talk = Talk::begin("claude_code", &job("full"));
    talk.turn("one");
    talk.stdout(r#"{"type":"command_lifecycle","command_uuid":"@1@","state":"started"}"#);
    talk.exit(0);
    assert_eq!(talk.ended().len(), 0);
}

#[test]
fn garbage_is_logged_and_changes_nothing() {
    let mut talk = Talk::begin("claude_code", &job("full"));
    talk.turn("one");
    let long = format!("{{\"type\":\"assistant\",\"x\":\"{}\"}}", "y".repeat(2 * 1024 * 1024));
    let nested = "[".repeat(100_000);
    let blocks = vec![json!({"type": "text", "text": "z".repeat(100)}); 5000];
    let many = json!({"type": "assistant", "message": {"content": blocks}}).to_string();
    let strange = [
        "Segmentation fault",
        "{\"type\":",
        "42",
        "[]",
        "null",
        "{}",
        "{\"type\":7}",
        "{\"type\":\"system\"}",
        "{\"type\":\"result\",\"usage\":\"none\",\"result\":3}x",
        "{\"type\":\"assistant\",\"message\":\"text\"}",
        "{\"type\":\"user\",\"message\":{}}",
        "{\"type\":\"control_request\"}",
        "{\"type\":\"new_kind\",\"text\":\"a\\u0000b\"}",
        "\u{1b}[31mred\u{1b}[0m\0",
        &long,
        &nested,
        &many,
    ];
    for line in strange {
        let before = talk.logs().len();
        talk.stdout(line);
        assert!(talk.logs().len() > before, "{}", &line[..line.len().min(40)]);
    }
    talk.actions.extend(talk.dialogue.stderr("\u{7}oops"));
    talk.stdout("  ");
    assert_eq!((talk.started().len(), talk.ended().len()), (0, 0));
    assert_eq!(talk.texts("assistant").last(), Some(&"4936 more blocks are left out"));
    for log in talk.logs() {
        let text = format!("{}{:?}", log.data, log.metadata);
        assert!(text.len() < 1024 * 1024);
        assert!(!log.data.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{log:?}");
    }
    assert!(talk.texts("new_kind").contains(&"a␀b"));
}

#[test]
fn attachments_are_given_with_the_message() {
    let mut talk = Talk::begin("claude_code", &job("full"));
    let actions = talk.dialogue.turn(&TurnInput {
        input_id: "input-1".to_owned(),
        message: "look".to_owned(),
        attachments: vec![json!({"name": "a.txt"})],
    });
    let content = &super::written(&actions)[0]["message"]["content"];
    assert_eq!(content[0]["text"], "look");
    assert!(content[1]["text"].as_str().is_some_and(|text| text.contains("a.txt")));
}

#[test]
fn closing_ends_the_input_only() {
    let mut talk = Talk::begin("claude_code", &job("full"));
    assert_eq!(talk.dialogue.close(), [Action::CloseInput]);
}

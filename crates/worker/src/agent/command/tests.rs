use serde_json::{Value, json};

use super::*;
use crate::agent::testing::{input, job};

fn launch(config: Value, message: &str) -> Result<Launch, Refusal> {
    Command.launch(&job(config), &input(message))
}

fn refusal(config: Value, message: &str) -> String {
    launch(config, message).err().map(|refusal| refusal.0).unwrap_or_default()
}

/// What the dialogue does with a message, some output and an exit.
fn talk(config: Value, stdout: &[&str], stderr: &[&str], exit: Exit) -> Vec<Action> {
    let mut dialogue = Command.dialogue(&job(config));
    let mut actions = dialogue.begin();
    actions.extend(dialogue.turn(&input("three little words")));
    stdout.iter().for_each(|line| actions.extend(dialogue.stdout(line)));
    stderr.iter().for_each(|line| actions.extend(dialogue.stderr(line)));
    actions.extend(dialogue.exited(exit));
    actions
}

fn ended(actions: &[Action]) -> Option<&TurnResult> {
    actions.iter().find_map(|action| match action {
        Action::TurnEnded(result) => Some(result),
        _ => None,
    })
}

#[test]
fn the_message_replaces_its_place_in_the_arguments() {
    let config = json!({"command": ["/bin/echo", "got: {{message}}!", "-n"]});
    let launch = launch(config.clone(), "a {{message}}").expect("echo is there");
    assert_eq!(launch.argv, ["/bin/echo", "got: a {{message}}!", "-n"]);
    assert_eq!(launch.cwd, "/workspace/agents/demo");
    assert!(!launch.needs_model);
    let actions = talk(config, &[], &[], Exit::Code(0));
    assert!(!actions.iter().any(|action| matches!(action, Action::WriteRaw(_))));
    assert!(actions.contains(&Action::CloseInput));
}

#[test]
fn without_its_place_the_message_goes_to_standard_input() {
    let actions = talk(json!({"command": ["wc", "-w"]}), &["3"], &[], Exit::Code(0));
    let given = actions
        .iter()
        .position(|action| *action == Action::WriteRaw(b"three little words".to_vec()));
    let closed = actions.iter().position(|action| *action == Action::CloseInput);
    assert!(given.expect("written") < closed.expect("closed"));
    let result = ended(&actions).expect("it ended");
    assert_eq!((result.text.as_str(), result.reason.as_str()), ("3", "completed"));
    assert!(!result.is_error && result.last);
}

#[test]
fn another_exit_code_is_an_error_with_the_end_of_standard_error() {
    let noise = "n".repeat(ERROR_BYTES_MAX);
    let actions = talk(json!({"command": ["false"]}), &[], &[&noise, "no luck"], Exit::Code(3));
    let result = ended(&actions).expect("it ended");
    assert!(result.is_error);
    assert_eq!(result.reason, "exit code 3");
    assert!(result.text.starts_with("exit code 3\nn") && result.text.ends_with("no luck"));
    assert!(result.text.len() <= ERROR_BYTES_MAX + 16);
}

#[test]
fn a_process_that_was_killed_proves_nothing() {
    let actions = talk(json!({"command": ["true"]}), &["half"], &[], Exit::Signal(9));
    assert_eq!(ended(&actions), None);
}

#[test]
fn the_text_is_the_end_of_a_long_output() {
    let line = "x".repeat(1000);
    let lines = vec![line.as_str(); 1000];
    let actions = talk(json!({"command": ["true"]}), &lines, &[], Exit::Code(0));
    assert_eq!(ended(&actions).map(|result| result.text.len()), Some(TEXT_BYTES_MAX));
}

#[test]
fn a_second_message_needs_a_process_of_its_own() {
    let mut dialogue = Command.dialogue(&job(json!({"command": ["cat"]})));
    dialogue.turn(&input("one"));
    let actions = dialogue.turn(&input("two"));
    assert_eq!(ended(&actions).map(|result| result.reason.as_str()), Some("busy"));
}

#[test]
fn a_program_that_is_not_there_is_refused_by_name() {
    let missing = |program: &str| refusal(json!({"command": [program]}), "");
    assert!(missing("no-such-program").contains("`no-such-program` is not on the sandbox's PATH"));
    assert!(missing("/usr/bin/no-such-program").contains("not there"));
    assert!(missing("/opt/tool").contains("not in the sandbox"));
    for present in ["sh", "/usr/bin/env", "./run.sh", "/workspace/tools/run"] {
        assert_eq!(missing(present), "", "{present}");
    }
    let own_path = json!({"command": ["my-tool"], "env": {"PATH": "/workspace/tools:/usr/bin"}});
    assert_eq!(refusal(own_path, ""), "");
}

#[test]
fn a_command_must_be_a_list_of_texts() {
    for config in [
        json!({}),
        json!({"command": "ls"}),
        json!({"command": []}),
        json!({"command": [1]}),
        json!({"command": ["{{message}}"]}),
        json!({"command": [" "]}),
    ] {
        assert!(refusal(config.clone(), "").starts_with("config `command`"), "{config}");
    }
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    let config = json!({"command": ["echo", "{{message}}"]});
    assert!(refusal(config.clone(), &long).contains("standard input"));
    assert!(refusal(config, "a\0b").contains("zero character"));
}

#[test]
fn under_deny_a_program_is_not_run() {
    let mut job = job(json!({"command": ["/bin/echo"]}));
    job.security = "deny".to_owned();
    let Err(Refusal(text)) = Command.launch(&job, &input("m")) else { panic!("it is refused") };
    assert!(text.contains("lets the agent run no commands"), "{text}");
}

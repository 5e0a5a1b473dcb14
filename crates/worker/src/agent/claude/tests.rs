use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::agent::Action;
use crate::agent::testing::{input, job};

/// A worker with a program at `bin/claude`, a link to a file of this content.
fn worker(content: &[u8], mode: u32) -> (TempDir, Claude) {
    let folder = tempfile::tempdir().expect("a folder");
    let (real, bin) = (folder.path().join("claude-1.0"), folder.path().join("bin"));
    fs::create_dir(&bin).expect("a folder");
    fs::write(&real, content).expect("a file");
    fs::set_permissions(&real, fs::Permissions::from_mode(mode)).expect("a mode");
    symlink(&real, bin.join("claude")).expect("a link");
    let claude = Claude { program: None, search_path: bin.into(), has_credential: true };
    (folder, claude)
}

const NATIVE: &[u8] = b"\x7fELF and so on";

fn launch(job: &Job) -> Result<Launch, Refusal> {
    let (_folder, claude) = worker(NATIVE, 0o755);
    claude.launch(job, &input("hello"))
}

fn arguments(config: Value) -> String {
    let launch = launch(&job(config)).expect("the config is fine");
    launch.argv.join(" ")
}

#[test]
fn the_program_is_found_through_links_and_mounted() {
    let (folder, claude) = worker(NATIVE, 0o755);
    let launch = claude.launch(&job(json!({})), &input("hello")).expect("all is there");
    let real = folder.path().canonicalize().expect("a path").join("claude-1.0");
    assert_eq!(launch.binds, [(real, "/opt/agent/claude".to_owned())]);
    assert!(launch.needs_model);
    assert_eq!(launch.cwd, "/workspace/agents/demo");
}

#[test]
fn what_is_missing_is_said_with_the_way_to_get_it() {
    let (folder, claude) = worker(NATIVE, 0o755);
    let refusal =
        |claude: Claude| claude.probe().err().map(|refusal| refusal.0).unwrap_or_default();
    let nowhere = refusal(Claude { search_path: "/nonexistent".into(), ..claude.clone() });
    assert!(nowhere.contains("not on the worker's PATH"), "{nowhere}");
    assert!(nowhere.contains("npm install --prefix /opt/claude @anthropic-ai/claude-code-linux-"));
    let wrong = folder.path().join("missing");
    let wrong = refusal(Claude { program: Some(wrong), ..claude.clone() });
    assert!(wrong.contains("HOSTLER_CLAUDE_BIN"), "{wrong}");
    let no_key = refusal(Claude { has_credential: false, ..claude });
    assert!(no_key.contains("ANTHROPIC_API_KEY"), "{no_key}");
    for (content, mode) in [(&b"#!/usr/bin/env node\n"[..], 0o755), (NATIVE, 0o644), (b"", 0o755)] {
        let (_folder, claude) = worker(content, mode);
        assert!(refusal(claude).contains("not a native executable"));
    }
}

#[test]
fn the_key_never_enters_the_sandbox() {
    let launch = launch(&job(json!({}))).expect("all is there");
    let value = |name: &str| {
        let found = launch.env.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    assert!(value("ANTHROPIC_API_KEY").contains("placeholder"));
    assert_eq!(value("ANTHROPIC_UNIX_SOCKET"), MODEL_SOCKET);
    assert_eq!(value("CLAUDE_CONFIG_DIR"), "/home/agent/state/claude");
    assert_eq!(value("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS"), "1");
}

#[test]
fn the_config_shapes_the_command_line() {
    let plain = arguments(json!({}));
    let session = identity::session_uuid("default", "session-1");
    assert!(plain.contains(&format!("--session-id {session}")), "{plain}");
    for absent in ["--model", "system-prompt", "--max", "--disallowedTools", "--dangerously"] {
        assert!(!plain.contains(absent), "{plain}");
    }
    let full = arguments(json!({
        "model": "opus", "system_prompt": "-p is {{workspace_dir}}", "workspace_dir": "/workspace",
        "budget": {"max_turns": 3, "max_usd": 0.25},
    }));
    for present in ["--model=opus", "--append-system-prompt=-p is /workspace"] {
        assert!(full.contains(present), "{full}");
    }
    assert!(!full.contains("--max"), "the server keeps the config's budget: {full}");
    let replaced = arguments(json!({"system_prompt": "x", "system_prompt_mode": "replace"}));
    assert!(replaced.contains(" --system-prompt=x"), "{replaced}");
}

#[test]
fn what_may_be_spent_is_what_the_assignment_says() {
    for (micro_usd, expected) in
        [(250_000, "--max-budget-usd=0.250000"), (12_000_001, "--max-budget-usd=12.000001")]
    {
        let job = Job { budget_micro_usd: micro_usd, ..job(json!({})) };
        let argv = launch(&job).expect("all is there").argv;
        assert!(argv.iter().any(|part| part == expected), "{argv:?}");
    }
}

#[test]
fn under_deny_the_tools_that_run_commands_are_not_offered() {
    let mut job = job(json!({}));
    job.security = "deny".to_owned();
    let launch = launch(&job).expect("all is there");
    assert!(launch.argv.iter().any(|part| part.starts_with("--disallowedTools=Bash,")));
}

#[test]
fn a_session_whose_transcript_is_kept_is_resumed() {
    let state = tempfile::tempdir().expect("a folder");
    let mut job = job(json!({}));
    job.state_dir = state.path().to_owned();
    let session = identity::session_uuid("default", "session-1");
    let project = state.path().join("claude/projects/-workspace");
    fs::create_dir_all(&project).expect("a project");
    let line = "{\"type\":\"user\"}\n";
    fs::write(project.join(format!("{session}.jsonl")), line).expect("a transcript");
    let argv = launch(&job).expect("all is there").argv.join(" ");
    assert!(argv.contains(&format!("--resume {session}")), "{argv}");
}

#[test]
fn a_line_that_is_too_long_ends_the_turn() {
    let mut dialogue = StreamJson::new(&job(json!({})), "anthropic");
    dialogue.turn(&input("hello"));
    let begun = dialogue.stdout(r#"{"type":"system","subtype":"init","model":"m"}"#);
    assert!(begun.iter().any(|action| matches!(action, Action::TurnStarted { .. })));
    let fits = format!(r#"{{"type":"note","text":"{}"}}"#, "x".repeat(15 << 20));
    assert!(matches!(dialogue.stdout(&fits)[..], [Action::Log(_)]));
    let piece = "x".repeat(dialogue.line_bytes_max());
    let ended = dialogue.stdout(&piece);
    let [Action::TurnEnded(result)] = &ended[..] else { panic!("{ended:?}") };
    assert!(result.is_error && result.last && result.text.contains("16 MiB"), "{result:?}");
    assert_eq!(dialogue.stdout(&piece), [], "a further piece of it");
}

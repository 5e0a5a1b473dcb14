use serde_json::json;

use super::*;
use crate::agent::testing::job;

fn refusal(config: Value) -> String {
    match variables(&job(config)) {
        Ok(_) => String::new(),
        Err(Refusal(text)) => text,
    }
}

#[test]
fn the_agent_gets_the_variables_of_the_original() {
    let mut job = job(json!({
        "runner": "claude_code", "provider": "claude", "model": "opus",
        "system_prompt": "You work in {{workspace_dir}}.", "system_prompt_mode": "replace",
        "workspace_dir": "/workspace/agents/demo", "skills": ["a", "b"], "max_concurrency": 2,
        "--odd key.x--": true, "none": null, "env": {"COLOUR": "red", "COUNT": 3},
    }));
    job.resume = true;
    let context = json!({
        "deliver": true, "label": "nightly", "spawned_by": "schedule",
        "attachments": [{"name": "a.txt"}], "input_provenance": {"kind": "hook"},
    });
    job.context = context.as_object().cloned().unwrap_or_default();
    let variables = variables(&job).expect("the config is fine");
    let expected = [
        ("COLOUR", "red"),
        ("COUNT", "3"),
        ("HOME", "/home/agent"),
        ("HOSTLER_AGENT_ATTACHMENTS_JSON", r#"[{"name":"a.txt"}]"#),
        ("HOSTLER_AGENT_CONFIG_ENV", r#"{"COLOUR":"red","COUNT":3}"#),
        ("HOSTLER_AGENT_CONFIG_MAX_CONCURRENCY", "2"),
        ("HOSTLER_AGENT_CONFIG_MODEL", "opus"),
        ("HOSTLER_AGENT_CONFIG_ODD_KEY_X", "true"),
        ("HOSTLER_AGENT_CONFIG_PROVIDER", "claude"),
        ("HOSTLER_AGENT_CONFIG_RUNNER", "claude_code"),
        ("HOSTLER_AGENT_CONFIG_SKILLS", r#"["a","b"]"#),
        ("HOSTLER_AGENT_CONFIG_SYSTEM_PROMPT", "You work in /workspace/agents/demo."),
        ("HOSTLER_AGENT_CONFIG_SYSTEM_PROMPT_MODE", "replace"),
        ("HOSTLER_AGENT_CONFIG_WORKSPACE_DIR", "/workspace/agents/demo"),
        ("HOSTLER_AGENT_DELIVER", "true"),
        ("HOSTLER_AGENT_INPUT_PROVENANCE_JSON", r#"{"kind":"hook"}"#),
        ("HOSTLER_AGENT_LABEL", "nightly"),
        ("HOSTLER_AGENT_MODEL", "opus"),
        ("HOSTLER_AGENT_PROVIDER", "claude"),
        ("HOSTLER_AGENT_RESUME_SESSION", "true"),
        ("HOSTLER_AGENT_SESSION_ID", "session-1"),
        ("HOSTLER_AGENT_SPAWNED_BY", "schedule"),
        ("HOSTLER_AGENT_SYSTEM_PROMPT", "You work in /workspace/agents/demo."),
        ("HOSTLER_AGENT_SYSTEM_PROMPT_MODE", "replace"),
        ("HOSTLER_AGENT_WORKSPACE_DIR", "/workspace/agents/demo"),
        ("HOSTLER_ORIGIN_TASK_ID", "task-1"),
        ("HOSTLER_RUN_ATTEMPT_ID", "attempt-1"),
        ("HOSTLER_RUN_ID", "run-1"),
        ("LANG", "C.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("SHELL", "/bin/bash"),
        ("TERM", "xterm-256color"),
        ("TMPDIR", "/tmp"),
        ("USER", "agent"),
    ];
    let found: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_is_blank_or_absent_is_not_set() {
    let variables = variables(&job(json!({"model": "  "}))).expect("the config is fine");
    let about_the_agent: Vec<&str> = variables
        .keys()
        .map(String::as_str)
        .filter(|name| name.starts_with("HOSTLER_AGENT_"))
        .collect();
    assert_eq!(
        about_the_agent,
        [
            "HOSTLER_AGENT_SESSION_ID",
            "HOSTLER_AGENT_SYSTEM_PROMPT_MODE",
            "HOSTLER_AGENT_WORKSPACE_DIR"
        ]
    );
}

#[test]
fn the_extra_prompt_stands_in_only_when_the_config_has_none() {
    let mut with = job(json!({"system_prompt": "own"}));
    with.extra_system_prompt = Some("extra".to_owned());
    assert_eq!(system_prompt(&with), Ok(Some("own".to_owned())));
    let mut without = job(json!({"system_prompt": " "}));
    without.extra_system_prompt = Some("extra {{workspace_dir}}".to_owned());
    assert_eq!(system_prompt(&without), Ok(Some("extra /workspace/agents/demo".to_owned())));
}

#[test]
fn the_configs_env_may_set_path_but_not_what_is_hostlers() {
    let set = variables(&job(json!({"env": {"PATH": "/workspace/tools:/usr/bin"}})));
    assert_eq!(set.expect("allowed")["PATH"], "/workspace/tools:/usr/bin");
    let set = variables(&job(json!({"env": {"ANTHROPIC_DEFAULT_HAIKU_MODEL": "m"}})));
    assert!(set.is_ok());
    for name in
        ["HOME", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "HOSTLER_RUN_ID", "A=B", "1A", ""]
    {
        let mut env = Map::new();
        env.insert(name.to_owned(), json!("x"));
        let text = refusal(json!({ "env": env }));
        assert!(text.contains(&format!("`{name}` cannot be set")), "{name}: {text}");
    }
    assert!(refusal(json!({"env": ["A=b"]})).contains("must be an object"));
}

#[test]
fn a_value_too_long_for_linux_is_left_out_and_named() {
    let mut job = job(json!({"notes": "x".repeat(VALUE_BYTES_MAX + 1)}));
    job.context.insert("attachments".to_owned(), json!(["y".repeat(VALUE_BYTES_MAX)]));
    let variables = variables(&job).expect("long values are not refused");
    assert_eq!(
        variables["HOSTLER_AGENT_ENV_OMITTED"],
        "HOSTLER_AGENT_CONFIG_NOTES,HOSTLER_AGENT_ATTACHMENTS_JSON"
    );
    assert!(!variables.contains_key("HOSTLER_AGENT_ATTACHMENTS_JSON"));
    assert!(refusal(json!({"system_prompt": "x".repeat(VALUE_BYTES_MAX + 1)})).contains("bytes"));
    assert!(refusal(json!({"env": {"A": "x".repeat(VALUE_BYTES_MAX + 1)}})).contains("too long"));
}

#[test]
fn the_working_folder_stays_below_the_workspace() {
    let path = |config| workspace_dir(&job(config));
    assert_eq!(path(json!({})), Ok("/workspace/agents/demo".to_owned()));
    assert_eq!(path(json!({"workspace_dir": "/workspace/"})), Ok("/workspace".to_owned()));
    assert_eq!(path(json!({"workspace_dir": "a//b/./c"})), Ok("/workspace/a/b/c".to_owned()));
    for outside in ["/etc", "/workspace/../etc", "/workspaces/a", "/"] {
        assert!(path(json!({"workspace_dir": outside})).is_err(), "{outside}");
    }
}

#[test]
fn an_unknown_prompt_mode_is_refused_with_the_list() {
    assert!(refusal(json!({"system_prompt_mode": "prepend"})).contains("append, replace"));
}

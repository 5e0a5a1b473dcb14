//! `hostler agents`, and which one a run takes.

use hostler_wire::json::{Agent, AgentList, Object};

use super::host::Host;

#[test]
fn an_agent_is_made_changed_listed_and_deleted() {
    let host = Host::new();
    let _dev = host.dev();
    let words = ["agents", "create", "helper", "--runner", "scripted", "--config-json"];
    let made: Agent = host.ask(&[&words[..], &[r#"{"runner": "command", "x-team": 1}"#]].concat());
    assert_eq!((made.agent_key.as_str(), made.name.as_str()), ("helper", "helper"));
    assert_eq!(made.config_json["runner"], "scripted", "a flag goes before the JSON");
    assert_eq!(made.config_json["x-team"], 1);
    let words = ["agents", "update", "helper", "--name", "Helper", "--inactive", "--model", "m"];
    let changed: Agent = host.ask(&words);
    assert_eq!((changed.name.as_str(), changed.active), ("Helper", false));
    assert_eq!(changed.config_json["model"], "m");
    host.run(["run", "--agent", "helper", "say: x"]).ends_with(4);
    let defaults: Object = host.ask(&["agents", "defaults", "helper"]);
    assert_eq!(defaults["workspace_dir"], "/workspace/agents/helper");
    let outcome = host.run(["agents", "list"]).ends_with(0);
    assert!(outcome.out.starts_with("AGENT"), "{}", outcome.out);
    assert!(outcome.out.contains("helper"), "{}", outcome.out);
    host.run(["agents", "delete", "helper"]).ends_with(0);
    let list: AgentList = host.ask(&["agents", "list"]);
    assert!(list.agents.is_empty());
    let outcome = host.run(["agents", "get", "helper"]).ends_with(3);
    assert!(outcome.err.contains("(agent_not_found)"), "{}", outcome.err);
}

#[test]
fn a_run_takes_a_configured_agent_and_says_so() {
    let Some(host) = Host::with_sandbox() else { return };
    let _dev = host.dev();
    let create = ["agents", "create", "--runner", "command", "--command", "sh"];
    let create = [&create[..], &["--command", "-c", "--command", "echo I am {{message}}"]].concat();
    let none: AgentList = host.ask(&["agents", "list"]);
    assert!(none.agents.is_empty());
    let _: Agent = host.ask(&[&create[..], &["apple"]].concat());
    let outcome = host.run(["run", "first"]).ends_with(0);
    assert!(outcome.out.ends_with("I am first\n"), "{}", outcome.out);
    assert!(outcome.err.contains("agent apple (the only configured agent"), "{}", outcome.err);
    let _: Agent = host.ask(&[&create[..], &["default"]].concat());
    let outcome = host.run(["run", "second"]).ends_with(0);
    assert!(outcome.err.contains("agent default (the agent `default`)"), "{}", outcome.err);
    let outcome = host.run(["run", "--agent", "nobody", "x"]).ends_with(3);
    assert!(outcome.err.contains("(agent_not_found)"), "{}", outcome.err);
}

#[test]
fn claude_code_is_taken_where_it_is_installed_with_a_key() {
    let Some(mut host) = Host::with_sandbox() else { return };
    // A native program is all that can be told of it without running it.
    host.set("HOSTLER_CLAUDE_BIN", "/bin/true");
    host.set("ANTHROPIC_API_KEY", "no-key");
    let outcome = host.run(["run", "hello"]).ends_with(1);
    assert!(outcome.err.contains("agent claude (a worker has it)"), "{}", outcome.err);
    assert!(!outcome.err.contains("no-key"));
    host.set("ANTHROPIC_API_KEY", "");
    let outcome = host.run(["run", "say: hello"]).ends_with(0);
    let why = "agent scripted (no model is used: Claude Code is installed, but the worker has no";
    assert!(outcome.err.contains(why), "{}", outcome.err);
}

//! What commands answer when all is not well, and the small ones.

use hostler_wire::json::{Accepted, Agent, Instance, InstanceList, Problem, WorkerList};
use serde_json::Value;

use super::host::{Host, until};

#[track_caller]
fn problem(host: &Host, words: &[&str], code: i32) -> Problem {
    let outcome = host.run(words.iter().copied().chain(["--json"])).ends_with(code);
    assert_eq!(outcome.out, "");
    serde_json::from_str(&outcome.err).unwrap_or_else(|error| panic!("{error}: {}", outcome.err))
}

#[test]
fn a_wrong_token_is_refused() {
    let mut host = Host::new();
    let dev = host.dev();
    let out = until("its lines", || Some(dev.out()).filter(|out| out.ends_with('\n')));
    let url = out.split_whitespace().find_map(|word| word.strip_prefix("HOSTLER_URL="));
    host.set("HOSTLER_URL", url.unwrap());
    // A named server that is this machine's own: its token is known here.
    host.run(["tasks", "list"]).ends_with(0);
    host.set("HOSTLER_TOKEN", "wrong");
    let outcome = host.run(["tasks", "list"]).ends_with(5);
    assert!(outcome.err.contains("(unauthenticated)"), "{}", outcome.err);
    assert_eq!(problem(&host, &["run", "say: x"], 5).code, "unauthenticated");
}

#[test]
fn what_dev_prints_is_all_that_another_shell_needs() {
    let mut host = Host::new();
    let dev = host.dev();
    let out = until("its lines", || Some(dev.out()).filter(|out| out.ends_with('\n')));
    let words: Vec<(&str, &str)> =
        out.split_whitespace().skip(1).filter_map(|word| word.split_once('=')).collect();
    assert_eq!(words.len(), 2, "{out}");
    for (name, value) in words {
        host.set(name, value);
    }
    host.set("HOME", "/nonexistent");
    host.run(["agents", "list"]).ends_with(0);
    assert!(!dev.err().contains("HOSTLER_TOKEN"));
}

#[test]
fn a_server_that_is_not_there_is_said_so() {
    let mut host = Host::new();
    let outcome = host.run(["tasks", "list"]).ends_with(6);
    assert!(outcome.err.contains("start one with `hostler dev`"), "{}", outcome.err);
    host.set("HOSTLER_URL", "http://127.0.0.1:9");
    let outcome = host.run(["tasks", "list"]).ends_with(6);
    assert!(outcome.err.contains("cannot reach http://127.0.0.1:9"), "{}", outcome.err);
    let told = problem(&host, &["tasks", "list"], 6);
    assert!(told.retryable && told.code == "unavailable");
    host.set("HOSTLER_URL", "not an address");
    assert_eq!(problem(&host, &["tasks", "list"], 2).code, "usage");
}

#[test]
fn faults_of_the_command_line_end_with_2() {
    let host = Host::new();
    host.run(["frobnicate"]).ends_with(2);
    host.run(["run", "--policy-json", "{", "x"]).ends_with(2);
    host.run(["run", "--policy-json", r#"{"securty": "full"}"#, "x"]).ends_with(2);
    host.run(["run", "--dir", "/nonexistent", "x"]).ends_with(2);
    let outcome = host.run(["dev", "--listen", "0.0.0.0:0"]).ends_with(2);
    assert!(outcome.err.contains("loopback only"), "{}", outcome.err);
    let outcome = host.run(["server", "--listen", "127.0.0.1:0"]).ends_with(2);
    assert!(outcome.err.contains("HOSTLER_TOKEN"), "{}", outcome.err);
    host.run(["worker"]).ends_with(2);
    let _dev = host.dev();
    let outcome = host.run(["run", "--policy-json", r#"{"security": "none"}"#, "x"]).ends_with(2);
    assert!(outcome.err.contains("deny, allowlist, full"), "{}", outcome.err);
    host.run(["tasks", "get", "not-an-id"]).ends_with(2);
    host.run(["tasks", "get", "abcdef"]).ends_with(3);
    host.run(["tasks", "get", "00000000-0000-7000-8000-000000000000"]).ends_with(3);
}

#[test]
fn a_data_directory_belongs_to_one_server() {
    let host = Host::new();
    let _dev = host.dev();
    let outcome = host.run(["dev", "--listen", "127.0.0.1:0"]).ends_with(6);
    assert!(outcome.err.contains("the store cannot be opened"), "{}", outcome.err);
    host.run(["agents", "list"]).ends_with(0);
}

#[test]
fn the_worker_of_dev_is_there_and_instances_are_listed() {
    let host = Host::new();
    let _dev = host.dev();
    let worker = until("the worker has connected", || {
        let list: WorkerList = host.ask(&["workers", "list"]);
        list.workers.into_iter().next()
    });
    assert!(worker.runners.contains(&"scripted".to_owned()), "{:?}", worker.runners);
    let list: InstanceList = host.ask(&["instances", "list"]);
    assert!(list.instances.is_empty());
    assert!(host.run(["instances", "list"]).ends_with(0).err.contains("no instances"));
    let _: Agent = host.ask(&["agents", "create", "gardener", "--runner", "scripted"]);
    let run = ["run", "--agent", "gardener", "--no-dir", "--detach", "say: hello"];
    let _: Accepted = host.ask(&run);
    let shown = host.run(["instances", "list"]).ends_with(0).out;
    let row = shown.lines().find(|line| line.contains("gardener")).expect("its class is listed");
    let key = row.split_whitespace().next().expect("the key comes first");
    let instance: Instance = host.ask(&["instances", "get", key]);
    assert_eq!(instance.instance_key, key);
}

#[test]
fn doctor_tells_what_is_there_and_no_secret() {
    let mut host = Host::new();
    host.set("ANTHROPIC_API_KEY", "sk-very-secret");
    host.set("HOSTLER_TOKEN", "my-own-long-secret-token");
    let outcome = host.run(["doctor", "--json"]);
    let report: Value = outcome.json();
    let checks = report["checks"].as_array().unwrap();
    assert_eq!(outcome.code == Some(0), report["ok"] == true, "{report}");
    for group in ["sandbox", "limits", "agent", "data", "server"] {
        assert!(checks.iter().any(|check| check["group"] == group), "{group}: {report}");
    }
    let text = host.run(["doctor"]);
    assert!(text.out.contains("scripted"), "{}", text.out);
    for secret in ["very-secret", "my-own-long"] {
        assert!(!text.out.contains(secret) && !outcome.out.contains(secret));
    }
}

#[test]
fn small_commands_answer_without_a_server() {
    let host = Host::new();
    let version = host.run(["version"]).ends_with(0);
    assert_eq!(version.out, format!("hostler {}\n", env!("CARGO_PKG_VERSION")));
    let script = host.run(["completions", "bash"]).ends_with(0);
    assert!(script.out.contains("_hostler"), "{}", script.out);
    assert!(!host.data_dir().exists(), "nothing is made that was not needed");
}

//! What callers of airstore's orchestration package rely on, over HTTP (docs/ORIGINAL.md).

use hostler_core::id::WorkspaceId;
use hostler_core::policy::class_key::class_key;
use hostler_core::policy::{Policy, Security};
use hostler_wire::v1;
use hostler_wire::v1::ended::Cause;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{
    TestServer, TestWorker, ended, input_of, read, started, turn_ended, turn_started,
};

async fn accept(server: &TestServer, body: Value) -> Value {
    let (status, answer) = server.post("/tasks", body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    answer["task"].clone()
}

fn id(of: &Value) -> String {
    of["id"].as_str().expect("it has an id").to_owned()
}

/// Carries out the next task of a worker from its start to its end.
async fn carry_out(worker: &mut TestWorker, lines: &[&str]) -> v1::Assignment {
    let assignment = worker.assignment().await;
    let input = input_of(&assignment);
    worker.report(&assignment, vec![started(), turn_started(&input)]).await;
    worker.log(&assignment, 0, lines).await;
    worker.report(&assignment, vec![turn_ended(&input, "done")]).await;
    worker.report(&assignment, vec![ended(Cause::Closed)]).await;
    assignment
}

#[tokio::test]
async fn every_field_of_a_command_is_kept_and_reaches_the_worker() {
    let server = TestServer::start().await;
    let agent = server.agent("coder").await;
    let routing = json!({
        "to": "t", "reply_to": "r", "channel": "c", "reply_channel": "rc", "account_id": "a",
        "reply_account_id": "ra", "thread_id": "th", "group_id": "g", "group_channel": "gc",
        "group_space": "gs",
    });
    let provenance = json!({
        "source": "mail", "message_id": "m", "channel": "c", "tool_call_id": "tc",
        "correlation_id": "co",
    });
    let policy = json!({
        "host": "sandbox", "security": "full", "ask": "on-miss", "runtime_type": "runc",
        "workspace_access": "ro", "network_enabled": false, "interactive": true,
        "resources": { "cpu": 1_500.7, "memory": 4_096, "gpu": 0 },
        "retry": { "max_attempts": 3, "delay_ms": 20 },
    });
    let body = json!({
        "message": " do it ", "agent_id": "coder", "hook_id": 7, "session_id": "s",
        "session_key": "our own name", "deliver": true, "timeout_ms": 5_000, "policy": policy,
        "lane": "night", "extra_system_prompt": "be brief", "input_provenance": provenance,
        "routing": routing, "attachments": [{ "name": "a.txt" }], "idempotency_key": "k",
        "label": "nightly", "spawned_by": "me",
    });
    let task = accept(&server, body).await;
    assert_eq!((&task["session_id"], &task["idempotency_key"]), (&json!("s"), &json!("k")));
    assert_eq!(task["routing_json"], routing);
    let expected = json!({
        "message": "do it", "session_id": "s", "session_key": "[REDACTED]",
        "agent_id": agent["id"], "hook_id": 7, "timeout_ms": 5_000, "policy": policy,
        "lane": "night", "extra_system_prompt": "be brief", "input_provenance": provenance,
        "deliver": true, "attachments": [{ "name": "a.txt" }],
        "instance_key": task["instance_key"], "label": "nightly", "spawned_by": "me",
    });
    assert_eq!(task["payload_json"], expected);

    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let given = worker.assignment().await;
    assert_eq!((given.session_id.as_str(), given.timeout_ms), ("s", 5_000));
    assert_eq!(given.extra_system_prompt.as_deref(), Some("be brief"));
    let context: Value = serde_json::from_str(&given.context_json).expect("an object");
    let expected = json!({
        "label": "nightly", "spawned_by": "me", "deliver": true, "input_provenance": provenance,
    });
    assert_eq!(context, expected);
    let input = given.input.clone().expect("an input");
    assert_eq!(input.attachments_json, r#"[{"name":"a.txt"}]"#);
    let asked = given.policy.clone().expect("a policy");
    assert_eq!((asked.security.as_str(), asked.ask.as_str()), ("full", "on-miss"));
    assert_eq!((asked.workspace_access.as_str(), asked.network_enabled), ("ro", false));
    assert!(asked.interactive);
    assert_eq!((asked.cpu_millis, asked.memory_bytes, asked.gpus), (1_500, 4_096, 0));

    let (_, run) = server.get(&format!("/runs/{}", given.run_id)).await;
    assert_eq!(run["retry"], policy["retry"]);
    assert_eq!(run["resources"], policy["resources"]);
    assert_eq!((&run["hook_id"], &run["timeout_ms"]), (&json!(7), &json!(5_000)));
}

#[tokio::test]
async fn the_class_of_a_task_is_the_class_of_its_run_and_its_key_is_the_originals() {
    let server = TestServer::start().await;
    let agent = server.agent("coder").await;
    let policy = json!({ "security": "full", "resources": { "cpu": 2_000 } });
    let body = json!({ "agent_id": "coder", "message": "m", "lane": "night", "policy": policy });
    let task = accept(&server, body).await;
    // As a command with a number that is written otherwise would have it.
    let policy = Policy {
        security: Security::Full,
        resources: [("cpu".to_owned(), Value::from(2_000.0))].into_iter().collect(),
        ..Policy::default()
    };
    let workspace = WorkspaceId(task["workspace_id"].as_u64().expect("a number"));
    let key = class_key(workspace, agent["id"].as_str(), Some("night"), &policy);
    assert_eq!(task["instance_key"], key);
    let (_, instance) = server.get(&format!("/instances/{key}")).await;
    assert_eq!((&instance["instance_key"], &instance["lane"]), (&json!(key), &json!("night")));
    assert_eq!(instance["agent_id"], agent["id"]);
    assert_eq!(instance["workspace_id"], task["workspace_id"]);
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let given = worker.assignment().await;
    let (_, run) = server.get(&format!("/runs/{}", given.run_id)).await;
    assert_eq!(run["instance_key"], key);
    // A partial policy closes nothing that it does not name.
    assert_eq!((&run["network_enabled"], &run["interactive"]), (&json!(true), &json!(false)));
    assert_eq!(run["policy_sources"]["network_enabled"], "default");
}

#[tokio::test]
async fn an_instance_is_read_by_its_key_with_its_counts() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let (_, none) = server.get("/instances").await;
    assert_eq!(none["instances"], json!([]));
    let task = accept(&server, json!({ "agent_id": "coder", "message": "m" })).await;
    let path = format!("/instances/{}", task["instance_key"].as_str().expect("a key"));
    let counts = async || {
        let (status, instance) = server.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{instance}");
        let count = |name: &str| instance[name].as_u64().expect("a count");
        let names = ["queued_tasks", "pending_attempts", "running_attempts", "stopping_attempts"];
        (names.map(count), count("desired_dispatch_target"))
    };
    assert_eq!(counts().await, ([1, 0, 0, 0], 4));
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let given = worker.assignment().await;
    assert_eq!(counts().await, ([0, 1, 0, 0], 3));
    worker.report(&given, vec![started(), turn_started(&input_of(&given))]).await;
    assert_eq!(counts().await, ([0, 0, 1, 0], 3));
    server.post(&format!("/tasks/{}/cancel", id(&task)), json!({})).await;
    assert_eq!(counts().await, ([0, 0, 0, 1], 3));
    worker.report(&given, vec![ended(Cause::Cancelled)]).await;
    assert_eq!(counts().await, ([0, 0, 0, 0], 4));
    let (_, instance) = server.get(&path).await;
    assert_eq!((&instance["status"], &instance["concurrency"]), (&json!("healthy"), &json!(4)));
    assert_eq!(instance["failed_attempt_threshold"], 5);
    let (status, problem) = server.get("/instances/execclass_none").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
}

#[tokio::test]
async fn a_policy_that_asks_is_carried_and_holds_up_nobody() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    for ask in ["on-miss", "always"] {
        let policy = json!({ "ask": ask });
        let body = json!({ "agent_id": "coder", "message": "m", "session_id": ask,
            "policy": policy });
        accept(&server, body).await;
    }
    let mut worker = TestWorker::connect(&server, "w1", 2).await;
    for _ in 0..2 {
        let given = carry_out(&mut worker, &["x"]).await;
        let task = server.task_in_state(&given.task_id, "done").await;
        let (_, run) = server.get(&format!("/runs/{}", given.run_id)).await;
        assert_eq!(run["exec_ask"], task["session_id"]);
        let (_, attempts) = server.get(&format!("/runs/{}/attempts", given.run_id)).await;
        assert_eq!(attempts["attempts"][0]["status"], "ok");
    }
}

#[tokio::test]
async fn a_command_that_becomes_an_input_keeps_what_came_with_it() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let body = json!({ "agent_id": "coder", "message": "one", "session_id": "s" });
    accept(&server, body).await;
    let body = json!({
        "agent_id": "coder", "message": "two", "session_id": "s",
        "attachments": [{ "name": "b.txt" }], "routing": { "to": "elsewhere" },
        "input_provenance": { "source": "mail" }, "label": "second",
    });
    let (_, answer) = server.post("/tasks", body).await;
    let path = format!("/inputs/{}", id(&answer["input"]));
    let (_, input) = server.get(&path).await;
    assert_eq!(input["attachments"], json!([{ "name": "b.txt" }]));
    assert_eq!(input["details"]["routing"], json!({ "to": "elsewhere" }));
    assert_eq!(input["details"]["input_provenance"], json!({ "source": "mail" }));
    assert_eq!(input["details"]["label"], "second");
}

#[tokio::test]
async fn inputs_that_wait_are_part_of_the_interaction() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let task = accept(&server, json!({ "agent_id": "coder", "message": "one" })).await;
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let given = worker.assignment().await;
    worker.report(&given, vec![started(), turn_started(&input_of(&given))]).await;
    let path = format!("/runs/{}/interaction", given.run_id);
    let (_, before) = server.get(&path).await;
    assert_eq!((&before["state"], &before["pending_count"]), (&json!("working"), &json!(0)));
    assert_eq!(before["active_execution_id"], given.attempt_id);
    for message in ["two", "three"] {
        let (_, sent) = server
            .post(&format!("/tasks/{}/inputs", id(&task)), json!({ "message": message }))
            .await;
        assert_eq!(sent["outcome"], "queued");
    }
    let (_, after) = server.get(&path).await;
    let waiting = after["pending_inputs"].as_array().expect("a list");
    let messages: Vec<_> = waiting.iter().map(|input| &input["message"]).collect();
    assert_eq!(messages, ["two", "three"]);
    assert_eq!(after["pending_count"], 2);
    assert!(waiting[0]["created_at"].as_i64() <= waiting[1]["created_at"].as_i64());
}

#[tokio::test]
async fn runs_are_listed_by_filters_and_pages() {
    let server = TestServer::start().await;
    server.agent("one").await;
    server.agent("two").await;
    let mut worker = TestWorker::connect(&server, "w1", 3).await;
    let mut runs = Vec::new();
    for (agent, session) in [("one", "s1"), ("one", "s2"), ("two", "s3")] {
        let body = json!({ "agent_id": agent, "message": "m", "session_id": session });
        let task = accept(&server, body).await;
        let given = carry_out(&mut worker, &["x"]).await;
        server.task_in_state(&id(&task), "done").await;
        runs.push((given.run_id, given.task_id));
    }
    runs.reverse();
    let ids = async |query: &str| {
        let (_, page) = server.get(&format!("/runs{query}")).await;
        let runs = page["runs"].as_array().unwrap_or_else(|| panic!("{page}"));
        let ids: Vec<String> = runs.iter().map(id).collect();
        (ids, page["next_cursor"].clone())
    };
    let all: Vec<String> = runs.iter().map(|(run, _)| run.clone()).collect();
    assert_eq!(ids("").await, (all.clone(), Value::Null));
    let (first, cursor) = ids("?limit=2").await;
    assert_eq!(first, all[..2]);
    let cursor = cursor.as_str().expect("there is more");
    assert_eq!(
        ids(&format!("?limit=2&cursor={cursor}")).await,
        (vec![all[2].clone()], Value::Null)
    );
    assert_eq!(ids("?agent_id=two").await.0, all[..1]);
    assert_eq!(ids("?session_id=s1").await.0, all[2..]);
    assert_eq!(ids(&format!("?task_id={}", runs[1].1)).await.0, all[1..2]);
    assert_eq!(ids("?status=ok").await.0.len(), 3);
    assert_eq!(ids("?status=running,error").await.0.len(), 0);
    assert_eq!(ids("?created_after=2999-01-01T00:00:00Z").await.0.len(), 0);
    assert_eq!(ids("?created_before=2999-01-01T00:00:00Z").await.0.len(), 3);
}

#[tokio::test]
async fn log_lines_are_read_from_a_cursor_over_all_runs_of_a_task() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let task = id(&accept(&server, json!({ "agent_id": "coder", "message": "one" })).await);
    let mut worker = TestWorker::connect(&server, "w1", 3).await;
    let first = carry_out(&mut worker, &["a", "b"]).await;
    server.task_in_state(&task, "done").await;
    let lines = async |cursor: i64| {
        let (_, page) = server.get(&format!("/tasks/{task}/logs?cursor={cursor}")).await;
        let lines = page["logs"].as_array().unwrap_or_else(|| panic!("{page}"));
        let lines: Vec<String> = lines
            .iter()
            .filter(|line| line["stream"] == "stdout")
            .map(|line| line["data"].as_str().expect("a text").to_owned())
            .collect();
        (lines, page["next_cursor"].as_i64().expect("a cursor"))
    };
    let (seen, cursor) = lines(0).await;
    assert_eq!(seen, ["a", "b"]);
    assert_eq!(lines(cursor).await, (Vec::new(), cursor));
    server.post(&format!("/tasks/{task}/inputs"), json!({ "message": "two" })).await;
    let second = carry_out(&mut worker, &["c"]).await;
    server.task_in_state(&task, "done").await;
    assert_ne!(first.run_id, second.run_id);
    assert_eq!(lines(cursor).await.0, ["c"]);
    assert_eq!(lines(0).await.0, ["a", "b", "c"]);
    let (_, page) = server.get(&format!("/tasks/{task}/logs")).await;
    let entry = page["logs"].as_array().expect("a list").iter().find(|line| line["data"] == "c");
    let entry = entry.expect("the last line");
    assert_eq!(entry["task_id"], second.attempt_id);
    assert_eq!(entry["event_id"], format!("{}:{}", second.attempt_id, entry["seq_num"]));
}

#[tokio::test]
async fn the_batch_of_a_task_has_the_originals_fields_and_cursors() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let task = id(&accept(&server, json!({ "agent_id": "coder", "message": "one" })).await);
    let path = format!("/tasks/{task}/stream");
    let (_, queued) = server.get(&path).await;
    assert_eq!((&queued["task_id"], queued.get("run_id")), (&json!(task), None));
    assert_eq!(queued["pending_inputs"][0]["message"], "one");
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let given = worker.assignment().await;
    worker.report(&given, vec![started(), turn_started(&input_of(&given))]).await;
    worker.log(&given, 0, &["a", "b"]).await;
    let (_, batch) = server.get(&path).await;
    assert_eq!(batch["run_id"], given.run_id);
    assert_eq!(batch["run"]["id"], given.run_id);
    assert_eq!(batch["task"]["state"], "running");
    assert_eq!(batch["interaction"]["state"], "working");
    assert_eq!(batch["pending_inputs"], json!([]));
    let printed = |batch: &Value| -> Vec<Value> {
        let lines = batch["logs"].as_array().expect("a list").iter();
        lines.filter(|line| line["stream"] == "stdout").map(|line| line["data"].clone()).collect()
    };
    assert_eq!(printed(&batch), ["a", "b"]);
    let types = |batch: &Value| -> Vec<String> {
        let events = batch["run_events"].as_array().expect("a list").iter();
        events.map(|event| event["event_type"].as_str().expect("a text").to_owned()).collect()
    };
    assert!(types(&batch).ends_with(&["started".to_owned(), "turn_started".to_owned()]));

    // Each cursor goes on by itself.
    let (log, event) = (&batch["next_log_cursor"], &batch["next_run_event_cursor"]);
    let run = &given.run_id;
    let (_, nothing) =
        server.get(&format!("{path}?log_cursor={log}&run_event_cursor={event}")).await;
    assert_eq!((&nothing["logs"], &nothing["run_events"]), (&json!([]), &json!([])));
    assert_eq!((&nothing["next_log_cursor"], &nothing["next_run_event_cursor"]), (log, event));
    let (_, lines) = server.get(&format!("{path}?log_cursor=0&run_event_cursor={event}")).await;
    assert_eq!((&lines["logs"], &lines["run_events"]), (&batch["logs"], &json!([])));
    let cursors = format!("log_cursor={log}&run_event_cursor={event}");
    let (_, same) = server.get(&format!("{path}?{cursors}&cursor_run_id={run}")).await;
    assert_eq!(same["logs"], json!([]));
    // The cursors of another run count for nothing.
    let (_, anew) = server.get(&format!("{path}?{cursors}&cursor_run_id={task}")).await;
    assert_eq!(anew["logs"], batch["logs"]);
    assert_eq!(types(&anew), types(&batch));
}

#[tokio::test]
async fn secrets_are_hidden_in_every_answer_and_counts_are_not() {
    const SECRET: &str = "hunter2hunter2";
    let server = TestServer::start().await;
    let said = format!("use API_KEY={SECRET} please");
    let config = json!({ "runner": "scripted", "env": { "GITHUB_TOKEN": SECRET } });
    let body = json!({ "agent_key": "coder", "name": "c", "config": config });
    let (_, made) = server.post("/agents", body).await;
    assert_eq!(made["config_json"]["env"]["GITHUB_TOKEN"], "[REDACTED]");
    let body = json!({ "agent_id": "coder", "message": said, "label": said });
    let (_, answer) = server.post("/tasks", body).await;
    let task = id(&answer["task"]);
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let given = worker.assignment().await;
    assert!(given.config_json.contains(SECRET), "the agent gets what its config says");
    let input = input_of(&given);
    worker.report(&given, vec![started(), turn_started(&input)]).await;
    worker.log(&given, 0, &[&said]).await;
    worker.report(&given, vec![turn_ended(&input, &said), ended(Cause::Closed)]).await;
    server.task_in_state(&task, "done").await;
    let run = &given.run_id;
    let paths = [
        "/agents".to_owned(),
        "/tasks".to_owned(),
        format!("/tasks/{task}/inputs"),
        format!("/tasks/{task}/logs"),
        format!("/tasks/{task}/events"),
        format!("/tasks/{task}/stream"),
        format!("/runs/{run}"),
        format!("/runs/{run}/snapshots"),
        format!("/runs/{run}/events"),
    ];
    assert!(!answer.to_string().contains(SECRET), "{answer}");
    for path in paths {
        let (status, shown) = server.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(!shown.to_string().contains(SECRET), "{path}: {shown}");
    }
    let (_, run) = server.get(&format!("/runs/{run}")).await;
    assert_eq!(run["result"], "use API_KEY=[REDACTED] please");
    assert_eq!(run["usage_json"]["input_tokens"], 100);
}

#[tokio::test]
async fn an_agent_is_renamed_and_a_blank_name_is_refused() {
    let server = TestServer::start().await;
    let agent = server.agent("coder").await;
    let change = async |body: Value| {
        let request = server.request(Method::PATCH, "/agents/coder").json(&body);
        read(request.send().await.expect("an answer")).await
    };
    let (status, problem) = change(json!({ "name": "  " })).await;
    assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("name")));
    let (status, changed) = change(json!({ "name": " Coder ", "active": false })).await;
    assert_eq!((status, &changed["name"]), (StatusCode::OK, &json!("Coder")));
    assert_eq!((&changed["active"], &changed["id"]), (&json!(false), &agent["id"]));
    assert_eq!(changed["config_json"], agent["config_json"]);
    let (status, problem) = server.get("/agents/nobody").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("agent_not_found")));
}

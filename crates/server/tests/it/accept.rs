//! Accepting commands (ACC-1 to ACC-8).

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::support::{TestServer, read};

#[tokio::test]
async fn a_command_becomes_a_queued_task_with_the_fixed_fields() {
    let server = TestServer::start().await;
    let agent = server.agent("coder").await;
    let body = json!({ "agent_id": "coder", "message": "  do it  ", "label": " " });
    let (status, answer) = server.post("/tasks", body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(answer["accepted"], true);
    assert_eq!(answer["idempotent_hit"], false);
    assert!(answer["run_id"].is_null());
    let task = &answer["task"];
    assert_eq!(task["state"], "queued");
    assert_eq!(task["queue_mode"], "queue");
    assert_eq!(task["priority"], "normal");
    assert_eq!(task["agent_id"], agent["id"]);
    assert_eq!(task["payload_json"]["message"], "do it");
    assert_eq!(task["payload_json"]["timeout_ms"], 600_000);
    assert!(task["payload_json"].get("label").is_none(), "blank text is absent");
    assert!(task["session_id"].as_str().is_some_and(|id| id.len() == 36));
    assert!(task["instance_key"].as_str().is_some_and(|key| key.starts_with("execclass_")));
    assert_eq!(task["waiting_on"]["code"], "no_worker");
    let (status, again) = server.get(&format!("/tasks/{}", task["id"].as_str().unwrap())).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(&again, task);
}

#[tokio::test]
async fn the_same_key_and_body_hit_and_another_body_conflicts() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let body = json!({ "agent_id": "coder", "message": "once", "idempotency_key": "k1" });
    let (first_status, first) = server.post("/tasks", body.clone()).await;
    let (status, again) = server.post("/tasks", body).await;
    assert_eq!((first_status, status), (StatusCode::ACCEPTED, StatusCode::OK));
    assert_eq!(again["idempotent_hit"], true);
    assert_eq!(again["task"]["id"], first["task"]["id"]);
    let other = json!({ "agent_id": "coder", "message": "twice", "idempotency_key": "k1" });
    let (status, problem) = server.post("/tasks", other).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["code"], "idempotency_conflict");
    assert_eq!(server.task_count().await, 1);
}

#[tokio::test]
async fn the_key_may_come_as_a_header_but_not_as_two() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let send = |key: Option<&'static str>| {
        let mut body = json!({ "agent_id": "coder", "message": "x" });
        if let Some(key) = key {
            body["idempotency_key"] = key.into();
        }
        server.request(Method::POST, "/tasks").header("Idempotency-Key", "h1").json(&body).send()
    };
    let (first, _) = read(send(None).await.unwrap()).await;
    let (second, _) = read(send(Some("h1")).await.unwrap()).await;
    assert_eq!((first, second), (StatusCode::ACCEPTED, StatusCode::OK));
    let (third, problem) = read(send(Some("h2")).await.unwrap()).await;
    assert_eq!((third, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("idempotency_key")));
}

#[tokio::test]
async fn a_command_for_a_known_session_becomes_its_tasks_input() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let send = |body| server.post("/tasks", body);
    let (_, first) =
        send(json!({ "agent_id": "coder", "message": "one", "session_id": "s" })).await;
    let (status, second) =
        send(json!({ "agent_id": "coder", "message": "two", "session_id": "s" })).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(second["task"]["id"], first["task"]["id"]);
    assert_eq!(second["outcome"], "queued");
    assert_eq!(second["input"]["message"], "two");
    assert_eq!(second["task"]["payload_json"]["message"], "one");
    assert_eq!(second["task"]["pending_inputs"], 2);
    let id = first["task"]["id"].as_str().unwrap();
    let (_, batch) = server.get(&format!("/tasks/{id}/stream")).await;
    assert_eq!(batch["pending_inputs"][0]["message"], "one");
    assert_eq!(batch["pending_inputs"][1]["message"], "two");
    // Another policy or lane is refused, never dropped.
    let policy = json!({ "agent_id": "coder", "message": "three", "session_id": "s",
        "policy": { "security": "full" } });
    let (status, problem) = send(policy).await;
    assert_eq!((status, &problem["field"]), (StatusCode::CONFLICT, &json!("policy")));
    let same = json!({ "agent_id": "coder", "message": "three", "session_id": "s",
        "policy": { "security": "allowlist" } });
    assert_eq!(send(same).await.0, StatusCode::ACCEPTED);
    // A hook's command makes a task of its own.
    let hooked = json!({ "agent_id": "coder", "message": "four", "session_id": "s", "hook_id": 7 });
    let (_, hooked) = send(hooked).await;
    assert_ne!(hooked["task"]["id"], first["task"]["id"]);
}

#[tokio::test]
async fn many_commands_are_answered_each_by_itself_and_in_order() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let commands = json!({ "commands": [
        { "agent_id": "coder", "message": "one" },
        { "agent_id": "coder" },
        { "agent_id": "coder", "message": "three", "nonsense": 1 },
        { "agent_id": "nobody", "message": "four" },
        { "agent_id": "coder", "message": "five" },
    ]});
    let (status, answer) = server.post("/tasks/batch", commands).await;
    assert_eq!(status, StatusCode::OK);
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(202), Some(400), Some(400), Some(404), Some(202)]);
    assert_eq!(results[4]["task"]["payload_json"]["message"], "five");
    assert_eq!(server.task_count().await, 2);
    let many = vec![json!({ "agent_id": "coder", "message": "x" }); 1_001];
    let (status, problem) = server.post("/tasks/batch", json!({ "commands": many })).await;
    assert_eq!((status, &problem["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large")));
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_restart() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let (_, first) = server.post("/tasks", json!({ "agent_id": "coder", "message": "x" })).await;
    let server = server.restart().await;
    let id = first["task"]["id"].as_str().unwrap();
    let (status, task) = server.get(&format!("/tasks/{id}")).await;
    assert_eq!((status, &task["state"]), (StatusCode::OK, &json!("queued")));
}

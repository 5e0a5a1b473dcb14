//! Instances, workspaces and budgets over HTTP (DSP-2, INS-2, RUN-11).

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{
    TOKEN, TestServer, TestWorker, ended, input_of, read, started, turn_ended, turn_started,
};
use hostler_wire::v1::ended::Cause;

async fn patch(server: &TestServer, path: &str, body: Value) -> (StatusCode, Value) {
    read(server.request(Method::PATCH, path).json(&body).send().await.expect("an answer")).await
}

/// At a path from the root of all workspaces.
async fn workspaces(
    server: &TestServer,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (StatusCode, Value) {
    let url = format!("{}/api/v1/workspaces{path}", server.url);
    let mut request = server.client.request(method, url).bearer_auth(TOKEN);
    if let Some(body) = body {
        request = request.json(&body);
    }
    read(request.send().await.expect("an answer")).await
}

#[tokio::test]
async fn a_workspace_is_made_listed_paused_and_resumed() {
    let server = TestServer::start().await;
    let (status, made) =
        workspaces(&server, Method::POST, "", Some(json!({ "key": " team " }))).await;
    assert_eq!(
        (status, &made["key"], &made["id"]),
        (StatusCode::CREATED, &json!("team"), &json!(2))
    );
    assert_eq!((&made["paused"], &made["weight"]), (&json!(false), &json!(1)));
    let again = workspaces(&server, Method::POST, "", Some(json!({ "key": "team" }))).await;
    assert_eq!((again.0, &again.1["code"]), (StatusCode::CONFLICT, &json!("workspace_exists")));
    let (_, page) = workspaces(&server, Method::GET, "?limit=1", None).await;
    assert_eq!(
        (&page["workspaces"][0]["key"], &page["has_more"]),
        (&json!("default"), &json!(true))
    );
    let cursor = page["next_cursor"].as_str().unwrap();
    let (_, page) = workspaces(&server, Method::GET, &format!("?cursor={cursor}"), None).await;
    assert_eq!(page["workspaces"], json!([made]));
    // Everything of it is its own.
    let body = json!({ "agent_key": "coder", "name": "c", "config": { "runner": "scripted" } });
    let (status, _) = workspaces(&server, Method::POST, "/team/agents", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED);
    let patched = json!({ "paused": true, "weight": 3, "budget": { "max_usd": 1.5 } });
    let (status, paused) = workspaces(&server, Method::PATCH, "/team", Some(patched)).await;
    assert_eq!((status, &paused["paused"]), (StatusCode::OK, &json!(true)));
    assert_eq!((&paused["weight"], &paused["budget"]), (&json!(3), &json!({ "max_usd": 1.5 })));
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let body = json!({ "agent_id": "coder", "message": "m" });
    let (_, accepted) = workspaces(&server, Method::POST, "/team/tasks", Some(body)).await;
    assert_eq!(accepted["task"]["waiting_on"]["code"], "workspace_paused");
    let patched = json!({ "paused": false, "budget": null });
    let (_, resumed) = workspaces(&server, Method::PATCH, "/team", Some(patched)).await;
    assert_eq!((resumed.get("budget"), &resumed["weight"]), (None, &json!(3)));
    let assignment = worker.assignment().await;
    assert_eq!(accepted["task"]["id"], assignment.task_id);
    let (_, one) = workspaces(&server, Method::GET, "/team", None).await;
    assert_eq!(one, resumed);
    let unknown = workspaces(&server, Method::GET, "/none", None).await;
    assert_eq!(unknown.1["code"], "workspace_not_found");
}

#[tokio::test]
async fn an_instance_is_listed_in_pages_set_and_reset() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    for lane in ["a", "b", "c"] {
        let body = json!({ "agent_id": "coder", "message": "m", "lane": lane });
        server.post("/tasks", body).await;
    }
    let (_, first) = server.get("/instances?limit=2").await;
    let keys = |page: &Value| -> Vec<(String, String)> {
        let text = |field: &Value| field.as_str().unwrap().to_owned();
        let rows = page["instances"].as_array().unwrap().iter();
        rows.map(|row| (text(&row["created_at"]), text(&row["instance_key"]))).collect()
    };
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = server.get(&format!("/instances?limit=2&cursor={cursor}")).await;
    let all = [keys(&first), keys(&second)].concat();
    assert!(all.iter().rev().is_sorted() && all.len() == 3, "{all:?}");
    assert_eq!((&second["has_more"], &second["next_cursor"]), (&json!(false), &Value::Null));
    let path = format!("/instances/{}", all[0].1);
    let (_, one) = server.get(&path).await;
    assert_eq!(one["ready_tasks"], json!({ "urgent": 0, "high": 0, "normal": 1, "low": 0 }));
    assert_eq!((&one["pool"], &one["concurrency"]), (&json!("default"), &json!(4)));
    let body = json!({ "concurrency": 7, "failed_attempt_threshold": 2, "weight": 5 });
    let (status, set) = patch(&server, &path, body).await;
    assert_eq!(status, StatusCode::OK, "{set}");
    let shown = (&set["concurrency"], &set["concurrency_is_own"], &set["weight"]);
    assert_eq!(shown, (&json!(7), &json!(true), &json!(5)));
    patch(&server, "/agents/coder", json!({ "config": { "max_concurrency": 2 } })).await;
    let (_, kept) = server.get(&path).await;
    assert_eq!(kept["concurrency"], 7);
    let (_, other) = server.get(&format!("/instances/{}", all[1].1)).await;
    assert_eq!(other["concurrency"], 2);
    let (_, back) = patch(&server, &path, json!({ "concurrency": null })).await;
    assert_eq!((&back["concurrency"], &back["concurrency_is_own"]), (&json!(2), &json!(false)));
    let (status, reset) = server.post(&format!("{path}/reset"), json!({})).await;
    assert_eq!((status, &reset["status"]), (StatusCode::OK, &json!("healthy")));
    let (status, problem) = patch(&server, &path, json!({ "weight": 0 })).await;
    assert_eq!((status.as_u16(), &problem["field"]), (400, &json!("weight")));
    let (status, _) = patch(&server, "/instances/none", json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn workers_come_in_pages_with_what_is_reserved() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    TestWorker::connect_as(&server, "w2", &uuid::Uuid::from_u128(2).to_string(), 0).await;
    let policy = json!({ "resources": { "cpu": 1500 } });
    server.post("/tasks", json!({ "agent_id": "coder", "message": "m", "policy": policy })).await;
    worker.assignment().await;
    let (_, page) = server.get("/workers?limit=1").await;
    let w1 = &page["workers"][0];
    assert_eq!((&w1["id"], &page["next_cursor"]), (&json!("w1"), &json!("w1")));
    assert_eq!(w1["reserved"], json!({ "cpu_millis": 1500, "memory_bytes": 0, "gpus": 0 }));
    let (_, page) = server.get("/workers?cursor=w1").await;
    assert_eq!((&page["workers"][0]["id"], &page["has_more"]), (&json!("w2"), &json!(false)));
}

#[tokio::test]
async fn a_spent_budget_is_shown_waited_for_and_reset() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let budget = json!({ "config": { "budget": { "max_turns": 1, "period": "month" } } });
    patch(&server, "/agents/coder", budget).await;
    let mut worker = TestWorker::connect(&server, "w1", 9).await;
    let body = json!({ "agent_id": "coder", "message": "m", "budget": { "max_tokens": 500 } });
    let (_, accepted) = server.post("/tasks", body).await;
    assert_eq!(accepted["task"]["budget"], json!({ "max_tokens": 500 }));
    let first = worker.assignment().await;
    let input = input_of(&first);
    let events = vec![started(), turn_started(&input), turn_ended(&input, "x")];
    worker.report(&first, events).await;
    worker.report(&first, vec![ended(Cause::Closed)]).await;
    let done = server.task_in_state(accepted["task"]["id"].as_str().unwrap(), "done").await;
    let used = (&done["turn_count"], &done["usage_json"]["input_tokens"]);
    assert_eq!(used, (&json!(1), &json!(100)));
    let body = json!({ "agent_id": "coder", "message": "m" });
    let (_, waiting) = server.post("/tasks", body).await;
    let id = waiting["task"]["id"].as_str().unwrap();
    let (_, shown) = server.get(&format!("/tasks/{id}")).await;
    assert_eq!(shown["waiting_on"]["code"], "budget", "{shown}");
    let (_, standing) = server.get("/agents/coder/budget").await;
    assert_eq!(standing["budget"], json!({ "max_turns": 1, "period": "month" }));
    assert_eq!(standing["spent"]["turns"], 1);
    assert!(standing["until"].as_str().unwrap().ends_with("-01T00:00:00.000Z"), "{standing}");
    let (status, reset) = server.post("/agents/coder/budget/reset", json!({})).await;
    assert_eq!((status, &reset["spent"]["turns"]), (StatusCode::OK, &json!(0)));
    assert_eq!(worker.assignment().await.task_id, id);
    let (_, none) = server.get("/budget").await;
    assert_eq!(none["budget"], Value::Null);
    let (status, _) = server.post("/budget/reset", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let table = [
        (json!({ "max_usd": 0 }), "budget.max_usd"),
        (json!({ "period": "day" }), "budget.period"),
        (json!({ "max_tokens": "1" }), "budget.max_tokens"),
    ];
    for (budget, field) in table {
        let body = json!({ "agent_id": "coder", "message": "m", "budget": budget });
        let (status, problem) = server.post("/tasks", body).await;
        assert_eq!((status.as_u16(), &problem["field"]), (400, &json!(field)), "{budget}");
    }
}

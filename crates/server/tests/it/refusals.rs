//! Bad input of every kind: a clear problem, and nothing stored (ACC-2, ACC-8, API-1, API-4).

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{TOKEN, TestServer, read};

/// Sends a body as it is and returns status, code, field and detail.
async fn refused(server: &TestServer, body: String) -> (u16, String, String, String) {
    let request = server.request(Method::POST, "/tasks");
    let request = request.header("content-type", "application/json").body(body);
    let response = request.send().await.expect("an answer");
    let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let (status, problem) = read(response).await;
    assert_eq!(media_type, "application/problem+json", "{problem}");
    assert_eq!(problem["status"], status.as_u16());
    assert_eq!(problem["type"], format!("/errors/{}", problem["code"].as_str().unwrap()));
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    (status.as_u16(), text("code"), text("field"), text("detail"))
}

#[tokio::test]
async fn each_fault_is_named_with_its_field_and_nothing_is_stored() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let long = |bytes: usize| "x".repeat(bytes);
    let command = |extra: Value| {
        let mut body = json!({ "agent_id": "coder", "message": "m" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body.to_string()
    };
    let nested = format!(
        "{{\"agent_id\":\"coder\",\"message\":\"m\",\"attachments\":[{}{}]}}",
        "{\"a\":".repeat(40),
        "1".to_owned() + &"}".repeat(40),
    );
    let table: Vec<(String, u16, &str, &str)> = vec![
        // The order of ACC-2: the first failure wins.
        ("{}".into(), 400, "required_field", "agent_id"),
        (json!({"agent_id": " "}).to_string(), 400, "required_field", "agent_id"),
        (
            json!({"agent_id": "coder", "timeout_ms": -1}).to_string(),
            400,
            "required_field",
            "message",
        ),
        (
            command(json!({"timeout_ms": -1, "policy": {"ask": "x"}})),
            400,
            "invalid_field",
            "timeout_ms",
        ),
        (command(json!({"timeout_ms": i64::MAX})), 400, "invalid_field", "timeout_ms"),
        (command(json!({"policy": {"security": "root"}})), 400, "invalid_field", "policy.security"),
        (
            command(json!({"policy": {"resources": {"disk": 1}}})),
            400,
            "invalid_field",
            "policy.resources.disk",
        ),
        (
            command(json!({"policy": {"resources": {"cpu": "2"}}})),
            400,
            "invalid_field",
            "policy.resources.cpu",
        ),
        (
            command(json!({"policy": {"retry": {"max_attempts": 0}}})),
            400,
            "invalid_field",
            "policy.retry.max_attempts",
        ),
        (command(json!({"priority": "soon"})), 400, "invalid_field", "priority"),
        (command(json!({"dir": "../x"})), 400, "invalid_field", "dir"),
        (command(json!({"attachments": [1]})), 400, "invalid_field", "attachments[0]"),
        // Limits.
        (command(json!({"message": long((1 << 20) + 1)})), 413, "too_large", "message"),
        (command(json!({"message": long(2 << 20)})), 413, "too_large", "message"),
        (command(json!({"message": long(17 << 20)})), 413, "body_too_large", ""),
        (command(json!({"idempotency_key": long(257)})), 413, "too_large", "idempotency_key"),
        (command(json!({"session_id": long(257)})), 413, "too_large", "session_id"),
        (command(json!({"lane": long(257)})), 413, "too_large", "lane"),
        (command(json!({"attachments": vec![json!({}); 33]})), 413, "too_large", "attachments"),
        (command(json!({"attachments": [{"a": long(11 << 20)}]})), 413, "too_large", "attachments"),
        (nested, 400, "invalid_body", ""),
        // Shape.
        ("".into(), 400, "invalid_body", ""),
        ("{".into(), 400, "invalid_body", ""),
        ("null".into(), 400, "invalid_body", ""),
        ("[]".into(), 400, "invalid_body", ""),
        ("{} {}".into(), 400, "invalid_body", ""),
        ("\u{0}".into(), 400, "invalid_body", ""),
        (command(json!({"nonsense": 1})), 400, "invalid_body", "nonsense"),
        (command(json!({"policy": {"nonsense": 1}})), 400, "invalid_body", "policy.nonsense"),
        (command(json!({"message": 7})), 400, "invalid_body", "message"),
        (command(json!({"timeout_ms": "1"})), 400, "invalid_body", "timeout_ms"),
        (
            command(json!({"policy": {"network_enabled": "no"}})),
            400,
            "invalid_body",
            "policy.network_enabled",
        ),
        (command(json!({"routing": {"to": 1}})), 400, "invalid_body", "routing.to"),
        // Who.
        (
            json!({"agent_id": "nobody", "message": "m"}).to_string(),
            404,
            "agent_not_found",
            "agent_id",
        ),
    ];
    for (body, status, code, field) in table {
        let shown: String = body.chars().take(120).collect();
        let (got_status, got_code, got_field, detail) = refused(&server, body).await;
        let got = (got_status, got_code.as_str(), got_field.as_str());
        assert_eq!(got, (status, code, field), "{shown}: {detail}");
        assert!(!detail.is_empty());
    }
    assert_eq!(server.task_count().await, 0);
}

#[tokio::test]
async fn nothing_answers_without_the_token_but_health() {
    let server = TestServer::start().await;
    let client = reqwest::Client::new();
    let paths = ["/api/v1/workspaces/default/tasks", "/openapi.json", "/errors/internal", "/nope"];
    for path in paths {
        let url = format!("{}{path}", server.url);
        for header in [None, Some("Bearer wrong"), Some("Basic abc"), Some("Bearer")] {
            let mut request = client.get(&url);
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let response = request.send().await.unwrap();
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            let (status, problem) = read(response).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path} {header:?}");
            assert_eq!(problem["code"], "unauthenticated");
        }
    }
    for path in ["/healthz", "/readyz"] {
        let response = client.get(format!("{}{path}", server.url)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn unknown_paths_methods_media_types_and_ids_are_problems() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let id = "0198c0de-0000-7000-8000-000000000000";
    let table = [
        (Method::GET, "/nope".to_owned(), 404, "not_found"),
        (Method::PUT, "/tasks".to_owned(), 405, "method_not_allowed"),
        (Method::GET, format!("/tasks/{id}"), 404, "task_not_found"),
        (Method::GET, "/tasks/not-an-id".to_owned(), 404, "task_not_found"),
        (Method::POST, format!("/tasks/{id}/cancel"), 404, "task_not_found"),
        (Method::GET, format!("/tasks/{id}/events"), 404, "task_not_found"),
        (Method::GET, format!("/runs/{id}"), 404, "run_not_found"),
        (Method::GET, format!("/inputs/{id}"), 404, "input_not_found"),
        (Method::GET, "/agents/nobody".to_owned(), 404, "agent_not_found"),
        (Method::GET, "/tasks?limit=0".to_owned(), 400, "invalid_field"),
        (Method::GET, "/tasks?limit=201".to_owned(), 400, "invalid_field"),
        (Method::GET, "/tasks?limit=x".to_owned(), 400, "invalid_field"),
        (Method::GET, "/tasks?cursor=x".to_owned(), 400, "invalid_field"),
        (Method::GET, "/tasks?state=asleep".to_owned(), 400, "invalid_field"),
        (Method::GET, "/tasks?nonsense=1".to_owned(), 400, "invalid_field"),
        (Method::GET, "/runs?status=asleep".to_owned(), 400, "invalid_field"),
    ];
    for (method, path, status, code) in table {
        let response = server.request(method.clone(), &path).send().await.unwrap();
        let (got, problem) = read(response).await;
        let got = (got.as_u16(), problem["code"].as_str().unwrap_or_default());
        assert_eq!(got, (status, code), "{method} {path}: {problem}");
    }
    let request = server.request(Method::POST, "/tasks").header("content-type", "text/plain");
    let (status, problem) = read(request.body("{}").send().await.unwrap()).await;
    let got = (status.as_u16(), &problem["code"]);
    assert_eq!(got, (415, &json!("unsupported_media_type")));
    let url = format!("{}/api/v1/workspaces/elsewhere/tasks", server.url);
    let request = reqwest::Client::new().get(url).bearer_auth(TOKEN);
    let (status, problem) = read(request.send().await.unwrap()).await;
    assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("workspace_not_found")));
}

#[tokio::test]
async fn an_inactive_or_deleted_agent_accepts_nothing() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let patch = server.request(Method::PATCH, "/agents/coder").json(&json!({ "active": false }));
    assert_eq!(patch.send().await.unwrap().status(), StatusCode::OK);
    let body = json!({ "agent_id": "coder", "message": "m" });
    let (status, problem) = server.post("/tasks", body.clone()).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("agent_inactive")));
    let delete = server.request(Method::DELETE, "/agents/coder").send().await.unwrap();
    assert_eq!(delete.status(), StatusCode::NO_CONTENT);
    let (status, _) = server.post("/tasks", body).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    server.agent("coder").await;
}

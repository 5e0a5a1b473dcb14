//! Agents over HTTP.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::support::{TestServer, read};

#[tokio::test]
async fn an_agent_is_made_read_changed_and_listed() {
    let server = TestServer::start().await;
    let body = json!({ "agent_key": " coder ", "name": "Coder" });
    let (status, agent) = server.post("/agents", body).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(agent["agent_key"], "coder");
    assert_eq!(agent["config_json"]["runner"], "claude_code");
    assert_eq!(agent["config_json"]["workspace_dir"], "/workspace/agents/coder");
    let patch = json!({ "config": { "model": "sonnet", "x-own": 1 } });
    let request = server.request(Method::PATCH, "/agents/coder").json(&patch);
    let (status, changed) = read(request.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(changed["config_json"]["model"], "sonnet");
    assert_eq!(changed["config_json"]["x-own"], 1);
    let id = agent["id"].as_str().unwrap();
    let (_, by_id) = server.get(&format!("/agents/{id}")).await;
    let (_, list) = server.get("/agents").await;
    assert_eq!(by_id, changed);
    assert_eq!(list["agents"], json!([changed]));
    let (_, defaults) = server.get("/agents/defaults?agent_key=x").await;
    assert_eq!(defaults["workspace_dir"], "/workspace/agents/x");
}

#[tokio::test]
async fn a_key_names_one_agent_and_is_a_plain_name() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let table = [
        (json!({ "agent_key": "coder", "name": "n" }), 409, "agent_exists", "agent_key"),
        (json!({ "name": "n" }), 400, "required_field", "agent_key"),
        (json!({ "agent_key": "a" }), 400, "required_field", "name"),
        (json!({ "agent_key": "../a", "name": "n" }), 400, "invalid_field", "agent_key"),
        (json!({ "agent_key": ".a", "name": "n" }), 400, "invalid_field", "agent_key"),
        (
            json!({ "agent_key": "a", "name": "n", "config": { "runner": "gpt" } }),
            400,
            "invalid_field",
            "config.runner",
        ),
    ];
    for (body, status, code, field) in table {
        let (got, problem) = server.post("/agents", body.clone()).await;
        let got = (got.as_u16(), problem["code"].as_str(), problem["field"].as_str());
        assert_eq!(got, (status, Some(code), Some(field)), "{body}");
    }
}

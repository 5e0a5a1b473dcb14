//! Lists: cursors that neither skip nor repeat under inserts, and filters (API-2).

use serde_json::json;

use super::support::TestServer;

#[tokio::test]
async fn a_cursor_neither_skips_nor_repeats_while_tasks_are_added() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let add = |text: String| server.post("/tasks", json!({ "agent_id": "coder", "message": text }));
    let mut made = Vec::new();
    for index in 0..7 {
        let (_, answer) = add(format!("m{index}")).await;
        made.push(answer["task"]["id"].as_str().unwrap().to_owned());
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = server.get(&format!("/tasks?limit=3&cursor={cursor}")).await;
        for task in page["tasks"].as_array().unwrap() {
            seen.push(task["id"].as_str().unwrap().to_owned());
        }
        add("new".to_owned()).await;
        if page["has_more"] == false {
            assert!(page["next_cursor"].is_null());
            break;
        }
        cursor = page["next_cursor"].as_str().unwrap().to_owned();
    }
    made.reverse();
    assert_eq!(seen, made);
}

#[tokio::test]
async fn tasks_are_filtered_by_state_agent_session_and_archive() {
    let server = TestServer::start().await;
    server.agent("one").await;
    server.agent("two").await;
    let add = |agent: &'static str, session: &'static str| {
        let body = json!({ "agent_id": agent, "message": "m", "session_id": session });
        server.post("/tasks", body)
    };
    let (_, a) = add("one", "s1").await;
    add("two", "s2").await;
    let a = a["task"]["id"].as_str().unwrap().to_owned();
    let (_, moved) = server.post(&format!("/tasks/{a}/cancel"), json!({})).await;
    assert_eq!(moved["status"], "cancelled");
    assert_eq!(moved["task"]["state"], "cancelled");
    let server = &server;
    let count = |query: &'static str| async move {
        let (_, page) = server.get(&format!("/tasks{query}")).await;
        page["tasks"].as_array().unwrap_or_else(|| panic!("{page}")).len()
    };
    assert_eq!(count("").await, 2);
    assert_eq!(count("?state=cancelled").await, 1);
    assert_eq!(count("?state=queued,cancelled").await, 2);
    assert_eq!(count("?agent_id=two").await, 1);
    assert_eq!(count("?session_id=s1").await, 1);
    assert_eq!(count("?created_after=2999-01-01T00:00:00Z").await, 0);
    let (_, archived) = server.post(&format!("/tasks/{a}/archive"), json!({})).await;
    assert_eq!(archived["status"], "archived");
    assert_eq!(count("").await, 1);
    assert_eq!(count("?include_archived=true").await, 2);
}

//! A task's stream: pages, long-poll, server-sent events (STR-1, STR-2, STR-3).

use std::time::Duration;

use futures_util::StreamExt;
use hostler_wire::client::{Client, Event};
use hostler_wire::json::RecordBody;
use hostler_wire::v1::ended::Cause;
use serde_json::json;

use super::support::{
    PATIENCE, TOKEN, TestServer, TestWorker, ended, input_of, started, turn_ended, turn_started,
};

#[tokio::test]
async fn server_sent_events_begin_with_a_snapshot_and_resume_without_a_gap() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let (_, answer) = server.post("/tasks", json!({ "agent_id": "coder", "message": "m" })).await;
    let id = answer["task"]["id"].as_str().unwrap().to_owned();
    let client = Client::new(&server.url, Some(TOKEN), "default").unwrap();
    let mut live = client.events(&id, 0).await.unwrap();
    let Some(Ok(Event::Snapshot(snapshot))) = live.next().await else { panic!("no snapshot") };
    assert_eq!(snapshot.task.id.to_string(), id);
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let assignment = worker.assignment().await;
    let input = input_of(&assignment);
    worker.report(&assignment, vec![started(), turn_started(&input)]).await;
    worker.log(&assignment, 0, &["one", "two"]).await;
    // A repeated chunk is acknowledged and not stored again; one too far ahead must wait.
    assert_eq!(worker.log(&assignment, 0, &["one", "two"]).await.next_number, 1);
    assert_eq!(worker.log(&assignment, 5, &["later"]).await.next_number, 1);
    worker.log(&assignment, 1, &["three"]).await;
    worker.report(&assignment, vec![turn_ended(&input, "x"), ended(Cause::Closed)]).await;
    let mut seen = Vec::new();
    let mut lines = Vec::new();
    loop {
        let next = tokio::time::timeout(PATIENCE, live.next()).await.expect("in time");
        let Some(Ok(Event::Record(record))) = next else { panic!("the stream ended: {next:?}") };
        seen.push(record.seq);
        match &record.body {
            RecordBody::Log { data, .. } => lines.push(data.clone()),
            RecordBody::Event { event_type, .. } if event_type == "finished" => break,
            _ => {}
        }
    }
    assert_eq!(lines, ["one", "two", "three"]);
    let last = *seen.last().unwrap();
    assert_eq!(seen, (1..=last).collect::<Vec<_>>());
    // From a cursor everything after it comes, and nothing before.
    let mut again = client.events(&id, 3).await.unwrap();
    assert!(matches!(again.next().await, Some(Ok(Event::Snapshot(_)))));
    let Some(Ok(Event::Record(record))) = again.next().await else { panic!("no record") };
    assert_eq!(record.seq, 4);
    let (_, page) = server.get(&format!("/tasks/{id}/events?cursor=3&limit=2")).await;
    let seqs: Vec<_> = page["records"].as_array().unwrap().iter().map(|one| &one["seq"]).collect();
    assert_eq!(seqs, [4, 5]);
    assert_eq!((&page["next_cursor"], &page["has_more"]), (&json!(5), &json!(true)));
    let (_, logs) = server.get(&format!("/tasks/{id}/logs")).await;
    assert_eq!(logs["logs"].as_array().unwrap().len(), 4);
    assert_eq!((&logs["logs"][0]["data"], &logs["logs"][1]["data"]), (&json!("m"), &json!("one")));
    let (_, batch) = server.get(&format!("/tasks/{id}/stream?log_cursor=0")).await;
    assert_eq!(batch["logs"].as_array().unwrap().len(), 4);
    assert_eq!(batch["next_log_cursor"], last);
}

#[tokio::test]
async fn a_long_poll_answers_when_a_record_comes_and_not_before() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let (_, answer) = server.post("/tasks", json!({ "agent_id": "coder", "message": "m" })).await;
    let id = answer["task"]["id"].as_str().unwrap().to_owned();
    let path = format!("/tasks/{id}/events?cursor=1&wait_ms=20000");
    let waiting = server.get(&path);
    let cancelling = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.post(&format!("/tasks/{id}/cancel"), json!({})).await
    };
    let ((_, page), _) = tokio::join!(waiting, cancelling);
    assert_eq!(page["records"][0]["event_type"], "task_cancelled");
}

#[tokio::test]
async fn open_streams_do_not_hold_up_a_stop() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let (_, answer) = server.post("/tasks", json!({ "agent_id": "coder", "message": "m" })).await;
    let id = answer["task"]["id"].as_str().unwrap().to_owned();
    let client = Client::new(&server.url, Some(TOKEN), "default").unwrap();
    let mut live = client.events(&id, 0).await.unwrap();
    assert!(live.next().await.is_some());
    let before = std::time::Instant::now();
    let server = server.restart().await;
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
    assert_eq!(server.task_count().await, 1);
}

//! What is left of a stream that was trimmed (STR-1, INV-STREAM-2).

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use hostler_server::config::Retention;
use hostler_wire::client::{Client, Event};
use hostler_wire::json::RecordBody;
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{PATIENCE, Running, TOKEN, TestServer};

const KEPT: u64 = 10;

/// A task with 40 lines and 10 records kept; the number up to which they are gone.
async fn trimmed(server: &TestServer) -> (Running, u64) {
    let mut running = Running::begin(server).await;
    for number in 0..20 {
        running.log(number, &["one", "two"]).await;
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let (_, page) = server.get(&format!("/tasks/{}/events?limit=1", running.id)).await;
        let first = &page["records"][0];
        let (_, rest) = server.get(&format!("/tasks/{}/events", running.id)).await;
        let last = rest["next_cursor"].as_u64().expect("a cursor");
        if first["kind"] == "gap" && first["to_seq"] == last - KEPT {
            return (running, last - KEPT);
        }
        assert!(Instant::now() < end, "the stream is not trimmed: {page}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn server() -> TestServer {
    let retention = Retention { records_max_per_task: KEPT, ..Retention::default() };
    TestServer::keeping(retention).await
}

#[tokio::test]
async fn a_cursor_before_or_in_a_gap_sees_the_gap_and_goes_on_after_it() {
    let server = server().await;
    let (running, gone) = trimmed(&server).await;
    let id = &running.id;
    for cursor in [0, 1, gone / 2, gone - 1] {
        let (_, page) = server.get(&format!("/tasks/{id}/events?cursor={cursor}")).await;
        let records = page["records"].as_array().unwrap();
        assert_eq!(records.len() as u64, KEPT + 1, "after {cursor}: {page}");
        assert_eq!(records[0]["kind"], "gap");
        // Of the gap it is told what it has not seen.
        let from = cursor + 1;
        assert_eq!((&records[0]["from_seq"], &records[0]["to_seq"]), (&json!(from), &json!(gone)));
        assert_eq!(records[1]["seq"], gone + 1);
        let (_, one) = server.get(&format!("/tasks/{id}/events?cursor={cursor}&limit=1")).await;
        assert_eq!((&one["next_cursor"], &one["has_more"]), (&json!(gone), &json!(true)));
    }
    let (_, page) = server.get(&format!("/tasks/{id}/events?cursor={gone}")).await;
    assert_eq!(page["records"][0]["seq"], gone + 1);
}

#[tokio::test]
async fn a_reader_that_comes_back_into_a_gap_is_told_of_it() {
    let server = server().await;
    let (running, gone) = trimmed(&server).await;
    let id = &running.id;
    let client = Client::new(&server.url, Some(TOKEN), "default").unwrap();
    for cursor in [0, 3, gone - 1, gone] {
        let mut live = client.events(id, cursor).await.unwrap();
        assert!(matches!(live.next().await, Some(Ok(Event::Snapshot(_)))));
        let Some(Ok(Event::Record(first))) = live.next().await else { panic!("no record") };
        if cursor == gone {
            assert_eq!(first.seq, gone + 1);
            continue;
        }
        assert_eq!(first.body, RecordBody::Gap { from_seq: cursor + 1, to_seq: gone });
        assert_eq!(first.cursor(), gone);
        let Some(Ok(Event::Record(second))) = live.next().await else { panic!("no record") };
        assert_eq!(second.seq, gone + 1);
    }
    // The event has its own name, and the id that the reader comes back with after it.
    let request = server.request(Method::GET, &format!("/tasks/{id}/events"));
    let request = request.header("accept", "text/event-stream").header("last-event-id", "2");
    let mut body = request.send().await.unwrap().bytes_stream();
    let mut text = String::new();
    while !text.contains("event: record") {
        text += std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap();
    }
    assert!(text.contains(&format!("event: gap\nid: {gone}\ndata: {{")), "{text}");
}

#[tokio::test]
async fn the_original_sees_a_gap_as_a_line() {
    let server = server().await;
    let (running, gone) = trimmed(&server).await;
    let (_, page) = server.get(&format!("/tasks/{}/logs?cursor=1", running.id)).await;
    let first: &Value = &page["logs"][0];
    assert_eq!((&first["chunk_type"], &first["stream"]), (&json!("gap"), &json!("stderr")));
    assert_eq!(first["metadata"]["to_seq"], gone);
    // The prompt stands before it, although its record is gone.
    let (_, page) = server.get(&format!("/tasks/{}/logs", running.id)).await;
    assert_eq!(page["logs"][0]["chunk_type"], "task_prompt");
    assert_eq!(page["logs"][1]["chunk_type"], "gap");
}

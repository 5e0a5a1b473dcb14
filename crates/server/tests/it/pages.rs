//! Lists: cursors that neither skip nor repeat under inserts, and filters (API-2).

use serde_json::{Value, json};

use super::support::{Running, TestServer};

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

/// Follows `next_cursor` to the end; the pages in their order.
async fn pages(server: &TestServer, path: &str) -> Vec<Value> {
    let mut pages: Vec<Value> = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let query = match &cursor {
            Value::Null => path.to_owned(),
            Value::String(text) => format!("{path}&cursor={text}"),
            other => format!("{path}&cursor={other}"),
        };
        let (status, page) = server.get(&query).await;
        assert_eq!(status, 200, "{page}");
        let is_last = page["has_more"] == false;
        cursor = page["next_cursor"].clone();
        pages.push(page);
        if is_last {
            return pages;
        }
        assert!(pages.len() < 100, "the pages come to no end");
    }
}

/// One field of every row of every page.
fn column(pages: &[Value], rows: &str, field: &str) -> Vec<Value> {
    let rows = pages.iter().flat_map(|page| page[rows].as_array().expect("a list"));
    rows.map(|row| row[field].clone()).collect()
}

#[tokio::test]
async fn inputs_come_in_pages() {
    let server = TestServer::start().await;
    let running = Running::begin(&server).await;
    let path = format!("/tasks/{}/inputs", running.id);
    for number in 0..6 {
        let body = json!({ "message": format!("m{number}") });
        let (status, answer) = server.post(&path, body).await;
        assert_eq!(status, 202, "{answer}");
    }
    let pages = pages(&server, &format!("{path}?limit=3")).await;
    assert_eq!(pages.len(), 3);
    assert_eq!(pages[2]["next_cursor"], Value::Null);
    let expected = ["do it", "m0", "m1", "m2", "m3", "m4", "m5"];
    assert_eq!(column(&pages, "inputs", "message"), expected);
    let (_, whole) = server.get(&path).await;
    assert_eq!(column(&[whole], "inputs", "message"), expected);
    for query in ["limit=0", "limit=201", "cursor=nonsense", "other=1"] {
        let (status, problem) = server.get(&format!("{path}?{query}")).await;
        assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_field")), "{query}");
    }
}

#[tokio::test]
async fn snapshots_and_events_of_a_run_come_in_pages() {
    let server = TestServer::start().await;
    let mut running = Running::begin(&server).await;
    running.log(0, &["one", "two"]).await;
    running.end().await;
    let task = server.task_in_state(&running.id, "done").await;
    let run = task["target_run_id"].as_str().expect("a run").to_owned();
    let whole = pages(&server, &format!("/runs/{run}/snapshots?limit=200")).await;
    let single = pages(&server, &format!("/runs/{run}/snapshots?limit=1")).await;
    assert_eq!(single.len(), 3);
    assert_eq!(column(&single, "snapshots", "seq"), column(&whole, "snapshots", "seq"));
    let whole = pages(&server, &format!("/runs/{run}/events?limit=1000")).await;
    let events = column(&whole, "events", "event_type");
    assert_eq!(events.last(), Some(&json!("finished")));
    let single = pages(&server, &format!("/runs/{run}/events?limit=1")).await;
    assert_eq!(column(&single, "events", "event_type"), events);
    for query in ["limit=0", "limit=1001", "cursor=-1"] {
        let (status, problem) = server.get(&format!("/runs/{run}/events?{query}")).await;
        assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_field")), "{query}");
    }
}

#[tokio::test]
async fn a_page_of_events_of_a_run_goes_through_so_many_records_and_no_more() {
    let server = TestServer::start().await;
    let mut running = Running::begin(&server).await;
    let lines = vec!["x"; 1_000];
    for number in 0..9 {
        running.log(number, &lines).await;
    }
    running.end().await;
    let task = server.task_in_state(&running.id, "done").await;
    let run = task["target_run_id"].as_str().expect("a run");
    let pages = pages(&server, &format!("/runs/{run}/events?limit=1000")).await;
    assert_eq!(pages.len(), 3);
    assert_eq!(pages[0]["next_cursor"], 4_000);
    assert_eq!(pages[1]["events"], json!([]));
    assert_eq!(column(&pages, "events", "event_type").last(), Some(&json!("finished")));
}

#[tokio::test]
async fn a_page_of_records_is_bounded_in_bytes() {
    let server = TestServer::start().await;
    let mut running = Running::begin(&server).await;
    let line = "x".repeat(100_000);
    for number in 0..7 {
        running.log(number, &[line.as_str(); 10]).await;
    }
    let path = format!("/tasks/{}/events?limit=1000", running.id);
    let pages = pages(&server, &path).await;
    assert_eq!(pages.len(), 2);
    for page in &pages {
        assert!(page.to_string().len() < 5 << 20, "{}", page.to_string().len());
    }
    let seqs = column(&pages, "records", "seq");
    let expected: Vec<Value> = (1..=seqs.len()).map(Value::from).collect();
    assert_eq!(seqs, expected);
    assert!(seqs.len() > 70);
}

//! The batch and the logs of the original, from the same stream (STR-3).

use serde_json::{Value, json};

use super::support::{Running, TestServer};

struct Poll(Value);

impl Poll {
    fn lines(&self) -> Vec<&str> {
        let logs = self.0["logs"].as_array().expect("a list");
        logs.iter().map(|line| line["data"].as_str().expect("a text")).collect()
    }

    fn events(&self) -> Vec<&str> {
        let events = self.0["run_events"].as_array().expect("a list");
        events.iter().map(|event| event["event_type"].as_str().expect("a word")).collect()
    }

    fn cursors(&self) -> (u64, u64) {
        let number = |name: &str| self.0[name].as_u64().expect("a number");
        (number("next_log_cursor"), number("next_run_event_cursor"))
    }
}

async fn poll(server: &TestServer, id: &str, query: &str) -> Poll {
    let (status, batch) = server.get(&format!("/tasks/{id}/stream?{query}")).await;
    assert_eq!(status, 200, "{batch}");
    Poll(batch)
}

#[tokio::test]
async fn cursors_give_what_is_new_and_start_anew_for_another_run() {
    let server = TestServer::start().await;
    let mut running = Running::begin(&server).await;
    running.log(0, &["one", "two"]).await;
    let id = running.id.clone();
    let all = poll(&server, &id, "").await;
    assert_eq!(all.lines(), ["do it", "one", "two"]);
    let (log, event) = all.cursors();
    assert!(!all.events().is_empty() && log == event);
    let run = all.0["run_id"].as_str().expect("a run").to_owned();
    // Nothing is new, and the cursors stay.
    let none = poll(&server, &id, &format!("log_cursor={log}&run_event_cursor={event}")).await;
    assert_eq!((none.lines(), none.events()), (vec![], vec![]));
    assert_eq!(none.cursors(), (log, event));
    running.log(1, &["three"]).await;
    let same = format!("log_cursor={log}&run_event_cursor={event}&cursor_run_id={run}");
    let next = poll(&server, &id, &same).await;
    assert_eq!((next.lines(), next.events()), (vec!["three"], vec![]));
    assert_eq!(next.cursors().0, log + 1);
    // Each has its own place.
    let apart = poll(&server, &id, &format!("log_cursor={log}")).await;
    assert_eq!((apart.lines(), apart.events()), (vec!["three"], all.events()));
    let apart = poll(&server, &id, &format!("run_event_cursor={event}")).await;
    assert_eq!((apart.lines(), apart.events()), (vec!["do it", "one", "two", "three"], vec![]));
    // The cursors of another run, and of something that is none, mean nothing here.
    for other in ["01890000-0000-7000-8000-000000000000", "nonsense"] {
        let query = format!("log_cursor={log}&run_event_cursor={event}&cursor_run_id={other}");
        let anew = poll(&server, &id, &query).await;
        assert_eq!(anew.lines(), ["do it", "one", "two", "three"]);
        assert_eq!(anew.events(), all.events());
    }
    // A blank one says nothing.
    let query = format!("log_cursor={log}&run_event_cursor={event}&cursor_run_id=%20");
    assert_eq!(poll(&server, &id, &query).await.lines(), ["three"]);
}

#[tokio::test]
async fn cursors_below_zero_and_beyond_the_end_are_brought_back() {
    let server = TestServer::start().await;
    let mut running = Running::begin(&server).await;
    running.log(0, &["one", "two"]).await;
    let id = running.id.clone();
    let all = poll(&server, &id, "").await;
    let below = poll(&server, &id, "log_cursor=-7&run_event_cursor=-1").await;
    assert_eq!((below.lines(), below.events()), (all.lines(), all.events()));
    // A log cursor beyond the end starts anew; an event cursor there is the end.
    let beyond = poll(&server, &id, "log_cursor=9999&run_event_cursor=9999").await;
    assert_eq!((beyond.lines(), beyond.events()), (all.lines(), vec![]));
    assert_eq!(beyond.cursors(), all.cursors());
    let (log, _) = all.cursors();
    let beyond = poll(&server, &id, &format!("log_cursor={log}&run_event_cursor=9999")).await;
    assert_eq!((beyond.lines(), beyond.events()), (vec![], vec![]));
    assert_eq!(beyond.cursors(), all.cursors());
    let (_, logs) = server.get(&format!("/tasks/{id}/logs?cursor=9999")).await;
    assert_eq!(Poll(logs.clone()).lines(), all.lines());
    assert_eq!(logs["next_cursor"], log);
    let (_, logs) = server.get(&format!("/tasks/{id}/logs?cursor=-1")).await;
    assert_eq!(Poll(logs).lines(), all.lines());
}

#[tokio::test]
async fn the_prompt_is_a_line_unless_a_person_said_the_same() {
    let server = TestServer::start().await;
    let mut running = Running::begin(&server).await;
    let id = running.id.clone();
    let alone = poll(&server, &id, "").await;
    let first = &alone.0["logs"][0];
    assert_eq!((&first["stream"], &first["chunk_type"]), (&json!("user"), &json!("task_prompt")));
    assert_eq!((&first["data"], &first["seq_num"]), (&json!("do it"), &json!(0)));
    assert_eq!((&first["task_id"], &first["event_id"]), (&json!(id), &json!(format!("{id}:0"))));
    assert!(first["timestamp"].as_i64().is_some_and(|at| at > 0));
    // Only a person's line is the same.
    running.log(0, &["do it"]).await;
    assert_eq!(poll(&server, &id, "").await.lines(), ["do it", "do it"]);
    running.worker.log_on(&running.assignment, 1, "user", &[" do it\n"]).await;
    let expected = ["do it", " do it\n"];
    assert_eq!(poll(&server, &id, "").await.lines(), expected);
    let (_, logs) = server.get(&format!("/tasks/{id}/logs")).await;
    assert_eq!(Poll(logs).lines(), expected);
    // A page from a cursor has no prompt.
    assert_eq!(poll(&server, &id, "log_cursor=1").await.lines(), expected);
}

//! From accepting to the end, with a worker that speaks the real protocol.

use hostler_wire::v1::ended::Cause;
use hostler_wire::v1::event_ack::Verdict;
use hostler_wire::v1::server_frame::Body as ServerBody;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{TestServer, TestWorker, ended, input_of, started, turn_ended, turn_started};

async fn accept(server: &TestServer, body: Value) -> String {
    let (status, answer) = server.post("/tasks", body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    answer["task"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_task_is_run_and_everything_of_it_can_be_read() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let id = accept(&server, json!({ "agent_id": "coder", "message": "do it" })).await;
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let assignment = worker.assignment().await;
    assert_eq!(assignment.task_id, id);
    assert_eq!(assignment.runtime, "bubblewrap");
    assert!(!assignment.resume);
    assert_eq!(assignment.input.as_ref().unwrap().message, "do it");
    let input = input_of(&assignment);
    worker.report(&assignment, vec![started(), turn_started(&input)]).await;
    worker.log(&assignment, 0, &["hello", "world"]).await;
    let acks = worker.report(&assignment, vec![turn_ended(&input, "all done")]).await;
    assert_eq!(acks[0].verdict(), Verdict::Close);
    worker.report(&assignment, vec![ended(Cause::Closed)]).await;
    let task = server.task_in_state(&id, "done").await;
    let run_id = task["target_run_id"].as_str().unwrap().to_owned();
    let (_, run) = server.get(&format!("/runs/{run_id}")).await;
    assert_eq!(run["status"], "ok");
    assert_eq!(run["result"], "all done");
    assert_eq!(run["usage_json"]["input_tokens"], 100);
    assert_eq!(run["runtime_used"], "bubblewrap");
    assert!(run["runtime_note"].as_str().unwrap().contains("gvisor"));
    let (_, attempts) = server.get(&format!("/runs/{run_id}/attempts")).await;
    assert_eq!(attempts["attempts"][0]["status"], "ok");
    assert_eq!(attempts["attempts"][0]["strategy"], "primary");
    let (_, snapshots) = server.get(&format!("/runs/{run_id}/snapshots")).await;
    let statuses: Vec<_> =
        snapshots["snapshots"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["accepted", "running", "ok"]);
    let (_, input) = server.get(&format!("/inputs/{input}")).await;
    assert_eq!((&input["state"], &input["outcome"]), (&json!("settled"), &json!("turn")));
    let (_, instances) = server.get("/instances").await;
    assert_eq!(instances["instances"][0]["running_attempts"], 0);
    let (_, events) = server.get(&format!("/runs/{run_id}/events")).await;
    let types: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|one| &one["event_type"]).collect();
    assert_eq!(types, ["accepted", "started", "turn_started", "turn_ended", "finished"]);
}

#[tokio::test]
async fn a_followup_is_the_next_turn_of_the_live_run_or_restarts_a_finished_one() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let id = accept(&server, json!({ "agent_id": "coder", "message": "one" })).await;
    let mut worker = TestWorker::connect(&server, "w1", 2).await;
    let first = worker.assignment().await;
    let input = input_of(&first);
    worker.report(&first, vec![started(), turn_started(&input)]).await;
    let path = format!("/runs/{}/input", first.run_id);
    let (status, sent) = server.post(&path, json!({ "message": "two" })).await;
    assert_eq!((status, &sent["outcome"]), (StatusCode::ACCEPTED, &json!("queued")));
    let acks = worker.report(&first, vec![turn_ended(&input, "1")]).await;
    assert_eq!(acks[0].verdict(), Verdict::Next);
    let next = acks[0].input.clone().unwrap();
    assert_eq!(next.message, "two");
    // The same report again is answered with the same input.
    let acks = worker.report(&first, vec![turn_ended(&input, "1")]).await;
    assert_eq!(acks[0].input.as_ref().unwrap().input_id, next.input_id);
    let events = vec![turn_started(&next.input_id), turn_ended(&next.input_id, "2")];
    let acks = worker.report(&first, events).await;
    assert_eq!(acks[1].verdict(), Verdict::Close);
    worker.report(&first, vec![ended(Cause::Closed)]).await;
    server.task_in_state(&id, "done").await;

    let (_, sent) = server.post(&format!("/tasks/{id}/inputs"), json!({ "message": "3" })).await;
    assert_eq!(sent["outcome"], "restarted");
    let second = worker.assignment().await;
    assert_ne!(second.run_id, first.run_id);
    assert!(second.resume, "the conversation goes on");
    assert!(second.term > first.term);
    let input = input_of(&second);
    let events = vec![started(), turn_started(&input), turn_ended(&input, "3")];
    worker.report(&second, events).await;
    worker.report(&second, vec![ended(Cause::Closed)]).await;
    server.task_in_state(&id, "done").await;
    let (_, inputs) = server.get(&format!("/tasks/{id}/inputs")).await;
    let outcomes: Vec<_> =
        inputs["inputs"].as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes, ["turn", "turn", "restarted"]);
}

#[tokio::test]
async fn the_largest_attachments_reach_the_worker() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let large = json!({ "name": "a", "data": "x".repeat(9 << 20) });
    let body = json!({ "agent_id": "coder", "message": "m", "attachments": [large] });
    let id = accept(&server, body).await;
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let assignment = worker.assignment().await;
    assert_eq!(assignment.task_id, id);
    assert!(assignment.input.as_ref().unwrap().attachments_json.len() > 9 << 20);
}

#[tokio::test]
async fn input_is_checked_counted_and_idempotent() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let id = accept(&server, json!({ "agent_id": "coder", "message": "one" })).await;
    let path = format!("/tasks/{id}/inputs");
    let (status, problem) =
        server.post(&path, json!({ "message": "x", "queue_mode": "shout" })).await;
    assert_eq!((status.as_u16(), &problem["field"]), (400, &json!("queue_mode")));
    assert!(problem["detail"].as_str().unwrap().contains("followup"));
    let other_run = "0198c0de-0000-7000-8000-000000000000";
    let body = json!({ "message": "x", "expected_run_id": other_run });
    let (status, problem) = server.post(&path, body).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("expected_run")));
    let body = json!({ "message": "x", "idempotency_key": "i1", "queue_mode": " Followup " });
    let (first, one) = server.post(&path, body.clone()).await;
    let (second, two) = server.post(&path, body).await;
    assert_eq!((first, second), (StatusCode::ACCEPTED, StatusCode::OK));
    assert_eq!(one["input"]["id"], two["input"]["id"]);
    let body = json!({ "message": "y", "idempotency_key": "i1" });
    assert_eq!(server.post(&path, body).await.0, StatusCode::CONFLICT);
    for index in 0..18 {
        let body = json!({ "message": format!("m{index}") });
        assert_eq!(server.post(&path, body).await.0, StatusCode::ACCEPTED);
    }
    let (status, problem) = server.post(&path, json!({ "message": "one too many" })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (429, &json!("inbox_full")));
}

#[tokio::test]
async fn a_cancel_of_a_running_task_is_pushed_and_settles_with_the_workers_proof() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let id = accept(&server, json!({ "agent_id": "coder", "message": "one" })).await;
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let assignment = worker.assignment().await;
    let input = input_of(&assignment);
    worker.report(&assignment, vec![started(), turn_started(&input)]).await;
    let (status, moved) = server.post(&format!("/tasks/{id}/cancel"), json!({})).await;
    assert_eq!((status, &moved["status"]), (StatusCode::OK, &json!("cancelled")));
    assert!(moved["task"]["cancel_requested_at"].is_string());
    loop {
        if let ServerBody::Cancel(cancel) = worker.next().await {
            assert_eq!(cancel.attempt_ids, std::slice::from_ref(&assignment.attempt_id));
            break;
        }
    }
    // The agent ends well before it is stopped: the cancel wins all the same.
    let events = vec![turn_ended(&input, "done"), ended(Cause::Closed)];
    worker.report(&assignment, events).await;
    let task = server.task_in_state(&id, "cancelled").await;
    let (_, run) = server.get(&format!("/runs/{}", assignment.run_id)).await;
    assert_eq!(run["status"], "cancelled");
    let (status, problem) = server.post(&format!("/tasks/{id}/cancel"), json!({})).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("task_not_cancellable")));
    let path = format!("/runs/{}/cancel", task["target_run_id"].as_str().unwrap());
    let (status, problem) = server.post(&path, json!({})).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("run_not_cancellable")));
}

#[tokio::test]
async fn a_worker_that_starts_anew_loses_its_runs_and_they_are_taken_up_again() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let id = accept(&server, json!({ "agent_id": "coder", "message": "one" })).await;
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let first = worker.assignment().await;
    worker.report(&first, vec![started(), turn_started(&input_of(&first))]).await;
    let other = uuid::Uuid::from_u128(2).to_string();
    let mut worker = TestWorker::connect_as(&server, "w1", &other, 1).await;
    let second = worker.assignment().await;
    assert_eq!(second.run_id, first.run_id);
    assert_eq!(second.attempt_no, 2);
    assert!(second.term > first.term && second.resume);
    let acks = worker.report(&first, vec![ended(Cause::Closed)]).await;
    assert_eq!(acks[0].verdict(), Verdict::Fenced);
    let input = input_of(&second);
    let events = vec![started(), turn_started(&input), turn_ended(&input, "x")];
    worker.report(&second, events).await;
    worker.report(&second, vec![ended(Cause::Closed)]).await;
    server.task_in_state(&id, "done").await;
    let (_, attempts) = server.get(&format!("/runs/{}/attempts", first.run_id)).await;
    let failures: Vec<_> =
        attempts["attempts"].as_array().unwrap().iter().map(|one| &one["failure"]).collect();
    assert_eq!(failures[0], "lost");
    assert_eq!(attempts["attempts"][1]["strategy"], "retry");
}

#[tokio::test]
async fn a_worker_keeps_its_runs_over_a_restart_of_the_server() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let id = accept(&server, json!({ "agent_id": "coder", "message": "one" })).await;
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let assignment = worker.assignment().await;
    let input = input_of(&assignment);
    worker.report(&assignment, vec![started(), turn_started(&input)]).await;
    drop(worker);
    let server = server.restart().await;
    let mut worker = TestWorker::reconnect(&server, "w1", &assignment).await;
    let ack = worker.log(&assignment, 0, &["said meanwhile"]).await;
    assert_eq!((ack.next_number, ack.fenced), (1, false));
    let acks = worker.report(&assignment, vec![turn_ended(&input, "x")]).await;
    assert_eq!(acks[0].verdict(), Verdict::Close);
    worker.report(&assignment, vec![ended(Cause::Closed)]).await;
    server.task_in_state(&id, "done").await;
}

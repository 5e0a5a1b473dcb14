//! Inputs of every mode over HTTP, with a worker that speaks the real protocol.

use hostler_wire::v1;
use hostler_wire::v1::ended::Cause;
use hostler_wire::v1::event_ack::Verdict;
use hostler_wire::v1::execution_event::Event;
use hostler_wire::v1::server_frame::Body as ServerBody;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{
    TestServer, TestWorker, ended, input_of, read, started, turn_ended, turn_started,
};

/// A task whose first turn runs.
async fn running(server: &TestServer, config: Value) -> (TestWorker, v1::Assignment) {
    let body = json!({ "agent_key": "coder", "name": "coder", "config": config });
    server.post("/agents", body).await;
    server.post("/tasks", json!({ "agent_id": "coder", "message": "one" })).await;
    let mut worker = TestWorker::connect(server, "w1", 4).await;
    let assignment = worker.assignment().await;
    let input = input_of(&assignment);
    worker.report(&assignment, vec![started(), turn_started(&input)]).await;
    (worker, assignment)
}

async fn send(server: &TestServer, task: &str, body: Value) -> Value {
    let (status, answer) = server.post(&format!("/tasks/{task}/inputs"), body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    answer
}

async fn outcome(server: &TestServer, sent: &Value) -> Value {
    let id = sent["input"]["id"].as_str().unwrap();
    server.get(&format!("/inputs/{id}")).await.1["outcome"].clone()
}

async fn event_types(server: &TestServer, task: &str) -> Vec<String> {
    let (_, page) = server.get(&format!("/tasks/{task}/events?limit=1000")).await;
    let records = page["records"].as_array().unwrap().iter();
    let types = records.filter_map(|record| record["event_type"].as_str().map(str::to_owned));
    types.collect()
}

#[tokio::test]
async fn a_steer_goes_into_the_running_turn_and_says_so() {
    let server = TestServer::start().await;
    let (mut worker, assignment) = running(&server, json!({ "runner": "scripted" })).await;
    let task = assignment.task_id.clone();
    let sent =
        send(&server, &task, json!({ "message": "left", "queue_mode": " Steer-Backlog " })).await;
    assert_eq!((&sent["outcome"], &sent["run_id"]), (&json!("direct"), &json!(assignment.run_id)));
    let ServerBody::Give(give) = worker.next().await else { panic!("a message is given") };
    let given = &give.inputs[0];
    assert!(given.steer);
    assert_eq!(given.attempt_id, assignment.attempt_id);
    let input = given.input.as_ref().unwrap();
    assert_eq!(input.message, "left");
    assert_eq!(outcome(&server, &sent).await, Value::Null);
    let injected = Event::Injected(v1::Injected { input_id: input.input_id.clone() });
    worker.report(&assignment, vec![injected]).await;
    assert_eq!(outcome(&server, &sent).await, "injected");
    let types = event_types(&server, &task).await;
    assert!(types.ends_with(&["input_steered".to_owned(), "input_injected".to_owned()]));
}

#[tokio::test]
async fn an_interrupt_keeps_the_process_and_its_message_is_the_next_turn() {
    let server = TestServer::start().await;
    let (mut worker, assignment) = running(&server, json!({ "runner": "scripted" })).await;
    let first = input_of(&assignment);
    let task = assignment.task_id.clone();
    let later = send(&server, &task, json!({ "message": "later" })).await;
    let sent = send(&server, &task, json!({ "message": "stop", "queue_mode": "interrupt" })).await;
    assert_eq!((&later["outcome"], &sent["outcome"]), (&json!("queued"), &json!("interrupted")));
    let ServerBody::Interrupt(interrupt) = worker.next().await else { panic!("an interrupt") };
    assert_eq!(interrupt.attempt_ids, std::slice::from_ref(&assignment.attempt_id));
    let Event::TurnEnded(mut aborted) = turn_ended(&first, "") else { unreachable!() };
    (aborted.is_error, aborted.reason) = (true, "aborted_tools".to_owned());
    let acks = worker.report(&assignment, vec![Event::TurnEnded(aborted)]).await;
    assert_eq!(acks[0].verdict(), Verdict::Next);
    let next = acks[0].input.clone().unwrap();
    assert_eq!(next.message, "stop");
    let events = vec![turn_started(&next.input_id), turn_ended(&next.input_id, "stopped")];
    let acks = worker.report(&assignment, events).await;
    assert_eq!(acks[1].input.as_ref().unwrap().message, "later");
    assert_eq!(outcome(&server, &sent).await, "turn");
    let (_, run) = server.get(&format!("/runs/{}", assignment.run_id)).await;
    assert_eq!(run["status"], "running");
}

#[tokio::test]
async fn a_warm_process_waits_takes_the_next_message_and_is_closed() {
    let server = TestServer::start().await;
    let config = json!({ "runner": "scripted", "idle_timeout_ms": 300 });
    let (mut worker, assignment) = running(&server, config).await;
    let task = assignment.task_id.clone();
    let acks = worker.report(&assignment, vec![turn_ended(&input_of(&assignment), "1")]).await;
    assert_eq!(acks[0].verdict(), Verdict::Wait);
    server.task_in_state(&task, "waiting").await;
    let path = format!("/runs/{}/interaction", assignment.run_id);
    assert_eq!(server.get(&path).await.1["state"], "waiting_for_input");
    let sent = send(&server, &task, json!({ "message": "two" })).await;
    assert_eq!((&sent["outcome"], &sent["task"]["state"]), (&json!("direct"), &json!("running")));
    assert_eq!(server.get(&path).await.1["state"], "working");
    let ServerBody::Give(give) = worker.next().await else { panic!("the next turn is given") };
    assert!(!give.inputs[0].steer);
    let id = give.inputs[0].input.as_ref().unwrap().input_id.clone();
    let acks = worker.report(&assignment, vec![turn_started(&id), turn_ended(&id, "2")]).await;
    assert_eq!(acks[1].verdict(), Verdict::Wait);
    let ServerBody::Close(close) = worker.next().await else { panic!("it is closed") };
    assert_eq!(close.attempt_ids, std::slice::from_ref(&assignment.attempt_id));
    worker.report(&assignment, vec![ended(Cause::Closed)]).await;
    server.task_in_state(&task, "done").await;
    assert_eq!(server.get(&path).await.1["state"], "closed");
}

#[tokio::test]
async fn collected_messages_are_one_turn() {
    let server = TestServer::start().await;
    let (mut worker, assignment) = running(&server, json!({ "runner": "scripted" })).await;
    let task = assignment.task_id.clone();
    let one = send(&server, &task, json!({ "message": "one", "queue_mode": "collect" })).await;
    let two = send(&server, &task, json!({ "message": "two", "queue_mode": "collect" })).await;
    let acks = worker.report(&assignment, vec![turn_ended(&input_of(&assignment), "1")]).await;
    assert_eq!(acks[0].verdict(), Verdict::Wait);
    let ServerBody::Give(give) = worker.next().await else { panic!("the turn is given") };
    let input = give.inputs[0].input.clone().unwrap();
    assert_eq!(input.message, "one\n\ntwo");
    worker.report(&assignment, vec![turn_started(&input.input_id)]).await;
    assert_eq!(outcome(&server, &one).await, "collected");
    assert_eq!(outcome(&server, &two).await, "collected");
}

#[tokio::test]
async fn a_waiting_input_is_listed_edited_moved_and_withdrawn() {
    let server = TestServer::start().await;
    let (mut worker, assignment) = running(&server, json!({ "runner": "scripted" })).await;
    let task = assignment.task_id.clone();
    let mut ids = Vec::new();
    for message in ["a", "b", "c"] {
        let sent = send(&server, &task, json!({ "message": message })).await;
        ids.push(sent["input"]["id"].as_str().unwrap().to_owned());
    }
    let change = async |method: Method, id: &str, body: Value| {
        let request = server.request(method, &format!("/inputs/{id}")).json(&body);
        read(request.send().await.unwrap()).await
    };
    let (status, edited) = change(Method::PATCH, &ids[2], json!({ "message": " C " })).await;
    assert_eq!((status, &edited["message"]), (StatusCode::OK, &json!("C")));
    let (status, moved) = change(Method::PATCH, &ids[2], json!({ "position": 0 })).await;
    assert_eq!((status, &moved["position"]), (StatusCode::OK, &json!(0)));
    let (_, list) = server.get(&format!("/tasks/{task}/inputs")).await;
    let places: Vec<&Value> =
        list["inputs"].as_array().unwrap().iter().map(|one| &one["position"]).collect();
    // The first one is in its turn already.
    assert_eq!(places, [&json!(null), &json!(1), &json!(2), &json!(0)]);
    let (status, gone) = change(Method::DELETE, &ids[1], json!(null)).await;
    assert_eq!((status, &gone["outcome"]), (StatusCode::OK, &json!("withdrawn")));
    let (status, problem) = change(Method::DELETE, &ids[1], json!(null)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("input_not_waiting")));
    let (status, problem) = change(Method::PATCH, &ids[0], json!({ "message": "" })).await;
    assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("message")));
    let (status, problem) = change(Method::PATCH, "nothing", json!({})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("input_not_found")));
    let acks = worker.report(&assignment, vec![turn_ended(&input_of(&assignment), "1")]).await;
    assert_eq!(acks[0].input.as_ref().unwrap().message, "C");
}

#[tokio::test]
async fn an_unknown_mode_names_the_list() {
    let server = TestServer::start().await;
    let (_worker, assignment) = running(&server, json!({ "runner": "scripted" })).await;
    let body = json!({ "message": "m", "queue_mode": "shout" });
    let (status, problem) =
        server.post(&format!("/tasks/{}/inputs", assignment.task_id), body).await;
    assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("queue_mode")));
    let text = problem["detail"].as_str().unwrap();
    for mode in ["queue", "followup", "collect", "steer", "steer-backlog", "interrupt"] {
        assert!(text.contains(mode), "{text}");
    }
}

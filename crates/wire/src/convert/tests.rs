use hostler_core::code::Rejection;
use hostler_core::id::{AgentId, InputId, RunId, TaskId, WorkspaceId};
use hostler_core::input::{self, Delivery, Mode};
use hostler_core::policy::{PolicyPatch, merge};
use hostler_core::run;
use hostler_core::session::SessionId;
use hostler_core::stream::{Body, Channel, Record};
use hostler_core::task::Priority;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::json::CreateTask;
use crate::json::word::WaitCode;

const AT: Timestamp = Timestamp(1_763_842_530_123);
const AT_TEXT: &str = "2025-11-22T20:15:30.123Z";
const ID: &str = "00000000-0000-0000-0000-000000000000";

fn a_task() -> Task {
    Task {
        id: TaskId(Uuid::nil()),
        workspace_id: WorkspaceId(1),
        agent_id: AgentId(Uuid::nil()),
        session_id: SessionId("s".to_owned()),
        state: task::State::Queued,
        queue_mode: Mode::Queue,
        priority: Priority::Normal,
        idempotency_key: "k".to_owned(),
        first_input_id: InputId(Uuid::nil()),
        details: Details { timeout_ms: 600_000, label: Some("l".to_owned()), ..Details::default() },
        policy: Policy::default(),
        instance_key: "execclass_1".to_owned(),
        target_run_id: None,
        inbox: vec![InputId(Uuid::nil())],
        parked: None,
        wake_at: None,
        schedule_id: None,
        budget: None,
        usage: run::Usage::default(),
        turn_count: 0,
        cancel_requested_at: None,
        error: None,
        dropped_reason: None,
        accepted_at: AT,
        queued_at: Some(AT),
        dispatched_at: None,
        archived_at: None,
        rested_at: None,
        created_at: AT,
        updated_at: AT,
    }
}

fn an_input() -> Input {
    Input {
        id: InputId(Uuid::nil()),
        workspace_id: WorkspaceId(1),
        task_id: TaskId(Uuid::nil()),
        mode: Mode::Queue,
        message: "hello".to_owned(),
        attachments: Vec::new(),
        details: json::Object::new(),
        idempotency_key: "k".to_owned(),
        state: input::State::Waiting,
        delivery: Delivery::Queued,
        outcome: None,
        reason: None,
        run_id: None,
        created_at: AT,
        updated_at: AT,
    }
}

fn value(of: impl serde::Serialize) -> Value {
    serde_json::to_value(of).unwrap()
}

#[test]
fn a_task_has_the_originals_fields_and_leaves_absent_ones_out() {
    let code = WaitCode::InstanceFull;
    let waiting_on = WaitingOn { code, message: "1 of 1 is busy".to_owned() };
    let expected = json!({
        "id": ID,
        "workspace_id": 1,
        "agent_id": ID,
        "session_id": "s",
        "queue_mode": "queue",
        "state": "queued",
        "priority": "normal",
        "idempotency_key": "k",
        "payload_json": {
            "message": "hello",
            "session_id": "s",
            "agent_id": ID,
            "timeout_ms": 600_000,
            "policy": {
                "host": "sandbox",
                "security": "allowlist",
                "ask": "off",
                "runtime_type": "gvisor",
                "workspace_access": "rw",
                "network_enabled": true,
                "interactive": false,
                "resources": {},
                "retry": { "max_attempts": 2, "delay_ms": 0 },
            },
            "instance_key": "execclass_1",
            "label": "l",
        },
        "routing_json": {},
        "instance_key": "execclass_1",
        "waiting_on": { "code": "instance_full", "message": "1 of 1 is busy" },
        "pending_inputs": 1,
        "usage_json": {
            "input_tokens": 0,
            "output_tokens": 0,
            "cache_read_tokens": 0,
            "cache_write_tokens": 0,
            "total_cost_usd": 0.0,
            "turns": 0,
        },
        "turn_count": 0,
        "accepted_at": AT_TEXT,
        "queued_at": AT_TEXT,
        "created_at": AT_TEXT,
        "updated_at": AT_TEXT,
    });
    let got = task(&a_task(), Some(&an_input()), Some(waiting_on));
    assert_eq!(value(&got), expected);
    let back: json::Task = serde_json::from_value(expected).unwrap();
    assert_eq!(back, got);
}

#[test]
fn the_answer_to_a_new_task_has_four_fields_and_to_an_input_six() {
    let names =
        |value: Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let mut made = Accepted {
        task: a_task(),
        input: an_input(),
        idempotent_hit: false,
        is_input: false,
        waiting_on: None,
    };
    let answer = value(accepted(&made, None));
    assert_eq!(answer["run_id"], Value::Null);
    assert_eq!(answer["task"]["payload_json"]["message"], "hello");
    assert_eq!(names(answer), ["accepted", "idempotent_hit", "run_id", "task"]);

    made.is_input = true;
    let answer = value(accepted(&made, None));
    assert_eq!(answer["outcome"], "queued");
    let all = ["accepted", "idempotent_hit", "input", "outcome", "run_id", "task"];
    assert_eq!(names(answer), all);
    assert_eq!(names(value(input_accepted(&made, None))), all);
}

#[test]
fn one_of_many_answers_is_an_answer_or_a_problem_with_its_status() {
    let made = Accepted {
        task: a_task(),
        input: an_input(),
        idempotent_hit: true,
        is_input: false,
        waiting_on: None,
    };
    let accepted = accepted(&made, None);
    let good =
        json::BatchResult::Accepted(Box::new(json::task::BatchAccepted { status: 200, accepted }));
    let refused = CreateTask::read(json!({ "mesage": "x" })).unwrap_err();
    let bad = json::BatchResult::Refused(refused.into());
    let created = json::Created { results: vec![good, bad] };
    let text = value(&created);
    assert_eq!(text["results"][0]["status"], 200);
    assert_eq!(text["results"][0]["idempotent_hit"], true);
    assert_eq!(text["results"][1]["status"], 400);
    assert_eq!(text["results"][1]["code"], "invalid_body");
    assert_eq!(serde_json::from_value::<json::Created>(text).unwrap(), created);
}

#[test]
fn a_command_reaches_core_as_it_came() {
    let command = CreateTask::read(json!({
        "message": " hi ",
        "agent_id": "a",
        "timeout_ms": -1,
        "policy": { "security": "root", "resources": { "cpu": 1.0 }, "retry": { "delay_ms": 5 } },
        "routing": { "to": "x", "thread_id": null },
        "input_provenance": { "source": "mail" },
        "attachments": [1],
        "priority": "soon",
    }))
    .unwrap()
    .into_command();
    assert_eq!(command.message.as_deref(), Some(" hi "));
    assert_eq!(command.agent.as_deref(), Some("a"));
    assert_eq!(command.timeout_ms, Some(-1));
    let policy = command.policy.unwrap();
    assert_eq!(policy.security.as_deref(), Some("root"));
    assert_eq!(Value::from(policy.resources.unwrap()), json!({ "cpu": 1.0 }));
    assert_eq!(policy.retry.unwrap().delay_ms, Some(5));
    assert_eq!(Value::from(command.routing), json!({ "to": "x" }));
    assert_eq!(Value::from(command.input_provenance.unwrap()), json!({ "source": "mail" }));
    assert_eq!(command.attachments, [json!(1)]);
    assert_eq!(command.priority.as_deref(), Some("soon"));
}

#[test]
fn each_field_of_a_policy_has_a_source() {
    let patch = PolicyPatch { ask: Some("always".to_owned()), ..PolicyPatch::default() };
    let policy = merge(&Policy::default(), &patch, Source::Command).unwrap();
    let sources = policy_sources(&policy);
    assert_eq!(sources.len(), POLICY_FIELDS.len());
    assert_eq!(sources["ask"], Source::Command);
    assert_eq!(sources["retry.delay_ms"], Source::Default);
}

#[test]
fn cost_is_given_in_dollars_and_the_snapshots_counter_is_a_counter() {
    let run = a_run();
    let shown = value(self::run(&run, None, None));
    assert_eq!(shown["usage_json"]["total_cost_usd"], 0.0125);
    assert_eq!(shown["usage_json"]["turns"], 2);
    assert_eq!(shown["snapshot_ts"], 3);
    assert_eq!(shown["delivery_json"], json!({}));
    assert_eq!(shown.get("claimed_by_worker_id"), None);

    let claim = Claim { worker_id: "w".to_owned(), heartbeat_at: None, expires_at: Some(AT) };
    let shown = value(self::run(&run, Some(&a_task().details), Some(&claim)));
    assert_eq!(shown["claimed_by_worker_id"], "w");
    assert_eq!(shown["claim_expires_at"], AT_TEXT);
}

fn a_run() -> Run {
    Run {
        id: RunId(Uuid::nil()),
        workspace_id: WorkspaceId(1),
        agent_id: AgentId(Uuid::nil()),
        origin_task_id: TaskId(Uuid::nil()),
        session_id: SessionId("s".to_owned()),
        status: run::Status::Running,
        policy: Policy::default(),
        runtime: None,
        runtime_note: None,
        provider: None,
        model: None,
        timeout_ms: 0,
        instance_key: "execclass_1".to_owned(),
        input_id: None,
        merged: Vec::new(),
        live_attempt_id: None,
        attempt_count: 1,
        excused_count: 0,
        loss_count: 0,
        turn_count: 2,
        usage: Usage { cost_micro_usd: 12_500, ..Usage::default() },
        result: None,
        waiting_for_input: false,
        error: None,
        failure: None,
        snapshot_seq: 3,
        started_at: Some(AT),
        ended_at: None,
        created_at: AT,
        updated_at: AT,
    }
}

#[test]
fn a_question_stays_open_after_its_run_until_the_task_goes_on() {
    let mut run = a_run();
    let state = |run: &Run, task| value(interaction(run, task, &[]))["state"].clone();
    assert_eq!(state(&run, task::State::Running), "working");
    // Its process is kept warm.
    assert_eq!(state(&run, task::State::Waiting), "waiting_for_input");
    run.waiting_for_input = true;
    assert_eq!(state(&run, task::State::Running), "working");
    run.status = run::Status::Ok;
    assert_eq!(state(&run, task::State::Waiting), "waiting_for_input");
    assert_eq!(state(&run, task::State::Cancelled), "closed");
}

#[test]
fn records_have_the_originals_shape_as_well() {
    let log = Record {
        ts: AT,
        run_id: None,
        attempt_id: None,
        body: Body::Log {
            stream: Channel::Stdout,
            data: "x".to_owned(),
            chunk_type: "text".to_owned(),
            metadata: None,
        },
    };
    let Original::Log(entry) = original(TaskId(Uuid::nil()), record(7, &log)) else {
        panic!("a log line is one");
    };
    let expected = json!({
        "task_id": ID, "timestamp": AT.0, "seq_num": 7, "event_id": format!("{ID}:7"),
        "stream": "stdout", "data": "x", "chunk_type": "text",
    });
    assert_eq!(value(entry), expected);

    let event = Record {
        ts: AT,
        run_id: Some(RunId(Uuid::nil())),
        attempt_id: None,
        body: Body::Event { event_type: "accepted".to_owned(), payload: json::Object::new() },
    };
    let Original::Event(event) = original(TaskId(Uuid::nil()), record(8, &event)) else {
        panic!("an event is one");
    };
    let expected = json!({
        "run_id": ID, "event_type": "accepted", "ts": AT.0,
        "payload": { "run_id": ID, "event_type": "accepted" },
    });
    assert_eq!(value(event), expected);
}

const SECRET: &str = "s3cr3t-value";

/// What is shown holds no secret, and says where one was.
fn hides(shown: impl serde::Serialize) -> Value {
    let shown = value(shown);
    let text = shown.to_string();
    assert!(!text.contains(SECRET), "{text}");
    assert!(text.contains(redact::REDACTED), "{text}");
    shown
}

fn said() -> String {
    format!("use API_KEY={SECRET} please")
}

fn an_object() -> json::Object {
    let object = json!({ "api_key": SECRET, "note": said(), "input_tokens": 100 });
    object.as_object().cloned().unwrap()
}

fn a_secret_input() -> Input {
    Input {
        message: said(),
        attachments: vec![Value::from(an_object())],
        details: an_object(),
        reason: Some(said()),
        ..an_input()
    }
}

#[test]
fn a_task_and_its_inputs_are_shown_without_secrets() {
    let mut row = a_task();
    row.error = Some(said());
    row.dropped_reason = Some(said());
    row.details = Details {
        session_key: Some(SECRET.to_owned()),
        extra_system_prompt: Some(said()),
        input_provenance: Some(an_object()),
        label: Some(said()),
        spawned_by: Some(said()),
        routing: an_object(),
        dir: Some(said()),
        ..Details::default()
    };
    let waiting_on = waiting::WaitingOn { code: WaitCode::InstanceFull, message: said() };
    let shown = hides(task(&row, Some(&a_secret_input()), Some(waiting_on.into())));
    assert_eq!(shown["payload_json"]["message"], "use API_KEY=[REDACTED] please");
    assert_eq!(shown["payload_json"]["session_key"], "[REDACTED]");
    assert_eq!(shown["routing_json"]["input_tokens"], 100);
    assert_eq!(shown["payload_json"]["timeout_ms"], 0);

    hides(input(&a_secret_input(), &a_task()));
    hides(pending_input(&a_secret_input()));
    hides(interaction(&a_run(), task::State::Running, &[a_secret_input()]));
}

#[test]
fn a_run_its_attempts_and_snapshots_are_shown_without_secrets_and_usage_stays() {
    let mut row = a_run();
    row.error = Some(said());
    row.result = Some(said());
    row.runtime_note = Some(said());
    row.usage.input_tokens = 7;
    let details = Details { session_key: Some(SECRET.to_owned()), ..Details::default() };
    let shown = hides(run(&row, Some(&details), None));
    assert_eq!(shown["usage_json"]["input_tokens"], 7);

    let row = Attempt {
        id: json::AttemptId(Uuid::nil()),
        run_id: RunId(Uuid::nil()),
        task_id: TaskId(Uuid::nil()),
        attempt_no: 1,
        status: hostler_core::attempt::Status::Error,
        strategy: hostler_core::attempt::Strategy::Primary,
        worker_id: hostler_core::id::WorkerId("w".to_owned()),
        term: 1,
        runtime: None,
        provider: None,
        model: None,
        exit_code: Some(1),
        error: Some(said()),
        failure: None,
        started_at: None,
        ended_at: None,
        created_at: AT,
        updated_at: AT,
    };
    hides(attempt(&row, &Policy::default()));

    let row = Snapshot {
        run_id: RunId(Uuid::nil()),
        seq: 1,
        status: run::Status::Error,
        started_at: None,
        ended_at: None,
        error: Some(said()),
        at: AT,
        payload: an_object(),
    };
    let shown = hides(snapshot(&row));
    assert_eq!(shown["payload_json"]["input_tokens"], 100);
}

#[test]
fn an_agents_config_is_shown_without_secrets() {
    let config = json!({
        "env": { "GITHUB_TOKEN": SECRET, "PATH": "/bin", "FLAGS": said() },
        "budget": { "max_tokens": 1000 },
        "x-password": { "a": SECRET },
        "command": ["run", format!("--token={SECRET}")],
    });
    let row = Agent {
        id: AgentId(Uuid::nil()),
        workspace_id: WorkspaceId(1),
        agent_key: "a".to_owned(),
        name: said(),
        config: config.as_object().cloned().unwrap(),
        active: true,
        deleted_at: None,
        created_at: AT,
        updated_at: AT,
    };
    let shown = hides(agent(&row));
    let expected = json!({
        "env": {
            "GITHUB_TOKEN": "[REDACTED]",
            "PATH": "/bin",
            "FLAGS": "use API_KEY=[REDACTED] please",
        },
        "budget": { "max_tokens": 1000 },
        "x-password": "[REDACTED]",
        "command": ["run", "--token=[REDACTED]"],
    });
    assert_eq!(shown["config_json"], expected);
}

#[test]
fn labels_are_hidden_by_their_names() {
    let labels = [("zone", "a"), ("join_token", SECRET), ("note", &said())];
    let labels = labels.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let shown = hides(dispatch::redacted_labels(&labels));
    assert_eq!(shown["zone"], "a");
}

#[test]
fn records_are_shown_without_secrets_in_both_shapes() {
    let bodies = [
        Body::Log {
            stream: Channel::Stdout,
            data: said(),
            chunk_type: "json".to_owned(),
            metadata: Some(an_object()),
        },
        Body::Event { event_type: "accepted".to_owned(), payload: an_object() },
    ];
    for body in bodies {
        let row = Record { ts: AT, run_id: None, attempt_id: None, body };
        hides(record(1, &row));
        match original(TaskId(Uuid::nil()), record(1, &row)) {
            Original::Log(entry) => hides(entry)["metadata"]["input_tokens"].clone(),
            Original::Event(event) => hides(event)["payload"]["input_tokens"].clone(),
        };
    }
    hides(prompt(&a_task(), &a_secret_input()));
}

#[test]
fn a_refusal_does_not_repeat_a_secret() {
    let refused =
        Rejection::invalid("config.env", format!("invalid env: {{\"TOKEN\":\"{SECRET}\"}}"));
    hides(json::Problem::from(refused));
}

#[test]
fn a_command_of_a_batch_names_the_field_that_cannot_be_read() {
    let read = |command: Value| {
        let refused = CreateTask::read(command).unwrap_err();
        (refused.field, refused.message)
    };
    let (field, message) = read(json!({ "policy": { "retry": [1] } }));
    assert_eq!(field.as_deref(), Some("policy.retry"));
    assert_eq!(message, "a list; an object is read");
    let (field, message) = read(json!({ "mesage": "x" }));
    assert_eq!(field.as_deref(), Some("mesage"));
    assert!(message.starts_with("unknown field `mesage`"), "{message}");
}

//! Rows as the engine writes them, for the cases, the differential run and measurements.

use hostler_core::agent::Agent;
use hostler_core::attempt::{self, Attempt, Strategy};
use hostler_core::batch::Write;
use hostler_core::capacity::Instance;
use hostler_core::capacity::needs::{POOL_DEFAULT, Room};
use hostler_core::id::{
    AgentId, AttemptId, IncarnationId, InputId, RunId, ScheduleId, TaskId, WorkerId, WorkspaceId,
};
use hostler_core::idempotency::Receipt;
use hostler_core::input::{self, Delivery, Input, Mode};
use hostler_core::key::{Key, Row, Version};
use hostler_core::lease::{self, Lease, Turn};
use hostler_core::policy::{Policy, RuntimeType};
use hostler_core::run::{self, Run, Snapshot};
use hostler_core::schedule::{Missed, Overlap, Schedule};
use hostler_core::session::{Session, SessionId};
use hostler_core::stream::{Append, Body, Channel, Record};
use hostler_core::task::{self, Details, Priority, Task};
use hostler_core::time::Timestamp;
use hostler_core::worker::{Offer, Status, Worker};
use hostler_core::workspace::Workspace;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// An id of the given kind and number: the same number gives ids in the same order.
pub fn uuid(kind: u8, number: u64) -> Uuid {
    let mut tail = [kind; 10];
    tail[2..].copy_from_slice(&number.to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(1_700_000_000_000 + number, &tail).into_uuid()
}

pub fn agent_id(number: u64) -> AgentId {
    AgentId(uuid(1, number))
}

pub fn task_id(number: u64) -> TaskId {
    TaskId(uuid(2, number))
}

pub fn input_id(number: u64) -> InputId {
    InputId(uuid(3, number))
}

pub fn run_id(number: u64) -> RunId {
    RunId(uuid(4, number))
}

pub fn attempt_id(number: u64) -> AttemptId {
    AttemptId(uuid(5, number))
}

pub fn worker_id(number: u64) -> WorkerId {
    WorkerId(format!("worker-{number}"))
}

pub fn session_id(number: u64) -> SessionId {
    SessionId(uuid(6, number).to_string())
}

pub fn instance_key(number: u64) -> String {
    format!("execclass_{number:032x}")
}

pub fn workspace(id: u64) -> Workspace {
    Workspace::new(WorkspaceId(id), format!("space-{id}"), Timestamp(7))
}

pub fn agent(number: u64) -> Agent {
    Agent {
        id: agent_id(number),
        workspace_id: WorkspaceId::DEFAULT,
        agent_key: format!("agent-{number}"),
        name: format!("Agent {number}"),
        config: object(json!({"model": "sonnet", "nested": {"ü": [1, 2.5, null]}})),
        active: true,
        deleted_at: None,
        created_at: Timestamp(10),
        updated_at: Timestamp(11),
    }
}

/// Queued at the time of its number, on an instance and a session of its own number.
pub fn task(number: u64) -> Task {
    let at = Timestamp(1_700_000_000_000 + number.cast_signed());
    Task {
        id: task_id(number),
        workspace_id: WorkspaceId::DEFAULT,
        agent_id: agent_id(1),
        session_id: session_id(number),
        state: task::State::Queued,
        queue_mode: Mode::Followup,
        priority: Priority::Normal,
        idempotency_key: uuid(7, number).to_string(),
        first_input_id: input_id(number),
        details: Details::default(),
        policy: Policy::default(),
        instance_key: instance_key(number),
        target_run_id: None,
        inbox: vec![input_id(number)],
        parked: None,
        wake_at: None,
        schedule_id: None,
        budget: None,
        usage: run::Usage::default(),
        turn_count: 0,
        cancel_requested_at: None,
        error: None,
        dropped_reason: None,
        accepted_at: at,
        queued_at: Some(at),
        dispatched_at: None,
        archived_at: None,
        rested_at: None,
        created_at: at,
        updated_at: at,
    }
}

pub fn input(number: u64, task: TaskId) -> Input {
    let at = Timestamp(1_700_000_000_000 + number.cast_signed());
    Input {
        id: input_id(number),
        workspace_id: WorkspaceId::DEFAULT,
        task_id: task,
        mode: Mode::Followup,
        message: "Read the issue, find the cause, write a test that shows it, and mend it.".into(),
        attachments: Vec::new(),
        details: Map::new(),
        idempotency_key: uuid(7, number).to_string(),
        state: input::State::Waiting,
        delivery: Delivery::Queued,
        outcome: None,
        reason: None,
        run_id: None,
        created_at: at,
        updated_at: at,
    }
}

pub fn run(number: u64, task: &Task) -> Run {
    Run {
        id: run_id(number),
        workspace_id: task.workspace_id,
        agent_id: task.agent_id,
        origin_task_id: task.id,
        session_id: task.session_id.clone(),
        status: run::Status::Accepted,
        policy: task.policy.clone(),
        runtime: Some("gvisor".into()),
        runtime_note: None,
        provider: Some("anthropic".into()),
        model: Some("sonnet".into()),
        timeout_ms: 600_000,
        instance_key: task.instance_key.clone(),
        input_id: Some(task.first_input_id),
        merged: Vec::new(),
        live_attempt_id: Some(attempt_id(number)),
        attempt_count: 1,
        excused_count: 0,
        loss_count: 0,
        turn_count: 0,
        usage: run::Usage::default(),
        result: None,
        waiting_for_input: false,
        error: None,
        failure: None,
        snapshot_seq: 1,
        started_at: None,
        ended_at: None,
        created_at: task.created_at,
        updated_at: task.created_at,
    }
}

pub fn attempt(number: u64, run: &Run) -> Attempt {
    Attempt {
        id: attempt_id(number),
        run_id: run.id,
        task_id: run.origin_task_id,
        attempt_no: 1,
        status: attempt::Status::Pending,
        strategy: Strategy::Primary,
        worker_id: worker_id(1),
        term: 1,
        runtime: Some("gvisor".into()),
        provider: Some("anthropic".into()),
        model: Some("sonnet".into()),
        exit_code: None,
        error: None,
        failure: None,
        started_at: None,
        ended_at: None,
        created_at: run.created_at,
        updated_at: run.created_at,
    }
}

pub fn lease(attempt: &Attempt, run: &Run) -> Lease {
    Lease {
        attempt_id: attempt.id,
        run_id: run.id,
        task_id: run.origin_task_id,
        workspace_id: run.workspace_id,
        session_id: run.session_id.clone(),
        instance_key: run.instance_key.clone(),
        worker_id: attempt.worker_id.clone(),
        incarnation: IncarnationId(uuid(8, 1)),
        term: attempt.term,
        state: lease::State::Granted,
        turn: Turn::Given(input_id(1)),
        can: lease::Can::default(),
        steers: Vec::new(),
        returned: Vec::new(),
        interrupted: false,
        stop: None,
        idle_until: None,
        spent: run::Usage::default(),
        resources: lease::Resources::default(),
        late: None,
        ended_turns: 0,
        next_chunk: 0,
    }
}

pub fn session(task: &Task) -> Session {
    let mut session = Session::new(task.workspace_id, task.session_id.clone());
    session.set_task(task.agent_id, task.id);
    session
}

/// With room and nothing queued.
pub fn instance(number: u64) -> Instance {
    let policy = Policy::default();
    // Some are made at the same time.
    let made = Timestamp(20 + number as i64 % 2);
    let mut instance = Instance::new(instance_key(number), &agent(1), &policy, made);
    (instance.concurrency, instance.pass) = (2, number);
    instance
}

/// Of a worker that runs everything and does not say how much it has.
pub fn room() -> Room {
    Room {
        pool: POOL_DEFAULT.into(),
        runtime_types: RuntimeType::ALL.to_vec(),
        labels: std::collections::BTreeMap::new(),
        cpu_millis: None,
        memory_bytes: None,
        gpus: 0,
    }
}

pub fn worker(number: u64, until: Option<i64>) -> Worker {
    Worker {
        id: worker_id(number),
        incarnation: IncarnationId(uuid(8, number)),
        status: Status::Available,
        offer: Offer { runtimes: vec!["gvisor".into()], cpu_millis: 4_000, ..Offer::default() },
        until: until.map(Timestamp),
        renewal: 3,
        grant_count: 0,
        reserved: lease::Resources::default(),
        connected_at: Timestamp(30),
        updated_at: Timestamp(31),
    }
}

pub fn receipt(task: TaskId, input: InputId) -> Receipt {
    Receipt { task_id: task, input_id: input, body_hash: "ab".repeat(32) }
}

pub fn snapshot(run: RunId, seq: u32, status: run::Status) -> Snapshot {
    Snapshot {
        run_id: run,
        seq,
        status,
        started_at: None,
        ended_at: None,
        error: None,
        at: Timestamp(40 + i64::from(seq)),
        payload: object(json!({"event": status.as_str(), "attempt_no": 1})),
    }
}

pub fn line(text: &str) -> Record {
    let (run_id, attempt_id) = (Some(run_id(1)), Some(attempt_id(1)));
    let body = Body::Log {
        stream: Channel::Stdout,
        data: text.into(),
        chunk_type: "text".into(),
        metadata: Some(object(json!({"n": 1.5, "flag": true}))),
    };
    Record { ts: Timestamp(1_700_000_000_123), run_id, attempt_id, body }
}

pub fn event(event_type: &str) -> Record {
    let payload = object(json!({"state": "queued", "instance": instance_key(1)}));
    let body = Body::Event { event_type: event_type.into(), payload };
    Record { ts: Timestamp(1_700_000_000_123), run_id: None, attempt_id: None, body }
}

/// Active, with nothing to fire.
pub fn schedule(number: u64) -> Schedule {
    Schedule {
        id: schedule_id(number),
        workspace_id: WorkspaceId::DEFAULT,
        agent_id: agent_id(1),
        cron_expr: "0 9 * * *".into(),
        timezone: "UTC".into(),
        prompt: "Look at the inbox.".into(),
        skill_paths: vec!["skills/inbox/SKILL.md".into()],
        policy: Policy::default(),
        priority: Priority::Normal,
        timeout_ms: 600_000,
        overlap: Overlap::BufferAll,
        catchup_window_ms: 3_600_000,
        jitter_ms: 0,
        pause_after_failures: 0,
        active: true,
        paused_reason: None,
        next_run_at: None,
        fire_at: None,
        last_run_at: None,
        open_tasks: vec![task_id(1)],
        buffered: vec![Timestamp(61)],
        fired_count: 1,
        missed_count: 2,
        failure_count: 0,
        missed_seq: 1,
        missed_grows: true,
        created_by_member_id: Some(7),
        deleted_at: None,
        created_at: Timestamp(60),
        updated_at: Timestamp(60),
    }
}

pub fn schedule_id(number: u64) -> ScheduleId {
    ScheduleId(uuid(9, number))
}

pub fn missed(schedule: u64, seq: u32) -> Missed {
    Missed {
        schedule_id: schedule_id(schedule),
        seq,
        from: Timestamp(70),
        to: Timestamp(70 + i64::from(seq)),
        count: 2,
        reason: "overlap".into(),
        at: Timestamp(90),
    }
}

/// What stands for records that are gone.
pub fn gap(from_seq: u64, to_seq: u64) -> Record {
    let body = Body::Gap { from_seq, to_seq };
    Record { ts: Timestamp(50), run_id: None, attempt_id: None, body }
}

pub fn append(task: u64, records: Vec<Record>) -> Append {
    Append { task_id: task_id(task), records }
}

/// A write of the row under its own key. Three kinds of row do not hold their key: see [`put_at`].
pub fn put(expect: Option<Version>, row: Row) -> Write {
    let key = match &row {
        Row::Workspace(row) => Key::Workspace(row.id),
        Row::Agent(row) => Key::Agent(row.id),
        Row::Task(row) => Key::Task(row.id),
        Row::Input(row) => Key::Input(row.id),
        Row::Run(row) => Key::Run(row.id),
        Row::Attempt(row) => Key::Attempt(row.id),
        Row::Lease(row) => Key::Lease(row.attempt_id),
        Row::Session(row) => Key::Session(row.workspace_id, row.id.clone()),
        Row::Instance(row) => Key::Instance(row.key.clone()),
        Row::Worker(row) => Key::Worker(row.id.clone()),
        Row::Snapshot(row) => Key::Snapshot(row.run_id, row.seq),
        Row::Schedule(row) => Key::Schedule(row.id),
        Row::Missed(row) => Key::Missed(row.schedule_id, row.seq),
        Row::AgentKey(_) | Row::Receipt(_) | Row::Account(_) => {
            unreachable!("its key is not in the row")
        }
    };
    put_at(key, expect, row)
}

pub fn put_at(key: Key, expect: Option<Version>, row: Row) -> Write {
    Write { key, expect, row: Some(std::sync::Arc::new(row)) }
}

pub fn put_task(expect: Option<Version>, task: &Task) -> Write {
    put(expect, Row::Task(Box::new(task.clone())))
}

pub fn put_run(expect: Option<Version>, run: &Run) -> Write {
    put(expect, Row::Run(Box::new(run.clone())))
}

pub fn remove(key: Key, expect: Option<Version>) -> Write {
    Write { key, expect, row: None }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

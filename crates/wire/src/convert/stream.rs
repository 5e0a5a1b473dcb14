//! Records of a task's stream, in the shape of Hostler and in that of the original (STR-3).

use hostler_core::id::TaskId;
use hostler_core::input::Input;
use hostler_core::stream::{Body, Channel, Record};
use hostler_core::task::Task;
use serde_json::{Value, json};

use crate::json;
use crate::json::stream::{RunEvent, TaskLogEntry};
use crate::redact;

/// A record at its place in the stream, redacted; [`original`] only gives it another shape.
pub fn record(seq: u64, record: &Record) -> json::Record {
    let Record { ts, run_id, attempt_id, body } = record;
    let body = match body {
        Body::Log { stream, data, chunk_type, metadata } => json::RecordBody::Log {
            stream: *stream,
            data: redact::copy(data),
            chunk_type: redact::copy(chunk_type),
            metadata: metadata.as_ref().map(super::object),
        },
        Body::Event { event_type, payload } => json::RecordBody::Event {
            event_type: event_type.clone(),
            payload: super::object(payload),
        },
        Body::Gap { from_seq, to_seq } => {
            json::RecordBody::Gap { from_seq: *from_seq, to_seq: *to_seq }
        }
    };
    json::Record { seq, ts: ts.0, run_id: *run_id, attempt_id: *attempt_id, body }
}

/// A record in the shape of the original: a log line (a gap is one, on standard error, since the
/// original has no word for it) or a lifecycle event.
pub fn original(task_id: TaskId, record: json::Record) -> Original {
    let json::Record { seq, ts, run_id, attempt_id, body } = record;
    let execution = attempt_id.map_or_else(|| task_id.to_string(), |id| id.to_string());
    let log = |stream, data, chunk_type, metadata| {
        Original::Log(TaskLogEntry {
            event_id: format!("{execution}:{seq}"),
            task_id: execution,
            timestamp: ts,
            seq_num: seq,
            stream,
            data,
            chunk_type,
            metadata,
        })
    };
    match body {
        json::RecordBody::Log { stream, data, chunk_type, metadata } => {
            log(stream, data, chunk_type, metadata)
        }
        json::RecordBody::Gap { from_seq, to_seq } => {
            let data = format!("records {from_seq} to {to_seq} are gone");
            let metadata = json!({ "from_seq": from_seq, "to_seq": to_seq });
            log(Channel::Stderr, data, "gap".to_owned(), metadata.as_object().cloned())
        }
        json::RecordBody::Event { event_type, mut payload } => {
            // The original repeats these two in the payload.
            payload.insert("event_type".to_owned(), Value::from(event_type.as_str()));
            if let Some(run_id) = run_id {
                payload.insert("run_id".to_owned(), Value::from(run_id.to_string()));
            }
            Original::Event(RunEvent { run_id, event_type, ts, payload })
        }
    }
}

/// The message that a task began with, as the line that stands before all others.
pub fn prompt(task: &Task, first: &Input) -> TaskLogEntry {
    TaskLogEntry {
        task_id: task.id.to_string(),
        timestamp: task.accepted_at.0,
        seq_num: 0,
        event_id: format!("{}:0", task.id),
        stream: Channel::User,
        data: redact::copy(&first.message),
        chunk_type: "task_prompt".to_owned(),
        metadata: None,
    }
}

/// A record in the shape of the original.
#[derive(Clone, Debug, PartialEq)]
pub enum Original {
    Log(TaskLogEntry),
    Event(RunEvent),
}

//! # Streams
//!
//! **What** The ordered log of a task: log lines and lifecycle events with one gapless `seq`
//! across runs and attempts (STR-1).
//!
//! **Invariants** `INV-STREAM-1`: `seq` starts at 1 and has no holes; the keeper gives it in the
//! transaction that stores the record. `INV-STREAM-2`: what was trimmed is stored as a gap.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{AttemptId, RunId, TaskId};
use crate::text::words;
use crate::time::Timestamp;

words! {
    pub enum Channel { Stdout => "stdout", Stderr => "stderr", User => "user" }
}

/// One record, before or after it has its `seq`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub ts: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run_id: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attempt_id: Option<AttemptId>,
    #[serde(flatten)]
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    Log {
        stream: Channel,
        data: String,
        chunk_type: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        metadata: Option<Map<String, Value>>,
    },
    Event {
        event_type: String,
        payload: Map<String, Value>,
    },
    /// Records `from_seq` to `to_seq` are gone.
    Gap {
        from_seq: u64,
        to_seq: u64,
    },
}

/// Records to be put at the end of a task's stream, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    pub task_id: TaskId,
    pub records: Vec<Record>,
}

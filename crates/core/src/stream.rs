//! # Streams
//!
//! **What** The ordered log of a task: log lines and lifecycle events with one gapless `seq`
//! across runs and attempts (STR-1).
//!
//! **Invariants** `INV-STREAM-1`: `seq` starts at 1 and has no holes; the keeper gives it in the
//! transaction that stores the record. `INV-STREAM-2`: what was trimmed is stored as a gap; a
//! cursor before or in it sees it.
//!
//! **Not here** When a stream is trimmed (`retention`).

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

impl Record {
    /// How many numbers of the stream it takes: a gap takes those that it covers.
    pub fn width(&self) -> u64 {
        match self.body {
            Body::Gap { from_seq, to_seq } => to_seq.saturating_sub(from_seq).saturating_add(1),
            Body::Log { .. } | Body::Event { .. } => 1,
        }
    }
}

/// Records to be put at the end of a task's stream, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    pub task_id: TaskId,
    pub records: Vec<Record>,
}

/// The records up to and including `to_seq` are to go; one gap stands in their place, from 1, so
/// that it takes in the one that an earlier trim left. A gap that `to_seq` lies in goes whole.
///
/// One commit removes at most `limits::TRIM_RECORDS_MAX` numbers beyond that gap and says whether
/// it came to the end. Nothing else is ever removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Trim {
    pub task_id: TaskId,
    pub to_seq: u64,
    /// The time that the gap shows.
    pub at: Timestamp,
}

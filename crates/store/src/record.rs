//! Records of streams: their places, what they weigh and how far a trim goes, in one place for all
//! keepers.

use hostler_core::limits;
use hostler_core::stream::{Body, Record, Trim};
use hostler_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::query::{LogRange, Sequenced};

/// How much of a page the record takes: about the bytes of its text.
pub fn weight(record: &Record) -> usize {
    RECORD_BYTES
        + match &record.body {
            Body::Log { data, chunk_type, metadata, .. } => {
                data.len() + chunk_type.len() + metadata.as_ref().map_or(0, weight_of_fields)
            }
            Body::Event { event_type, payload } => event_type.len() + weight_of_fields(payload),
            Body::Gap { .. } => 0,
        }
}

/// What a record and a value take besides their texts.
const RECORD_BYTES: usize = 64;
const VALUE_BYTES: usize = 8;

fn weight_of_fields(fields: &Map<String, Value>) -> usize {
    fields.iter().map(|(name, value)| name.len() + weight_of(value)).sum()
}

fn weight_of(value: &Value) -> usize {
    VALUE_BYTES
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(weight_of).sum(),
            Value::Object(fields) => weight_of_fields(fields),
        }
}

/// What a page still takes in.
pub struct Room {
    records: usize,
    bytes: usize,
    is_empty: bool,
}

impl Room {
    pub fn of(range: &LogRange) -> Self {
        Room { records: range.limit, bytes: range.bytes, is_empty: true }
    }

    /// Whether the record is still in the page; its first one always is.
    pub fn take(&mut self, record: &Record) -> bool {
        let weight = weight(record);
        if self.records == 0 || (weight > self.bytes && !self.is_empty) {
            return false;
        }
        self.records -= 1;
        self.bytes = self.bytes.saturating_sub(weight);
        self.is_empty = false;
        true
    }
}

/// The last number of a record that stands there.
pub fn end(record: &Sequenced) -> u64 {
    record.seq - 1 + record.record.width()
}

/// The end of the gap that the stream begins with; 0 when it begins with no gap.
pub fn end_of_head(first: Option<&Record>) -> u64 {
    let gap = first.filter(|record| matches!(record.body, Body::Gap { .. }));
    gap.map_or(0, Record::width)
}

/// What stands in the place of the records up to `to_seq`.
pub fn head(to_seq: u64, at: Timestamp) -> Record {
    Record { ts: at, run_id: None, attempt_id: None, body: Body::Gap { from_seq: 1, to_seq } }
}

/// How far a trim goes in one commit; `None` when there is nothing left for it.
pub fn reach(trim: &Trim, head: u64, last_seq: u64) -> Option<u64> {
    let reach = trim.to_seq.min(last_seq).min(head.saturating_add(limits::TRIM_RECORDS_MAX));
    (reach > head).then_some(reach)
}

/// Gives the record its place: a gap covers the numbers from there on, as many as before.
pub fn place(record: &Record, seq: u64) -> Record {
    let mut placed = record.clone();
    if let Body::Gap { from_seq, to_seq } = &mut placed.body {
        *to_seq = seq + (to_seq.saturating_sub(*from_seq));
        *from_seq = seq;
    }
    placed
}

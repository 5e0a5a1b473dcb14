//! Streams: one row for each append, so that many records cost one row; a large append takes
//! several, so that a page does not read much more than it shows.

use hostler_core::id::TaskId;
use hostler_core::stream::{Append, Body, Record};
use rusqlite::{Connection, OptionalExtension, Statement, params};

use super::{corrupt, row, unavailable};
use crate::Error;
use crate::query::{LogRange, Sequenced};
use crate::record::{self, Room};

/// What a row holds of an append's records, about.
const ROW_BYTES: usize = 64 << 10;

/// The end of the stream is that of its last row: there is no head to keep.
pub const LAST: &str =
    "SELECT last_seq FROM log WHERE task_id = ?1 ORDER BY first_seq DESC LIMIT 1";

pub const APPEND: &str =
    "INSERT INTO log (task_id, first_seq, last_seq, body) VALUES (?1, ?2, ?3, ?4)";

/// Begins with the row that the first wanted number lies in.
const READ: &str = "SELECT first_seq, body FROM log
    WHERE task_id = ?1 AND first_seq >= coalesce((SELECT first_seq FROM log
      WHERE task_id = ?1 AND first_seq <= ?2 ORDER BY first_seq DESC LIMIT 1), 0)
    ORDER BY first_seq";

/// Gives the records their numbers; the last one of each append.
pub fn append(connection: &Connection, appends: &[Append]) -> Result<Vec<u64>, Error> {
    if appends.is_empty() {
        return Ok(Vec::new());
    }
    let mut last = connection.prepare_cached(LAST).map_err(unavailable)?;
    let mut insert = connection.prepare_cached(APPEND).map_err(unavailable)?;
    let mut body = Vec::new();
    let mut last_seqs = Vec::with_capacity(appends.len());
    for append in appends {
        let task = append.task_id.0.as_bytes().as_slice();
        let stored: Option<i64> =
            last.query_row([task], |row| row.get(0)).optional().map_err(unavailable)?;
        let mut last_seq = stored.unwrap_or(0).cast_unsigned();
        let mut records = append.records.as_slice();
        while !records.is_empty() {
            let (piece, rest) = records.split_at(piece(records));
            last_seq = put(&mut insert, task, last_seq + 1, piece, &mut body)?;
            records = rest;
        }
        last_seqs.push(last_seq);
    }
    Ok(last_seqs)
}

/// How many of the records go into one row.
fn piece(records: &[Record]) -> usize {
    let mut bytes = 0;
    let fits = |record: &&Record| {
        bytes += record::weight(record);
        bytes <= ROW_BYTES
    };
    records.iter().take_while(fits).count().max(1)
}

/// Writes a row of records that begin at `first_seq`; the number of the last one.
pub fn put(
    insert: &mut Statement<'_>,
    task: &[u8],
    first_seq: u64,
    records: &[Record],
    body: &mut Vec<u8>,
) -> Result<u64, Error> {
    let last_seq = first_seq - 1 + records.iter().map(Record::width).sum::<u64>();
    let text = encode(records, first_seq, body)?;
    insert
        .execute(params![task, first_seq.cast_signed(), last_seq.cast_signed(), text])
        .map_err(unavailable)?;
    Ok(last_seq)
}

fn encode<'b>(records: &[Record], first: u64, body: &'b mut Vec<u8>) -> Result<&'b str, Error> {
    body.clear();
    let written = if !records.iter().any(is_gap) {
        serde_json::to_writer(&mut *body, records)
    } else {
        let mut next = first;
        let placed = records.iter().map(|record| {
            let seq = next;
            next += record.width();
            record::place(record, seq)
        });
        serde_json::to_writer(&mut *body, &placed.collect::<Vec<_>>())
    };
    written.map_err(|error| Error::Unavailable(error.into()))?;
    str::from_utf8(body).map_err(|error| Error::Unavailable(error.into()))
}

fn is_gap(record: &Record) -> bool {
    matches!(record.body, Body::Gap { .. })
}

/// The end of a task's stream.
pub fn end(connection: &Connection, task: TaskId) -> Result<u64, Error> {
    let mut last = connection.prepare_cached(LAST).map_err(unavailable)?;
    let stored: Option<i64> = last
        .query_row([task.0.as_bytes().as_slice()], |row| row.get(0))
        .optional()
        .map_err(unavailable)?;
    Ok(stored.unwrap_or(0).cast_unsigned())
}

pub fn read(connection: &Connection, range: &LogRange) -> Result<Vec<Sequenced>, Error> {
    let TaskId(task) = range.task;
    let after = i64::try_from(range.after).unwrap_or(i64::MAX);
    let (mut found, mut room) = (Vec::new(), Room::of(range));
    if range.limit == 0 {
        return Ok(found);
    }
    let mut statement = connection.prepare_cached(READ).map_err(unavailable)?;
    let mut rows = statement
        .query(params![task.as_bytes().as_slice(), after.saturating_add(1)])
        .map_err(unavailable)?;
    while let Some(row) = rows.next().map_err(unavailable)? {
        let first: i64 = row.get(0).map_err(corrupt)?;
        let body = row.get_ref(1).and_then(|value| Ok(value.as_str()?)).map_err(corrupt)?;
        let mut seq = first.cast_unsigned();
        for record in row::from::<Vec<Record>>(body)? {
            let next = seq + record.width();
            if next - 1 > range.after {
                if !room.take(&record) {
                    return Ok(found);
                }
                found.push(Sequenced { seq, record });
            }
            seq = next;
        }
        if found.len() == range.limit {
            return Ok(found);
        }
    }
    Ok(found)
}

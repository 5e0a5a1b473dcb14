//! Streams: one row for each append, so that many records cost one row.

use hostler_core::id::TaskId;
use hostler_core::stream::{Append, Body, Record};
use rusqlite::{Connection, OptionalExtension, params};

use super::{corrupt, row, unavailable};
use crate::query::{LogRange, Sequenced};
use crate::{Error, derived};

/// The end of the stream is that of its last row: there is no head to keep.
const LAST: &str = "SELECT last_seq FROM log WHERE task_id = ?1 ORDER BY first_seq DESC LIMIT 1";

const APPEND: &str = "INSERT INTO log (task_id, first_seq, last_seq, body) VALUES (?1, ?2, ?3, ?4)";

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
        let first_seq = stored.unwrap_or(0).cast_unsigned() + 1;
        let widths: u64 = append.records.iter().map(derived::width).sum();
        let last_seq = first_seq - 1 + widths;
        if widths > 0 {
            let text = encode(&append.records, first_seq, &mut body)?;
            insert
                .execute(params![task, first_seq.cast_signed(), last_seq.cast_signed(), text])
                .map_err(unavailable)?;
        }
        last_seqs.push(last_seq);
    }
    Ok(last_seqs)
}

fn encode<'b>(records: &[Record], first: u64, body: &'b mut Vec<u8>) -> Result<&'b str, Error> {
    body.clear();
    let written = if !records.iter().any(is_gap) {
        serde_json::to_writer(&mut *body, records)
    } else {
        let mut next = first;
        let placed = records.iter().map(|record| {
            let seq = next;
            next += derived::width(record);
            derived::place(record, seq)
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
    let mut found = Vec::new();
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
            let next = seq + derived::width(&record);
            if seq > range.after {
                found.push(Sequenced { seq, record });
            }
            if found.len() == range.limit {
                return Ok(found);
            }
            seq = next;
        }
    }
    Ok(found)
}

//! Trims: the rows of a stream's beginning go, one row with a gap comes in their place.

use hostler_core::stream::{Record, Trim};
use rusqlite::{Connection, OptionalExtension, params};

use super::{corrupt, log, row, unavailable};
use crate::{Error, record};

const FIRST: &str = "SELECT first_seq, body FROM log WHERE task_id = ?1
    ORDER BY first_seq LIMIT 1";

/// The row that a number lies in.
const AT: &str = "SELECT first_seq, body FROM log WHERE task_id = ?1 AND first_seq <= ?2
    ORDER BY first_seq DESC LIMIT 1";

const REMOVE: &str = "DELETE FROM log WHERE task_id = ?1 AND first_seq <= ?2";

/// Whether each trim has come to its end.
pub fn trim(connection: &Connection, trims: &[Trim]) -> Result<Vec<bool>, Error> {
    trims.iter().map(|trim| trim_one(connection, trim)).collect()
}

fn trim_one(connection: &Connection, trim: &Trim) -> Result<bool, Error> {
    let task = trim.task_id.0.as_bytes().as_slice();
    let last = log::end(connection, trim.task_id)?;
    let Some((_, first)) = records(connection, FIRST, task, None)? else { return Ok(true) };
    let Some(reach) = record::reach(trim, record::end_of_head(first.first()), last) else {
        return Ok(true);
    };
    let Some((first_seq, records)) = records(connection, AT, task, Some(reach))? else {
        return Ok(true);
    };
    // The row is cut where the trim ends; a gap there goes whole.
    let (mut to_seq, mut count) = (first_seq - 1, 0);
    while let Some(one) = records.get(count).filter(|_| to_seq < reach) {
        to_seq += one.width();
        count += 1;
    }
    let remove = params![task, first_seq.cast_signed()];
    connection.prepare_cached(REMOVE).and_then(|mut s| s.execute(remove)).map_err(unavailable)?;
    let mut insert = connection.prepare_cached(log::APPEND).map_err(unavailable)?;
    let mut body = Vec::new();
    log::put(&mut insert, task, 1, &[record::head(to_seq, trim.at)], &mut body)?;
    if count < records.len() {
        log::put(&mut insert, task, to_seq + 1, &records[count..], &mut body)?;
    }
    Ok(to_seq >= trim.to_seq.min(last))
}

type Records = (u64, Vec<Record>);

/// A row of the stream: the number that it begins with, and its records.
fn records(
    connection: &Connection,
    sql: &str,
    task: &[u8],
    at: Option<u64>,
) -> Result<Option<Records>, Error> {
    let mut statement = connection.prepare_cached(sql).map_err(unavailable)?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
    let found = match at {
        Some(at) => statement.query_row(params![task, at.cast_signed()], read),
        None => statement.query_row(params![task], read),
    };
    let Some((first, body)) = found.optional().map_err(corrupt)? else { return Ok(None) };
    Ok(Some((first.cast_unsigned(), row::from(&body)?)))
}

//! The searches of the engine, each over an index of what can be found and nothing else.

use hostler_core::batch::{Due, Find, Found};
use hostler_core::id::{AgentId, AttemptId, ScheduleId, TaskId, WorkerId, WorkspaceId};
use hostler_core::limits;
use hostler_core::session::SessionId;
use hostler_core::time::Timestamp;
use rusqlite::types::ToSql;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{ready, unavailable};
use crate::Error;

const CLASSES: &str = "SELECT key FROM instances INDEXED BY instances_agent
    WHERE agent_id = ?1 ORDER BY created_at, key LIMIT ?2";

const HELD: &str = "SELECT key FROM instances INDEXED BY instances_held
    WHERE held = 1 AND workspace_id = ?1 ORDER BY key LIMIT ?2";

const WORKSPACES: &str = "SELECT id, body ->> '$.key' FROM workspaces ORDER BY id";

/// What has a time, by kind, each from an index of its own.
const DUE_TASKS: &str = "SELECT due_at, id FROM tasks INDEXED BY tasks_due
    WHERE due_at IS NOT NULL ORDER BY due_at, id LIMIT ?1";

const DUE_LEASES: &str = "SELECT due_at, attempt_id FROM leases INDEXED BY leases_due
    WHERE due_at IS NOT NULL ORDER BY due_at, attempt_id LIMIT ?1";

const DUE_INSTANCES: &str = "SELECT due_at, key FROM instances INDEXED BY instances_due
    WHERE due_at IS NOT NULL ORDER BY due_at, key LIMIT ?1";

const DUE_SCHEDULES: &str = "SELECT due_at, id FROM schedules INDEXED BY schedules_due
    WHERE due_at IS NOT NULL ORDER BY due_at, id LIMIT ?1";

const DUE_WORKERS: &str = "SELECT until, id, renewal FROM workers INDEXED BY workers_due
    WHERE until IS NOT NULL ORDER BY until, id LIMIT ?1";

const IDLE: &str = "SELECT attempt_id FROM leases INDEXED BY leases_idle
    WHERE due_at IS NOT NULL AND instance_key = ?1 ORDER BY due_at, attempt_id";

const LEASES: &str = "SELECT attempt_id FROM leases INDEXED BY leases_worker
    WHERE worker_id = ?1 ORDER BY attempt_id";

const WAITERS: &str = "SELECT id FROM tasks INDEXED BY tasks_waiting
    WHERE waiter = 1 AND session_id = ?1 AND workspace_id = ?2
    ORDER BY queued_at, id LIMIT ?3";

const SCHEDULES: &str = "SELECT id FROM schedules INDEXED BY schedules_agent
    WHERE deleted = 0 AND agent_id = ?1 ORDER BY id LIMIT ?2";
const RESTED: &str = "SELECT id FROM tasks INDEXED BY tasks_rested
    WHERE rested_at IS NOT NULL AND rested_at <= ?1 ORDER BY rested_at, id LIMIT ?2";

pub fn find(connection: &Connection, find: &Find) -> Result<Found, Error> {
    match find {
        Find::Ready { rooms, limit, after } => {
            ready::search(connection, rooms, *limit, *after).map(Found::Ready)
        }
        Find::Classes { agent: AgentId(agent) } => {
            let of = params![agent.as_bytes().as_slice(), bounded(limits::CLASSES_MAX)];
            classes(connection, CLASSES, of)
        }
        Find::Held { workspace } => classes(
            connection,
            HELD,
            params![workspace.0.cast_signed(), bounded(limits::CLASSES_MAX)],
        ),
        Find::Workspaces => workspaces(connection),
        Find::Due { now, limit } => due(connection, *now, *limit),
        Find::Leases { worker } => leases(connection, LEASES, &worker.0),
        Find::Idle { instance } => leases(connection, IDLE, instance),
        Find::Waiters { workspace, session } => waiters(connection, *workspace, session),
        Find::Schedules { agent, limit } => schedules(connection, *agent, *limit),
        Find::Rested { until, limit } => rested(connection, *until, *limit),
    }
    .map_err(unavailable)
}

fn classes(connection: &Connection, sql: &str, of: &[&dyn ToSql]) -> rusqlite::Result<Found> {
    let mut statement = connection.prepare_cached(sql)?;
    let keys = statement.query_map(of, |row| row.get(0))?;
    keys.collect::<Result<_, _>>().map(Found::Classes)
}

fn workspaces(connection: &Connection) -> rusqlite::Result<Found> {
    let mut statement = connection.prepare_cached(WORKSPACES)?;
    let named = statement.query_map([], |row| {
        let id: i64 = row.get(0)?;
        Ok((WorkspaceId(id.cast_unsigned()), row.get(1)?))
    })?;
    named.collect::<Result<_, _>>().map(Found::Workspaces)
}

fn due(connection: &Connection, now: Timestamp, limit: usize) -> rusqlite::Result<Found> {
    let mut timed = Vec::new();
    let mut take = |sql: &str, read: &dyn Fn(&Row<'_>) -> rusqlite::Result<Due>| {
        timed.extend(until_after(connection, sql, now, limit, read)?);
        Ok::<_, rusqlite::Error>(())
    };
    take(DUE_TASKS, &|row| Ok(Due::Task(TaskId(id(row, 1)?))))?;
    take(DUE_LEASES, &|row| Ok(Due::Lease(AttemptId(id(row, 1)?))))?;
    take(DUE_INSTANCES, &|row| Ok(Due::Instance(row.get(1)?)))?;
    take(DUE_SCHEDULES, &|row| Ok(Due::Schedule(ScheduleId(id(row, 1)?))))?;
    take(DUE_WORKERS, &|row| {
        let renewal: i64 = row.get(2)?;
        Ok(Due::Worker(WorkerId(row.get(1)?), renewal.cast_unsigned()))
    })?;
    timed.sort();
    let mut due = Vec::new();
    for (at, one) in timed {
        if at > now || due.len() == limit {
            return Ok(Found::Due { due, next: Some(at) });
        }
        due.push(one);
    }
    Ok(Found::Due { due, next: None })
}

/// What is due, and the first that is not: one more than asked for tells when to look again.
fn until_after(
    connection: &Connection,
    sql: &str,
    now: Timestamp,
    limit: usize,
    read: &dyn Fn(&Row<'_>) -> rusqlite::Result<Due>,
) -> rusqlite::Result<Vec<(Timestamp, Due)>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([bounded(limit.saturating_add(1))])?;
    let mut timed = Vec::new();
    while let Some(row) = rows.next()? {
        let at = Timestamp(row.get(0)?);
        timed.push((at, read(row)?));
        if at > now {
            break;
        }
    }
    Ok(timed)
}

fn leases(connection: &Connection, sql: &str, of: &str) -> rusqlite::Result<Found> {
    let mut statement = connection.prepare_cached(sql)?;
    let ids = statement.query_map([of], |row| Ok(AttemptId(id(row, 0)?)))?;
    ids.collect::<Result<_, _>>().map(Found::Leases)
}

fn schedules(connection: &Connection, agent: AgentId, limit: usize) -> rusqlite::Result<Found> {
    let mut statement = connection.prepare_cached(SCHEDULES)?;
    let of = params![agent.0.as_bytes().as_slice(), bounded(limit)];
    let ids = statement.query_map(of, |row| Ok(ScheduleId(id(row, 0)?)))?;
    Ok(Found::Schedules(ids.collect::<rusqlite::Result<_>>()?))
}

fn waiters(
    connection: &Connection,
    WorkspaceId(workspace): WorkspaceId,
    session: &SessionId,
) -> rusqlite::Result<Found> {
    let mut statement = connection.prepare_cached(WAITERS)?;
    let limit = bounded(limits::WAITERS_MAX);
    let found = params![session.0, workspace.cast_signed(), limit];
    let ids = statement.query_map(found, |row| Ok(TaskId(id(row, 0)?)))?;
    ids.collect::<Result<_, _>>().map(Found::Waiters)
}

fn rested(connection: &Connection, until: Timestamp, limit: usize) -> rusqlite::Result<Found> {
    let mut statement = connection.prepare_cached(RESTED)?;
    let ids =
        statement.query_map(params![until.0, bounded(limit)], |row| Ok(TaskId(id(row, 0)?)))?;
    ids.collect::<Result<_, _>>().map(Found::Rested)
}

pub fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    Ok(Uuid::from_bytes(row.get(column)?))
}

/// A limit as SQLite takes it.
pub fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

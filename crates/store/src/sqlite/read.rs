//! Rows by key, and the lists.

use hostler_core::id::{AgentId, RunId, TaskId, WorkspaceId};
use hostler_core::key::{Key, Loaded, Row};
use hostler_core::{run, task};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Params, params};
use uuid::Uuid;

use super::find::{bounded, id};
use super::row::{self, Binder};
use super::write::table;
use super::{corrupt, unavailable};
use crate::Error;
use crate::query::{Page, Query, RunFilter, TaskFilter};

/// In one view of the database: outside of one each row takes the file's lock for itself.
pub fn load(connection: &Connection, keys: &[Key]) -> Result<Vec<Loaded>, Error> {
    let view = match connection.is_autocommit() {
        true => Some(connection.unchecked_transaction().map_err(unavailable)?),
        false => None,
    };
    let rows = load_each(connection, keys);
    drop(view);
    rows
}

fn load_each(connection: &Connection, keys: &[Key]) -> Result<Vec<Loaded>, Error> {
    let mut held = Vec::new();
    held.resize_with(super::write::TABLE_COUNT, || None);
    let mut loaded = Vec::with_capacity(keys.len());
    for key in keys {
        let table = table(key);
        let slot = &mut held[table.index];
        let statement = match slot {
            Some(statement) => statement,
            None => slot.insert(connection.prepare_cached(table.load).map_err(unavailable)?),
        };
        row::key(&mut Binder::new(statement), key).map_err(unavailable)?;
        let mut rows = statement.raw_query();
        let row = match rows.next().map_err(unavailable)? {
            Some(row) => {
                let version: i64 = row.get(0).map_err(corrupt)?;
                let body = row.get_ref(1).and_then(|value| Ok(value.as_str()?)).map_err(corrupt)?;
                Some((version.cast_unsigned(), row::decode(key, body)?))
            }
            None => None,
        };
        loaded.push((key.clone(), row));
    }
    Ok(loaded)
}

/// A list in one view of the database.
pub fn scan(connection: &mut Connection, query: &Query) -> Result<Page, Error> {
    let connection = connection.transaction().map_err(unavailable)?;
    match query {
        Query::Agents { workspace } => {
            all(&connection, AGENTS, [number(*workspace)], |text| row::from(text).map(Row::Agent))
        }
        Query::Tasks { workspace, filter, after, limit } => {
            tasks(&connection, *workspace, filter, *after, *limit)
        }
        Query::Runs { workspace, filter, after, limit } => {
            runs(&connection, *workspace, filter, *after, *limit)
        }
        Query::Attempts { run } => {
            all(&connection, ATTEMPTS, [run.0.as_bytes().as_slice()], |text| {
                row::from(text).map(Row::Attempt)
            })
        }
        Query::Snapshots { run, after_seq, limit } => {
            let from = params![run.0.as_bytes().as_slice(), after_seq, one_more(*limit)];
            let page =
                all(&connection, SNAPSHOTS, from, |text| row::from(text).map(Row::Snapshot))?;
            Ok(cut(page.rows, *limit))
        }
        Query::Inputs { task, after, limit } => {
            let after = after.as_ref().map(|after| after.0.as_bytes().as_slice());
            let of = params![task.0.as_bytes().as_slice(), one_more(*limit), after];
            let page = all(&connection, INPUTS, of, |text| row::from(text).map(Row::Input))?;
            Ok(cut(page.rows, *limit))
        }
        Query::Schedules { workspace, agent, after, limit } => {
            let end = after.map_or(vec![0xFF; 17], |id| id.as_bytes().to_vec());
            let (workspace, count) = (number(*workspace), one_more(*limit));
            let decode = |text: &str| row::from(text).map(Row::Schedule);
            let page = match agent {
                None => all(&connection, SCHEDULES, params![workspace, end, count], decode)?,
                Some(AgentId(agent)) => {
                    let within = params![workspace, end, count, agent.as_bytes().as_slice()];
                    all(&connection, SCHEDULES_OF_AGENT, within, decode)?
                }
            };
            Ok(cut(page.rows, *limit))
        }
        Query::Missed { schedule, before, limit } => {
            let before = before.map_or(i64::MAX, i64::from);
            let of = params![schedule.0.as_bytes().as_slice(), before, one_more(*limit)];
            let page = all(&connection, MISSED, of, |text| row::from(text).map(Row::Missed))?;
            Ok(cut(page.rows, *limit))
        }
        Query::Instances { workspace, after, limit } => {
            let of = number(*workspace);
            let made = match after {
                None => Some(i64::MAX),
                Some(key) => made(&connection, of, key)?,
            };
            let Some(made) = made else { return Ok(Page::default()) };
            let from = params![of, made, after.as_deref().unwrap_or_default(), one_more(*limit)];
            let page =
                all(&connection, INSTANCES, from, |text| row::from(text).map(Row::Instance))?;
            Ok(cut(page.rows, *limit))
        }
        Query::Workers { after, limit } => {
            let after = after.as_ref().map_or("", |after| after.0.as_str());
            let from = params![after, one_more(*limit)];
            let page = all(&connection, WORKERS, from, |text| row::from(text).map(Row::Worker))?;
            Ok(cut(page.rows, *limit))
        }
        Query::Workspaces { after, limit } => {
            let from = params![after.map_or(0, number), one_more(*limit)];
            let page =
                all(&connection, WORKSPACES, from, |text| row::from(text).map(Row::Workspace))?;
            Ok(cut(page.rows, *limit))
        }
    }
}

const AGENTS: &str = "SELECT body FROM agents INDEXED BY agents_list
    WHERE deleted = 0 AND workspace_id = ?1 ORDER BY agent_key, id";
const ATTEMPTS: &str = "SELECT body FROM attempts INDEXED BY attempts_run
    WHERE run_id = ?1 ORDER BY attempt_no, id";
const SNAPSHOTS: &str = "SELECT body FROM snapshots
    WHERE run_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
const INPUTS: &str = "SELECT body FROM inputs INDEXED BY inputs_task
    WHERE task_id = ?1 AND rowid > CASE WHEN ?3 IS NULL THEN 0 ELSE
      (SELECT rowid FROM inputs WHERE id = ?3 AND task_id = ?1) END
    ORDER BY rowid LIMIT ?2";
const SCHEDULES: &str = "SELECT body FROM schedules INDEXED BY schedules_list
    WHERE deleted = 0 AND workspace_id = ?1 AND id < ?2
    ORDER BY id DESC LIMIT ?3";
const SCHEDULES_OF_AGENT: &str = "SELECT body FROM schedules INDEXED BY schedules_agent
    WHERE deleted = 0 AND agent_id = ?4 AND workspace_id = ?1 AND id < ?2
    ORDER BY id DESC LIMIT ?3";
const MISSED: &str = "SELECT body FROM missed
    WHERE schedule_id = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3";
const INSTANCES: &str = "SELECT body FROM instances INDEXED BY instances_list
    WHERE workspace_id = ?1 AND (created_at, key) < (?2, ?3)
    ORDER BY created_at DESC, key DESC LIMIT ?4";
const INSTANCE_MADE: &str = "SELECT created_at FROM instances WHERE key = ?1 AND workspace_id = ?2";
const WORKERS: &str = "SELECT body FROM workers WHERE id > ?1 ORDER BY id LIMIT ?2";
const WORKSPACES: &str = "SELECT body FROM workspaces WHERE id > ?1 ORDER BY id LIMIT ?2";

fn all(
    connection: &Connection,
    sql: &str,
    of: impl Params,
    decode: impl Fn(&str) -> Result<Row, Error>,
) -> Result<Page, Error> {
    let mut statement = connection.prepare_cached(sql).map_err(unavailable)?;
    let mut found = statement.query(of).map_err(unavailable)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(unavailable)? {
        let body = row.get_ref(0).and_then(|value| Ok(value.as_str()?)).map_err(corrupt)?;
        rows.push(decode(body)?);
    }
    Ok(Page { rows, has_more: false })
}

/// The ids of one state, newest first, between two ids. The filter is read from the table, and
/// only when it is set.
const TASK_IDS: &str = "SELECT id FROM tasks INDEXED BY tasks_list
    WHERE workspace_id = ?1 AND archived = ?2 AND state = ?3 AND id < ?4 AND id > ?5
      AND (?6 IS NULL OR agent_id = ?6) AND (?7 IS NULL OR session_id = ?7)
      AND (?8 IS NULL OR created_at >= ?8) AND (?9 IS NULL OR created_at <= ?9)
    ORDER BY id DESC LIMIT ?10";

fn tasks(
    connection: &Connection,
    workspace: WorkspaceId,
    filter: &TaskFilter,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Page, Error> {
    let agent = filter.agent.as_ref().map(|AgentId(id)| id.as_bytes().as_slice());
    let session = filter.session.as_ref().map(|session| &session.0);
    let (from, to) = (filter.created_after.map(|at| at.0), filter.created_before.map(|at| at.0));
    let mut newest = Newest::before(after, limit);
    let archived: &[bool] = if filter.include_archived { &[false, true] } else { &[false] };
    for archived in archived {
        for state in words(&filter.states, task::State::ALL, task::State::as_str) {
            let (end, floor) = newest.bounds();
            let within: &[&dyn ToSql] = params![
                number(workspace),
                archived,
                state,
                end,
                floor,
                agent,
                session,
                from,
                to,
                one_more(limit)
            ];
            newest.merge(connection, TASK_IDS, within).map_err(unavailable)?;
        }
    }
    newest.load(connection, limit, |id| Key::Task(TaskId(id)))
}

const RUN_IDS: &str = "SELECT id FROM runs INDEXED BY runs_list
    WHERE workspace_id = ?1 AND status = ?2 AND id < ?3 AND id > ?4
      AND (?5 IS NULL OR agent_id = ?5) AND (?6 IS NULL OR session_id = ?6)
      AND (?7 IS NULL OR created_at >= ?7) AND (?8 IS NULL OR created_at <= ?8)
    ORDER BY id DESC LIMIT ?9";

const RUN_IDS_OF_TASK: &str = "SELECT id FROM runs INDEXED BY runs_task
    WHERE task_id = ?10 AND workspace_id = ?1 AND status = ?2 AND id < ?3 AND id > ?4
      AND (?5 IS NULL OR agent_id = ?5) AND (?6 IS NULL OR session_id = ?6)
      AND (?7 IS NULL OR created_at >= ?7) AND (?8 IS NULL OR created_at <= ?8)
    ORDER BY id DESC LIMIT ?9";

fn runs(
    connection: &Connection,
    workspace: WorkspaceId,
    filter: &RunFilter,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Page, Error> {
    let agent = filter.agent.as_ref().map(|AgentId(id)| id.as_bytes().as_slice());
    let session = filter.session.as_ref().map(|session| &session.0);
    let (from, to) = (filter.created_after.map(|at| at.0), filter.created_before.map(|at| at.0));
    let mut newest = Newest::before(after, limit);
    for status in words(&filter.statuses, run::Status::ALL, run::Status::as_str) {
        let (end, floor) = newest.bounds();
        let count = one_more(limit);
        let workspace = number(workspace);
        match filter.task {
            None => newest.merge(
                connection,
                RUN_IDS,
                params![workspace, status, end, floor, agent, session, from, to, count],
            ),
            Some(TaskId(task)) => newest.merge(
                connection,
                RUN_IDS_OF_TASK,
                params![
                    workspace,
                    status,
                    end,
                    floor,
                    agent,
                    session,
                    from,
                    to,
                    count,
                    task.as_bytes().as_slice()
                ],
            ),
        }
        .map_err(unavailable)?;
    }
    newest.load(connection, limit, |id| Key::Run(RunId(id)))
}

/// The texts of the wanted words, each once; of all when none is wanted.
fn words<T: Copy + PartialEq>(
    wanted: &[T],
    all: &'static [T],
    text: fn(T) -> &'static str,
) -> impl Iterator<Item = &'static str> {
    all.iter()
        .filter(|word| wanted.is_empty() || wanted.contains(word))
        .map(move |word| text(*word))
}

/// The newest ids out of several lists, each of them newest first: one more than a page.
struct Newest {
    end: Vec<u8>,
    ids: Vec<Uuid>,
    count: usize,
}

impl Newest {
    /// Without an id to be before, the end is above every id.
    fn before(after: Option<Uuid>, limit: usize) -> Self {
        let end = after.map_or(vec![0xFF; 17], |id| id.as_bytes().to_vec());
        Newest { end, ids: Vec::new(), count: limit.saturating_add(1) }
    }

    /// A further list is wanted from before the end, and only above what cannot be in the page.
    fn bounds(&self) -> (Vec<u8>, Vec<u8>) {
        let is_full = self.ids.len() >= self.count;
        let floor = self.ids.last().filter(|_| is_full);
        (self.end.clone(), floor.map_or(Vec::new(), |id| id.as_bytes().to_vec()))
    }

    fn merge(
        &mut self,
        connection: &Connection,
        sql: &str,
        within: &[&dyn ToSql],
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(within)?;
        while let Some(row) = rows.next()? {
            self.ids.push(id(row, 0)?);
        }
        self.ids.sort_unstable_by(|a, b| b.cmp(a));
        self.ids.truncate(self.count);
        Ok(())
    }

    fn load(
        self,
        connection: &Connection,
        limit: usize,
        key: impl Fn(Uuid) -> Key,
    ) -> Result<Page, Error> {
        let has_more = self.ids.len() > limit;
        let keys: Vec<Key> = self.ids.into_iter().take(limit).map(key).collect();
        let rows = load(connection, &keys)?;
        Ok(Page { rows: rows.into_iter().filter_map(|(_, row)| Some(row?.1)).collect(), has_more })
    }
}

/// When an instance of the workspace was made.
fn made(connection: &Connection, workspace: i64, key: &str) -> Result<Option<i64>, Error> {
    let mut statement = connection.prepare_cached(INSTANCE_MADE).map_err(unavailable)?;
    let made = statement.query_row(params![key, workspace], |row| row.get(0));
    made.optional().map_err(unavailable)
}

/// Leaves out the row that was read to see whether there are more.
fn cut(mut rows: Vec<Row>, limit: usize) -> Page {
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    Page { rows, has_more }
}

fn one_more(limit: usize) -> i64 {
    bounded(limit.saturating_add(1))
}

fn number(WorkspaceId(id): WorkspaceId) -> i64 {
    id.cast_signed()
}

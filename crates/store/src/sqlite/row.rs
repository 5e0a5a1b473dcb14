//! Rows to columns and back, in one place for each table.
//!
//! **Invariants** Every statement of a table numbers its parameters alike: the key's columns from
//! 1, then the version, the body and the other columns in the order of [`columns`]. What a key's
//! row belongs to (workspace, agent, session, task, run, worker, `created_at`) never changes, so
//! an update leaves those columns and their indexes alone.

use hostler_core::id::AgentId;
use hostler_core::key::{Key, Row};
use hostler_core::task::Priority;
use rusqlite::types::ToSql;
use rusqlite::{Result, Statement};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::corrupt;
use crate::{Error, derived};

/// Binds one parameter after the other.
pub struct Binder<'s, 'c> {
    statement: &'s mut Statement<'c>,
    next: usize,
}

impl<'s, 'c> Binder<'s, 'c> {
    pub fn new(statement: &'s mut Statement<'c>) -> Self {
        Binder { statement, next: 1 }
    }

    pub fn put(&mut self, value: impl ToSql) -> Result<()> {
        self.statement.raw_bind_parameter(self.next, value)?;
        self.next += 1;
        Ok(())
    }

    pub fn id(&mut self, id: &Uuid) -> Result<()> {
        self.put(id.as_bytes().as_slice())
    }

    /// A number that SQLite keeps signed; what is loaded is read from the body.
    pub fn number(&mut self, number: u64) -> Result<()> {
        self.put(number.cast_signed())
    }
}

pub fn key(to: &mut Binder<'_, '_>, key: &Key) -> Result<()> {
    match key {
        Key::Workspace(id) => to.number(id.0),
        Key::Agent(id) => to.id(&id.0),
        Key::AgentKey(workspace, key) => {
            to.number(workspace.0)?;
            to.put(key)
        }
        Key::Task(id) => to.id(&id.0),
        Key::Input(id) => to.id(&id.0),
        Key::Run(id) => to.id(&id.0),
        Key::Attempt(id) | Key::Lease(id) => to.id(&id.0),
        Key::Session(workspace, id) => {
            to.number(workspace.0)?;
            to.put(&id.0)
        }
        Key::Instance(key) => to.put(key),
        Key::Worker(id) => to.put(&id.0),
        Key::Receipt(workspace, AgentId(agent), key) => {
            to.number(workspace.0)?;
            to.id(agent)?;
            to.put(key)
        }
        Key::Snapshot(run, seq) => {
            to.id(&run.0)?;
            to.put(seq)
        }
        Key::Schedule(id) => to.id(&id.0),
        Key::Missed(schedule, seq) => {
            to.id(&schedule.0)?;
            to.put(seq)
        }
        Key::Account(workspace, agent) => {
            to.number(workspace.0)?;
            to.put(agent.as_ref().map_or(&[][..], |agent| agent.0.as_bytes().as_slice()))
        }
    }
}

/// The columns besides key, version and body.
pub fn columns(to: &mut Binder<'_, '_>, row: &Row) -> Result<()> {
    match row {
        Row::Workspace(workspace) => {
            to.put(workspace.paused)?;
            to.put(workspace.weight)
        }
        Row::Agent(agent) => {
            to.number(agent.workspace_id.0)?;
            to.put(&agent.agent_key)?;
            to.put(agent.deleted_at.is_some())
        }
        Row::Task(task) => {
            to.number(task.workspace_id.0)?;
            to.id(&task.agent_id.0)?;
            to.put(&task.session_id.0)?;
            to.put(task.created_at.0)?;
            to.put(task.state.as_str())?;
            to.put(task.archived_at.is_some())?;
            to.put(&task.instance_key)?;
            to.put(task.priority as i64)?;
            to.put(task.queued_at.map(|at| at.0))?;
            to.put(task.is_ready())?;
            to.put(derived::is_waiter(task))?;
            to.put(derived::due_at(task).map(|at| at.0))?;
            to.put(derived::rested_at(task).map(|at| at.0))
        }
        Row::Input(input) => {
            to.id(&input.task_id.0)?;
            to.put(input.state.as_str())
        }
        Row::Run(run) => {
            to.number(run.workspace_id.0)?;
            to.id(&run.agent_id.0)?;
            to.id(&run.origin_task_id.0)?;
            to.put(&run.session_id.0)?;
            to.put(run.created_at.0)?;
            to.put(run.status.as_str())?;
            to.put(run.ended_at.map(|at| at.0))
        }
        Row::Attempt(attempt) => {
            to.id(&attempt.run_id.0)?;
            to.put(attempt.attempt_no)?;
            to.put(attempt.status.as_str())?;
            to.put(attempt.ended_at.map(|at| at.0))
        }
        Row::Lease(lease) => {
            to.put(&lease.worker_id.0)?;
            to.put(lease.state.as_str())?;
            to.put(&lease.instance_key)?;
            to.put(lease.idle_until.map(|at| at.0))
        }
        Row::Instance(instance) => {
            to.number(instance.workspace_id.0)?;
            to.id(&instance.agent_id.0)?;
            to.put(instance.created_at.0)?;
            to.put(instance.needs.signature())?;
            to.number(instance.pass)?;
            to.put(instance.room())?;
            to.put(instance.turn_left())?;
            to.put(instance.weight)?;
            for priority in Priority::ALL {
                to.put(instance.is_ready_at(*priority))?;
            }
            to.put(instance.held_until.is_some())?;
            to.put(instance.due_at().map(|at| at.0))
        }
        Row::Worker(worker) => {
            to.put(worker.status.as_str())?;
            to.put(worker.until.map(|at| at.0))?;
            to.number(worker.renewal)
        }
        Row::Schedule(schedule) => {
            to.number(schedule.workspace_id.0)?;
            to.id(&schedule.agent_id.0)?;
            to.put(schedule.deleted_at.is_some())?;
            to.put(schedule.fire_at.map(|at| at.0))
        }
        Row::AgentKey(_)
        | Row::Session(_)
        | Row::Receipt(_)
        | Row::Snapshot(_)
        | Row::Missed(_)
        | Row::Account(_) => Ok(()),
    }
}

/// The row as JSON text, in a buffer that is used again.
pub fn encode<'b>(row: &Row, buffer: &'b mut Vec<u8>) -> Result<&'b str, Error> {
    buffer.clear();
    let written = match row {
        Row::Workspace(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Agent(row) => serde_json::to_writer(&mut *buffer, row),
        Row::AgentKey(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Task(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Input(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Run(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Attempt(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Lease(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Session(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Instance(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Worker(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Receipt(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Snapshot(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Schedule(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Missed(row) => serde_json::to_writer(&mut *buffer, row),
        Row::Account(row) => serde_json::to_writer(&mut *buffer, row),
    };
    written.map_err(|error| Error::Unavailable(error.into()))?;
    str::from_utf8(buffer).map_err(|error| Error::Unavailable(error.into()))
}

/// The row that the text of this key's table stands for.
pub fn decode(key: &Key, text: &str) -> Result<Row, Error> {
    match key {
        Key::Workspace(_) => from(text).map(Row::Workspace),
        Key::Agent(_) => from(text).map(Row::Agent),
        Key::AgentKey(..) => from(text).map(Row::AgentKey),
        Key::Task(_) => from(text).map(Row::Task),
        Key::Input(_) => from(text).map(Row::Input),
        Key::Run(_) => from(text).map(Row::Run),
        Key::Attempt(_) => from(text).map(Row::Attempt),
        Key::Lease(_) => from(text).map(Row::Lease),
        Key::Session(..) => from(text).map(Row::Session),
        Key::Instance(_) => from(text).map(Row::Instance),
        Key::Worker(_) => from(text).map(Row::Worker),
        Key::Receipt(..) => from(text).map(Row::Receipt),
        Key::Snapshot(..) => from(text).map(Row::Snapshot),
        Key::Schedule(_) => from(text).map(Row::Schedule),
        Key::Missed(..) => from(text).map(Row::Missed),
        Key::Account(..) => from(text).map(Row::Account),
    }
}

pub fn from<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(corrupt)
}

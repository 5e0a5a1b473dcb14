//! The commit of a batch: guarded inserts, updates and deletes, then the appends and
//! the trims.

use hostler_core::batch::{Batch, Committed, Write};
use hostler_core::key::Key;
use rusqlite::{CachedStatement, Connection, ErrorCode, Transaction, TransactionBehavior, ffi};

use super::row::{self, Binder};
use super::{log, trim, unavailable};
use crate::{Error, derived};

/// What is done with one table, by key.
pub struct Table {
    /// Its place among tables: the order of writing.
    pub index: usize,
    pub insert: &'static str,
    pub update: &'static str,
    pub delete: &'static str,
    pub load: &'static str,
}

pub const TABLE_COUNT: usize = 16;

pub fn table(key: &Key) -> &'static Table {
    match key {
        Key::Workspace(_) => &WORKSPACE,
        Key::Agent(_) => &AGENT,
        Key::AgentKey(..) => &AGENT_KEY,
        Key::Task(_) => &TASK,
        Key::Input(_) => &INPUT,
        Key::Run(_) => &RUN,
        Key::Attempt(_) => &ATTEMPT,
        Key::Lease(_) => &LEASE,
        Key::Session(..) => &SESSION,
        Key::Instance(_) => &INSTANCE,
        Key::Worker(_) => &WORKER,
        Key::Receipt(..) => &RECEIPT,
        Key::Snapshot(..) => &SNAPSHOT,
        Key::Schedule(_) => &SCHEDULE,
        Key::Missed(..) => &MISSED,
        Key::Account(..) => &ACCOUNT,
    }
}

const WORKSPACE: Table = Table {
    index: 0,
    insert: "INSERT INTO workspaces (id, version, body, paused, weight)
        VALUES (?1, 1, ?3, ?4, ?5)",
    update: "UPDATE workspaces SET version = ?2 + 1, body = ?3, paused = ?4, weight = ?5
        WHERE id = ?1 AND version = ?2",
    delete: "DELETE FROM workspaces WHERE id = ?1 AND version = ?2",
    load: "SELECT version, body FROM workspaces WHERE id = ?1",
};

const AGENT: Table = Table {
    index: 1,
    insert: "INSERT INTO agents (id, version, body, workspace_id, agent_key, deleted)
        VALUES (?1, 1, ?3, ?4, ?5, ?6)",
    update: "UPDATE agents SET version = ?2 + 1, body = ?3, agent_key = ?5, deleted = ?6
        WHERE id = ?1 AND version = ?2",
    delete: "DELETE FROM agents WHERE id = ?1 AND version = ?2",
    load: "SELECT version, body FROM agents WHERE id = ?1",
};

const AGENT_KEY: Table = Table {
    index: 2,
    insert: "INSERT INTO agent_keys (workspace_id, agent_key, version, body)
        VALUES (?1, ?2, 1, ?4)",
    update: "UPDATE agent_keys SET version = ?3 + 1, body = ?4
        WHERE workspace_id = ?1 AND agent_key = ?2 AND version = ?3",
    delete: "DELETE FROM agent_keys WHERE workspace_id = ?1 AND agent_key = ?2 AND version = ?3",
    load: "SELECT version, body FROM agent_keys WHERE workspace_id = ?1 AND agent_key = ?2",
};

const TASK: Table = Table {
    index: 3,
    insert: "INSERT INTO tasks (id, version, body, workspace_id, agent_id, session_id, created_at,
          state, archived, instance_key, priority, queued_at, ready, waiter, due_at, rested_at)
        VALUES (?1, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    update: "UPDATE tasks SET version = ?2 + 1, body = ?3, state = ?8, archived = ?9,
          instance_key = ?10, priority = ?11, queued_at = ?12, ready = ?13, waiter = ?14,
          due_at = ?15, rested_at = ?16
        WHERE id = ?1 AND version = ?2",
    delete: "DELETE FROM tasks WHERE id = ?1 AND version = ?2",
    load: "SELECT version, body FROM tasks WHERE id = ?1",
};

const INPUT: Table = Table {
    index: 4,
    insert: "INSERT INTO inputs (id, version, body, task_id, state) VALUES (?1, 1, ?3, ?4, ?5)",
    update: "UPDATE inputs SET version = ?2 + 1, body = ?3, state = ?5
        WHERE id = ?1 AND version = ?2",
    delete: "DELETE FROM inputs WHERE id = ?1 AND version = ?2",
    load: "SELECT version, body FROM inputs WHERE id = ?1",
};

const RUN: Table = Table {
    index: 5,
    insert: "INSERT INTO runs (id, version, body, workspace_id, agent_id, task_id, session_id,
          created_at, status, ended_at)
        VALUES (?1, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    update: "UPDATE runs SET version = ?2 + 1, body = ?3, status = ?9, ended_at = ?10
        WHERE id = ?1 AND version = ?2",
    delete: "DELETE FROM runs WHERE id = ?1 AND version = ?2",
    load: "SELECT version, body FROM runs WHERE id = ?1",
};

const ATTEMPT: Table = Table {
    index: 6,
    insert: "INSERT INTO attempts (id, version, body, run_id, attempt_no, status, ended_at)
        VALUES (?1, 1, ?3, ?4, ?5, ?6, ?7)",
    update: "UPDATE attempts SET version = ?2 + 1, body = ?3, status = ?6, ended_at = ?7
        WHERE id = ?1 AND version = ?2",
    delete: "DELETE FROM attempts WHERE id = ?1 AND version = ?2",
    load: "SELECT version, body FROM attempts WHERE id = ?1",
};

const LEASE: Table = Table {
    index: 7,
    insert: "INSERT INTO leases (attempt_id, version, body, worker_id, state, instance_key, due_at)
        VALUES (?1, 1, ?3, ?4, ?5, ?6, ?7)",
    update: "UPDATE leases SET version = ?2 + 1, body = ?3, state = ?5, due_at = ?7
        WHERE attempt_id = ?1 AND version = ?2",
    delete: "DELETE FROM leases WHERE attempt_id = ?1 AND version = ?2",
    load: "SELECT version, body FROM leases WHERE attempt_id = ?1",
};

const SESSION: Table = Table {
    index: 8,
    insert: "INSERT INTO sessions (workspace_id, id, version, body) VALUES (?1, ?2, 1, ?4)",
    update: "UPDATE sessions SET version = ?3 + 1, body = ?4
        WHERE workspace_id = ?1 AND id = ?2 AND version = ?3",
    delete: "DELETE FROM sessions WHERE workspace_id = ?1 AND id = ?2 AND version = ?3",
    load: "SELECT version, body FROM sessions WHERE workspace_id = ?1 AND id = ?2",
};

const INSTANCE: Table = Table {
    index: 9,
    insert: "INSERT INTO instances (key, version, body, workspace_id, agent_id, created_at, needs,
          pass, room, turn, weight, ready_urgent, ready_high, ready_normal, ready_low, held, due_at)
        VALUES (?1, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    update: "UPDATE instances SET version = ?2 + 1, body = ?3, needs = ?7, pass = ?8, room = ?9,
          turn = ?10, weight = ?11, ready_urgent = ?12, ready_high = ?13, ready_normal = ?14,
          ready_low = ?15, held = ?16, due_at = ?17
        WHERE key = ?1 AND version = ?2",
    delete: "DELETE FROM instances WHERE key = ?1 AND version = ?2",
    load: "SELECT version, body FROM instances WHERE key = ?1",
};

const WORKER: Table = Table {
    index: 10,
    insert: "INSERT INTO workers (id, version, body, status, until, renewal)
        VALUES (?1, 1, ?3, ?4, ?5, ?6)",
    update: "UPDATE workers SET version = ?2 + 1, body = ?3, status = ?4, until = ?5,
          renewal = ?6
        WHERE id = ?1 AND version = ?2",
    delete: "DELETE FROM workers WHERE id = ?1 AND version = ?2",
    load: "SELECT version, body FROM workers WHERE id = ?1",
};

const RECEIPT: Table = Table {
    index: 11,
    insert: "INSERT INTO receipts (workspace_id, agent_id, key, version, body)
        VALUES (?1, ?2, ?3, 1, ?5)",
    update: "UPDATE receipts SET version = ?4 + 1, body = ?5
        WHERE workspace_id = ?1 AND agent_id = ?2 AND key = ?3 AND version = ?4",
    delete: "DELETE FROM receipts
        WHERE workspace_id = ?1 AND agent_id = ?2 AND key = ?3 AND version = ?4",
    load: "SELECT version, body FROM receipts
        WHERE workspace_id = ?1 AND agent_id = ?2 AND key = ?3",
};

const SNAPSHOT: Table = Table {
    index: 12,
    insert: "INSERT INTO snapshots (run_id, seq, version, body) VALUES (?1, ?2, 1, ?4)",
    update: "UPDATE snapshots SET version = ?3 + 1, body = ?4
        WHERE run_id = ?1 AND seq = ?2 AND version = ?3",
    delete: "DELETE FROM snapshots WHERE run_id = ?1 AND seq = ?2 AND version = ?3",
    load: "SELECT version, body FROM snapshots WHERE run_id = ?1 AND seq = ?2",
};

const SCHEDULE: Table = Table {
    index: 13,
    insert: "INSERT INTO schedules (id, version, body, workspace_id, agent_id, deleted, due_at)
        VALUES (?1, 1, ?3, ?4, ?5, ?6, ?7)",
    update: "UPDATE schedules SET version = ?2 + 1, body = ?3, deleted = ?6, due_at = ?7
        WHERE id = ?1 AND version = ?2",
    delete: "DELETE FROM schedules WHERE id = ?1 AND version = ?2",
    load: "SELECT version, body FROM schedules WHERE id = ?1",
};

const MISSED: Table = Table {
    index: 14,
    insert: "INSERT INTO missed (schedule_id, seq, version, body) VALUES (?1, ?2, 1, ?4)",
    update: "UPDATE missed SET version = ?3 + 1, body = ?4
        WHERE schedule_id = ?1 AND seq = ?2 AND version = ?3",
    delete: "DELETE FROM missed WHERE schedule_id = ?1 AND seq = ?2 AND version = ?3",
    load: "SELECT version, body FROM missed WHERE schedule_id = ?1 AND seq = ?2",
};

const ACCOUNT: Table = Table {
    index: 15,
    insert: "INSERT INTO accounts (workspace_id, agent_id, version, body) VALUES (?1, ?2, 1, ?4)",
    update: "UPDATE accounts SET version = ?3 + 1, body = ?4
        WHERE workspace_id = ?1 AND agent_id = ?2 AND version = ?3",
    delete: "DELETE FROM accounts WHERE workspace_id = ?1 AND agent_id = ?2 AND version = ?3",
    load: "SELECT version, body FROM accounts WHERE workspace_id = ?1 AND agent_id = ?2",
};

pub fn commit(connection: &mut Connection, batch: &Batch) -> Result<Committed, Error> {
    if batch.is_empty() {
        return Ok(Committed::default());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(unavailable)?;
    // Table after table keeps one statement and one tree at hand; the order of the writes to a
    // table stays, and so does that of two writes to one row.
    let mut writes: Vec<&Write> = batch.writes.iter().collect();
    writes.sort_by_key(|write| table(&write.key).index);
    let mut writer = Writer::new(&transaction);
    for write in writes {
        writer.write(write)?;
    }
    drop(writer);
    let last_seqs = log::append(&transaction, &batch.appends)?;
    let trims_done = trim::trim(&transaction, &batch.trims)?;
    finish(transaction)?;
    Ok(Committed { last_seqs, trims_done })
}

/// A full disk and a busy file are known to have written nothing. Any other failure may have come
/// after the write to the log.
fn finish(transaction: Transaction<'_>) -> Result<(), Error> {
    transaction.commit().map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy) => Error::Unavailable(error.into()),
        _ => Error::Unknown(error.into()),
    })
}

/// Holds a statement for as long as the commit writes to its table.
struct Writer<'c> {
    connection: &'c Connection,
    held: [Held<'c>; TABLE_COUNT],
    body: Vec<u8>,
}

#[derive(Default)]
struct Held<'c> {
    insert: Option<CachedStatement<'c>>,
    update: Option<CachedStatement<'c>>,
    delete: Option<CachedStatement<'c>>,
}

impl<'c> Writer<'c> {
    fn new(connection: &'c Connection) -> Self {
        Writer { connection, held: Default::default(), body: Vec::new() }
    }

    fn write(&mut self, write: &Write) -> Result<(), Error> {
        let table = table(&write.key);
        let held = &mut self.held[table.index];
        let (slot, sql) = match (&write.row, write.expect) {
            (Some(_), None) => (&mut held.insert, table.insert),
            (Some(_), Some(_)) => (&mut held.update, table.update),
            (None, Some(_)) => (&mut held.delete, table.delete),
            (None, None) => return is_absent(self.connection, &write.key),
        };
        let statement = match slot {
            Some(statement) => statement,
            None => slot.insert(self.connection.prepare_cached(sql).map_err(unavailable)?),
        };
        let mut binder = Binder::new(statement);
        row::key(&mut binder, &write.key).map_err(unavailable)?;
        binder.number(write.expect.unwrap_or(0)).map_err(unavailable)?;
        if let Some(row) = &write.row {
            derived::assert_kind(&write.key, row);
            binder.put(row::encode(row, &mut self.body)?).map_err(unavailable)?;
            row::columns(&mut binder, row).map_err(unavailable)?;
        }
        match statement.raw_execute() {
            Ok(1) => Ok(()),
            Ok(_) => Err(Error::Conflict),
            Err(error) if is_taken(&error) => Err(Error::Conflict),
            Err(error) => Err(unavailable(error)),
        }
    }
}

/// The key of an insert is there already.
fn is_taken(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(
        code,
        Some(
            ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                | ffi::SQLITE_CONSTRAINT_UNIQUE
                | ffi::SQLITE_CONSTRAINT_ROWID
        )
    )
}

/// A write that only guards: there must be no such row.
fn is_absent(connection: &Connection, key: &Key) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(table(key).load).map_err(unavailable)?;
    row::key(&mut Binder::new(&mut statement), key).map_err(unavailable)?;
    let mut rows = statement.raw_query();
    match rows.next().map_err(unavailable)? {
        Some(_) => Err(Error::Conflict),
        None => Ok(()),
    }
}

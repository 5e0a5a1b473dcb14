//! # SQLite
//!
//! **What** The keeper for one server and one file. Commits, searches and loads go through one
//! connection; what callers see is read beside it through a few read-only ones.
//!
//! **Invariants** `INV-STORE-1` rests on WAL with `synchronous = FULL`: the log is synced before
//! COMMIT returns. One process at a time: whoever opens the file holds `<file>.lock`. A statement
//! that is meant to use an index names it, and fails when it cannot.
//!
//! **Cost** A page of tasks or runs reads one index range for each state that is asked for, so it
//! costs the page whatever the number of rows, states or workspaces. A filter by agent, session or
//! creation time has no index, since every index is paid for at every accept: rows are passed over
//! from the newest down, at about a microsecond a row, until the page is full; a session's page
//! among 100 000 tasks can take a tenth of a second. Runs of a task have an index. A search for
//! ready work costs what it finds, and a look at each workspace with ready work that is paused or
//! fits no worker (`core::capacity::ready`). A session or an
//! idempotency key that is not a fresh UUID falls on a page of its own: some 8 KiB more of log for
//! each write of it.
//!
//! **Failure** A full disk is [`Error::Unavailable`], at COMMIT too: frames without a whole commit
//! frame are no transaction. Any other failed COMMIT is [`Error::Unknown`].
//!
//! **Not here** Two servers on one file; what rows mean.

mod checkpoint;
mod find;
mod log;
mod migrate;
mod read;
mod ready;
mod row;
mod trim;
mod write;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostler_core::batch::{Batch, Committed, Find, Found};
use hostler_core::key::{Key, Loaded};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use self::checkpoint::Checkpoints;
use crate::{Error, LogRange, Page, Query, Sequenced, Store};

/// Lists that are read at once; more wait for each other.
const READERS: usize = 4;
/// The whole server is to stay under 100 MiB, so caches are bounded: in KiB.
const WRITER_CACHE_KIB: i64 = 16 << 10;
const READER_CACHE_KIB: i64 = 2 << 10;
/// Set when the file is made. Rows of 1 KiB fill small pages badly, and rows at random places
/// write large ones for nothing: this is between.
const PAGE_BYTES: i64 = 8 << 10;
/// Every statement of the keeper stays prepared.
const STATEMENTS: usize = 128;
/// Nobody else writes; a reader may hold the file while a crashed one's log is taken over.
const BUSY: Duration = Duration::from_secs(5);

pub struct Sqlite {
    writer: Mutex<Connection>,
    /// After the writer: it ends when that is closed.
    _checkpoints: Checkpoints,
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
    /// The last to go: whoever holds it next finds the connections closed.
    _lock: Lock,
}

/// The system lets go of it when the process dies.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // A process that is just being started has a copy of the file, and closing ours would
        // not unlock that one. What cannot be unlocked is closed, at least.
        let _ = self.0.unlock();
    }
}

impl Sqlite {
    /// Opens the file, or makes it. [`Store::migrate`] is to be called before anything else.
    pub fn open(path: &Path) -> Result<Sqlite, Error> {
        let lock = lock(path)?;
        let mut writer = Connection::open(path).map_err(unavailable)?;
        prepare_writer(&writer).map_err(unavailable)?;
        let readers = (0..READERS).map(|_| open_reader(path).map(Mutex::new));
        let readers = readers.collect::<Result<_, _>>().map_err(unavailable)?;
        let next_reader = AtomicUsize::new(0);
        // Last: it ends when the writer is closed, and would wait for that if something failed.
        let checkpoints = Checkpoints::start(path, &mut writer)?;
        let writer = Mutex::new(writer);
        Ok(Sqlite { writer, _checkpoints: checkpoints, readers, next_reader, _lock: lock })
    }

    /// For tests of a full disk: the file cannot grow beyond so many pages.
    #[cfg(feature = "conformance")]
    pub fn limit_pages(&self, pages: u32) -> Result<(), Error> {
        self.writer().pragma_update(None, "max_page_count", pages).map_err(unavailable)
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        lock_connection(&self.writer)
    }

    /// A reader that is free, or the next in turn.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..READERS).map(|step| &self.readers[turn.wrapping_add(step) % READERS]);
        for reader in in_turn {
            if let Ok(connection) = reader.try_lock() {
                return connection;
            }
        }
        lock_connection(&self.readers[turn % READERS])
    }
}

/// A panic in mid-call has rolled its transaction back, so the connection is sound.
fn lock_connection(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for Sqlite {
    fn migrate(&self) -> Result<(), Error> {
        migrate::migrate(&mut self.writer())
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Loaded>, Error> {
        // What was written a moment ago is in the writer's cache.
        read::load(&self.writer(), keys)
    }

    fn look(&self, keys: &[Key]) -> Result<Vec<Loaded>, Error> {
        read::load(&self.reader(), keys)
    }

    fn find(&self, find: &Find) -> Result<Found, Error> {
        find::find(&self.writer(), find)
    }

    fn commit(&self, batch: &Batch) -> Result<Committed, Error> {
        write::commit(&mut self.writer(), batch)
    }

    fn scan(&self, query: &Query) -> Result<Page, Error> {
        read::scan(&mut self.reader(), query)
    }

    fn read(&self, range: &LogRange) -> Result<Vec<Sequenced>, Error> {
        log::read(&self.reader(), range)
    }

    fn end(&self, task: hostler_core::id::TaskId) -> Result<u64, Error> {
        log::end(&self.reader(), task)
    }
}

fn lock(path: &Path) -> Result<Lock, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = File::options().create(true).truncate(false).write(true).open(&name);
    let file = file.map_err(|error| refused(&name, &error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => {
            Err(refused(&name, "another server uses this database and holds the lock"))
        }
        Err(TryLockError::Error(error)) => Err(refused(&name, &error.to_string())),
    }
}

fn refused(path: &Path, reason: &str) -> Error {
    Error::Unavailable(format!("{}: {reason}", path.display()).into())
}

fn prepare_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Otherwise a bound value may plan the search for ready work anew.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", false)
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

fn unavailable(error: rusqlite::Error) -> Error {
    Error::Unavailable(error.into())
}

fn corrupt(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Corrupt(error.into())
}

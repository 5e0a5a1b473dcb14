//! # Store
//!
//! **What** Keeps rows, finds names, stores streams. One trait, [`Store`], and its keepers:
//! `memory` (the reference, and the simulation's disk) and `sqlite`.
//!
//! **Invariants** `INV-STORE-1`: when `commit` has returned `Ok`, the batch survives `kill -9` and
//! power loss. `INV-STORE-2`: a batch is all or nothing, and a failed guard writes nothing.
//! `INV-STORE-3`: each keeper answers every call as `memory` does; `conformance` is the definition.
//!
//! **Failure** [`Error`] says what is known of the write.
//!
//! **Not here** Any rule of the domain: keepers match on no state. Rules live in `core`.
#![forbid(unsafe_code)]

mod derived;
pub mod memory;
pub mod query;
mod record;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "conformance")]
pub mod conformance;

use std::fmt;

use hostler_core::batch::{Batch, Committed, Find, Found};
use hostler_core::id::WorkspaceId;
use hostler_core::key::{Key, Loaded, Row};
use hostler_core::time::Timestamp;
use hostler_core::workspace::Workspace;

pub use query::{LogRange, Page, Query, Sequenced};

/// The whole of what a keeper does. Calls block; the driver has a thread for them (ADR 2).
pub trait Store: Send + Sync {
    /// Brings the schema to this version, and makes sure that the workspace `default` exists.
    fn migrate(&self) -> Result<(), Error>;
    /// The rows of these keys, in the same order, for the engine.
    fn load(&self, keys: &[Key]) -> Result<Vec<Loaded>, Error>;
    /// The same for everybody else, who is not to hold up the engine.
    fn look(&self, keys: &[Key]) -> Result<Vec<Loaded>, Error> {
        self.load(keys)
    }
    /// A search of the engine: names only.
    fn find(&self, find: &Find) -> Result<Found, Error>;
    /// Writes all of it or nothing.
    fn commit(&self, batch: &Batch) -> Result<Committed, Error>;
    /// A page of a list, newest first where the query says nothing else.
    fn scan(&self, query: &Query) -> Result<Page, Error>;
    /// Records of a task's stream, in order.
    fn read(&self, range: &LogRange) -> Result<Vec<Sequenced>, Error>;
    /// The last `seq` of a task's stream; 0 when there is none.
    fn end(&self, task: hostler_core::id::TaskId) -> Result<u64, Error>;
}

/// What went wrong, and what is known of the write.
#[derive(Debug)]
pub enum Error {
    /// A guard failed: nothing was written.
    Conflict,
    /// The store could not be used: nothing was written.
    Unavailable(Source),
    /// The commit may or may not have been written.
    Unknown(Source),
    /// What was read cannot be what was written.
    Corrupt(Source),
}

/// The workspace that exists from the start; a keeper reads no clock, so it is as old as time.
fn first_workspace() -> (Key, Row) {
    let workspace = Workspace::new(WorkspaceId::DEFAULT, "default".to_owned(), Timestamp(0));
    (Key::Workspace(workspace.id), Row::Workspace(workspace))
}

pub type Source = Box<dyn std::error::Error + Send + Sync>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Conflict => "a row was changed by somebody else",
            Error::Unavailable(_) => "the store cannot be used",
            Error::Unknown(_) => "the store did not say whether it wrote",
            Error::Corrupt(_) => "the store holds something unreadable",
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Conflict => None,
            Error::Unavailable(source) | Error::Unknown(source) | Error::Corrupt(source) => {
                Some(source.as_ref())
            }
        }
    }
}

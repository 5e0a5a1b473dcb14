//! # Hostler's worker
//!
//! **What** A process that carries out executions: it connects to a server with an address and a
//! token (WRK-1), says what it has, and runs what it is assigned, each in a sandbox of its own.
//! Read it in this order: `driver` (the loop), `execution` (one of them), `agent` (what is spoken
//! with it), `sandbox` (what holds it), `spool` (its log), `workspace` (its folders), `link` (the
//! stream to the server), `proxy` (the way to the model).
//!
//! **Invariants** A worker whose lease is over has nothing running (`driver`, and for one that
//! stands still `sandbox::guardian`). Nothing is reported to have ended while something of it is
//! left (`execution`). No credential enters a sandbox (`proxy`). No queue is without a bound.
//!
//! **Failure** The server's absence is waited out; [`run`] fails only when waiting cannot help.
//!
//! **Not here** Stores and rules: a worker never sees a database.

pub mod agent;
mod clock;
pub mod config;
mod driver;
mod execution;
mod link;
pub mod proxy;
pub mod sandbox;
pub mod spool;
mod tools;
pub mod workspace;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
pub use crate::config::Config;
use crate::driver::Driver;
use crate::driver::watchdog::{self, Watch};
use crate::link::Address;
use crate::tools::Tools;

/// Why a worker cannot work.
#[derive(Debug)]
pub enum Error {
    /// A setting that cannot be right.
    Config(String),
    /// Another process works with this data directory.
    InUse(PathBuf),
    Io(io::Error),
    /// Without one, a worker that stands still could not be stopped in time.
    NoGuardian(io::Error),
    /// The server will not have this worker: its token, its id, its protocol.
    Refused(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(text) => f.write_str(text),
            Error::InUse(path) => {
                write!(f, "another worker uses the data directory {}", path.display())
            }
            Error::Io(_) => f.write_str("the worker's data directory cannot be used"),
            Error::NoGuardian(_) => f.write_str("the worker's guardian cannot be started"),
            Error::Refused(text) => write!(f, "the server refused this worker: {text}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io(error) | Error::NoGuardian(error) => Some(error),
            Error::Config(_) | Error::InUse(_) | Error::Refused(_) => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(error)
    }
}

/// Works until `shutdown` is cancelled and everything was stopped and reported. Dropping it kills
/// what runs, without a report.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    let address = Address::new(&config.server, &config.token).map_err(Error::Config)?;
    if config.worker_id.is_empty() {
        return Err(Error::Config("the worker has no id".to_owned()));
    }
    if config.slots == 0 || config.slots > hostler_core::limits::SLOTS_MAX {
        let most = hostler_core::limits::SLOTS_MAX;
        return Err(Error::Config(format!("slots: 1 to {most}, not {}", config.slots)));
    }
    // The lock lives as long as the worker.
    let (tools, _lock) = on_blocking_thread(move || prepare(config)).await?;
    let (clock, watch) = (Clock::start(), Watch::new());
    if tools.config.watchdog {
        watchdog::start(&watch, clock.clone())?;
    }
    Driver::new(Arc::new(tools), clock, address, watch, shutdown).run().await
}

async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Io(io::Error::other(error)))?
}

/// Takes the data directory, and removes what an earlier worker left running or lying there: its
/// leases are lost, so nobody waits for it.
fn prepare(mut config: Config) -> Result<(Tools, std::fs::File), Error> {
    config::private_dir(&config.data_dir)?;
    config.data_dir = config.data_dir.canonicalize()?;
    let Some(lock) = config::lock(&config.data_dir)? else {
        return Err(Error::InUse(config.data_dir));
    };
    sandbox::sweep(&config.scratch_dir());
    for folder in [config.spool_dir(), config.model_dir()] {
        remove(&folder)?;
        config::private_dir(&folder)?;
    }
    Ok((Tools::find(config)?, lock))
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(config::at(folder, error)),
        _ => Ok(()),
    }
}

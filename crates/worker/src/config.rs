//! # Configuration
//!
//! **What** What a worker is told by the one who starts it, and what it finds out about its
//! machine.
//!
//! **Invariants** The worker's id is made once and kept in its data directory. The data directory
//! belongs to one process at a time.
//!
//! **Failure** A directory that cannot be used is an error that names it; nothing is guessed.
//!
//! **Not here** Model credentials: they are read from the environment when an execution needs
//! them (`execution::model`). Reading files and flags (`hostler-cli`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostler_core::limits;

#[derive(Clone, Debug)]
pub struct Config {
    /// `http://host:port` of the server.
    pub server: String,
    pub token: String,
    /// See [`worker_id`].
    pub worker_id: String,
    pub data_dir: PathBuf,
    /// The program, with its words, that is the worker's guardian: it calls
    /// [`main_guardian`](crate::sandbox::main_guardian).
    pub guardian: Vec<OsString>,
    pub pool: String,
    /// Executions at a time; see [`slots_default`].
    pub slots: u32,
    pub labels: BTreeMap<String, String>,
    /// The `hostler` program that the scripted agent runs in its sandbox.
    pub hostler_bin: Option<PathBuf>,
    /// Folders that a task may name in place of its workspace's own.
    pub dirs: Dirs,
    /// How long executions go on after the worker was asked to stop. 0 stops them at once.
    pub drain: Duration,
    /// End the process when its runtime is stalled beyond the fence, so that its sandboxes die
    /// in time. Not for a worker that is embedded in a server.
    pub watchdog: bool,
}

/// Which folders of this machine a task may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Dirs {
    #[default]
    None,
    /// These, and what is below them.
    Under(Vec<PathBuf>),
    /// Any: the server's users are this machine's.
    Any,
}

impl Config {
    /// A config with defaults for everything that has one.
    pub fn new(
        server: &str,
        token: &str,
        worker_id: &str,
        data_dir: &Path,
        guardian: Vec<OsString>,
    ) -> Config {
        Config {
            server: server.to_owned(),
            token: token.to_owned(),
            worker_id: worker_id.to_owned(),
            data_dir: data_dir.to_owned(),
            guardian,
            pool: "default".to_owned(),
            slots: slots_default(),
            labels: BTreeMap::new(),
            hostler_bin: None,
            dirs: Dirs::None,
            drain: Duration::ZERO,
            watchdog: false,
        }
    }

    pub(crate) fn scratch_dir(&self) -> PathBuf {
        self.data_dir.join("scratch")
    }

    pub(crate) fn spool_dir(&self) -> PathBuf {
        self.data_dir.join("spool")
    }

    /// Sockets of model proxies. A socket's path has at most 107 bytes, so names are short here.
    pub(crate) fn model_dir(&self) -> PathBuf {
        self.data_dir.join("m")
    }
}

/// Four for each core: agents spend most of their time waiting for a model.
pub fn slots_default() -> u32 {
    (cores() * 4).min(limits::SLOTS_MAX)
}

/// The id kept in `data_dir`, made there if there is none: the host's name and a random tail.
pub fn worker_id(data_dir: &Path) -> io::Result<String> {
    private_dir(data_dir)?;
    let path = data_dir.join("worker-id");
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(at(&path, error)),
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .take(64)
        .collect();
    let host = if host.is_empty() { "worker".to_owned() } else { host };
    let tail = getrandom::u32().map_err(|error| io::Error::other(error.to_string()))?;
    let id = format!("{host}-{tail:08x}");
    // Written aside and renamed: a worker killed in between has no id yet, not half of one.
    let aside = data_dir.join("worker-id.new");
    std::fs::write(&aside, format!("{id}\n")).map_err(|error| at(&aside, error))?;
    std::fs::rename(&aside, &path).map_err(|error| at(&path, error))?;
    Ok(id)
}

/// Makes a folder that only the worker's user can enter; one that exists is left as it is.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).map_err(|error| at(path, error))
}

/// Keeps other processes out of the data directory as long as the file lives. Blocks for a moment
/// before it says that another has it: a child of a process that has just let go shares the lock
/// from its fork to its exec.
pub(crate) fn lock(data_dir: &Path) -> io::Result<Option<File>> {
    const TRIES: u32 = 20;
    const PAUSE: Duration = Duration::from_millis(50);
    let path = data_dir.join("worker.lock");
    let file = File::options().create(true).append(true).open(&path);
    let file = file.map_err(|error| at(&path, error))?;
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(std::fs::TryLockError::Error(error)) => return Err(at(&path, error)),
        }
    }
    Ok(None)
}

pub(crate) fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// What the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) cpu_millis: u32,
    pub(crate) memory_bytes: u64,
}

impl Machine {
    pub(crate) fn here() -> Machine {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        Machine { cpu_millis: cores() * 1_000, memory_bytes: kib.unwrap_or(0) << 10 }
    }
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_made_once_and_fits_the_protocol() {
        let folder = tempfile::tempdir().expect("a folder");
        let data_dir = folder.path().join("data");
        let id = worker_id(&data_dir).expect("made");
        assert_eq!(worker_id(&data_dir).expect("read"), id);
        assert!(id.len() <= limits::AGENT_KEY_BYTES_MAX && id.contains('-'));
    }

    #[test]
    fn a_data_directory_belongs_to_one_worker() {
        let folder = tempfile::tempdir().expect("a folder");
        let held = lock(folder.path()).expect("a lock");
        assert!(held.is_some());
        assert!(lock(folder.path()).expect("looked at").is_none());
        drop(held);
        assert!(lock(folder.path()).expect("a lock").is_some());
    }
}

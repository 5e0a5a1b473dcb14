//! # The worker's scope
//!
//! **What** The cgroups that hold all sandboxes of one scratch root, and so of one worker: named
//! after the scratch root, so that the next incarnation of the worker finds them, and written
//! down in it, because that incarnation may be in another cgroup itself.
//!
//! **Invariants** No two workers share a scratch root, so whatever is in a scope when a worker
//! starts is left over.
//!
//! **Failure** Without any writable cgroup there is no scope; sandboxes are then limited by what
//! a process may limit for itself.
//!
//! **Not here** The cgroup of one sandbox (`cgroup`), killing what is left (`sweep`).

use std::collections::HashMap;
use std::fs;
use std::hash::Hasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Limits;
use super::cgroup::{self, Cgroup};
use super::discovery::{Branch, CONTROLLERS, Host, Version, discover};
use super::process::user_id;

/// In the scratch root: the folders of the scope's cgroups, one to a line.
const RECORD: &str = "cgroups";

#[derive(Debug)]
pub(super) struct Scope {
    /// `hostler-<hash of the scratch root>`.
    pub name: String,
    branches: Vec<Branch>,
    /// Of all branches, and of those where only a runtime makes cgroups.
    pub folders: Vec<PathBuf>,
}

static SCOPES: Mutex<Option<HashMap<PathBuf, Arc<Scope>>>> = Mutex::new(None);

impl Scope {
    /// The scope of a scratch root, made when it is first asked for.
    pub(super) fn of(root: &Path) -> io::Result<Arc<Scope>> {
        let mut scopes = SCOPES.lock().unwrap_or_else(PoisonError::into_inner);
        let scopes = scopes.get_or_insert_default();
        if let Some(scope) = scopes.get(root) {
            return Ok(scope.clone());
        }
        let scope = Arc::new(Scope::make(root)?);
        scopes.insert(root.to_owned(), scope.clone());
        Ok(scope)
    }

    fn make(root: &Path) -> io::Result<Scope> {
        let name = name(root);
        let host = discover();
        let branches: Vec<Branch> = host.usable.iter().map(|place| place.join(&name)).collect();
        let others = host.others.iter().map(|place| place.folder.join(&name));
        let folders: Vec<PathBuf> =
            branches.iter().map(|branch| branch.folder.clone()).chain(others).collect();
        // Written before the folders are made: a folder without a record would never be found.
        let mut record = fs::read_to_string(root.join(RECORD)).unwrap_or_default();
        for folder in folders.iter().map(|folder| folder.display().to_string()) {
            if !record.lines().any(|line| line == folder) {
                record.push_str(&folder);
                record.push('\n');
            }
        }
        fs::write(root.join(RECORD), record)?;
        Ok(Scope { name, branches, folders })
    }

    /// `None` where the host lets the worker make no cgroup.
    pub(super) fn cgroup(&self, id: &str, limits: Limits) -> io::Result<Option<Cgroup>> {
        if self.branches.is_empty() {
            return Ok(None);
        }
        Cgroup::create(&self.branches, id, limits).map(Some)
    }

    /// Which of `memory`, `cpu` and `pids` are limited by a cgroup.
    pub(super) fn enforces(&self, controller: &str) -> bool {
        self.branches.iter().any(|branch| branch.controllers.contains(&controller))
    }
}

/// The folders in which an earlier incarnation of the worker may have left cgroups.
pub(super) fn recorded(root: &Path) -> Vec<PathBuf> {
    let expected = name(root);
    let record = fs::read_to_string(root.join(RECORD)).unwrap_or_default();
    let folders = record.lines().map(PathBuf::from);
    // The record is in a folder of the worker's own; all the same, nothing else is to be killed
    // because of what a file says.
    folders.filter(|folder| folder.ends_with(&expected)).collect()
}

/// Forgets a scope whose sandboxes have all ended, and removes its folders.
pub(super) fn release(root: &Path) {
    let mut scopes = SCOPES.lock().unwrap_or_else(PoisonError::into_inner);
    let released = scopes.as_mut().and_then(|scopes| scopes.remove(root));
    for folder in recorded(root) {
        cgroup::remove(&folder);
    }
    let _ = fs::remove_file(root.join(RECORD));
    drop(released);
}

pub(super) fn name(root: &Path) -> String {
    let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    // FNV-1a: a name that must stay the same from one build to the next.
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        fn finish(&self) -> u64 {
            self.0
        }
    }
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.write(root.as_os_str().as_encoded_bytes());
    format!("hostler-{:016x}", hash.finish())
}

/// Which limits hold on this host, in words.
pub(super) fn limits_here() -> String {
    let Host { usable: branches, problems, .. } = discover();
    let enforced = |controller: &&str| {
        let found = |branch: &&Branch| branch.controllers.contains(controller);
        branches.iter().find(found).map(|branch| branch.version)
    };
    let mut parts = Vec::new();
    for (version, text) in [(Version::V1, "v1"), (Version::V2, "v2")] {
        let held: Vec<&str> =
            CONTROLLERS.into_iter().filter(|one| enforced(one) == Some(version)).collect();
        if !held.is_empty() {
            parts.push(format!("{} by cgroup {text}", held.join(", ")));
        }
    }
    let missing: Vec<&str> =
        CONTROLLERS.into_iter().filter(|one| enforced(one).is_none()).collect();
    if !missing.is_empty() {
        let mut part = format!("{} not enforced: no writable cgroup", missing.join(", "));
        if !problems.is_empty() {
            part.push_str(&format!(" ({})", problems.join("; ")));
        }
        // See `handshake`. To uid 0 outside, a number of processes is no limit.
        if missing.contains(&"memory") {
            part.push_str("; memory as the data segment of each process");
        }
        if missing.contains(&"pids") && user_id() != 0 {
            part.push_str("; pids as the processes of the sandbox's user");
        }
        parts.push(part);
    }
    parts.push("size of private folders by tmpfs".to_owned());
    parts.join("; ")
}

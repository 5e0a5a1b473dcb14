//! # The cgroup of one sandbox
//!
//! **What** The same name in every hierarchy the host lets the worker write, with the limits
//! set, joined by the sandbox's first process before it executes anything.
//!
//! **Invariants** A limit that the host can enforce is set or the start fails. `kill` reaches
//! every process in the cgroup, children made meanwhile included.
//!
//! **Failure** System errors, with the file they are about.
//!
//! **Not here** Where cgroups may be made (`discovery`), who owns them (`scope`).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Limits;
use super::discovery::{Branch, Version, hand_down};
use super::process::kill_pid;

const CPU_PERIOD_MICROS: u64 = 100_000;

#[derive(Debug)]
pub(super) struct Cgroup {
    branches: Vec<Branch>,
}

impl Cgroup {
    /// Leaves nothing behind if it fails.
    pub(super) fn create(parents: &[Branch], name: &str, limits: Limits) -> io::Result<Cgroup> {
        let mut cgroup = Cgroup { branches: Vec::new() };
        for parent in parents {
            cgroup.extend(parent, name, limits).inspect_err(|_| cgroup.remove())?;
        }
        Ok(cgroup)
    }

    fn extend(&mut self, parent: &Branch, name: &str, limits: Limits) -> io::Result<()> {
        let branch = parent.join(name);
        fs::create_dir_all(&parent.folder).map_err(|error| about(&parent.folder, error))?;
        if parent.version == Version::V2 {
            hand_down(&parent.folder, &parent.controllers)
                .map_err(|error| about(&parent.folder, error))?;
        }
        // One that exists already is another sandbox's: an error, and not to be removed.
        fs::create_dir(&branch.folder).map_err(|error| about(&branch.folder, error))?;
        self.branches.push(branch.clone());
        set_limits(&branch, limits)
    }

    pub(super) fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// Open files to which a process writes `0` to become a member.
    pub(super) fn doors(&self) -> io::Result<Vec<File>> {
        let doors = self.branches.iter().map(|branch| branch.folder.join("cgroup.procs"));
        let open = |path: PathBuf| {
            OpenOptions::new().write(true).open(&path).map_err(|error| about(&path, error))
        };
        doors.map(open).collect()
    }

    /// Members in any hierarchy.
    pub(super) fn pids(&self) -> Vec<i32> {
        let mut pids: Vec<i32> =
            self.branches.iter().flat_map(|branch| members(&branch.folder)).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    pub(super) fn kill(&self) {
        for branch in &self.branches {
            kill(&branch.folder);
        }
    }

    pub(super) fn out_of_memory(&self) -> bool {
        self.branches.iter().filter(|branch| branch.controllers.contains(&"memory")).any(|branch| {
            let file = match branch.version {
                Version::V1 => "memory.oom_control",
                Version::V2 => "memory.events",
            };
            let text = fs::read_to_string(branch.folder.join(file)).unwrap_or_default();
            let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
            count.is_some_and(|count| count.trim() != "0")
        })
    }

    /// The cgroup is empty; the kernel may take a moment to agree.
    pub(super) fn remove(&self) {
        for branch in &self.branches {
            remove(&branch.folder);
        }
    }
}

fn set_limits(branch: &Branch, limits: Limits) -> io::Result<()> {
    let quota_micros = (limits.cpu_millis * (CPU_PERIOD_MICROS / 1000)).max(1000);
    let memory_bytes = limits.memory_bytes.to_string();
    for controller in &branch.controllers {
        match (branch.version, *controller) {
            (Version::V1, "memory") => {
                set(branch, "memory.limit_in_bytes", &memory_bytes)?;
                // Memory and swap together; kernels without swap accounting lack the file.
                optional(set(branch, "memory.memsw.limit_in_bytes", &memory_bytes))?;
            }
            (Version::V1, "cpu") => {
                set(branch, "cpu.cfs_period_us", &CPU_PERIOD_MICROS.to_string())?;
                set(branch, "cpu.cfs_quota_us", &quota_micros.to_string())?;
            }
            (Version::V2, "memory") => {
                set(branch, "memory.max", &memory_bytes)?;
                optional(set(branch, "memory.swap.max", "0"))?;
            }
            (Version::V2, "cpu") => {
                set(branch, "cpu.max", &format!("{quota_micros} {CPU_PERIOD_MICROS}"))?;
            }
            (Version::V1 | Version::V2, "pids") => {
                set(branch, "pids.max", &limits.pids.to_string())?;
            }
            (version, other) => unreachable!("{other} is not a controller in use ({version:?})"),
        }
    }
    Ok(())
}

fn set(branch: &Branch, file: &str, value: &str) -> io::Result<()> {
    let path = branch.folder.join(file);
    fs::write(&path, value).map_err(|error| about(&path, error))
}

fn optional(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn about(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The processes in a cgroup and in those below it.
pub(super) fn members(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    // A member outside of this process's pid namespace reads as 0.
    let own = text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 1);
    own.chain(children(folder).iter().flat_map(|child| members(child))).collect()
}

/// Kills the processes in a cgroup and in those below it, once.
pub(super) fn kill(folder: &Path) {
    if fs::write(folder.join("cgroup.kill"), "1").is_err() {
        // cgroup v1, and v2 before Linux 5.14.
        members(folder).into_iter().for_each(kill_pid);
    }
}

/// Kills until none is left, or until `deadline`.
pub(super) fn empty(folder: &Path, deadline: Instant) {
    const PAUSE: Duration = Duration::from_millis(2);
    while !members(folder).is_empty() && Instant::now() < deadline {
        kill(folder);
        std::thread::sleep(PAUSE);
    }
}

/// Removes a cgroup whose processes have ended, with those below it.
pub(super) fn remove(folder: &Path) {
    const PATIENCE: Duration = Duration::from_secs(2);
    children(folder).iter().for_each(|child| remove(child));
    let deadline = Instant::now() + PATIENCE;
    loop {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                if Instant::now() > deadline {
                    tracing::warn!(folder = %folder.display(), "cgroup left behind: busy");
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            _ => return,
        }
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

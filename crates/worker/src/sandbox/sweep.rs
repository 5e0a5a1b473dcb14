//! # Sweeping
//!
//! **What** At the start of a worker: what an earlier incarnation left is killed and removed.
//! The guardian has usually done the killing.
//!
//! **Invariants** Only what bears the scope's name is touched: its cgroups, and processes with a
//! mount of a file that bears it.
//!
//! **Failure** Logged, and left for the next time.
//!
//! **Not here** The end of a sandbox of this incarnation (`supervision`).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::process::Pidfd;
use super::{cgroup, runc, scope};

/// Kills and removes all sandboxes with a scratch folder in `scratch_root`. To be called before
/// the first start, by the one worker that owns the folder.
pub fn sweep(scratch_root: &Path) {
    /// Killed processes are gone at once unless they wait for a device.
    const PATIENCE: Duration = Duration::from_secs(5);
    let deadline = Instant::now() + PATIENCE;
    for folder in scope::recorded(scratch_root) {
        cgroup::empty(&folder, deadline);
    }
    kill_marked(&scope::name(scratch_root));
    for entry in fs::read_dir(scratch_root).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        runc::delete_containers(&path);
        if let Err(error) = fs::remove_dir_all(&path) {
            tracing::warn!(scratch = %path.display(), %error, "scratch folder left behind");
        }
    }
    scope::release(scratch_root);
}

/// Where there was no cgroup: a sandbox's processes are in a mount namespace in which files of
/// the scope are mounted on `/etc`.
fn kill_marked(scope: &str) {
    let mark = format!("/{scope}.passwd /etc/passwd ");
    let is_marked = |pid: i32| {
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo"));
        mounts.is_ok_and(|mounts| mounts.contains(&mark))
    };
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        let Some(pid) = pid.filter(|pid| is_marked(*pid)) else { continue };
        // Looked at again once it is held: the pid may have changed hands.
        if let Ok(process) = Pidfd::open(pid)
            && is_marked(pid)
            && let Err(error) = process.signal(libc::SIGKILL)
        {
            tracing::warn!(pid, %error, "a left-over process was not killed");
        }
    }
}

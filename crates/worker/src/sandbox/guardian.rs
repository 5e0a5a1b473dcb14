//! # The guardian
//!
//! **What** A small process that outlives the worker by a moment. It holds one end of a pipe;
//! when the worker is gone, however that came, the pipe closes, and the guardian kills all that
//! is in the worker's scope and removes its cgroups.
//!
//! It is needed because what runc starts does not die with runc, and because bubblewrap has an
//! instant at its start in which the death of its parent goes unnoticed.
//!
//! It is a shell with a short script, and not a fork of the worker: it holds none of the worker's
//! descriptors or memory, and a program that uses this crate needs no hidden second main.
//!
//! **Invariants** Signals meant for the worker's terminal do not reach it.
//!
//! **Failure** A guardian that was killed is replaced at the next start of a sandbox. If guardian
//! and worker are killed together, runc's sandboxes live until the worker's next start (`sweep`).
//!
//! **Not here** The usual way to end a sandbox (`supervision`).

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::spawner;

/// Arguments: the scope's folder in each hierarchy.
const SCRIPT: &str = r#"
trap '' INT TERM HUP QUIT PIPE
read -r end
round=0
while [ "$round" -lt 500 ]; do
    found=
    for scope in "$@"; do
        [ -e "$scope/cgroup.kill" ] && echo 1 > "$scope/cgroup.kill"
        for members in "$scope"/*/cgroup.procs "$scope"/*/*/cgroup.procs; do
            [ -e "$members" ] || continue
            while read -r pid; do
                found=yes
                [ "$pid" -gt 1 ] && kill -9 "$pid"
            done < "$members"
        done
    done
    [ -z "$found" ] && break
    round=$((round + 1))
    sleep 0.01
done
for scope in "$@"; do
    rmdir "$scope"/*/*/ "$scope"/*/ "$scope"
done
"#;

#[derive(Debug)]
pub(super) struct Guardian {
    /// Its standard input stays open as long as this process lives.
    child: Option<Child>,
}

impl Guardian {
    pub(super) const fn none() -> Self {
        Guardian { child: None }
    }

    /// Starts it unless it is there.
    pub(super) fn ensure(&mut self, folders: &[PathBuf]) -> io::Result<()> {
        if let Some(child) = &mut self.child
            && child.try_wait()?.is_none()
        {
            return Ok(());
        }
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "hostler-guardian"])
            .args(folders)
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let setup = spawner::Setup { outlives_worker: true, ..spawner::Setup::default() };
        self.child = Some(spawner::spawn(command, setup)?);
        Ok(())
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

//! The guardian's own process: it waits for what the worker says and for the time to pass.
//!
//! **Invariants** What was said counts before the time is looked at: a guardian that was itself
//! held up kills nothing that was renewed meanwhile. The time goes on while the machine is
//! suspended. It is in a session of its own and ignores the signals that ask a process to end:
//! it ends with the worker.
//!
//! **Failure** What it cannot understand ends it, and the worker starts another. It says nothing:
//! whoever reads the worker's log may be stopped with the worker.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::channel::{self, Message};
use super::ward::Ward;
use crate::clock::boottime_ms;
use crate::sandbox::cgroup;
use crate::sandbox::process::{poll, signal};

/// Killed processes are gone at once unless they wait for a device.
const EMPTY_MAX: Duration = Duration::from_secs(5);

/// The main function of the guardian's process, whose standard input is the worker's channel.
/// Returns its exit code.
pub fn main_guardian() -> i32 {
    let stdin = io::stdin();
    match guard(stdin.as_fd()) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: a guardian is started by a worker: {error}");
            2
        }
    }
}

/// Until the worker is gone.
fn guard(worker: BorrowedFd<'_>) -> io::Result<()> {
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
    let mut ward = Ward::default();
    let mut scopes = Vec::new();
    channel::say_ready(worker)?;
    while hear(worker, &mut ward, &mut scopes)? {
        ward.overdue(boottime_ms()).into_iter().for_each(kill);
        wake_at(timer.as_fd(), ward.due_ms())?;
        poll(&[worker, timer.as_fd()], None)?;
    }
    ward.everything().into_iter().for_each(kill);
    leave_nothing(&scopes);
    Ok(())
}

/// Takes what was said so far; false when the worker is gone.
fn hear(
    worker: BorrowedFd<'_>,
    ward: &mut Ward<OwnedFd>,
    scopes: &mut Vec<PathBuf>,
) -> io::Result<bool> {
    loop {
        match channel::receive(worker) {
            Ok(Some(Message::Watch { scope })) => scopes.push(scope),
            Ok(Some(Message::Renew { until_ms })) => ward.renew(until_ms),
            Ok(Some(Message::Hold { id, first })) => ward.hold(id, first),
            Ok(Some(Message::Release { id })) => ward.release(id),
            Ok(None) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A worker that died with messages of ours unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// The first process of a pid namespace takes the others with it, as on the ladder's last rung.
fn kill(first: OwnedFd) {
    // It fails only for a process that has ended.
    let _ = signal(first.as_fd(), libc::SIGKILL);
}

/// A time that has passed wakes at once; none stops the timer.
fn wake_at(timer: BorrowedFd<'_>, due_ms: Option<i64>) -> io::Result<()> {
    // Zero would stop it as well.
    let due_ms = due_ms.map_or(0, |due_ms| due_ms.max(1));
    let it_value = Timespec { tv_sec: due_ms / 1_000, tv_nsec: due_ms % 1_000 * 1_000_000 };
    let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval, it_value })?;
    Ok(())
}

/// Also what runtimes left that were about to start a sandbox.
fn leave_nothing(scopes: &[PathBuf]) {
    let deadline = Instant::now() + EMPTY_MAX;
    for scope in scopes {
        cgroup::empty(scope, deadline);
        cgroup::remove(scope);
    }
}

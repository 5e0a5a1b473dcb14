//! # The guardian
//!
//! **What** A small process beside each worker that ends the worker's sandboxes when the worker
//! cannot: when it stands still beyond its lease (SIGSTOP, a debugger, a machine that starves it),
//! and when it is gone, however that came. This is the worker's end: it starts the process, tells
//! it over a socket which sandboxes there are and until when they may run, and replaces it.
//!
//! It is a process of its own since the timers of one that is stopped are stopped with it. It is
//! the worker's own program under another word, and not a fork of the worker: it holds none of
//! the worker's descriptors or memory.
//!
//! **States** up, or down while another one is being started: nothing new is taken meanwhile.
//!
//! **Invariants** Nothing runs unguarded: a program is not executed before the
//! guardian was told of it and the lease was seen to go on after that. So whoever is stopped in
//! between, and released when the lease is over, executes it in a sandbox that has been killed.
//! Processes are told by their pidfd, never by a number. Nothing here waits for the guardian:
//! one that does not take its messages is killed and replaced.
//!
//! **Failure** A guardian that was killed is replaced at once and told everything again; if that
//! fails, again every second. A worker that is killed or stopped together with its guardian is
//! not guarded: what outlives it is found at its next start (`sweep`).
//!
//! **Not here** What the process does (`program`), what it decides (`ward`), the usual way to end
//! a sandbox (`supervision`).

mod channel;
mod program;
mod ward;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use self::channel::Message;
pub use self::program::main_guardian;
use super::process::{Pidfd, poll};
use super::spawner;
use crate::clock::boottime_ms;

/// The subcommand of the `hostler` binary that calls [`main_guardian`].
pub const SUBCOMMAND: &str = "guardian";

/// A program is started and has said so within this, on a very busy host.
const READY_MAX: Duration = Duration::from_secs(10);
/// A guardian that cannot be started, or that ends sooner than this, is started again after it.
const AGAIN: Duration = Duration::from_secs(1);
/// The process gives up before.
const END_MAX: Duration = Duration::from_secs(10);

/// The worker's end. Dropping it ends the process, and with it whatever is still held.
#[derive(Debug)]
pub struct Guardian {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    program: Vec<OsString>,
    is_up: watch::Sender<bool>,
    state: Mutex<State>,
    /// There is another process, or the end.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    line: Option<Line>,
    closing: bool,
    /// What a new process is told.
    until_ms: Option<i64>,
    held: BTreeMap<u64, OwnedFd>,
    scopes: BTreeSet<PathBuf>,
    next_id: u64,
}

/// The way to a process that runs.
#[derive(Debug)]
struct Line {
    socket: OwnedFd,
    process: Pidfd,
    /// It took no message and was killed. The socket stays open until it has ended: it would take
    /// the socket's end for the worker's.
    is_broken: bool,
}

/// A sandbox that the guardian was told of, until this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    guardian: Arc<Guardian>,
    id: u64,
}

impl Guardian {
    /// Starts `program`, which is to call [`main_guardian`]. Blocks until it says that it runs.
    pub fn start(program: Vec<OsString>) -> io::Result<Arc<Guardian>> {
        let (is_up, _) = watch::channel(true);
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { program, is_up, state, changed });
        let (child, line) = shared.begin()?;
        shared.lock().line = Some(line);
        let kept = shared.clone();
        let thread = std::thread::Builder::new().name("guardian-keeper".to_owned());
        let keeper = thread.spawn(move || kept.keep(child))?;
        Ok(Arc::new(Guardian { shared, keeper: Some(keeper) }))
    }

    /// What is held may run until then: milliseconds of the time since boot.
    pub fn renew(&self, until_ms: i64) {
        let mut state = self.shared.lock();
        state.until_ms = Some(until_ms);
        // The next one is told as well.
        let _ = state.tell(&Message::Renew { until_ms });
    }

    /// Whether sandboxes can be started, as it changes.
    pub fn is_up(&self) -> watch::Receiver<bool> {
        self.shared.is_up.subscribe()
    }

    /// Cgroups whose members are to be killed when the worker is gone. Waits for a guardian that is
    /// being started.
    pub(super) fn watch(&self, scopes: &[PathBuf]) -> io::Result<()> {
        let mut state = self.shared.lock_when_up();
        for scope in scopes {
            if state.scopes.insert(scope.clone()) {
                state.tell(&Message::Watch { scope: scope.clone() })?;
            }
        }
        Ok(())
    }

    /// Takes a sandbox, by the first process of its pid namespace, into the guardian's charge.
    /// Waits for a guardian that is being started.
    pub(super) fn hold(self: &Arc<Self>, first: &Pidfd) -> io::Result<Charge> {
        let held = first.as_fd().try_clone_to_owned()?;
        let mut state = self.shared.lock_when_up();
        let id = state.next_id;
        state.next_id += 1;
        state.held.insert(id, held);
        // From here on it is given back whatever happens.
        let charge = Charge { guardian: self.clone(), id };
        let told = state.tell(&Message::Hold { id, first: first.as_fd() });
        let until_ms = state.until_ms;
        drop(state);
        told?;
        // Looked at after the telling, so that what goes on after it is known to be guarded.
        match until_ms.is_some_and(|until_ms| boottime_ms() < until_ms) {
            true => Ok(charge),
            false => Err(io::Error::other("the worker's lease is over")),
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let id = self.id;
        let mut state = self.guardian.shared.lock();
        state.held.remove(&id);
        let _ = state.tell(&Message::Release { id });
    }
}

impl Drop for Guardian {
    /// Returns when the process has ended.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closing = true;
        let line = state.line.take();
        drop(state);
        self.shared.changed.notify_all();
        if let Some(Line { socket, process, .. }) = line {
            drop(socket);
            let ended = poll(&[process.as_fd()], Some(END_MAX));
            if !matches!(ended, Ok(ready) if ready[0]) {
                kill(&process);
            }
        }
        if let Some(keeper) = self.keeper.take() {
            // Its panic was printed.
            let _ = keeper.join();
        }
    }
}

impl State {
    fn is_up(&self) -> bool {
        self.line.as_ref().is_some_and(|line| !line.is_broken)
    }

    fn tell(&mut self, message: &Message<BorrowedFd<'_>>) -> io::Result<()> {
        let gone = || io::Error::other("the worker's guardian is not there");
        let line = self.line.as_mut().filter(|line| !line.is_broken).ok_or_else(gone)?;
        let sent = channel::send(line.socket.as_fd(), message);
        if let Err(error) = &sent {
            tracing::error!(pid = line.process.pid(), %error, "the guardian takes no messages");
            line.is_broken = true;
            kill(&line.process);
        }
        sent
    }

    fn tell_everything(&mut self) -> io::Result<()> {
        for scope in self.scopes.clone() {
            self.tell(&Message::Watch { scope })?;
        }
        if let Some(until_ms) = self.until_ms {
            self.tell(&Message::Renew { until_ms })?;
        }
        let held = std::mem::take(&mut self.held);
        let told = held
            .iter()
            .try_for_each(|(&id, first)| self.tell(&Message::Hold { id, first: first.as_fd() }));
        self.held = held;
        told
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_when_up(&self) -> MutexGuard<'_, State> {
        let is_down = |state: &mut State| !state.is_up() && !state.closing;
        let waited = self.changed.wait_timeout_while(self.lock(), READY_MAX, is_down);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn begin(&self) -> io::Result<(Child, Line)> {
        let (ours, theirs) = channel::pair()?;
        let none = || io::Error::other("no program is given for the guardian");
        let (program, words) = self.program.split_first().ok_or_else(none)?;
        let mut command = Command::new(program);
        command
            .arg0("hostler-guardian")
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let setup = spawner::Setup { outlives_worker: true, ..spawner::Setup::default() };
        let mut child = spawner::spawn(command, setup)?;
        let pid = i32::try_from(child.id()).expect("a pid is an int");
        let ready = Pidfd::open(pid).and_then(|process| {
            poll(&[ours.as_fd()], Some(READY_MAX))?;
            channel::hear_ready(ours.as_fd())?;
            Ok(Line { socket: ours, process, is_broken: false })
        });
        match ready {
            Ok(line) => Ok((child, line)),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let program = program.display();
                Err(io::Error::new(error.kind(), format!("{program} is no guardian: {error}")))
            }
        }
    }

    /// Replaces the process each time it has ended, until the worker's end is closed.
    fn keep(&self, mut child: Child) {
        let mut started_at = Instant::now();
        loop {
            if let Err(error) = child.wait() {
                tracing::error!(%error, "the guardian's end is lost");
            }
            let mut state = self.lock();
            state.line = None;
            if state.closing {
                return;
            }
            drop(state);
            self.is_up.send_replace(false);
            tracing::error!("the guardian has ended; another one is started");
            if started_at.elapsed() < AGAIN && self.pauses_for_the_end() {
                return;
            }
            child = loop {
                started_at = Instant::now();
                match self.begin_again() {
                    Ok(child) => break child,
                    Err(error) => {
                        tracing::error!(%error, "no guardian: the worker takes no work");
                    }
                }
                if self.pauses_for_the_end() {
                    return;
                }
            };
        }
    }

    fn begin_again(&self) -> io::Result<Child> {
        let (child, line) = self.begin()?;
        let mut state = self.lock();
        if state.closing {
            // It ends with the line.
            return Ok(child);
        }
        state.line = Some(line);
        // One that fails here is killed, so that its end brings the next.
        if state.tell_everything().is_ok() {
            self.is_up.send_replace(true);
        }
        self.changed.notify_all();
        Ok(child)
    }

    /// Whether the worker's end was closed meanwhile.
    fn pauses_for_the_end(&self) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), AGAIN, |state| !state.closing);
        waited.unwrap_or_else(PoisonError::into_inner).0.closing
    }
}

fn kill(process: &Pidfd) {
    if let Err(error) = process.signal(libc::SIGKILL) {
        tracing::error!(pid = process.pid(), %error, "SIGKILL was not sent");
    }
}

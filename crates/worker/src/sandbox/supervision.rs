//! # Supervision
//!
//! **What** One thread for each sandbox: it prepares, starts, waits, proves that nothing is left,
//! and cleans up. A thread and not a task, so that a sandbox is cleaned up also when the runtime
//! that asked for it is gone.
//!
//! **Invariants** The exit is told after the proof: the first process of the pid namespace has
//! ended, for which the kernel ends all others first; the runtime's process has ended; and the
//! cgroup is empty.
//!
//! **Failure** A start that fails leaves nothing behind. A process the kernel cannot end (in an
//! uninterruptible wait) delays the exit as long as that takes, and is a survivor meanwhile.
//!
//! **Not here** What is started (`bubblewrap`, `runc`).

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::cgroup::Cgroup;
use super::guardian::Charge;
use super::handshake::{Handshake, Ready};
use super::process::{Pidfd, poll};
use super::scope::Scope;
use super::{Spec, StartError, spawner};
use crate::agent::Exit;

/// How a runtime carries a spec out.
pub(super) struct Plan {
    pub command: Command,
    /// Descriptors the command's arguments name by number.
    pub inherited: Vec<OwnedFd>,
    /// Host files that the command is to see mounted read-only.
    pub read_only: Vec<String>,
    /// Whether the command joins the sandbox's cgroup, or puts the sandbox there itself.
    pub joins_cgroup: bool,
    /// Where the command writes about itself, beside its standard error.
    pub log: Option<PathBuf>,
    /// Run when nothing is left, before the scratch folder is removed.
    pub clean_up: Box<dyn FnOnce() + Send>,
}

/// What a planner is told beside the spec.
pub(super) struct Ground<'a> {
    pub spec: &'a Spec,
    pub scope: &'a Scope,
    pub cgroup: Option<&'a Cgroup>,
}

pub(super) type Planner = fn(&Ground<'_>) -> Result<Plan, StartError>;

/// A sandbox whose program runs.
#[derive(Debug)]
pub(super) struct Started {
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    pub exit: watch::Receiver<Option<Exit>>,
    pub guard: Guard,
}

/// The handle; kills when it is dropped.
#[derive(Debug)]
pub(super) struct Guard(Arc<Held>);

#[derive(Debug)]
struct Held {
    agent: Pidfd,
    first: Pidfd,
    cgroup: Option<Cgroup>,
    out_of_memory: AtomicBool,
}

impl Guard {
    pub(super) fn terminate(&self) {
        if let Err(error) = self.0.agent.signal(libc::SIGTERM) {
            tracing::warn!(pid = self.0.agent.pid(), %error, "SIGTERM was not sent");
        }
    }

    pub(super) fn kill(&self) {
        self.0.kill();
    }

    pub(super) fn survivors(&self) -> Vec<i32> {
        self.0.survivors()
    }

    pub(super) fn out_of_memory(&self) -> bool {
        self.0.note_memory();
        self.0.out_of_memory.load(Ordering::Relaxed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill();
    }
}

impl Held {
    /// The first process takes its pid namespace with it, and so all of the sandbox; the runtime
    /// then ends by itself.
    fn kill(&self) {
        if let Err(error) = self.first.signal(libc::SIGKILL) {
            tracing::error!(pid = self.first.pid(), %error, "SIGKILL was not sent");
        }
    }

    fn survivors(&self) -> Vec<i32> {
        let mut pids = self.cgroup.as_ref().map(Cgroup::pids).unwrap_or_default();
        if !self.first.has_ended() && !pids.contains(&self.first.pid()) {
            pids.push(self.first.pid());
        }
        pids
    }

    fn note_memory(&self) {
        if self.cgroup.as_ref().is_some_and(Cgroup::out_of_memory) {
            self.out_of_memory.store(true, Ordering::Relaxed);
        }
    }
}

/// Starts a sandbox in a thread of its own.
pub(super) fn launch(
    spec: Spec,
    planner: Planner,
) -> oneshot::Receiver<Result<Started, StartError>> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name(format!("sandbox-{:.7}", spec.id));
    // When no thread can be made, the sender is dropped with the closure, which the receiver sees.
    let _ = thread.spawn(move || run(&spec, planner, sender));
    receiver
}

fn run(spec: &Spec, planner: Planner, tell: oneshot::Sender<Result<Started, StartError>>) {
    let mut attempt = match Attempt::begin(spec, planner) {
        Ok(attempt) => attempt,
        Err(error) => {
            let _ = tell.send(Err(error));
            return;
        }
    };
    match attempt.start(spec) {
        Ok((held, stdio)) => {
            let held = Arc::new(held);
            let (exit_sender, exit) = watch::channel(None);
            let [stdin, stdout, stderr] = stdio;
            let guard = Guard(held.clone());
            // When nobody waits any more, the guard comes back here and kills.
            drop(tell.send(Ok(Started { stdin, stdout, stderr, exit, guard })));
            let exit = attempt.see_to_its_end(&held);
            attempt.clean_up(held.cgroup.as_ref(), spec);
            let _ = exit_sender.send(Some(exit));
        }
        Err((error, cgroup)) => {
            attempt.give_up(cgroup.as_ref());
            attempt.clean_up(cgroup.as_ref(), spec);
            let _ = tell.send(Err(error));
        }
    }
}

struct Attempt {
    child: Child,
    child_pidfd: Pidfd,
    /// Open until the agent's end has been seen.
    handshake: Option<Handshake>,
    cgroup: Option<Cgroup>,
    /// While the program may run.
    charge: Option<Charge>,
    log: Option<PathBuf>,
    clean_up: Option<Box<dyn FnOnce() + Send>>,
}

/// The program's standard input, output and error.
type Stdio3 = [OwnedFd; 3];

impl Attempt {
    /// Leaves nothing behind if it fails.
    fn begin(spec: &Spec, planner: Planner) -> Result<Attempt, StartError> {
        super::spec::check(spec)?;
        let failed = |error: io::Error| StartError::Failed(error.to_string());
        let root = spec.scratch.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(root).map_err(failed)?;
        let scope = Scope::of(root).map_err(failed)?;
        DirBuilder::new()
            .mode(0o700)
            .create(&spec.scratch)
            .map_err(|error| StartError::Failed(format!("{}: {error}", spec.scratch.display())))?;
        let watched = spec.guardian.as_ref().map_or(Ok(()), |one| one.watch(&scope.folders));
        let made = watched.and_then(|()| scope.cgroup(&spec.id, spec.limits)).map_err(failed);
        let cgroup = made.inspect_err(|_| remove_scratch(spec))?;
        let ground = Ground { spec, scope: &scope, cgroup: cgroup.as_ref() };
        let spawned = planner(&ground).and_then(|plan| spawn(plan, cgroup.as_ref()));
        match spawned {
            Ok(Spawned { child, child_pidfd, handshake, log, clean_up }) => {
                let (handshake, clean_up) = (Some(handshake), Some(clean_up));
                let charge = None;
                Ok(Attempt { child, child_pidfd, handshake, cgroup, charge, log, clean_up })
            }
            Err(error) => {
                if let Some(cgroup) = &cgroup {
                    cgroup.remove();
                }
                remove_scratch(spec);
                Err(error)
            }
        }
    }

    fn start(&mut self, spec: &Spec) -> Result<(Held, Stdio3), (StartError, Option<Cgroup>)> {
        let handshake = self.handshake.as_mut().expect("begun with one");
        let ready = match handshake.receive(&spec.argv[0]) {
            Ok(Some(ready)) => ready,
            Ok(None) => {
                let text = self.last_words();
                return Err((StartError::Failed(text), self.cgroup.take()));
            }
            Err(error) => return Err((error, self.cgroup.take())),
        };
        let Ready { agent, first } = ready;
        let guarded = spec.guardian.as_ref().map(|guardian| guardian.hold(&first)).transpose();
        let guarded = guarded.map_err(|error| format!("guardian: {error}"));
        let released = guarded.and_then(|charge| {
            self.charge = charge;
            handshake.release().map_err(|error| format!("handshake: {error}"))
        });
        if let Err(error) = released {
            return Err((StartError::Failed(error), self.cgroup.take()));
        }
        let stdio = [
            self.child.stdin.take().map(OwnedFd::from).expect("piped"),
            self.child.stdout.take().map(OwnedFd::from).expect("piped"),
            self.child.stderr.take().map(OwnedFd::from).expect("piped"),
        ];
        let cgroup = self.cgroup.take();
        Ok((Held { agent, first, cgroup, out_of_memory: AtomicBool::new(false) }, stdio))
    }

    /// What the runtime wrote about its failure. It has ended or is about to.
    fn last_words(&mut self) -> String {
        const LENGTH_MAX: u64 = 16 << 10;
        let mut text = Vec::new();
        self.end_runtime();
        if let Some(stderr) = self.child.stderr.take() {
            let _ = stderr.take(LENGTH_MAX).read_to_end(&mut text);
        }
        if let Some(log) = self.log.as_ref().and_then(|path| fs::read(path).ok()) {
            text.extend(log.iter().take(LENGTH_MAX as usize));
        }
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        match self.child.wait() {
            Ok(status) if text.is_empty() => format!("the runtime ended with {status}"),
            _ => text,
        }
    }

    /// Gives the runtime the chance to tidy up: what waits inside ends with the handshake.
    fn end_runtime(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        self.handshake = None;
        drop(self.child.stdin.take());
        let ended = poll(&[self.child_pidfd.as_fd()], Some(PATIENCE));
        if !matches!(ended, Ok(ready) if ready[0]) {
            let _ = self.child.kill();
        }
    }

    fn give_up(&mut self, cgroup: Option<&Cgroup>) {
        self.end_runtime();
        empty(cgroup);
        let _ = self.child.wait();
    }

    /// Returns when the proof is there.
    fn see_to_its_end(&mut self, held: &Held) -> Exit {
        /// The runtime has nothing left to do but to notice and tidy up.
        const PATIENCE: Duration = Duration::from_secs(10);
        wait_for(&[held.agent.as_fd(), self.child_pidfd.as_fd()]);
        held.note_memory();
        // The first process, where it is ours, waits for this.
        self.handshake = None;
        wait_for(&[held.first.as_fd(), self.child_pidfd.as_fd()]);
        let ended = poll(&[self.child_pidfd.as_fd()], Some(PATIENCE));
        if !matches!(ended, Ok(ready) if ready[0]) {
            tracing::warn!(pid = self.child.id(), "the sandbox runtime hangs and is killed");
            let _ = self.child.kill();
        }
        let status = self.child.wait();
        held.kill();
        wait_for(&[held.first.as_fd()]);
        empty(held.cgroup.as_ref());
        held.note_memory();
        match (held.agent.exit(), status) {
            (Some(exit), _) => exit,
            (None, Ok(status)) => exit_of(status),
            (None, Err(error)) => {
                tracing::error!(%error, "the sandbox's exit is lost");
                Exit::Signal(libc::SIGKILL)
            }
        }
    }

    fn clean_up(&mut self, cgroup: Option<&Cgroup>, spec: &Spec) {
        self.charge = None;
        if let Some(clean_up) = self.clean_up.take() {
            clean_up();
        }
        if let Some(cgroup) = cgroup {
            cgroup.remove();
        }
        remove_scratch(spec);
    }
}

struct Spawned {
    child: Child,
    child_pidfd: Pidfd,
    handshake: Handshake,
    log: Option<PathBuf>,
    clean_up: Box<dyn FnOnce() + Send>,
}

fn spawn(plan: Plan, cgroup: Option<&Cgroup>) -> Result<Spawned, StartError> {
    let program = plan.command.get_program().to_string_lossy().into_owned();
    let failed = |error: io::Error| StartError::Failed(format!("{program}: {error}"));
    let (handshake, theirs) = Handshake::new().map_err(failed)?;
    let mut doors = Vec::new();
    if let Some(cgroup) = cgroup.filter(|_| plan.joins_cgroup) {
        doors = cgroup.doors().map_err(failed)?;
    }
    let read_only: Result<Vec<CString>, _> = plan.read_only.into_iter().map(CString::new).collect();
    let read_only = read_only.expect("paths of this program's own");
    let mut command = plan.command;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let setup = spawner::Setup {
        doors,
        inherited: plan.inherited,
        read_only,
        third: Some(theirs),
        outlives_worker: false,
    };
    let mut child = spawner::spawn(command, setup).map_err(failed)?;
    let pid = i32::try_from(child.id()).expect("a pid is an int");
    // A child that has not been waited for keeps its pid, ended or not.
    match Pidfd::open(pid) {
        Ok(child_pidfd) => {
            let Plan { log, clean_up, .. } = plan;
            Ok(Spawned { child, child_pidfd, handshake, log, clean_up })
        }
        Err(error) => {
            drop(handshake);
            let _ = child.kill();
            let _ = child.wait();
            Err(failed(error))
        }
    }
}

/// Returns when one of them is ready.
fn wait_for(fds: &[BorrowedFd<'_>]) {
    while let Err(error) = poll(fds, None) {
        // Only a lack of kernel memory remains; waiting a little is all that can be done.
        tracing::error!(%error, "poll failed");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Kills what is in the cgroup until there is nothing.
fn empty(cgroup: Option<&Cgroup>) {
    const PAUSE: Duration = Duration::from_millis(2);
    let Some(cgroup) = cgroup else { return };
    while !cgroup.pids().is_empty() {
        cgroup.kill();
        std::thread::sleep(PAUSE);
    }
}

/// The runtimes tell a signal as a shell does.
fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code @ 129..=192), _) => Exit::Signal(code - 128),
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(libc::SIGKILL)),
    }
}

fn remove_scratch(spec: &Spec) {
    if let Err(error) = fs::remove_dir_all(&spec.scratch)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(scratch = %spec.scratch.display(), %error, "scratch folder left behind");
    }
}

//! # Sandboxes
//!
//! **What** One file per isolation behind one trait. A [`Spec`] says what the process may see and
//! use; a [`Runtime`] starts it; a [`Sandbox`] is the running thing, killed as a whole.
//!
//! Both runtimes give the same view: own user, pid, mount, ipc, uts, cgroup and network
//! namespaces with no route out, the host's `/usr` read-only, private `/tmp`, `/run`, `/proc`
//! and `/home/agent`, uid 1000 without capabilities, and one seccomp deny list (`seccomp`).
//! Uid 1000 inside is the worker's own user outside, so that files written to the workspace
//! belong to the worker; a worker run as root therefore shares uid 0 with its sandboxes, and
//! namespaces, read-only mounts and missing capabilities are what separates them.
//!
//! **Invariants** A sandbox dies with the worker. `kill` is final: when `wait` has returned,
//! no process of the sandbox is left, daemonised or not: its pid namespace has ended and its
//! cgroup, where there is one, is empty.
//!
//! How it dies with the worker: every child is made by one thread that never ends (`spawner`)
//! and asks the kernel to be killed when that thread is gone, and the worker's guardian process
//! (`guardian`) kills what it was told of, and what is left in the worker's cgroups. A worker that
//! stands still instead is past its lease without knowing: its guardian kills then, too.
//! What neither reaches [`sweep`] finds at the next start.
//!
//! **Failure** A probe or a start that fails says literally what the system said and what is
//! missing; nothing falls back silently to less isolation. A limit the host cannot enforce is
//! named in [`Probe::limits`].
//!
//! **Not here** What runs inside (`agent`), which runtime a policy asks for (the server).

mod bubblewrap;
mod cgroup;
mod discovery;
mod guardian;
mod handshake;
mod process;
mod runc;
mod scope;
mod seccomp;
mod spawner;
mod spec;
mod supervision;
mod sweep;
mod view;

use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;

pub use self::guardian::{Guardian, SUBCOMMAND as GUARDIAN, main_guardian};
use self::supervision::{Guard, Started};
pub use self::sweep::sweep;
use crate::agent::Exit;

/// What the process in a sandbox may see and use.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Unique among the sandboxes of a scratch root: letters, digits, `-`, `_` and `.`.
    pub id: String,
    pub argv: Vec<String>,
    /// Added to `PATH`, `HOME`, `USER`, `LANG` and `TMPDIR`; nothing of the worker's environment
    /// is passed on.
    pub env: Vec<(String, String)>,
    /// A folder inside; it must exist there.
    pub cwd: String,
    pub workspace: Workspace,
    pub binds: Vec<Bind>,
    pub limits: Limits,
    /// Host path of the model proxy's socket, named `model.sock`; its folder appears read-only
    /// at `/run/hostler`.
    pub model_socket: Option<PathBuf>,
    /// A folder this sandbox may use, made and removed by it. Its parent is the scratch root
    /// that [`sweep`] is given, and belongs to one worker alone.
    pub scratch: PathBuf,
    /// Who ends it when the worker cannot. `None`: for what ends by itself in a moment.
    pub guardian: Option<Arc<Guardian>>,
}

/// What is at `/workspace`; `None` is a private folder in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Workspace {
    None,
    Ro(PathBuf),
    Rw(PathBuf),
}

/// A host file or folder mounted into the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    pub host: PathBuf,
    pub inside: String,
    pub writable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// 1000 is one core.
    pub cpu_millis: u64,
    /// Files in `/tmp` and `/home/agent` count too: they are memory.
    pub memory_bytes: u64,
    /// Processes and threads; the runtime's own one or two count too.
    pub pids: u64,
    /// Of `/tmp`, `/var/tmp`, `/home/agent`, and a private `/workspace`, each.
    pub tmp_bytes: u64,
}

/// What a runtime can do on this host, found by running something in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub runtime: &'static str,
    pub available: bool,
    /// The version that ran, or literally what failed and how to get what is missing.
    pub detail: String,
    /// Which limits hold and which do not, in words.
    pub limits: String,
    pub seccomp: bool,
}

/// A way to isolate a process.
pub trait Runtime: Send + Sync {
    /// `bubblewrap` or `runc`.
    fn name(&self) -> &'static str;
    /// Runs a short command in the runtime; blocks for up to a second or so.
    fn probe(&self) -> Probe;
    /// Resolves once the program is about to be executed; it has been looked up by then.
    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Sandbox, StartError>>;
}

/// Why nothing was started; nothing is left of the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartError {
    /// The runtime cannot be used on this host.
    Unavailable(String),
    /// The program is not in the sandbox, or cannot be executed.
    NoProgram(String),
    /// The spec cannot be carried out.
    Invalid(String),
    /// The runtime or the system said no.
    Failed(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Unavailable(text) => write!(f, "sandbox runtime unavailable: {text}"),
            StartError::NoProgram(program) => {
                write!(f, "program not found in the sandbox, or not executable: {program}")
            }
            StartError::Invalid(text) => write!(f, "invalid sandbox: {text}"),
            StartError::Failed(text) => write!(f, "sandbox failed to start: {text}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running process with all its descendants. Dropping it kills them.
#[derive(Debug)]
pub struct Sandbox {
    /// Taken and dropped to close the process's standard input.
    pub stdin: Option<pipe::Sender>,
    pub stdout: pipe::Receiver,
    pub stderr: pipe::Receiver,
    exit: watch::Receiver<Option<Exit>>,
    guard: Guard,
}

impl Sandbox {
    fn new(started: Started) -> Result<Self, StartError> {
        let failed = |error: std::io::Error| StartError::Failed(format!("pipes: {error}"));
        Ok(Sandbox {
            stdin: Some(pipe::Sender::from_owned_fd(started.stdin).map_err(failed)?),
            stdout: pipe::Receiver::from_owned_fd(started.stdout).map_err(failed)?,
            stderr: pipe::Receiver::from_owned_fd(started.stderr).map_err(failed)?,
            exit: started.exit,
            guard: started.guard,
        })
    }

    /// Resolves when the main process has ended and nothing of the sandbox is left. May be
    /// dropped and called again. A program that itself exits with 128 + n is told from one ended
    /// by signal n only by kernels from 6.15 on; on older ones both are `Signal(n)`.
    pub async fn wait(&mut self) -> Exit {
        match self.exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.expect("waited for"),
            // The supervising thread ends only after it has told the exit.
            Err(_) => unreachable!("the sandbox's supervision ended without an exit"),
        }
    }

    /// Asks the main process to end (SIGTERM).
    pub fn terminate(&self) {
        self.guard.terminate();
    }

    /// Ends every process of the sandbox (SIGKILL).
    pub fn kill(&self) {
        self.guard.kill();
    }

    /// Host pids of the sandbox's processes; empty after `wait`.
    pub fn survivors(&self) -> Vec<i32> {
        self.guard.survivors()
    }

    /// Whether the kernel killed a process of the sandbox for want of memory.
    pub fn out_of_memory(&self) -> bool {
        self.guard.out_of_memory()
    }
}

/// Every runtime this build knows, the default first.
pub fn runtimes() -> Vec<Arc<dyn Runtime>> {
    vec![Arc::new(bubblewrap::Bubblewrap), Arc::new(runc::Runc)]
}

/// Starts `spec` in a thread of its own with the plan `planner` makes.
async fn start(spec: Spec, planner: supervision::Planner) -> Result<Sandbox, StartError> {
    let started = supervision::launch(spec, planner);
    match started.await {
        Ok(started) => Sandbox::new(started?),
        Err(_) => Err(StartError::Failed("the supervising thread ended".to_owned())),
    }
}

/// Probes by running `cat /proc/self/status` in `runtime`.
fn probe(runtime: &dyn Runtime, program: &str, hint: &str) -> Probe {
    let mut probe = Probe {
        runtime: runtime.name(),
        available: false,
        detail: String::new(),
        limits: scope::limits_here(),
        seccomp: false,
    };
    let version = match version(program) {
        Ok(version) => version,
        Err(error) => {
            probe.detail = format!("{program}: {error}; {hint}");
            return probe;
        }
    };
    let root = match private_folder() {
        Ok(root) => root,
        Err(error) => {
            probe.detail = format!("{version}: no temporary folder: {error}");
            return probe;
        }
    };
    // The caller may be inside a runtime of its own, where blocking on another is a panic.
    let ran = std::thread::scope(|threads| {
        let ran = threads.spawn(|| run_status(runtime, &root)).join();
        ran.unwrap_or_else(|_| Err("the probe's thread panicked".to_owned()))
    });
    scope::release(&root);
    let _ = std::fs::remove_dir_all(&root);
    match ran {
        Ok(status) => {
            probe.available = true;
            probe.seccomp = status.lines().any(|line| line == "Seccomp:\t2");
            probe.detail = version;
        }
        Err(error) if error.contains(hint) => probe.detail = format!("{version}: {error}"),
        Err(error) => probe.detail = format!("{version}: {error}; {hint}"),
    }
    probe
}

/// A folder for a probe, made by this call: in a shared place one that is there already could be
/// anybody's.
fn private_folder() -> std::io::Result<PathBuf> {
    static FOLDERS: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("hostler-probe-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

fn version(program: &str) -> std::io::Result<String> {
    let path = process::find_program(program)?;
    let output = Command::new(path).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn run_status(runtime: &dyn Runtime, root: &Path) -> Result<String, String> {
    let spec = Spec {
        id: "probe".to_owned(),
        argv: ["cat", "/proc/self/status"].map(str::to_owned).to_vec(),
        env: Vec::new(),
        cwd: "/workspace".to_owned(),
        workspace: Workspace::None,
        binds: Vec::new(),
        limits: Limits { cpu_millis: 1000, memory_bytes: 256 << 20, pids: 64, tmp_bytes: 1 << 20 },
        model_socket: None,
        scratch: root.join("probe"),
        guardian: None,
    };
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let executor = executor.map_err(|error| error.to_string())?;
    executor.block_on(async {
        let mut sandbox = runtime.start(spec).await.map_err(|error| error.to_string())?;
        let mut status = String::new();
        let read = sandbox.stdout.read_to_string(&mut status).await;
        let exit = sandbox.wait().await;
        match (read, exit) {
            (Ok(_), Exit::Code(0)) => Ok(status),
            (read, exit) => Err(format!("the probe ended with {exit:?}, read {read:?}")),
        }
    })
}

//! # bubblewrap
//!
//! **What** The default runtime: `bwrap`, with or without root, one small process outside and one
//! inside that reaps.
//!
//! **Invariants** Arguments that hold a value of the environment go by a descriptor, not by the
//! command line, which every user of the host can read. `bwrap` itself gets none of the spec's
//! environment: `LD_PRELOAD` would take effect outside.
//!
//! **Failure** `bwrap`'s own words.
//!
//! **Not here** What is shown and refused inside (`view`, `seccomp`).

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;

use futures_util::future::BoxFuture;

use super::process::{find_program, memory_file};
use super::supervision::{Ground, Plan};
use super::view::{self, HOME, HOST_NAME, RUN_BYTES, SHARED_MEMORY_BYTES, Shown, USER_ID};
use super::{Probe, Runtime, Sandbox, Spec, StartError, Workspace, handshake, seccomp};

const PROGRAM: &str = "bwrap";
const HINT: &str = "bubblewrap 0.8 or newer is needed (`apt-get install bubblewrap`), and \
    permission to make user namespaces (sysctl user.max_user_namespaces, \
    kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)";

pub(super) struct Bubblewrap;

impl Runtime for Bubblewrap {
    fn name(&self) -> &'static str {
        "bubblewrap"
    }

    fn probe(&self) -> Probe {
        super::probe(self, PROGRAM, HINT)
    }

    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Sandbox, StartError>> {
        Box::pin(super::start(spec, plan))
    }
}

fn plan(ground: &Ground<'_>) -> Result<Plan, StartError> {
    let spec = ground.spec;
    let program = find_program(PROGRAM)
        .map_err(|error| StartError::Unavailable(format!("{PROGRAM}: {error}; {HINT}")))?;
    let failed = |error: std::io::Error| StartError::Failed(error.to_string());
    let etc = view::write_etc(&spec.scratch.join("etc"), &ground.scope.name).map_err(failed)?;

    let mut arguments = Arguments::default();
    arguments.isolate();
    arguments.show_system();
    for (host, inside) in etc {
        arguments.add(["--ro-bind".as_ref(), host.as_os_str(), inside.as_ref()]);
    }
    arguments.private_folders(spec);
    arguments.show_work(spec);
    for (name, value) in view::environment(spec) {
        arguments.add(["--setenv", &name, &value]);
    }
    arguments.add(["--chdir", &spec.cwd]);

    let mut inherited = Vec::new();
    for filter in seccomp::programs().map_err(StartError::Unavailable)? {
        let file = memory_file(&filter).map_err(failed)?;
        arguments.add(["--add-seccomp-fd", &file.as_raw_fd().to_string()]);
        inherited.push(file);
    }
    let list = arguments.list().map_err(failed)?;
    let enforced = ["memory", "pids"].iter().all(|one| ground.scope.enforces(one));
    let script = handshake::script((!enforced).then_some(spec.limits), false);
    let mut command = Command::new(program);
    command
        .env_clear()
        .current_dir("/")
        .args(["--args", &list.as_raw_fd().to_string()])
        .args(["--", "/bin/sh", "-c", &script, "sh"])
        .args(&spec.argv);
    inherited.push(list);
    Ok(Plan {
        command,
        inherited,
        // `--remount-ro` on a device would shut it; mounted so before, it stays so.
        read_only: view::DEVICES.iter().map(|path| (*path).to_owned()).collect(),
        joins_cgroup: true,
        log: None,
        clean_up: Box::new(|| ()),
    })
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add<const N: usize, T: AsRef<OsStr> + ?Sized>(&mut self, arguments: [&T; N]) {
        self.0.extend(arguments.iter().map(|argument| argument.as_ref().to_owned()));
    }

    /// A file of the arguments as `--args` reads it.
    fn list(self) -> std::io::Result<OwnedFd> {
        let mut bytes = Vec::new();
        for argument in self.0 {
            bytes.extend(argument.as_encoded_bytes());
            bytes.push(0);
        }
        memory_file(&bytes)
    }

    fn isolate(&mut self) {
        let id = USER_ID.to_string();
        self.add([
            "--unshare-user",
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-net",
            "--unshare-cgroup",
            "--disable-userns",
            "--die-with-parent",
            "--new-session",
            "--clearenv",
        ]);
        self.add(["--uid", &id, "--gid", &id, "--hostname", HOST_NAME, "--cap-drop", "ALL"]);
    }

    fn show_system(&mut self) {
        self.add(["--perms", "0755", "--dir", "/etc"]);
        for shown in view::system().into_iter().chain(view::settings()) {
            match shown {
                Shown::Bind(path) => self.add(["--ro-bind", &path, &path]),
                Shown::Link { at, target } => self.add(["--symlink", &target, &at]),
            }
        }
        self.add(["--proc", "/proc"]);
        for path in view::masked() {
            if std::path::Path::new(path).is_dir() {
                self.add(["--perms", "0555", "--size", "4096", "--tmpfs", path]);
                self.add(["--remount-ro", path]);
            } else {
                self.add(["--ro-bind", "/dev/null", path]);
            }
        }
        // bubblewrap covers `/proc/sys` only where it finds the folder itself writable; the
        // settings in it are, to a worker run as root.
        self.add(["--remount-ro", "/proc"]);
        self.add(["--dev", "/dev"]);
        self.memory_folder("/dev/shm", "1777", SHARED_MEMORY_BYTES);
        // Else the agent, who owns it, could fill half of the host's memory with files here.
        self.add(["--remount-ro", "/dev"]);
    }

    fn private_folders(&mut self, spec: &Spec) {
        self.memory_folder("/tmp", "1777", spec.limits.tmp_bytes);
        self.memory_folder("/var/tmp", "1777", spec.limits.tmp_bytes);
        self.memory_folder("/run", "0755", RUN_BYTES);
        self.memory_folder(HOME, "0700", spec.limits.tmp_bytes);
    }

    fn memory_folder(&mut self, path: &str, mode: &str, bytes: u64) {
        // A size of zero would mean none.
        let size = bytes.max(4096).to_string();
        self.add(["--perms", mode, "--size", &size, "--tmpfs", path]);
    }

    fn show_work(&mut self, spec: &Spec) {
        let workspace = "/workspace";
        match &spec.workspace {
            Workspace::None => self.memory_folder(workspace, "0700", spec.limits.tmp_bytes),
            Workspace::Ro(host) => self.bind("--ro-bind", host.as_os_str(), workspace),
            Workspace::Rw(host) => self.bind("--bind", host.as_os_str(), workspace),
        }
        for bind in view::binds(spec) {
            let option = if bind.writable { "--bind" } else { "--ro-bind" };
            self.bind(option, bind.host.as_os_str(), &bind.inside);
        }
        self.add(["--remount-ro", "/"]);
    }

    fn bind(&mut self, option: &str, host: &OsStr, inside: &str) {
        self.add([option.as_ref(), host, inside.as_ref()]);
    }
}

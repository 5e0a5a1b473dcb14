//! # runc
//!
//! **What** The OCI runtime, for workers run as root. A bundle of the host's own `/usr` is
//! written to the scratch folder, and `runc run` stays in the foreground beside it.
//!
//! Uid 1000 inside is the worker's user outside, and uid 0 inside a number nobody has; files of
//! other users show as nobody's. Folders between a private folder and a mount below it (such as
//! `/home/agent/a` for a mount at `/home/agent/a/b`) belong to that uid 0.
//!
//! `/dev` is a folder made here: runc's own would have the host's devices mounted writable, and
//! a sandbox of a worker run as root could change their modes. Files that runc masks it covers
//! with the `/dev/null` inside, and the cover is as read-only as that is.
//!
//! **Invariants** runc's state is below the scratch folder, so one sandbox's clean-up, or `sweep`,
//! finds it. The limits are set by `cgroup`; runc only puts the container there.
//!
//! **Failure** runc's own words.
//!
//! **Not here** What is shown and refused inside (`view`, `seccomp`).

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::discovery::{Branch, Version};
use super::process::{find_program, group_id, user_id};
use super::supervision::{Ground, Plan};
use super::view::{self, HOME, HOST_NAME, RUN_BYTES, SHARED_MEMORY_BYTES, Shown, USER_ID};
use super::{Probe, Runtime, Sandbox, Spec, StartError, Workspace, handshake, seccomp};

const PROGRAM: &str = "runc";
const HINT: &str = "runc 1.1 or newer is needed (`apt-get install runc`), a worker run as root, \
    and a writable cgroup file system";

/// Uid and gid 0 inside: above the ranges that distributions and systemd hand out.
const ROOT_OUTSIDE: u32 = 0x7000_0000;

/// Below the scratch folder: runc's `--root`.
const STATE: &str = "runc";

/// Below the scratch folder: what is at `/dev`.
const DEVICES: &str = "dev";

pub(super) struct Runc;

impl Runtime for Runc {
    fn name(&self) -> &'static str {
        "runc"
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
    let unavailable = |text: String| StartError::Unavailable(format!("{text}; {HINT}"));
    let program =
        find_program(PROGRAM).map_err(|error| unavailable(format!("{PROGRAM}: {error}")))?;
    if user_id() != 0 {
        return Err(unavailable("the worker is not run as root".to_owned()));
    }
    // Without one, a container would outlive a worker that is killed.
    let Some(cgroup) = ground.cgroup else {
        return Err(unavailable("no writable cgroup".to_owned()));
    };
    let failed = |error: io::Error| StartError::Failed(error.to_string());
    let etc = view::write_etc(&spec.scratch.join("etc"), &ground.scope.name).map_err(failed)?;
    let root = spec.scratch.join("root");
    write_skeleton(&root, spec, &etc).map_err(failed)?;
    write_devices(&spec.scratch.join(DEVICES)).map_err(failed)?;
    let config = config(ground, cgroup.branches(), &root, &etc)?;
    let bundle = &spec.scratch;
    // It holds the environment, which may hold secrets.
    let mut file = OpenOptions::new();
    let mut file = file
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(bundle.join("config.json"))
        .map_err(failed)?;
    file.write_all(config.to_string().as_bytes()).map_err(failed)?;

    let state = spec.scratch.join(STATE);
    let log = spec.scratch.join("runc.log");
    let mut command = Command::new(&program);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .arg("--root")
        .arg(&state)
        // Its warnings would come among the program's own output.
        .arg("--log")
        .arg(&log)
        .args(["run", "--preserve-fds", "1", "--bundle"])
        .arg(bundle)
        .arg(&spec.id);
    let scratch = spec.scratch.clone();
    Ok(Plan {
        command,
        inherited: Vec::new(),
        read_only: Vec::new(),
        joins_cgroup: false,
        log: Some(log),
        clean_up: Box::new(move || delete_containers(&scratch)),
    })
}

/// Removes the containers whose state is below a scratch folder, with their processes and
/// cgroups. `runc run` does so itself unless it was killed.
pub(super) fn delete_containers(scratch: &Path) {
    let state = scratch.join(STATE);
    let Ok(entries) = fs::read_dir(&state) else { return };
    for entry in entries.flatten() {
        let Ok(program) = find_program(PROGRAM) else { return };
        let mut command = Command::new(program);
        command.arg("--root").arg(&state).args(["delete", "--force"]).arg(entry.file_name());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        match command.output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                tracing::warn!(container = ?entry.file_name(), text, "runc delete failed");
            }
            Err(error) => tracing::warn!(%error, "runc delete failed"),
        }
    }
}

/// The root folder: empty places to mount on. runc gives a tmpfs the mode of the place it is
/// mounted on, whatever its options say.
fn write_skeleton(root: &Path, spec: &Spec, etc: &[(PathBuf, String)]) -> io::Result<()> {
    let folder = |path: &str, mode: u32| {
        let path = below(root, path);
        DirBuilder::new().recursive(true).mode(0o755).create(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
    };
    folder("/", 0o755)?;
    for path in ["/proc", "/dev", "/etc", "/run", "/var"] {
        folder(path, 0o755)?;
    }
    for path in ["/tmp", "/var/tmp"] {
        folder(path, 0o1777)?;
    }
    folder(HOME, 0o700)?;
    folder("/workspace", 0o700)?;
    for (_, inside) in etc {
        place(root, Path::new("/dev/null"), inside)?;
    }
    for shown in view::system().into_iter().chain(view::settings()) {
        match shown {
            Shown::Bind(path) => place(root, Path::new(&path), &path)?,
            Shown::Link { at, target } => {
                let at = below(root, &at);
                fs::create_dir_all(at.parent().unwrap_or(root))?;
                symlink(target, at)?;
            }
        }
    }
    for bind in view::binds(spec) {
        // Those below a private folder are made when that is mounted.
        let private = [HOME, "/tmp", "/var/tmp", "/run", "/workspace", "/dev", "/proc", "/usr"];
        if !private.iter().any(|folder| Path::new(&bind.inside).starts_with(folder)) {
            place(root, &bind.host, &bind.inside)?;
        }
    }
    Ok(())
}

fn write_devices(folder: &Path) -> io::Result<()> {
    for path in ["pts", "shm"] {
        fs::create_dir_all(folder.join(path))?;
    }
    // The mode of the tmpfs, see `write_skeleton`.
    fs::set_permissions(folder.join("shm"), fs::Permissions::from_mode(0o1777))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for device in view::DEVICES {
        fs::write(folder.join(device.trim_start_matches("/dev/")), "")?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("ptmx", "pts/ptmx"),
        ("stderr", "/proc/self/fd/2"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
    ] {
        symlink(target, folder.join(name))?;
    }
    Ok(())
}

/// An empty file or folder, as `host` is one.
fn place(root: &Path, host: &Path, inside: &str) -> io::Result<()> {
    let place = below(root, inside);
    if fs::metadata(host)?.is_dir() {
        return fs::create_dir_all(place);
    }
    fs::create_dir_all(place.parent().unwrap_or(root))?;
    OpenOptions::new().create(true).append(true).open(place).map(|_| ())
}

fn below(root: &Path, inside: &str) -> PathBuf {
    root.join(inside.trim_start_matches('/'))
}

fn config(
    ground: &Ground<'_>,
    branches: &[Branch],
    root: &Path,
    etc: &[(PathBuf, String)],
) -> Result<Value, StartError> {
    let spec = ground.spec;
    let mut arguments = vec!["/bin/sh".to_owned(), "-c".to_owned()];
    let enforced = ["memory", "pids"].iter().all(|one| ground.scope.enforces(one));
    arguments.push(handshake::script((!enforced).then_some(spec.limits), true));
    arguments.push("sh".to_owned());
    arguments.extend(spec.argv.iter().cloned());
    let environment = view::environment(spec).into_iter();
    let environment: Vec<String> =
        environment.map(|(name, value)| format!("{name}={value}")).collect();
    let namespaces = ["user", "pid", "ipc", "uts", "mount", "network", "cgroup"];
    Ok(json!({
        "ociVersion": "1.0.2",
        "hostname": HOST_NAME,
        "root": { "path": root, "readonly": true },
        "mounts": mounts(spec, etc),
        "process": {
            "terminal": false,
            "user": { "uid": USER_ID, "gid": USER_ID, "umask": 0o22 },
            "args": arguments,
            "env": environment,
            "cwd": spec.cwd,
            "noNewPrivileges": true,
            "oomScoreAdj": 500,
            "capabilities": {
                "bounding": [], "effective": [], "permitted": [], "inheritable": [], "ambient": [],
            },
            "rlimits": [{ "type": "RLIMIT_CORE", "hard": 0, "soft": 0 }],
        },
        "linux": {
            "namespaces": namespaces.map(|kind| json!({ "type": kind })),
            "uidMappings": mapping(user_id()),
            "gidMappings": mapping(group_id()),
            "cgroupsPath": cgroup_path(branches)?,
            "rootfsPropagation": "private",
            "maskedPaths": view::masked(),
            "seccomp": seccomp::oci().map_err(StartError::Unavailable)?,
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
        },
    }))
}

fn mapping(outside: u32) -> Value {
    json!([
        { "containerID": 0, "hostID": ROOT_OUTSIDE, "size": 1 },
        { "containerID": USER_ID, "hostID": outside, "size": 1 },
    ])
}

/// A relative path is taken below runc's own cgroup, which is the worker's: in v1 the one way to
/// say several places at once. In v2 runc would take it below the parent of its own, so there it
/// is absolute.
fn cgroup_path(branches: &[Branch]) -> Result<String, StartError> {
    let failed = || StartError::Failed("the sandbox's cgroup has no path".to_owned());
    let v1 = branches.iter().find(|branch| branch.version == Version::V1);
    let branch = v1.or(branches.first()).ok_or_else(failed)?;
    let path = match branch.version {
        Version::V1 => {
            let scope = branch.folder.parent().and_then(Path::file_name).ok_or_else(failed)?;
            PathBuf::from(scope).join(branch.folder.file_name().ok_or_else(failed)?)
        }
        Version::V2 => {
            let relative = branch.folder.strip_prefix(&branch.mount).map_err(|_| failed())?;
            Path::new("/").join(relative)
        }
    };
    path.to_str().map(str::to_owned).ok_or_else(failed)
}

fn mounts(spec: &Spec, etc: &[(PathBuf, String)]) -> Vec<Value> {
    let memory = |inside: &str, mode: &str, bytes: u64| {
        let (mode, size) = (format!("mode={mode}"), format!("size={}", bytes.max(4096)));
        mount(inside, "tmpfs", Path::new("tmpfs"), &["nosuid", "nodev", &mode, &size])
    };
    let own = |inside: &str, bytes: u64| {
        let size = format!("size={}", bytes.max(4096));
        let (uid, gid) = (format!("uid={USER_ID}"), format!("gid={USER_ID}"));
        let options = ["nosuid", "nodev", "mode=700", &size, &uid, &gid];
        mount(inside, "tmpfs", Path::new("tmpfs"), &options)
    };
    let process = ["nosuid", "noexec", "nodev", "ro"];
    let terminal = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    let mut mounts = vec![
        mount("/proc", "proc", Path::new("proc"), &process),
        bind(&spec.scratch.join(DEVICES), "/dev", false),
        mount("/dev/pts", "devpts", Path::new("devpts"), &terminal),
        memory("/dev/shm", "1777", SHARED_MEMORY_BYTES),
    ];
    for device in view::DEVICES {
        // Not with `nodev`, of course.
        let options = ["bind", "ro", "nosuid", "noexec", "rprivate"];
        mounts.push(mount(device, "bind", Path::new(device), &options));
    }
    for shown in view::system().into_iter().chain(view::settings()) {
        if let Shown::Bind(path) = shown {
            mounts.push(bind(Path::new(&path), &path, false));
        }
    }
    for (host, inside) in etc {
        mounts.push(bind(host, inside, false));
    }
    mounts.push(memory("/tmp", "1777", spec.limits.tmp_bytes));
    mounts.push(memory("/var/tmp", "1777", spec.limits.tmp_bytes));
    mounts.push(memory("/run", "755", RUN_BYTES));
    mounts.push(own(HOME, spec.limits.tmp_bytes));
    mounts.push(match &spec.workspace {
        Workspace::None => own("/workspace", spec.limits.tmp_bytes),
        Workspace::Ro(host) => bind(host, "/workspace", false),
        Workspace::Rw(host) => bind(host, "/workspace", true),
    });
    for one in view::binds(spec) {
        mounts.push(bind(&one.host, &one.inside, one.writable));
    }
    mounts
}

fn bind(host: &Path, inside: &str, writable: bool) -> Value {
    let access = if writable { "rw" } else { "ro" };
    mount(inside, "bind", host, &["rbind", access, "nosuid", "nodev", "rprivate"])
}

fn mount(inside: &str, kind: &str, source: &Path, options: &[&str]) -> Value {
    json!({ "destination": inside, "type": kind, "source": source, "options": options })
}

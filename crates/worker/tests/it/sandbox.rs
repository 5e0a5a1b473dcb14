//! Sandboxes, run for every runtime this host has; what is absent is printed.

mod isolation;
mod lifetime;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hostler_worker::agent::Exit;
use hostler_worker::sandbox::{
    Bind, Limits, Probe, Runtime, Sandbox, Spec, StartError, Workspace, runtimes, sweep,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

fn probes() -> &'static [(Arc<dyn Runtime>, Probe)] {
    static PROBES: OnceLock<Vec<(Arc<dyn Runtime>, Probe)>> = OnceLock::new();
    PROBES.get_or_init(|| {
        let mut found = Vec::new();
        for runtime in runtimes() {
            let probe = runtime.probe();
            match probe.available {
                true => println!("{}: {}; {}", probe.runtime, probe.detail, probe.limits),
                false => println!("skipped: {}: {}", probe.runtime, probe.detail),
            }
            found.push((runtime, probe));
        }
        found
    })
}

/// Runs `test` for each runtime of this host.
pub(super) fn for_each(test: impl AsyncFn(&dyn Runtime)) {
    let executor = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    for (runtime, probe) in probes().iter().filter(|(_, probe)| probe.available) {
        println!("with {}", probe.runtime);
        executor.block_on(async {
            let done = tokio::time::timeout(PATIENCE, test(runtime.as_ref())).await;
            done.expect("the test is done in time");
        });
    }
}

fn enforced(runtime: &dyn Runtime, limit: &str) -> bool {
    let mut probes = probes().iter().map(|(_, probe)| probe);
    let limits = &probes.find(|probe| probe.runtime == runtime.name()).expect("probed").limits;
    let held = limits.split(';').any(|part| part.contains("by cgroup") && part.contains(limit));
    if !held {
        println!("skipped: {limit} with {}: {limits}", runtime.name());
    }
    held
}

/// A folder that a worker would own.
pub(super) struct Room {
    folder: tempfile::TempDir,
}

impl Room {
    pub(super) fn new() -> Room {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("workspace")).expect("a workspace");
        Room { folder }
    }

    fn scratch_root(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    fn spec(&self, argv: &[&str]) -> Spec {
        Spec {
            id: "one".to_owned(),
            argv: argv.iter().map(|&one| one.to_owned()).collect(),
            env: Vec::new(),
            cwd: "/workspace".to_owned(),
            workspace: Workspace::None,
            binds: Vec::new(),
            limits: Limits {
                cpu_millis: 2000,
                memory_bytes: 512 << 20,
                pids: 128,
                tmp_bytes: 32 << 20,
            },
            model_socket: None,
            scratch: self.scratch_root().join("one"),
            guardian: None,
        }
    }

    pub(super) fn shell(&self, script: &str) -> Spec {
        self.spec(&["sh", "-c", script])
    }
}

impl Drop for Room {
    /// Also checks that a sandbox left nothing but the scope, which `sweep` then removes.
    fn drop(&mut self) {
        let cgroups = cgroups_of(&self.scratch_root());
        sweep(&self.scratch_root());
        if !std::thread::panicking() {
            assert!(cgroups.iter().all(|folder| !folder.exists()), "{cgroups:?}");
            let left: Vec<_> =
                fs::read_dir(self.scratch_root()).into_iter().flatten().flatten().collect();
            assert!(left.is_empty(), "left in the scratch root: {left:?}");
        }
    }
}

struct Output {
    exit: Exit,
    stdout: String,
    stderr: String,
}

async fn run(runtime: &dyn Runtime, spec: Spec) -> Output {
    let scratch = spec.scratch.clone();
    let mut sandbox = runtime.start(spec).await.expect("started");
    drop(sandbox.stdin.take());
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let (read_out, read_error) = tokio::join!(
        sandbox.stdout.read_to_string(&mut stdout),
        sandbox.stderr.read_to_string(&mut stderr)
    );
    read_out.expect("standard output");
    read_error.expect("standard error");
    let exit = sandbox.wait().await;
    assert_eq!(sandbox.survivors(), [] as [i32; 0]);
    assert!(!scratch.exists(), "the scratch folder is removed");
    Output { exit, stdout, stderr }
}

/// Reads until `text` has come.
pub(super) async fn read_until(sandbox: &mut Sandbox, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        let mut buffer = [0; 4096];
        let n_read = sandbox.stdout.read(&mut buffer).await.expect("standard output");
        assert!(n_read > 0, "{text:?} did not come, only {seen:?}");
        seen.push_str(std::str::from_utf8(&buffer[..n_read]).expect("text"));
    }
    seen
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not so in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processes of this host whose command line has `mark`.
fn processes_with(mark: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let own = i32::try_from(std::process::id()).expect("a pid");
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        *pid != own && String::from_utf8_lossy(&line).contains(mark)
    })
    .collect()
}

/// Cgroups named after a scratch root.
fn cgroups_of(scratch_root: &Path) -> Vec<PathBuf> {
    let record = fs::read_to_string(scratch_root.join("cgroups")).unwrap_or_default();
    record.lines().map(PathBuf::from).filter(|folder| folder.is_dir()).collect()
}

/// Else every other test would pass by being skipped.
#[test]
fn a_runtime_that_is_installed_works() {
    let succeeds = |line: &str| {
        let output = Command::new("sh").args(["-c", line]).output().expect("a shell");
        output.status.success()
    };
    for (_, probe) in probes() {
        let expected = match probe.runtime {
            "bubblewrap" => succeeds("bwrap --unshare-user --dev-bind / / true"),
            "runc" => succeeds("runc --version && [ $(id -u) = 0 ] && [ -w /sys/fs/cgroup ]"),
            other => panic!("{other} is not known here"),
        };
        assert_eq!(probe.available, expected, "{}: {}", probe.runtime, probe.detail);
        assert_eq!(probe.seccomp, expected, "{}", probe.runtime);
    }
}

#[test]
fn a_program_says_hello_and_its_exit_is_told() {
    for_each(async |runtime| {
        let room = Room::new();
        let output = run(runtime, room.shell("echo hello; echo oops >&2; exit 7")).await;
        assert_eq!(output.stdout, "hello\n");
        assert_eq!(output.stderr, "oops\n");
        assert_eq!(output.exit, Exit::Code(7));
        let output = run(runtime, room.shell("kill -9 $$")).await;
        assert_eq!(output.exit, Exit::Signal(9));
        assert_eq!(output.stderr, "");
        assert_eq!(run(runtime, room.spec(&["true"])).await.exit, Exit::Code(0));
        // Older kernels cannot tell the two.
        let exit = run(runtime, room.shell("exit 137")).await.exit;
        println!("exit 137 is {exit:?} here");
        assert!([Exit::Code(137), Exit::Signal(9)].contains(&exit), "{exit:?}");
    });
}

#[test]
fn termination_is_asked_of_the_program_itself() {
    for_each(async |runtime| {
        let room = Room::new();
        let mut sandbox =
            runtime.start(room.shell("echo ready; exec sleep 1000")).await.expect("started");
        read_until(&mut sandbox, "ready").await;
        sandbox.terminate();
        assert_eq!(sandbox.wait().await, Exit::Signal(15));
        let script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
        let mut sandbox = runtime.start(room.shell(script)).await.expect("started");
        read_until(&mut sandbox, "ready").await;
        sandbox.terminate();
        read_until(&mut sandbox, "bye").await;
        assert_eq!(sandbox.wait().await, Exit::Code(3));
        // Nothing is ignored inside, as interrupts are by a shell's background jobs. The C
        // library's own signals are left out.
        let ignored = "grep SigIgn /proc/self/status | grep -o '.......$'";
        let output = run(runtime, room.shell(ignored)).await;
        assert_eq!(output.stdout, "0000000\n");
    });
}

#[test]
fn input_and_output_are_piped_to_the_last_byte() {
    for_each(async |runtime| {
        let room = Room::new();
        let mut sandbox = runtime.start(room.spec(&["cat"])).await.expect("started");
        let mut stdin = sandbox.stdin.take().expect("piped");
        let sent: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        let expected = sent.clone();
        let writer = tokio::spawn(async move { stdin.write_all(&sent).await });
        let mut received = Vec::new();
        sandbox.stdout.read_to_end(&mut received).await.expect("standard output");
        writer.await.expect("not panicked").expect("written");
        assert!(received == expected, "{} bytes came", received.len());
        assert_eq!(sandbox.wait().await, Exit::Code(0));
        // A second wait tells the same.
        assert_eq!(sandbox.wait().await, Exit::Code(0));
    });
}

#[test]
fn the_workspace_is_as_writable_as_it_was_said_to_be() {
    for_each(async |runtime| {
        let room = Room::new();
        fs::write(room.workspace().join("given"), "from outside").expect("written");
        let script = "cat given; echo -n inside > made && cat made";
        let with = |workspace| Spec { workspace, ..room.shell(script) };

        let output = run(runtime, with(Workspace::Rw(room.workspace()))).await;
        assert_eq!((output.stdout.as_str(), output.exit), ("from outsideinside", Exit::Code(0)));
        let made = room.workspace().join("made");
        assert_eq!(fs::read_to_string(&made).expect("read"), "inside");
        let own = fs::metadata(room.folder.path()).expect("there");
        let metadata = fs::metadata(&made).expect("there");
        assert_eq!((metadata.uid(), metadata.gid()), (own.uid(), own.gid()));
        fs::remove_file(&made).expect("removed");

        let output = run(runtime, with(Workspace::Ro(room.workspace()))).await;
        assert_eq!(output.stdout, "from outside");
        assert_ne!(output.exit, Exit::Code(0));
        assert!(output.stderr.contains("Read-only file system"), "{}", output.stderr);
        assert!(!made.exists());

        let output = run(runtime, with(Workspace::None)).await;
        assert_eq!((output.stdout.as_str(), output.exit), ("inside", Exit::Code(0)));
        assert!(!made.exists());
    });
}

#[test]
fn mounts_of_the_spec_are_where_they_are_asked_for() {
    for_each(async |runtime| {
        let room = Room::new();
        let host = room.folder.path().join("state");
        fs::create_dir(&host).expect("a folder");
        let file = room.folder.path().join("tool");
        fs::write(&file, "#!/bin/sh\necho tool ran\n").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set");
        let bind = |host: &Path, inside: &str, writable| Bind {
            host: host.to_owned(),
            inside: inside.to_owned(),
            writable,
        };
        let mut spec = room.shell("tool && echo kept > /home/agent/state/a && ! (: > /opt/x/tool)");
        spec.env = vec![("PATH".to_owned(), "/opt/x:/usr/bin:/bin".to_owned())];
        spec.binds =
            vec![bind(&host, "/home/agent/state", true), bind(&file, "/opt/x/tool", false)];
        let output = run(runtime, spec).await;
        assert_eq!(output.exit, Exit::Code(0), "{}", output.stderr);
        assert_eq!(output.stdout, "tool ran\n");
        assert_eq!(fs::read_to_string(host.join("a")).expect("read"), "kept\n");
    });
}

#[test]
fn the_environment_is_the_specs_and_nothing_of_the_workers() {
    for_each(async |runtime| {
        let room = Room::new();
        let mut spec = room.spec(&["env"]);
        spec.env = vec![
            ("HOSTLER_TASK".to_owned(), "a b\n$c \"d\"".to_owned()),
            ("LANG".to_owned(), "C".to_owned()),
            ("LD_PRELOAD".to_owned(), "/nowhere.so".to_owned()),
        ];
        let output = run(runtime, spec).await;
        assert!(output.stdout.contains("HOSTLER_TASK=a b\n$c \"d\"\n"), "{}", output.stdout);
        let names: Vec<&str> =
            output.stdout.lines().filter_map(|line| line.split('=').next()).collect();
        let known = [
            "HOME",
            "HOSTLER_TASK",
            "LANG",
            "LD_PRELOAD",
            "LOGNAME",
            "PATH",
            "PWD",
            "TMPDIR",
            "USER",
            "OLDPWD",
            "SHLVL",
            "_",
            "$c \"d\"",
        ];
        assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
        assert!(output.stdout.contains("LANG=C\n"));
    });
}

#[test]
fn a_missing_program_or_folder_is_an_error_that_says_so() {
    for_each(async |runtime| {
        let room = Room::new();
        let mark = format!("{}-missing", room.folder.path().display());
        for program in ["no-such-program", "/usr/bin/no-such-program", "/etc/passwd", "/usr"] {
            let start = runtime.start(room.spec(&[program, &mark]));
            let error = start.await.expect_err("not started");
            assert_eq!(error, StartError::NoProgram(program.to_owned()));
            assert!(error.to_string().contains(program));
        }
        let mut spec = room.spec(&["true"]);
        spec.workspace = Workspace::Rw(PathBuf::from("/no/such/folder"));
        let error = runtime.start(spec).await.expect_err("not started");
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
        let mut spec = room.spec(&["true"]);
        spec.id = "../x".to_owned();
        let error = runtime.start(spec).await.expect_err("not started");
        assert!(matches!(error, StartError::Invalid(_)), "{error}");
        assert!(!room.scratch_root().join("one").exists());
        assert_eq!(processes_with(&mark), [] as [i32; 0]);
    });
}

#[test]
fn many_run_at_once() {
    for_each(async |runtime| {
        let room = Room::new();
        let one = async |number: usize| {
            let mut spec = room.shell("echo $N; sleep 0.2");
            spec.id = format!("many-{number}");
            spec.scratch = room.scratch_root().join(&spec.id);
            spec.env = vec![("N".to_owned(), number.to_string())];
            let output = run(runtime, spec).await;
            assert_eq!(output.stdout, format!("{number}\n"));
            assert_eq!(output.exit, Exit::Code(0));
        };
        let all = (0..8).map(one);
        futures_util::future::join_all(all).await;
    });
}

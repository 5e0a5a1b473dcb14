//! A machine of its own for a test: a home, a folder to work in, and the processes in between.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use tempfile::TempDir;

/// Nothing that a test waits for takes so long, on a machine that is busy with other tests.
pub const LONG: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(10);

pub struct Host {
    root: TempDir,
    count: AtomicU32,
    environment: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Outcome {
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Outcome {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// The one document on standard output.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.out.lines().count(), 1, "{}", self.out);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

impl Host {
    pub fn new() -> Host {
        let root = TempDir::new().expect("a folder");
        for name in ["home", "work", "out"] {
            fs::create_dir(root.path().join(name)).expect("a folder");
        }
        Host { root, count: AtomicU32::new(0), environment: Vec::new() }
    }

    /// A machine that can run agents; otherwise the reason is printed and the test has to end.
    pub fn with_sandbox() -> Option<Host> {
        let host = Host::new();
        let report: serde_json::Value = host.run(["doctor", "--json"]).json();
        let checks = report["checks"].as_array().expect("checks");
        let mut runtimes = checks.iter().filter(|check| check["group"] == "sandbox");
        let works = runtimes.any(|check| check["state"] == "ok" || check["state"] == "warning");
        if !works {
            eprintln!("skipped: no sandbox runtime works on this host: {report}");
        }
        works.then_some(host)
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn work(&self) -> PathBuf {
        self.path("work")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path("home/.local/share/hostler")
    }

    pub fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hostler"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.args(words).current_dir(self.work()).stdin(Stdio::null());
        command.env_clear().env("PATH", path).env("HOME", self.path("home"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        self.start(&mut self.command(words)).end()
    }

    /// Starts it; its output is kept in files, so that no pipe fills up.
    pub fn start(&self, command: &mut Command) -> Process {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let file = |name: &str| self.path(&format!("out/{number}.{name}"));
        let (out, err) = (file("out"), file("err"));
        command.stdout(File::create(&out).expect("a file"));
        command.stderr(File::create(&err).expect("a file"));
        let child = command.spawn().expect("the binary starts");
        Process { child, out, err }
    }

    /// A `hostler dev` that answers.
    pub fn dev(&self) -> Process {
        let mut process = self.start(&mut self.command(["dev", "--listen", "127.0.0.1:0"]));
        let note = self.data_dir().join("dev.json");
        let own = format!("\"pid\": {},", process.child.id());
        until("the server runs", || {
            assert!(process.ended().is_none(), "{}", process.err());
            // Another's may still lie there.
            fs::read_to_string(&note).is_ok_and(|text| text.contains(&own)).then_some(())
        });
        process
    }

    /// The parsed answer of a command that ends well.
    #[track_caller]
    pub fn ask<T: DeserializeOwned>(&self, words: &[&str]) -> T {
        self.run(words.iter().copied().chain(["--json"])).ends_with(0).json()
    }

    /// A task that is carried out while the test looks on.
    #[track_caller]
    pub fn detached(&self, message: &str) -> String {
        let accepted: hostler_wire::json::Accepted = self.ask(&["run", "--detach", message]);
        accepted.task.id.to_string()
    }
}

pub struct Process {
    pub child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Process {
    pub fn out(&self) -> String {
        fs::read_to_string(&self.out).expect("its output")
    }

    pub fn err(&self) -> String {
        fs::read_to_string(&self.err).expect("its output")
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    #[track_caller]
    pub fn end(mut self) -> Outcome {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(status) = self.ended() {
                return Outcome { code: status.code(), out: self.out(), err: self.err() };
            }
            let text = || format!("{}\n{}", self.out(), self.err());
            assert!(Instant::now() < deadline, "it does not end: {}", text());
            std::thread::sleep(POLL);
        }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Dies as in a power cut.
    pub fn crash(mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("a child");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is no matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until there is something to be seen.
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(LONG, what, look)
}

#[track_caller]
pub fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(POLL);
    }
}

/// The processes of this machine with this text on their command lines.
pub fn processes_with(text: &str) -> Vec<u32> {
    let listed = fs::read_dir("/proc").expect("a /proc");
    let pids = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let path = Path::new("/proc").join(pid.to_string()).join("cmdline");
        fs::read(path).is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
    })
    .collect()
}

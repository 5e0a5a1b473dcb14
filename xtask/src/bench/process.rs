//! The programs that are measured: built once, started for each measurement on a folder and a
//! port of their own, and stopped by their ids.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::command::{Running, cargo, free_address, run, say, wait_for};
use crate::{root, target};

/// Where the probe is kept, beside the tree.
const PROBE: &str = "../shared/research/reachable";
/// What its manifest lacks: the library's name that its program uses, and that it is no member
/// of the workspace that it is copied into.
const PROBE_MANIFEST_REST: &str = "\n[lib]\nname = \"perflab\"\n\n[workspace]\n";
const TOKEN: &str = "bench-token";
const PATIENCE: Duration = Duration::from_secs(10);
/// The kernel counts processor time for programs in hundredths of a second.
const TICK_US: f64 = 10_000.0;

pub struct Programs {
    hostler: PathBuf,
    /// `None`: it is not here, and no ratio can be given.
    probe: Option<PathBuf>,
}

/// Which of the two is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Hostler,
    Probe,
}

/// A server with its folder; both end with it.
pub struct Served {
    which: Which,
    program: PathBuf,
    pub address: SocketAddr,
    folder: PathBuf,
    process: Option<Running>,
}

impl Programs {
    pub fn build() -> Result<Programs, String> {
        run(cargo(&["build", "--locked", "--release", "--package", "hostler-bench"]))?;
        let hostler = target().join("release/hostler-bench");
        let probe = build_probe()?;
        if probe.is_none() {
            say(&format!("no ratio can be given: {PROBE} is not here, Hostler runs alone"));
        }
        Ok(Programs { hostler, probe })
    }

    pub fn has_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// Starts one on an empty folder.
    pub fn serve(&self, which: Which) -> Result<Served, String> {
        let address = free_address()?;
        let folder = target().join(format!("bench/{}-{}", std::process::id(), address.port()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let program = match which {
            Which::Hostler => self.hostler.clone(),
            Which::Probe => self.probe.clone().ok_or("the probe is not here")?,
        };
        let mut command = Command::new(&program);
        command.args(["serve", &address.to_string()]);
        match which {
            Which::Hostler => command.arg(&folder).env("HOSTLER_TOKEN", TOKEN),
            Which::Probe => command.arg(folder.join("p.db")).arg("FULL"),
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.map_err(|e| format!("{}: {e}", program.display()))?;
        let mut process = Running(child);
        wait_for(&mut process, address, PATIENCE)?;
        Ok(Served { which, program, address, folder, process: Some(process) })
    }
}

impl Served {
    /// Runs a load against the server, and gives what it printed.
    pub fn load(&self, command: &str, arguments: &[&str]) -> Result<String, String> {
        let output = self.command(command, arguments).stderr(Stdio::inherit()).output();
        let output = output.map_err(|e| format!("{}: {e}", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if let Some(line) = text.lines().rev().find(|line| line.starts_with("RESULT")) {
            say(&format!("  {:?} {command} {}: {line}", self.which, arguments.join(" ")));
        }
        match output.status.success() {
            true => Ok(text),
            false => Err(format!("{:?} {command}: {}", self.which, output.status)),
        }
    }

    /// Starts a program that goes on beside a load.
    pub fn beside(&self, command: &str, arguments: &[&str]) -> Result<Running, String> {
        let child = self.command(command, arguments).stdout(Stdio::null()).spawn();
        child.map(Running).map_err(|e| format!("{}: {e}", self.program.display()))
    }

    fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut process = Command::new(&self.program);
        process.arg(command).arg(self.address.to_string()).args(arguments);
        process.env("HOSTLER_TOKEN", TOKEN).stdin(Stdio::null());
        process
    }

    /// Processor time that the server has taken, in microseconds. It hardly depends on what else
    /// the machine does.
    pub fn cpu_us(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/stat", self.id());
        let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        // The name stands in brackets and may hold anything: fields are counted after it.
        let fields = text.rsplit(") ").next().unwrap_or_default().split(' ');
        let ticks = fields.skip(11).take(2).map(|field| field.parse::<f64>().unwrap_or(f64::NAN));
        Ok(ticks.sum::<f64>() * TICK_US)
    }

    fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, |process| process.0.id())
    }

    /// A line of the kernel's account of the server's memory, in MiB.
    pub fn memory_mib(&self, field: &str) -> Result<f64, String> {
        let id = self.id();
        let status = fs::read_to_string(format!("/proc/{id}/status"));
        let status = status.map_err(|e| format!("/proc/{id}/status: {e}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
        kib.map(|kib| kib / 1024.0).ok_or_else(|| format!("no {field} for the server"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The process first, then its folder.
        self.process = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn build_probe() -> Result<Option<PathBuf>, String> {
    let source = root().join(PROBE);
    if !source.is_dir() {
        return Ok(None);
    }
    let copy = target().join("reachable");
    for path in ["Cargo.toml", "src/lib.rs", "src/bin/proto.rs"] {
        let mut text = read(&source.join(path))?;
        if path == "Cargo.toml" {
            text.push_str(PROBE_MANIFEST_REST);
        }
        let to = copy.join(path);
        // A file that is as it was is left alone, so that nothing is built again.
        if read(&to).is_ok_and(|there| there == text) {
            continue;
        }
        let folder = to.parent().unwrap_or(&copy);
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        fs::write(&to, text).map_err(|e| format!("{}: {e}", to.display()))?;
    }
    let mut build = cargo(&["build", "--release", "--manifest-path"]);
    build.arg(copy.join("Cargo.toml")).arg("--target-dir").arg(copy.join("target"));
    run(build)?;
    Ok(Some(copy.join("target/release/proto")))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

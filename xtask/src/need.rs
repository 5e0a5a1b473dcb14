//! What tests need beyond Rust: sandboxes, the real agent CLI, Python for its model's stub and for
//! what results are compared with.
//!
//! **Failure** What cannot be brought is said at the beginning and at the end; tests that need it
//! say so themselves.

use std::process::Command;

use crate::command::{is_on_path, is_there, run, say};
use crate::root;

/// The real CLI, as an npm package of its own.
const CLAUDE: &str = "@anthropic-ai/claude-code-linux-x64";
const CLAUDE_VERSION: &str = "2.1.330";

/// Python packages that tests compare with, below `.cache/python`: another cron, and its zones.
const PEERS: &[(&str, &str)] = &[("cronsim", "2.8"), ("tzdata", "2026.6")];

/// A program, and the package that brings it.
type Program = (&'static str, &'static str);

const SANDBOX: Program = ("bwrap", "bubblewrap");
const PYTHON: &[Program] = &[("python3", "python3"), ("pip3", "python3-pip")];
const PROGRAMS: &[Program] = &[SANDBOX, ("runc", "runc"), PYTHON[0], PYTHON[1], ("npm", "npm")];

/// Brings what is missing; what it could not bring, in words.
pub fn install() -> Vec<String> {
    let mut missing = packages(PROGRAMS);
    if let Err(why) = claude() {
        missing.push(format!("the claude CLI ({why})"));
    }
    if let Err(why) = peers() {
        missing.push(format!("what cron is compared with ({why})"));
    }
    for what in &missing {
        say(&format!("cannot bring {what}; tests that need it will not run"));
    }
    missing
}

/// Brings what tests of `check` cannot do without; they say so themselves if it could not.
pub fn install_peers() {
    packages(PYTHON);
    if let Err(why) = peers() {
        say(&format!("cannot bring what cron is compared with: {why}"));
    }
}

/// Brings the sandbox alone; what is missing if it could not.
pub fn sandbox() -> Option<String> {
    packages(&[SANDBOX]).pop()
}

fn packages(programs: &[Program]) -> Vec<String> {
    let absent = || programs.iter().filter(|(program, _)| !is_on_path(program));
    let wanted: Vec<&str> = absent().map(|(_, package)| *package).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    if is_root() && is_on_path("apt-get") {
        let install = |packages: &[&str]| {
            let mut command = Command::new("apt-get");
            command.args(["install", "--yes", "--no-install-recommends"]).args(packages);
            run(with_no_questions(command))
        };
        let mut update = Command::new("apt-get");
        update.arg("update");
        // Old lists may do; what is missing is looked at again below.
        let _ = run(with_no_questions(update));
        if install(&wanted).is_err() {
            for package in &wanted {
                let _ = install(&[package]);
            }
        }
    } else {
        say("not root, or no apt-get: packages are not installed");
    }
    absent().map(|(program, package)| format!("{program} (package {package})")).collect()
}

fn with_no_questions(mut command: Command) -> Command {
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Kept below `.cache`, so that it is brought once.
fn claude() -> Result<(), String> {
    let folder = root().join(".cache/claude");
    let package = folder.join("node_modules").join(CLAUDE);
    let manifest = std::fs::read_to_string(package.join("package.json")).unwrap_or_default();
    let wanted = format!("\"version\": \"{CLAUDE_VERSION}\"");
    let program = package.join("claude");
    if manifest.contains(&wanted) && program.is_file() {
        return Ok(());
    }
    if !is_there("npm", &["--version"]) {
        return Err("npm is not here".to_owned());
    }
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut command = Command::new("npm");
    command.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
    command.arg(format!("{CLAUDE}@{CLAUDE_VERSION}"));
    run(command)
}

/// Kept below `.cache`, as above.
fn peers() -> Result<(), String> {
    let folder = root().join(".cache/python");
    let is_kept = |(name, version): &(&str, &str)| {
        folder.join(format!("{name}-{version}.dist-info/METADATA")).is_file()
    };
    if PEERS.iter().all(is_kept) {
        return Ok(());
    }
    if !is_there("python3", &["-m", "pip", "--version"]) {
        return Err("pip is not here".to_owned());
    }
    // Packages of another version would stay beside.
    let _ = std::fs::remove_dir_all(&folder);
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]);
    command.args(["--root-user-action", "ignore", "--target"]).arg(&folder);
    command.args(PEERS.iter().map(|(name, version)| format!("{name}=={version}")));
    run(command)
}

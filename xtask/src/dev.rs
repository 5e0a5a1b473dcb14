//! `cargo xtask dev` and `cargo xtask demo`: the program from this tree, on a data directory that
//! did not exist before and does not exist after.

use std::path::Path;
use std::process::Command;

use crate::command::{self, cargo, say};
use crate::need;

/// What the demonstration's task does, for the agent that has no model.
const SCRIPT: &str = "\
say: I am the scripted agent, in a sandbox of my own.
run: id; hostname; ls /
run: echo hello > hello.txt && cat hello.txt
run: cat /etc/shadow
say: Done. The last command failed, as it should: the sandbox has no such file.";

/// `hostler dev`, until it is stopped.
pub fn run(arguments: &[String]) -> Result<(), String> {
    fresh(|folder| {
        let mut hostler = cargo(&["run", "--locked", "--package", "hostler-cli", "--", "dev"]);
        hostler.env("HOSTLER_DATA_DIR", folder).args(arguments);
        command::run(hostler)
    })
}

/// Builds the program and runs one task, with its live transcript.
pub fn demo() -> Result<(), String> {
    if let Some(missing) = need::sandbox() {
        return Err(format!("the demonstration needs {missing}; install it and try again"));
    }
    command::run(cargo(&["build", "--locked", "--package", "hostler-cli"]))?;
    let program = crate::target().join("debug/hostler");
    fresh(|folder| {
        say(&format!("> hostler run with a task for the scripted agent:\n\n{SCRIPT}\n"));
        let mut hostler = Command::new(&program);
        hostler.args(["run", "--no-dir", SCRIPT]).env("HOSTLER_DATA_DIR", folder);
        // A server of its own, and no model that somebody pays for.
        for name in ["HOSTLER_URL", "HOSTLER_TOKEN", "ANTHROPIC_API_KEY"] {
            hostler.env_remove(name);
        }
        let status = hostler.status().map_err(|e| format!("{}: {e}", program.display()))?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("the task did not end well: {status}")),
        }
    })
}

fn fresh(work: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    let name = format!("hostler-xtask-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let done = work(&folder);
    // It may never have been made.
    let _ = std::fs::remove_dir_all(&folder);
    done
}

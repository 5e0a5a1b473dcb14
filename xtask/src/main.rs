//! The house's own tasks: `cargo xtask <task>`.
//!
//! **What** The one tool: what a person runs and what CI runs are the same words. Std alone, so
//! that it is built in a moment.
//!
//! **Not here** The load of the benchmarks (`bench/`), the simulation (`crates/sim`).
#![forbid(unsafe_code)]

mod bench;
mod check;
mod codegen;
mod command;
mod count;
mod dev;
mod need;
mod proto_hash;
mod smoke;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const TASKS: &str = "
  check [--fast]   format, clippy, tidy, tests, doc tests; --fast leaves the tests out
  test, ci         installs what tests need, then all tests, the simulation, the release build
  tidy             the rules of the house that a program can see
  demo             builds hostler and runs a task in a sandbox, with its live transcript
  dev [ARGUMENTS]  `hostler dev` from this tree, on a fresh data directory
  sim [ARGUMENTS]  the simulation
  bench [PART...]  [--rounds N]: accept, live, idle, memory, backlog or all, beside the probe
  codegen          the worker protocol's Rust, from its proto";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("", &[][..]),
    };
    let done = match task {
        "check" => check::check(rest),
        "test" | "ci" => check::test(),
        "tidy" => tidy::run(),
        "demo" => dev::demo(),
        "dev" => dev::run(rest),
        "sim" => check::sim(rest),
        "bench" => bench::run(rest),
        "codegen" => codegen::run(),
        other => Err(format!("unknown task {other:?}; tasks:{TASKS}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("xtask is a folder of the workspace").to_path_buf()
}

/// Where cargo builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

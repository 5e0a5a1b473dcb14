//! `cargo xtask check` and `cargo xtask test`.
//!
//! **What** `check` is what every change passes. `test` is what the README names and CI runs: it
//! brings what tests need, then runs all of them, the simulation and the release build.
//!
//! **Invariants** Every call of cargo on the debug build names the whole workspace: its features
//! are the same each time, so that nothing is built twice.

use crate::command::{cargo, is_there, run, say};
use crate::count::{self, Count};
use crate::{need, smoke, tidy};

/// Seeds of the simulation in `test`.
const SEEDS: &str = "10000";

pub fn check(arguments: &[String]) -> Result<(), String> {
    let fast = match arguments {
        [] => false,
        [one] if one == "--fast" => true,
        other => return Err(format!("unknown arguments {other:?}; allowed: --fast")),
    };
    run(cargo(&["fmt", "--all", "--check"]))?;
    tidy::run()?;
    run(cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    if fast {
        say("fast: no tests were run");
        return Ok(());
    }
    need::install_peers();
    counted(tests)
}

pub fn test() -> Result<(), String> {
    let missing = need::install();
    let done = counted(|total| {
        // Told at the beginning, and no reason to leave the tests out.
        let tidied = tidy::run();
        tests(total)?;
        sim(&["--seeds".to_owned(), SEEDS.to_owned()])?;
        sim(&["--mutants".to_owned()])?;
        smoke::run()?;
        tidied
    });
    for what in missing {
        say(&format!("not tested here: {what}"));
    }
    done
}

/// The simulation, built fast and with every check.
pub fn sim(arguments: &[String]) -> Result<(), String> {
    let mut command = cargo(&["run", "--locked", "--profile", "sim", "--package", "hostler-sim"]);
    command.arg("--").args(arguments);
    run(command)
}

/// Ends with how many tests passed and failed, however it ends.
fn counted(work: impl FnOnce(&mut Count) -> Result<(), String>) -> Result<(), String> {
    let mut total = Count::default();
    let done = work(&mut total);
    say(&total.to_string());
    done
}

fn tests(total: &mut Count) -> Result<(), String> {
    let tests = if is_there("cargo-nextest", &["nextest", "--version"]) {
        cargo(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast"])
    } else {
        say("cargo-nextest is not here: tests run with `cargo test`");
        cargo(&["test", "--workspace", "--locked", "--all-targets", "--no-fail-fast"])
    };
    let tested = count::run(tests, total);
    let documented =
        count::run(cargo(&["test", "--workspace", "--locked", "--doc", "--no-fail-fast"]), total);
    tested.and(documented)
}

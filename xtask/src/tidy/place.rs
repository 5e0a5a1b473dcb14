//! Where things stand: tests, module files, and what a crate must have.

use super::Finding;
use super::tree::Tree;

/// May hold `unsafe`: the worker talks to the kernel.
const UNSAFE: &str = "crates/worker";
/// Sees neither the clock nor the disk; its `clippy.toml` says so.
const SANS_IO: &[&str] = &["crates/core", "crates/sim"];
/// The one command of the README that runs every test.
const TEST_COMMAND: &str = "cargo xtask test";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        let path = file.path.as_str();
        if file.name() == "mod.rs" {
            findings.push(Finding::of(path, "use `foo.rs` beside `foo/`, not `mod.rs`"));
        }
        if file.name() == "build.rs" && !path.contains("/src/") {
            findings.push(Finding::of(path, "no crate has a build script"));
        }
        let test = path.split_once("/tests/").map(|(_, rest)| rest);
        if test.is_some_and(|name| name.ends_with(".rs") && !name.contains('/') && name != "it.rs")
        {
            findings.push(Finding::of(path, "a crate has one test program: tests/it.rs"));
        }
    }
    for package in tree.packages() {
        let roots = ["src/lib.rs", "src/main.rs"].map(|name| format!("{package}/{name}"));
        let root = roots.iter().find_map(|path| tree.file(path));
        if let Some(root) = root
            && package != UNSAFE
            && !root.text.contains("#![forbid(unsafe_code)]")
        {
            findings.push(Finding::of(&root.path, "`#![forbid(unsafe_code)]` is missing"));
        }
    }
    for package in SANS_IO {
        let path = format!("{package}/clippy.toml");
        if !tree.file(&path).is_some_and(|file| file.text.contains("disallowed-methods")) {
            findings.push(Finding::of(&path, "must forbid the clock, the disk and the network"));
        }
    }
    findings.extend(test_command(tree));
    findings
}

/// CI runs what the README says, and nothing else.
fn test_command(tree: &Tree) -> Vec<Finding> {
    let has_line = |path: &str| {
        let lines = tree.file(path).map(|file| file.text.lines());
        let command =
            |line: &str| line.split('#').next().unwrap_or_default().trim() == TEST_COMMAND;
        lines.is_some_and(|mut lines| lines.any(command))
    };
    let missing = ["README.md", ".ci/run"].into_iter().filter(|path| !has_line(path));
    missing.map(|path| Finding::of(path, format!("has no line `{TEST_COMMAND}`"))).collect()
}

//! Another implementation, in another language: it is asked, and its answers are compared.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;
use serde_json::Value;

const SCRIPT: &str = include_str!("peer.py");

/// `cargo xtask check` brings the packages there.
fn packages() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/python");
    assert!(
        folder.join("cronsim").is_dir() && folder.join("tzdata").is_dir(),
        "{} has no cronsim and tzdata to compare with: run `cargo xtask check`, which brings them",
        folder.display()
    );
    folder
}

/// Asks in one process; an answer for each question, in their order.
#[expect(clippy::disallowed_methods, reason = "the other implementation is another program")]
pub fn ask<T: DeserializeOwned>(questions: &[Value]) -> Vec<T> {
    let mut child = Command::new("python3")
        .args(["-c", SCRIPT])
        .env("PYTHONPATH", packages())
        // Zones are those of the package, not of the machine.
        .env("PYTHONTZPATH", "")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is here; `cargo xtask test` brings it");
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let mut input = child.stdin.take().expect("it is piped");
    // It reads all before it answers.
    input.write_all(lines.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "it says above why it failed");
    let answers = std::str::from_utf8(&output.stdout).expect("it writes text").lines();
    let answers: Vec<T> =
        answers.map(|line| serde_json::from_str(line).expect("it writes JSON")).collect();
    assert_eq!(answers.len(), questions.len());
    answers
}

//! Texts that are given in place, by a file or on standard input.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use serde::de::DeserializeOwned;

use crate::fault::Fault;

/// The server takes a message of 1 MiB; whoever pipes more in is told by it, not by our memory.
const BYTES_MAX: u64 = 16 << 20;

/// A message; `-` is standard input.
pub fn message(given: String) -> anyhow::Result<String> {
    match given.as_str() {
        "-" => standard_input(),
        _ => Ok(given),
    }
}

/// A file; `-` is standard input.
pub fn file(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        return standard_input();
    }
    std::fs::read_to_string(path)
        .map_err(|error| Fault::usage(format!("cannot read {}: {error}", path.display())).into())
}

fn standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(BYTES_MAX);
    input.read_to_string(&mut text).context("standard input cannot be read")?;
    Ok(text)
}

/// JSON that was given by `flag`.
pub fn json<T: DeserializeOwned>(flag: &str, text: &str) -> anyhow::Result<T> {
    serde_json::from_str(text)
        .map_err(|error| Fault::usage(format!("{flag} is not as expected: {error}")).into())
}

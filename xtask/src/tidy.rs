//! # Tidy
//!
//! **What** The rules of the house that a program can see, each in a file of its own. All of them
//! run, and every finding is told with its place.
//!
//! **Not here** What clippy sees (`clippy.toml` of each crate), what a test sees better
//! (`docs/errors`, `docs/STATES.md`).

mod arrow;
mod dead;
mod document;
mod mask;
mod module;
mod name;
mod original;
mod place;
mod size;
mod test_name;
mod tree;
mod word;

use std::fmt;

use crate::codegen;
use crate::command::say;
use tree::Tree;

/// Something that is not as the house has it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// 0: the file as a whole.
    line: usize,
    text: String,
}

impl Finding {
    fn at(path: &str, line: usize, text: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, text: text.into() }
    }

    fn of(path: &str, text: impl Into<String>) -> Finding {
        Finding::at(path, 0, text)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.text),
            line => write!(f, "{}:{line}: {}", self.path, self.text),
        }
    }
}

pub fn run() -> Result<(), String> {
    let tree = Tree::read()?;
    let mut findings = Vec::new();
    findings.extend(arrow::check(&tree));
    findings.extend(dead::check(&tree));
    findings.extend(document::check(&tree));
    findings.extend(name::check(&tree));
    findings.extend(original::check(&tree));
    findings.extend(place::check(&tree));
    findings.extend(size::check(&tree));
    findings.extend(word::check(&tree));
    if let Err(why) = codegen::check() {
        findings.push(Finding::of("crates/wire/src/v1.rs", why));
    }
    findings.sort();
    for finding in &findings {
        say(&finding.to_string());
    }
    match findings.len() {
        0 => {
            say(&format!("tidy: {} files, nothing found", tree.files.len()));
            Ok(())
        }
        count => Err(format!("tidy found {count}")),
    }
}

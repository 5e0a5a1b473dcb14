//! The text of the tree, read once.

use std::fs;
use std::path::Path;

use super::mask::{Masked, mask};
use crate::root;

/// Folders that hold nothing of ours.
const FOREIGN: &[&str] = &[".git", ".cache", "target", "node_modules"];
/// The one generated file.
const GENERATED: &str = "crates/wire/src/v1.rs";

/// A file that is text.
pub struct File {
    /// From the root of the workspace.
    pub path: String,
    pub text: String,
    /// For Rust files only.
    pub masked: Option<Masked>,
}

pub struct Tree {
    pub files: Vec<File>,
}

impl File {
    pub fn new(path: &str, text: &str) -> File {
        let is_rust = path.ends_with(".rs");
        let masked = is_rust.then(|| mask(text));
        File { path: path.to_owned(), text: text.to_owned(), masked }
    }

    pub fn is_generated(&self) -> bool {
        self.path == GENERATED
    }

    /// The name without its folder.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The first line (from 0) that belongs to tests; the number of lines where there is none.
    pub fn tests_begin(&self) -> usize {
        let in_tests = self.path.contains("/tests/") || self.name() == "tests.rs";
        if in_tests || self.path.starts_with("crates/store/src/conformance") {
            return 0;
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let opens = |index: usize| {
            let rest = lines[index + 1..].iter().map(|line| line.trim());
            let item = rest.clone().find(|line| !line.starts_with("#["));
            item.is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
        };
        let begins = |index: &usize| lines[*index].trim() == "#[cfg(test)]" && opens(*index);
        (0..lines.len()).find(begins).unwrap_or(lines.len())
    }
}

impl Tree {
    pub fn read() -> Result<Tree, String> {
        let root = root();
        let mut files = Vec::new();
        walk(&root, &root, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Tree { files })
    }

    pub fn rust(&self) -> impl Iterator<Item = (&File, &Masked)> {
        let ours = self.files.iter().filter(|file| !file.is_generated());
        ours.filter_map(|file| Some((file, file.masked.as_ref()?)))
    }

    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The folders of all packages.
    pub fn packages(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|file| file.path.strip_suffix("/Cargo.toml"))
    }
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<File>) -> Result<(), String> {
    let fault = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let name = entry.file_name();
        let kind = entry.file_type().map_err(fault)?;
        if kind.is_dir() && !FOREIGN.iter().any(|foreign| name == *foreign) {
            walk(root, &entry.path(), files)?;
        }
        if !kind.is_file() {
            continue;
        }
        let path = entry.path();
        let inside = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        // Bytes that are no text are none of ours; a file may go away while we look.
        if let Ok(text) = fs::read_to_string(&path) {
            files.push(File::new(&inside, &text));
        }
    }
    Ok(())
}

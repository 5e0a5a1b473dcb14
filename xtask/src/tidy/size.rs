//! Lines that are too long and files that are too large.

use super::Finding;
use super::tree::Tree;

const COLUMNS_MAX: usize = 100;
/// Lines of a file without its tests. The aim is 600.
const LINES_MAX: usize = 700;

/// Files that may be larger, each with its reason and its own bound.
const LARGE: &[(&str, usize, &str)] = &[];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, masked) in tree.rust() {
        let tests_begin = file.tests_begin();
        let larger = LARGE.iter().find(|(path, ..)| *path == file.path);
        let lines_max = larger.map_or(LINES_MAX, |(_, lines, _)| *lines);
        if tests_begin > lines_max {
            let text = format!("{tests_begin} lines without its tests; at most {lines_max}");
            findings.push(Finding::of(&file.path, text));
        }
        for (index, (line, code)) in file.text.lines().zip(masked.prose.lines()).enumerate() {
            let columns = line.chars().count();
            // What a test expects is kept as it is.
            let is_expected = index >= tests_begin && line != code;
            if columns > COLUMNS_MAX && !is_expected {
                let text = format!("{columns} columns; at most {COLUMNS_MAX}");
                findings.push(Finding::at(&file.path, index + 1, text));
            }
        }
    }
    findings
}

//! `docs/ORIGINAL.md`: each row of each table ends with the tests that show it, and each test is
//! there.

use std::collections::BTreeSet;

use super::Finding;
use super::test_name;
use super::tree::{File, Tree};

const PAGE: &str = "docs/ORIGINAL.md";
/// The heading of every table's last column.
const TESTS: &str = "test";

pub fn check(tree: &Tree) -> Vec<Finding> {
    match tree.file(PAGE) {
        Some(page) => rows(page, &test_name::all(tree)),
        None => vec![Finding::of(PAGE, "is missing")],
    }
}

fn rows(page: &File, tests: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    // How many columns the table has, and its last number.
    let mut table: Option<(usize, u32)> = None;
    let mut items = BTreeSet::new();
    let mut count = 0;
    for (index, line) in page.text.lines().enumerate() {
        let Some(cells) = cells(line) else {
            table = None;
            continue;
        };
        let mut found = |text: String| findings.push(Finding::at(PAGE, index + 1, text));
        let Some((columns, number)) = &mut table else {
            if cells.last() != Some(&TESTS) {
                found(format!("the last column of every table is `{TESTS}`"));
            }
            table = Some((cells.len(), 0));
            continue;
        };
        if cells.iter().all(|cell| cell.chars().all(|char| matches!(char, '-' | ':'))) {
            continue;
        }
        count += 1;
        if cells.len() != *columns || cells.contains(&"") {
            found(format!("{columns} cells are wanted, none of them blank"));
        }
        if let Ok(given) = cells[0].parse::<u32>() {
            *number += 1;
            if given != *number {
                found(format!("number {given} stands where {number} is wanted"));
            }
        } else if !items.insert(cells[0].to_owned()) {
            found(format!("{} stands here a second time", cells[0]));
        }
        let named: Vec<&str> = cells.last().map(|cell| spans(cell)).unwrap_or_default();
        if named.is_empty() {
            found("names no test: `package: path`".to_owned());
        }
        for name in named.iter().filter(|name| !tests.contains(**name)) {
            found(format!("there is no test `{name}`{}", moved(name, tests)));
        }
    }
    if count == 0 {
        findings.push(Finding::of(PAGE, "has no rows"));
    }
    findings
}

/// Where a test of this name is, when it is elsewhere in its package.
fn moved(name: &str, tests: &BTreeSet<String>) -> String {
    let parts = |name: &str| -> Option<(String, String)> {
        let (package, path) = name.split_once(": ")?;
        Some((package.to_owned(), path.rsplit("::").next()?.to_owned()))
    };
    let wanted = parts(name);
    let there = tests.iter().find(|test| wanted.is_some() && parts(test) == wanted);
    there.map(|test| format!("; there is `{test}`")).unwrap_or_default()
}

/// The cells of a table's row.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

/// What stands between backticks.
fn spans(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::rows;
    use crate::tidy::tree::File;

    fn told(table: &str) -> Vec<String> {
        let tests = ["core: a::b", "store: c"].map(str::to_owned).into();
        let page = File::new("docs/ORIGINAL.md", table);
        rows(&page, &tests).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_row_names_tests_that_are_there() {
        let good =
            "| item | where | test |\n|---|---|---|\n| `A` | x | `core: a::b`, `store: c` |\n";
        assert_eq!(told(good), [""; 0]);
        let without = "| item | where | test |\n|---|---|---|\n| `A` | x | none |\n";
        assert_eq!(told(without), ["docs/ORIGINAL.md:3: names no test: `package: path`"]);
        let unknown = "| item | where | test |\n|---|---|---|\n| `A` | x | `core: a::c` |\n";
        assert_eq!(told(unknown), ["docs/ORIGINAL.md:3: there is no test `core: a::c`"]);
        let moved = "| item | where | test |\n|---|---|---|\n| `A` | x | `core: z::b` |\n";
        assert_eq!(
            told(moved),
            ["docs/ORIGINAL.md:3: there is no test `core: z::b`; there is `core: a::b`"]
        );
        let vague = "| item | where | test |\n|---|---|---|\n| `A` | x | `b` |\n";
        assert_eq!(told(vague), ["docs/ORIGINAL.md:3: there is no test `b`"]);
    }

    #[test]
    fn a_table_is_whole() {
        let table = "| item | test |\n|---|---|\n| A | `store: c` |\n| A | | `store: c` |\n";
        assert_eq!(
            told(table),
            [
                "docs/ORIGINAL.md:4: 2 cells are wanted, none of them blank",
                "docs/ORIGINAL.md:4: A stands here a second time",
            ]
        );
        let table = "| n | test |\n|---|---|\n| 1 | `store: c` |\n| 3 | `store: c` |\n";
        assert_eq!(told(table), ["docs/ORIGINAL.md:4: number 3 stands where 2 is wanted"]);
        let table = "| item | where |\n|---|---|\n";
        assert_eq!(
            told(table),
            [
                "docs/ORIGINAL.md:1: the last column of every table is `test`",
                "docs/ORIGINAL.md: has no rows",
            ]
        );
    }
}

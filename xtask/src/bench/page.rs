//! The tables, and where they stand in `docs/PERFORMANCE.md`.

use std::fmt;
use std::fs;

use super::machine;
use crate::root;

const PAGE: &str = "docs/PERFORMANCE.md";

/// One part's figures.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&'static str]) -> Table {
        Table { head: head.to_vec(), rows: Vec::new() }
    }

    pub fn push(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.head.len(), "a row has one field for each of the head");
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.head.len()))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

/// Puts the table between the markers of its part.
pub fn write(part: &str, rounds: usize, table: &Table) -> Result<(), String> {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).map_err(|e| format!("{PAGE}: {e}"))?;
    let machine = machine::describe();
    let text = format!("`cargo xtask bench {part} --rounds {rounds}` on {machine}:\n\n{table}");
    let page = between(&page, part, &text)?;
    fs::write(&path, page).map_err(|e| format!("{PAGE}: {e}"))
}

fn between(page: &str, part: &str, text: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- {part} -->\n"), format!("<!-- end of {part} -->"));
    let parts = page.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some(format!("{before}{begin}{text}{end}{after}"))
    });
    parts.ok_or_else(|| format!("{PAGE} has no markers for {part}: `{}` …", begin.trim()))
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn a_table_replaces_the_one_before() {
        let page = "# A\n<!-- idle -->\nold\n<!-- end of idle -->\nrest\n";
        let new = between(page, "idle", "new\n").expect("the markers are there");
        assert_eq!(new, "# A\n<!-- idle -->\nnew\n<!-- end of idle -->\nrest\n");
        assert!(between(page, "live", "new\n").is_err());
    }
}

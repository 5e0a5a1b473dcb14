//! Markdown: one title each, and decisions that fit a page.

use super::Finding;
use super::tree::{File, Tree};

const ADR_LINES_MAX: usize = 60;

pub fn check(tree: &Tree) -> Vec<Finding> {
    let pages = tree.files.iter().filter(|file| file.path.ends_with(".md"));
    pages.flat_map(page).collect()
}

fn page(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fenced = false;
    let mut titles = 0;
    for line in file.text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        titles += usize::from(!fenced && line.starts_with("# "));
    }
    if titles != 1 {
        findings.push(Finding::of(&file.path, format!("{titles} titles (`# …`); one is wanted")));
    }
    let lines = file.text.lines().count();
    if file.path.starts_with("docs/adr/") && lines > ADR_LINES_MAX {
        let text = format!("{lines} lines; a decision fits {ADR_LINES_MAX}");
        findings.push(Finding::of(&file.path, text));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::page;
    use crate::tidy::tree::File;

    #[test]
    fn one_title_is_wanted() {
        assert!(page(&File::new("a.md", "# A\n\n```\n# no title\n```\n## B\n")).is_empty());
        assert_eq!(page(&File::new("a.md", "A\n")).len(), 1);
        assert_eq!(page(&File::new("a.md", "# A\n# B\n")).len(), 1);
    }
}

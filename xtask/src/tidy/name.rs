//! Words that say nothing about what bears them.

use super::Finding;
use super::tree::Tree;

const BANNED: &[&str] =
    &["common", "helper", "helpers", "manager", "managers", "misc", "util", "utility", "utils"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, masked) in tree.rust() {
        let stem = file.name().trim_end_matches(".rs");
        for word in stem.split('_').filter(|word| BANNED.contains(word)) {
            findings.push(Finding::of(&file.path, format!("a file named after `{word}`")));
        }
        for (index, line) in masked.code.lines().enumerate() {
            let Some(name) = type_name(line) else { continue };
            let banned = parts(name).into_iter().find(|part| BANNED.contains(&part.as_str()));
            if let Some(word) = banned {
                let text = format!("a type named after `{word}`: {name}");
                findings.push(Finding::at(&file.path, index + 1, text));
            }
        }
    }
    findings
}

/// The type that a line begins.
fn type_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.find(|word| matches!(*word, "struct" | "enum" | "trait" | "type"))?;
    let name = words.next()?;
    let end = name.find(|char: char| !char.is_alphanumeric()).unwrap_or(name.len());
    Some(&name[..end]).filter(|name| name.starts_with(char::is_uppercase))
}

/// The words of a camel-case name, in lower case.
fn parts(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for char in name.chars() {
        match parts.last_mut() {
            Some(part) if !char.is_uppercase() => part.push(char),
            _ => parts.push(char.to_lowercase().collect()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::{parts, type_name};

    #[test]
    fn names_are_read_from_lines() {
        assert_eq!(type_name("pub(crate) struct TaskManager<'a> {"), Some("TaskManager"));
        assert_eq!(type_name("    let structure = 1;"), None);
        assert_eq!(parts("TaskManager"), ["task", "manager"]);
        assert_eq!(parts("Utilisation"), ["utilisation"]);
    }
}

//! Words that have no place in code, in comments, or in any text.

use super::Finding;
use super::tree::Tree;

/// In code, with what to do instead.
const IN_CODE: &[(&str, &str)] = &[
    ("#[allow(", "use #[expect(…, reason = …)]"),
    ("#![allow(", "use #[expect(…, reason = …)]"),
    ("#[ignore", "a test runs or is not there"),
    ("#[should_panic", "assert what is returned"),
    ("todo!(", "finish it"),
    ("unimplemented!(", "finish it"),
    ("dbg!(", "use tracing, or nothing"),
];

/// In code and comments: what is to be done later has no place in the tree.
const IN_PROSE: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

/// Tests wait for what happens, not for a time. Each exception says why.
const MAY_SLEEP: &[(&str, &str)] = &[
    ("crates/cli/tests/it/host.rs", "polls what the program does, within a bound"),
    ("crates/worker/tests/it/sandbox.rs", "polls what another process does, within a bound"),
    ("crates/worker/tests/it/sandbox/lifetime.rs", "kills after each of many delays"),
    ("crates/worker/tests/it/worker/model.rs", "a model that streams until it is let go"),
];

/// Hosts that packages come from: which one is used is a matter of the machine, not of the tree.
const HOSTS: &[&str] = &[
    "deb.debian.org",
    "files.pythonhosted.org",
    "ghcr.io",
    "index.crates.io",
    "proxy.golang.org",
    "pypi.org",
    "registry.npmjs.org",
    "static.crates.io",
];

/// This list of hosts.
const HOSTS_FILE: &str = "xtask/src/tidy/word.rs";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, masked) in tree.rust() {
        let tests_begin = file.tests_begin();
        let may_sleep = MAY_SLEEP.iter().any(|(path, _)| *path == file.path);
        for (index, (code, prose)) in masked.code.lines().zip(masked.prose.lines()).enumerate() {
            let mut found = |text: String| {
                findings.push(Finding::at(&file.path, index + 1, text));
            };
            for (word, instead) in IN_CODE {
                if code.contains(word) {
                    found(format!("`{word}`: {instead}"));
                }
            }
            if code.contains("thread::sleep(") && index >= tests_begin && !may_sleep {
                found("a test that sleeps; wait for what happens".to_owned());
            }
            for word in IN_PROSE {
                if has_word(prose, word) {
                    found(format!("`{word}`: do it, or say nothing"));
                }
            }
        }
    }
    for file in &tree.files {
        let is_prose = file.path.ends_with(".md") || file.path.ends_with(".toml");
        for (index, line) in file.text.lines().enumerate() {
            for word in IN_PROSE {
                if is_prose && has_word(line, word) {
                    let text = format!("`{word}`: do it, or say nothing");
                    findings.push(Finding::at(&file.path, index + 1, text));
                }
            }
            for host in HOSTS {
                if line.contains(host) && file.path != HOSTS_FILE {
                    let text = format!("names the host {host}");
                    findings.push(Finding::at(&file.path, index + 1, text));
                }
            }
        }
    }
    findings
}

/// The word, and not as a part of another.
fn has_word(line: &str, word: &str) -> bool {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    line.match_indices(word).any(|(index, _)| {
        !line[..index].ends_with(is_word) && !line[index + word.len()..].starts_with(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::{File, Tree};

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let tree = Tree { files: vec![File::new(path, text)] };
        check(&tree).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn words_are_found_in_code_and_not_in_strings() {
        let text = "#[allow(dead_code)]\nfn a() { b(\"todo!()\") }\nfn c() { todo!() }\n";
        assert_eq!(lines("a/src/a.rs", text), [1, 3]);
        assert_eq!(lines("a/src/a.rs", "// XXX\nlet y = \"XXX\";\nlet XXXY = 1;\n"), [1]);
        assert_eq!(lines("docs/a.md", "Nothing\nTODO: all\n"), [2]);
    }

    #[test]
    fn only_tests_may_not_sleep() {
        let text = "fn a() { std::thread::sleep(b) }\n";
        assert_eq!(lines("crates/a/src/a.rs", text), [0; 0]);
        assert_eq!(lines("crates/a/tests/it.rs", text), [1]);
        let text = format!("{text}#[cfg(test)]\nmod tests {{\n{text}}}\n");
        assert_eq!(lines("crates/a/src/a.rs", &text), [4]);
    }
}

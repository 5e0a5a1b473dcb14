//! Which crate may import what, from every `Cargo.toml`.

use super::Finding;
use super::tree::{File, Tree};

/// What a crate may take from outside the house.
enum Foreign {
    Only(&'static [&'static str]),
    Not(&'static [&'static str]),
}

/// What one package may import.
struct Rule {
    folder: &'static str,
    /// Crates of the house.
    own: &'static [&'static str],
    foreign: Foreign,
    /// More crates of the house for its tests. What tests take from outside is only kept from
    /// `DEV_NOT` where the crate itself is sans-IO.
    dev_own: &'static [&'static str],
}

const DATABASES: &str = "rusqlite";
const SANS_IO: &[&str] = &["crates/core", "crates/sim"];
/// Tests of a crate without I/O have none either.
const DEV_NOT: &[&str] = &["tokio", "axum", "tonic", "reqwest", "hyper", DATABASES];

const RULES: &[Rule] = &[
    Rule {
        folder: "crates/core",
        own: &[],
        foreign: Foreign::Only(&["blake3", "jiff", "serde", "serde_json", "sha1_smol", "uuid"]),
        dev_own: &["hostler-store"],
    },
    Rule {
        folder: "crates/store",
        own: &["hostler-core"],
        foreign: Foreign::Only(&[DATABASES, "serde", "serde_json", "uuid"]),
        dev_own: &["hostler-store"],
    },
    Rule {
        folder: "crates/wire",
        own: &["hostler-core"],
        foreign: Foreign::Not(&["tokio", "axum", DATABASES]),
        dev_own: &[],
    },
    Rule {
        folder: "crates/server",
        own: &["hostler-core", "hostler-store", "hostler-wire"],
        foreign: Foreign::Not(&[DATABASES]),
        dev_own: &[],
    },
    Rule {
        folder: "crates/worker",
        own: &["hostler-core", "hostler-wire"],
        foreign: Foreign::Not(&["axum", DATABASES]),
        dev_own: &["hostler-server"],
    },
    Rule {
        folder: "crates/cli",
        own: &["hostler-server", "hostler-wire", "hostler-worker"],
        foreign: Foreign::Not(&["axum", "tonic", DATABASES]),
        dev_own: &["hostler-core", "hostler-store"],
    },
    Rule {
        folder: "crates/sim",
        own: &["hostler-core", "hostler-store"],
        foreign: Foreign::Only(&["serde", "serde_json", "uuid"]),
        dev_own: &[],
    },
    Rule {
        folder: "bench",
        own: &["hostler-server", "hostler-wire"],
        foreign: Foreign::Not(&["axum", DATABASES]),
        dev_own: &[],
    },
    // Std alone; what `codegen` needs is optional.
    Rule {
        folder: "xtask",
        own: &[],
        foreign: Foreign::Only(&["protox", "prost", "tonic-prost-build"]),
        dev_own: &[],
    },
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    manifests.flat_map(manifest).collect()
}

fn manifest(file: &File) -> Vec<Finding> {
    let folder = file.path.trim_end_matches("/Cargo.toml");
    let Some(rule) = RULES.iter().find(|rule| rule.folder == folder) else {
        let text = "a package that tidy has no rule for; a new crate needs an ADR and a rule";
        return vec![Finding::of(&file.path, text)];
    };
    let mut findings = Vec::new();
    let mut section = "";
    for (index, line) in file.text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            continue;
        }
        let end = line.find(|char: char| !(char.is_alphanumeric() || "-_".contains(char)));
        let name = &line[..end.unwrap_or(line.len())];
        if name.is_empty() {
            continue;
        }
        let fault = match section.rsplit('.').next() {
            Some("dependencies") => dependency(rule, name, line),
            Some("dev-dependencies") => dev_dependency(rule, name, line),
            Some("build-dependencies") => Some("no crate has a build script".to_owned()),
            _ => None,
        };
        findings.extend(fault.map(|text| Finding::at(&file.path, index + 1, text)));
    }
    findings
}

fn dependency(rule: &Rule, name: &str, line: &str) -> Option<String> {
    let text = format!("{} may not import {name}", rule.folder);
    let allowed = match name.starts_with("hostler-") {
        true => rule.own.contains(&name),
        false => match rule.foreign {
            Foreign::Only(names) => names.contains(&name),
            Foreign::Not(names) => !names.contains(&name),
        },
    };
    if !allowed {
        return Some(text);
    }
    if takes_database(rule, name, line) {
        return Some(format!("{} takes the memory keeper only", rule.folder));
    }
    if rule.folder == "xtask" && !line.contains("optional = true") {
        return Some("xtask is built with std alone".to_owned());
    }
    None
}

/// A crate without I/O that would compile a database with its keeper.
fn takes_database(rule: &Rule, name: &str, line: &str) -> bool {
    SANS_IO.contains(&rule.folder)
        && name == "hostler-store"
        && !line.contains("default-features = false")
}

fn dev_dependency(rule: &Rule, name: &str, line: &str) -> Option<String> {
    if takes_database(rule, name, line) {
        return Some(format!("the tests of {} take the memory keeper only", rule.folder));
    }
    let allowed = match name.starts_with("hostler-") {
        true => rule.own.contains(&name) || rule.dev_own.contains(&name),
        false => !(SANS_IO.contains(&rule.folder) && DEV_NOT.contains(&name)),
    };
    (!allowed).then(|| format!("the tests of {} may not import {name}", rule.folder))
}

#[cfg(test)]
mod tests {
    use super::manifest;
    use crate::tidy::tree::File;

    fn faults(path: &str, text: &str) -> Vec<String> {
        manifest(&File::new(path, text)).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_found() {
        let worker = "[dependencies]\nhostler-core.workspace = true\nhostler-store = \"1\"\n";
        let found = faults("crates/worker/Cargo.toml", worker);
        assert_eq!(found, ["crates/worker may not import hostler-store"]);
        let core = "[dependencies]\nserde.workspace = true\ntokio = { version = \"1\" }\n";
        let found = faults("crates/core/Cargo.toml", core);
        assert_eq!(found, ["crates/core may not import tokio"]);
    }

    #[test]
    fn tests_may_import_more() {
        let text = "[dev-dependencies]\nproptest.workspace = true\n";
        assert!(faults("crates/core/Cargo.toml", text).is_empty());
        let text = "[dev-dependencies]\ntokio.workspace = true\n";
        assert_eq!(faults("crates/core/Cargo.toml", text).len(), 1);
    }

    #[test]
    fn the_simulation_has_no_database() {
        let text = "[dependencies]\nhostler-store.workspace = true\n";
        let found = faults("crates/sim/Cargo.toml", text);
        assert_eq!(found, ["crates/sim takes the memory keeper only"]);
    }

    #[test]
    fn a_new_package_needs_a_rule() {
        assert_eq!(faults("crates/utils/Cargo.toml", "").len(), 1);
    }
}

//! Files that no `mod` leads to.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::{File, Tree};

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut reached = BTreeSet::new();
    for package in tree.packages() {
        for file in &tree.files {
            let inside = file.path.strip_prefix(package).and_then(|rest| rest.strip_prefix('/'));
            if inside.is_some_and(is_root) {
                follow(tree, file, folder(&file.path), &mut reached);
            }
        }
    }
    let files = tree.files.iter().filter(|file| file.path.ends_with(".rs"));
    let dead = files.filter(|file| !reached.contains(&file.path));
    dead.map(|file| Finding::of(&file.path, "no `mod` leads here: a dead file")).collect()
}

/// Files that cargo compiles by itself, from the package's folder.
fn is_root(path: &str) -> bool {
    let one_below = |folder| {
        let rest: Option<&str> = path.strip_prefix(folder);
        rest.is_some_and(|name| name.ends_with(".rs") && !name.contains('/'))
    };
    path == "src/lib.rs" || path == "src/main.rs" || one_below("src/bin/") || one_below("tests/")
}

fn folder(path: &str) -> String {
    path.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned())
}

/// Marks a file and what its modules lead to; `base` is where its modules lie.
fn follow(tree: &Tree, file: &File, base: String, reached: &mut BTreeSet<String>) {
    if !reached.insert(file.path.clone()) {
        return;
    }
    for (path, below) in modules(file, &base) {
        if let Some(next) = tree.file(&path) {
            follow(tree, next, below, reached);
        }
    }
}

/// The paths of a file's modules, each with the folder of its own modules. A module that is
/// written out (`mod it { … }`) puts its name between.
fn modules(file: &File, base: &str) -> Vec<(String, String)> {
    let Some(masked) = &file.masked else { return Vec::new() };
    let mut found = Vec::new();
    let mut given = None;
    // Open blocks; those of modules have a name.
    let mut blocks: Vec<Option<String>> = Vec::new();
    for (line, whole) in masked.code.lines().zip(file.text.lines()) {
        if let Some(path) = whole.trim().strip_prefix("#[path = \"") {
            given = path.split('"').next().map(str::to_owned);
            continue;
        }
        let module = module_name(line);
        if let Some((name, true)) = module {
            let names = blocks.iter().flatten().map(String::as_str);
            let inner: Vec<&str> = std::iter::once(base).chain(names).collect();
            let below = format!("{}/{name}", inner.join("/"));
            match given.take() {
                Some(path) => {
                    let path = format!("{}/{path}", folder(&file.path));
                    found.push((path.clone(), folder(&path)));
                }
                None => found.push((format!("{below}.rs"), below)),
            }
        }
        for char in line.chars() {
            match char {
                '{' => blocks.push(module.filter(|(_, ends)| !ends).map(|(name, _)| name.into())),
                '}' => drop(blocks.pop()),
                _ => {}
            }
        }
    }
    found
}

/// The module that a line begins, and whether its text is elsewhere.
fn module_name(line: &str) -> Option<(&str, bool)> {
    let line = line.trim();
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1.trim_start(),
        Some(rest) => rest.trim_start(),
        None => line,
    };
    let rest = line.strip_prefix("mod ")?;
    match rest.strip_suffix(';') {
        Some(name) => Some((name.trim(), true)),
        None => Some((rest.split('{').next()?.trim(), false)),
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::{File, Tree};

    fn dead(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| File::new(path, text)).collect();
        check(&Tree { files }).into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn a_file_without_a_mod_is_dead() {
        let found = dead(&[
            ("a/Cargo.toml", ""),
            ("a/src/lib.rs", "pub mod one;\n// mod three;\n"),
            ("a/src/one.rs", "pub(crate) mod two;\n"),
            ("a/src/one/two.rs", ""),
            ("a/src/three.rs", ""),
        ]);
        assert_eq!(found, ["a/src/three.rs"]);
    }

    #[test]
    fn modules_that_are_written_out_and_paths_are_followed() {
        let found = dead(&[
            ("a/Cargo.toml", ""),
            ("a/src/lib.rs", "mod one;"),
            ("a/src/one.rs", "#[cfg(test)]\n#[path = \"one/tests.rs\"]\nmod tests;\n"),
            ("a/src/one/tests.rs", ""),
            ("a/tests/it.rs", "mod it {\n    mod deep;\n}\n"),
            ("a/tests/it/deep.rs", "mod deeper;"),
            ("a/tests/it/deep/deeper.rs", ""),
            ("a/tests/it/dead.rs", ""),
        ]);
        assert_eq!(found, ["a/tests/it/dead.rs"]);
    }
}

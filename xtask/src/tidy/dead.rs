//! Files that no `mod` leads to.

use std::collections::BTreeSet;

use super::Finding;
use super::module::{folder, is_root, outline};
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

/// Marks a file and what its modules lead to; `base` is where its modules lie.
fn follow(tree: &Tree, file: &File, base: String, reached: &mut BTreeSet<String>) {
    if !reached.insert(file.path.clone()) {
        return;
    }
    for module in outline(file, &base).modules {
        if let Some(next) = tree.file(&module.path) {
            follow(tree, next, module.below, reached);
        }
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

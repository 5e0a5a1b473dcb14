//! The tests of the tree, as `package: path`: the package is the name of its folder, the path that
//! of the test in its test program, without the module `it` around it. So
//! `core: inputs::a_test` is run by `cargo test -p hostler-core inputs::a_test`.

use std::collections::BTreeSet;

use super::module::{folder, is_root, outline};
use super::tree::{File, Tree};

/// Its macro makes a test of each name, by module, for every keeper.
const CASES: &str = "crates/store/src/conformance.rs";
const CASES_PACKAGE: &str = "store";

pub fn all(tree: &Tree) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for package in tree.packages() {
        let short = package.rsplit('/').next().unwrap_or(package);
        for file in &tree.files {
            let inside = file.path.strip_prefix(package).and_then(|rest| rest.strip_prefix('/'));
            if inside.is_some_and(is_root) {
                let mut paths = Vec::new();
                gather(tree, file, &folder(&file.path), "", &mut paths);
                names.extend(paths.iter().map(|path| format!("{short}: {path}")));
            }
        }
    }
    let cases = tree.file(CASES).map(cases).unwrap_or_default();
    names.extend(cases.iter().map(|path| format!("{CASES_PACKAGE}: {path}")));
    names
}

/// The tests of a file and of the modules below it; `prefix` is the file's own module.
fn gather(tree: &Tree, file: &File, base: &str, prefix: &str, paths: &mut Vec<String>) {
    let outline = outline(file, base);
    let whole = |name: &str| {
        let path = format!("{prefix}{name}");
        path.strip_prefix("it::").map_or(path.clone(), str::to_owned)
    };
    paths.extend(outline.tests.iter().map(|name| whole(name)));
    for module in &outline.modules {
        if let Some(next) = tree.file(&module.path) {
            gather(tree, next, &module.below, &format!("{}::", whole(&module.name)), paths);
        }
    }
}

/// The names in a list `$then! { module { name … } … }`.
fn cases(file: &File) -> Vec<String> {
    let lines = file.text.lines().map(str::trim).skip_while(|line| *line != "$then! {").skip(1);
    let mut module = None;
    let mut paths = Vec::new();
    for line in lines {
        match (line.strip_suffix(" {"), module) {
            (Some(name), None) => module = Some(name),
            (None, Some(_)) if line == "}" => module = None,
            (None, Some(name)) => paths.push(format!("{name}::{line}")),
            _ => break,
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::all;
    use crate::tidy::tree::{File, Tree};

    #[test]
    fn tests_are_named_by_their_modules() {
        let files = [
            ("crates/a/Cargo.toml", ""),
            ("crates/a/src/lib.rs", "mod one;\n#[test]\nfn at_the_root() {}\nfn none() {}\n"),
            ("crates/a/src/one.rs", "#[cfg(test)]\nmod tests {\n    #[test]\n    fn b() {}\n}\n"),
            ("crates/a/tests/it.rs", "mod it {\n    mod deep;\n}\n"),
            ("crates/a/tests/it/deep.rs", "#[tokio::test]\n#[cfg(unix)]\nasync fn c() {}\n"),
        ];
        let files = files.iter().map(|(path, text)| File::new(path, text)).collect();
        let names: Vec<String> = all(&Tree { files }).into_iter().collect();
        assert_eq!(names, ["a: at_the_root", "a: deep::c", "a: one::tests::b"]);
    }

    #[test]
    fn what_a_macro_makes_is_taken_from_its_list() {
        let list = "
            macro_rules! each_case {
                ($then:ident) => {
                    $then! {
                        log {
                            a_case
                        }
                    }
                };
            }";
        let tests = "macro_rules! t { () => {\n#[test]\nfn $name() {}\n} }\n";
        let files = vec![
            File::new("crates/store/Cargo.toml", ""),
            File::new("crates/store/src/conformance.rs", list),
            File::new("crates/store/tests/it.rs", tests),
        ];
        let names: Vec<String> = all(&Tree { files }).into_iter().collect();
        assert_eq!(names, ["store: log::a_case"]);
    }
}

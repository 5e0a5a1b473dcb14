//! What a file of Rust holds: the modules that it leads to, and its tests.

use super::tree::File;

/// A module in a file of its own.
pub struct Module {
    /// With the names of the modules that are written out around it.
    pub name: String,
    /// Its file.
    pub path: String,
    /// The folder of its own modules.
    pub below: String,
}

#[derive(Default)]
pub struct Outline {
    pub modules: Vec<Module>,
    /// By name, with the modules that are written out around them.
    pub tests: Vec<String>,
}

/// Files that cargo compiles by itself, from the package's folder.
pub fn is_root(path: &str) -> bool {
    let one_below = |folder: &str| {
        let rest = path.strip_prefix(folder);
        rest.is_some_and(|name| name.ends_with(".rs") && !name.contains('/'))
    };
    matches!(path, "src/lib.rs" | "src/main.rs")
        || ["src/bin/", "tests/", "examples/"].into_iter().any(one_below)
}

pub fn folder(path: &str) -> String {
    path.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned())
}

/// `base` is where the file's modules lie. A module that is written out (`mod it { … }`) puts its
/// name between.
pub fn outline(file: &File, base: &str) -> Outline {
    let Some(masked) = &file.masked else { return Outline::default() };
    let mut found = Outline::default();
    let mut given = None;
    let mut is_test = false;
    // Open blocks; those of modules have a name.
    let mut blocks: Vec<Option<String>> = Vec::new();
    for (line, whole) in masked.code.lines().zip(file.text.lines()) {
        if let Some(path) = whole.trim().strip_prefix("#[path = \"") {
            given = path.split('"').next().map(str::to_owned);
            continue;
        }
        let around = || blocks.iter().flatten().map(String::as_str);
        let module = module_name(line);
        if let Some((name, true)) = module {
            let inner: Vec<&str> = std::iter::once(base).chain(around()).collect();
            let below = format!("{}/{name}", inner.join("/"));
            let (path, below) = match given.take() {
                Some(path) => {
                    let path = format!("{}/{path}", folder(&file.path));
                    (path.clone(), folder(&path))
                }
                None => (format!("{below}.rs"), below),
            };
            found.modules.push(Module { name: joined(around(), name), path, below });
        }
        let begins = line.trim_start();
        if begins.starts_with("#[test]") || begins.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && !begins.is_empty() && !begins.starts_with("#[") {
            is_test = false;
            // What a macro makes has no name yet.
            let name = function_name(begins).map(|name| joined(around(), name));
            found.tests.extend(name.filter(|name| !name.contains('$')));
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

fn joined<'a>(around: impl Iterator<Item = &'a str>, name: &'a str) -> String {
    let names: Vec<&str> = around.chain([name]).collect();
    names.join("::")
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

/// The function that a line begins.
fn function_name(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

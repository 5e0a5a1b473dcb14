//! Documents that say what code says, held to it.

use std::fmt::Write;
use std::path::Path;

use hostler_core::machine::{self, Table};

const INTRODUCTION: &str = "\
# States

Every state machine of the engine.
This page is rendered from the tables in `crates/core`; after a change of one of them run
`UPDATE=1 cargo test --package hostler-wire --test it`.
A move that is not drawn is a bug of the caller and is never written.
";

#[test]
fn states_md_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/STATES.md");
    let page = page(&machine::tables());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).expect("docs/STATES.md is written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "docs/STATES.md is not what the tables say; run: \
         UPDATE=1 cargo test --package hostler-wire --test it"
    );
}

fn page(tables: &[Table]) -> String {
    let mut page = INTRODUCTION.to_owned();
    for table in tables {
        section(&mut page, table).expect("a text takes what is written to it");
    }
    page
}

fn section(page: &mut String, table: &Table) -> std::fmt::Result {
    let Table { machine, states, moves } = table;
    writeln!(page, "\n## {machine}\n\n```mermaid\nstateDiagram-v2")?;
    // Events that lead from one state to another share an arrow.
    let mut arrows: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for (from, event, to) in moves {
        match arrows.iter_mut().find(|(a, b, _)| a == from && b == to) {
            Some((_, _, events)) => events.push(event),
            None => arrows.push((from, to, vec![event])),
        }
    }
    if let Some(first) = states.first() {
        writeln!(page, "    [*] --> {first}")?;
    }
    for (from, to, events) in &arrows {
        writeln!(page, "    {from} --> {to}: {}", events.join(", "))?;
    }
    let leaves = |state: &str| moves.iter().any(|(from, _, to)| *from == state && *to != state);
    for state in states.iter().filter(|state| !leaves(state)) {
        writeln!(page, "    {state} --> [*]")?;
    }
    writeln!(page, "```\n\n| from | event | to |\n|---|---|---|")?;
    for (from, event, to) in moves {
        writeln!(page, "| {from} | {event} | {to} |")?;
    }
    Ok(())
}

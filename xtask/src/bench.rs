//! # `cargo xtask bench`
//!
//! **What** Hostler beside the probe of what is reachable (`../shared/research/reachable`), turn
//! by turn in one go, each on a fresh folder; medians of several rounds, and the ratio of each
//! round's two figures. The tables go to `docs/PERFORMANCE.md`, between their markers.
//!
//! **Not here** The load itself (`bench/`).

mod figure;
mod machine;
mod page;
mod part;
mod process;

use crate::command::say;
use page::Table;
use process::Programs;

const PARTS: &[(&str, Measure)] = &[
    ("accept", part::accept),
    ("live", part::live),
    ("idle", part::idle),
    ("memory", part::memory),
    ("backlog", part::backlog),
    ("schedules", part::schedules),
];

type Measure = fn(&Programs, usize) -> Result<Table, String>;

/// Rounds when no other number is given.
const ROUNDS: usize = 5;

pub fn run(arguments: &[String]) -> Result<(), String> {
    let (arguments, rounds) = match arguments {
        [parts @ .., name, count] if name == "--rounds" => {
            let count = count.parse().ok().filter(|count| *count > 0);
            (parts, count.ok_or("--rounds takes a number from 1")?)
        }
        parts => (parts, ROUNDS),
    };
    let all = arguments.is_empty() || arguments == ["all"];
    let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
    if let Some(other) = arguments.iter().find(|word| !all && !names.contains(&word.as_str())) {
        return Err(format!(
            "unknown part {other:?}; allowed: {}, all; --rounds N",
            names.join(", ")
        ));
    }
    let programs = Programs::build()?;
    say(&machine::describe());
    for (name, measure) in PARTS {
        if all || arguments.iter().any(|word| word == name) {
            let table = measure(&programs, rounds)?;
            say(&format!("\n{name}\n\n{table}"));
            page::write(name, rounds, &table)?;
        }
    }
    Ok(())
}

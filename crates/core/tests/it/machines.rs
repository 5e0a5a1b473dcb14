//! Every state of every machine with every event: allowed to where, or illegal.

use std::collections::BTreeSet;
use std::fmt::Write;

use expect_test::{Expect, expect};
use hostler_core::machine::{self, Table};

/// A row for each state, a column for each event; `.` is illegal.
fn check(name: &str, expected: Expect) {
    let tables = machine::tables();
    let table = tables.iter().find(|table| table.machine == name).expect("there is such a machine");
    expected.assert_eq(&rendered(table));
}

fn rendered(table: &Table) -> String {
    let events: BTreeSet<&str> = table.moves.iter().map(|(_, event, _)| *event).collect();
    let mut text = format!("{:<10}", "");
    for event in &events {
        let _ = write!(text, " {event:<10}");
    }
    text = text.trim_end().to_owned() + "\n";
    for state in &table.states {
        let mut line = format!("{state:<10}");
        for event in &events {
            let found = table.moves.iter().find(|(from, by, _)| from == state && by == event);
            let _ = write!(line, " {:<10}", found.map_or(".", |(_, _, to)| to));
        }
        text += line.trim_end();
        text += "\n";
    }
    text
}

#[test]
fn every_machine_is_looked_at() {
    let names: Vec<&str> = machine::tables().iter().map(|table| table.machine).collect();
    assert_eq!(names, ["task", "run", "attempt", "lease", "input"]);
}

#[test]
fn a_move_leads_to_a_state_of_its_machine() {
    for table in machine::tables() {
        for (from, event, to) in &table.moves {
            let known = table.states.contains(from) && table.states.contains(to);
            assert!(known, "{}: {from} {event} {to}", table.machine);
        }
    }
}

#[test]
fn tasks_move_by_their_table() {
    check(
        "task",
        expect![[r#"
                       ask        cancel     claim      drop       fail       finish     requeue    restart    resume
            queued     waiting    cancelled  running    .          error      done       .          .          .
            running    waiting    cancelled  .          dropped    error      done       queued     .          .
            waiting    waiting    cancelled  .          dropped    error      done       queued     queued     running
            done       .          .          .          .          .          .          .          queued     .
            error      .          .          .          .          .          .          .          queued     .
            cancelled  .          .          .          .          .          .          .          queued     .
            dropped    .          .          .          .          .          .          .          queued     .
        "#]],
    );
}

#[test]
fn runs_move_by_their_table() {
    check(
        "run",
        expect![[r#"
                   cancel     fail       retry      start      succeed    time_out
        accepted   cancelled  error      accepted   running    .          timeout
        running    cancelled  error      accepted   .          ok         timeout
        ok         .          .          .          .          .          .
        error      .          .          .          .          .          .
        timeout    .          .          .          .          .          .
        cancelled  .          .          .          .          .          .
    "#]],
    );
}

#[test]
fn attempts_move_by_their_table() {
    check(
        "attempt",
        expect![[r#"
                   block      cancel     fail       start      succeed    time_out   unblock
        pending    .          cancelled  error      running    .          timeout    .
        blocked    .          cancelled  error      .          .          timeout    running
        running    blocked    cancelled  error      .          ok         timeout    .
        ok         .          .          .          .          .          .          .
        error      .          .          .          .          .          .          .
        timeout    .          .          .          .          .          .          .
        cancelled  .          .          .          .          .          .          .
    "#]],
    );
}

#[test]
fn leases_move_by_their_table() {
    check(
        "lease",
        expect![[r#"
                   confirm    expire     release    stop
        granted    held       expired    released   stopping
        held       .          expired    released   stopping
        stopping   stopping   expired    released   .
        released   .          .          .          .
        expired    .          .          .          .
    "#]],
    );
}

#[test]
fn inputs_move_by_their_table() {
    check(
        "input",
        expect![[r#"
                       return     settle     take
            waiting    .          settled    taken
            taken      waiting    settled    .
            settled    .          .          .
        "#]],
    );
}

//! Reports and log chunks that come twice, late or not at all (RUN-5, STR-1).

use expect_test::expect;

use crate::script::check;

#[test]
fn a_report_that_comes_twice_changes_nothing() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        start A
        turn A
        turn A
        end-turn A ok
        end-turn A ok
        end A closed
        end A closed
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > start A
              accepted
            > turn A
              accepted
            > turn A
              accepted
            > end-turn A ok
              close
            > end-turn A ok
              close
            > end A closed
              accepted
            > end A closed
              fenced
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn reports_of_the_turn_before_are_answered_as_before() {
    check(
        "
        agent a
        worker w1
        accept A
        input A
        start A
        turn A
        end-turn A ok
        turn A input=A.1
        end-turn A input=A.1 ok
        turn A
        turn A input=A.1
        end-turn A ok
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > input A
              A is running, A.2 queued
            > start A
              accepted
            > turn A
              accepted
            > end-turn A ok
              next A.2
            > turn A input=A.1
              accepted
            > end-turn A input=A.1 ok
              next A.2
            > turn A
              accepted
            > turn A input=A.1
              accepted
            > end-turn A ok
              close
            =
              A running | A.1 turn | A.2 turn
                A/1 running | #1 running on w1 | turns 2 snapshots 2
        "#]],
    );
}

#[test]
fn a_turn_end_whose_start_was_lost_counts_as_both() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        end-turn A ok
        end A closed
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > end-turn A ok
              close
            > end A closed
              accepted
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn nothing_can_end_well_before_it_was_started() {
    check(
        "
        agent a
        worker w1
        accept A
        turn A
        end-turn A ok
        start A
        turn A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > turn A
              illegal
            > end-turn A ok
              illegal
            > start A
              accepted
            > turn A
              accepted
            =
              A running | A.1 turn
                A/1 running | #1 running on w1 | turns 1 snapshots 2
        "#]],
    );
}

#[test]
fn a_turn_of_another_input_is_illegal() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A
        accept B
        start A
        turn A input=B.1
        end-turn A input=B.1 ok
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=5
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > accept B
              B is queued, B.1 queued
            > start A
              accepted
            > turn A input=B.1
              illegal
            > end-turn A input=B.1 ok
              illegal
            =
              A running | A.1 taken
                A/1 running | #1 running on w1 | turns 0 snapshots 2
              B queued | B.1 waiting
        "#]],
    );
}

#[test]
fn a_report_under_an_old_term_is_fenced() {
    check(
        "
        agent a
        worker w1
        accept A
        start A term=old
        log A 0 hello term=old
        start A
        turn A incarnation=other
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A term=old
              fenced
            > log A 0 hello term=old
              fenced
            > start A
              accepted
            > turn A incarnation=other
              fenced
            =
              A running | A.1 taken
                A/1 running | #1 running on w1 | turns 0 snapshots 2
        "#]],
    );
}

#[test]
fn a_chunk_is_stored_once_and_in_its_order() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        log A 0 one
        log A 0 one
        log A 2 three
        log A 1 two
        log A 2 three
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > log A 0 one
              next chunk 1
            > log A 0 one
              next chunk 1
            > log A 2 three
              next chunk 1
            > log A 1 two
              next chunk 2
            > log A 2 three
              next chunk 3
            =
              A running | A.1 taken
                A/1 running | #1 running on w1 | turns 0 snapshots 2
                log: one two three
        "#]],
    );
}

#[test]
fn chunks_after_the_end_are_fenced() {
    check(
        "
        agent a
        worker w1
        accept A
        done A
        log A 0 late
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > done A
              accepted
              accepted
              close
              accepted
            > log A 0 late
              fenced
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn each_attempt_counts_its_chunks_from_zero() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A
        start A
        log A 0 first
        end A killed
        start A
        log A 0 second
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=5
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > log A 0 first
              next chunk 1
            > end A killed
              accepted
              w1 <- assign A/1#2 term 2 input A.1
            > start A
              accepted
            > log A 0 second
              next chunk 1
            =
              A running | A.1 taken
                A/1 running crashed | #1 error on w1 crashed | #2 running on w1 | turns 0 snapshots 5
                log: first second
        "#]],
    );
}

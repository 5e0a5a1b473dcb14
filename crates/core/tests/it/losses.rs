//! Runs that lose workers, and what becomes of inputs when a run fails (RUN-7, INP-1).

use expect_test::expect;

use crate::script::check;

#[test]
fn a_run_that_loses_three_workers_is_set_aside() {
    check(
        "
        agent a
        accept A retry=9
        input A
        worker w1 slots=5
        start A
        worker w1 slots=5 anew
        start A
        worker w1 slots=5 anew
        start A
        worker w1 slots=5 anew
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A retry=9
              A is queued, A.1 queued
            > input A
              A is queued, A.2 queued
            > worker w1 slots=5
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > worker w1 slots=5 anew
              welcome
              w1 <- assign A/1#2 term 2 input A.1
            > start A
              accepted
            > worker w1 slots=5 anew
              welcome
              w1 <- assign A/1#3 term 3 input A.1
            > start A
              accepted
            > worker w1 slots=5 anew
              welcome
            =
              A dropped (poisoned) "set aside: it lost 3 workers" | A.1 dropped: run_failed | A.2 dropped: poisoned
                A/1 error poisoned | #1 error on w1 lost | #2 error on w1 lost | #3 error on w1 lost | turns 0 snapshots 9
        "#]],
    );
}

#[test]
fn two_lost_workers_use_up_two_attempts() {
    check(
        "
        agent a
        accept A
        worker w1
        start A
        worker w1 anew
        start A
        worker w1 anew
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > worker w1 anew
              welcome
              w1 <- assign A/1#2 term 2 input A.1
            > start A
              accepted
            > worker w1 anew
              welcome
            =
              A error "its worker started anew" | A.1 dropped: run_failed
                A/1 error lost | #1 error on w1 lost | #2 error on w1 lost | turns 0 snapshots 6
        "#]],
    );
}

#[test]
fn an_attempt_that_had_not_started_uses_up_no_retry() {
    check(
        "
        agent a
        accept A retry=1
        worker w1
        worker w1 anew
        worker w1 anew
        start A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A retry=1
              A is queued, A.1 queued
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > worker w1 anew
              welcome
              w1 <- assign A/1#2 term 2 input A.1
            > worker w1 anew
              welcome
              w1 <- assign A/1#3 term 3 input A.1
            > start A
              accepted
            =
              A running | A.1 taken
                A/1 running lost | #1 error on w1 lost | #2 error on w1 lost | #3 running on w1 | turns 0 snapshots 6
        "#]],
    );
}

#[test]
fn an_orderly_stop_of_the_worker_uses_up_no_retry() {
    check(
        "
        agent a
        accept A retry=1
        worker w1
        start A
        turn A
        end A stopped
        start A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A retry=1
              A is queued, A.1 queued
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > turn A
              accepted
            > end A stopped
              accepted
            > start A
              fenced
            =
              A queued | A.1 turn
                A/1 accepted stopped | #1 error on w1 stopped | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_input_that_waits_has_its_turn_after_a_failed_run() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A retry=1
        input A
        start A
        end A killed
        done A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=5
              welcome
            > accept A retry=1
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > input A
              A is running, A.2 queued
            > start A
              accepted
            > end A killed
              accepted
              w1 <- assign A/2#1 term 2 input A.2
            > done A
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 dropped: run_failed | A.2 turn
                A/1 error crashed | #1 error on w1 crashed | turns 0 snapshots 3
                A/2 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_input_that_was_not_taken_is_given_again_by_the_next_attempt() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A
        start A
        end A killed
        start A
        turn A
        end-turn A ok
        end A closed
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
            > end A killed
              accepted
              w1 <- assign A/1#2 term 2 input A.1
            > start A
              accepted
            > turn A
              accepted
            > end-turn A ok
              close
            > end A closed
              accepted
            =
              A done | A.1 turn
                A/1 ok | #1 error on w1 crashed | #2 ok on w1 | turns 1 snapshots 6
        "#]],
    );
}

#[test]
fn a_run_that_never_gave_its_input_drops_it() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A retry=1
        end A sandbox
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=5
              welcome
            > accept A retry=1
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > end A sandbox
              accepted
            =
              A error "the sandbox could not be started" | A.1 dropped: run_failed
                A/1 error sandbox | #1 error on w1 sandbox | turns 0 snapshots 2
        "#]],
    );
}

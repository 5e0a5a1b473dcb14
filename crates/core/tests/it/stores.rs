//! A store that fails (INV-ENGINE-1, INV-ENGINE-2).

use expect_test::expect;

use crate::script::check;

#[test]
fn nothing_was_written_when_the_store_cannot_be_used() {
    check(
        "
        agent a
        fault unavailable
        accept A key=k
        accept A key=k
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > fault unavailable
            > accept A key=k
              unavailable
            > accept A key=k
              A is queued, A.1 queued
            =
              A queued | A.1 waiting
        "#]],
    );
}

#[test]
fn an_unknown_write_that_did_not_happen_is_done_by_the_retry() {
    check(
        "
        agent a
        fault unknown
        accept A key=k
        accept A key=k
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > fault unknown
            > accept A key=k
              unknown
            > accept A key=k
              A is queued, A.1 queued
            =
              A queued | A.1 waiting
        "#]],
    );
}

#[test]
fn an_unknown_write_that_did_happen_is_a_hit_for_the_retry() {
    check(
        "
        agent a
        fault unknown-and-written
        accept A key=k
        accept A key=k
        worker w1
        done A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > fault unknown-and-written
            > accept A key=k
              unknown
            > accept A key=k
              A is queued, A.1 queued, hit
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > done A
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_conflict_is_decided_again_on_fresh_rows() {
    check(
        "
        agent a
        fault conflict
        accept A key=k
        accept A key=k
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > fault conflict
            > accept A key=k
              A is queued, A.1 queued
            > accept A key=k
              A is queued, A.1 queued, hit
            =
              A queued | A.1 waiting
        "#]],
    );
}

#[test]
fn too_many_conflicts_are_given_up() {
    check(
        "
        agent a
        fault conflict
        fault conflict
        fault conflict
        fault conflict
        fault conflict
        fault conflict
        fault conflict
        fault conflict
        fault conflict
        accept A key=k
        accept A key=k
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > fault conflict
            > fault conflict
            > fault conflict
            > fault conflict
            > fault conflict
            > fault conflict
            > fault conflict
            > fault conflict
            > fault conflict
            > accept A key=k
              unavailable
            > accept A key=k
              A is queued, A.1 queued
            =
              A queued | A.1 waiting
        "#]],
    );
}

#[test]
fn a_claim_that_is_not_known_to_be_written_reaches_the_worker_by_its_heartbeat() {
    check(
        "
        agent a
        worker w1 slots=0
        accept A
        fault unknown-and-written
        offer w1 1
        tick 1s
        beat w1
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=0
              welcome
            > accept A
              A is queued, A.1 queued
            > fault unknown-and-written
            > offer w1 1
            > tick 1s
            > beat w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            =
              A running | A.1 taken
                A/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_report_that_failed_is_sent_again() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        fault unavailable
        turn A
        worker w1 held=A
        turn A
        fault unknown-and-written
        end-turn A ok
        worker w1 held=A
        end-turn A ok
        fault unknown-and-written
        end A closed
        worker w1 held=A
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
            > fault unavailable
            > turn A
              unavailable
            > worker w1 held=A
              welcome
            > turn A
              accepted
            > fault unknown-and-written
            > end-turn A ok
              unknown
            > worker w1 held=A
              welcome
              w1 <- close A/1#1
            > end-turn A ok
              close
            > fault unknown-and-written
            > end A closed
              unknown
            > worker w1 held=A
              lost [A/1#1] cancel []
            > end A closed
              fenced
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_server_that_starts_again_goes_on_where_the_store_is() {
    check(
        "
        agent a
        accept A
        input A
        reboot
        worker w1
        start A
        turn A
        reboot
        worker w1 held=A
        end-turn A ok
        turn A
        end-turn A ok
        end A closed
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > input A
              A is queued, A.2 queued
            > reboot
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > turn A
              accepted
            > reboot
            > worker w1 held=A
              welcome
            > end-turn A ok
              next A.2
            > turn A
              accepted
            > end-turn A ok
              close
            > end A closed
              accepted
            =
              A done | A.1 turn | A.2 turn
                A/1 ok | #1 ok on w1 | turns 2 snapshots 3
        "#]],
    );
}

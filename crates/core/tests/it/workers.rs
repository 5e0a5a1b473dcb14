//! Workers that come, renew, reconnect and are lost (RUN-5, RUN-6).

use expect_test::expect;

use crate::script::check;

#[test]
fn a_worker_that_is_silent_for_a_lease_is_lost_and_not_before() {
    check(
        "
        agent a
        worker w1
        accept A retry=3
        start A
        tick 7998ms
        beat w1 held=A
        tick 7999ms
        beat w1 held=A
        tick 8s
        worker w2
        beat w1 held=A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A retry=3
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > tick 7998ms
            > beat w1 held=A
              welcome
            > tick 7999ms
            > beat w1 held=A
              welcome
            > tick 8s
            > worker w2
              welcome
              w2 <- assign A/1#2 term 2 input A.1
            > beat w1 held=A
              unknown worker
            =
              A running | A.1 taken
                A/1 accepted lost | #1 error on w1 lost | #2 pending on w2 | turns 0 snapshots 4
        "#]],
    );
}

#[test]
fn a_lost_workers_run_is_taken_up_by_another_within_ten_seconds() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        tick 5s
        worker w2
        beat w2
        tick 3s
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
            > tick 5s
            > worker w2
              welcome
            > beat w2
              welcome
            > tick 3s
              w2 <- assign A/1#2 term 2 input A.1
            =
              A running | A.1 taken
                A/1 accepted lost | #1 error on w1 lost | #2 pending on w2 | turns 0 snapshots 4
        "#]],
    );
}

#[test]
fn a_server_that_starts_again_waits_a_whole_lease() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        tick 7s
        reboot
        tick 7s
        worker w2
        tick 2s
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
            > tick 7s
            > reboot
            > tick 7s
            > worker w2
              welcome
            > tick 2s
              w2 <- assign A/1#2 term 2 input A.1
            =
              A running | A.1 taken
                A/1 accepted lost | #1 error on w1 lost | #2 pending on w2 | turns 0 snapshots 4
        "#]],
    );
}

#[test]
fn a_worker_that_reconnects_keeps_what_it_holds() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        turn A
        reboot
        worker w1 held=A
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
            > turn A
              accepted
            > reboot
            > worker w1 held=A
              welcome
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
fn an_assignment_that_was_lost_on_its_way_is_given_again() {
    check(
        "
        agent a
        worker w1
        accept A
        drop w1
        worker w1
        beat w1
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > drop w1
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
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
fn an_assignment_that_was_given_up_to_a_cancel_is_told_with_it() {
    check(
        "
        agent a
        worker w1
        accept A
        drop w1
        cancel A
        worker w1
        beat w1
        end A stopped
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > drop w1
            > cancel A
              A is running, is being stopped
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
              w1 <- cancel A/1#1
            > beat w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
              w1 <- cancel A/1#1
            > end A stopped
              accepted
            =
              A cancelled (cancel) "cancelled by user" | A.1 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 2
        "#]],
    );
}

#[test]
fn a_heartbeat_brings_cancels_and_losses_again() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        drop w1
        cancel A
        worker w1 held=A
        beat w1 held=A
        end A stopped
        beat w1 held=A
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
            > drop w1
            > cancel A
              A is running, is being stopped
            > worker w1 held=A
              lost [] cancel [A/1#1]
            > beat w1 held=A
              lost [] cancel [A/1#1]
            > end A stopped
              accepted
            > beat w1 held=A
              lost [A/1#1] cancel []
            =
              A cancelled (cancel) "cancelled by user" | A.1 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 3
        "#]],
    );
}

#[test]
fn what_an_earlier_incarnation_held_is_lost_at_once() {
    check(
        "
        agent a
        worker w1
        accept A retry=3
        start A
        worker w1 anew
        beat w1
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A retry=3
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > worker w1 anew
              welcome
              w1 <- assign A/1#2 term 2 input A.1
            > beat w1
              welcome
              w1 <- assign A/1#2 term 2 input A.1
            =
              A running | A.1 taken
                A/1 accepted lost | #1 error on w1 lost | #2 pending on w1 | turns 0 snapshots 4
        "#]],
    );
}

#[test]
fn an_execution_that_its_worker_has_forgotten_is_lost() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A
        start A
        turn A
        worker w1 slots=5
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
            > turn A
              accepted
            > worker w1 slots=5
              welcome
              w1 <- assign A/1#2 term 2 input A.1, resume
            =
              A running | A.1 turn
                A/1 accepted lost | #1 error on w1 lost | #2 pending on w1 | turns 1 snapshots 4
        "#]],
    );
}

#[test]
fn an_old_incarnation_cannot_write_any_more() {
    check(
        "
        agent a
        worker w1
        accept A retry=3
        start A
        worker w1 anew
        turn A incarnation=old
        start A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A retry=3
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > worker w1 anew
              welcome
              w1 <- assign A/1#2 term 2 input A.1
            > turn A incarnation=old
              fenced
            > start A
              accepted
            =
              A running | A.1 taken
                A/1 running lost | #1 error on w1 lost | #2 running on w1 | turns 0 snapshots 5
        "#]],
    );
}

#[test]
fn a_worker_that_says_goodbye_is_lost_at_once() {
    check(
        "
        agent a
        worker w1
        accept A retry=3
        start A
        goodbye w1
        beat w1
        worker w2
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A retry=3
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > goodbye w1
              done
            > beat w1
              unknown worker
            > worker w2
              welcome
              w2 <- assign A/1#2 term 2 input A.1
            =
              A running | A.1 taken
                A/1 accepted lost | #1 error on w1 lost | #2 pending on w2 | turns 0 snapshots 4
        "#]],
    );
}

#[test]
fn a_worker_that_was_lost_takes_nothing_before_its_next_hello() {
    check(
        "
        agent a
        worker w1 slots=5
        tick 9s
        accept A
        beat w1
        worker w1 slots=5
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=5
              welcome
            > tick 9s
            > accept A
              A is queued, A.1 queued
            > beat w1
              unknown worker
            > worker w1 slots=5
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            =
              A running | A.1 taken
                A/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

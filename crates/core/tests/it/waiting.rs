//! Waiting is not failing: it uses up no attempt, and nothing is dropped for it (DSP-1).

use expect_test::expect;

use crate::script::check;

#[test]
fn an_hour_without_a_worker_drops_nothing_and_uses_up_no_attempt() {
    check(
        "
        agent a
        accept A retry=1
        tick 3600s
        worker w1
        start A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A retry=1
              A is queued, A.1 queued
            > tick 3600s
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            =
              A running | A.1 taken
                A/1 running | #1 running on w1 | turns 0 snapshots 2
        "#]],
    );
}

#[test]
fn a_task_waits_for_its_session_and_its_class_as_long_as_it_takes() {
    check(
        "
        agent a
        agent b
        worker w1 slots=5
        accept A session=s
        start A
        accept B agent=b session=s retry=1
        accept C retry=1
        tick 7s
        beat w1 held=A
        tick 7s
        beat w1 held=A
        tick 7s
        beat w1 held=A
        tick 7s
        beat w1 held=A
        done A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > agent b
              agent b active true max None
            > worker w1 slots=5
              welcome
            > accept A session=s
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > accept B agent=b session=s retry=1
              B is queued, B.1 queued
            > accept C retry=1
              C is queued, C.1 queued
            > tick 7s
            > beat w1 held=A
              welcome
            > tick 7s
            > beat w1 held=A
              welcome
            > tick 7s
            > beat w1 held=A
              welcome
            > tick 7s
            > beat w1 held=A
              welcome
            > done A
              accepted
              accepted
              close
              accepted
              w1 <- assign B/1#1 term 2 input B.1, resume
              w1 <- assign C/1#1 term 1 input C.1
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B running | B.1 taken
                B/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              C running | C.1 taken
                C/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_cancelled_run_makes_room_for_the_next_of_its_class() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A
        accept B
        start A
        cancel A
        end A stopped
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
            > cancel A
              A is running, is being stopped
              w1 <- cancel A/1#1
            > end A stopped
              accepted
              w1 <- assign B/1#1 term 1 input B.1
            =
              A cancelled (cancel) "cancelled by user" | A.1 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 3
              B running | B.1 taken
                B/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn inputs_of_two_tasks_of_one_class_leave_each_other_alone() {
    check(
        "
        agent a max=2
        worker w1 slots=5
        accept A
        accept B
        start A can=all
        start B can=all
        turn A
        turn B
        input A mode=followup message=first
        input A mode=followup message=second
        input B mode=followup message=other
        input B mode=interrupt message=now
        ",
        expect![[r#"
            > agent a max=2
              agent a active true max Some(2)
            > worker w1 slots=5
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > accept B
              B is queued, B.1 queued
              w1 <- assign B/1#1 term 1 input B.1
            > start A can=all
              accepted
            > start B can=all
              accepted
            > turn A
              accepted
            > turn B
              accepted
            > input A mode=followup message=first
              A is running, A.2 queued
            > input A mode=followup message=second
              A is running, A.3 queued
            > input B mode=followup message=other
              B is running, B.2 queued
            > input B mode=interrupt message=now
              B is running, B.3 interrupted
              w1 <- interrupt B/1#1 in B.1
            =
              A running | A.1 turn | A.2 waiting | A.3 waiting
                A/1 running | #1 running on w1 | turns 1 snapshots 2
              B running | B.1 turn | B.2 waiting | B.3 waiting
                B/1 running | #1 running on w1 | turns 1 snapshots 2
        "#]],
    );
}

#[test]
fn a_claim_that_the_store_could_not_write_is_made_again() {
    check(
        "
        agent a
        worker w1 slots=0
        accept A retry=1
        fault unavailable
        fault unavailable
        offer w1 1
        tick 5s
        start A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=0
              welcome
            > accept A retry=1
              A is queued, A.1 queued
            > fault unavailable
            > fault unavailable
            > offer w1 1
              w1 <- assign A/1#1 term 1 input A.1
            > tick 5s
            > start A
              accepted
            =
              A running | A.1 taken
                A/1 running | #1 running on w1 | turns 0 snapshots 2
        "#]],
    );
}

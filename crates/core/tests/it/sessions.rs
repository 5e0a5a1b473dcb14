//! One live run for each session: who is parked, and who is woken (DSP-1).

use expect_test::expect;

use crate::script::check;

#[test]
fn a_busy_session_parks_a_task_and_wakes_it_when_it_is_free() {
    check(
        "
        agent a
        agent b
        worker w1 slots=5
        accept A session=s
        accept B agent=b session=s
        concurrency B
        done A
        done B
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
            > accept B agent=b session=s
              B is queued, B.1 queued
            > concurrency B
              of 1: queued 1 parked 1 pending 0 running 0 stopping 0 claims 0
            > done A
              accepted
              accepted
              close
              accepted
              w1 <- assign B/1#1 term 2 input B.1, resume
            > done B
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B done | B.1 turn
                B/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn waiters_are_woken_one_by_one_in_their_order() {
    check(
        "
        agent a
        agent b
        agent c
        worker w1 slots=9
        accept A session=s
        accept B agent=b session=s
        accept C agent=c session=s
        done A
        done B
        done C
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > agent b
              agent b active true max None
            > agent c
              agent c active true max None
            > worker w1 slots=9
              welcome
            > accept A session=s
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > accept B agent=b session=s
              B is queued, B.1 queued
            > accept C agent=c session=s
              C is queued, C.1 queued
            > done A
              accepted
              accepted
              close
              accepted
              w1 <- assign B/1#1 term 2 input B.1, resume
            > done B
              accepted
              accepted
              close
              accepted
              w1 <- assign C/1#1 term 3 input C.1, resume
            > done C
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B done | B.1 turn
                B/1 ok | #1 ok on w1 | turns 1 snapshots 3
              C done | C.1 turn
                C/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_waiter_that_is_cancelled_is_passed_over() {
    check(
        "
        agent a
        agent b
        agent c
        worker w1 slots=9
        accept A session=s
        accept B agent=b session=s
        accept C agent=c session=s
        cancel B
        done A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > agent b
              agent b active true max None
            > agent c
              agent c active true max None
            > worker w1 slots=9
              welcome
            > accept A session=s
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > accept B agent=b session=s
              B is queued, B.1 queued
            > accept C agent=c session=s
              C is queued, C.1 queued
            > cancel B
              B is cancelled, settled
            > done A
              accepted
              accepted
              close
              accepted
              w1 <- assign C/1#1 term 2 input C.1, resume
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B cancelled (cancel) | B.1 dropped: cancelled
              C running | C.1 taken
                C/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_woken_waiter_that_is_cancelled_wakes_the_next() {
    check(
        "
        agent a
        agent b
        agent c
        worker w1 slots=1
        accept A session=s
        accept B agent=b session=s
        accept C agent=c session=s
        offer w1 3
        drop w1
        done A
        cancel B
        worker w2
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > agent b
              agent b active true max None
            > agent c
              agent c active true max None
            > worker w1 slots=1
              welcome
            > accept A session=s
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > accept B agent=b session=s
              B is queued, B.1 queued
            > accept C agent=c session=s
              C is queued, C.1 queued
            > offer w1 3
            > drop w1
            > done A
              accepted
              accepted
              close
              accepted
            > cancel B
              B is cancelled, settled
            > worker w2
              welcome
              w2 <- assign C/1#1 term 2 input C.1, resume
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B cancelled (cancel) | B.1 dropped: cancelled
              C running | C.1 taken
                C/1 accepted | #1 pending on w2 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_session_stays_busy_while_its_run_waits_for_a_retry() {
    check(
        "
        agent a
        agent b
        worker w1 slots=9
        accept A session=s retry=2/5000
        accept B agent=b session=s
        start A
        end A 1
        tick 1s
        tick 5s
        done A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > agent b
              agent b active true max None
            > worker w1 slots=9
              welcome
            > accept A session=s retry=2/5000
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > accept B agent=b session=s
              B is queued, B.1 queued
            > start A
              accepted
            > end A 1
              accepted
            > tick 1s
            > tick 5s
              w1 <- assign A/1#2 term 2 input A.1
            > done A
              accepted
              accepted
              close
              accepted
              w1 <- assign B/1#1 term 3 input B.1, resume
            =
              A done | A.1 turn
                A/1 ok | #1 error on w1 crashed | #2 ok on w1 | turns 1 snapshots 6
              B running | B.1 taken
                B/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

//! Who may start (DSP-1 to DSP-6): capacity, order, sessions, workers.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_claim_makes_run_attempt_lease_and_counts_together() {
    check(
        "
        agent a
        accept A session=s
        concurrency A
        worker w1
        concurrency A
        start A
        concurrency A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A session=s
              A is queued, A.1 queued
            > concurrency A
              of 1: queued 1 parked 0 pending 0 running 0 stopping 0 claims 0
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > concurrency A
              of 1: queued 0 parked 0 pending 1 running 0 stopping 0 claims 1000001
            > start A
              accepted
            > concurrency A
              of 1: queued 0 parked 0 pending 0 running 1 stopping 0 claims 1000001
            =
              A running | A.1 taken
                A/1 running | #1 running on w1 | turns 0 snapshots 2
        "#]],
    );
}

#[test]
fn a_class_runs_one_at_a_time_unless_it_says_otherwise() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A
        accept B
        concurrency A
        done A
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
            > concurrency A
              of 1: queued 1 parked 0 pending 1 running 0 stopping 0 claims 1000001
            > done A
              accepted
              accepted
              close
              accepted
              w1 <- assign B/1#1 term 1 input B.1
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B running | B.1 taken
                B/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn an_agent_may_allow_more() {
    check(
        "
        agent a max=2
        worker w1 slots=5
        accept A
        accept B
        accept C
        concurrency A
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
            > accept C
              C is queued, C.1 queued
            > concurrency A
              of 2: queued 1 parked 0 pending 2 running 0 stopping 0 claims 1000002
            =
              A running | A.1 taken
                A/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              B running | B.1 taken
                B/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              C queued | C.1 waiting
        "#]],
    );
}

#[test]
fn urgent_work_goes_first_then_the_oldest() {
    check(
        "
        agent a
        accept A priority=low
        accept B
        accept C
        accept D priority=urgent
        worker w1 slots=9
        done D
        done B
        done C
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A priority=low
              A is queued, A.1 queued
            > accept B
              B is queued, B.1 queued
            > accept C
              C is queued, C.1 queued
            > accept D priority=urgent
              D is queued, D.1 queued
            > worker w1 slots=9
              welcome
              w1 <- assign D/1#1 term 1 input D.1
            > done D
              accepted
              accepted
              close
              accepted
              w1 <- assign B/1#1 term 1 input B.1
            > done B
              accepted
              accepted
              close
              accepted
              w1 <- assign C/1#1 term 1 input C.1
            > done C
              accepted
              accepted
              close
              accepted
              w1 <- assign A/1#1 term 1 input A.1
            =
              A running | A.1 taken
                A/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              B done | B.1 turn
                B/1 ok | #1 ok on w1 | turns 1 snapshots 3
              C done | C.1 turn
                C/1 ok | #1 ok on w1 | turns 1 snapshots 3
              D done | D.1 turn
                D/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn classes_take_turns_whatever_their_backlogs() {
    check(
        "
        agent a
        agent b
        accept A
        accept B
        accept C
        accept D agent=b
        worker w1
        done A
        offer w1 2
        done D
        offer w1 3
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > agent b
              agent b active true max None
            > accept A
              A is queued, A.1 queued
            > accept B
              B is queued, B.1 queued
            > accept C
              C is queued, C.1 queued
            > accept D agent=b
              D is queued, D.1 queued
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > done A
              accepted
              accepted
              close
              accepted
            > offer w1 2
              w1 <- assign D/1#1 term 1 input D.1
            > done D
              accepted
              accepted
              close
              accepted
            > offer w1 3
              w1 <- assign B/1#1 term 1 input B.1
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B running | B.1 taken
                B/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              C queued | C.1 waiting
              D done | D.1 turn
                D/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_worker_is_given_no_more_than_it_offers() {
    check(
        "
        agent a max=5
        worker w1 slots=2
        accept A
        accept B
        accept C
        concurrency A
        done A
        offer w1 3
        ",
        expect![[r#"
            > agent a max=5
              agent a active true max Some(5)
            > worker w1 slots=2
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > accept B
              B is queued, B.1 queued
              w1 <- assign B/1#1 term 1 input B.1
            > accept C
              C is queued, C.1 queued
            > concurrency A
              of 5: queued 1 parked 0 pending 2 running 0 stopping 0 claims 1000002
            > done A
              accepted
              accepted
              close
              accepted
            > offer w1 3
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
fn the_worker_with_most_room_is_chosen() {
    check(
        "
        agent a max=5
        worker w1 slots=1
        worker w2 slots=3
        accept A
        accept B
        accept C
        accept D
        ",
        expect![[r#"
            > agent a max=5
              agent a active true max Some(5)
            > worker w1 slots=1
              welcome
            > worker w2 slots=3
              welcome
            > accept A
              A is queued, A.1 queued
              w2 <- assign A/1#1 term 1 input A.1
            > accept B
              B is queued, B.1 queued
              w2 <- assign B/1#1 term 1 input B.1
            > accept C
              C is queued, C.1 queued
              w1 <- assign C/1#1 term 1 input C.1
            > accept D
              D is queued, D.1 queued
              w2 <- assign D/1#1 term 1 input D.1
            =
              A running | A.1 taken
                A/1 accepted | #1 pending on w2 | turns 0 snapshots 1
              B running | B.1 taken
                B/1 accepted | #1 pending on w2 | turns 0 snapshots 1
              C running | C.1 taken
                C/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              D running | D.1 taken
                D/1 accepted | #1 pending on w2 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn work_waits_for_a_worker_that_offers_its_runtime() {
    check(
        "
        agent a
        accept A runtime=runc
        worker w1 runtimes=gvisor
        tick 10s
        worker w2 runtimes=runc
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A runtime=runc
              A is queued, A.1 queued
            > worker w1 runtimes=gvisor
              welcome
            > tick 10s
            > worker w2 runtimes=runc
              welcome
              w2 <- assign A/1#1 term 1 input A.1
            =
              A running | A.1 taken
                A/1 accepted | #1 pending on w2 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_paused_workspace_starts_nothing() {
    check(
        "
        agent a
        accept A
        pause
        worker w1
        tick 3s
        waits A
        resume
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > pause
              workspace default is 1, paused true, weight 1
            > worker w1
              welcome
            > tick 3s
            > waits A
              workspace_paused: the workspace "default" is paused
            > resume
              workspace default is 1, paused false, weight 1
              w1 <- assign A/1#1 term 1 input A.1
            =
              A running | A.1 taken
                A/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

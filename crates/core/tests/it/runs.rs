//! Attempts, outcomes and retries (RUN-1 to RUN-7).

use expect_test::expect;

use crate::script::check;

#[test]
fn a_run_is_ok_by_the_agents_own_word() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        turn A
        end-turn A ok
        end A 1
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
            > end-turn A ok
              close
            > end A 1
              accepted
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn exit_code_zero_without_the_agents_word_is_unproven() {
    check(
        "
        agent a
        worker w1
        accept A retry=3
        start A
        turn A
        end A 0
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
            > turn A
              accepted
            > end A 0
              accepted
            =
              A error "the agent's process ended without saying that its work was done" | A.1 turn
                A/1 error unproven | #1 error on w1 unproven | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_question_leaves_the_task_waiting() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        turn A
        end-turn A asks
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
            > end-turn A asks
              close
            > end A closed
              accepted
            =
              A waiting | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_crash_is_tried_again_at_once() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A
        start A
        turn A
        end A 139
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
            > start A
              accepted
            > turn A
              accepted
            > end A 139
              accepted
              w1 <- assign A/1#2 term 2 input A.1, resume
            > done A
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 turn
                A/1 ok | #1 error on w1 crashed | #2 ok on w1 | turns 2 snapshots 6
        "#]],
    );
}

#[test]
fn a_retry_with_a_delay_waits_for_its_time() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A retry=2/3000
        start A
        end A killed
        concurrency A
        tick 2999ms
        tick 1ms
        concurrency A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=5
              welcome
            > accept A retry=2/3000
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > end A killed
              accepted
            > concurrency A
              of 1: queued 1 parked 1 pending 0 running 0 stopping 0 claims 1000001
            > tick 2999ms
            > tick 1ms
            > concurrency A
              of 1: queued 1 parked 1 pending 0 running 0 stopping 0 claims 1000001
            =
              A queued (parked: timer) | A.1 taken
                A/1 accepted crashed | #1 error on w1 crashed | turns 0 snapshots 3
        "#]],
    );
}

#[test]
fn attempts_run_out() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A retry=2
        start A
        end A killed
        start A
        end A killed
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=5
              welcome
            > accept A retry=2
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > end A killed
              accepted
              w1 <- assign A/1#2 term 2 input A.1
            > start A
              accepted
            > end A killed
              accepted
            =
              A error "the agent's process was killed" | A.1 dropped: run_failed
                A/1 error crashed | #1 error on w1 crashed | #2 error on w1 crashed | turns 0 snapshots 6
        "#]],
    );
}

#[test]
fn failures_that_another_try_may_mend_are_tried_again() {
    check(
        "
        agent a max=5
        worker w1 slots=20
        accept A
        start A
        end A timeout
        accept B
        end B sandbox
        accept C
        start C
        turn C
        end-turn C error:overloaded
        end C closed
        ",
        expect![[r#"
            > agent a max=5
              agent a active true max Some(5)
            > worker w1 slots=20
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > end A timeout
              accepted
              w1 <- assign A/1#2 term 2 input A.1
            > accept B
              B is queued, B.1 queued
              w1 <- assign B/1#1 term 1 input B.1
            > end B sandbox
              accepted
              w1 <- assign B/1#2 term 2 input B.1
            > accept C
              C is queued, C.1 queued
              w1 <- assign C/1#1 term 1 input C.1
            > start C
              accepted
            > turn C
              accepted
            > end-turn C error:overloaded
              close
            > end C closed
              accepted
              w1 <- assign C/1#2 term 2 input C.1, resume
            =
              A running | A.1 taken
                A/1 accepted timeout | #1 timeout on w1 timeout | #2 pending on w1 | turns 0 snapshots 4
              B running | B.1 taken
                B/1 accepted sandbox | #1 error on w1 sandbox | #2 pending on w1 | turns 0 snapshots 3
              C running | C.1 turn
                C/1 accepted overloaded | #1 error on w1 overloaded | #2 pending on w1 | turns 1 snapshots 4
        "#]],
    );
}

#[test]
fn failures_that_another_try_cannot_mend_end_the_run() {
    check(
        "
        agent a max=9
        worker w1 slots=20
        accept A
        start A
        turn A
        end-turn A error
        end A closed
        accept B
        end B refused
        accept C
        start C
        turn C
        end-turn C error:rejected
        end C closed
        accept D
        start D
        turn D
        end-turn D error:configuration
        end D closed
        ",
        expect![[r#"
            > agent a max=9
              agent a active true max Some(9)
            > worker w1 slots=20
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > turn A
              accepted
            > end-turn A error
              close
            > end A closed
              accepted
            > accept B
              B is queued, B.1 queued
              w1 <- assign B/1#1 term 1 input B.1
            > end B refused
              accepted
            > accept C
              C is queued, C.1 queued
              w1 <- assign C/1#1 term 1 input C.1
            > start C
              accepted
            > turn C
              accepted
            > end-turn C error:rejected
              close
            > end C closed
              accepted
            > accept D
              D is queued, D.1 queued
              w1 <- assign D/1#1 term 1 input D.1
            > start D
              accepted
            > turn D
              accepted
            > end-turn D error:configuration
              close
            > end D closed
              accepted
            =
              A error "it is error" | A.1 turn
                A/1 error agent | #1 error on w1 agent | turns 1 snapshots 3
              B error "the agent cannot run here" | B.1 dropped: run_failed
                B/1 error configuration | #1 error on w1 configuration | turns 0 snapshots 2
              C error "it is error:rejected" | C.1 turn
                C/1 error rejected | #1 error on w1 rejected | turns 1 snapshots 3
              D error "it is error:configuration" | D.1 turn
                D/1 error configuration | #1 error on w1 configuration | turns 1 snapshots 3
        "#]],
    );
}

//! Sending an input: limits, `expected_run_id`, keys and modes (INP-2, INP-4, INP-6).

use expect_test::expect;

use crate::script::check;

#[test]
fn the_twenty_first_waiting_input_is_refused() {
    check(
        "
        agent a
        accept A
        input A times=20
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > input A times=20
              A is queued, A.2 queued
              A is queued, A.3 queued
              A is queued, A.4 queued
              A is queued, A.5 queued
              A is queued, A.6 queued
              A is queued, A.7 queued
              A is queued, A.8 queued
              A is queued, A.9 queued
              A is queued, A.10 queued
              A is queued, A.11 queued
              A is queued, A.12 queued
              A is queued, A.13 queued
              A is queued, A.14 queued
              A is queued, A.15 queued
              A is queued, A.16 queued
              A is queued, A.17 queued
              A is queued, A.18 queued
              A is queued, A.19 queued
              A is queued, A.20 queued
              no: inbox_full [] 20 inputs wait for the task A; at most 20 may wait
            =
              A queued | A.1 waiting | A.2 waiting | A.3 waiting | A.4 waiting | A.5 waiting | A.6 waiting | A.7 waiting | A.8 waiting | A.9 waiting | A.10 waiting | A.11 waiting | A.12 waiting | A.13 waiting | A.14 waiting | A.15 waiting | A.16 waiting | A.17 waiting | A.18 waiting | A.19 waiting | A.20 waiting
        "#]],
    );
}

#[test]
fn an_input_for_another_run_than_the_live_one_is_refused() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A
        input A expect=A/1
        start A
        input A expect=A/9
        cancel A
        end A stopped
        input A expect=A/1
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=5
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > input A expect=A/1
              A is running, A.2 queued
            > start A
              accepted
            > input A expect=A/9
              no: expected_run [expected_run_id] the live run is A/1, not 00000000-0000-0000-0000-000000000000
            > cancel A
              A is running, is being stopped
              w1 <- cancel A/1#1
            > end A stopped
              accepted
            > input A expect=A/1
              no: expected_run [expected_run_id] no run is live; A/1 was expected
            =
              A cancelled (cancel) "cancelled by user" | A.1 dropped: cancelled | A.2 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 3
        "#]],
    );
}

#[test]
fn an_input_may_name_its_run() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A
        start A
        input A run
        turn A
        end-turn A last
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
            > input A run
              A is running, A.2 queued
            > turn A
              accepted
            > end-turn A last
              close
            > end A closed
              accepted
              w1 <- assign A/2#1 term 2 input A.2, resume
            =
              A running | A.1 turn | A.2 taken
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
                A/2 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn an_inputs_key_counts_like_a_commands() {
    check(
        "
        agent a
        accept A
        input A key=k
        input A key=k
        input A key=k message=other
        input B key=k
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > input A key=k
              A is queued, A.2 queued
            > input A key=k
              A is queued, A.2 queued, hit
            > input A key=k message=other
              no: idempotency_conflict [idempotency_key] the idempotency key "k" was used with another body
            > input B key=k
              no: task_not_found [] there is no task 00000000-0000-0000-0000-000000000009
            =
              A queued | A.1 waiting | A.2 waiting
        "#]],
    );
}

#[test]
fn a_mode_that_cannot_be_done_is_refused_by_name() {
    check(
        "
        agent a
        accept A
        input A mode=steer
        input A mode=QUEUE
        input A message=-
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > input A mode=steer
              A is queued, A.2 queued
            > input A mode=QUEUE
              A is queued, A.3 queued
            > input A message=-
              no: required_field [message] message is required
            =
              A queued | A.1 waiting | A.2 waiting | A.3 waiting
        "#]],
    );
}

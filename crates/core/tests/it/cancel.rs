//! Cancels, in every state (RUN-8), and archiving.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_queued_task_is_cancelled_at_once_with_its_inputs() {
    check(
        "
        agent a
        accept A
        input A
        cancel A
        concurrency A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > input A
              A is queued, A.2 queued
            > cancel A
              A is cancelled, settled
            > concurrency A
              of 1: queued 0 parked 0 pending 0 running 0 stopping 0 claims 0
            =
              A cancelled (cancel) | A.1 dropped: cancelled | A.2 dropped: cancelled
        "#]],
    );
}

#[test]
fn a_parked_task_is_cancelled_at_once() {
    check(
        "
        agent a
        agent b
        worker w1 slots=5
        accept A session=s
        accept B agent=b session=s
        cancel B
        concurrency B
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
            > accept B agent=b session=s
              B is queued, B.1 queued
            > cancel B
              B is cancelled, settled
            > concurrency B
              of 1: queued 0 parked 0 pending 0 running 0 stopping 0 claims 0
            > done A
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B cancelled (cancel) | B.1 dropped: cancelled
        "#]],
    );
}

#[test]
fn a_task_that_was_given_and_not_started_is_stopped_by_its_worker() {
    check(
        "
        agent a
        worker w1
        accept A
        cancel A
        concurrency A
        end A stopped
        concurrency A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > cancel A
              A is running, is being stopped
              w1 <- cancel A/1#1
            > concurrency A
              of 1: queued 0 parked 0 pending 0 running 0 stopping 1 claims 1000001
            > end A stopped
              accepted
            > concurrency A
              of 1: queued 0 parked 0 pending 0 running 0 stopping 0 claims 1000001
            =
              A cancelled (cancel) "cancelled by user" | A.1 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 2
        "#]],
    );
}

#[test]
fn a_start_that_crosses_the_cancel_changes_nothing() {
    check(
        "
        agent a
        worker w1
        accept A
        cancel A
        start A
        concurrency A
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
            > cancel A
              A is running, is being stopped
              w1 <- cancel A/1#1
            > start A
              accepted
            > concurrency A
              of 1: queued 0 parked 0 pending 0 running 0 stopping 1 claims 1000001
            > end A stopped
              accepted
            =
              A cancelled (cancel) "cancelled by user" | A.1 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 3
        "#]],
    );
}

#[test]
fn a_running_task_is_stopped_by_its_worker() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        turn A
        input A
        cancel A
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
            > start A
              accepted
            > turn A
              accepted
            > input A
              A is running, A.2 queued
            > cancel A
              A is running, is being stopped
              w1 <- cancel A/1#1
            > end A stopped
              accepted
            =
              A cancelled (cancel) "cancelled by user" | A.1 turn | A.2 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_cancel_wins_over_a_success_on_its_way() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        turn A
        cancel A
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
            > cancel A
              A is running, is being stopped
              w1 <- cancel A/1#1
            > end-turn A ok
              close
            > end A closed
              accepted
            =
              A cancelled (cancel) "cancelled by user" | A.1 turn
                A/1 cancelled | #1 cancelled on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_cancel_wins_over_a_lost_worker() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        cancel A
        worker w1 anew
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
            > cancel A
              A is running, is being stopped
              w1 <- cancel A/1#1
            > worker w1 anew
              welcome
            =
              A cancelled (cancel) "cancelled by user" | A.1 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 3
        "#]],
    );
}

#[test]
fn between_two_attempts_a_run_is_cancelled_at_once() {
    check(
        "
        agent a
        agent b
        worker w1 slots=5
        accept A session=s retry=3/60000
        accept B agent=b session=s
        start A
        end A killed
        cancel A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > agent b
              agent b active true max None
            > worker w1 slots=5
              welcome
            > accept A session=s retry=3/60000
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > accept B agent=b session=s
              B is queued, B.1 queued
            > start A
              accepted
            > end A killed
              accepted
            > cancel A
              A is cancelled, settled
              w1 <- assign B/1#1 term 2 input B.1
            =
              A cancelled (cancel) | A.1 dropped: cancelled
                A/1 cancelled | #1 error on w1 crashed | turns 0 snapshots 4
              B running | B.1 taken
                B/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_second_cancel_is_answered_like_the_first() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        cancel A
        cancel A
        cancel-run A
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
            > start A
              accepted
            > cancel A
              A is running, is being stopped
              w1 <- cancel A/1#1
            > cancel A
              A is running, is being stopped
            > cancel-run A
              A is running, is being stopped
            > end A stopped
              accepted
            =
              A cancelled (cancel) "cancelled by user" | A.1 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 3
        "#]],
    );
}

#[test]
fn a_finished_task_or_run_cannot_be_cancelled() {
    check(
        "
        agent a
        worker w1
        accept A
        done A
        cancel A
        cancel-run A
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
            > cancel A
              no: task_not_cancellable [] the task A is done and cannot be cancelled
            > cancel-run A
              no: run_not_cancellable [] the run A/1 has ended (ok) and cannot be cancelled
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_waiting_task_can_be_cancelled_and_its_ended_run_cannot() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        turn A
        end-turn A asks
        end A closed
        cancel-run A
        cancel A
        cancel A
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
            > cancel-run A
              no: run_not_cancellable [] the run A/1 has ended (ok) and cannot be cancelled
            > cancel A
              A is cancelled, settled
            > cancel A
              no: task_not_cancellable [] the task A is cancelled and cannot be cancelled
            =
              A cancelled (cancel) | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn cancelling_a_run_cancels_its_task() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        cancel-run A
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
            > start A
              accepted
            > cancel-run A
              A is running, is being stopped
              w1 <- cancel A/1#1
            > end A stopped
              accepted
            =
              A cancelled (cancel) "cancelled by user" | A.1 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 3
        "#]],
    );
}

#[test]
fn a_task_that_is_not_there_cannot_be_cancelled() {
    check(
        "
        cancel A
        archive A
        ",
        expect![[r#"
            > cancel A
              no: task_not_found [] there is no task 00000000-0000-0000-0000-000000000009
            > archive A
              no: task_not_found [] there is no task 00000000-0000-0000-0000-000000000009
        "#]],
    );
}

#[test]
fn archiving_cancels_what_waits_and_refuses_what_runs() {
    check(
        "
        agent a
        worker w1
        accept A
        accept B
        archive B
        archive A
        cancel A
        archive A
        end A stopped
        archive A
        archive A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > accept B
              B is queued, B.1 queued
            > archive B
              B is cancelled, archived true
            > archive A
              no: task_not_archivable [] the task A is running; cancel it, and archive it when it is cancelled
            > cancel A
              A is running, is being stopped
              w1 <- cancel A/1#1
            > archive A
              no: task_not_archivable [] the task A is running; cancel it, and archive it when it is cancelled
            > end A stopped
              accepted
            > archive A
              A is cancelled, archived true
            > archive A
              A is cancelled, archived true
            =
              A cancelled (cancel) "cancelled by user" | A.1 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 2
              B cancelled (cancel) | B.1 dropped: cancelled
        "#]],
    );
}

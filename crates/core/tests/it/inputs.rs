//! Inputs for tasks in every state (INP-1 to INP-6).

use expect_test::expect;

use crate::script::check;

#[test]
fn an_input_for_a_queued_task_waits_behind_the_first() {
    check(
        "
        agent a
        accept A
        input A message=second
        worker w1
        start A
        turn A
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
            > input A message=second
              A is queued, A.2 queued
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > turn A
              accepted
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

#[test]
fn an_input_for_a_running_task_is_its_next_turn() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        turn A
        input A
        end-turn A ok
        turn A
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
            > input A
              A is running, A.2 queued
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

#[test]
fn an_input_for_a_waiting_task_restarts_it_on_its_session() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A session=s
        start A
        turn A
        end-turn A asks
        end A closed
        input A message=answer
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
            > accept A session=s
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
            > input A message=answer
              A is queued, A.2 restarted
              w1 <- assign A/2#1 term 2 input A.2, resume
            > start A
              accepted
            > turn A
              accepted
            > end-turn A ok
              close
            > end A closed
              accepted
            =
              A done | A.1 turn | A.2 restarted
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
                A/2 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_input_for_a_done_task_restarts_it() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A
        done A
        input A
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
            > done A
              accepted
              accepted
              close
              accepted
            > input A
              A is queued, A.2 restarted
              w1 <- assign A/2#1 term 2 input A.2, resume
            > done A
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 turn | A.2 restarted
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
                A/2 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_input_for_a_failed_task_restarts_it() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A retry=1
        start A
        turn A
        end-turn A error
        end A closed
        input A
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
            > start A
              accepted
            > turn A
              accepted
            > end-turn A error
              close
            > end A closed
              accepted
            > input A
              A is queued, A.2 restarted
              w1 <- assign A/2#1 term 2 input A.2, resume
            > done A
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 turn | A.2 restarted
                A/1 error agent | #1 error on w1 agent | turns 1 snapshots 3
                A/2 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_input_for_a_cancelled_task_restarts_it() {
    check(
        "
        agent a
        accept A
        cancel A
        input A
        worker w1
        done A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > cancel A
              A is cancelled, settled
            > input A
              A is queued, A.2 restarted
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.2
            > done A
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 dropped: cancelled | A.2 restarted
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_input_for_a_dropped_task_restarts_it() {
    check(
        "
        agent a
        accept A retry=5
        worker w1 slots=9
        start A
        worker w1 slots=9 anew
        start A
        worker w1 slots=9 anew
        start A
        worker w1 slots=9 anew
        input A
        done A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A retry=5
              A is queued, A.1 queued
            > worker w1 slots=9
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > worker w1 slots=9 anew
              welcome
              w1 <- assign A/1#2 term 2 input A.1
            > start A
              accepted
            > worker w1 slots=9 anew
              welcome
              w1 <- assign A/1#3 term 3 input A.1
            > start A
              accepted
            > worker w1 slots=9 anew
              welcome
            > input A
              A is queued, A.2 restarted
              w1 <- assign A/2#1 term 4 input A.2
            > done A
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 dropped: run_failed | A.2 restarted
                A/1 error poisoned | #1 error on w1 lost | #2 error on w1 lost | #3 error on w1 lost | turns 0 snapshots 9
                A/2 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_input_for_an_archived_task_brings_it_back() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A
        done A
        archive A
        input A
        archive A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=5
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > done A
              accepted
              accepted
              close
              accepted
            > archive A
              A is done, archived true
            > input A
              A is queued, A.2 restarted
              w1 <- assign A/2#1 term 2 input A.2, resume
            > archive A
              no: task_not_archivable [] the task A is running; cancel it, and archive it when it is cancelled
            =
              A running | A.1 turn | A.2 taken
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
                A/2 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn an_input_that_comes_after_the_last_turn_has_a_run_of_its_own() {
    check(
        "
        agent a
        worker w1 slots=5
        accept A
        start A
        turn A
        end-turn A ok
        input A
        end A closed
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
            > end-turn A ok
              close
            > input A
              A is running, A.2 queued
            > end A closed
              accepted
              w1 <- assign A/2#1 term 2 input A.2, resume
            > done A
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 turn | A.2 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
                A/2 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_input_while_the_run_is_being_stopped_is_dropped_with_it() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        cancel A
        input A
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
            > input A
              A is running, A.2 queued
            > end A stopped
              accepted
            =
              A cancelled (cancel) "cancelled by user" | A.1 dropped: cancelled | A.2 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 3
        "#]],
    );
}

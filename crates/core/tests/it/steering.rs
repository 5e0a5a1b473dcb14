//! Inputs for a turn that runs: into it, in place of it, and the races with its end (INP-2).

use expect_test::expect;

use crate::script::check;

#[test]
fn a_steer_reaches_the_running_turn_and_the_agents_word_is_its_receipt() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=steer message=left
        injected A input=A.2
        injected A input=A.2
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
            > start A can=all
              accepted
            > turn A
              accepted
            > input A mode=steer message=left
              A is running, A.2 direct
              w1 <- steer A.2 "left" for A/1#1
            > injected A input=A.2
              accepted
            > injected A input=A.2
              accepted
            > end-turn A ok
              close
            > end A closed
              accepted
            =
              A done | A.1 turn | A.2 injected
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_steer_that_comes_before_the_turn_has_begun_goes_into_it() {
    check(
        "
        agent a
        worker w1
        accept A
        input A mode=steer message=left
        start A can=all
        turn A
        injected A input=A.2
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
            > input A mode=steer message=left
              A is running, A.2 queued
            > start A can=all
              accepted
            > turn A
              accepted
              w1 <- steer A.2 "left" for A/1#1
            > injected A input=A.2
              accepted
            > end-turn A ok
              close
            > end A closed
              accepted
            =
              A done | A.1 turn | A.2 injected
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_steer_that_the_turn_did_not_take_is_the_next_turn_before_others() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A message=later
        input A mode=steer-backlog message=left
        end-turn A ok
        turn A
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
            > start A can=all
              accepted
            > turn A
              accepted
            > input A message=later
              A is running, A.2 queued
            > input A mode=steer-backlog message=left
              A is running, A.3 direct
              w1 <- steer A.3 "left" for A/1#1
            > end-turn A ok
              next A.3
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
              A done | A.1 turn | A.2 turn | A.3 turn
                A/1 ok | #1 ok on w1 | turns 3 snapshots 3
        "#]],
    );
}

#[test]
fn an_agent_that_cannot_steer_has_the_message_as_its_next_turn() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        turn A
        input A message=later
        input A mode=steer message=left
        end-turn A ok
        turn A
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
            > input A message=later
              A is running, A.2 queued
            > input A mode=steer message=left
              A is running, A.3 queued
            > end-turn A ok
              next A.3
            > turn A
              accepted
            =
              A running | A.1 turn | A.2 waiting | A.3 turn
                A/1 running | #1 running on w1 | turns 2 snapshots 2
        "#]],
    );
}

#[test]
fn a_steer_that_its_process_gives_back_waits_again() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=steer message=left
        returned A input=A.2
        returned A input=A.2
        end-turn A ok
        turn A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > input A mode=steer message=left
              A is running, A.2 direct
              w1 <- steer A.2 "left" for A/1#1
            > returned A input=A.2
              accepted
            > returned A input=A.2
              accepted
            > end-turn A ok
              next A.2
            > turn A
              accepted
            =
              A running | A.1 turn | A.2 turn
                A/1 running | #1 running on w1 | turns 2 snapshots 2
        "#]],
    );
}

#[test]
fn a_steer_is_given_again_after_its_process_died() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=steer message=left
        end A killed
        offer w1 2
        start A can=all
        turn A
        injected A input=A.2
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
            > start A can=all
              accepted
            > turn A
              accepted
            > input A mode=steer message=left
              A is running, A.2 direct
              w1 <- steer A.2 "left" for A/1#1
            > end A killed
              accepted
            > offer w1 2
              w1 <- assign A/1#2 term 2 input A.1, resume
            > start A can=all
              accepted
            > turn A
              accepted
              w1 <- steer A.2 "left" for A/1#2
            > injected A input=A.2
              accepted
            > end-turn A ok
              close
            > end A closed
              accepted
            =
              A done | A.1 turn | A.2 injected
                A/1 ok | #1 error on w1 crashed | #2 ok on w1 | turns 2 snapshots 6
        "#]],
    );
}

#[test]
fn an_interrupt_stops_the_turn_and_keeps_the_process() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A message=later
        input A mode=interrupt message=stop
        end-turn A error
        turn A
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
            > start A can=all
              accepted
            > turn A
              accepted
            > input A message=later
              A is running, A.2 queued
            > input A mode=interrupt message=stop
              A is running, A.3 interrupted
              w1 <- interrupt A/1#1 in A.1
            > end-turn A error
              next A.3
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
              A done | A.1 turn | A.2 turn | A.3 turn
                A/1 ok | #1 ok on w1 | turns 3 snapshots 3
        "#]],
    );
}

#[test]
fn an_interrupt_that_comes_as_the_turn_ends_runs_after_it() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        end-turn A ok
        input A mode=interrupt message=stop
        end A closed
        offer w1 2
        done A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A ok
              close
            > input A mode=interrupt message=stop
              A is running, A.2 queued
            > end A closed
              accepted
            > offer w1 2
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
fn a_turn_that_ended_by_itself_under_an_interrupt_is_done() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=interrupt message=stop
        withdraw A.2
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
            > start A can=all
              accepted
            > turn A
              accepted
            > input A mode=interrupt message=stop
              A is running, A.2 interrupted
              w1 <- interrupt A/1#1 in A.1
            > withdraw A.2
              A.2 withdrawn
            > end-turn A ok
              close
            > end A closed
              accepted
            =
              A done | A.1 turn | A.2 withdrawn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_interrupt_whose_message_was_withdrawn_still_stops_the_turn() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=interrupt message=stop
        withdraw A.2
        end-turn A error
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
            > start A can=all
              accepted
            > turn A
              accepted
            > input A mode=interrupt message=stop
              A is running, A.2 interrupted
              w1 <- interrupt A/1#1 in A.1
            > withdraw A.2
              A.2 withdrawn
            > end-turn A error
              close
            > end A closed
              accepted
            =
              A cancelled "interrupted by queued input" | A.1 turn | A.2 withdrawn
                A/1 cancelled | #1 cancelled on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_agent_that_knows_no_interrupt_is_stopped_and_begins_a_new_run() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        turn A
        input A mode=interrupt message=stop
        end A stopped
        offer w1 2
        done A
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
            > input A mode=interrupt message=stop
              A is running, A.2 interrupted
              w1 <- cancel A/1#1
            > end A stopped
              accepted
            > offer w1 2
              w1 <- assign A/2#1 term 2 input A.2, resume
            > done A
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 turn | A.2 turn
                A/1 cancelled | #1 cancelled on w1 | turns 1 snapshots 3
                A/2 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_turn_that_is_interrupted_before_it_begins_is_stopped_when_the_agent_has_its_message() {
    check(
        "
        agent a
        worker w1
        accept A
        input A mode=interrupt message=stop
        start A can=all
        turn A
        end-turn A as:aborted_streaming
        turn A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > input A mode=interrupt message=stop
              A is running, A.2 interrupted
            > start A can=all
              accepted
            > turn A
              accepted
              w1 <- interrupt A/1#1 in A.1
            > end-turn A as:aborted_streaming
              next A.2
            > turn A
              accepted
            =
              A running | A.1 turn | A.2 turn
                A/1 running | #1 running on w1 | turns 2 snapshots 2
        "#]],
    );
}

#[test]
fn an_agent_that_cannot_be_interrupted_is_stopped_when_it_has_the_message() {
    check(
        "
        agent a
        worker w1
        accept A
        input A mode=interrupt message=stop
        start A
        turn A
        end A stopped
        offer w1 2
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > input A mode=interrupt message=stop
              A is running, A.2 interrupted
            > start A
              accepted
            > turn A
              accepted
              w1 <- cancel A/1#1
            > end A stopped
              accepted
            > offer w1 2
              w1 <- assign A/2#1 term 2 input A.2, resume
            =
              A running | A.1 turn | A.2 taken
                A/1 cancelled | #1 cancelled on w1 | turns 1 snapshots 3
                A/2 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_turn_to_be_interrupted_that_never_began_is_tried_again_and_stopped_then() {
    check(
        "
        agent a
        worker w1
        accept A
        input A mode=interrupt message=stop
        start A can=all
        end A killed
        offer w1 2
        start A can=all
        turn A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > input A mode=interrupt message=stop
              A is running, A.2 interrupted
            > start A can=all
              accepted
            > end A killed
              accepted
            > offer w1 2
              w1 <- assign A/1#2 term 2 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
              w1 <- interrupt A/1#2 in A.1
            =
              A running | A.1 turn | A.2 waiting
                A/1 running crashed | #1 error on w1 crashed | #2 running on w1 | turns 1 snapshots 5
        "#]],
    );
}

#[test]
fn a_cancel_wins_over_an_interrupt() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        turn A
        input A mode=interrupt message=stop
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
            > input A mode=interrupt message=stop
              A is running, A.2 interrupted
              w1 <- cancel A/1#1
            > cancel A
              A is running, is being stopped
            > end A stopped
              accepted
            =
              A cancelled (cancel) "cancelled by user" | A.1 turn | A.2 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn what_was_pushed_and_lost_is_said_again_with_the_heartbeat() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=steer message=left
        input A mode=interrupt message=stop
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
            > start A can=all
              accepted
            > turn A
              accepted
            > input A mode=steer message=left
              A is running, A.2 direct
              w1 <- steer A.2 "left" for A/1#1
            > input A mode=interrupt message=stop
              A is running, A.3 interrupted
              w1 <- interrupt A/1#1 in A.1
            > beat w1 held=A
              welcome
              w1 <- steer A.2 "left" for A/1#1
              w1 <- interrupt A/1#1 in A.1
            =
              A running | A.1 turn | A.2 taken | A.3 waiting
                A/1 running | #1 running on w1 | turns 1 snapshots 2
        "#]],
    );
}

//! Changing, moving and withdrawing what waits (INP-7).

use expect_test::expect;

use crate::script::check;

#[test]
fn a_waiting_input_is_edited_moved_and_withdrawn() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A message=two
        input A message=three
        input A message=four
        edit A.2 message=zwei
        edit A.4 position=0
        withdraw A.3
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
            > input A message=two
              A is running, A.2 queued
            > input A message=three
              A is running, A.3 queued
            > input A message=four
              A is running, A.4 queued
            > edit A.2 message=zwei
              A.2 "zwei"
            > edit A.4 position=0
              A.4 "four"
            > withdraw A.3
              A.3 withdrawn
            > end-turn A ok
              next A.4
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
              A done | A.1 turn | A.2 turn | A.3 withdrawn | A.4 turn
                A/1 ok | #1 ok on w1 | turns 3 snapshots 3
        "#]],
    );
}

#[test]
fn what_is_with_the_agent_or_settled_cannot_be_changed() {
    check(
        "
        agent a
        worker w1
        accept A
        withdraw A.1
        start A can=all
        turn A
        withdraw A.1
        edit A.1 message=other
        input A mode=steer message=left
        withdraw A.2
        withdraw A.9
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > withdraw A.1
              no: input_not_waiting [] the input A.1 is with the agent already
            > start A can=all
              accepted
            > turn A
              accepted
            > withdraw A.1
              no: input_not_waiting [] the input A.1 is settled: turn
            > edit A.1 message=other
              no: input_not_waiting [] the input A.1 is settled: turn
            > input A mode=steer message=left
              A is running, A.2 direct
              w1 <- steer A.2 "left" for A/1#1
            > withdraw A.2
              no: input_not_waiting [] the input A.2 is with the agent already
            > withdraw A.9
              no: input_not_found [] there is no input 00000000-0000-0000-0000-000000000000
            =
              A running | A.1 turn | A.2 taken
                A/1 running | #1 running on w1 | turns 1 snapshots 2
        "#]],
    );
}

#[test]
fn withdrawing_the_first_message_cancels_a_task_that_has_not_begun() {
    check(
        "
        agent a
        accept A
        withdraw A.1
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > withdraw A.1
              A.1 withdrawn
            =
              A cancelled | A.1 withdrawn
        "#]],
    );
}

#[test]
fn withdrawing_the_only_message_leaves_a_task_as_its_last_run_did() {
    check(
        "
        agent a
        worker w1
        accept A
        done A
        input A message=more
        withdraw A.2
        accept B
        offer w1 2
        start B
        turn B
        end-turn B error
        end B closed
        input B message=more
        withdraw B.2
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
            > input A message=more
              A is queued, A.2 restarted
            > withdraw A.2
              A.2 withdrawn
            > accept B
              B is queued, B.1 queued
            > offer w1 2
              w1 <- assign B/1#1 term 1 input B.1
            > start B
              accepted
            > turn B
              accepted
            > end-turn B error
              close
            > end B closed
              accepted
            > input B message=more
              B is queued, B.2 restarted
            > withdraw B.2
              B.2 withdrawn
            =
              A done | A.1 turn | A.2 withdrawn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B error "it is error" | B.1 turn | B.2 withdrawn
                B/1 error agent | #1 error on w1 agent | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn steers_and_interrupts_go_before_what_waits_and_never_before_the_first_message() {
    check(
        "
        agent a
        accept A
        input A message=two
        input A mode=steer message=three
        input A mode=interrupt message=four
        worker w1
        start A
        turn A
        end-turn A ok
        turn A
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
            > accept A
              A is queued, A.1 queued
            > input A message=two
              A is queued, A.2 queued
            > input A mode=steer message=three
              A is queued, A.3 queued
            > input A mode=interrupt message=four
              A is queued, A.4 queued
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > turn A
              accepted
            > end-turn A ok
              next A.4
            > turn A
              accepted
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
              A done | A.1 turn | A.2 turn | A.3 turn | A.4 turn
                A/1 ok | #1 ok on w1 | turns 4 snapshots 3
        "#]],
    );
}

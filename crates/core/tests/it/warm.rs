//! Processes that are kept between turns, and messages that are collected.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_process_is_kept_warm_and_takes_the_next_message_at_once() {
    check(
        "
        agent a idle=5000
        worker w1 slots=2
        accept A
        start A can=all
        turn A
        end-turn A ok
        tick 3s
        input A message=more
        turn A
        end-turn A ok
        beat w1 held=A
        tick 4s
        beat w1 held=A
        tick 2s
        end A closed
        ",
        expect![[r#"
            > agent a idle=5000
              agent a active true max None
            > worker w1 slots=2
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A ok
              wait
            > tick 3s
            > input A message=more
              A is running, A.2 direct
              w1 <- next A.2 "more" for A/1#1
            > turn A
              accepted
            > end-turn A ok
              wait
            > beat w1 held=A
              welcome
            > tick 4s
            > beat w1 held=A
              welcome
            > tick 2s
              w1 <- close A/1#1
            > end A closed
              accepted
            =
              A done | A.1 turn | A.2 turn
                A/1 ok | #1 ok on w1 | turns 2 snapshots 3
        "#]],
    );
}

#[test]
fn a_question_keeps_the_process_for_a_minute() {
    check(
        "
        agent a
        worker w1 slots=2
        accept A
        start A can=all
        turn A
        end-turn A asks
        tick 7s
        beat w1 held=A
        tick 7s
        beat w1 held=A
        tick 7s
        beat w1 held=A
        tick 7s
        beat w1 held=A
        tick 7s
        beat w1 held=A
        tick 7s
        beat w1 held=A
        tick 7s
        beat w1 held=A
        tick 7s
        beat w1 held=A
        tick 5s
        end A closed
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=2
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A asks
              wait
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
            > tick 5s
              w1 <- close A/1#1
            > end A closed
              accepted
            =
              A waiting | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_warm_process_makes_room_for_a_task_that_waits() {
    check(
        "
        agent a idle=60000
        worker w1 slots=2
        accept A
        start A can=all
        turn A
        end-turn A ok
        accept B
        end A closed
        done B
        ",
        expect![[r#"
            > agent a idle=60000
              agent a active true max None
            > worker w1 slots=2
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A ok
              wait
            > accept B
              B is queued, B.1 queued
              w1 <- close A/1#1
            > end A closed
              accepted
              w1 <- assign B/1#1 term 1 input B.1
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
fn a_warm_process_makes_way_for_another_agent_on_its_session() {
    check(
        "
        agent a idle=60000
        agent b
        worker w1 slots=2
        accept A session=s
        start A can=all
        turn A
        end-turn A ok
        accept B agent=b session=s
        end A closed
        done B
        ",
        expect![[r#"
            > agent a idle=60000
              agent a active true max None
            > agent b
              agent b active true max None
            > worker w1 slots=2
              welcome
            > accept A session=s
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A ok
              wait
            > accept B agent=b session=s
              B is queued, B.1 queued
              w1 <- close A/1#1
            > end A closed
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
fn a_warm_process_is_cancelled_with_its_task() {
    check(
        "
        agent a idle=60000
        worker w1 slots=2
        accept A
        start A can=all
        turn A
        end-turn A ok
        cancel A
        end A stopped
        ",
        expect![[r#"
            > agent a idle=60000
              agent a active true max None
            > worker w1 slots=2
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A ok
              wait
            > cancel A
              A is waiting, is being stopped
              w1 <- cancel A/1#1
            > end A stopped
              accepted
            =
              A cancelled (cancel) "cancelled by user" | A.1 turn
                A/1 cancelled | #1 cancelled on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_warm_process_that_dies_leaves_a_run_that_was_done() {
    check(
        "
        agent a idle=60000
        worker w1 slots=2
        accept A
        start A can=all
        turn A
        end-turn A ok
        end A killed
        ",
        expect![[r#"
            > agent a idle=60000
              agent a active true max None
            > worker w1 slots=2
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A ok
              wait
            > end A killed
              accepted
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_input_as_the_process_closes_begins_a_new_run() {
    check(
        "
        agent a idle=1000
        worker w1 slots=2
        accept A
        start A can=all
        turn A
        end-turn A ok
        tick 2s
        input A message=more
        end A closed
        offer w1 2
        done A
        ",
        expect![[r#"
            > agent a idle=1000
              agent a active true max None
            > worker w1 slots=2
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A ok
              wait
            > tick 2s
              w1 <- close A/1#1
            > input A message=more
              A is waiting, A.2 queued
            > end A closed
              accepted
              w1 <- assign A/2#1 term 2 input A.2, resume
            > offer w1 2
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
fn collected_messages_make_one_turn_after_a_quiet_while() {
    check(
        "
        agent a
        worker w1 slots=2
        accept A
        start A can=all
        turn A
        input A mode=collect message=one
        tick 1s
        input A mode=collect message=two
        end-turn A ok
        tick 1s
        tick 2s
        turn A
        end-turn A ok
        end A closed
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=2
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > input A mode=collect message=one
              A is running, A.2 queued
            > tick 1s
            > input A mode=collect message=two
              A is running, A.3 queued
            > end-turn A ok
              wait
            > tick 1s
            > tick 2s
              w1 <- next A.2 "one\n\ntwo" for A/1#1
            > turn A
              accepted
            > end-turn A ok
              close
            > end A closed
              accepted
            =
              A done | A.1 turn | A.2 collected | A.3 collected
                A/1 ok | #1 ok on w1 | turns 2 snapshots 3
        "#]],
    );
}

#[test]
fn another_kind_of_message_ends_the_collecting() {
    check(
        "
        agent a
        worker w1 slots=2
        accept A
        done A
        input A mode=collect message=one
        input A mode=collect message=two
        offer w1 2
        input A message=now
        start A can=all
        turn A
        end-turn A ok
        turn A
        end-turn A ok
        end A closed
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=2
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > done A
              accepted
              accepted
              close
              accepted
            > input A mode=collect message=one
              A is queued, A.2 restarted
            > input A mode=collect message=two
              A is queued, A.3 queued
            > offer w1 2
            > input A message=now
              A is queued, A.4 queued
              w1 <- assign A/2#1 term 2 input A.2, resume
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A ok
              next A.4
            > turn A
              accepted
            > end-turn A ok
              close
            > end A closed
              accepted
            =
              A done | A.1 turn | A.2 collected | A.3 collected | A.4 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
                A/2 ok | #1 ok on w1 | turns 2 snapshots 3
        "#]],
    );
}

#[test]
fn a_collected_turn_is_given_again_as_it_was() {
    check(
        "
        agent a
        worker w1 slots=2
        accept A
        start A can=all
        turn A
        input A mode=collect message=one
        input A mode=collect message=two
        tick 3s
        end-turn A ok
        turn A
        end A killed
        offer w1 2
        start A can=all
        turn A
        end-turn A ok
        end A closed
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=2
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > input A mode=collect message=one
              A is running, A.2 queued
            > input A mode=collect message=two
              A is running, A.3 queued
            > tick 3s
            > end-turn A ok
              next A.2
            > turn A
              accepted
            > end A killed
              accepted
              w1 <- assign A/1#2 term 2 input A.2, resume
            > offer w1 2
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A ok
              close
            > end A closed
              accepted
            =
              A done | A.1 turn | A.2 collected | A.3 collected
                A/1 ok | #1 error on w1 crashed | #2 ok on w1 | turns 3 snapshots 6
        "#]],
    );
}

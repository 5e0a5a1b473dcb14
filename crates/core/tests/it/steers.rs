//! Steers and interrupts as the agent's process takes them: before the server's answer, after the
//! turn that they were for, or not at all (INP-1, INP-2).

use expect_test::expect;
use hostler_core::command::Command;
use hostler_core::engine::{Config, Connected, Engine, Input, Output, Refused, StoreFailure};
use hostler_core::id::{AttemptId, IncarnationId, InputId, WorkerId};
use hostler_core::run::start::{Event, What, Writer};
use hostler_core::time::Timestamp;
use hostler_core::worker::Offer;
use uuid::Uuid;

use crate::script::check;

#[test]
fn a_steer_begins_the_next_turn_before_the_answer_for_the_last_one() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=steer
        input A mode=steer
        end-turn A ok
        turn A input=A.3
        injected A input=A.2
        end-turn A input=A.3 ok
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
            > input A mode=steer
              A is running, A.2 direct
              w1 <- steer A.2 "more" for A/1#1
            > input A mode=steer
              A is running, A.3 direct
              w1 <- steer A.3 "more" for A/1#1
            > end-turn A ok
              next A.2
            > turn A input=A.3
              accepted
            > injected A input=A.2
              accepted
            > end-turn A input=A.3 ok
              close
            > end A closed
              accepted
            =
              A done | A.1 turn | A.2 injected | A.3 turn
                A/1 ok | #1 ok on w1 | turns 2 snapshots 3
        "#]],
    );
}

#[test]
fn an_interrupted_turn_waits_for_the_word_about_its_steers() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=steer
        input A mode=interrupt
        end-turn A as:aborted_tools
        input A message=later
        returned A input=A.2
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
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > input A mode=steer
              A is running, A.2 direct
              w1 <- steer A.2 "more" for A/1#1
            > input A mode=interrupt
              A is running, A.3 interrupted
              w1 <- interrupt A/1#1 in A.1
            > end-turn A as:aborted_tools
              wait
            > input A message=later
              A is waiting, A.4 queued
            > returned A input=A.2
              accepted
              w1 <- next A.3 "more" for A/1#1
            > turn A
              accepted
            > end-turn A ok
              next A.2
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
              A done | A.1 turn | A.2 turn | A.3 turn | A.4 turn
                A/1 ok | #1 ok on w1 | turns 4 snapshots 3
        "#]],
    );
}

#[test]
fn a_steer_that_begins_after_the_interrupted_turn_is_interrupted_too() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=steer
        input A mode=interrupt
        end-turn A ok
        turn A input=A.2
        end-turn A input=A.2 as:aborted_tools
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
            > input A mode=steer
              A is running, A.2 direct
              w1 <- steer A.2 "more" for A/1#1
            > input A mode=interrupt
              A is running, A.3 interrupted
              w1 <- interrupt A/1#1 in A.1
            > end-turn A ok
              wait
            > turn A input=A.2
              accepted
              w1 <- interrupt A/1#1 in A.2
            > end-turn A input=A.2 as:aborted_tools
              next A.3
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
fn a_process_that_says_nothing_of_its_steers_is_closed() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=steer
        input A mode=interrupt
        end-turn A as:aborted_tools
        tick 5s
        beat w1 held=A
        tick 6s
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
            > input A mode=steer
              A is running, A.2 direct
              w1 <- steer A.2 "more" for A/1#1
            > input A mode=interrupt
              A is running, A.3 interrupted
              w1 <- interrupt A/1#1 in A.1
            > end-turn A as:aborted_tools
              wait
            > tick 5s
            > beat w1 held=A
              welcome
              w1 <- steer A.2 "more" for A/1#1
            > tick 6s
              w1 <- close A/1#1
            > end A closed
              accepted
            =
              A queued | A.1 turn | A.2 waiting | A.3 waiting
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_steer_that_begins_after_the_last_turn_had_its_turn() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=steer
        end-turn A error
        turn A input=A.2
        end-turn A input=A.2 ok
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
            > input A mode=steer
              A is running, A.2 direct
              w1 <- steer A.2 "more" for A/1#1
            > end-turn A error
              close
            > turn A input=A.2
              accepted
            > end-turn A input=A.2 ok
              accepted
            > end A closed
              accepted
            =
              A error "it is error" | A.1 turn | A.2 turn
                A/1 error agent | #1 error on w1 agent | turns 2 snapshots 3
        "#]],
    );
}

#[test]
fn a_steer_that_is_cancelled_before_its_turn_is_returned() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=steer
        input A mode=steer
        end-turn A ok
        turn A input=A.3
        end-turn A input=A.2 as:cancelled
        end-turn A input=A.3 ok
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
            > input A mode=steer
              A is running, A.2 direct
              w1 <- steer A.2 "more" for A/1#1
            > input A mode=steer
              A is running, A.3 direct
              w1 <- steer A.3 "more" for A/1#1
            > end-turn A ok
              next A.2
            > turn A input=A.3
              accepted
            > end-turn A input=A.2 as:cancelled
              accepted
            > end-turn A input=A.3 ok
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
fn a_returned_steer_has_a_turn_of_its_own_and_others_wait_behind_it() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=steer
        returned A input=A.2
        input A mode=steer
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
            > input A mode=steer
              A is running, A.2 direct
              w1 <- steer A.2 "more" for A/1#1
            > returned A input=A.2
              accepted
            > input A mode=steer
              A is running, A.3 queued
            > end-turn A ok
              next A.2
            > turn A
              accepted
              w1 <- steer A.3 "more" for A/1#1
            > end-turn A ok
              next A.3
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
fn a_late_interrupt_names_the_turn_that_it_was_for() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=interrupt
        end-turn A ok
        beat w1 held=A
        turn A
        input A mode=interrupt
        end-turn A as:aborted_tools
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
            > input A mode=interrupt
              A is running, A.2 interrupted
              w1 <- interrupt A/1#1 in A.1
            > end-turn A ok
              next A.2
            > beat w1 held=A
              welcome
            > turn A
              accepted
            > input A mode=interrupt
              A is running, A.3 interrupted
              w1 <- interrupt A/1#1 in A.2
            > end-turn A as:aborted_tools
              next A.3
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
fn a_warm_process_makes_room_when_others_have_taken_what_was_left() {
    check(
        "
        agent a max=2 idle=60000
        worker w1 slots=2
        accept A
        start A can=all
        turn A
        end-turn A ok
        accept B
        accept C
        offer w1 3
        ",
        expect![[r#"
            > agent a max=2 idle=60000
              agent a active true max Some(2)
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
              w1 <- assign B/1#1 term 1 input B.1
            > accept C
              C is queued, C.1 queued
              w1 <- close A/1#1
            > offer w1 3
            =
              A waiting | A.1 turn
                A/1 running | #1 running on w1 | turns 1 snapshots 2
              B running | B.1 taken
                B/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              C queued | C.1 waiting
        "#]],
    );
}

#[test]
fn a_task_whose_input_is_withdrawn_lets_others_have_its_session() {
    check(
        "
        agent a
        agent b
        agent c
        worker w1 slots=1
        accept A session=s
        accept B session=s agent=b
        accept C session=s agent=c
        offer w1 3
        offer w1 0
        done A
        withdraw B.1
        tick 1s
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
            > accept B session=s agent=b
              B is queued, B.1 queued
            > accept C session=s agent=c
              C is queued, C.1 queued
            > offer w1 3
            > offer w1 0
            > done A
              accepted
              accepted
              close
              accepted
            > withdraw B.1
              B.1 withdrawn
            > tick 1s
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B cancelled | B.1 withdrawn
              C queued | C.1 waiting
        "#]],
    );
}

#[test]
fn a_warm_process_that_waited_for_a_withdrawn_input_is_closed() {
    check(
        "
        agent a
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=collect
        end-turn A ok
        withdraw A.2
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
            > input A mode=collect
              A is running, A.2 queued
            > end-turn A ok
              wait
            > withdraw A.2
              A.2 withdrawn
              w1 <- close A/1#1
            =
              A waiting | A.1 turn | A.2 withdrawn
                A/1 running | #1 running on w1 | turns 1 snapshots 2
        "#]],
    );
}

/// INV-ENGINE-4.
#[test]
fn reports_behind_a_refused_one_are_refused_until_the_worker_connects_anew() {
    let at = Timestamp(1_000);
    let mut engine = Engine::new(Config::default(), at, 1);
    let (worker, incarnation) = (WorkerId("w1".to_owned()), IncarnationId(Uuid::from_u128(7)));
    let report = |ticket: u64| {
        let what = What::Injected { input_id: InputId(Uuid::from_u128(1)) };
        let event = Event { attempt_id: AttemptId(Uuid::from_u128(2)), term: 1, what };
        let writer = Writer { worker_id: worker.clone(), incarnation };
        let command = Command::Report { writer, events: vec![event] };
        Input::Ask { ticket, command, seed: ticket }
    };
    engine.handle(report(1), at);
    // What is due is looked for first.
    while let Output::Find(_) = engine.poll() {
        engine.handle(Input::Failed(StoreFailure::Unavailable), at);
    }
    engine.handle(report(2), at);
    engine.handle(Input::Failed(StoreFailure::Unavailable), at);
    engine.handle(report(3), at);
    for ticket in 1..=3 {
        assert_eq!(engine.poll(), Output::Reply(ticket, Err(Refused::Unavailable)));
    }
    let offer = Offer::default();
    let connected = Connected { link: 1, incarnation, offer, offered: 0, given: 0 };
    engine.handle(Input::Connected { worker: worker.clone(), connected }, at);
    engine.handle(report(4), at);
    assert!(matches!(engine.poll(), Output::Load(_)));
}

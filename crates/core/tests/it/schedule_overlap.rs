//! Ticks of a schedule whose earlier task is open (SCH-4).

use expect_test::expect;

use crate::script::check;

#[test]
fn a_tick_is_skipped_while_a_task_is_open_and_ranges_grow() {
    check(
        "
        agent a
        worker w1 slots=9
        schedule S overlap=skip
        work 30s w1
        work 180s w1
        show S
        done S-1
        work 60s w1
        work 60s w1
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > schedule S overlap=skip
              S is next at 1020
            > work 30s w1
              S-1 is made at 1020, tick 1020
              w1 <- assign S-1/1#1 term 1 input S-1.1
            > work 180s w1
            > show S
              S is next at 1260 | fired 1 missed 3 failures 0 | open [S-1] buffered []
              missed 3 from 1080 to 1200: overlap
            > done S-1
              accepted
              accepted
              close
              accepted
            > work 60s w1
              S-2 is made at 1260, tick 1260
              w1 <- assign S-2/1#1 term 1 input S-2.1
            > work 60s w1
            > show S
              S is next at 1380 | fired 2 missed 4 failures 0 | open [S-2] buffered []
              missed 1 from 1320 to 1320: overlap
              missed 3 from 1080 to 1200: overlap
            =
              S-1 done | S-1.1 turn
                S-1/1 ok | #1 ok on w1 | turns 1 snapshots 3
              S-2 running | S-2.1 taken
                S-2/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

/// `waiting` is open: the conversation is not over.
#[test]
fn a_task_that_waits_for_its_person_holds_up_the_next_tick() {
    check(
        "
        agent a
        worker w1 slots=9
        schedule S overlap=skip
        work 30s w1
        start S-1
        turn S-1
        end-turn S-1 asks
        end S-1 closed
        work 60s w1
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > schedule S overlap=skip
              S is next at 1020
            > work 30s w1
              S-1 is made at 1020, tick 1020
              w1 <- assign S-1/1#1 term 1 input S-1.1
            > start S-1
              accepted
            > turn S-1
              accepted
            > end-turn S-1 asks
              close
            > end S-1 closed
              accepted
            > work 60s w1
            > show S
              S is next at 1140 | fired 1 missed 1 failures 0 | open [S-1] buffered []
              missed 1 from 1080 to 1080: overlap
            =
              S-1 waiting | S-1.1 turn
                S-1/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn one_tick_waits_and_the_rest_is_missed() {
    check(
        "
        agent a
        worker w1 slots=9
        schedule S overlap=buffer_one
        work 30s w1
        work 180s w1
        show S
        done S-1
        show S
        done S-2
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > schedule S overlap=buffer_one
              S is next at 1020
            > work 30s w1
              S-1 is made at 1020, tick 1020
              w1 <- assign S-1/1#1 term 1 input S-1.1
            > work 180s w1
            > show S
              S is next at 1260 | fired 1 missed 2 failures 0 | open [S-1] buffered [1080]
              missed 2 from 1140 to 1200: overlap
            > done S-1
              accepted
              accepted
              close
              accepted
              S-2 is made at 1210, tick 1080
              w1 <- assign S-2/1#1 term 1 input S-2.1
            > show S
              S is next at 1260 | fired 2 missed 2 failures 0 | open [S-2] buffered []
              missed 2 from 1140 to 1200: overlap
            > done S-2
              accepted
              accepted
              close
              accepted
            > show S
              S is next at 1260 | fired 2 missed 2 failures 0 | open [] buffered []
              missed 2 from 1140 to 1200: overlap
            =
              S-1 done | S-1.1 turn
                S-1/1 ok | #1 ok on w1 | turns 1 snapshots 3
              S-2 done | S-2.1 turn
                S-2/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn ticks_wait_in_their_order() {
    check(
        "
        agent a
        worker w1 slots=9
        schedule S overlap=buffer_all
        work 30s w1
        work 120s w1
        show S
        done S-1
        done S-2
        show S
        done S-3
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > schedule S overlap=buffer_all
              S is next at 1020
            > work 30s w1
              S-1 is made at 1020, tick 1020
              w1 <- assign S-1/1#1 term 1 input S-1.1
            > work 120s w1
            > show S
              S is next at 1200 | fired 1 missed 0 failures 0 | open [S-1] buffered [1080 1140]
            > done S-1
              accepted
              accepted
              close
              accepted
              S-2 is made at 1150, tick 1080
              w1 <- assign S-2/1#1 term 1 input S-2.1
            > done S-2
              accepted
              accepted
              close
              accepted
              S-3 is made at 1150, tick 1140
              w1 <- assign S-3/1#1 term 1 input S-3.1
            > show S
              S is next at 1200 | fired 3 missed 0 failures 0 | open [S-3] buffered []
            > done S-3
              accepted
              accepted
              close
              accepted
            > show S
              S is next at 1200 | fired 3 missed 0 failures 0 | open [] buffered []
            =
              S-1 done | S-1.1 turn
                S-1/1 ok | #1 ok on w1 | turns 1 snapshots 3
              S-2 done | S-2.1 turn
                S-2/1 ok | #1 ok on w1 | turns 1 snapshots 3
              S-3 done | S-3.1 turn
                S-3/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_cancel_ends_the_wait_of_a_buffered_tick() {
    check(
        "
        agent a
        schedule S overlap=buffer_one
        tick 90s
        cancel S-1
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S overlap=buffer_one
              S is next at 1020
            > tick 90s
              S-1 is made at 1020, tick 1020
            > cancel S-1
              S-1 is cancelled, settled
              S-2 is made at 1090, tick 1080
            > show S
              S is next at 1140 | fired 2 missed 0 failures 0 | open [S-2] buffered []
            =
              S-1 cancelled (cancel) | S-1.1 dropped: cancelled
              S-2 queued | S-2.1 waiting
        "#]],
    );
}

#[test]
fn the_new_tick_takes_the_place_of_the_open_tasks() {
    check(
        "
        agent a
        worker w1 slots=9
        schedule S overlap=cancel_other
        work 30s w1
        start S-1
        work 60s w1
        show S
        end S-1 stopped
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > schedule S overlap=cancel_other
              S is next at 1020
            > work 30s w1
              S-1 is made at 1020, tick 1020
              w1 <- assign S-1/1#1 term 1 input S-1.1
            > start S-1
              accepted
            > work 60s w1
              S-2 is made at 1080, tick 1080
              w1 <- cancel S-1/1#1
              lost [] cancel [S-1/1#1]
              lost [] cancel [S-1/1#1]
              lost [] cancel [S-1/1#1]
              lost [] cancel [S-1/1#1]
              lost [] cancel [S-1/1#1]
              lost [] cancel [S-1/1#1]
            > show S
              S is next at 1140 | fired 2 missed 0 failures 0 | open [S-2] buffered []
            > end S-1 stopped
              accepted
              w1 <- assign S-2/1#1 term 1 input S-2.1
            > show S
              S is next at 1140 | fired 2 missed 0 failures 0 | open [S-2] buffered []
            =
              S-1 cancelled (cancel) "cancelled by user" | S-1.1 dropped: cancelled
                S-1/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 3
              S-2 running | S-2.1 taken
                S-2/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_queued_task_is_cancelled_at_once_for_the_next_tick() {
    check(
        "
        agent a
        schedule S overlap=cancel_other
        tick 30s
        tick 60s
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S overlap=cancel_other
              S is next at 1020
            > tick 30s
              S-1 is made at 1020, tick 1020
            > tick 60s
              S-2 is made at 1080, tick 1080
            > show S
              S is next at 1140 | fired 2 missed 0 failures 0 | open [S-2] buffered []
            =
              S-1 cancelled (cancel) | S-1.1 dropped: cancelled
              S-2 queued | S-2.1 waiting
        "#]],
    );
}

#[test]
fn everything_may_overlap_and_nothing_is_kept_open() {
    check(
        "
        agent a
        schedule S overlap=allow_all
        tick 90s
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S overlap=allow_all
              S is next at 1020
            > tick 90s
              S-1 is made at 1020, tick 1020
              S-2 is made at 1080, tick 1080
            > show S
              S is next at 1140 | fired 2 missed 0 failures 0 | open [] buffered []
            =
              S-1 queued | S-1.1 waiting
              S-2 queued | S-2.1 waiting
        "#]],
    );
}

#[test]
fn a_pause_drops_the_ticks_that_wait() {
    check(
        "
        agent a
        schedule S overlap=buffer_all
        tick 150s
        show S
        reschedule S active=false
        show S
        cancel S-1
        tick 60s
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S overlap=buffer_all
              S is next at 1020
            > tick 150s
              S-1 is made at 1020, tick 1020
            > show S
              S is next at 1200 | fired 1 missed 0 failures 0 | open [S-1] buffered [1080 1140]
            > reschedule S active=false
              S is paused
            > show S
              S is paused | fired 1 missed 2 failures 0 | open [S-1] buffered []
              missed 2 from 1080 to 1140: paused
            > cancel S-1
              S-1 is cancelled, settled
            > tick 60s
            > show S
              S is paused | fired 1 missed 2 failures 0 | open [] buffered []
              missed 2 from 1080 to 1140: paused
            =
              S-1 cancelled (cancel) | S-1.1 dropped: cancelled
        "#]],
    );
}

#[test]
fn a_backfilled_tick_waits_before_a_later_one() {
    check(
        "
        agent a
        schedule S overlap=buffer_all
        tick 100s
        backfill S from=900 to=960
        show S
        reschedule S active=false
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S overlap=buffer_all
              S is next at 1020
            > tick 100s
              S-1 is made at 1020, tick 1020
            > backfill S from=900 to=960
              900 buffered, 960 buffered
            > show S
              S is next at 1140 | fired 1 missed 0 failures 0 | open [S-1] buffered [900 960 1080]
            > reschedule S active=false
              S is paused
            > show S
              S is paused | fired 1 missed 3 failures 0 | open [S-1] buffered []
              missed 3 from 900 to 1080: paused
            =
              S-1 queued | S-1.1 waiting
        "#]],
    );
}

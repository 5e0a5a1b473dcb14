//! Schedules: what fires, what is caught up and what is missed (SCH-3, SCH-5).

use expect_test::expect;

use crate::script::check;

#[test]
fn a_schedule_fires_at_each_of_its_ticks() {
    check(
        "
        agent a max=9
        worker w1 slots=9
        schedule S
        work 180s w1
        show S
        schedule-events
        ",
        expect![[r#"
            > agent a max=9
              agent a active true max Some(9)
            > worker w1 slots=9
              welcome
            > schedule S
              S is next at 1020
            > work 180s w1
              S-1 is made at 1020, tick 1020
              w1 <- assign S-1/1#1 term 1 input S-1.1
              S-2 is made at 1080, tick 1080
              w1 <- assign S-2/1#1 term 1 input S-2.1
              S-3 is made at 1140, tick 1140
              w1 <- assign S-3/1#1 term 1 input S-3.1
            > show S
              S is next at 1200 | fired 3 missed 0 failures 0 | open [] buffered []
            > schedule-events
              S-1: schedule_fired {"cause":"tick","late_ms":0,"schedule_id":"S","tick":"1970-01-01T00:17:00Z"}
              S-2: schedule_fired {"cause":"tick","late_ms":0,"schedule_id":"S","tick":"1970-01-01T00:18:00Z"}
              S-3: schedule_fired {"cause":"tick","late_ms":0,"schedule_id":"S","tick":"1970-01-01T00:19:00Z"}
            =
              S-1 running | S-1.1 taken
                S-1/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              S-2 running | S-2.1 taken
                S-2/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              S-3 running | S-3.1 taken
                S-3/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_tick_of_long_ago_is_missed_and_one_within_the_window_is_caught_up() {
    check(
        "
        agent a
        schedule S catchup=120000
        down 600s
        reboot
        tick 1s
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S catchup=120000
              S is next at 1020
            > down 600s
            > reboot
              S-1 is made at 1600, tick 1500
              S-2 is made at 1600, tick 1560
            > tick 1s
            > show S
              S is next at 1620 | fired 2 missed 8 failures 0 | open [] buffered []
              missed 8 from 1020 to 1440: catchup_window
            =
              S-1 queued | S-1.1 waiting
              S-2 queued | S-2.1 waiting
        "#]],
    );
}

#[test]
fn ticks_that_have_piled_up_fire_one_by_one_and_hold_up_nobody() {
    check(
        "
        agent a max=9
        schedule S
        schedule T cron=20_*_*_*_*
        down 240s
        reboot
        tick 0s
        show S
        show T
        ",
        expect![[r#"
            > agent a max=9
              agent a active true max Some(9)
            > schedule S
              S is next at 1020
            > schedule T cron=20_*_*_*_*
              T is next at 1200
            > down 240s
            > reboot
              S-1 is made at 1240, tick 1020
              T-1 is made at 1240, tick 1200
              S-2 is made at 1240, tick 1080
              S-3 is made at 1240, tick 1140
              S-4 is made at 1240, tick 1200
            > tick 0s
            > show S
              S is next at 1260 | fired 4 missed 0 failures 0 | open [] buffered []
            > show T
              T is next at 4800 | fired 1 missed 0 failures 0 | open [] buffered []
            =
              S-1 queued | S-1.1 waiting
              S-2 queued | S-2.1 waiting
              S-3 queued | S-3.1 waiting
              S-4 queued | S-4.1 waiting
              T-1 queued | T-1.1 waiting
        "#]],
    );
}

#[test]
fn a_tick_that_waits_for_the_jitter_of_the_one_before_it_is_not_missed() {
    check(
        "
        agent a
        schedule S jitter=3600000 catchup=10000
        tick 4000s
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S jitter=3600000 catchup=10000
              S is next at 1020
            > tick 4000s
              S-1 is made at 3090.100, tick 1020
              S-2 is made at 3090.100, tick 1080
              S-3 is made at 3820.475, tick 1140
              S-4 is made at 4097.701, tick 1200
              S-5 is made at 4097.701, tick 1260
              S-6 is made at 4097.701, tick 1320
              S-7 is made at 4935.100, tick 1380
              S-8 is made at 4935.100, tick 1440
              S-9 is made at 4935.100, tick 1500
              S-10 is made at 4935.100, tick 1560
              S-11 is made at 4935.100, tick 1620
              S-12 is made at 4935.100, tick 1680
              S-13 is made at 4935.100, tick 1740
              S-14 is made at 4935.100, tick 1800
              S-15 is made at 4935.100, tick 1860
              S-16 is made at 4935.100, tick 1920
              S-17 is made at 4935.100, tick 1980
              S-18 is made at 4935.100, tick 2040
              S-19 is made at 4935.100, tick 2100
              S-20 is made at 4935.100, tick 2160
            > show S
              S is next at 2220 | fired 20 missed 0 failures 0 | open [] buffered []
            =
              S-1 queued | S-1.1 waiting
              S-10 queued | S-10.1 waiting
              S-11 queued | S-11.1 waiting
              S-12 queued | S-12.1 waiting
              S-13 queued | S-13.1 waiting
              S-14 queued | S-14.1 waiting
              S-15 queued | S-15.1 waiting
              S-16 queued | S-16.1 waiting
              S-17 queued | S-17.1 waiting
              S-18 queued | S-18.1 waiting
              S-19 queued | S-19.1 waiting
              S-2 queued | S-2.1 waiting
              S-20 queued | S-20.1 waiting
              S-3 queued | S-3.1 waiting
              S-4 queued | S-4.1 waiting
              S-5 queued | S-5.1 waiting
              S-6 queued | S-6.1 waiting
              S-7 queued | S-7.1 waiting
              S-8 queued | S-8.1 waiting
              S-9 queued | S-9.1 waiting
        "#]],
    );
}

#[test]
fn jitter_moves_a_tick_by_the_same_each_time_and_keeps_its_name() {
    check(
        "
        agent a
        schedule S jitter=30000
        schedule T jitter=30000
        tick 200s
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S jitter=30000
              S is next at 1020
            > schedule T jitter=30000
              T is next at 1020
            > tick 200s
              S-1 is made at 1034.612, tick 1020
              T-1 is made at 1041.100, tick 1020
              T-2 is made at 1098.198, tick 1080
              S-2 is made at 1109.118, tick 1080
              S-3 is made at 1150.100, tick 1140
              T-3 is made at 1151.821, tick 1140
            =
              S-1 queued | S-1.1 waiting
              S-2 queued | S-2.1 waiting
              S-3 queued | S-3.1 waiting
              T-1 queued | T-1.1 waiting
              T-2 queued | T-2.1 waiting
              T-3 queued | T-3.1 waiting
        "#]],
    );
}

#[test]
fn failures_in_a_row_pause_a_schedule() {
    check(
        "
        agent a
        worker w1 slots=9
        schedule S failures=2
        work 30s w1
        start S-1
        end S-1 1
        start S-1
        end S-1 1
        show S
        work 60s w1
        done S-2
        show S
        work 60s w1
        start S-3
        end S-3 1
        start S-3
        end S-3 1
        work 60s w1
        cancel S-4
        end S-4 stopped
        work 60s w1
        start S-5
        end S-5 1
        start S-5
        end S-5 1
        show S
        work 120s w1
        reschedule S active=true
        show S
        schedule-events
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > schedule S failures=2
              S is next at 1020
            > work 30s w1
              S-1 is made at 1020, tick 1020
              w1 <- assign S-1/1#1 term 1 input S-1.1
            > start S-1
              accepted
            > end S-1 1
              accepted
              w1 <- assign S-1/1#2 term 2 input S-1.1
            > start S-1
              accepted
            > end S-1 1
              accepted
            > show S
              S is next at 1080 | fired 1 missed 0 failures 1 | open [] buffered []
            > work 60s w1
              S-2 is made at 1080, tick 1080
              w1 <- assign S-2/1#1 term 1 input S-2.1
            > done S-2
              accepted
              accepted
              close
              accepted
            > show S
              S is next at 1140 | fired 2 missed 0 failures 0 | open [] buffered []
            > work 60s w1
              S-3 is made at 1140, tick 1140
              w1 <- assign S-3/1#1 term 1 input S-3.1
            > start S-3
              accepted
            > end S-3 1
              accepted
              w1 <- assign S-3/1#2 term 2 input S-3.1
            > start S-3
              accepted
            > end S-3 1
              accepted
            > work 60s w1
              S-4 is made at 1200, tick 1200
              w1 <- assign S-4/1#1 term 1 input S-4.1
            > cancel S-4
              S-4 is running, is being stopped
              w1 <- cancel S-4/1#1
            > end S-4 stopped
              accepted
            > work 60s w1
              S-5 is made at 1260, tick 1260
              w1 <- assign S-5/1#1 term 1 input S-5.1
            > start S-5
              accepted
            > end S-5 1
              accepted
              w1 <- assign S-5/1#2 term 2 input S-5.1
            > start S-5
              accepted
            > end S-5 1
              accepted
            > show S
              S is paused: 2 of its tasks in a row have failed | fired 5 missed 0 failures 2 | open [] buffered []
            > work 120s w1
            > reschedule S active=true
              S is next at 1440
            > show S
              S is next at 1440 | fired 5 missed 0 failures 0 | open [] buffered []
            > schedule-events
              S-1: schedule_fired {"cause":"tick","late_ms":0,"schedule_id":"S","tick":"1970-01-01T00:17:00Z"}
              S-2: schedule_fired {"cause":"tick","late_ms":0,"schedule_id":"S","tick":"1970-01-01T00:18:00Z"}
              S-3: schedule_fired {"cause":"tick","late_ms":0,"schedule_id":"S","tick":"1970-01-01T00:19:00Z"}
              S-4: schedule_fired {"cause":"tick","late_ms":0,"schedule_id":"S","tick":"1970-01-01T00:20:00Z"}
              S-5: schedule_fired {"cause":"tick","late_ms":0,"schedule_id":"S","tick":"1970-01-01T00:21:00Z"}
              S-5: schedule_paused {"reason":"2 of its tasks in a row have failed","schedule_id":"S"}
            =
              S-1 error "the agent's process ended with exit code 1" | S-1.1 dropped: run_failed
                S-1/1 error crashed | #1 error on w1 crashed | #2 error on w1 crashed | turns 0 snapshots 6
              S-2 done | S-2.1 turn
                S-2/1 ok | #1 ok on w1 | turns 1 snapshots 3
              S-3 error "the agent's process ended with exit code 1" | S-3.1 dropped: run_failed
                S-3/1 error crashed | #1 error on w1 crashed | #2 error on w1 crashed | turns 0 snapshots 6
              S-4 cancelled (cancel) "cancelled by user" | S-4.1 dropped: cancelled
                S-4/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 2
              S-5 error "the agent's process ended with exit code 1" | S-5.1 dropped: run_failed
                S-5/1 error crashed | #1 error on w1 crashed | #2 error on w1 crashed | turns 0 snapshots 6
        "#]],
    );
}

#[test]
fn ticks_of_an_agent_that_is_not_active_are_missed_with_the_reason() {
    check(
        "
        agent a
        schedule S
        update a active=false
        tick 120s
        show S
        update a active=true
        tick 60s
        show S
        update a active=false
        trigger S A
        schedule T
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S
              S is next at 1020
            > update a active=false
              agent a active false max None
            > tick 120s
            > show S
              S is next at 1140 | fired 0 missed 2 failures 0 | open [] buffered []
              missed 2 from 1020 to 1080: agent_inactive
            > update a active=true
              agent a active true max None
            > tick 60s
              S-1 is made at 1140, tick 1140
            > show S
              S is next at 1200 | fired 1 missed 2 failures 0 | open [] buffered []
              missed 2 from 1020 to 1080: agent_inactive
            > update a active=false
              agent a active false max None
            > trigger S A
              no: agent_inactive [agent_id] the agent "a" is not active
            > schedule T
              no: agent_inactive [agent_id] the agent "a" is not active
            =
              S-1 queued | S-1.1 waiting
        "#]],
    );
}

#[test]
fn a_store_that_does_not_say_whether_it_wrote_fires_a_tick_once() {
    check(
        "
        agent a
        schedule S
        fault unknown-and-written
        tick 30s
        reboot
        tick 30s
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S
              S is next at 1020
            > fault unknown-and-written
            > tick 30s
              S-1 is made at 1020, tick 1020
            > reboot
            > tick 30s
            > show S
              S is next at 1080 | fired 1 missed 0 failures 0 | open [] buffered []
            =
              S-1 queued | S-1.1 waiting
        "#]],
    );
}

#[test]
fn a_store_that_wrote_nothing_fires_the_tick_when_it_can() {
    check(
        "
        agent a
        schedule S
        fault unavailable
        fault conflict
        fault unknown
        tick 30s
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S
              S is next at 1020
            > fault unavailable
            > fault conflict
            > fault unknown
            > tick 30s
              S-1 is made at 1022, tick 1020
            > show S
              S is next at 1080 | fired 1 missed 0 failures 0 | open [] buffered []
            =
              S-1 queued | S-1.1 waiting
        "#]],
    );
}

#[test]
fn what_a_fired_task_is_named_and_told() {
    check(
        "
        agent a
        schedule S prompt=look_at_the_inbox skills=a/SKILL.md,b priority=high timeout=5000
        tick 30s
        details S-1
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S prompt=look_at_the_inbox skills=a/SKILL.md,b priority=high timeout=5000
              S is next at 1020
            > tick 30s
              S-1 is made at 1020, tick 1020
            > details S-1
              0000000f-9060-8000-bd09-017df0dc72f2 high {"extra_system_prompt":"Before you begin, read these skills and follow them:\n- a/SKILL.md\n- b","input_provenance":{"source":"scheduled_task"},"label":"Schedule: look at the inbox","lane":"schedule-lane:S","routing":{},"spawned_by":"schedule:S","timeout_ms":5000}
            =
              S-1 queued | S-1.1 waiting
        "#]],
    );
}

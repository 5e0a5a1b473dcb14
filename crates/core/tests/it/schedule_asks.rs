//! What is asked of a schedule: changes, triggers, backfills (SCH-1, SCH-4).

use expect_test::expect;

use crate::script::check;

#[test]
fn a_paused_schedule_fires_nothing_and_begins_anew_when_it_is_active_again() {
    check(
        "
        agent a
        schedule S
        tick 30s
        reschedule S active=false
        tick 300s
        show S
        reschedule S active=true
        tick 60s
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S
              S is next at 1020
            > tick 30s
              S-1 is made at 1020, tick 1020
            > reschedule S active=false
              S is paused
            > tick 300s
            > show S
              S is paused | fired 1 missed 0 failures 0 | open [] buffered []
            > reschedule S active=true
              S is next at 1380
            > tick 60s
              S-2 is made at 1380, tick 1380
            > show S
              S is next at 1440 | fired 2 missed 0 failures 0 | open [] buffered []
            =
              S-1 queued | S-1.1 waiting
              S-2 queued | S-2.1 waiting
        "#]],
    );
}

#[test]
fn a_new_rule_begins_now_and_other_changes_leave_the_next_tick() {
    check(
        "
        agent a
        schedule S
        reschedule S prompt=else
        reschedule S cron=*/30_*_*_*_*
        tick 900s
        reschedule S cron=0_0_30_2_*
        reschedule S tz=Nowhere
        reschedule S prompt=_
        reschedule S prompt=use_[REDACTED]
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S
              S is next at 1020
            > reschedule S prompt=else
              S is next at 1020
            > reschedule S cron=*/30_*_*_*_*
              S is next at 1800
            > tick 900s
              S-1 is made at 1800, tick 1800
            > reschedule S cron=0_0_30_2_*
              no: invalid_field [cron_expr] it can never fire: none of its months has any of its days
            > reschedule S tz=Nowhere
              no: invalid_field [timezone] "Nowhere" is no known timezone; expected an IANA name such as Europe/Vienna or UTC
            > reschedule S prompt=_
              no: invalid_field [prompt] prompt cannot be empty
            > reschedule S prompt=use_[REDACTED]
              no: invalid_field [prompt] [REDACTED] stands for what an answer hides; give the text that it stands for
            > show S
              S is next at 3600 | fired 1 missed 0 failures 0 | open [] buffered []
            =
              S-1 queued | S-1.1 waiting
        "#]],
    );
}

#[test]
fn a_trigger_makes_a_task_at_once_even_of_a_paused_schedule() {
    check(
        "
        agent a
        schedule S overlap=skip active=false
        trigger S A
        trigger S B key=k
        trigger S C key=k
        show S
        trigger T D
        schedule-events
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S overlap=skip active=false
              S is paused
            > trigger S A
              A is queued, A.1 queued
            > trigger S B key=k
              B is queued, B.1 queued
            > trigger S C key=k
              B is queued, B.1 queued, hit
            > show S
              S is paused | fired 2 missed 0 failures 0 | open [A B] buffered []
            > trigger T D
              no: schedule_not_found [] there is no schedule 00000000-0000-0000-0000-000000000000
            > schedule-events
              A: schedule_fired {"cause":"trigger","schedule_id":"S"}
              B: schedule_fired {"cause":"trigger","schedule_id":"S"}
            =
              A queued | A.1 waiting
              B queued | B.1 waiting
        "#]],
    );
}

#[test]
fn a_triggered_task_is_open_for_the_next_tick() {
    check(
        "
        agent a
        schedule S overlap=skip
        trigger S A
        tick 30s
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S overlap=skip
              S is next at 1020
            > trigger S A
              A is queued, A.1 queued
            > tick 30s
            > show S
              S is next at 1080 | fired 1 missed 1 failures 0 | open [A] buffered []
              missed 1 from 1020 to 1020: overlap
            =
              A queued | A.1 waiting
        "#]],
    );
}

#[test]
fn a_backfill_fires_each_tick_once_however_often_it_is_asked_for() {
    check(
        "
        agent a
        schedule S
        tick 100s
        backfill S from=900 to=1080
        backfill S from=900 to=1080
        show S
        schedule-events
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S
              S is next at 1020
            > tick 100s
              S-1 is made at 1020, tick 1020
              S-2 is made at 1080, tick 1080
            > backfill S from=900 to=1080
              S-3 is made at 1100, tick 900
              S-4 is made at 1100, tick 960
              900 fired S-3, 960 fired S-4, 1020 hit S-1, 1080 hit S-2
            > backfill S from=900 to=1080
              900 hit S-3, 960 hit S-4, 1020 hit S-1, 1080 hit S-2
            > show S
              S is next at 1140 | fired 4 missed 0 failures 0 | open [] buffered []
            > schedule-events
              S-1: schedule_fired {"cause":"tick","late_ms":0,"schedule_id":"S","tick":"1970-01-01T00:17:00Z"}
              S-2: schedule_fired {"cause":"tick","late_ms":0,"schedule_id":"S","tick":"1970-01-01T00:18:00Z"}
              S-3: schedule_fired {"cause":"backfill","late_ms":200000,"schedule_id":"S","tick":"1970-01-01T00:15:00Z"}
              S-4: schedule_fired {"cause":"backfill","late_ms":140000,"schedule_id":"S","tick":"1970-01-01T00:16:00Z"}
            =
              S-1 queued | S-1.1 waiting
              S-2 queued | S-2.1 waiting
              S-3 queued | S-3.1 waiting
              S-4 queued | S-4.1 waiting
        "#]],
    );
}

#[test]
fn a_backfill_may_wait_for_its_own_tasks() {
    check(
        "
        agent a
        worker w1 slots=9
        schedule S active=false
        backfill S from=840 to=960 overlap=buffer_all
        done S-1
        done S-2
        done S-3
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > schedule S active=false
              S is paused
            > backfill S from=840 to=960 overlap=buffer_all
              S-1 is made at 1000, tick 840
              840 fired S-1, 900 buffered, 960 buffered
              w1 <- assign S-1/1#1 term 1 input S-1.1
            > done S-1
              accepted
              accepted
              close
              accepted
              S-2 is made at 1000, tick 900
              w1 <- assign S-2/1#1 term 1 input S-2.1
            > done S-2
              accepted
              accepted
              close
              accepted
              S-3 is made at 1000, tick 960
              w1 <- assign S-3/1#1 term 1 input S-3.1
            > done S-3
              accepted
              accepted
              close
              accepted
            > show S
              S is paused | fired 3 missed 0 failures 0 | open [] buffered []
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
fn a_backfill_follows_the_rule_of_its_schedule() {
    check(
        "
        agent a
        schedule S overlap=skip active=false
        backfill S from=840 to=960
        backfill S from=840 to=960
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S overlap=skip active=false
              S is paused
            > backfill S from=840 to=960
              S-1 is made at 1000, tick 840
              840 fired S-1, 900 skipped, 960 skipped
            > backfill S from=840 to=960
              840 hit S-1, 900 skipped, 960 skipped
            > show S
              S is paused | fired 1 missed 0 failures 0 | open [S-1] buffered []
            =
              S-1 queued | S-1.1 waiting
        "#]],
    );
}

#[test]
fn what_cannot_be_filled_is_refused_whole() {
    check(
        "
        agent a
        schedule S
        backfill S to=960
        backfill S from=960
        backfill S from=960 to=900
        backfill S from=960 to=2000
        backfill S from=1 to=960 overlap=never
        backfill S from=-70000 to=960
        update a active=false
        backfill S from=960 to=1000
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S
              S is next at 1020
            > backfill S to=960
              no: required_field [from] from is required
            > backfill S from=960
              no: required_field [to] to is required
            > backfill S from=960 to=900
              no: invalid_field [to] to is before from
            > backfill S from=960 to=2000
              no: invalid_field [to] to has not come yet; allowed: a time that has passed
            > backfill S from=1 to=960 overlap=never
              no: invalid_field [overlap] invalid overlap: "never"; allowed: skip, buffer_one, buffer_all, cancel_other, allow_all
            > backfill S from=-70000 to=960
              no: invalid_field [to] the range has more than 1000 ticks; choose an earlier end
            > update a active=false
              agent a active false max None
            > backfill S from=960 to=1000
              no: agent_inactive [agent_id] the agent "a" is not active
        "#]],
    );
}

#[test]
fn a_tick_that_was_filled_before_it_was_due_does_not_fire_again() {
    check(
        "
        agent a
        schedule S jitter=50000
        tick 20s
        show S
        backfill S from=1020 to=1020
        tick 50s
        show S
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S jitter=50000
              S is next at 1020
            > tick 20s
            > show S
              S is next at 1020 | fired 0 missed 0 failures 0 | open [] buffered []
            > backfill S from=1020 to=1020
              S-1 is made at 1020, tick 1020
              1020 fired S-1
            > tick 50s
            > show S
              S is next at 1080 | fired 1 missed 0 failures 0 | open [] buffered []
            =
              S-1 queued | S-1.1 waiting
        "#]],
    );
}

#[test]
fn a_deleted_schedule_leaves_its_tasks_alone() {
    check(
        "
        agent a
        worker w1 slots=9
        schedule S overlap=buffer_one
        work 90s w1
        unschedule S
        done S-1
        work 60s w1
        show S
        unschedule S
        reschedule S active=true
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > schedule S overlap=buffer_one
              S is next at 1020
            > work 90s w1
              S-1 is made at 1020, tick 1020
              w1 <- assign S-1/1#1 term 1 input S-1.1
            > unschedule S
              done
            > done S-1
              accepted
              accepted
              close
              accepted
            > work 60s w1
            > show S
              S is paused | fired 1 missed 0 failures 0 | open [] buffered [] | deleted
            > unschedule S
              no: schedule_not_found [] there is no schedule S
            > reschedule S active=true
              no: schedule_not_found [] there is no schedule S
            =
              S-1 done | S-1.1 turn
                S-1/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_agent_takes_its_schedules_with_it() {
    check(
        "
        agent a
        agent b
        schedule S
        schedule T agent=b
        delete a
        tick 30s
        show S
        show T
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > agent b
              agent b active true max None
            > schedule S
              S is next at 1020
            > schedule T agent=b
              T is next at 1020
            > delete a
              done
            > tick 30s
              T-1 is made at 1020, tick 1020
            > show S
              S is paused | fired 0 missed 0 failures 0 | open [] buffered [] | deleted
            > show T
              T is next at 1080 | fired 1 missed 0 failures 0 | open [] buffered []
            =
              T-1 queued | T-1.1 waiting
        "#]],
    );
}

#[test]
fn a_schedule_is_refused_in_the_order_of_its_fields() {
    check(
        "
        agent a
        schedule S cron=_ prompt=_ agent=nobody
        schedule S cron=0_0_30_2_* prompt=_ agent=nobody
        schedule S cron=0_0_30_2_* agent=nobody
        schedule S cron=1_2_3 agent=nobody
        schedule S tz=Nowhere/Else agent=nobody
        schedule S overlap=maybe agent=nobody
        schedule S catchup=9999 agent=nobody
        schedule S jitter=-1 agent=nobody
        schedule S failures=1001 agent=nobody
        schedule S skills=a,, agent=nobody
        schedule S priority=soon agent=nobody
        schedule S timeout=-1 agent=nobody
        schedule S agent=nobody
        tick 300s
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > schedule S cron=_ prompt=_ agent=nobody
              no: required_field [cron_expr] cron_expr is required
            > schedule S cron=0_0_30_2_* prompt=_ agent=nobody
              no: required_field [prompt] prompt is required
            > schedule S cron=0_0_30_2_* agent=nobody
              no: invalid_field [cron_expr] it can never fire: none of its months has any of its days
            > schedule S cron=1_2_3 agent=nobody
              no: invalid_field [cron_expr] expected exactly 5 fields (minute hour day-of-month month day-of-week), found 3
            > schedule S tz=Nowhere/Else agent=nobody
              no: invalid_field [timezone] "Nowhere/Else" is no known timezone; expected an IANA name such as Europe/Vienna or UTC
            > schedule S overlap=maybe agent=nobody
              no: invalid_field [overlap] invalid overlap: "maybe"; allowed: skip, buffer_one, buffer_all, cancel_other, allow_all
            > schedule S catchup=9999 agent=nobody
              no: invalid_field [catchup_window_ms] invalid catchup_window_ms: 9999; allowed: 10000 to 2592000000
            > schedule S jitter=-1 agent=nobody
              no: invalid_field [jitter_ms] invalid jitter_ms: -1; allowed: 0 to 86400000
            > schedule S failures=1001 agent=nobody
              no: invalid_field [pause_after_failures] invalid pause_after_failures: 1001; allowed: 0 to 1000
            > schedule S skills=a,, agent=nobody
              no: invalid_field [skill_paths[1]] a path is one line of text
            > schedule S priority=soon agent=nobody
              no: invalid_field [priority] invalid priority: "soon"; allowed: urgent, high, normal, low
            > schedule S timeout=-1 agent=nobody
              no: invalid_field [timeout_ms] timeout_ms must be >= 0; 0 means no limit
            > schedule S agent=nobody
              no: agent_not_found [agent_id] there is no agent with the id or the key "nobody"
            > tick 300s
        "#]],
    );
}

//! Budgets of tasks, agents and workspaces (RUN-11).

use expect_test::expect;

use crate::script::check;

#[test]
fn a_task_whose_budget_is_reached_exactly_keeps_its_work_and_begins_no_turn() {
    check(
        "
        agent a
        worker w1 slots=9
        accept A max_tokens=100
        start A can=all
        turn A
        input A
        end-turn A ok tokens=100
        end A closed
        input A
        budget a
        events A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > accept A max_tokens=100
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > input A
              A is running, A.2 queued
            > end-turn A ok tokens=100
              close
            > end A closed
              accepted
            > input A
              A is queued, A.3 restarted
            > budget a
              nothing is counted
            > events A
              task_accepted, accepted, started, turn_started, input_queued, turn_ended ("completed"), finished, budget_spent, input_dropped ("budget"), task_restarted, budget_spent, input_dropped ("budget")
            =
              A error "the task's budget is spent: 100 of 100 tokens" | A.1 turn | A.2 dropped: budget | A.3 dropped: budget
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_turn_that_runs_over_its_budget_is_stopped_and_what_it_used_counts() {
    check(
        "
        agent a
        worker w1 slots=9
        accept A max_tokens=100 retry=3
        start A can=all
        turn A
        spent A 100
        spent A 101
        end A stopped
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > accept A max_tokens=100 retry=3
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > spent A 100
              accepted
            > spent A 101
              accepted
              w1 <- cancel A/1#1
            > end A stopped
              accepted
            =
              A error "its budget is spent" | A.1 turn
                A/1 error budget | #1 error on w1 budget | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_retry_of_a_task_without_budget_ends_its_run() {
    check(
        "
        agent a
        worker w1 slots=9
        accept A max_tokens=100 retry=3
        start A can=all
        turn A
        spent A 100
        end A killed
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > accept A max_tokens=100 retry=3
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > spent A 100
              accepted
            > end A killed
              accepted
            =
              A error "the task's budget is spent: 100 of 100 tokens" | A.1 turn
                A/1 error budget | #1 error on w1 crashed | turns 1 snapshots 4
        "#]],
    );
}

#[test]
fn a_spent_agents_budget_holds_its_class_until_it_is_raised() {
    check(
        "
        agent a turns=2
        worker w1 slots=9
        accept A
        done A
        accept B
        done B
        accept C
        waits C
        budget a
        tick 301s
        worker w1 slots=9
        waits C
        update a turns=3
        done C
        accept D
        reset-budget a
        ",
        expect![[r#"
            > agent a turns=2
              agent a active true max None
            > worker w1 slots=9
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > done A
              accepted
              accepted
              close
              accepted
            > accept B
              B is queued, B.1 queued
              w1 <- assign B/1#1 term 1 input B.1
            > done B
              accepted
              accepted
              close
              accepted
            > accept C
              C is queued, C.1 queued
            > waits C
              budget: the agent's budget is spent: 2 of 2 turns; it is looked at again at 1970-01-01T00:21:40.003Z
            > budget a
              spent Usage { input_tokens: 0, output_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0, cost_micro_usd: 0 }, turns 2
            > tick 301s
            > worker w1 slots=9
              welcome
            > waits C
              budget: the agent's budget is spent: 2 of 2 turns; it is looked at again at 1970-01-01T00:26:41.003Z
            > update a turns=3
              agent a active true max None
              w1 <- assign C/1#1 term 1 input C.1
            > done C
              accepted
              accepted
              close
              accepted
            > accept D
              D is queued, D.1 queued
            > reset-budget a
              spent Usage { input_tokens: 0, output_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0, cost_micro_usd: 0 }, turns 0
              w1 <- assign D/1#1 term 1 input D.1
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B done | B.1 turn
                B/1 ok | #1 ok on w1 | turns 1 snapshots 3
              C done | C.1 turn
                C/1 ok | #1 ok on w1 | turns 1 snapshots 3
              D running | D.1 taken
                D/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_workspaces_budget_begins_anew_each_day() {
    check(
        "
        agent a max=9
        worker w1 slots=9
        set-workspace max_tokens=10 period=day
        accept A lane=x
        start A
        turn A
        end-turn A ok tokens=10
        end A closed
        accept B lane=y
        waits B
        tick 86400s
        budget
        worker w1 slots=9
        start B
        turn B
        end-turn B ok tokens=10
        end B closed
        accept C
        set-workspace budget=none
        ",
        expect![[r#"
            > agent a max=9
              agent a active true max Some(9)
            > worker w1 slots=9
              welcome
            > set-workspace max_tokens=10 period=day
              workspace default is 1, paused false, weight 1
            > accept A lane=x
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > turn A
              accepted
            > end-turn A ok tokens=10
              close
            > end A closed
              accepted
            > accept B lane=y
              B is queued, B.1 queued
            > waits B
              budget: the workspace's budget for this day is spent: 10 of 10 tokens; it is looked at again at 1970-01-02T00:00:00Z
            > tick 86400s
            > budget
              spent Usage { input_tokens: 0, output_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0, cost_micro_usd: 0 }, turns 0
            > worker w1 slots=9
              welcome
              w1 <- assign B/1#1 term 1 input B.1
            > start B
              accepted
            > turn B
              accepted
            > end-turn B ok tokens=10
              close
            > end B closed
              accepted
            > accept C
              C is queued, C.1 queued
            > set-workspace budget=none
              workspace default is 1, paused false, weight 1
              w1 <- assign C/1#1 term 1 input C.1
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B done | B.1 turn
                B/1 ok | #1 ok on w1 | turns 1 snapshots 3
              C running | C.1 taken
                C/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_budget_that_is_none_is_refused() {
    check(
        "
        agent a turns=0
        agent a period=week
        agent a
        accept A turns=0
        accept B turns=1 period=day
        set-workspace usd=-1
        ",
        expect![[r#"
            > agent a turns=0
              no: invalid_field [config.budget.max_turns] invalid max_turns: 0; allowed: a whole number above 0
            > agent a period=week
              no: invalid_field [config.budget.period] invalid period: "week"; allowed: total, day, month
            > agent a
              agent a active true max None
            > accept A turns=0
              no: invalid_field [budget.max_turns] invalid max_turns: 0; allowed: a whole number above 0
            > accept B turns=1 period=day
              no: invalid_field [budget.period] unknown key "period"; allowed: max_usd, max_tokens, max_turns
            > set-workspace usd=-1
              no: invalid_field [budget.max_usd] invalid max_usd: -1.0; allowed: a number from 0.000001 to 1e9
        "#]],
    );
}

#[test]
fn a_warm_process_takes_no_turn_that_another_task_has_spent_the_budget_of() {
    check(
        "
        agent a idle=60000 max=2 max_tokens=100
        worker w1 slots=9
        accept A
        start A can=all
        turn A
        end-turn A ok tokens=10
        accept B
        start B can=all
        turn B
        end-turn B ok tokens=95
        input A
        end A closed
        budget a
        waits A
        ",
        expect![[r#"
            > agent a idle=60000 max=2 max_tokens=100
              agent a active true max Some(2)
            > worker w1 slots=9
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A ok tokens=10
              wait
            > accept B
              B is queued, B.1 queued
              w1 <- assign B/1#1 term 1 input B.1
            > start B can=all
              accepted
            > turn B
              accepted
            > end-turn B ok tokens=95
              close
            > input A
              A is waiting, A.2 queued
              w1 <- close A/1#1
            > end A closed
              accepted
            > budget a
              spent Usage { input_tokens: 0, output_tokens: 105, cache_read_tokens: 0, cache_write_tokens: 0, cost_micro_usd: 0 }, turns 2
            > waits A
              budget: the agent's budget is spent: 105 of 100 tokens; it is looked at again at 1970-01-01T00:21:40.002Z
            =
              A queued | A.1 turn | A.2 waiting
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B running | B.1 turn
                B/1 running | #1 running on w1 | turns 1 snapshots 2
        "#]],
    );
}

/// A steer that the agent had begun when its server said that no turn follows.
#[test]
fn a_turn_that_began_late_is_charged_once() {
    check(
        "
        agent a
        set-workspace max_tokens=100
        worker w1
        accept A
        start A can=all
        turn A
        input A mode=steer
        end-turn A error tokens=3
        turn A input=A.2
        end-turn A input=A.2 ok tokens=7
        end-turn A input=A.2 ok tokens=7
        end A closed
        budget
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > set-workspace max_tokens=100
              workspace default is 1, paused false, weight 1
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
            > end-turn A error tokens=3
              close
            > turn A input=A.2
              accepted
            > end-turn A input=A.2 ok tokens=7
              accepted
            > end-turn A input=A.2 ok tokens=7
              accepted
            > end A closed
              accepted
            > budget
              spent Usage { input_tokens: 0, output_tokens: 10, cache_read_tokens: 0, cache_write_tokens: 0, cost_micro_usd: 0 }, turns 2
            =
              A error "it is error" | A.1 turn | A.2 turn
                A/1 error agent | #1 error on w1 agent | turns 2 snapshots 3
        "#]],
    );
}

#[test]
fn a_class_that_a_budget_holds_back_keeps_nothing_warm() {
    check(
        "
        agent a max=3 idle=60000
        set-workspace max_tokens=10
        worker w1 slots=9
        accept A
        start A can=all
        turn A
        end-turn A ok tokens=4
        accept B
        start B can=all
        turn B
        end-turn B ok tokens=6
        accept C
        end A closed
        end B closed
        ",
        expect![[r#"
            > agent a max=3 idle=60000
              agent a active true max Some(3)
            > set-workspace max_tokens=10
              workspace default is 1, paused false, weight 1
            > worker w1 slots=9
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A ok tokens=4
              wait
            > accept B
              B is queued, B.1 queued
              w1 <- assign B/1#1 term 1 input B.1
            > start B can=all
              accepted
            > turn B
              accepted
            > end-turn B ok tokens=6
              close
            > accept C
              C is queued, C.1 queued
              w1 <- close A/1#1
            > end A closed
              accepted
            > end B closed
              accepted
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B done | B.1 turn
                B/1 ok | #1 ok on w1 | turns 1 snapshots 3
              C queued | C.1 waiting
        "#]],
    );
}

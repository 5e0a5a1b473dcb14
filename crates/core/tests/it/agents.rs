//! Making, changing and deleting agents.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_key_names_one_agent_and_is_a_file_name() {
    check(
        "
        agent a
        agent a
        agent a/b
        agent .a
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > agent a
              no: agent_exists [agent_key] there is an agent with the key "a" already
            > agent a/b
              no: invalid_field [agent_key] invalid agent_key: "a/b"; allowed: letters, digits, `.`, `_` and `-`, not a `.` at the start
            > agent .a
              no: invalid_field [agent_key] invalid agent_key: ".a"; allowed: letters, digits, `.`, `_` and `-`, not a `.` at the start
        "#]],
    );
}

#[test]
fn a_deleted_agent_is_gone_and_its_key_is_free() {
    check(
        "
        agent a
        accept A key=k
        delete a
        accept B
        delete a
        agent a
        accept A2 key=k
        worker w1 slots=5
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A key=k
              A is queued, A.1 queued
            > delete a
              done
            > accept B
              no: agent_not_found [agent_id] there is no agent with the id or the key "a"
            > delete a
              no: agent_not_found [agent_id] there is no agent with the id or the key "a"
            > agent a
              agent a active true max None
            > accept A2 key=k
              A2 is queued, A2.1 queued
            > worker w1 slots=5
              welcome
              w1 <- assign A/1#1 term 1 input A.1
              w1 <- assign A2/1#1 term 1 input A2.1
            =
              A running | A.1 taken
                A/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              A2 running | A2.1 taken
                A2/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_deleted_agents_tasks_go_on() {
    check(
        "
        agent a
        accept A
        delete a
        worker w1
        done A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > delete a
              done
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > done A
              accepted
              accepted
              close
              accepted
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn an_inactive_agent_can_be_woken() {
    check(
        "
        agent a active=false
        accept A
        update a active=true
        accept A
        ",
        expect![[r#"
            > agent a active=false
              agent a active false max None
            > accept A
              no: agent_inactive [agent_id] the agent "a" is not active
            > update a active=true
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            =
              A queued | A.1 waiting
        "#]],
    );
}

#[test]
fn max_concurrency_counts_at_once_for_every_class() {
    check(
        "
        agent a
        accept A
        update a max=3
        accept B lane=night
        concurrency A
        concurrency B
        update a max=0
        update nobody max=2
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > update a max=3
              agent a active true max Some(3)
            > accept B lane=night
              B is queued, B.1 queued
            > concurrency A
              of 3: queued 1 parked 0 pending 0 running 0 stopping 0 claims 0
            > concurrency B
              of 3: queued 1 parked 0 pending 0 running 0 stopping 0 claims 0
            > update a max=0
              no: invalid_field [config.max_concurrency] invalid max_concurrency: 0; allowed: a whole number from 1 to 10000
            > update nobody max=2
              no: agent_not_found [agent_id] there is no agent with the id or the key "nobody"
            =
              A queued | A.1 waiting
              B queued | B.1 waiting
        "#]],
    );
}

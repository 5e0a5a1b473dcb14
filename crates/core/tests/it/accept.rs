//! Accepting commands (ACC-1 to ACC-8).

use expect_test::expect;

use crate::script::check;

#[test]
fn an_accepted_command_becomes_a_queued_task() {
    check(
        "
        agent a
        accept A session=s
        concurrency A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A session=s
              A is queued, A.1 queued
            > concurrency A
              of 1: queued 1 parked 0 pending 0 running 0 stopping 0 claims 0
            =
              A queued | A.1 waiting
        "#]],
    );
}

#[test]
fn the_first_thing_that_is_wrong_is_named() {
    check(
        "
        agent a
        accept A agent=- message=-
        accept A message=-
        accept A agent=nobody
        accept A timeout=-1
        accept A security=sometimes
        accept A priority=soon
        accept A attachments=33
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A agent=- message=-
              no: required_field [agent_id] agent_id is required
            > accept A message=-
              no: required_field [message] message is required
            > accept A agent=nobody
              no: agent_not_found [agent_id] there is no agent with the id or the key "nobody"
            > accept A timeout=-1
              no: invalid_field [timeout_ms] timeout_ms must be >= 0; 0 means no limit
            > accept A security=sometimes
              no: invalid_field [policy.security] invalid security: "sometimes"; allowed: deny, allowlist, full
            > accept A priority=soon
              no: invalid_field [priority] invalid priority: "soon"; allowed: urgent, high, normal, low
            > accept A attachments=33
              no: too_large [attachments] 33 attachments; at most 32 are allowed
        "#]],
    );
}

#[test]
fn the_agent_may_be_named_by_its_key_or_not_be_there() {
    check(
        "
        agent a
        accept A agent=a
        accept B agent=00000000-0000-0000-0000-00000000002a
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A agent=a
              A is queued, A.1 queued
            > accept B agent=00000000-0000-0000-0000-00000000002a
              no: agent_not_found [agent_id] there is no agent with the id or the key "00000000-0000-0000-0000-00000000002a"
            =
              A queued | A.1 waiting
        "#]],
    );
}

#[test]
fn an_inactive_agent_takes_nothing_new() {
    check(
        "
        agent a
        accept A key=k
        update a active=false
        accept B
        accept A key=k
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A key=k
              A is queued, A.1 queued
            > update a active=false
              agent a active false max None
            > accept B
              no: agent_inactive [agent_id] the agent "a" is not active
            > accept A key=k
              A is queued, A.1 queued, hit
            =
              A queued | A.1 waiting
        "#]],
    );
}

#[test]
fn the_same_key_with_the_same_body_is_a_hit() {
    check(
        "
        agent a
        accept A key=k session=s
        accept A key=k session=s
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A key=k session=s
              A is queued, A.1 queued
            > accept A key=k session=s
              A is queued, A.1 queued, hit
            =
              A queued | A.1 waiting
        "#]],
    );
}

#[test]
fn the_same_key_with_another_body_is_a_conflict() {
    check(
        "
        agent a
        accept A key=k session=s
        accept B key=k session=s
        accept A key=k session=t
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A key=k session=s
              A is queued, A.1 queued
            > accept B key=k session=s
              no: idempotency_conflict [idempotency_key] the idempotency key "k" was used with another body
            > accept A key=k session=t
              no: idempotency_conflict [idempotency_key] the idempotency key "k" was used with another body
            =
              A queued | A.1 waiting
        "#]],
    );
}

#[test]
fn a_key_counts_for_its_agent_only() {
    check(
        "
        agent a
        agent b
        accept A key=k message=hello
        accept B agent=b key=k message=hello
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > agent b
              agent b active true max None
            > accept A key=k message=hello
              A is queued, A.1 queued
            > accept B agent=b key=k message=hello
              B is queued, B.1 queued
            =
              A queued | A.1 waiting
              B queued | B.1 waiting
        "#]],
    );
}

#[test]
fn a_second_command_for_a_session_becomes_an_input() {
    check(
        "
        agent a
        accept A session=s
        accept B session=s
        worker w1
        start A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A session=s
              A is queued, A.1 queued
            > accept B session=s
              A is queued, A.2 queued
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            =
              A running | A.1 taken | A.2 waiting
                A/1 running | #1 running on w1 | turns 0 snapshots 2
        "#]],
    );
}

#[test]
fn a_command_that_became_an_input_is_a_hit_the_second_time() {
    check(
        "
        agent a
        accept A session=s
        accept B session=s key=k
        accept B session=s key=k
        accept C session=s key=k
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A session=s
              A is queued, A.1 queued
            > accept B session=s key=k
              A is queued, A.2 queued
            > accept B session=s key=k
              A is queued, A.2 queued, hit
            > accept C session=s key=k
              no: idempotency_conflict [idempotency_key] the idempotency key "k" was used with another body
            =
              A queued | A.1 waiting | A.2 waiting
        "#]],
    );
}

#[test]
fn a_hooks_command_is_a_task_of_its_own() {
    check(
        "
        agent a
        accept A session=s
        accept B session=s hook=4
        concurrency A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A session=s
              A is queued, A.1 queued
            > accept B session=s hook=4
              B is queued, B.1 queued
            > concurrency A
              of 1: queued 2 parked 0 pending 0 running 0 stopping 0 claims 0
            =
              A queued | A.1 waiting
              B queued | B.1 waiting
        "#]],
    );
}

#[test]
fn a_follow_up_cannot_change_policy_or_lane() {
    check(
        "
        agent a
        accept A session=s lane=day
        accept B session=s security=full
        accept C session=s lane=night
        accept D session=s lane=day
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A session=s lane=day
              A is queued, A.1 queued
            > accept B session=s security=full
              no: session_conflict [policy] the session "s" has the task A, whose policy differs; a command for it becomes an input and cannot change it
            > accept C session=s lane=night
              no: session_conflict [lane] the session "s" has the task A, whose lane differs; a command for it becomes an input and cannot change it
            > accept D session=s lane=day
              A is queued, A.2 queued
            =
              A queued | A.1 waiting | A.2 waiting
        "#]],
    );
}

#[test]
fn a_field_of_the_policy_leaves_the_others_at_their_defaults() {
    check(
        "
        agent a
        accept A runtime=runc
        worker w1
        worker w2 runtimes=runc
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A runtime=runc
              A is queued, A.1 queued
            > worker w1
              welcome
            > worker w2 runtimes=runc
              welcome
              w2 <- assign A/1#1 term 1 input A.1
            =
              A running | A.1 taken
                A/1 accepted | #1 pending on w2 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_body_with_its_defaults_written_out_is_the_same_body() {
    check(
        "
        agent a
        accept A key=k
        accept A key=k timeout=600000 priority=normal runtime=gvisor security=allowlist retry=2/0
        accept A key=k timeout=600001
        accept A key=k priority=high
        accept A key=k cpu=1
        accept A key=k turns=1
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > accept A key=k
              A is queued, A.1 queued
            > accept A key=k timeout=600000 priority=normal runtime=gvisor security=allowlist retry=2/0
              A is queued, A.1 queued, hit
            > accept A key=k timeout=600001
              no: idempotency_conflict [idempotency_key] the idempotency key "k" was used with another body
            > accept A key=k priority=high
              no: idempotency_conflict [idempotency_key] the idempotency key "k" was used with another body
            > accept A key=k cpu=1
              no: idempotency_conflict [idempotency_key] the idempotency key "k" was used with another body
            > accept A key=k turns=1
              no: idempotency_conflict [idempotency_key] the idempotency key "k" was used with another body
            =
              A queued | A.1 waiting
        "#]],
    );
}

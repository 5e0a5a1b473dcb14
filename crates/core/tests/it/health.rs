//! Health of instances (INS-1 to INS-3).

use expect_test::expect;

use crate::script::check;

#[test]
fn failures_warn_then_degrade_and_a_success_clears_them() {
    check(
        "
        agent a max=9
        worker w1 slots=99
        accept A retry=1
        set A threshold=3
        end A killed
        instance A
        accept B retry=1
        end B timeout
        instance B
        accept C
        done C
        instance C
        accept D retry=1
        end D 1
        accept E retry=1
        end E 1
        accept F retry=1
        end F 1
        instance F
        accept G
        waits G
        events B
        events C
        events F
        ",
        expect![[r#"
            > agent a max=9
              agent a active true max Some(9)
            > worker w1 slots=99
              welcome
            > accept A retry=1
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > set A threshold=3
              healthy after 0 of 3 failures, 9 at once, weight 1
            > end A killed
              accepted
            > instance A
              healthy after 1 of 3 failures, 9 at once, weight 1
            > accept B retry=1
              B is queued, B.1 queued
              w1 <- assign B/1#1 term 1 input B.1
            > end B timeout
              accepted
            > instance B
              warning after 2 of 3 failures, 9 at once, weight 1 | 1000002 healthy -> warning: 2 attempts in a row failed
            > accept C
              C is queued, C.1 queued
              w1 <- assign C/1#1 term 1 input C.1
            > done C
              accepted
              accepted
              close
              accepted
            > instance C
              healthy after 0 of 3 failures, 9 at once, weight 1 | 1000002 healthy -> warning: 2 attempts in a row failed | 1000003 warning -> healthy: an attempt succeeded
            > accept D retry=1
              D is queued, D.1 queued
              w1 <- assign D/1#1 term 1 input D.1
            > end D 1
              accepted
            > accept E retry=1
              E is queued, E.1 queued
              w1 <- assign E/1#1 term 1 input E.1
            > end E 1
              accepted
            > accept F retry=1
              F is queued, F.1 queued
              w1 <- assign F/1#1 term 1 input F.1
            > end F 1
              accepted
            > instance F
              degraded after 3 of 3 failures, 9 at once, weight 1, tried at 1030602 | 1000002 healthy -> warning: 2 attempts in a row failed | 1000003 warning -> healthy: an attempt succeeded | 1000005 healthy -> warning: 2 attempts in a row failed | 1000006 warning -> degraded: 3 attempts in a row failed
            > accept G
              G is queued, G.1 queued
            > waits G
              instance_degraded: its class is degraded, failures in a row: 3; one task of it is tried at 1970-01-01T00:17:10.602Z
            > events B
              task_accepted, accepted, instance_warning ("2 attempts in a row failed"), input_dropped ("run_failed"), finished
            > events C
              task_accepted, accepted, started, turn_started, turn_ended ("completed"), instance_healed ("an attempt succeeded"), finished
            > events F
              task_accepted, accepted, instance_degraded ("3 attempts in a row failed"), input_dropped ("run_failed"), finished
            =
              A error "the agent's process was killed" | A.1 dropped: run_failed
                A/1 error crashed | #1 error on w1 crashed | turns 0 snapshots 2
              B error "the run's timeout_ms has passed" | B.1 dropped: run_failed
                B/1 timeout timeout | #1 timeout on w1 timeout | turns 0 snapshots 2
              C done | C.1 turn
                C/1 ok | #1 ok on w1 | turns 1 snapshots 3
              D error "the agent's process ended with exit code 1" | D.1 dropped: run_failed
                D/1 error crashed | #1 error on w1 crashed | turns 0 snapshots 2
              E error "the agent's process ended with exit code 1" | E.1 dropped: run_failed
                E/1 error crashed | #1 error on w1 crashed | turns 0 snapshots 2
              F error "the agent's process ended with exit code 1" | F.1 dropped: run_failed
                F/1 error crashed | #1 error on w1 crashed | turns 0 snapshots 2
              G queued | G.1 waiting
        "#]],
    );
}

#[test]
fn a_degraded_class_tries_one_task_and_waits_twice_as_long_when_it_fails() {
    check(
        "
        agent a max=9
        worker w1 slots=99
        accept A retry=1
        set A threshold=1
        end A killed
        accept B retry=1
        accept C retry=1
        tick 29s
        beat w1
        tick 7s
        beat w1
        waits C
        worker w1 slots=99
        end B killed
        instance B
        tick 59s
        worker w1 slots=99
        tick 7s
        worker w1 slots=99
        tick 6s
        worker w1 slots=99
        done C
        instance C
        accept D
        accept E
        ",
        expect![[r#"
            > agent a max=9
              agent a active true max Some(9)
            > worker w1 slots=99
              welcome
            > accept A retry=1
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > set A threshold=1
              healthy after 0 of 1 failures, 9 at once, weight 1
            > end A killed
              accepted
            > accept B retry=1
              B is queued, B.1 queued
            > accept C retry=1
              C is queued, C.1 queued
            > tick 29s
            > beat w1
              unknown worker
            > tick 7s
            > beat w1
              unknown worker
            > waits C
              no_worker: no worker is connected
            > worker w1 slots=99
              welcome
              w1 <- assign B/1#1 term 1 input B.1
            > end B killed
              accepted
            > instance B
              degraded after 2 of 1 failures, 9 at once, weight 1, tried at 1100879 | 1000001 healthy -> degraded: an attempt failed
            > tick 59s
            > worker w1 slots=99
              welcome
            > tick 7s
              w1 <- assign C/1#1 term 1 input C.1
            > worker w1 slots=99
              welcome
              w1 <- assign C/1#1 term 1 input C.1
            > tick 6s
            > worker w1 slots=99
              welcome
              w1 <- assign C/1#1 term 1 input C.1
            > done C
              accepted
              accepted
              close
              accepted
            > instance C
              healthy after 0 of 1 failures, 9 at once, weight 1 | 1000001 healthy -> degraded: an attempt failed | 1108003 degraded -> healthy: an attempt succeeded
            > accept D
              D is queued, D.1 queued
              w1 <- assign D/1#1 term 1 input D.1
            > accept E
              E is queued, E.1 queued
              w1 <- assign E/1#1 term 1 input E.1
            =
              A error "the agent's process was killed" | A.1 dropped: run_failed
                A/1 error crashed | #1 error on w1 crashed | turns 0 snapshots 2
              B error "the agent's process was killed" | B.1 dropped: run_failed
                B/1 error crashed | #1 error on w1 crashed | turns 0 snapshots 2
              C done | C.1 turn
                C/1 ok | #1 ok on w1 | turns 1 snapshots 3
              D running | D.1 taken
                D/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              E running | E.1 taken
                E/1 accepted | #1 pending on w1 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn a_cancel_and_an_orderly_stop_are_no_failures() {
    check(
        "
        agent a
        worker w1 slots=9
        accept A
        set A threshold=1
        start A
        cancel A
        end A stopped
        accept B
        start B
        end B stopped
        instance B
        cancel B
        end B stopped
        instance B
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > set A threshold=1
              healthy after 0 of 1 failures, 1 at once, weight 1
            > start A
              accepted
            > cancel A
              A is running, is being stopped
              w1 <- cancel A/1#1
            > end A stopped
              accepted
            > accept B
              B is queued, B.1 queued
              w1 <- assign B/1#1 term 1 input B.1
            > start B
              accepted
            > end B stopped
              accepted
              w1 <- assign B/1#2 term 2 input B.1
            > instance B
              healthy after 0 of 1 failures, 1 at once, weight 1
            > cancel B
              B is running, is being stopped
              w1 <- cancel B/1#2
            > end B stopped
              accepted
            > instance B
              healthy after 0 of 1 failures, 1 at once, weight 1
            =
              A cancelled (cancel) "cancelled by user" | A.1 dropped: cancelled
                A/1 cancelled | #1 cancelled on w1 | turns 0 snapshots 3
              B cancelled (cancel) "cancelled by user" | B.1 dropped: cancelled
                B/1 cancelled | #1 error on w1 stopped | #2 cancelled on w1 | turns 0 snapshots 5
        "#]],
    );
}

#[test]
fn a_person_resets_it_and_a_threshold_judges_anew() {
    check(
        "
        agent a
        worker w1 slots=99
        accept A retry=1
        set A threshold=2
        end A 1
        accept B retry=1
        end B 1
        accept C
        waits C
        set C threshold=10
        end C 1
        set C threshold=1
        accept D
        reset D
        set D threshold=0
        set D weight=1001
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=99
              welcome
            > accept A retry=1
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > set A threshold=2
              healthy after 0 of 2 failures, 1 at once, weight 1
            > end A 1
              accepted
            > accept B retry=1
              B is queued, B.1 queued
              w1 <- assign B/1#1 term 1 input B.1
            > end B 1
              accepted
            > accept C
              C is queued, C.1 queued
            > waits C
              instance_degraded: its class is degraded, failures in a row: 2; one task of it is tried at 1970-01-01T00:17:13.19Z
            > set C threshold=10
              healthy after 2 of 10 failures, 1 at once, weight 1 | 1000001 healthy -> warning: an attempt failed | 1000002 warning -> degraded: 2 attempts in a row failed | 1000003 degraded -> healthy: a person set the threshold
              w1 <- assign C/1#1 term 1 input C.1
            > end C 1
              accepted
              w1 <- assign C/1#2 term 2 input C.1
            > set C threshold=1
              degraded after 3 of 1 failures, 1 at once, weight 1, tried at 1035741 | 1000001 healthy -> warning: an attempt failed | 1000002 warning -> degraded: 2 attempts in a row failed | 1000003 degraded -> healthy: a person set the threshold | 1000003 healthy -> degraded: a person set the threshold
            > accept D
              D is queued, D.1 queued
            > reset D
              healthy after 0 of 1 failures, 1 at once, weight 1 | 1000001 healthy -> warning: an attempt failed | 1000002 warning -> degraded: 2 attempts in a row failed | 1000003 degraded -> healthy: a person set the threshold | 1000003 healthy -> degraded: a person set the threshold | 1000004 degraded -> healthy: a person reset it
            > set D threshold=0
              no: invalid_field [failed_attempt_threshold] invalid failed_attempt_threshold: 0; allowed: a whole number from 1 to 1000
            > set D weight=1001
              no: invalid_field [weight] invalid weight: 1001; allowed: a whole number from 1 to 1000
            =
              A error "the agent's process ended with exit code 1" | A.1 dropped: run_failed
                A/1 error crashed | #1 error on w1 crashed | turns 0 snapshots 2
              B error "the agent's process ended with exit code 1" | B.1 dropped: run_failed
                B/1 error crashed | #1 error on w1 crashed | turns 0 snapshots 2
              C running | C.1 taken
                C/1 accepted crashed | #1 error on w1 crashed | #2 pending on w1 | turns 0 snapshots 3
              D queued | D.1 waiting
        "#]],
    );
}

#[test]
fn a_class_that_degrades_closes_what_it_keeps_warm() {
    check(
        "
        agent a max=3 idle=60000
        worker w1 slots=9
        accept A
        set A threshold=1
        accept B retry=1
        start A can=all
        turn A
        end-turn A ok
        end B killed
        end A closed
        instance A
        ",
        expect![[r#"
            > agent a max=3 idle=60000
              agent a active true max Some(3)
            > worker w1 slots=9
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > set A threshold=1
              healthy after 0 of 1 failures, 3 at once, weight 1
            > accept B retry=1
              B is queued, B.1 queued
              w1 <- assign B/1#1 term 1 input B.1
            > start A can=all
              accepted
            > turn A
              accepted
            > end-turn A ok
              wait
            > end B killed
              accepted
              w1 <- close A/1#1
            > end A closed
              accepted
            > instance A
              degraded after 1 of 1 failures, 3 at once, weight 1, tried at 1034889 | 1000002 healthy -> degraded: an attempt failed
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B error "the agent's process was killed" | B.1 dropped: run_failed
                B/1 error crashed | #1 error on w1 crashed | turns 0 snapshots 2
        "#]],
    );
}

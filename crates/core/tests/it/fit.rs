//! Which worker may have a task (WRK-1), and what a task waits for (DSP-4).

use expect_test::expect;

use crate::script::check;

#[test]
fn a_task_waits_for_its_pool_its_labels_and_its_resources() {
    check(
        "
        agent a pool=gpu label=zone:b
        accept A gpu=1 memory=1000
        waits A
        worker w1
        waits A
        worker w2 pool=gpu runtimes=runc
        waits A
        worker w3 pool=gpu
        waits A
        worker w4 pool=gpu label=zone:b gpus=1 memory=999
        waits A
        worker w5 pool=gpu label=zone:b gpus=1 memory=1000
        room w5
        ",
        expect![[r#"
            > agent a pool=gpu label=zone:b
              agent a active true max None
            > accept A gpu=1 memory=1000
              A is queued, A.1 queued
            > waits A
              no_worker: no worker is connected
            > worker w1
              welcome
            > waits A
              no_worker: no connected worker is of the pool "gpu"
            > worker w2 pool=gpu runtimes=runc
              welcome
            > waits A
              no_worker: no connected worker offers the runtime gvisor
            > worker w3 pool=gpu
              welcome
            > waits A
              no_worker: no connected worker offers the labels zone=b
            > worker w4 pool=gpu label=zone:b gpus=1 memory=999
              welcome
            > waits A
              no_worker: no connected worker has cpu 0m, memory 1000 bytes and 1 gpus
            > worker w5 pool=gpu label=zone:b gpus=1 memory=1000
              welcome
              w5 <- assign A/1#1 term 1 input A.1
            > room w5
              reserved Resources { cpu_millis: 0, memory_bytes: 1000, gpus: 1 }
            =
              A running | A.1 taken
                A/1 accepted | #1 pending on w5 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn what_runs_is_reserved_until_its_end_its_loss_or_its_workers_new_start() {
    check(
        "
        agent a max=9
        worker w1 slots=9 cpu=4000
        accept A cpu=3000 lane=x
        accept B cpu=2000
        accept C cpu=1000 lane=y
        room w1
        waits B
        done A
        room w1
        accept D
        worker w1 anew slots=9 cpu=4000
        room w1
        tick 9s
        room w1
        ",
        expect![[r#"
            > agent a max=9
              agent a active true max Some(9)
            > worker w1 slots=9 cpu=4000
              welcome
            > accept A cpu=3000 lane=x
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > accept B cpu=2000
              B is queued, B.1 queued
            > accept C cpu=1000 lane=y
              C is queued, C.1 queued
              w1 <- assign C/1#1 term 1 input C.1
            > room w1
              reserved Resources { cpu_millis: 4000, memory_bytes: 0, gpus: 0 }
            > waits B
              no_worker: every worker that fits is full
            > done A
              accepted
              accepted
              close
              accepted
              w1 <- assign B/1#1 term 1 input B.1
            > room w1
              reserved Resources { cpu_millis: 3000, memory_bytes: 0, gpus: 0 }
            > accept D
              D is queued, D.1 queued
              w1 <- assign D/1#1 term 1 input D.1
            > worker w1 anew slots=9 cpu=4000
              welcome
              w1 <- assign B/1#2 term 2 input B.1
              w1 <- assign C/1#2 term 2 input C.1
              w1 <- assign D/1#2 term 2 input D.1
            > room w1
              reserved Resources { cpu_millis: 3000, memory_bytes: 0, gpus: 0 }
            > tick 9s
            > room w1
              reserved Resources { cpu_millis: 0, memory_bytes: 0, gpus: 0 }
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
              B queued | B.1 taken
                B/1 accepted lost | #1 error on w1 lost | #2 error on w1 lost | turns 0 snapshots 4
              C queued | C.1 taken
                C/1 accepted lost | #1 error on w1 lost | #2 error on w1 lost | turns 0 snapshots 4
              D queued | D.1 taken
                D/1 accepted lost | #1 error on w1 lost | #2 error on w1 lost | turns 0 snapshots 4
        "#]],
    );
}

#[test]
fn an_agents_config_moves_its_classes_at_once_and_a_persons_number_stays() {
    check(
        "
        agent a
        worker w1 slots=9
        accept A lane=x
        accept B lane=x
        accept C lane=y
        accept D lane=y
        set C concurrency=1
        update a max=2
        instance A
        instance C
        update a pool=gpu
        accept E lane=z
        waits E
        set C concurrency=null
        worker w2 pool=gpu slots=9
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1 slots=9
              welcome
            > accept A lane=x
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > accept B lane=x
              B is queued, B.1 queued
            > accept C lane=y
              C is queued, C.1 queued
              w1 <- assign C/1#1 term 1 input C.1
            > accept D lane=y
              D is queued, D.1 queued
            > set C concurrency=1
              healthy after 0 of 5 failures, 1 at once, weight 1
            > update a max=2
              agent a active true max Some(2)
              w1 <- assign B/1#1 term 1 input B.1
            > instance A
              healthy after 0 of 5 failures, 2 at once, weight 1
            > instance C
              healthy after 0 of 5 failures, 1 at once, weight 1
            > update a pool=gpu
              agent a active true max Some(2)
            > accept E lane=z
              E is queued, E.1 queued
            > waits E
              no_worker: no connected worker is of the pool "gpu"
            > set C concurrency=null
              healthy after 0 of 5 failures, 2 at once, weight 1
            > worker w2 pool=gpu slots=9
              welcome
              w2 <- assign E/1#1 term 1 input E.1
              w2 <- assign D/1#1 term 1 input D.1
            =
              A running | A.1 taken
                A/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              B running | B.1 taken
                B/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              C running | C.1 taken
                C/1 accepted | #1 pending on w1 | turns 0 snapshots 1
              D running | D.1 taken
                D/1 accepted | #1 pending on w2 | turns 0 snapshots 1
              E running | E.1 taken
                E/1 accepted | #1 pending on w2 | turns 0 snapshots 1
        "#]],
    );
}

#[test]
fn what_a_task_waits_on_is_said_in_order() {
    check(
        "
        agent a
        agent b max=3
        accept A session=s
        accept S session=s agent=b
        accept F session=t
        waits F
        worker w1
        waits S
        waits F
        end A killed
        pause
        waits F
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > agent b max=3
              agent b active true max Some(3)
            > accept A session=s
              A is queued, A.1 queued
            > accept S session=s agent=b
              S is queued, S.1 queued
            > accept F session=t
              F is queued, F.1 queued
            > waits F
              no_worker: no worker is connected
            > worker w1
              welcome
              w1 <- assign A/1#1 term 1 input A.1
            > waits S
              session_busy: the session "s" has the live run A/1
            > waits F
              instance_full: its class runs 1 of 1
            > end A killed
              accepted
            > pause
              workspace default is 1, paused true, weight 1
            > waits F
              workspace_paused: the workspace "default" is paused
            =
              A queued | A.1 taken
                A/1 accepted crashed | #1 error on w1 crashed | turns 0 snapshots 2
              F queued | F.1 waiting
              S queued | S.1 waiting
        "#]],
    );
}

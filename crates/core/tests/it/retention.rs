//! How much of a stream is kept, and for how long (STR-1, OPS-1, INV-KEEP-1, INV-KEEP-2).

use expect_test::expect;
use hostler_core::retention::Retention;

use crate::script::check;

#[test]
fn a_stream_that_grows_keeps_its_newest_records() {
    check(
        "
        keep records=10
        agent a
        worker w1
        accept A
        start A
        turn A
        log A 0 x records=6
        stream A
        log A 1 x records=2
        stream A
        log A 2 x
        stream A
        log A 3 x records=9
        stream A
        ",
        expect![[r#"
            > keep records=10
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > turn A
              accepted
            > log A 0 x records=6
              next chunk 1
            > stream A
              nothing is gone, 10 are kept, the end is 10
            > log A 1 x records=2
              next chunk 2
            > stream A
              1 to 2 are gone, 10 are kept, the end is 12
            > log A 2 x
              next chunk 3
            > stream A
              1 to 3 are gone, 10 are kept, the end is 13
            > log A 3 x records=9
              next chunk 4
            > stream A
              1 to 12 are gone, 10 are kept, the end is 22
            =
              A running | A.1 turn
                A/1 running | #1 running on w1 | turns 1 snapshots 2
                log: x x x x x x x x x x
        "#]],
    );
}

#[test]
fn a_stream_that_was_not_trimmed_in_its_time_is_caught_up_with() {
    check(
        "
        agent a
        worker w1
        accept A
        start A
        turn A
        log A 0 x records=9000
        keep records=10
        worker w1 held=A
        stream A
        log A 1 x
        stream A
        fault unavailable
        log A 2 x
        log A 2 x
        stream A
        log A 3 x
        stream A
        ",
        expect![[r#"
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > turn A
              accepted
            > log A 0 x records=9000
              next chunk 1
            > keep records=10
            > worker w1 held=A
              welcome
            > stream A
              nothing is gone, 9004 are kept, the end is 9004
            > log A 1 x
              next chunk 2
            > stream A
              1 to 4000 are gone, 5005 are kept, the end is 9005
            > fault unavailable
            > log A 2 x
              unavailable
            > log A 2 x
              next chunk 3
            > stream A
              1 to 8000 are gone, 1006 are kept, the end is 9006
            > log A 3 x
              next chunk 4
            > stream A
              1 to 8997 are gone, 10 are kept, the end is 9007
            =
              A running | A.1 turn
                A/1 running | #1 running on w1 | turns 1 snapshots 2
                log: x x x x x x x x x x
        "#]],
    );
}

#[test]
fn a_task_that_has_rested_long_enough_loses_its_stream() {
    check(
        "
        keep days=1
        agent a
        accept A
        accept B
        cancel A
        stream A
        tick 86300s
        stream A
        tick 200s
        stream A
        stream B
        ",
        expect![[r#"
            > keep days=1
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > accept B
              B is queued, B.1 queued
            > cancel A
              A is cancelled, settled
            > stream A
              nothing is gone, 3 are kept, the end is 3, it rests with a stream
            > tick 86300s
            > stream A
              nothing is gone, 3 are kept, the end is 3, it rests with a stream
            > tick 200s
            > stream A
              1 to 3 are gone, 0 are kept, the end is 3
            > stream B
              nothing is gone, 1 are kept, the end is 1
            =
              A cancelled (cancel) | A.1 dropped: cancelled
              B queued | B.1 waiting
        "#]],
    );
}

#[test]
fn a_task_that_was_restarted_keeps_its_stream_and_loses_it_again_later() {
    check(
        "
        keep days=1
        agent a
        accept A
        cancel A
        tick 86000s
        input A
        stream A
        tick 1000s
        stream A
        cancel A
        tick 86000s
        stream A
        tick 500s
        stream A
        input A
        cancel A
        stream A
        tick 86500s
        stream A
        ",
        expect![[r#"
            > keep days=1
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > cancel A
              A is cancelled, settled
            > tick 86000s
            > input A
              A is queued, A.2 restarted
            > stream A
              nothing is gone, 4 are kept, the end is 4
            > tick 1000s
            > stream A
              nothing is gone, 4 are kept, the end is 4
            > cancel A
              A is cancelled, settled
            > tick 86000s
            > stream A
              nothing is gone, 6 are kept, the end is 6, it rests with a stream
            > tick 500s
            > stream A
              1 to 6 are gone, 0 are kept, the end is 6
            > input A
              A is queued, A.3 restarted
            > cancel A
              A is cancelled, settled
            > stream A
              1 to 6 are gone, 3 are kept, the end is 9, it rests with a stream
            > tick 86500s
            > stream A
              1 to 9 are gone, 0 are kept, the end is 9
            =
              A cancelled (cancel) | A.1 dropped: cancelled | A.2 dropped: cancelled | A.3 dropped: cancelled
        "#]],
    );
}

#[test]
fn a_long_stream_goes_in_several_commits_and_a_crash_between_them_does_no_harm() {
    check(
        "
        keep days=1
        agent a
        worker w1
        accept A
        start A
        turn A
        log A 0 x records=9000
        end-turn A ok
        end A closed
        goodbye w1
        tick 86399s
        stream A
        tick 60s
        reboot
        stream A
        tick 1s
        tick 2s
        stream A
        ",
        expect![[r#"
            > keep days=1
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > turn A
              accepted
            > log A 0 x records=9000
              next chunk 1
            > end-turn A ok
              close
            > end A closed
              accepted
            > goodbye w1
              done
            > tick 86399s
            > stream A
              nothing is gone, 9006 are kept, the end is 9006, it rests with a stream
            > tick 60s
            > reboot
            > stream A
              1 to 4000 are gone, 5006 are kept, the end is 9006, it rests with a stream
            > tick 1s
            > tick 2s
            > stream A
              1 to 9006 are gone, 0 are kept, the end is 9006
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
        "#]],
    );
}

#[test]
fn a_search_that_failed_and_a_commit_that_failed_are_made_up_for() {
    check(
        "
        keep days=1
        agent a
        accept A
        cancel A
        tick 86300s
        fault unavailable
        fault unknown-and-written
        tick 200s
        stream A
        tick 200s
        stream A
        ",
        expect![[r#"
            > keep days=1
            > agent a
              agent a active true max None
            > accept A
              A is queued, A.1 queued
            > cancel A
              A is cancelled, settled
            > tick 86300s
            > fault unavailable
            > fault unknown-and-written
            > tick 200s
            > stream A
              nothing is gone, 3 are kept, the end is 3, it rests with a stream
            > tick 200s
            > stream A
              1 to 3 are gone, 0 are kept, the end is 3
            =
              A cancelled (cancel) | A.1 dropped: cancelled
        "#]],
    );
}

#[test]
fn zero_days_and_zero_records_keep_everything() {
    check(
        "
        keep days=0 records=0
        agent a
        worker w1
        accept A
        start A
        turn A
        log A 0 x records=3000
        end-turn A ok
        end A closed
        goodbye w1
        tick 172800s
        stream A
        ",
        expect![[r#"
            > keep days=0 records=0
            > agent a
              agent a active true max None
            > worker w1
              welcome
            > accept A
              A is queued, A.1 queued
              w1 <- assign A/1#1 term 1 input A.1
            > start A
              accepted
            > turn A
              accepted
            > log A 0 x records=3000
              next chunk 1
            > end-turn A ok
              close
            > end A closed
              accepted
            > goodbye w1
              done
            > tick 172800s
            > stream A
              nothing is gone, 3006 are kept, the end is 3006, it rests with a stream
            =
              A done | A.1 turn
                A/1 ok | #1 ok on w1 | turns 1 snapshots 3
                log: x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x
        "#]],
    );
}

#[test]
fn more_tasks_than_one_search_finds_lose_their_streams_in_turn() {
    let mut text = "keep days=1\nagent a\n".to_owned();
    for number in 0..70 {
        text += &format!("accept T{number}\ncancel T{number}\n");
    }
    text += "tick 86400s\ntick 120s\n";
    for number in [0, 31, 32, 69] {
        text += &format!("stream T{number}\n");
    }
    let trace = crate::script::trace(&text);
    assert_eq!(trace.matches("1 to 3 are gone, 0 are kept").count(), 4, "{trace}");
}

/// Whatever the sizes of the appends are, no fewer than the maximum are kept, and no more than a
/// step beyond it and what came last.
#[test]
fn growth_is_trimmed_in_steps() {
    for (max, step) in [(10, 1), (100, 10), (5_000, 500), (1_000_000, 1_000)] {
        let retention = Retention { records_max_per_task: max, days_after_rest: 30 };
        let (mut gone, mut last, mut trims) = (0, 0, 0);
        let end = max + 20 * step;
        while last < end {
            let count = 1 + last * 7919 % 13;
            last += count;
            if let Some(to_seq) = retention.overgrown(count, last) {
                assert!(to_seq > gone, "each trim removes something");
                (gone, trims) = (to_seq, trims + 1);
            }
            let kept = last - gone;
            assert!(kept >= max.min(last), "{kept} of {max} are kept");
            assert!(kept <= max + 2 * step + 13, "{kept} of {max} are kept");
        }
        assert!((2..=21).contains(&trims), "{trims} trims");
    }
    let all = Retention { records_max_per_task: 0, days_after_rest: 0 };
    assert_eq!(all.overgrown(1_000, 1_000_000), None);
    assert_eq!(all.rested_until(hostler_core::time::Timestamp(0)), None);
}

//! Whose turn it is (DSP-2): priority, then shares of workspaces and of classes, then first come.

use std::fmt::Write;

use expect_test::expect;

use crate::script::{check, given};

/// Lines with a number in the place of `#`.
fn each(line: &str, count: usize) -> String {
    (1..=count).map(|number| line.replace('#', &format!("{number}")) + "\n").collect()
}

/// The first letters of the tasks as they were given, and how many there are of each.
fn letters(script: &str) -> String {
    let given = given(script);
    let mut text: String = given.iter().filter_map(|name| name.chars().next()).collect();
    let mut kinds: Vec<char> = text.chars().collect();
    kinds.sort_unstable();
    kinds.dedup();
    let counts: Vec<String> =
        kinds.iter().map(|kind| format!("{kind} {}", text.matches(*kind).count())).collect();
    let _ = write!(text, " = {}", counts.join(", "));
    text
}

#[test]
fn workspaces_share_three_to_one_over_forty_claims() {
    let script = "
        workspace other
        agent a max=100
        agent b max=100 in=other
        set-workspace in=other weight=3
        "
    .to_owned()
        + &each("accept a#", 40)
        + &each("accept b# agent=b in=other", 40);
    let expected = expect!["abbbabbbabbbabbbabbbabbbabbbabbbabbbabbb = a 10, b 30"];
    let together = letters(&format!("{script} worker w1 slots=40"));
    expected.assert_eq(&together);
    // One place after the other is the same as all at once.
    let one_by_one = script + "worker w1 slots=0\n" + &each("offer w1 #", 40);
    assert_eq!(letters(&one_by_one), together);
}

#[test]
fn classes_share_two_to_one() {
    let script = "
        agent a max=100
        agent b max=100
        accept a0
        set a0 weight=2
        "
    .to_owned()
        + &each("accept a#", 20)
        + &each("accept b# agent=b", 20);
    let together = letters(&format!("{script} worker w1 slots=30"));
    expect!["aabaabaabaabaabaabaabaabaabaab = a 20, b 10"].assert_eq(&together);
    // A turn ends at a moment, so claims one by one are apart by more than nothing.
    let one_by_one = script + "worker w1 slots=0\n" + &each("tick 1ms\noffer w1 #", 30);
    assert_eq!(letters(&one_by_one), together);
}

#[test]
fn priority_goes_before_every_share() {
    let script = "
        workspace other
        set-workspace in=other weight=100
        agent a max=100
        agent b max=100 in=other
        "
    .to_owned()
        + &each("accept n# agent=b in=other", 4)
        + &each("accept l# agent=b in=other priority=low", 2)
        + &each("accept h# priority=high", 3)
        + "accept u1 agent=b in=other priority=urgent
           worker w1 slots=10";
    expect!["uhhhnnnnll = h 3, l 2, n 4, u 1"].assert_eq(&letters(&script));
}

#[test]
fn commands_of_one_millisecond_keep_their_order() {
    let script =
        "agent a max=100\n".to_owned() + &each("accept a# at=once", 20) + "worker w1 slots=20";
    let expected: Vec<String> = (1..=20).map(|number| format!("a{number}")).collect();
    assert_eq!(given(&script), expected);
}

#[test]
fn a_busy_class_does_not_slow_another() {
    let script = "
        agent a
        agent b
        "
    .to_owned()
        + &each("accept a#", 50)
        + "worker w1 slots=2
           accept b1 agent=b";
    assert_eq!(given(&script), ["a1", "b1"]);
}

#[test]
fn a_workspace_is_paused_and_resumed_at_once_and_its_key_is_its_own() {
    check(
        "
        workspace other
        workspace other
        workspace ../x
        agent b in=other
        accept B agent=b in=other
        pause in=other
        worker w1
        tick 2s
        waits B
        resume in=other
        set-workspace in=other weight=0
        ",
        expect![[r#"
            > workspace other
              workspace other is 2, paused false, weight 1
            > workspace other
              no: workspace_exists [key] there is a workspace with the key "other" already
            > workspace ../x
              no: invalid_field [key] invalid key: "../x"; allowed: letters, digits, `.`, `_` and `-`, not a `.` at the start
            > agent b in=other
              agent b active true max None
            > accept B agent=b in=other
              B is queued, B.1 queued
            > pause in=other
              workspace other is 2, paused true, weight 1
            > worker w1
              welcome
            > tick 2s
            > waits B
              workspace_paused: the workspace "other" is paused
            > resume in=other
              workspace other is 2, paused false, weight 1
              w1 <- assign B/1#1 term 1 input B.1
            > set-workspace in=other weight=0
              no: invalid_field [weight] invalid weight: 0; allowed: a whole number from 1 to 1000
            =
              B running | B.1 taken
        "#]],
    );
}

#[test]
fn what_is_accepted_together_goes_by_priority_as_well() {
    let lines = "
        agent a max=9
        worker w1 slots=2
        gather
        accept l1 lane=x priority=low at=once
        accept n1 lane=y at=once
        accept u1 lane=z priority=urgent at=once
        accept n2 lane=y at=once
        decide
        offer w1 9
        ";
    assert_eq!(given(lines), ["u1", "n1", "n2", "l1"]);
}

//! The beginnings of streams go, and a gap comes in their place (INV-STREAM-2).

use hostler_core::batch::Batch;
use hostler_core::limits;
use hostler_core::stream::{Record, Trim};
use hostler_core::time::Timestamp;

use super::rows::*;
use super::{append as commit_appends, trim as commit_trims};
use crate::query::{LogRange, Sequenced};
use crate::{Error, Store};

fn trim(task: u64, to_seq: u64) -> Trim {
    Trim { task_id: task_id(task), to_seq, at: Timestamp(50) }
}

fn read(store: &dyn Store, task: u64, after: u64) -> Vec<Sequenced> {
    let range = LogRange { task: task_id(task), after, limit: 10_000, bytes: usize::MAX };
    store.read(&range).expect("the stream is read")
}

fn seqs(store: &dyn Store, task: u64, after: u64) -> Vec<u64> {
    read(store, task, after).iter().map(|record| record.seq).collect()
}

fn head(to_seq: u64) -> Sequenced {
    Sequenced { seq: 1, record: gap(1, to_seq) }
}

fn lines(numbers: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    numbers.map(|number| line(&format!("line {number}"))).collect()
}

pub fn a_gap_stands_where_records_were_removed(store: &dyn Store) {
    commit_appends(store, vec![append(1, lines(1..=2))]);
    commit_appends(store, vec![append(1, lines(3..=4))]);
    assert_eq!(commit_trims(store, vec![trim(1, 2)]), [true]);
    let all = read(store, 1, 0);
    assert_eq!(all[0], head(2));
    assert_eq!(all[1], Sequenced { seq: 3, record: line("line 3") });
    assert_eq!(all.len(), 3);
    assert_eq!(commit_appends(store, vec![append(1, lines(5..=5))]), [5]);
    assert_eq!(store.end(task_id(1)).expect("the end is read"), 5);
}

pub fn a_trim_cuts_an_append_in_two(store: &dyn Store) {
    commit_appends(store, vec![append(1, lines(1..=6))]);
    commit_trims(store, vec![trim(1, 4)]);
    assert_eq!(read(store, 1, 0)[0], head(4));
    assert_eq!(seqs(store, 1, 0), [1, 5, 6]);
    assert_eq!(seqs(store, 1, 5), [6]);
    assert_eq!(read(store, 1, 4)[0].record, line("line 5"));
}

pub fn gaps_merge_into_the_first_one(store: &dyn Store) {
    let records = vec![line("1"), line("2"), gap(1, 4), line("7"), gap(1, 2), line("10")];
    commit_appends(store, vec![append(1, records)]);
    commit_trims(store, vec![trim(1, 1)]);
    assert_eq!(seqs(store, 1, 0), [1, 2, 3, 7, 8, 10]);
    // A gap that the trim ends in goes whole: there was nothing to keep of it.
    assert_eq!(commit_trims(store, vec![trim(1, 3)]), [true]);
    assert_eq!(read(store, 1, 0)[0], head(6));
    assert_eq!(seqs(store, 1, 0), [1, 7, 8, 10]);
    commit_trims(store, vec![trim(1, 9)]);
    assert_eq!(read(store, 1, 0)[0], head(9));
    assert_eq!(seqs(store, 1, 0), [1, 10]);
}

pub fn a_cursor_before_or_in_the_gap_sees_it(store: &dyn Store) {
    commit_appends(store, vec![append(1, lines(1..=6))]);
    commit_trims(store, vec![trim(1, 4)]);
    for after in 0..4 {
        assert_eq!(seqs(store, 1, after), [1, 5, 6], "after {after}");
        let one = LogRange { task: task_id(1), after, limit: 1, bytes: 0 };
        assert_eq!(store.read(&one).expect("the stream is read"), [head(4)]);
    }
    assert_eq!(seqs(store, 1, 4), [5, 6]);
}

pub fn a_trim_of_everything_leaves_the_numbering(store: &dyn Store) {
    commit_appends(store, vec![append(1, lines(1..=3))]);
    assert_eq!(commit_trims(store, vec![trim(1, u64::MAX)]), [true]);
    assert_eq!(read(store, 1, 0), [head(3)]);
    assert_eq!(store.end(task_id(1)).expect("the end is read"), 3);
    assert_eq!(commit_appends(store, vec![append(1, lines(4..=4))]), [4]);
    assert_eq!(seqs(store, 1, 0), [1, 4]);
    commit_trims(store, vec![trim(1, u64::MAX)]);
    assert_eq!(read(store, 1, 0), [head(4)]);
}

pub fn a_trim_of_what_is_gone_or_not_there_changes_nothing(store: &dyn Store) {
    assert_eq!(commit_trims(store, vec![trim(1, 5)]), [true]);
    assert_eq!(read(store, 1, 0), []);
    commit_appends(store, vec![append(1, lines(1..=5))]);
    commit_trims(store, vec![trim(1, 3)]);
    for to_seq in 0..=3 {
        let later = Trim { at: Timestamp(99), ..trim(1, to_seq) };
        assert_eq!(commit_trims(store, vec![later]), [true]);
        assert_eq!(read(store, 1, 0)[0], head(3));
    }
    assert_eq!(seqs(store, 1, 0), [1, 4, 5]);
}

pub fn a_trim_goes_so_far_in_one_commit_and_says_so(store: &dyn Store) {
    let max = limits::TRIM_RECORDS_MAX;
    let end = 2 * max + 7;
    commit_appends(store, vec![append(1, lines(1..=end))]);
    assert_eq!(commit_trims(store, vec![trim(1, u64::MAX)]), [false]);
    assert_eq!(read(store, 1, 0)[0], head(max));
    assert_eq!(seqs(store, 1, max)[0], max + 1);
    assert_eq!(commit_trims(store, vec![trim(1, end - 5)]), [false]);
    assert_eq!(commit_trims(store, vec![trim(1, end - 5)]), [true]);
    assert_eq!(read(store, 1, 0)[0], head(end - 5));
    assert_eq!(commit_trims(store, vec![trim(1, u64::MAX)]), [true]);
    assert_eq!(read(store, 1, 0), [head(end)]);
}

pub fn a_failed_batch_removes_nothing(store: &dyn Store) {
    commit_appends(store, vec![append(1, lines(1..=3))]);
    let writes = vec![put_task(Some(1), &task(1))];
    let batch = Batch { writes, trims: vec![trim(1, 2)], ..Batch::default() };
    assert!(matches!(store.commit(&batch), Err(Error::Conflict)));
    assert_eq!(seqs(store, 1, 0), [1, 2, 3]);
}

pub fn streams_are_trimmed_apart_and_after_the_appends(store: &dyn Store) {
    commit_appends(store, vec![append(1, lines(1..=2)), append(2, lines(1..=2))]);
    let batch = Batch {
        appends: vec![append(2, lines(3..=4))],
        trims: vec![trim(2, 3), trim(3, 1)],
        ..Batch::default()
    };
    let committed = store.commit(&batch).expect("the batch is committed");
    assert_eq!((committed.last_seqs, committed.trims_done), (vec![4], vec![true, true]));
    assert_eq!(seqs(store, 1, 0), [1, 2]);
    assert_eq!(read(store, 2, 0), [head(3), Sequenced { seq: 4, record: line("line 4") }]);
    assert_eq!(read(store, 3, 0), []);
}

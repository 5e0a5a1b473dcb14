//! Streams of tasks.

use hostler_core::batch::Batch;
use hostler_core::stream::{Body, Record};
use hostler_core::time::Timestamp;

use super::append as commit_appends;
use super::rows::*;
use crate::query::{LogRange, Sequenced};
use crate::{Error, Store};

const NONE: [u64; 0] = [];

fn read(store: &dyn Store, task: u64, after: u64, limit: usize) -> Vec<Sequenced> {
    let range = LogRange { task: task_id(task), after, limit, bytes: usize::MAX };
    store.read(&range).expect("the stream is read")
}

fn seqs(store: &dyn Store, task: u64, after: u64, limit: usize) -> Vec<u64> {
    read(store, task, after, limit).iter().map(|record| record.seq).collect()
}

fn lines(count: usize) -> Vec<Record> {
    (0..count).map(|number| line(&format!("line {number}"))).collect()
}

pub fn numbers_begin_at_one_and_have_no_holes(store: &dyn Store) {
    assert_eq!(read(store, 1, 0, 10), []);
    assert_eq!(store.end(task_id(1)).expect("the end is read"), 0);
    let first = vec![append(1, lines(3)), append(2, lines(1))];
    assert_eq!(commit_appends(store, first), [3, 1]);
    let second = vec![append(2, lines(4)), append(1, lines(1)), append(3, lines(2))];
    assert_eq!(commit_appends(store, second), [5, 4, 2]);
    assert_eq!(seqs(store, 1, 0, 10), [1, 2, 3, 4]);
    assert_eq!(seqs(store, 2, 0, 10), [1, 2, 3, 4, 5]);
    assert_eq!(seqs(store, 3, 0, 10), [1, 2]);
    assert_eq!(store.end(task_id(2)).expect("the end is read"), 5);
}

pub fn a_read_begins_in_the_middle_of_an_append(store: &dyn Store) {
    commit_appends(store, vec![append(1, lines(4))]);
    commit_appends(store, vec![append(1, lines(4))]);
    for after in 0..8 {
        let expected: Vec<u64> = (after + 1..=8).collect();
        assert_eq!(seqs(store, 1, after, 10), expected);
    }
    assert_eq!(seqs(store, 1, 8, 10), NONE);
    assert_eq!(seqs(store, 1, u64::MAX, 10), NONE);
    assert_eq!(read(store, 1, 5, 1)[0].record, line("line 1"));
}

pub fn a_read_is_cut_at_its_limit(store: &dyn Store) {
    for _ in 0..3 {
        commit_appends(store, vec![append(1, lines(3))]);
    }
    assert_eq!(seqs(store, 1, 0, 0), NONE);
    assert_eq!(seqs(store, 1, 0, 2), [1, 2]);
    assert_eq!(seqs(store, 1, 2, 4), [3, 4, 5, 6]);
    assert_eq!(seqs(store, 1, 2, usize::MAX), [3, 4, 5, 6, 7, 8, 9]);
}

pub fn streams_are_apart(store: &dyn Store) {
    commit_appends(store, vec![append(2, lines(2))]);
    assert_eq!(read(store, 1, 0, 10), []);
    assert_eq!(read(store, 3, 0, 10), []);
    commit_appends(store, vec![append(1, vec![event("first")])]);
    assert_eq!(read(store, 1, 0, 10), [Sequenced { seq: 1, record: event("first") }]);
    assert_eq!(seqs(store, 2, 0, 10), [1, 2]);
}

pub fn a_gap_takes_the_numbers_that_it_covers(store: &dyn Store) {
    // Whoever lost the records did not know their numbers: the count is kept, the place given.
    let records = vec![line("before"), gap(101, 105), line("after")];
    assert_eq!(commit_appends(store, vec![append(1, records)]), [7]);
    assert_eq!(commit_appends(store, vec![append(1, vec![gap(1, 3)])]), [10]);
    let read_from = |after| read(store, 1, after, 10);
    let all = read_from(0);
    let seqs: Vec<u64> = all.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, [1, 2, 7, 8]);
    assert_eq!(all[1].record.body, Body::Gap { from_seq: 2, to_seq: 6 });
    assert_eq!(all[3].record, gap(8, 10));
    // It is read from before it and from within.
    assert_eq!(read_from(1), all[1..]);
    assert_eq!(read_from(2), all[1..]);
    assert_eq!(read_from(5), all[1..]);
    assert_eq!(read_from(6), all[2..]);
    assert_eq!(read_from(8), all[3..]);
    assert_eq!(read_from(10), []);
    assert_eq!(commit_appends(store, vec![append(1, lines(1))]), [11]);
    assert_eq!(read_from(9).len(), 2);
    assert_eq!(read_from(10).len(), 1);
}

pub fn a_failed_batch_uses_up_no_numbers(store: &dyn Store) {
    commit_appends(store, vec![append(1, lines(1))]);
    let writes = vec![put_task(Some(1), &task(1))];
    let batch = Batch { writes, appends: vec![append(1, lines(5))], ..Batch::default() };
    assert!(matches!(store.commit(&batch), Err(Error::Conflict)));
    assert_eq!(commit_appends(store, vec![append(1, lines(1))]), [2]);
    assert_eq!(seqs(store, 1, 0, 10), [1, 2]);
}

pub fn records_come_back_as_they_were_written(store: &dyn Store) {
    let mut bare = line("");
    if let Body::Log { metadata, .. } = &mut bare.body {
        *metadata = None;
    }
    bare.ts = Timestamp(-1);
    let records = vec![bare, line("☃ \u{1b}[0m \0 \" \\ \n"), event("task.done"), line("x")];
    commit_appends(store, vec![append(1, records.clone())]);
    let read: Vec<Record> = read(store, 1, 0, 10).into_iter().map(|read| read.record).collect();
    assert_eq!(read, records);
}

pub fn an_append_of_nothing_says_the_last_number(store: &dyn Store) {
    assert_eq!(commit_appends(store, vec![append(1, Vec::new())]), [0]);
    commit_appends(store, vec![append(1, lines(2))]);
    assert_eq!(commit_appends(store, vec![append(1, Vec::new()), append(2, lines(1))]), [2, 1]);
    assert_eq!(seqs(store, 1, 0, 10), [1, 2]);
}

pub fn a_page_is_bounded_in_bytes_and_never_empty(store: &dyn Store) {
    let large = || line(&"x".repeat(1_000));
    commit_appends(store, vec![append(1, vec![line("a"), large(), line("b"), line("c")])]);
    let within = |after, bytes| {
        let range = LogRange { task: task_id(1), after, limit: 10, bytes };
        let read = store.read(&range).expect("the stream is read");
        read.iter().map(|record| record.seq).collect::<Vec<_>>()
    };
    assert_eq!(within(0, 0), [1]);
    assert_eq!(within(0, 1_000), [1]);
    assert_eq!(within(1, 1_000), [2]);
    assert_eq!(within(2, 1_000), [3, 4]);
    assert_eq!(within(0, 2_000), [1, 2, 3, 4]);
    assert_eq!(within(4, 0), NONE);
}

pub fn a_large_append_is_read_as_a_whole(store: &dyn Store) {
    let records: Vec<Record> = (0..40).map(|_| line(&"x".repeat(30_000))).collect();
    let mut sent = records.clone();
    sent.insert(20, gap(1, 5));
    assert_eq!(commit_appends(store, vec![append(1, sent)]), [45]);
    let expected: Vec<u64> = (1..=21).chain(26..=45).collect();
    assert_eq!(seqs(store, 1, 0, 100), expected);
    assert_eq!(seqs(store, 1, 30, 2), [31, 32]);
    assert_eq!(commit_appends(store, vec![append(1, lines(1))]), [46]);
}

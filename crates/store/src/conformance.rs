//! # Conformance
//!
//! **What** The definition of a keeper: cases that each one passes, and a differential run that
//! compares one with the reference, answer by answer.
//!
//! **Use** A keeper's tests hand [`each_case`](crate::each_case) a macro that makes one test of
//! each name; [`CASES`] is the same list as data. A case gets a store that is migrated and new.
//!
//! **Not here** Crashes, full disks and old files: they are a keeper's own.

pub mod commit;
pub mod differential;
pub mod find;
pub mod log;
pub mod rows;
pub mod scan;
pub mod trim;

use hostler_core::batch::{Batch, Committed, Find, Found, Write};
use hostler_core::key::{Key, Loaded, Row, Version};
use hostler_core::stream::{Append, Trim};

use crate::{Error, Page, Query, Store};

pub type Case = fn(&dyn Store);

/// Calls a macro with the names of all cases, by module.
#[macro_export]
macro_rules! each_case {
    ($then:ident) => {
        $then! {
            commit {
                a_new_row_has_version_one_and_each_write_adds_one
                every_kind_of_row_comes_back_as_it_was_written
                a_failed_guard_writes_nothing_of_the_batch
                an_insert_of_a_row_that_is_there_conflicts
                an_update_or_removal_of_a_missing_row_conflicts
                a_removed_row_is_gone_and_begins_again_at_one
                a_write_that_only_guards_writes_nothing
                two_writes_to_one_row_follow_each_other
                a_batch_may_be_empty
                a_row_that_breaks_a_relation_writes_nothing
                loading_keeps_the_order_of_keys
                migrating_again_changes_nothing
            }
            find {
                ready_work_comes_by_priority_then_turn_then_time
                classes_take_turns_by_their_weight
                an_instance_gives_no_more_than_it_has_room_for
                an_instance_that_is_not_ready_gives_nothing
                a_paused_workspace_gives_nothing
                what_fits_no_room_is_not_found
                a_search_goes_on_after_the_workspaces_that_it_visited
                the_limit_cuts_ready_work
                classes_are_found_by_their_agent
                held_classes_are_found_by_their_workspace
                workspaces_are_found_by_their_number
                a_parked_or_claimed_task_is_not_ready
                what_is_due_comes_by_time_and_says_when_the_next_is
                the_limit_cuts_what_is_due_and_next_says_so
                kinds_that_are_due_at_one_time_have_an_order
                a_task_that_is_no_longer_queued_is_not_due
                idle_leases_are_found_by_their_class
                leases_are_found_by_their_worker
                waiters_come_in_the_order_of_queueing
                waiters_are_bounded
                schedules_are_found_by_their_agent
                tasks_that_rest_come_by_the_time_of_their_rest
            }
            scan {
                tasks_come_newest_first_in_pages_without_holes
                tasks_are_filtered_by_everything_together
                archived_tasks_are_left_out_unless_asked_for
                a_state_that_changed_is_listed_under_the_new_one
                lists_keep_workspaces_apart
                runs_are_filtered_by_task_and_status
                attempts_come_by_number
                snapshots_come_after_a_number
                inputs_come_in_the_order_of_their_coming
                inputs_come_in_pages_without_holes
                agents_come_by_key_without_deleted_ones
                schedules_come_newest_first_without_deleted_ones
                missed_ticks_come_with_the_last_range_first
                instances_workers_and_workspaces_are_listed
                a_limit_of_zero_still_says_whether_there_is_more
            }
            log {
                numbers_begin_at_one_and_have_no_holes
                a_read_begins_in_the_middle_of_an_append
                a_read_is_cut_at_its_limit
                streams_are_apart
                a_gap_takes_the_numbers_that_it_covers
                a_failed_batch_uses_up_no_numbers
                records_come_back_as_they_were_written
                an_append_of_nothing_says_the_last_number
                a_page_is_bounded_in_bytes_and_never_empty
                a_large_append_is_read_as_a_whole
            }
            trim {
                a_gap_stands_where_records_were_removed
                a_trim_cuts_an_append_in_two
                gaps_merge_into_the_first_one
                a_cursor_before_or_in_the_gap_sees_it
                a_trim_of_everything_leaves_the_numbering
                a_trim_of_what_is_gone_or_not_there_changes_nothing
                a_trim_goes_so_far_in_one_commit_and_says_so
                a_failed_batch_removes_nothing
                streams_are_trimmed_apart_and_after_the_appends
            }
        }
    };
}

macro_rules! table {
    ($($module:ident { $($name:ident)* })*) => {
        /// Every case with its name.
        pub const CASES: &[(&str, Case)] = &[
            $($((concat!(stringify!($module), "::", stringify!($name)), $module::$name)),*),*
        ];
    };
}
each_case!(table);

// What the cases say in one word.

fn commit(store: &dyn Store, writes: Vec<Write>) -> Committed {
    store.commit(&Batch { writes, ..Batch::default() }).expect("the batch is committed")
}

fn try_commit(store: &dyn Store, writes: Vec<Write>) -> Result<Committed, Error> {
    store.commit(&Batch { writes, ..Batch::default() })
}

fn append(store: &dyn Store, appends: Vec<Append>) -> Vec<u64> {
    let batch = Batch { appends, ..Batch::default() };
    store.commit(&batch).expect("the records are appended").last_seqs
}

/// Whether each trim has come to its end.
fn trim(store: &dyn Store, trims: Vec<Trim>) -> Vec<bool> {
    let batch = Batch { trims, ..Batch::default() };
    store.commit(&batch).expect("the records are removed").trims_done
}

fn load(store: &dyn Store, key: &Key) -> Option<(Version, Row)> {
    let mut loaded: Vec<Loaded> = store.load(std::slice::from_ref(key)).expect("the key loads");
    assert_eq!(loaded.len(), 1);
    let (loaded_key, row) = loaded.remove(0);
    assert_eq!(&loaded_key, key);
    row
}

fn version(store: &dyn Store, key: &Key) -> Option<Version> {
    load(store, key).map(|(version, _)| version)
}

fn found(store: &dyn Store, find: Find) -> Found {
    store.find(&find).expect("the search answers")
}

fn page(store: &dyn Store, query: Query) -> Page {
    store.scan(&query).expect("the list answers")
}

//! What a keeper searches rows by, derived from the row alone and in one place for all keepers.

use hostler_core::attempt::Attempt;
use hostler_core::key::{Key, Row};
use hostler_core::run::Run;
use hostler_core::task::{self, Parked, Task};
use hostler_core::time::Timestamp;

/// When the search for what is due finds the task.
pub fn due_at(task: &Task) -> Option<Timestamp> {
    let is_parked = task.state == task::State::Queued && task.parked.is_some();
    task.wake_at.filter(|_| is_parked)
}

/// The search for tasks that rest with their streams finds the task.
pub fn rested_at(task: &Task) -> Option<Timestamp> {
    task.rested_at.filter(|_| task.state.is_terminal())
}

/// The search for the waiters of its session finds the task.
pub fn is_waiter(task: &Task) -> bool {
    task.state == task::State::Queued && task.parked == Some(Parked::Session)
}

/// Relations within a row that every keeper refuses to break: the reference by this function, a
/// database by the CHECK constraints that repeat it.
pub fn check(row: &Row) -> Result<(), &'static str> {
    match row {
        Row::Task(task) if task.is_ready() && task.queued_at.is_none() => {
            Err("a ready task has queued_at")
        }
        Row::Run(run) if is_unended_run(run) => Err("a run that has ended has ended_at"),
        Row::Attempt(attempt) if is_unended_attempt(attempt) => {
            Err("an attempt that has ended has ended_at")
        }
        _ => Ok(()),
    }
}

fn is_unended_run(run: &Run) -> bool {
    run.status.is_terminal() && run.ended_at.is_none()
}

fn is_unended_attempt(attempt: &Attempt) -> bool {
    attempt.status.is_terminal() && attempt.ended_at.is_none()
}

/// A row of another kind under a key is a bug of the caller, and nothing sound can follow.
pub fn assert_kind(key: &Key, row: &Row) {
    let fits = matches!(
        (key, row),
        (Key::Workspace(_), Row::Workspace(_))
            | (Key::Agent(_), Row::Agent(_))
            | (Key::AgentKey(..), Row::AgentKey(_))
            | (Key::Task(_), Row::Task(_))
            | (Key::Input(_), Row::Input(_))
            | (Key::Run(_), Row::Run(_))
            | (Key::Attempt(_), Row::Attempt(_))
            | (Key::Lease(_), Row::Lease(_))
            | (Key::Session(..), Row::Session(_))
            | (Key::Instance(_), Row::Instance(_))
            | (Key::Worker(_), Row::Worker(_))
            | (Key::Receipt(..), Row::Receipt(_))
            | (Key::Snapshot(..), Row::Snapshot(_))
            | (Key::Schedule(_), Row::Schedule(_))
            | (Key::Missed(..), Row::Missed(_))
            | (Key::Account(..), Row::Account(_))
    );
    assert!(fits, "the row is of another kind than its key {key:?}");
}

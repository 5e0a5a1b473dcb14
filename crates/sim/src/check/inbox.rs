//! INP-2, INV-TASK-2: the order of the inbox is kept, and inputs are taken in it.
//!
//! **What** Only a move changes the order of inputs that wait. One that comes is put behind all
//! that go before it by their mode; one that waits again goes before others of its rank. A turn
//! takes the first; a steer may go before what is no steer.

use std::collections::BTreeMap;

use hostler_core::batch::Batch;
use hostler_core::id::{InputId, TaskId};
use hostler_core::input::{self, Mode, Outcome};
use hostler_core::key::Row;
use hostler_core::stream::Body;
use hostler_core::task::Task;

use super::{Change, Verdict};

#[derive(Default)]
pub struct Inboxes {
    modes: BTreeMap<InputId, Mode>,
}

impl Inboxes {
    pub fn committed(&mut self, changes: &[Change<'_>], batch: &Batch) -> Verdict {
        for change in changes {
            if let Some(Row::Input(input)) = change.after {
                self.modes.insert(input.id, input.mode);
            }
        }
        for change in changes {
            if let (Some(Row::Task(before)), Some(Row::Task(after))) = (change.before, change.after)
                && !is_edited(batch, after.id)
            {
                self.look_at(before, after, changes)?;
            }
        }
        Ok(())
    }

    fn look_at(&self, before: &Task, after: &Task, changes: &[Change<'_>]) -> Verdict {
        let stays = |id: &&InputId| after.inbox.contains(id) && !was_back(changes, **id);
        let old: Vec<&InputId> = before.inbox.iter().filter(stays).collect();
        let new: Vec<&InputId> = after.inbox.iter().filter(|id| old.contains(id)).collect();
        if old != new {
            return Err(format!("INV-TASK-2: the inbox of {} was turned about", after.id));
        }
        for (place, id) in after.inbox.iter().enumerate() {
            if before.inbox.contains(id) {
                continue;
            }
            let late = |other: &&InputId| {
                self.rank(**other) > self.rank(*id) && **other != after.first_input_id
            };
            if let Some(other) = after.inbox[..place].iter().find(late) {
                return Err(format!("INP-2: {id} was put behind {other}"));
            }
        }
        for (place, id) in before.inbox.iter().enumerate() {
            if !is_taken(changes, *id) {
                continue;
            }
            let is_steer = self.modes.get(id) == Some(&Mode::Steer);
            let over = |other: &&InputId| {
                let both = !is_steer || self.modes.get(*other) == Some(&Mode::Steer);
                stays(other) && both
            };
            if let Some(other) = before.inbox[..place].iter().find(over) {
                return Err(format!("INP-2: {id} was taken before {other}"));
            }
        }
        Ok(())
    }

    fn rank(&self, id: InputId) -> u8 {
        match self.modes.get(&id) {
            Some(Mode::Interrupt) => 0,
            Some(Mode::Steer) => 1,
            Some(Mode::Queue | Mode::Followup | Mode::Collect) | None => 2,
        }
    }
}

/// Moved, as the stream says.
fn is_edited(batch: &Batch, task: TaskId) -> bool {
    let appends = batch.appends.iter().filter(|append| append.task_id == task);
    appends.flat_map(|append| &append.records).any(|record| match &record.body {
        Body::Event { event_type, .. } => event_type == "input_edited",
        _ => false,
    })
}

/// It went from the inbox to the agent.
fn is_taken(changes: &[Change<'_>], id: InputId) -> bool {
    changes.iter().any(|change| match (change.before, change.after) {
        (Some(Row::Input(before)), Some(Row::Input(after))) => {
            let outcome = after.outcome;
            let is_given = after.state != input::State::Waiting;
            let is_over = matches!(outcome, Some(Outcome::Withdrawn | Outcome::Dropped));
            before.id == id && before.state == input::State::Waiting && is_given && !is_over
        }
        _ => false,
    })
}

/// It may have been taken and have come back within the batch.
fn was_back(changes: &[Change<'_>], id: InputId) -> bool {
    changes.iter().any(|change| match (change.before, change.after) {
        (Some(Row::Input(before)), Some(Row::Input(after))) => {
            before.id == id && before.updated_at != after.updated_at
        }
        _ => false,
    })
}

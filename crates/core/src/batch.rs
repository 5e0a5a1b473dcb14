//! What a store is asked to do: guarded rows in, found names out.
//!
//! **Invariants** A batch is all or nothing. A write whose guard fails makes the whole batch fail
//! with nothing written. Trims come after writes and appends.

use std::sync::Arc;

use crate::capacity::needs::Room;
use crate::capacity::ready::Ready;
use crate::id::{AgentId, AttemptId, ScheduleId, TaskId, WorkerId, WorkspaceId};
use crate::key::{Key, Row, Version};
use crate::stream::{Append, Trim};
use crate::time::Timestamp;

/// One row to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub key: Key,
    /// The guard: the version that the row must have; `None`: there must be none.
    pub expect: Option<Version>,
    /// The new row, which gets the version after the expected one (1 for a new row); `None`
    /// removes it.
    pub row: Option<Arc<Row>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub writes: Vec<Write>,
    /// At most one for each task.
    pub appends: Vec<Append>,
    /// At most one for each task.
    pub trims: Vec<Trim>,
}

impl Batch {
    /// There is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.appends.is_empty() && self.trims.is_empty()
    }
}

/// What a commit says, in the batch's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Committed {
    /// The last `seq` that each append got.
    pub last_seqs: Vec<u64>,
    /// Whether each trim has come to its end; if not, the next one goes on.
    pub trims_done: Vec<bool>,
}

/// A search by the engine; the answer is names only, and what they mean is decided over the
/// loaded rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Find {
    /// Ready tasks of classes that have room and fit one of these (`capacity::ready`),
    /// beginning with the workspaces above `after`.
    Ready { rooms: Vec<Room>, limit: usize, after: WorkspaceId },
    /// The classes of an agent, the oldest first, at most `limits::CLASSES_MAX`.
    Classes { agent: AgentId },
    /// The classes of a workspace that a spent budget holds back, by key, as many at most.
    Held { workspace: WorkspaceId },
    /// Every workspace, by number.
    Workspaces,
    /// What has a time at or before `now`, by time, then by the order of [`Due`].
    Due { now: Timestamp, limit: usize },
    /// The leases of a class whose processes are kept warm, the longest idle first.
    Idle { instance: String },
    /// The leases of a worker.
    Leases { worker: WorkerId },
    /// The first tasks parked on the session, by `queued_at` and id; at most `limits::WAITERS_MAX`.
    Waiters { workspace: WorkspaceId, session: crate::session::SessionId },
    /// The schedules of an agent that are not deleted, by id.
    Schedules { agent: AgentId, limit: usize },
    /// Tasks that came to rest then or before and still have their streams, by that time, then by
    /// id.
    Rested { until: Timestamp, limit: usize },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Ready(Ready),
    Classes(Vec<String>),
    Workspaces(Vec<(WorkspaceId, String)>),
    Due {
        due: Vec<Due>,
        /// The earliest time after `now`, or any at or before it when the limit cut the answer.
        next: Option<Timestamp>,
    },
    Leases(Vec<AttemptId>),
    Waiters(Vec<TaskId>),
    Schedules(Vec<ScheduleId>),
    Rested(Vec<TaskId>),
}

/// What can have a time at which it is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Due {
    /// A parked task, at its `wake_at`.
    Task(TaskId),
    /// A warm process that has waited long enough, at its lease's `idle_until`.
    Lease(AttemptId),
    /// A class that was held back, at its `due_at`.
    Instance(String),
    /// A schedule, at its `fire_at`.
    Schedule(ScheduleId),
    /// A worker, at its `until`, with the renewal that it was found at.
    Worker(WorkerId, u64),
}

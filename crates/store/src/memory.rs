//! # Memory
//!
//! **What** The reference keeper, and the disk of the simulation: ordered maps and no I/O.
//!
//! **Invariants** The same calls give the same answers: nothing here is hashed, timed or drawn by
//! lot. The index is changed by what a row is derived to, so it cannot lag behind the rows.
//!
//! **Failure** A guard that fails, or a row that breaks a relation, is seen before anything is
//! changed. It has no other failures; the simulation puts its own around it.
//!
//! **Not here** Durability: what it holds dies with the process. Cheap lists: a scan walks rows.

mod find;
mod log;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostler_core::batch::{Batch, Committed, Due, Find, Found, Write};
use hostler_core::id::{
    AgentId, AttemptId, InputId, RunId, ScheduleId, TaskId, WorkerId, WorkspaceId,
};
use hostler_core::key::{Key, Loaded, Row, Version};
use hostler_core::session::SessionId;
use hostler_core::task::Priority;
use hostler_core::time::Timestamp;

use crate::{Error, LogRange, Page, Query, Sequenced, Store, derived, first_workspace};

/// Rows in the order of their keys. A clone is a snapshot that shares nothing.
#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    rows: BTreeMap<Key, (Version, Row)>,
    index: BTreeSet<Entry>,
    /// Inputs in the order of their coming, and the number under which each came.
    arrivals: BTreeMap<(TaskId, u64), InputId>,
    arrived: BTreeMap<InputId, u64>,
    arrival_count: u64,
    streams: BTreeMap<TaskId, Vec<Sequenced>>,
}

/// One way in which a row can be found; the order of the fields is the order of the answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    ReadyTask(String, Priority, Option<Timestamp>, TaskId),
    /// By what it needs, its pass, its age and its key.
    ReadyClass(Priority, WorkspaceId, String, u64, Timestamp, String),
    /// By the time of its making, like the two before and after.
    ClassIn(WorkspaceId, Timestamp, String),
    ClassOf(AgentId, Timestamp, String),
    Held(WorkspaceId, String),
    Due(Timestamp, Due),
    Idle(String, Timestamp, AttemptId),
    Waiter(WorkspaceId, SessionId, Option<Timestamp>, TaskId),
    Lease(WorkerId, AttemptId),
    Rested(Timestamp, TaskId),
    RunOf(TaskId, RunId),
    /// One that is not deleted.
    ScheduleOf(AgentId, ScheduleId),
    AttemptOf(RunId, u32, AttemptId),
}

impl Memory {
    pub fn new() -> Self {
        Memory::default()
    }

    /// Every row, in the order of keys: for the checkers of the simulation.
    pub fn each(&self, mut visit: impl FnMut(&Key, Version, &Row)) {
        for (key, (version, row)) in &self.lock().rows {
            visit(key, *version, row);
        }
    }

    /// Every stream, in the order of tasks.
    pub fn each_stream(&self, mut visit: impl FnMut(TaskId, &[Sequenced])) {
        for (task, records) in &self.lock().streams {
            visit(*task, records);
        }
    }

    /// A panic elsewhere cannot leave a half-made change: every check comes before the first one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        Memory { state: Mutex::new(self.lock().clone()) }
    }
}

impl Store for Memory {
    fn migrate(&self) -> Result<(), Error> {
        let (key, row) = first_workspace();
        let mut state = self.lock();
        if !state.rows.contains_key(&key) {
            state.put(&Write { key, expect: None, row: Some(Arc::new(row)) });
        }
        Ok(())
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Loaded>, Error> {
        let state = self.lock();
        Ok(keys.iter().map(|key| (key.clone(), state.rows.get(key).cloned())).collect())
    }

    fn find(&self, find: &Find) -> Result<Found, Error> {
        Ok(find::find(&self.lock(), find))
    }

    fn commit(&self, batch: &Batch) -> Result<Committed, Error> {
        let mut state = self.lock();
        state.check(batch)?;
        for write in &batch.writes {
            state.put(write);
        }
        let last_seqs = batch.appends.iter().map(|append| state.append(append)).collect();
        let trims_done = batch.trims.iter().map(|trim| state.trim(trim)).collect();
        Ok(Committed { last_seqs, trims_done })
    }

    fn scan(&self, query: &Query) -> Result<Page, Error> {
        Ok(scan::scan(&self.lock(), query))
    }

    fn read(&self, range: &LogRange) -> Result<Vec<Sequenced>, Error> {
        Ok(self.lock().read(range))
    }

    fn end(&self, task: TaskId) -> Result<u64, Error> {
        Ok(self.lock().end(task))
    }
}

impl State {
    /// Goes through the batch as it will be written, with the versions that come of it.
    fn check(&self, batch: &Batch) -> Result<(), Error> {
        let mut staged: BTreeMap<&Key, Option<Version>> = BTreeMap::new();
        for write in &batch.writes {
            let stored = || self.rows.get(&write.key).map(|(version, _)| *version);
            let version = staged.get(&write.key).copied().unwrap_or_else(stored);
            if version != write.expect {
                return Err(Error::Conflict);
            }
            if let Some(row) = &write.row {
                derived::assert_kind(&write.key, row);
                derived::check(row).map_err(|reason| Error::Unavailable(reason.into()))?;
            }
            staged.insert(&write.key, write.row.as_ref().map(|_| version.unwrap_or(0) + 1));
        }
        Ok(())
    }

    fn put(&mut self, write: &Write) {
        let key = &write.key;
        if let Some((_, old)) = self.rows.remove(key) {
            for entry in entries(key, &old) {
                self.index.remove(&entry);
            }
            if let (Row::Input(input), None) = (&old, &write.row)
                && let Some(number) = self.arrived.remove(&input.id)
            {
                self.arrivals.remove(&(input.task_id, number));
            }
        }
        let Some(row) = &write.row else { return };
        self.index.extend(entries(key, row));
        if let (Row::Input(input), None) = (&**row, write.expect) {
            self.arrival_count += 1;
            self.arrived.insert(input.id, self.arrival_count);
            self.arrivals.insert((input.task_id, self.arrival_count), input.id);
        }
        self.rows.insert(key.clone(), (write.expect.unwrap_or(0) + 1, Row::clone(row)));
    }
}

/// The ways in which the row can be found besides by its key.
fn entries(key: &Key, row: &Row) -> Vec<Entry> {
    match (key, row) {
        (Key::Task(id), Row::Task(task)) => {
            let ready = task.is_ready().then(|| {
                Entry::ReadyTask(task.instance_key.clone(), task.priority, task.queued_at, *id)
            });
            let due = derived::due_at(task).map(|at| Entry::Due(at, Due::Task(*id)));
            let waiter = derived::is_waiter(task).then(|| {
                let session = task.session_id.clone();
                Entry::Waiter(task.workspace_id, session, task.queued_at, *id)
            });
            let rested = derived::rested_at(task).map(|at| Entry::Rested(at, *id));
            ready.into_iter().chain(due).chain(waiter).chain(rested).collect()
        }
        (Key::Instance(key), Row::Instance(instance)) => {
            let workspace = instance.workspace_id;
            let signature = instance.needs.signature();
            let tiers = Priority::ALL.iter().filter(|tier| instance.is_ready_at(**tier));
            let ready = tiers.map(|tier| {
                let (needs, pass) = (signature.clone(), instance.pass);
                let made = instance.created_at;
                Entry::ReadyClass(*tier, workspace, needs, pass, made, key.clone())
            });
            let due = instance.due_at().map(|at| Entry::Due(at, Due::Instance(key.clone())));
            let held = instance.held_until.map(|_| Entry::Held(workspace, key.clone()));
            let made = instance.created_at;
            let of = Entry::ClassOf(instance.agent_id, made, key.clone());
            let within = Entry::ClassIn(workspace, made, key.clone());
            [of, within].into_iter().chain(ready).chain(due).chain(held).collect()
        }
        (Key::Worker(id), Row::Worker(worker)) => {
            let due = |until| Entry::Due(until, Due::Worker(id.clone(), worker.renewal));
            worker.until.map(due).into_iter().collect()
        }
        (Key::Lease(id), Row::Lease(lease)) => {
            let held = Entry::Lease(lease.worker_id.clone(), *id);
            let idle = lease.idle_until.map(|at| {
                [Entry::Due(at, Due::Lease(*id)), Entry::Idle(lease.instance_key.clone(), at, *id)]
            });
            std::iter::once(held).chain(idle.into_iter().flatten()).collect()
        }
        (Key::Schedule(id), Row::Schedule(schedule)) => {
            let of = Entry::ScheduleOf(schedule.agent_id, *id);
            let of = schedule.deleted_at.is_none().then_some(of);
            let due = |at| Entry::Due(at, Due::Schedule(*id));
            schedule.fire_at.map(due).into_iter().chain(of).collect()
        }
        (Key::Run(id), Row::Run(run)) => vec![Entry::RunOf(run.origin_task_id, *id)],
        (Key::Attempt(id), Row::Attempt(attempt)) => {
            vec![Entry::AttemptOf(attempt.run_id, attempt.attempt_no, *id)]
        }
        _ => Vec::new(),
    }
}

//! Counts are exact at every commit, and a claim goes above no cap.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::id::{AttemptId, WorkerId, WorkspaceId};
use hostler_core::key::{Key, Row};
use hostler_core::lease::{self, Lease, Resources, Turn};
use hostler_core::session::{Session, SessionId};
use hostler_core::task::{Parked, Priority, State, Task};

use super::{Change, Verdict};
use crate::disk::Disk;

#[derive(Default)]
pub struct Caps {
    /// By instance: queued, parked, pending, running, stopping, idle.
    counts: BTreeMap<String, [i64; 6]>,
    /// By instance: leases whose processes are about to end.
    closing: BTreeMap<String, i64>,
    idle: BTreeMap<String, BTreeSet<AttemptId>>,
    /// By instance: ready tasks by priority.
    ready_by: BTreeMap<String, [i64; Priority::ALL.len()]>,
    /// By worker: what its leases take.
    reserved: BTreeMap<WorkerId, Resources>,
    waiters: BTreeMap<(WorkspaceId, SessionId), i64>,
    /// By session: tasks that may be found by the search for ready work.
    ready: BTreeMap<(WorkspaceId, SessionId), i64>,
    /// Several servers write to the store: what a rule only reads may change under it.
    pub is_shared: bool,
}

impl Caps {
    pub fn committed(&mut self, changes: &[Change<'_>], disk: &Disk) -> Verdict {
        let mut touched: BTreeSet<&str> = BTreeSet::new();
        let mut claimed: BTreeSet<&str> = BTreeSet::new();
        let mut workers: BTreeSet<&WorkerId> = BTreeSet::new();
        let mut sessions: BTreeSet<(WorkspaceId, &SessionId)> = BTreeSet::new();
        for change in changes {
            for (row, sign) in [(change.before, -1), (change.after, 1)] {
                match row {
                    Some(Row::Task(task)) => {
                        self.count_task(task, sign);
                        touched.insert(&task.instance_key);
                        sessions.insert((task.workspace_id, &task.session_id));
                    }
                    Some(Row::Lease(lease)) => {
                        let counts = self.counts.entry(lease.instance_key.clone()).or_default();
                        counts[place(lease.state)] += sign;
                        counts[5] += if lease.is_idle() { sign } else { 0 };
                        self.note_idle(lease, sign);
                        self.reserve(lease, sign)?;
                        workers.insert(&lease.worker_id);
                        touched.insert(&lease.instance_key);
                        sessions.insert((lease.workspace_id, &lease.session_id));
                        if change.before.is_none() {
                            claimed.insert(&lease.instance_key);
                        }
                    }
                    Some(Row::Instance(instance)) => {
                        touched.insert(&instance.key);
                    }
                    Some(Row::Worker(worker)) => drop(workers.insert(&worker.id)),
                    Some(Row::Session(session)) => {
                        sessions.insert((session.workspace_id, &session.id));
                    }
                    _ => {}
                }
            }
        }
        workers.into_iter().try_for_each(|worker| self.reserved_is(worker, disk))?;
        for key in touched {
            // The claims of a batch may come before another command of it makes the cap smaller.
            let caps = changes.iter().filter_map(|change| match change.before {
                Some(Row::Instance(instance)) if instance.key == key => Some(instance.concurrency),
                _ => None,
            });
            let before = caps.max().filter(|_| claimed.contains(key));
            self.compare(key, claimed.contains(key).then_some(before.unwrap_or(0)), disk)?;
        }
        for (workspace, session) in sessions {
            let waiters = self.waiters.get(&(workspace, session.clone())).copied().unwrap_or(0);
            let row = disk.row(Key::Session(workspace, session.clone()));
            let counted = match &row {
                Some(Row::Session(row)) => i64::from(row.waiter_count),
                _ => 0,
            };
            if counted != waiters {
                return Err(format!("{session} counts {counted} waiters of {waiters}"));
            }
            if let Some(Row::Session(row)) = &row
                && waiters > 0
            {
                let ready = self.ready.get(&(workspace, session.clone())).copied().unwrap_or(0);
                if row.live_run.is_none() && ready == 0 {
                    return Err(format!("INV-SESSION-2: nobody was woken for {session}"));
                }
                if !self.is_shared {
                    session_is_free(row, disk)?;
                }
            }
        }
        Ok(())
    }

    fn reserve(&mut self, lease: &Lease, sign: i64) -> Verdict {
        let reserved = self.reserved.entry(lease.worker_id.clone()).or_default();
        if sign < 0 && lease.resources.exceeds(*reserved) {
            return Err(format!("INV-WORKER-3: {} gives back too much", lease.attempt_id));
        }
        *reserved = match sign {
            1 => reserved.plus(lease.resources),
            _ => reserved.minus(lease.resources),
        };
        Ok(())
    }

    /// INV-WORKER-3.
    fn reserved_is(&self, id: &WorkerId, disk: &Disk) -> Verdict {
        let Some(Row::Worker(worker)) = disk.row(Key::Worker(id.clone())) else { return Ok(()) };
        let (told, counted) = (worker.reserved, self.reserved.get(id).copied().unwrap_or_default());
        let text = || format!("INV-WORKER-3: {id} has reserved {told:?}, its leases {counted:?}");
        (told == counted).then_some(()).ok_or_else(text)
    }

    fn note_idle(&mut self, lease: &Lease, sign: i64) {
        let key = &lease.instance_key;
        let is_closing =
            lease.state == lease::State::Stopping || matches!(lease.turn, Turn::Ended(..));
        *self.closing.entry(key.clone()).or_default() += if is_closing { sign } else { 0 };
        let idle = self.idle.entry(key.clone()).or_default();
        match lease.is_idle() && sign > 0 {
            true => idle.insert(lease.attempt_id),
            false => idle.remove(&lease.attempt_id),
        };
    }

    fn count_task(&mut self, task: &Task, sign: i64) {
        let counts = self.counts.entry(task.instance_key.clone()).or_default();
        if task.is_ready() {
            let session = (task.workspace_id, task.session_id.clone());
            *self.ready.entry(session).or_default() += sign;
            let by = self.ready_by.entry(task.instance_key.clone()).or_default();
            by[task.priority as usize] += sign;
        }
        if task.state == State::Queued {
            counts[0] += sign;
            counts[1] += if task.parked.is_some() { sign } else { 0 };
            if task.parked == Some(Parked::Session) {
                let session = (task.workspace_id, task.session_id.clone());
                *self.waiters.entry(session).or_default() += sign;
            }
        }
    }

    fn compare(&self, key: &str, claimed_under: Option<u32>, disk: &Disk) -> Verdict {
        let Some(Row::Instance(row)) = disk.row(Key::Instance(key.to_owned())) else {
            return Err(format!("INV-CAP-1: there is no instance {key}"));
        };
        let told = [row.queued, row.parked, row.pending, row.running, row.stopping, row.idle];
        let told = told.map(i64::from);
        let counted = self.counts.get(key).copied().unwrap_or_default();
        if told != counted {
            return Err(format!(
                "INV-CAP-1, INV-CAP-2: {key} says queued, parked, pending, running, stopping, idle \
                 are {told:?}; its rows are {counted:?}"
            ));
        }
        let ready = self.ready_by.get(key).copied().unwrap_or_default();
        if row.ready.map(i64::from) != ready {
            let told = row.ready;
            return Err(format!("INV-CAP-2: {key} says that {told:?} are ready, not {ready:?}"));
        }
        let taken = counted[2] + counted[3] + counted[4];
        let allowed = claimed_under.map(|before| before.max(row.concurrency));
        if let Some(allowed) = allowed.filter(|allowed| taken > i64::from(*allowed)) {
            return Err(format!("INV-CAP-1: {key} was claimed up to {taken} of {allowed}"));
        }
        let waits = row.queued > row.parked && row.room() == 0;
        let closing = self.closing.get(key).copied().unwrap_or(0);
        let mut idle = self.idle.get(key).into_iter().flatten();
        match idle.find(|attempt| is_kept(**attempt, disk)) {
            Some(attempt) if waits && closing == 0 => {
                let (health, probe, held) = (row.status, row.probe_at, row.held_until);
                Err(format!(
                    "INV-CAP-3: {attempt} is kept warm while {key} has work and no room: it is \
                     {health}, {probe:?}, {held:?}, counts {counted:?} of {}",
                    row.concurrency
                ))
            }
            _ => Ok(()),
        }
    }
}

/// It is kept for nothing: no input of its task is about to be its turn.
fn is_kept(attempt: AttemptId, disk: &Disk) -> bool {
    let Some(Row::Lease(lease)) = disk.row(Key::Lease(attempt)) else { return false };
    let inbox = match disk.row(Key::Task(lease.task_id)) {
        Some(Row::Task(task)) => task.inbox,
        _ => Vec::new(),
    };
    lease.is_idle() && lease.steers.is_empty() && inbox.is_empty()
}

/// INV-CAP-3: a session that others wait for is not kept by a process without a turn.
fn session_is_free(session: &Session, disk: &Disk) -> Verdict {
    let run = session.live_run.and_then(|run| disk.row(Key::Run(run)));
    let attempt = match run {
        Some(Row::Run(run)) => run.live_attempt_id,
        _ => None,
    };
    match attempt.filter(|attempt| is_kept(*attempt, disk)) {
        Some(attempt) => {
            Err(format!("INV-CAP-3: {attempt} is kept warm while others wait for {}", session.id))
        }
        None => Ok(()),
    }
}

fn place(state: lease::State) -> usize {
    match state {
        lease::State::Granted => 2,
        lease::State::Held => 3,
        lease::State::Stopping => 4,
        lease::State::Released | lease::State::Expired => unreachable!("such a lease is removed"),
    }
}

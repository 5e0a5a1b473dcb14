//! Counts are exact at every commit, and a claim goes above no cap.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::id::WorkspaceId;
use hostler_core::key::{Key, Row};
use hostler_core::lease;
use hostler_core::session::SessionId;
use hostler_core::task::{Parked, State, Task};

use super::{Change, Verdict};
use crate::disk::Disk;

#[derive(Default)]
pub struct Caps {
    /// By instance: queued, parked, pending, running, stopping.
    counts: BTreeMap<String, [i64; 5]>,
    waiters: BTreeMap<(WorkspaceId, SessionId), i64>,
}

impl Caps {
    pub fn committed(&mut self, changes: &[Change<'_>], disk: &Disk) -> Verdict {
        let mut touched: BTreeSet<&str> = BTreeSet::new();
        let mut claimed: BTreeSet<&str> = BTreeSet::new();
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
                        touched.insert(&lease.instance_key);
                        if change.before.is_none() {
                            claimed.insert(&lease.instance_key);
                        }
                    }
                    Some(Row::Instance(instance)) => {
                        touched.insert(&instance.key);
                    }
                    _ => {}
                }
            }
        }
        for key in touched {
            self.compare(key, claimed.contains(key), disk)?;
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
        }
        Ok(())
    }

    fn count_task(&mut self, task: &Task, sign: i64) {
        let counts = self.counts.entry(task.instance_key.clone()).or_default();
        if task.state == State::Queued {
            counts[0] += sign;
            counts[1] += if task.parked.is_some() { sign } else { 0 };
            if task.parked == Some(Parked::Session) {
                let session = (task.workspace_id, task.session_id.clone());
                *self.waiters.entry(session).or_default() += sign;
            }
        }
    }

    fn compare(&self, key: &str, is_claimed: bool, disk: &Disk) -> Verdict {
        let Some(Row::Instance(row)) = disk.row(Key::Instance(key.to_owned())) else {
            return Err(format!("INV-CAP-1: there is no instance {key}"));
        };
        let told = [row.queued, row.parked, row.pending, row.running, row.stopping].map(i64::from);
        let counted = self.counts.get(key).copied().unwrap_or_default();
        if told != counted {
            return Err(format!(
                "INV-CAP-1, INV-CAP-2: {key} says queued, parked, pending, running, stopping are \
                 {told:?}; its rows are {counted:?}"
            ));
        }
        let taken = counted[2] + counted[3] + counted[4];
        if is_claimed && taken > i64::from(row.concurrency) {
            let allowed = row.concurrency;
            return Err(format!("INV-CAP-1: {key} was claimed up to {taken} of {allowed}"));
        }
        Ok(())
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

//! One live run, one lease and one working sandbox for each session.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::id::{AttemptId, RunId, WorkspaceId};
use hostler_core::key::{Key, Row};
use hostler_core::session::SessionId;

use super::{Change, Verdict};
use crate::disk::Disk;

type Place = (WorkspaceId, SessionId);

#[derive(Default)]
pub struct Leases {
    /// Sandboxes that could have an effect at this true time, by the workers' own account.
    working: BTreeMap<(usize, AttemptId), Place>,
    leases: BTreeMap<Place, BTreeSet<AttemptId>>,
    live_runs: BTreeMap<Place, BTreeSet<RunId>>,
    open_attempts: BTreeSet<AttemptId>,
    terms: BTreeMap<Place, u64>,
    /// Said between two commits.
    pub spoken: Option<String>,
}

impl Leases {
    /// A sandbox of the session comes to work.
    pub fn open(&mut self, worker: usize, attempt: AttemptId, session: Place, now: i64) {
        for ((other, at_work), place) in &self.working {
            if *place == session && (*other, *at_work) != (worker, attempt) {
                self.spoken.get_or_insert(format!(
                    "RUN-5: at {now} worker {worker} works on {:?} ({attempt}) while worker \
                     {other} does ({at_work})",
                    session.1.0
                ));
            }
        }
        self.working.insert((worker, attempt), session);
    }

    /// Nothing of it is left.
    pub fn close(&mut self, worker: usize, attempt: AttemptId, _now: i64) {
        self.working.remove(&(worker, attempt));
    }

    /// The whole machine is gone.
    pub fn close_all(&mut self, worker: usize) {
        self.working.retain(|(one, _), _| *one != worker);
    }

    pub fn is_working(&self, attempt: AttemptId) -> bool {
        self.working.keys().any(|(_, one)| *one == attempt)
    }

    pub fn is_anybody_working(&self) -> bool {
        !self.working.is_empty()
    }

    pub fn committed(&mut self, changes: &[Change<'_>], disk: &Disk) -> Verdict {
        let mut places: BTreeSet<Place> = BTreeSet::new();
        let mut attempts: BTreeSet<AttemptId> = BTreeSet::new();
        for change in changes {
            self.note(change, &mut places, &mut attempts)?;
        }
        for place in places {
            self.look_at(&place, disk)?;
        }
        for attempt in attempts {
            let has_lease = disk.row(Key::Lease(attempt)).is_some();
            if has_lease != self.open_attempts.contains(&attempt) {
                return Err(format!("INV-ATTEMPT-1: {attempt} has a lease: {has_lease}"));
            }
        }
        Ok(())
    }

    fn note(
        &mut self,
        change: &Change<'_>,
        places: &mut BTreeSet<Place>,
        attempts: &mut BTreeSet<AttemptId>,
    ) -> Verdict {
        match (change.before, change.after) {
            (None, Some(Row::Lease(lease))) => {
                let place = (lease.workspace_id, lease.session_id.clone());
                let term = self.terms.entry(place.clone()).or_default();
                if lease.term <= *term {
                    return Err(format!("INV-SESSION-1: two leases in term {}", lease.term));
                }
                *term = lease.term;
                self.leases.entry(place.clone()).or_default().insert(lease.attempt_id);
                places.insert(place);
                attempts.insert(lease.attempt_id);
            }
            (Some(Row::Lease(lease)), None) => {
                let place = (lease.workspace_id, lease.session_id.clone());
                self.leases.entry(place.clone()).or_default().remove(&lease.attempt_id);
                places.insert(place);
                attempts.insert(lease.attempt_id);
            }
            (_, Some(Row::Attempt(attempt))) => {
                match attempt.status.is_terminal() {
                    true => self.open_attempts.remove(&attempt.id),
                    false => self.open_attempts.insert(attempt.id),
                };
                attempts.insert(attempt.id);
            }
            (_, Some(Row::Run(run))) => {
                let place = (run.workspace_id, run.session_id.clone());
                let live = self.live_runs.entry(place.clone()).or_default();
                match run.status.is_terminal() {
                    true => live.remove(&run.id),
                    false => live.insert(run.id),
                };
                places.insert(place);
            }
            (_, Some(Row::Session(session))) => {
                places.insert((session.workspace_id, session.id.clone()));
            }
            _ => {}
        }
        Ok(())
    }

    fn look_at(&self, place: &Place, disk: &Disk) -> Verdict {
        let name = &place.1.0;
        let leases = self.leases.get(place).map_or(0, BTreeSet::len);
        if leases > 1 {
            return Err(format!("INV-LEASE-2: the session {name:?} has {leases} leases"));
        }
        let live = self.live_runs.get(place).cloned().unwrap_or_default();
        if live.len() > 1 {
            return Err(format!("INV-RUN-1: the session {name:?} has the live runs {live:?}"));
        }
        let Some(Row::Session(row)) = disk.row(Key::Session(place.0, place.1.clone())) else {
            return Err(format!("the session {name:?} has no row"));
        };
        let named = row.live_run;
        if named != live.first().copied() {
            return Err(format!("INV-RUN-1: {name:?} names {named:?} as live, not {live:?}"));
        }
        Ok(())
    }

    pub fn lease_count(&self) -> usize {
        self.leases.values().map(BTreeSet::len).sum()
    }
}

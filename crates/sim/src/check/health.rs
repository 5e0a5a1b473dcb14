//! INS-1 to INS-3: failures are counted, a degraded class starts nothing but one probe, and what
//! was held back is looked at again.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::attempt;
use hostler_core::capacity::{Health, Instance};
use hostler_core::key::{Key, Row};
use hostler_core::run::outcome::Failure;

use super::{Change, Verdict};
use crate::disk::Disk;
use crate::world::START;

/// How late a healed world may look at a class: servers' clocks are off.
const PATIENCE: i64 = 45_000;

#[derive(Default)]
pub struct Healths {
    /// Classes that a person was asked to reset: their counts may fall at any time.
    pub touched: BTreeSet<String>,
    /// When classes are to be looked at again, by some server's clock.
    due: BTreeMap<String, i64>,
    pub now: i64,
}

impl Healths {
    pub fn committed(&mut self, changes: &[Change<'_>], disk: &Disk) -> Verdict {
        for change in changes {
            let Some(Row::Instance(after)) = change.after else { continue };
            match after.due_at() {
                Some(at) => drop(self.due.insert(after.key.clone(), at.0 - START)),
                None => drop(self.due.remove(&after.key)),
            }
            if after.held_by.is_some() != after.held_until.is_some() {
                let (by, until) = (&after.held_by, after.held_until);
                return Err(format!("RUN-11: {} is held by {by:?} until {until:?}", after.key));
            }
            if after.status != Health::Degraded && after.probe_at.is_some() {
                return Err(format!("INS-2: {} is {} and waits", after.key, after.status));
            }
            if let Some(Row::Instance(before)) = change.before {
                let told = after.history.last().is_some_and(|last| last.to == after.status);
                if before.status != after.status && !told {
                    return Err(format!("INS-3: {} became {} silently", after.key, after.status));
                }
                starts_nothing(before, after, changes)?;
            }
        }
        self.failures(changes, disk)
    }

    /// Each attempt that failed by its own doing is counted, a success clears the count.
    fn failures(&self, changes: &[Change<'_>], disk: &Disk) -> Verdict {
        let mut ends: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for change in changes {
            let (Some(Row::Lease(lease)), None) = (change.before, change.after) else { continue };
            let Some(Row::Attempt(attempt)) = disk.row(Key::Attempt(lease.attempt_id)) else {
                continue;
            };
            let is_excused = changes.iter().any(|change| match (change.before, change.after) {
                (Some(Row::Run(before)), Some(Row::Run(after))) => {
                    before.id == lease.run_id && before.excused_count < after.excused_count
                }
                _ => false,
            });
            let counts = ends.entry(&lease.instance_key).or_default();
            match attempt.status {
                attempt::Status::Ok => counts.1 += 1,
                attempt::Status::Error | attempt::Status::Timeout
                    if !is_excused && attempt.failure != Some(Failure::Budget) =>
                {
                    counts.0 += 1;
                }
                _ => {}
            }
        }
        for (key, (failures, successes)) in ends {
            let change = changes.iter().find_map(|change| match (change.before, change.after) {
                (Some(Row::Instance(before)), Some(Row::Instance(after))) if after.key == key => {
                    Some((before, after))
                }
                _ => None,
            });
            let Some((before, after)) = change else {
                return Err(format!("INS-1: an attempt of {key} ended, and its row stays"));
            };
            let wanted = match successes {
                0 => before.failed_attempts + failures,
                _ if before.status == Health::Degraded => continue,
                _ if failures == 0 => 0,
                _ => continue,
            };
            if after.failed_attempts != wanted && !self.touched.contains(key) {
                let count = after.failed_attempts;
                return Err(format!("INS-1: {key} counts {count} failures of {wanted}"));
            }
        }
        Ok(())
    }

    pub fn listen(&self, healed_at: i64) -> Verdict {
        let over = |due: &i64| self.now > (*due).max(healed_at) + PATIENCE;
        match self.due.iter().find(|(_, due)| over(due)) {
            Some((key, _)) => Err(format!("INS-2: {key} is not looked at again")),
            None => Ok(()),
        }
    }
}

/// INS-2: not while it waits, and then one.
fn starts_nothing(before: &Instance, after: &Instance, changes: &[Change<'_>]) -> Verdict {
    if before.status != Health::Degraded || after.status != Health::Degraded {
        return Ok(());
    }
    let is_claim = |change: &&Change<'_>| match (change.before, change.after) {
        (None, Some(Row::Lease(lease))) => lease.instance_key == after.key,
        _ => false,
    };
    let claims = changes.iter().filter(is_claim).count();
    let waits = before.probe_at.is_some() && before.probe_at == after.probe_at;
    if claims > 0 && (waits || claims > 1 || after.taken() > 1) {
        return Err(format!("INS-2: {} is degraded and began {claims} tasks", after.key));
    }
    Ok(())
}

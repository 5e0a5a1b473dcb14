//! The health of a class: degrading after failures, healing after a while (INS-1, INS-2).
//!
//! **What** Attempts that end `error` or `timeout` count, one after the other, until one succeeds;
//! not those that a budget has ended, nor those that were nobody's failure (`run::finish`).
//! Half of the threshold is a warning; the threshold degrades. A degraded class waits until
//! `probe_at`; then it may have one execution. Its success heals, its failure degrades anew, and
//! the wait is doubled. While it waits, the success of an attempt that began before says nothing;
//! its warm processes are closed.
//!
//! **Invariants** Each change of the status stands in the class's history and, where an attempt
//! caused it, in the stream of that attempt's task (INS-3).

use serde_json::json;

use super::{Change, Health, Instance};
use crate::engine::txn::{Decided, Txn};
use crate::lease::Lease;
use crate::limits;
use crate::run::idle;
use crate::run::outcome::{Failure, Outcome};
use crate::run::state::Event;
use crate::time::{Span, Timestamp};

impl Instance {
    /// Its status from here on, with its place in the history when it is another one.
    pub(crate) fn change_to(&mut self, to: Health, reason: &str, at: Timestamp) -> bool {
        let from = std::mem::replace(&mut self.status, to);
        if from == to {
            return false;
        }
        if self.history.len() >= limits::HISTORY_MAX {
            self.history.remove(0);
        }
        self.history.push(Change { at, from, to, reason: reason.to_owned() });
        true
    }

    /// What the count of failures says.
    fn judged(&self) -> Health {
        let threshold = self.failed_attempt_threshold;
        match self.failed_attempts {
            count if count >= threshold => Health::Degraded,
            count if count >= threshold.div_ceil(2) => Health::Warning,
            _ => Health::Healthy,
        }
    }
}

/// An attempt of the class has ended, and its own doing counts.
pub(crate) fn ended(txn: &mut Txn<'_>, lease: &Lease, outcome: &Outcome) -> Decided<()> {
    let succeeded = match outcome.event {
        Event::Succeed => true,
        // What it may cost says nothing of its health (RUN-11).
        _ if outcome.failure == Some(Failure::Budget) => return Ok(()),
        Event::Fail | Event::TimeOut => false,
        // A cancel is nobody's failure.
        Event::Cancel | Event::Start | Event::Retry => return Ok(()),
    };
    let mut instance = txn.known(txn.instance(lease.instance_key.clone()))?;
    let from = instance.status;
    let reason = match succeeded {
        true if from == Health::Healthy && instance.failed_attempts == 0 => return Ok(()),
        // Work that was begun before says nothing while it waits to be tried.
        true if from == Health::Degraded && instance.probe_at.is_some() => return Ok(()),
        true => {
            clear(&mut instance);
            instance.change_to(Health::Healthy, "an attempt succeeded", txn.now);
            "an attempt succeeded".to_owned()
        }
        false => {
            instance.failed_attempts = instance.failed_attempts.saturating_add(1);
            let count = instance.failed_attempts;
            let reason = match count {
                1 => "an attempt failed".to_owned(),
                count => format!("{count} attempts in a row failed"),
            };
            fail(txn, &mut instance, &reason);
            reason
        }
    };
    if instance.status != from {
        let event = match instance.status {
            Health::Healthy => "instance_healed",
            Health::Warning => "instance_warning",
            Health::Degraded => "instance_degraded",
        };
        let payload = json!({
            "instance_key": instance.key,
            "from": from.as_str(),
            "to": instance.status.as_str(),
            "reason": reason,
            "probe_at_ms": instance.probe_at.map(|at| at.0),
        });
        txn.event(lease.task_id, Some((lease.run_id, Some(lease.attempt_id))), event, payload);
    }
    let degrades = instance.status != from && instance.status == Health::Degraded;
    txn.put_instance(instance);
    if degrades {
        close_warm(txn, &lease.instance_key)?;
    }
    Ok(())
}

/// What is kept warm would be in the way of the one task that is tried.
fn close_warm(txn: &mut Txn<'_>, key: &str) -> Decided<()> {
    for lease in txn.idle_leases(key)? {
        idle::shut(txn, lease)?;
    }
    Ok(())
}

fn fail(txn: &mut Txn<'_>, instance: &mut Instance, reason: &str) {
    match (instance.status, instance.judged()) {
        // It was being tried, and failed again.
        (Health::Degraded, _) if instance.probe_at.is_none() => cool_down(txn, instance),
        (Health::Degraded, _) => {}
        (_, to) => {
            if instance.change_to(to, reason, txn.now) && to == Health::Degraded {
                cool_down(txn, instance);
            }
        }
    }
}

/// When it may be tried: later each time, and not all classes at one moment.
fn cool_down(txn: &mut Txn<'_>, instance: &mut Instance) {
    instance.degradations = instance.degradations.saturating_add(1);
    let doublings = (instance.degradations - 1).min(DOUBLINGS_MAX);
    let span = (limits::COOL_DOWN.0 << doublings).min(limits::COOL_DOWN_MAX.0);
    let jitter = txn.ids.bits() % (span.unsigned_abs() / JITTER_PART);
    instance.probe_at = Some(txn.now + Span::millis(span + jitter.cast_signed()));
}

/// More of them are far beyond the longest wait.
const DOUBLINGS_MAX: u32 = 16;
/// Up to so much of the wait is added by lot.
const JITTER_PART: u64 = 5;

/// Nothing of its past counts any more.
pub(crate) fn clear(instance: &mut Instance) {
    instance.failed_attempts = 0;
    instance.degradations = 0;
    instance.probe_at = None;
}

/// The threshold is another one.
pub(crate) fn judge_anew(txn: &mut Txn<'_>, instance: &mut Instance) {
    let to = instance.judged();
    if instance.change_to(to, "a person set the threshold", txn.now) {
        instance.probe_at = None;
        instance.degradations = 0;
        if to == Health::Degraded {
            cool_down(txn, instance);
        }
    }
}

/// The time has come at which a class that was held back is looked at again.
pub(crate) fn reopen(txn: &mut Txn<'_>, key: &str) -> Decided<()> {
    let Some(mut instance) = txn.instance(key.to_owned())? else { return Ok(()) };
    let is_past = |at: Option<Timestamp>| at.is_some_and(|at| at <= txn.now);
    let (probes, opens) = (is_past(instance.probe_at), is_past(instance.held_until));
    if probes {
        instance.probe_at = None;
    }
    if opens {
        instance.release();
    }
    if probes || opens {
        // One that is to be tried has room for one only.
        let is_starved = instance.is_starved();
        txn.put_instance(instance);
        if is_starved {
            close_warm(txn, key)?;
        }
    }
    Ok(())
}

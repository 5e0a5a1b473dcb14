//! What is in the guardian's charge, and when it has to be killed. No clock, no processes.
//!
//! **Invariants** What is held beyond the time granted is given out to be killed, once, and kept
//! no longer; that goes also for what comes when the time has passed. Without a grant nothing may
//! run.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Ward<T> {
    until_ms: i64,
    held: BTreeMap<u64, T>,
}

impl<T> Default for Ward<T> {
    fn default() -> Self {
        Ward { until_ms: i64::MIN, held: BTreeMap::new() }
    }
}

impl<T> Ward<T> {
    /// The last word counts: the worker's fence, which it follows, never moves back.
    pub(super) fn renew(&mut self, until_ms: i64) {
        self.until_ms = until_ms;
    }

    pub(super) fn hold(&mut self, id: u64, one: T) {
        self.held.insert(id, one);
    }

    pub(super) fn release(&mut self, id: u64) {
        self.held.remove(&id);
    }

    /// When to ask for what is overdue, if nothing is said before.
    pub(super) fn due_ms(&self) -> Option<i64> {
        (!self.held.is_empty()).then_some(self.until_ms)
    }

    /// What is to be killed now.
    pub(super) fn overdue(&mut self, now_ms: i64) -> Vec<T> {
        if now_ms < self.until_ms { Vec::new() } else { self.everything() }
    }

    /// What is to be killed when the worker is gone.
    pub(super) fn everything(&mut self) -> Vec<T> {
        std::mem::take(&mut self.held).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ward(until_ms: i64) -> Ward<&'static str> {
        let mut ward = Ward::default();
        ward.renew(until_ms);
        ward.hold(1, "one");
        ward.hold(2, "two");
        ward
    }

    #[test]
    fn what_is_held_is_killed_once_when_its_time_has_passed_and_not_before() {
        let mut ward = ward(1_000);
        assert_eq!(ward.due_ms(), Some(1_000));
        assert_eq!(ward.overdue(999), [""; 0]);
        assert_eq!(ward.overdue(1_000), ["one", "two"]);
        assert_eq!((ward.overdue(1_001), ward.due_ms()), (vec![], None));
    }

    #[test]
    fn a_renewal_lets_it_run_on_and_what_has_ended_is_left_alone() {
        let mut ward = ward(1_000);
        ward.renew(3_000);
        ward.release(1);
        assert_eq!(ward.overdue(2_999), [""; 0]);
        assert_eq!(ward.overdue(3_000), ["two"]);
    }

    #[test]
    fn what_comes_too_late_or_without_a_grant_is_killed_at_once() {
        let mut ward = ward(1_000);
        ward.overdue(1_000);
        ward.hold(3, "late");
        assert_eq!(ward.overdue(1_000), ["late"]);
        let mut ward = Ward::default();
        ward.hold(1, "early");
        assert_eq!(ward.overdue(0), ["early"]);
    }

    #[test]
    fn a_new_lease_counts_for_what_comes_under_it() {
        let mut ward = ward(1_000);
        ward.overdue(5_000);
        ward.renew(9_000);
        ward.hold(3, "next");
        assert_eq!((ward.overdue(8_999), ward.due_ms()), (vec![], Some(9_000)));
    }

    #[test]
    fn a_worker_that_is_gone_leaves_nothing_whatever_the_time() {
        let mut ward = ward(1_000);
        assert_eq!(ward.everything(), ["one", "two"]);
        assert_eq!(ward.everything(), [""; 0]);
    }
}

//! When a worker must begin to stop what it runs.
//!
//! **What** The worker's side of the formula in `lease`: with `s` the moment at which it sent its
//! last acknowledged heartbeat, it stops at `s + LEASE - FENCE`, by its own monotonic clock.
//!
//! **Invariants** The fence never moves back: an acknowledgement that overtook another, or a
//! shorter lease after a longer one, takes nothing away that the server has granted
//! (INV-WORKER-2). An acknowledgement of something that was never sent grants nothing.
//!
//! **Failure** A worker that was stalled sees the fence when it wakes, whatever acknowledgements
//! wait in its buffers: they grant from the moment of sending, which has passed. What it runs is
//! gone by then: another process killed it at `kill_at`.
//!
//! **Not here** The stopping (`ladder`).

use crate::limits;
use crate::time::{Span, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    lease: Span,
    margin: Span,
    /// The sending of the last acknowledged frame.
    sent_at: Timestamp,
    until: Timestamp,
}

impl Fence {
    /// A lease as the server's welcome gives it, for a hello sent at `sent_at`.
    pub fn new(sent_at: Timestamp, lease: Span, margin: Span) -> Fence {
        Fence { lease, margin, sent_at, until: sent_at + lease }
    }

    /// A later welcome, with its own spans.
    pub fn welcomed(&mut self, sent_at: Timestamp, lease: Span, margin: Span) {
        self.lease = lease;
        self.margin = margin;
        self.grant(sent_at, lease);
    }

    /// A heartbeat sent at `sent_at` was acknowledged at `now`.
    pub fn acknowledged(&mut self, sent_at: Timestamp, now: Timestamp) {
        if sent_at <= now {
            self.grant(sent_at, self.lease);
        }
    }

    /// The server stops and has extended the lease. It did so after it handled the last
    /// acknowledged frame, so counting from the sending of that one is safe.
    pub fn extended(&mut self, lease: Span) {
        self.grant(self.sent_at, lease);
    }

    /// When stopping begins.
    pub fn stop_at(&self) -> Timestamp {
        self.until + Span(-self.margin.0)
    }

    /// When the worker's guardian kills what is left, should the worker not have.
    pub fn kill_at(&self) -> Timestamp {
        self.until + Span(-limits::GUARDIAN.0)
    }

    /// When nothing may be left.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.stop_at()
    }

    fn grant(&mut self, sent_at: Timestamp, lease: Span) {
        self.sent_at = self.sent_at.max(sent_at);
        self.until = self.until.max(sent_at + lease);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(sent_at: i64) -> Fence {
        Fence::new(Timestamp(sent_at), limits::LEASE, limits::FENCE)
    }

    #[test]
    fn stopping_begins_a_margin_before_the_lease_ends_counted_from_the_sending() {
        let mut fence = fence(1_000);
        assert_eq!((fence.stop_at(), fence.until()), (Timestamp(7_000), Timestamp(9_000)));
        assert_eq!(fence.kill_at(), fence.until() + Span(-limits::GUARDIAN.0));
        fence.acknowledged(Timestamp(3_000), Timestamp(5_500));
        assert_eq!((fence.stop_at(), fence.until()), (Timestamp(9_000), Timestamp(11_000)));
        assert!(!fence.is_due(Timestamp(8_999)));
        assert!(fence.is_due(Timestamp(9_000)));
    }

    #[test]
    fn acknowledgements_that_come_late_or_twice_grant_nothing_more() {
        let mut fence = fence(1_000);
        fence.acknowledged(Timestamp(3_000), Timestamp(20_000));
        assert!(fence.is_due(Timestamp(20_000)), "a stalled worker sees its fence");
        let before = fence.clone();
        fence.acknowledged(Timestamp(2_000), Timestamp(20_000));
        fence.acknowledged(Timestamp(3_000), Timestamp(20_000));
        fence.acknowledged(Timestamp(99_000), Timestamp(20_000));
        assert_eq!(fence, before);
    }

    #[test]
    fn a_drain_extends_and_a_later_welcome_does_not_shorten() {
        let mut fence = fence(1_000);
        fence.acknowledged(Timestamp(3_000), Timestamp(3_001));
        fence.extended(Span::seconds(60));
        assert_eq!(fence.until(), Timestamp(63_000));
        fence.welcomed(Timestamp(10_000), limits::LEASE, limits::FENCE);
        assert_eq!(fence.until(), Timestamp(63_000));
        fence.acknowledged(Timestamp(60_000), Timestamp(60_001));
        assert_eq!(fence.until(), Timestamp(68_000));
    }
}

//! A worker that was asked to stop: it offers no more, lets what runs go on for the drain time,
//! stops the rest, reports it, and says goodbye.

use std::time::Duration;

use hostler_core::time::{Span, Timestamp};
use hostler_wire::v1::{Goodbye, worker_frame};

use super::{Driver, Link, span};
use crate::execution::Order;

/// How long reports may wait for their acknowledgement once everything was stopped.
const REPORT_MAX: Span = Span::seconds(10);
/// How long the server may take to end the stream after the goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopping {
    No,
    /// What runs goes on until then.
    Draining(Timestamp),
    /// What ran was stopped; the reports wait until then.
    Reporting(Timestamp),
}

impl Stopping {
    pub(super) fn takes_work(self) -> bool {
        self == Stopping::No
    }

    pub(super) fn due(self) -> Option<Timestamp> {
        match self {
            Stopping::No => None,
            Stopping::Draining(until) | Stopping::Reporting(until) => Some(until),
        }
    }

    pub(super) fn is_drained(self, now: Timestamp) -> bool {
        matches!(self, Stopping::Draining(until) if now >= until)
    }

    /// There is nothing to connect for.
    pub(super) fn is_done_without_server(self, is_empty: bool) -> bool {
        self != Stopping::No && is_empty
    }
}

impl Driver {
    pub(super) fn begin_to_stop(&mut self) {
        let drain = u64::try_from(self.tools.config.drain.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(held = self.roster.len(), drain_ms = drain, "the worker stops");
        self.stopping = Stopping::Draining(self.clock.now() + span(drain));
    }

    pub(super) fn stop_all(&mut self) {
        self.roster.order_all(&Order::Stop);
        self.stopping = Stopping::Reporting(self.clock.now() + REPORT_MAX);
    }

    /// Nothing is held, or nobody takes the reports. What still runs by then cannot be killed.
    pub(super) fn has_stopped(&self) -> bool {
        match self.stopping {
            Stopping::No => false,
            Stopping::Draining(_) => self.roster.is_empty(),
            Stopping::Reporting(until) => self.roster.is_empty() || self.clock.now() >= until,
        }
    }

    /// Only a worker that holds nothing may say so; the others' leases run out.
    pub(super) async fn say_goodbye(self) {
        if !self.roster.is_empty() {
            tracing::warn!(held = self.roster.len(), "stopped before everything was reported");
            return;
        }
        let Link::Open(open) = self.link else { return };
        if !open.offer_frame(worker_frame::Body::Goodbye(Goodbye {})) {
            return;
        }
        let mut connection = open.connection;
        let (control, _) = tokio::sync::mpsc::channel(1);
        // Ends the outgoing stream after the goodbye.
        drop(std::mem::replace(&mut connection.control, control));
        let ended = async { while connection.next().await.is_ok() {} };
        let _ = tokio::time::timeout(GOODBYE, ended).await;
    }
}

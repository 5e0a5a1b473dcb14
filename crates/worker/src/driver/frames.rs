//! What the frames mean: those that come in, and those that are due.

use std::sync::Arc;

use hostler_wire::v1::event_ack::Verdict;
use hostler_wire::v1::{
    Assignment, EventAck, ExecutionEvent, Given, Heartbeat, LogAck, Offer, ReportAck,
    execution_event, server_frame, worker_frame,
};

use super::{Driver, Link, span};
use crate::execution::{Order, turn_input};

impl Driver {
    pub(super) fn frame(&mut self, body: server_frame::Body) {
        match body {
            server_frame::Body::Welcome(_) => {
                tracing::warn!("a second welcome is left aside");
            }
            server_frame::Body::HeartbeatAck(ack) => {
                let now = self.clock.look();
                let sent_at = span(ack.sent_at_ms);
                if let Some(fence) = &mut self.fence {
                    fence.acknowledged(hostler_core::time::Timestamp(sent_at.0), now);
                }
                self.orders(ack.lost, ack.cancel);
            }
            server_frame::Body::Assign(assign) => {
                for assignment in assign.assignments {
                    self.assigned(assignment);
                }
            }
            server_frame::Body::ReportAck(ack) => self.report_acknowledged(ack),
            server_frame::Body::LogAck(ack) => self.log_acknowledged(ack),
            server_frame::Body::Cancel(cancel) => self.orders(Vec::new(), cancel.attempt_ids),
            server_frame::Body::Give(give) => {
                for given in give.inputs {
                    self.given(given);
                }
            }
            server_frame::Body::Interrupt(interrupt) => {
                for (attempt_id, turn) in interrupt.attempt_ids.iter().zip(interrupt.input_ids) {
                    self.roster.interrupt(attempt_id, turn);
                }
            }
            server_frame::Body::Close(close) => {
                for attempt_id in close.attempt_ids {
                    self.roster.order(&attempt_id, Order::Close);
                }
            }
            server_frame::Body::Drain(drain) => {
                tracing::info!("the server stops; what runs here goes on");
                if let Some(fence) = &mut self.fence {
                    fence.extended(span(drain.lease_ms));
                }
            }
        }
    }

    fn assigned(&mut self, assignment: Assignment) {
        // Also one that was sent twice: the server counts what it sends.
        if let Link::Open(open) = &mut self.link {
            open.received += 1;
        }
        if self.roster.is_known(&assignment.attempt_id) {
            return;
        }
        // A server that is behind may assign to a worker that has just begun to stop.
        let refuses = !self.stopping.takes_work();
        let attempt_id = assignment.attempt_id.clone();
        self.roster.start(assignment);
        if refuses {
            self.roster.order(&attempt_id, Order::Stop);
        }
    }

    fn given(&mut self, given: Given) {
        let Given { attempt_id, term, steer, input } = given;
        match input.map(turn_input) {
            Some(Ok(input)) => self.roster.give(&attempt_id, term, steer, input),
            Some(Err(refusal)) => {
                tracing::error!(attempt_id, %refusal, "a message cannot be given");
                self.roster.order(&attempt_id, Order::Illegal);
            }
            None => tracing::error!(attempt_id, "a message without a message is left aside"),
        }
    }

    fn report_acknowledged(&mut self, ack: ReportAck) {
        for (event, ack) in self.outbox.acknowledge(ack) {
            self.answered(event, ack);
        }
    }

    fn answered(&mut self, event: ExecutionEvent, ack: EventAck) {
        let attempt_id = event.attempt_id.as_str();
        let is_end = matches!(event.event, Some(execution_event::Event::Ended(_)));
        if let Some(input_id) = done_input(&event) {
            self.roster.settle_input(attempt_id, input_id);
        }
        let verdict = ack.verdict();
        match verdict {
            Verdict::Fenced => self.lose(attempt_id),
            _ if is_end => self.roster.finish(attempt_id),
            Verdict::Illegal => {
                tracing::error!(attempt_id, ?event.event, "a report was refused as out of order");
                self.roster.order(attempt_id, Order::Illegal);
            }
            Verdict::Next => match ack.input.map(turn_input) {
                Some(Ok(input)) => self.roster.next(attempt_id, input),
                Some(Err(_)) | None => self.roster.order(attempt_id, Order::Illegal),
            },
            Verdict::Close => self.roster.order(attempt_id, Order::Close),
            Verdict::Wait => self.roster.order(attempt_id, Order::Wait),
            Verdict::Accepted | Verdict::Unspecified => {}
        }
    }

    fn log_acknowledged(&mut self, ack: LogAck) {
        for ack in ack.chunks {
            if ack.fenced {
                self.lose(&ack.attempt_id);
            } else if let Some(spool) = self.roster.spool(&ack.attempt_id) {
                Arc::clone(spool).acknowledge(ack.next_number);
            }
        }
    }

    /// Whether there is something for [`Driver::send`].
    pub(super) fn has_frames(&self) -> bool {
        let Link::Open(open) = &self.link else { return false };
        let now = self.clock.now();
        now >= open.heartbeat_at
            || self.outbox.is_due(now)
            || changes(self.credit(open.received), open.offered)
    }

    /// Sends what is due, as far as the transport has room.
    pub(super) fn send(&mut self) {
        let now = self.clock.now();
        let Link::Open(open) = &self.link else { return };
        let beats = now >= open.heartbeat_at;
        let credit = self.credit(open.received);
        let held = if beats { self.roster.held() } else { Vec::new() };
        let Link::Open(open) = &mut self.link else { return };
        if beats {
            let sent_at_ms = u64::try_from(now.0).unwrap_or(0);
            let heartbeat = Heartbeat { sent_at_ms, held };
            if open.offer_frame(worker_frame::Body::Heartbeat(heartbeat)) {
                open.heartbeat_at = now + open.heartbeat;
            }
        }
        while open.has_place() {
            let Some(report) = self.outbox.next(now) else { break };
            open.offer_frame(worker_frame::Body::Report(report));
        }
        if changes(credit, open.offered)
            && open.offer_frame(worker_frame::Body::Offer(Offer { total: credit }))
        {
            open.offered = credit;
        }
    }

    /// How many may be assigned over this connection in all. It only ever grows, unless a worker
    /// that stops, or has no guardian, takes all of it back.
    fn credit(&self, received: u64) -> u64 {
        if !self.stopping.takes_work() || !*self.guarded.borrow() {
            return 0;
        }
        let free = u64::from(self.tools.config.slots).saturating_sub(self.roster.busy());
        received + free
    }
}

/// The message that this event says to be done with.
fn done_input(event: &ExecutionEvent) -> Option<&str> {
    match event.event.as_ref()? {
        execution_event::Event::TurnEnded(turn) => Some(&turn.input_id),
        execution_event::Event::Injected(injected) => Some(&injected.input_id),
        execution_event::Event::Returned(returned) => Some(&returned.input_id),
        execution_event::Event::Started(_)
        | execution_event::Event::TurnStarted(_)
        | execution_event::Event::Spent(_)
        | execution_event::Event::Ended(_) => None,
    }
}

/// A credit is told when it has grown, and when it is taken back.
fn changes(credit: u64, offered: u64) -> bool {
    credit > offered || (credit == 0 && offered > 0)
}

//! Reports until they are acknowledged.
//!
//! **What** Events that wait are gathered into numbered reports; a report that is on its way is
//! kept as it is and sent again on the next connection, under the same number.
//!
//! **Invariants** Events of one execution stay in their order. The content of a number never
//! changes. It needs no bound of its own: an execution waits for the answer to the end of a turn
//! and holds a bounded number of messages, so it has a handful of events here at most. What a turn
//! has used is told by its newest event alone.

use std::collections::VecDeque;

use hostler_core::limits;
use hostler_core::time::{Span, Timestamp};
use hostler_wire::v1::{EventAck, ExecutionEvent, Report, ReportAck, execution_event};

/// Of one report: a turn's text may have 64 KiB and more.
const BYTES_MAX: usize = 1 << 20;
/// Reports on their way at a time.
const IN_FLIGHT_MAX: usize = 4;
/// A report not acknowledged for so long over a live connection is sent again.
const RESEND: Span = Span::seconds(10);

#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<ExecutionEvent>,
    in_flight: VecDeque<InFlight>,
    last_number: u64,
}

#[derive(Debug)]
struct InFlight {
    report: Report,
    /// `None`: not over this connection.
    sent_at: Option<Timestamp>,
}

impl Outbox {
    pub(super) fn push(&mut self, event: ExecutionEvent) {
        if is_spent(&event) {
            let attempt_id = &event.attempt_id;
            let older =
                |waiting: &ExecutionEvent| is_spent(waiting) && waiting.attempt_id == *attempt_id;
            self.waiting.retain(|waiting| !older(waiting));
        }
        self.waiting.push_back(event);
    }

    /// Whether [`Outbox::next`] has something.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.in_flight.iter().any(|flight| flight.is_due(now))
            || (!self.waiting.is_empty() && self.in_flight.len() < IN_FLIGHT_MAX)
    }

    /// The next report to send, oldest first.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Report> {
        if let Some(flight) = self.in_flight.iter_mut().find(|flight| flight.is_due(now)) {
            flight.sent_at = Some(now);
            return Some(flight.report.clone());
        }
        if self.waiting.is_empty() || self.in_flight.len() >= IN_FLIGHT_MAX {
            return None;
        }
        let mut events = Vec::new();
        let mut bytes = 0;
        while events.len() < limits::REPORT_EVENTS_MAX && bytes < BYTES_MAX {
            let Some(event) = self.waiting.pop_front() else { break };
            bytes += prost::Message::encoded_len(&event);
            events.push(event);
        }
        self.last_number += 1;
        let report = Report { number: self.last_number, events };
        self.in_flight.push_back(InFlight { report: report.clone(), sent_at: Some(now) });
        Some(report)
    }

    /// The connection is over: everything on its way is sent again.
    pub(super) fn rewind(&mut self) {
        for flight in &mut self.in_flight {
            flight.sent_at = None;
        }
    }

    /// The events of an acknowledged report with their answers. An answer that was repeated, or
    /// that says less than was asked, answers nothing twice and nothing wrongly.
    pub(super) fn acknowledge(&mut self, ack: ReportAck) -> Vec<(ExecutionEvent, EventAck)> {
        let found = self.in_flight.iter().position(|flight| flight.report.number == ack.number);
        let Some(report) = found.and_then(|index| self.in_flight.remove(index)) else {
            return Vec::new();
        };
        let mut acks: VecDeque<EventAck> = ack.events.into();
        let mut answered = Vec::new();
        let mut unanswered = Vec::new();
        for event in report.report.events {
            // In their order, each for its own attempt.
            let own = acks.iter().position(|ack| ack.attempt_id == event.attempt_id);
            match own.and_then(|index| acks.remove(index)) {
                Some(ack) => answered.push((event, ack)),
                None => unanswered.push(event),
            }
        }
        unanswered.into_iter().rev().for_each(|event| self.waiting.push_front(event));
        answered
    }

    /// Nothing of this execution is to be reported any more.
    pub(super) fn forget(&mut self, attempt_id: &str) {
        self.waiting.retain(|event| event.attempt_id != attempt_id);
        self.in_flight.retain(|flight| {
            flight.report.events.iter().any(|event| event.attempt_id != attempt_id)
        });
    }

    /// The incarnation is over, its reports with it. Numbers go on.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.in_flight.clear();
    }
}

impl InFlight {
    fn is_due(&self, now: Timestamp) -> bool {
        self.sent_at.is_none_or(|sent_at| now >= sent_at + RESEND)
    }
}

fn is_spent(event: &ExecutionEvent) -> bool {
    matches!(event.event, Some(execution_event::Event::Spent(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_wire::v1::Spent;
    use hostler_wire::v1::event_ack::Verdict;

    const AT: Timestamp = Timestamp(0);

    fn event(attempt_id: &str, term: u64) -> ExecutionEvent {
        ExecutionEvent { attempt_id: attempt_id.to_owned(), term, event: None }
    }

    fn ack(attempt_id: &str) -> EventAck {
        let verdict = Verdict::Accepted as i32;
        EventAck { attempt_id: attempt_id.to_owned(), verdict, input: None }
    }

    #[test]
    fn what_waits_is_gathered_and_what_is_on_its_way_is_kept_as_it_is() {
        let mut outbox = Outbox::default();
        outbox.push(event("a", 1));
        outbox.push(event("b", 1));
        let first = outbox.next(AT).expect("a report");
        assert_eq!((first.number, first.events.len()), (1, 2));
        assert_eq!(outbox.next(AT), None);
        outbox.push(event("a", 2));
        outbox.rewind();
        assert_eq!(outbox.next(AT), Some(first));
        assert_eq!(outbox.next(AT).expect("the other").number, 2);
        assert!(!outbox.is_due(AT));
        assert!(outbox.is_due(AT + RESEND));
    }

    #[test]
    fn each_event_gets_its_own_answer_once() {
        let mut outbox = Outbox::default();
        for (attempt_id, term) in [("a", 1), ("b", 2), ("a", 3)] {
            outbox.push(event(attempt_id, term));
        }
        outbox.next(AT);
        let events = vec![ack("a"), ack("b"), ack("a")];
        let answered = outbox.acknowledge(ReportAck { number: 1, events: events.clone() });
        let terms: Vec<u64> = answered.iter().map(|(event, _)| event.term).collect();
        assert_eq!(terms, [1, 2, 3]);
        assert!(outbox.acknowledge(ReportAck { number: 1, events }).is_empty());
        assert!(outbox.waiting.is_empty() && outbox.in_flight.is_empty());
    }

    #[test]
    fn an_event_without_an_answer_is_reported_again() {
        let mut outbox = Outbox::default();
        outbox.push(event("a", 1));
        outbox.next(AT);
        assert!(outbox.acknowledge(ReportAck { number: 1, events: Vec::new() }).is_empty());
        assert_eq!(outbox.next(AT).expect("again").number, 2);
    }

    #[test]
    fn of_what_a_turn_has_used_the_newest_waits() {
        let spent = |attempt_id: &str, term| ExecutionEvent {
            event: Some(execution_event::Event::Spent(Spent::default())),
            ..event(attempt_id, term)
        };
        let mut outbox = Outbox::default();
        for event in [spent("a", 1), spent("b", 2), event("a", 3), spent("a", 4)] {
            outbox.push(event);
        }
        let report = outbox.next(AT).expect("a report");
        let terms: Vec<u64> = report.events.iter().map(|event| event.term).collect();
        assert_eq!(terms, [2, 3, 4]);
    }

    #[test]
    fn a_lost_execution_is_forgotten() {
        let mut outbox = Outbox::default();
        outbox.push(event("a", 1));
        outbox.next(AT);
        outbox.push(event("a", 2));
        outbox.push(event("b", 1));
        outbox.forget("a");
        let report = outbox.next(AT).expect("the other's");
        assert_eq!(report.events, [event("b", 1)]);
    }
}

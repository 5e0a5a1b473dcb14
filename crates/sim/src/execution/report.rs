//! What a worker says of its executions, and what it makes of the answers: reports and log chunks
//! are kept until they are acknowledged.

use hostler_core::id::AttemptId;
use hostler_core::run::outcome::Cause;
use hostler_core::run::start::{Event as Happened, Verdict, What};
use hostler_core::stream::{Body, Channel, Record};
use hostler_core::time::Timestamp;
use hostler_core::worker::append::{Chunk, ChunkAck};

use crate::mutant::Mutant;
use crate::network::Up;
use crate::world::{START, World};

impl World {
    pub(super) fn write_log(&mut self, index: usize, attempt: AttemptId) {
        let lines = self.dice.range(1, 2) as u64;
        let ts = Timestamp(START + self.now);
        let shift = match self.mutant {
            Some(Mutant::ChunksAreNumberedAnew) if self.dice.chance(3_000) => 1,
            _ => 0,
        };
        let execution = self.execution(index, attempt);
        let number = execution.next_chunk;
        execution.next_chunk += 1 + shift;
        let data = |line: u64| format!("{attempt} {number} {line}");
        let records = (0..lines).map(|line| Record {
            ts,
            run_id: None,
            attempt_id: None,
            body: Body::Log {
                stream: Channel::Stdout,
                data: data(line),
                chunk_type: "text".to_owned(),
                metadata: None,
            },
        });
        let records: Vec<Record> = records.collect();
        let term = execution.term;
        for number in number..=number + shift {
            let chunk = Chunk { attempt_id: attempt, term, number, records: records.clone() };
            execution.chunks.push_back(chunk);
        }
        self.send_chunks(index, attempt);
    }

    fn send_chunks(&mut self, index: usize, attempt: AttemptId) {
        let chunks: Vec<Chunk> =
            self.execution(index, attempt).chunks.iter().take(8).cloned().collect();
        let line = self.workers[index].link.as_ref().filter(|line| line.welcomed);
        if let Some(link) = line.map(|line| line.link)
            && !chunks.is_empty()
        {
            self.send_up(link, Up::Logs { chunks });
        }
    }

    /// The process has ended. Its chunks come first, then the word of its end.
    pub(super) fn end(&mut self, index: usize, attempt: AttemptId, cause: Cause) {
        self.stop_sandbox(index, attempt, 0);
        let execution = self.execution(index, attempt);
        execution.ended = Some(cause);
        self.report_end(index, attempt);
    }

    fn report_end(&mut self, index: usize, attempt: AttemptId) {
        let execution = self.execution(index, attempt);
        if execution.end_reported || !execution.chunks.is_empty() {
            return;
        }
        let Some(cause) = execution.ended.clone() else { return };
        execution.end_reported = true;
        self.report(index, attempt, What::Ended { cause, detail: String::new() });
    }

    pub(super) fn report(&mut self, index: usize, attempt: AttemptId, what: What) {
        let worker = &mut self.workers[index];
        let Some(execution) = worker.executions.get(&attempt) else { return };
        worker.last_report += 1;
        if let What::TurnEnded(ended) = &what {
            self.check.budget.ended(attempt, ended.input_id, ended.usage.input_tokens);
        }
        let number = worker.last_report;
        let event = Happened { attempt_id: attempt, term: execution.term, what };
        worker.reports.push_back((number, event.clone()));
        let line = worker.link.as_ref().filter(|line| line.welcomed);
        if let Some(link) = line.map(|line| line.link) {
            let (numbers, events) = (vec![number], vec![event]);
            self.send_up(link, Up::Report { numbers, events });
        }
    }

    /// Sends again everything that is not acknowledged: after a welcome, and now and then.
    pub fn flush(&mut self, index: usize) {
        let worker = &self.workers[index];
        let Some(link) = worker.link.as_ref().map(|line| line.link) else { return };
        let reports: Vec<_> = worker.reports.iter().cloned().collect();
        let attempts: Vec<AttemptId> = worker.executions.keys().copied().collect();
        for attempt in attempts {
            self.send_chunks(index, attempt);
        }
        if reports.len() > 1 && self.dice.chance(5_000) {
            let (numbers, events) = reports.into_iter().unzip();
            self.send_up(link, Up::Report { numbers, events });
            return;
        }
        for (number, event) in reports {
            let (numbers, events) = (vec![number], vec![event]);
            self.send_up(link, Up::Report { numbers, events });
        }
    }

    pub fn report_acked(&mut self, index: usize, numbers: &[u64], verdicts: &[Verdict]) {
        let mut acked = Vec::new();
        for (number, verdict) in numbers.iter().zip(verdicts) {
            // One that was acknowledged before, or whose execution was lost, is not there.
            let reports = &mut self.workers[index].reports;
            if let Some(place) = reports.iter().position(|(one, _)| one == number) {
                acked.extend(reports.remove(place).map(|report| (report, verdict)));
            }
        }
        for ((_, event), verdict) in acked {
            self.judged(index, &event, verdict);
        }
    }

    fn judged(&mut self, index: usize, event: &Happened, verdict: &Verdict) {
        let attempt = event.attempt_id;
        let Some(execution) = self.workers[index].executions.get_mut(&attempt) else { return };
        match &event.what {
            What::TurnEnded(ended) => {
                execution.messages.settle(ended.input_id);
                // It may have joined another turn, or have been given back.
                let is_turn = !matches!(ended.reason.as_str(), "skipped" | "cancelled");
                if is_turn && !matches!(verdict, Verdict::Fenced | Verdict::Illegal) {
                    self.check.budget.heard(attempt, ended.input_id);
                }
            }
            What::Injected { input_id } | What::Returned { input_id } => {
                execution.messages.settle(*input_id);
            }
            _ => {}
        }
        let is_end = matches!(event.what, What::Ended { .. });
        match verdict {
            Verdict::Fenced => self.lose_execution(index, attempt),
            Verdict::Accepted if is_end => {
                self.check.order.ended(attempt, execution.next_chunk);
                if let Err(text) = self.check.input.heard(attempt, &self.disk) {
                    self.fail("input", text);
                }
                self.workers[index].executions.remove(&attempt);
            }
            Verdict::Accepted => {}
            Verdict::Illegal => {
                let text = format!("a correct worker's {event:?} was illegal");
                self.fail("reply", text);
            }
            Verdict::Next(input) => self.turn_given(index, attempt, input),
            Verdict::Wait => self.keep_execution(index, attempt),
            Verdict::Close => self.close_execution(index, attempt),
        }
    }

    pub fn logs_acked(&mut self, index: usize, acks: &[ChunkAck]) {
        for ack in acks {
            let attempt = ack.attempt_id;
            let Some(execution) = self.workers[index].executions.get_mut(&attempt) else {
                continue;
            };
            if ack.fenced {
                self.lose_execution(index, attempt);
                continue;
            }
            let first = execution.chunks.front().map_or(execution.next_chunk, |one| one.number);
            let chunks = &mut execution.chunks;
            while chunks.front().is_some_and(|one| one.number < ack.next_number) {
                chunks.pop_front();
            }
            if ack.next_number < first {
                let text = format!("{attempt}: chunk {} is wanted again", ack.next_number);
                self.fail("order", text);
                return;
            }
            // A frame holds the first few of what is kept: the others follow.
            let is_next = execution.chunks.front().is_some_and(|one| one.number > first);
            if is_next {
                self.send_chunks(index, attempt);
            }
            self.report_end(index, attempt);
        }
    }
}

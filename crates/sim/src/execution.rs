//! # Executions
//!
//! **What** What a worker does with an assignment: a sandbox that starts, an agent that takes
//! turns, writes its log and ends in one of many ways, and the reports and chunks that tell of it.
//!
//! **Invariants** An effect (the agent takes an input) comes only while the sandbox is alive.
//! The end is reported when every chunk before it is acknowledged.

use std::collections::VecDeque;

use hostler_core::capacity::claim::Assignment;
use hostler_core::id::{AttemptId, InputId, RunId, TaskId, WorkspaceId};
use hostler_core::run::Usage;
use hostler_core::run::outcome::{Cause, Failure};
use hostler_core::run::start::{Event as Happened, TurnEnded, Verdict, What};
use hostler_core::session::SessionId;
use hostler_core::stream::{Body, Channel, Record};
use hostler_core::time::Timestamp;
use hostler_core::worker::append::{Chunk, ChunkAck};

use crate::dice::Dice;
use crate::mutant::Mutant;
use crate::network::Up;
use crate::workload;
use crate::world::{Event, START, World};

/// How a turn comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Done,
    Asks,
    /// Done, and the agent's process takes no further turn.
    Last,
    Fails(Option<Failure>),
    /// The process dies in mid-turn.
    Crashes,
    /// The process ends well and says nothing.
    Silent,
    /// It goes on until its time is up.
    Hangs,
    NoSandbox,
    Refused,
    /// It takes the whole machine with it.
    KillsWorker,
}

pub struct Execution {
    pub term: u64,
    pub run: RunId,
    pub task: TaskId,
    pub session: (WorkspaceId, SessionId),
    pub input: InputId,
    /// Its sandbox is there.
    pub is_alive: bool,
    plan: Plan,
    turn: u32,
    /// The next step's number; a step with another is over.
    next_step: u64,
    stage: Stage,
    logs_left: u64,
    chunks: VecDeque<Chunk>,
    next_chunk: u64,
    ended: Option<Cause>,
    end_reported: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    /// The agent is about to take its input.
    Taking,
    Working,
    /// The turn's end is reported; the server says what follows.
    Asking,
    Stopping,
}

fn planned(dice: &mut Dice) -> Plan {
    match dice.below(24) {
        0..=9 => Plan::Done,
        10 | 11 => Plan::Asks,
        12 => Plan::Last,
        13 => Plan::Fails(None),
        14 => Plan::Fails(Some(Failure::Overloaded)),
        15 => Plan::Fails(Some(Failure::Rejected)),
        16 | 17 => Plan::Crashes,
        18 => Plan::Silent,
        19 => Plan::Hangs,
        20 => Plan::NoSandbox,
        21 => Plan::Refused,
        _ => Plan::Done,
    }
}

pub fn verdict_word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::Fenced => "fenced",
        Verdict::Next(_) => "next",
        Verdict::Close => "close",
        Verdict::Illegal => "illegal",
    }
}

impl World {
    pub fn take_assignment(&mut self, index: usize, assignment: Assignment) {
        let lease = &assignment.lease;
        let attempt = lease.attempt_id;
        let is_new = self.workers[index].seen.insert(attempt);
        if !is_new && self.mutant != Some(Mutant::AssignmentIsTakenTwice) {
            return;
        }
        let session = (lease.workspace_id, lease.session_id.clone());
        self.check.once.started(&session, lease.term, attempt);
        self.check.lease.open(index, attempt, session.clone(), self.now);
        let execution = Execution {
            term: lease.term,
            run: lease.run_id,
            task: lease.task_id,
            session,
            input: assignment.input.id,
            is_alive: true,
            plan: match assignment.input.message.starts_with(workload::POISON) {
                true => Plan::KillsWorker,
                false => planned(&mut self.dice),
            },
            turn: 0,
            next_step: 0,
            stage: Stage::Starting,
            logs_left: 0,
            chunks: VecDeque::new(),
            next_chunk: 0,
            ended: None,
            end_reported: false,
        };
        self.workers[index].executions.insert(attempt, execution);
        self.step_after(index, attempt, 5, 400);
    }

    fn step_after(&mut self, index: usize, attempt: AttemptId, low: i64, high: i64) {
        let after = self.dice.range(low, high);
        let worker = &mut self.workers[index];
        let life = worker.life;
        if let Some(execution) = worker.executions.get_mut(&attempt) {
            execution.next_step += 1;
            let number = execution.next_step;
            self.at(after, Event::Step { worker: index, life, attempt, number });
        }
    }

    pub fn step(&mut self, index: usize, life: u64, attempt: AttemptId, number: u64) {
        let worker = &self.workers[index];
        if worker.life != life || !worker.is_up {
            return;
        }
        if let Some(thaw_at) = worker.frozen_until {
            let after = thaw_at - self.now;
            self.at(after, Event::Step { worker: index, life, attempt, number });
            return;
        }
        let Some(execution) = worker.executions.get(&attempt) else { return };
        if execution.next_step != number || !execution.is_alive {
            return;
        }
        match execution.stage {
            Stage::Starting => self.begin(index, attempt),
            Stage::Taking => self.take_turn(index, attempt),
            Stage::Working => self.work(index, attempt),
            Stage::Asking => {}
            Stage::Stopping => self.end(index, attempt, Cause::Stopped),
        }
    }

    fn begin(&mut self, index: usize, attempt: AttemptId) {
        let plan = self.execution(index, attempt).plan;
        match plan {
            Plan::NoSandbox => return self.end(index, attempt, Cause::SandboxFailed),
            Plan::Refused => return self.end(index, attempt, Cause::Refused),
            _ => {}
        }
        self.execution(index, attempt).stage = Stage::Taking;
        self.report(index, attempt, What::Started { provider: None, model: None });
        self.step_after(index, attempt, 1, 100);
    }

    /// The agent takes its input: the effect that may come once only.
    fn take_turn(&mut self, index: usize, attempt: AttemptId) {
        let logs = self.dice.below(4);
        let execution = self.execution(index, attempt);
        execution.stage = Stage::Working;
        execution.turn += 1;
        execution.logs_left = logs;
        let (input_id, run) = (execution.input, execution.run);
        self.check.once.delivered(attempt, input_id, run);
        self.say(format_args!("worker {index}: the agent of {attempt} takes {input_id}"));
        self.report(index, attempt, What::TurnStarted { input_id });
        self.step_after(index, attempt, 1, 300);
    }

    fn work(&mut self, index: usize, attempt: AttemptId) {
        let execution = self.execution(index, attempt);
        if execution.logs_left > 0 {
            execution.logs_left -= 1;
            self.write_log(index, attempt);
            self.step_after(index, attempt, 1, 300);
            return;
        }
        let input_id = execution.input;
        let plan = execution.plan;
        let (is_error, failure) = match plan {
            Plan::Fails(failure) => (true, failure),
            _ => (false, None),
        };
        match plan {
            Plan::Crashes => return self.end(index, attempt, Cause::Exited { code: 139 }),
            Plan::KillsWorker => return self.kill(index),
            Plan::Silent => return self.end(index, attempt, Cause::Exited { code: 0 }),
            Plan::Hangs => {
                execution.plan = Plan::Crashes;
                return self.hang(index, attempt);
            }
            _ => {}
        }
        execution.stage = Stage::Asking;
        let ended = TurnEnded {
            input_id,
            is_error,
            reason: "completed".to_owned(),
            text: "what the agent says".to_owned(),
            waiting_for_input: plan == Plan::Asks,
            usage: Usage { input_tokens: 1, ..Usage::default() },
            failure,
            last: plan == Plan::Last,
        };
        self.report(index, attempt, What::TurnEnded(Box::new(ended)));
    }

    /// Until its time is up; then it is killed, which the plan has as a crash with another cause.
    fn hang(&mut self, index: usize, attempt: AttemptId) {
        let times_out = self.dice.chance(5_000);
        if times_out {
            self.end(index, attempt, Cause::TimedOut);
        } else {
            self.step_after(index, attempt, 3_000, 12_000);
        }
    }

    fn write_log(&mut self, index: usize, attempt: AttemptId) {
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
    fn end(&mut self, index: usize, attempt: AttemptId, cause: Cause) {
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

    fn execution(&mut self, index: usize, attempt: AttemptId) -> &mut Execution {
        let execution = self.workers[index].executions.get_mut(&attempt);
        execution.expect("only what is held is carried on")
    }

    /// What of a sandbox is left is gone after so long; it has no effect that is reported.
    pub fn stop_sandbox(&mut self, index: usize, attempt: AttemptId, after: i64) {
        let execution = self.execution(index, attempt);
        if !std::mem::take(&mut execution.is_alive) {
            return;
        }
        match after {
            0 => self.check.lease.close(index, attempt, self.now),
            _ => self.at(after, Event::Gone { worker: index, attempt }),
        }
    }

    fn report(&mut self, index: usize, attempt: AttemptId, what: What) {
        let worker = &mut self.workers[index];
        let Some(execution) = worker.executions.get(&attempt) else { return };
        worker.last_report += 1;
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
        let is_end = matches!(event.what, What::Ended { .. });
        match verdict {
            Verdict::Fenced => self.lose_execution(index, attempt),
            Verdict::Accepted if is_end => {
                self.check.order.ended(attempt, execution.next_chunk);
                self.workers[index].executions.remove(&attempt);
            }
            Verdict::Accepted => {}
            Verdict::Illegal => {
                let text = format!("a correct worker's {event:?} was illegal");
                self.fail("reply", text);
            }
            Verdict::Next(_) | Verdict::Close if execution.stage != Stage::Asking => {}
            Verdict::Next(input) => {
                execution.input = input.id;
                execution.stage = Stage::Taking;
                execution.plan = planned(&mut self.dice);
                if matches!(execution.plan, Plan::NoSandbox | Plan::Refused) {
                    execution.plan = Plan::Done;
                }
                self.step_after(index, attempt, 1, 100);
                if self.mutant == Some(Mutant::InputIsGivenTwice) && self.dice.chance(2_000) {
                    let run = self.execution(index, attempt).run;
                    self.check.once.delivered(attempt, input.id, run);
                }
            }
            Verdict::Close => self.end(index, attempt, Cause::Closed),
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
            self.report_end(index, attempt);
        }
    }

    /// It is no longer this worker's: stopped, and no word of it.
    pub fn lose_execution(&mut self, index: usize, attempt: AttemptId) {
        if self.workers[index].executions.contains_key(&attempt) {
            self.stop_sandbox(index, attempt, 0);
            let worker = &mut self.workers[index];
            worker.executions.remove(&attempt);
            worker.reports.retain(|(_, event)| event.attempt_id != attempt);
        }
    }

    pub fn cancel_execution(&mut self, index: usize, attempt: AttemptId) {
        let Some(execution) = self.workers[index].executions.get_mut(&attempt) else { return };
        if execution.is_alive && execution.stage != Stage::Stopping {
            execution.stage = Stage::Stopping;
            self.step_after(index, attempt, 1, 800);
        }
    }
}

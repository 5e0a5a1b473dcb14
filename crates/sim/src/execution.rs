//! # Executions
//!
//! **What** What a worker does with an assignment: a sandbox that starts, an agent's process that
//! takes turns, writes its log and ends in one of many ways, and the reports and chunks that tell
//! of it.
//!
//! **States** [`Stage`]. Messages wait in the process in the order in which it got them: a turn
//! takes the first; a steer behind it joins the running turn when chance has it, or begins a turn
//! by itself after that one's end, whatever the server is about to answer.
//!
//! **Invariants** An effect (the agent takes an input) comes only while the sandbox is alive. What
//! was got before is not given to the agent again. The end is reported when every chunk before it
//! is acknowledged.
//!
//! **Failure** The process dies in any of its states; what it had not taken is returned, or
//! nothing is said of it.

mod message;
mod order;
mod plan;
mod report;
mod turn;

use std::collections::VecDeque;

use hostler_core::capacity::claim::Assignment;
use hostler_core::id::{AttemptId, InputId, RunId, WorkspaceId};
use hostler_core::lease::Can;
use hostler_core::run::outcome::Cause;
use hostler_core::run::start::Verdict;
use hostler_core::session::SessionId;
use hostler_core::worker::append::Chunk;

use self::message::{Messages, Standing};
use self::plan::{Interrupt, Plan};
use crate::mutant::Mutant;
use crate::workload;
use crate::world::{Event, World};

pub struct Execution {
    pub term: u64,
    pub run: RunId,
    pub session: (WorkspaceId, SessionId),
    /// Its sandbox is there.
    pub is_alive: bool,
    can: Can,
    stage: Stage,
    plan: Plan,
    /// Its first turn has begun.
    has_begun: bool,
    /// The input that the running turn is for.
    lead: Option<InputId>,
    /// What the process has got and not taken.
    queue: VecDeque<Item>,
    pub messages: Messages,
    interrupt: Option<Interrupt>,
    /// Steers that are dropped with the interrupted turn, to be said after its end.
    to_return: VecDeque<Item>,
    is_closed: bool,
    /// Its turn makes no step any more.
    hangs: bool,
    /// It may die while it is kept.
    dies: bool,
    /// Its last turn ended well and asks nothing.
    work_is_done: bool,
    /// The next step's number; a step with another is over.
    next_step: u64,
    logs_left: u64,
    chunks: VecDeque<Chunk>,
    next_chunk: u64,
    ended: Option<Cause>,
    end_reported: bool,
}

/// A message in the process.
struct Item {
    id: InputId,
    is_steer: bool,
    /// Its turn takes the worker down.
    kills: bool,
    /// Its turn fails.
    fails: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    /// No turn runs: it takes what waits in it, or is kept.
    Idle,
    Working,
    /// It takes no further turn and ends by itself.
    Last,
    Stopping,
}

pub fn verdict_word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::Fenced => "fenced",
        Verdict::Next(_) => "next",
        Verdict::Wait => "wait",
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
        let id = assignment.input.id;
        let kills = assignment.input.message.starts_with(workload::POISON);
        let fails = assignment.input.message.starts_with(workload::BAD);
        let mut messages = Messages::default();
        messages.set(id, Standing::Given);
        let execution = Execution {
            term: lease.term,
            run: lease.run_id,
            session,
            is_alive: true,
            can: Can::default(),
            stage: Stage::Starting,
            plan: plan::of_execution(&mut self.dice, self.mutant),
            has_begun: false,
            lead: None,
            queue: VecDeque::from([Item { id, is_steer: false, kills, fails }]),
            messages,
            interrupt: None,
            to_return: VecDeque::new(),
            is_closed: false,
            hangs: false,
            dies: false,
            work_is_done: false,
            next_step: 0,
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
            Stage::Idle => self.idle(index, attempt),
            Stage::Working => self.work(index, attempt),
            Stage::Last => self.end_of_process(index, attempt, Cause::Exited { code: 0 }),
            Stage::Stopping => self.stopped(index, attempt),
        }
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

    /// It is no longer this worker's: stopped, and no word of it.
    pub fn lose_execution(&mut self, index: usize, attempt: AttemptId) {
        if self.workers[index].executions.contains_key(&attempt) {
            self.stop_sandbox(index, attempt, 0);
            let worker = &mut self.workers[index];
            worker.executions.remove(&attempt);
            worker.reports.retain(|(_, event)| event.attempt_id != attempt);
        }
    }
}

//! The turns of an agent's process: what it takes and when, steers among them, and how its turns
//! and the process itself end.

use hostler_core::id::{AttemptId, InputId};
use hostler_core::lease::Can;
use hostler_core::run::Usage;
use hostler_core::run::outcome::Cause;
use hostler_core::run::start::{TurnEnded, What};

use super::message::Standing;
use super::plan::{self, Interrupt, Plan};
use super::{Item, Stage};
use crate::world::World;

impl World {
    pub(super) fn begin(&mut self, index: usize, attempt: AttemptId) {
        let plan = self.execution(index, attempt).plan;
        match plan {
            Plan::NoSandbox => return self.end(index, attempt, Cause::SandboxFailed),
            Plan::Refused => return self.end(index, attempt, Cause::Refused),
            _ => {}
        }
        let can = Can {
            steer: self.dice.chance(7_000),
            interrupt: self.dice.chance(7_500),
            keep: self.dice.chance(8_500),
        };
        let execution = self.execution(index, attempt);
        execution.can = can;
        execution.stage = Stage::Idle;
        self.report(index, attempt, What::Started { provider: None, model: None, can });
        self.step_after(index, attempt, 1, 100);
    }

    /// The process has no turn: it takes what waits in it, or ends.
    pub(super) fn idle(&mut self, index: usize, attempt: AttemptId) {
        let (dies, goes_on) = (self.dice.chance(5_000), self.dice.chance(3_000));
        let execution = self.execution(index, attempt);
        if execution.dies && dies {
            let code = i32::from(goes_on);
            return self.end_of_process(index, attempt, Cause::Exited { code });
        }
        // What it has got already it may begin although it was closed.
        if execution.is_closed && (execution.queue.is_empty() || !goes_on) {
            let cause = self.end_when_closed(index, attempt);
            return self.end_of_process(index, attempt, cause);
        }
        if !self.execution(index, attempt).queue.is_empty() {
            self.take_turn(index, attempt);
        }
    }

    fn end_when_closed(&mut self, index: usize, attempt: AttemptId) -> Cause {
        let check_fails = self.dice.chance(700);
        match self.execution(index, attempt).work_is_done && check_fails {
            true => Cause::CheckFailed { code: 3 },
            false => Cause::Closed,
        }
    }

    /// The agent takes an input: the effect that may come once only.
    fn take_turn(&mut self, index: usize, attempt: AttemptId) {
        let logs = self.dice.below(4);
        let execution = self.execution(index, attempt);
        let Some(item) = execution.queue.pop_front() else { return };
        let input_id = item.id;
        execution.stage = Stage::Working;
        execution.logs_left = logs;
        execution.lead = Some(input_id);
        execution.messages.set(input_id, Standing::Running);
        let is_first = !std::mem::replace(&mut execution.has_begun, true);
        let (run, before) = (execution.run, execution.plan);
        let plan = match item.kills {
            true => Plan::KillsWorker,
            false if item.fails => Plan::Fails(None),
            false if is_first => before,
            false => plan::of_turn(&mut self.dice, self.mutant),
        };
        self.execution(index, attempt).plan = plan;
        self.check.once.delivered(attempt, input_id, run, &self.disk);
        self.check.input.began(attempt, input_id);
        self.say(format_args!("worker {index}: the agent of {attempt} takes {input_id}"));
        self.report(index, attempt, What::TurnStarted { input_id });
        // Several that wait may be taken together: the others join the first one's turn.
        while self.next_steer(index, attempt).is_some() && self.dice.chance(4_000) {
            self.inject(index, attempt);
        }
        self.step_after(index, attempt, 1, 300);
    }

    fn next_steer(&mut self, index: usize, attempt: AttemptId) -> Option<InputId> {
        let execution = self.execution(index, attempt);
        execution.queue.front().filter(|item| item.is_steer).map(|item| item.id)
    }

    /// The agent takes a steer into its running turn.
    fn inject(&mut self, index: usize, attempt: AttemptId) {
        let execution = self.execution(index, attempt);
        let Some(item) = execution.queue.pop_front() else { return };
        let input_id = item.id;
        execution.messages.set(input_id, Standing::Injected);
        let run = execution.run;
        self.check.once.delivered(attempt, input_id, run, &self.disk);
        self.check.input.injected(attempt, input_id);
        self.say(format_args!("worker {index}: the turn of {attempt} takes in {input_id}"));
        self.report(index, attempt, What::Injected { input_id });
    }

    pub(super) fn work(&mut self, index: usize, attempt: AttemptId) {
        match self.execution(index, attempt).interrupt {
            Some(Interrupt::Obeys) => return self.abort_turn(index, attempt),
            Some(Interrupt::Never) => return self.stop_it(index, attempt),
            Some(Interrupt::Late) | None => {}
        }
        let injects = self.execution(index, attempt).can.steer && self.dice.chance(4_000);
        if injects && self.next_steer(index, attempt).is_some() {
            self.inject(index, attempt);
        }
        if self.dice.chance(2_500)
            && let Some(input_id) = self.execution(index, attempt).lead
        {
            let usage = Usage { input_tokens: self.dice.below(3), ..Usage::default() };
            self.check.budget.spent(attempt, input_id, usage.input_tokens);
            self.report(index, attempt, What::Spent { input_id, usage });
        }
        let execution = self.execution(index, attempt);
        if execution.logs_left > 0 {
            execution.logs_left -= 1;
            self.write_log(index, attempt);
            self.step_after(index, attempt, 1, 300);
            return;
        }
        match execution.plan {
            Plan::Crashes => self.end_of_process(index, attempt, Cause::Exited { code: 139 }),
            Plan::KillsWorker => self.kill(index),
            Plan::Silent => self.end_of_process(index, attempt, Cause::Exited { code: 0 }),
            Plan::Hangs | Plan::Stuck => self.hang(index, attempt),
            _ => self.end_turn(index, attempt),
        }
    }

    /// Until its time is up; then it is killed, which the plan has as a crash with another cause.
    fn hang(&mut self, index: usize, attempt: AttemptId) {
        let times_out = self.dice.chance(5_000);
        let execution = self.execution(index, attempt);
        let is_stuck = execution.plan == Plan::Stuck;
        if execution.interrupt.is_some() {
            return self.stop_it(index, attempt);
        }
        execution.plan = Plan::Crashes;
        execution.hangs = true;
        match (is_stuck, times_out) {
            (true, _) => self.step_after(index, attempt, 100_000, 100_000),
            (false, true) => self.end_of_process(index, attempt, Cause::TimedOut),
            (false, false) => self.step_after(index, attempt, 3_000, 12_000),
        }
    }

    fn end_turn(&mut self, index: usize, attempt: AttemptId) {
        let input_tokens = self.dice.below(4);
        let execution = self.execution(index, attempt);
        let plan = execution.plan;
        let Some(input_id) = execution.lead else { return };
        let (is_error, failure) = match plan {
            Plan::Fails(failure) => (true, failure),
            _ => (false, None),
        };
        let last = plan == Plan::Last || !execution.can.keep;
        self.turn_has_ended(
            index,
            attempt,
            TurnEnded {
                input_id,
                is_error,
                reason: "completed".to_owned(),
                text: "what the agent says".to_owned(),
                waiting_for_input: plan == Plan::Asks,
                usage: Usage { input_tokens, ..Usage::default() },
                failure,
                last,
            },
        );
    }

    fn abort_turn(&mut self, index: usize, attempt: AttemptId) {
        let is_error = self.dice.chance(5_000);
        let execution = self.execution(index, attempt);
        let Some(input_id) = execution.lead else { return };
        let last = !execution.can.keep;
        let ended = TurnEnded { is_error, last, ..without_result(input_id, "aborted_tools") };
        self.turn_has_ended(index, attempt, ended);
    }

    fn turn_has_ended(&mut self, index: usize, attempt: AttemptId, ended: TurnEnded) {
        let execution = self.execution(index, attempt);
        let last = ended.last;
        execution.lead = None;
        execution.interrupt = None;
        execution.hangs = false;
        execution.work_is_done = !ended.is_error && !ended.waiting_for_input;
        execution.messages.set(ended.input_id, Standing::Ended);
        execution.stage = if last { Stage::Last } else { Stage::Idle };
        let to_return = std::mem::take(&mut execution.to_return);
        self.report(index, attempt, What::TurnEnded(Box::new(ended)));
        for item in to_return {
            self.give_up(index, attempt, &item);
        }
        let execution = self.execution(index, attempt);
        if last || execution.is_closed || !execution.queue.is_empty() {
            self.step_after(index, attempt, 0, 80);
        }
    }

    /// It was told to stop: its turn may still say how it ended.
    pub(super) fn stopped(&mut self, index: usize, attempt: AttemptId) {
        let word = self.dice.below(4);
        if self.execution(index, attempt).lead.is_some() {
            match word {
                0 => self.abort_turn(index, attempt),
                1 => self.end_turn(index, attempt),
                _ => {}
            }
        }
        self.end_of_process(index, attempt, Cause::Stopped);
    }

    /// The process is gone, and with it what it had not taken.
    pub(super) fn end_of_process(&mut self, index: usize, attempt: AttemptId, cause: Cause) {
        let is_said = self.dice.chance(8_000);
        let execution = self.execution(index, attempt);
        let queue = std::mem::take(&mut execution.queue);
        let left = execution.to_return.drain(..).chain(queue);
        let left: Vec<Item> = left.filter(|item| item.is_steer && is_said).collect();
        for item in left {
            self.give_up(index, attempt, &item);
        }
        self.end(index, attempt, cause);
    }
}

pub(super) fn without_result(input_id: InputId, reason: &str) -> TurnEnded {
    TurnEnded {
        input_id,
        is_error: true,
        reason: reason.to_owned(),
        text: String::new(),
        waiting_for_input: false,
        usage: Usage::default(),
        failure: None,
        last: false,
    }
}

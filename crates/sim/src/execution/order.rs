//! What a server orders for an execution: a further turn, a steer, an interrupt, the end. Each may
//! come twice, late, or for a turn that is over.

use hostler_core::id::{AttemptId, InputId};
use hostler_core::input::Input;
use hostler_core::run::start::What;

use super::message::Standing;
use super::plan::{self, Interrupt};
use super::turn::without_result;
use super::{Item, Stage};
use crate::mutant::Mutant;
use crate::workload;
use crate::world::World;

/// How long an interrupted turn may take to end before it is stopped with its process.
const INTERRUPT_GRACE: i64 = 3_000;

impl World {
    /// A further turn, from the server by itself; it says so again until it is held.
    pub fn turn_pushed(&mut self, index: usize, attempt: AttemptId, input: &Input) {
        let Some(execution) = self.workers[index].executions.get(&attempt) else { return };
        if let Some(Standing::Returned) | None = execution.messages.standing(input.id) {
            self.turn_given(index, attempt, input);
        }
    }

    /// The next turn, from the server: the answer to a turn's end, or by itself.
    pub fn turn_given(&mut self, index: usize, attempt: AttemptId, input: &Input) {
        let Some(execution) = self.workers[index].executions.get_mut(&attempt) else { return };
        let id = input.id;
        match execution.messages.standing(id) {
            // It was a steer, and began its turn before the server's answer came.
            Some(Standing::Running | Standing::Ended | Standing::NotTaken) => {}
            // It joined the turn of another steer; the server heard of its end first.
            Some(Standing::Injected) => {
                let ended = without_result(id, "skipped");
                self.report(index, attempt, What::TurnEnded(Box::new(ended)));
            }
            Some(Standing::Given) => {
                for item in execution.queue.iter_mut().filter(|item| item.id == id) {
                    item.is_steer = false;
                }
            }
            Some(Standing::Returned) | None => {
                let kills = input.message.starts_with(workload::POISON);
                let fails = input.message.starts_with(workload::BAD);
                self.put_in(index, attempt, Item { id, is_steer: false, kills, fails });
                if self.mutant == Some(Mutant::InputIsGivenTwice) && self.dice.chance(2_000) {
                    self.put_in(index, attempt, Item { id, is_steer: false, kills, fails });
                }
            }
        }
    }

    pub fn steer_given(&mut self, index: usize, attempt: AttemptId, input: &Input) {
        let is_spoiled = self.mutant == Some(Mutant::SteerIsGivenTwice);
        let Some(execution) = self.workers[index].executions.get_mut(&attempt) else { return };
        let id = input.id;
        if execution.messages.standing(id).is_some() && !is_spoiled {
            return;
        }
        let item = Item { id, is_steer: true, kills: false, fails: false };
        if self.dice.chance(500) {
            self.give_up(index, attempt, &item);
        } else {
            self.put_in(index, attempt, item);
        }
    }

    /// Into the process, if it takes anything more; what it does not take it never had.
    fn put_in(&mut self, index: usize, attempt: AttemptId, item: Item) {
        let execution = self.execution(index, attempt);
        execution.messages.set(item.id, Standing::Given);
        let takes = matches!(execution.stage, Stage::Starting | Stage::Idle | Stage::Working);
        if !takes || execution.is_closed || !execution.is_alive {
            return;
        }
        execution.queue.push_back(item);
        if execution.stage == Stage::Idle {
            self.step_after(index, attempt, 1, 100);
        }
    }

    /// The process will not take it: a steer is returned, a turn was cancelled before its start.
    pub(super) fn give_up(&mut self, index: usize, attempt: AttemptId, item: &Item) {
        let execution = self.execution(index, attempt);
        let input_id = item.id;
        if item.is_steer {
            execution.messages.set(input_id, Standing::Returned);
            self.report(index, attempt, What::Returned { input_id });
        } else {
            execution.messages.set(input_id, Standing::NotTaken);
            let ended = without_result(input_id, "cancelled");
            self.report(index, attempt, What::TurnEnded(Box::new(ended)));
        }
    }

    /// Stop the turn, or keep it from its beginning. It may be over, and another one on.
    pub fn interrupt_execution(&mut self, index: usize, attempt: AttemptId, turn: InputId) {
        let (how, drops) = (plan::interrupt(&mut self.dice), self.dice.below(10));
        let for_any = self.mutant == Some(Mutant::InterruptIsForAnyTurn);
        let Some(execution) = self.workers[index].executions.get_mut(&attempt) else { return };
        let is_here = execution.is_alive && !execution.is_closed && execution.interrupt.is_none();
        let awaits =
            execution.queue.iter().any(|item| !item.is_steer && (item.id == turn || for_any));
        if !is_here || self.mutant == Some(Mutant::InterruptIsNotObeyed) {
            return;
        }
        match execution.stage {
            Stage::Idle if awaits => {
                for item in std::mem::take(&mut execution.queue) {
                    self.give_up(index, attempt, &item);
                }
            }
            Stage::Working if execution.lead == Some(turn) || for_any => {
                execution.interrupt = Some(how);
                match drops {
                    // What waits in the process is dropped with the turn, before or after it.
                    0..=4 => {
                        for item in std::mem::take(&mut execution.queue) {
                            self.give_up(index, attempt, &item);
                        }
                    }
                    5..=7 => execution.to_return = execution.queue.drain(..).collect(),
                    _ => {}
                }
                let hangs = self.execution(index, attempt).hangs;
                match how {
                    Interrupt::Late if hangs => self.stop_it(index, attempt),
                    Interrupt::Obeys => self.step_after(index, attempt, 1, 300),
                    Interrupt::Never => {
                        self.step_after(index, attempt, INTERRUPT_GRACE, INTERRUPT_GRACE);
                    }
                    Interrupt::Late => {}
                }
            }
            _ => {}
        }
    }

    /// No further turn comes.
    pub fn close_execution(&mut self, index: usize, attempt: AttemptId) {
        let Some(execution) = self.workers[index].executions.get_mut(&attempt) else { return };
        let was_closed = std::mem::replace(&mut execution.is_closed, true);
        if !was_closed && execution.stage == Stage::Idle && execution.is_alive {
            self.step_after(index, attempt, 1, 200);
        }
    }

    /// The server waits for more: the process stays, if it lives.
    pub(super) fn keep_execution(&mut self, index: usize, attempt: AttemptId) {
        let dies = self.dice.chance(1_000);
        let execution = self.execution(index, attempt);
        if dies && execution.stage == Stage::Idle {
            execution.dies = true;
            self.step_after(index, attempt, 100, 6_000);
        }
    }

    pub fn cancel_execution(&mut self, index: usize, attempt: AttemptId) {
        let Some(execution) = self.workers[index].executions.get_mut(&attempt) else { return };
        if execution.is_alive && execution.stage != Stage::Stopping {
            self.stop_it(index, attempt);
        }
    }

    pub(super) fn stop_it(&mut self, index: usize, attempt: AttemptId) {
        self.execution(index, attempt).stage = Stage::Stopping;
        self.step_after(index, attempt, 1, 800);
    }
}

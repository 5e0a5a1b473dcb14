//! # The messages of an execution
//!
//! **What** What became of each message that the execution has got: the one place that knows
//! whether one that comes is new. The driver enters what comes and reads what is held; the
//! execution writes down how it goes on.
//!
//! **States** of a message: given (by the server), written (to the agent), running (the lead of
//! the turn), and done with: injected, ended, not taken, returned.
//!
//! **Invariants** A message comes to the agent once. A message is held until the server knows
//! that it is done with, so that nothing is given again on the word of an overtaken heartbeat.
//! The last [`REMEMBERED`] that are done with are remembered, all others for as long as they last.
//!
//! **Failure** A repeated message is left aside. One that was returned may come again as a turn;
//! so may a turn that ended before its start, once the server knows that: what came before is old.
//!
//! **Not here** Giving it to the agent (`talk`).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A message that is given again crossed its end on the way: it is seconds old at most.
const REMEMBERED: usize = 256;
/// Messages that are not done with, beyond which no steer is taken; the server keeps fewer waiting
/// for a task. Turns come one after the other.
pub(crate) const HELD_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Given,
    Written,
    Running,
    Injected,
    Ended,
    NotTaken,
    Returned,
}

#[derive(Debug)]
struct Message {
    input_id: String,
    standing: Standing,
    is_steer: bool,
    /// The server has acknowledged its end.
    settled: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Inputs(Mutex<VecDeque<Message>>);

impl Standing {
    fn is_done(self) -> bool {
        match self {
            Standing::Given | Standing::Written | Standing::Running => false,
            Standing::Injected | Standing::Ended | Standing::NotTaken | Standing::Returned => true,
        }
    }
}

impl Inputs {
    /// Whether it is to be given to the agent; if so, it is held from here on.
    pub(crate) fn take(&self, input_id: &str, is_steer: bool) -> bool {
        let mut messages = self.messages();
        let found = messages.iter().position(|message| message.input_id == input_id);
        if let Some(index) = found {
            if is_steer || messages[index].standing != Standing::Returned {
                return false;
            }
            messages.remove(index);
        }
        let held = messages.iter().filter(|message| !message.standing.is_done()).count();
        if is_steer && held >= HELD_MAX {
            return false;
        }
        messages.push_back(Message {
            input_id: input_id.to_owned(),
            standing: Standing::Given,
            is_steer,
            settled: false,
        });
        let done = messages.iter().filter(|message| message.standing.is_done()).count();
        if done > REMEMBERED {
            let oldest = messages.iter().position(|message| message.standing.is_done());
            oldest.and_then(|index| messages.remove(index));
        }
        true
    }

    /// It is awaited as a turn, however it was given.
    pub(super) fn promote(&self, input_id: &str) {
        self.change(input_id, |message| message.is_steer = false);
    }

    pub(super) fn set(&self, input_id: &str, standing: Standing) {
        self.change(input_id, |message| message.standing = standing);
    }

    /// The server knows how it ended.
    pub(crate) fn settle(&self, input_id: &str) {
        self.change(input_id, |message| {
            message.settled = message.standing.is_done();
            if message.standing == Standing::NotTaken {
                message.standing = Standing::Returned;
            }
        });
    }

    pub(super) fn standing(&self, input_id: &str) -> Option<Standing> {
        let messages = self.messages();
        let mut messages = messages.iter();
        messages.find(|message| message.input_id == input_id).map(|message| message.standing)
    }

    /// The lead of the turn.
    pub(super) fn running(&self) -> Option<String> {
        self.first(|message| message.standing == Standing::Running)
    }

    /// The lead of the turn that the agent has, or is about to take.
    pub(super) fn turn(&self) -> Option<String> {
        self.running().or_else(|| {
            self.first(|message| message.standing == Standing::Written && !message.is_steer)
        })
    }

    /// The steers of which nothing came, now to be returned.
    pub(super) fn return_steers(&self) -> Vec<String> {
        let mut returned = Vec::new();
        for message in self.messages().iter_mut() {
            let is_open = matches!(message.standing, Standing::Given | Standing::Written);
            if message.is_steer && is_open {
                message.standing = Standing::Returned;
                returned.push(message.input_id.clone());
            }
        }
        returned
    }

    /// What the server is told to be held.
    pub(crate) fn held(&self) -> Vec<String> {
        let messages = self.messages();
        let held = messages.iter().filter(|message| !message.settled);
        held.map(|message| message.input_id.clone()).collect()
    }

    fn first(&self, is_it: impl Fn(&Message) -> bool) -> Option<String> {
        let messages = self.messages();
        let mut messages = messages.iter();
        messages.find(|message| is_it(message)).map(|message| message.input_id.clone())
    }

    fn change(&self, input_id: &str, change: impl FnOnce(&mut Message)) {
        let mut messages = self.messages();
        let mut messages = messages.iter_mut();
        if let Some(message) = messages.find(|message| message.input_id == input_id) {
            change(message);
        }
    }

    fn messages(&self) -> MutexGuard<'_, VecDeque<Message>> {
        // No code that holds it can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_once_and_is_held_until_its_end_is_known() {
        let inputs = Inputs::default();
        assert!(inputs.take("a", false));
        assert!(!inputs.take("a", false) && !inputs.take("a", true));
        inputs.set("a", Standing::Running);
        assert_eq!(inputs.running().as_deref(), Some("a"));
        inputs.settle("a");
        inputs.set("a", Standing::Ended);
        assert_eq!(inputs.held(), ["a"], "its end is not known yet");
        inputs.settle("a");
        assert!(inputs.held().is_empty() && inputs.turn().is_none());
        assert!(!inputs.take("a", false) && !inputs.take("a", true));
    }

    #[test]
    fn a_returned_steer_may_come_again_as_a_turn_only() {
        let inputs = Inputs::default();
        assert!(inputs.take("a", true));
        assert!(inputs.turn().is_none());
        assert_eq!(inputs.return_steers(), ["a"]);
        assert!(inputs.return_steers().is_empty());
        assert!(!inputs.take("a", true));
        assert!(inputs.take("a", false));
        assert_eq!(inputs.standing("a"), Some(Standing::Given));
        assert!(inputs.turn().is_none(), "the agent has not got it yet");
        inputs.set("a", Standing::Written);
        assert!(inputs.turn().is_some());
    }

    #[test]
    fn a_turn_that_was_not_taken_may_come_again_once_the_server_knows() {
        let inputs = Inputs::default();
        assert!(inputs.take("a", false));
        inputs.set("a", Standing::NotTaken);
        assert!(!inputs.take("a", false), "it is given on old knowledge");
        assert_eq!(inputs.held(), ["a"]);
        inputs.settle("a");
        assert!(inputs.held().is_empty());
        assert!(!inputs.take("a", true) && inputs.take("a", false));
        assert_eq!(inputs.standing("a"), Some(Standing::Given));
    }

    #[test]
    fn a_promoted_steer_is_awaited_as_a_turn() {
        let inputs = Inputs::default();
        inputs.take("a", true);
        inputs.set("a", Standing::Written);
        inputs.promote("a");
        assert!(inputs.turn().is_some() && inputs.return_steers().is_empty());
    }

    #[test]
    fn its_memory_is_bounded() {
        let inputs = Inputs::default();
        for number in 0..2 * REMEMBERED {
            let id = number.to_string();
            assert!(inputs.take(&id, true));
            inputs.set(&id, Standing::Injected);
        }
        assert!(inputs.messages().len() <= REMEMBERED + 1);
        assert!(inputs.take("0", true), "long forgotten");
        for number in 1..HELD_MAX {
            assert!(inputs.take(&format!("held {number}"), true));
        }
        assert!(!inputs.take("one more", true));
        assert!(inputs.take("a turn", false));
    }
}

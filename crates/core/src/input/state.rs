//! The states of an input and every legal move between them.

use crate::machine::{Illegal, illegal, table};

crate::text::words! {
    pub enum State {
        /// In its task's inbox.
        Waiting => "waiting",
        /// Taken by a run for its next turn; the agent has not confirmed it.
        Taken => "taken",
        /// Its one outcome is recorded (INP-1).
        Settled => "settled",
    }
}
crate::text::words! {
    pub enum Event {
        Take => "take",
        /// The process ended before the agent took it: it waits again.
        Return => "return",
        Settle => "settle",
    }
}

impl State {
    pub fn next(self, event: Event) -> Result<State, Illegal> {
        use State::*;
        Ok(match (self, event) {
            (Waiting, Event::Take) => Taken,
            (Taken, Event::Return) => Waiting,
            (Waiting | Taken, Event::Settle) => Settled,
            _ => return illegal!("input", self, event),
        })
    }
}

table!("input", State, Event);

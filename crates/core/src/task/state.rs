//! The states of a task and every legal move between them (RUN-1).

use crate::machine::{Illegal, illegal, table};

crate::text::words! {
    pub enum State {
        /// It waits to be dispatched.
        Queued => "queued",
        /// A run of it is live.
        Running => "running",
        /// Its agent asked something and waits for input.
        Waiting => "waiting",
        Done => "done",
        Error => "error",
        Cancelled => "cancelled",
        /// Set aside by the engine, with a reason.
        Dropped => "dropped",
    }
}
crate::text::words! {
    pub enum Event {
        Claim => "claim",
        /// The run goes on later: a retry, or an input that waits.
        Requeue => "requeue",
        Finish => "finish",
        Ask => "ask",
        Fail => "fail",
        Cancel => "cancel",
        Drop => "drop",
        /// An input for a task that had come to rest.
        Restart => "restart",
    }
}

impl State {
    pub fn next(self, event: Event) -> Result<State, Illegal> {
        use State::*;
        Ok(match (self, event) {
            (Queued, Event::Claim) => Running,
            (Running, Event::Requeue) => Queued,
            (Running, Event::Finish) => Done,
            (Running, Event::Ask) => Waiting,
            (Running, Event::Fail) => Error,
            (Queued | Running | Waiting, Event::Cancel) => Cancelled,
            (Running, Event::Drop) => Dropped,
            (Waiting | Done | Error | Cancelled | Dropped, Event::Restart) => Queued,
            _ => return illegal!("task", self, event),
        })
    }

    /// It has come to rest: only an input moves it on.
    pub fn is_terminal(self) -> bool {
        matches!(self, State::Done | State::Error | State::Cancelled | State::Dropped)
    }
}

table!("task", State, Event);

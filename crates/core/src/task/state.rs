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
        /// An input for a process that was kept warm.
        Resume => "resume",
    }
}

impl State {
    pub fn next(self, event: Event) -> Result<State, Illegal> {
        use State::*;
        Ok(match (self, event) {
            (Queued, Event::Claim) => Running,
            (Running | Waiting, Event::Requeue) => Queued,
            // A queued task whose only input was withdrawn is as its last run left it; a waiting
            // one whose warm process ended is done unless its agent asked something.
            (Queued | Running | Waiting, Event::Finish) => Done,
            (Queued | Running | Waiting, Event::Ask) => Waiting,
            (Queued | Running | Waiting, Event::Fail) => Error,
            (Queued | Running | Waiting, Event::Cancel) => Cancelled,
            (Running | Waiting, Event::Drop) => Dropped,
            (Waiting, Event::Resume) => Running,
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

//! The states of an attempt and every legal move between them (RUN-1).

use crate::machine::{Illegal, illegal, table};

crate::text::words! {
    pub enum Status {
        /// Handed to a worker that has not started it.
        Pending => "pending",
        /// It waits for a person's approval.
        Blocked => "blocked",
        Running => "running",
        Ok => "ok",
        Error => "error",
        Timeout => "timeout",
        Cancelled => "cancelled",
    }
}
crate::text::words! {
    pub enum Event {
        Start => "start",
        Block => "block",
        Unblock => "unblock",
        Succeed => "succeed",
        Fail => "fail",
        TimeOut => "time_out",
        Cancel => "cancel",
    }
}

impl Status {
    pub fn next(self, event: Event) -> Result<Status, Illegal> {
        use Status::*;
        Result::Ok(match (self, event) {
            (Pending, Event::Start) => Running,
            (Running, Event::Block) => Blocked,
            (Blocked, Event::Unblock) => Running,
            (Running, Event::Succeed) => Ok,
            (Pending | Blocked | Running, Event::Fail) => Error,
            (Pending | Blocked | Running, Event::TimeOut) => Timeout,
            (Pending | Blocked | Running, Event::Cancel) => Cancelled,
            _ => return illegal!("attempt", self, event),
        })
    }

    pub fn is_terminal(self) -> bool {
        !matches!(self, Status::Pending | Status::Blocked | Status::Running)
    }
}

table!("attempt", Status, Event);

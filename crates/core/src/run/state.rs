//! The states of a run and every legal move between them (RUN-1).

use crate::machine::{Illegal, illegal, table};

crate::text::words! {
    pub enum Status {
        /// It has an attempt that has not started, or waits for its next one.
        Accepted => "accepted",
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
        /// Its attempt failed and another will follow.
        Retry => "retry",
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
            (Accepted, Event::Start) => Running,
            (Accepted | Running, Event::Retry) => Accepted,
            (Running, Event::Succeed) => Ok,
            (Accepted | Running, Event::Fail) => Error,
            (Accepted | Running, Event::TimeOut) => Timeout,
            (Accepted | Running, Event::Cancel) => Cancelled,
            _ => return illegal!("run", self, event),
        })
    }

    pub fn is_terminal(self) -> bool {
        !matches!(self, Status::Accepted | Status::Running)
    }
}

table!("run", Status, Event);

//! The states of a lease and every legal move between them. A lease that ends is removed.

use crate::machine::{Illegal, illegal, table};

crate::text::words! {
    pub enum State {
        /// Given to a worker; counted as pending.
        Granted => "granted",
        /// The worker has started the execution; counted as running.
        Held => "held",
        /// A cancel was accepted; counted as stopping.
        Stopping => "stopping",
        /// The worker said that nothing is left.
        Released => "released",
        /// The worker was lost.
        Expired => "expired",
    }
}
crate::text::words! {
    pub enum Event {
        Confirm => "confirm",
        Stop => "stop",
        Release => "release",
        Expire => "expire",
    }
}

impl State {
    pub fn next(self, event: Event) -> Result<State, Illegal> {
        use State::*;
        Ok(match (self, event) {
            (Granted, Event::Confirm) => Held,
            (Granted | Held, Event::Stop) => Stopping,
            // A start that crossed the cancel on its way.
            (Stopping, Event::Confirm) => Stopping,
            (Granted | Held | Stopping, Event::Release) => Released,
            (Granted | Held | Stopping, Event::Expire) => Expired,
            _ => return illegal!("lease", self, event),
        })
    }

    /// It is over, and counts for nothing.
    pub fn is_ended(self) -> bool {
        matches!(self, State::Released | State::Expired)
    }
}

table!("lease", State, Event);

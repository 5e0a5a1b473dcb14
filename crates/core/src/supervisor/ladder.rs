//! # The kill ladder
//!
//! **What** How an execution is ended: a rung is tried, and when its time is over, the next one.
//!
//! **States** `running`; `closing` (told that no turn follows, it ends by itself); `interrupting`
//! (the agent's own interrupt, then its input closed); `terminating` (SIGTERM to the agent);
//! `killing` (SIGKILL to everything); `gone` (proven: nothing is left).
//!
//! **Invariants** It only goes down: no event brings back an earlier rung. Each rung's action is
//! given exactly once, so the same order twice does no harm. `gone` is left by nothing.
//!
//! **Failure** What does not die is killed until it is gone: `killing` has no deadline. The whole
//! of it fits into `limits::FENCE`.
//!
//! **Not here** How each action is done, and the proof (`hostler-worker`).

use crate::limits;
use crate::machine::{Illegal, illegal, table};
use crate::time::{Span, Timestamp};

crate::text::words! {
    pub enum State {
        Running => "running",
        Closing => "closing",
        Interrupting => "interrupting",
        Terminating => "terminating",
        Killing => "killing",
        Gone => "gone",
    }
}
crate::text::words! {
    pub enum Event {
        /// No turn follows: let it end by itself.
        Close => "close",
        /// Stop it, gently at first.
        Stop => "stop",
        /// Stop it now.
        Kill => "kill",
        /// The rung's time is over.
        Overdue => "overdue",
        /// Nothing is left of it.
        Vanish => "vanish",
    }
}

/// What is to be done on reaching a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Close the agent's conversation.
    Close,
    /// The agent's own interrupt, then close its conversation.
    Interrupt,
    /// SIGTERM to the agent's process.
    Terminate,
    /// SIGKILL to every process of the sandbox.
    Kill,
}

impl State {
    pub fn next(self, event: Event) -> Result<State, Illegal> {
        use State::*;
        Ok(match (self, event) {
            (Running, Event::Close) => Closing,
            (Running | Closing, Event::Stop) => Interrupting,
            (Closing | Interrupting, Event::Overdue) => Terminating,
            (Terminating, Event::Overdue) => Killing,
            (Running | Closing | Interrupting | Terminating, Event::Kill) => Killing,
            (Running | Closing | Interrupting | Terminating | Killing, Event::Vanish) => Gone,
            _ => return illegal!("ladder", self, event),
        })
    }

    fn action(self) -> Option<Action> {
        match self {
            State::Closing => Some(Action::Close),
            State::Interrupting => Some(Action::Interrupt),
            State::Terminating => Some(Action::Terminate),
            State::Killing => Some(Action::Kill),
            State::Running | State::Gone => None,
        }
    }

    fn patience(self) -> Option<Span> {
        match self {
            State::Closing => Some(limits::CLOSE_GRACE),
            State::Interrupting => Some(limits::STOP_GENTLE),
            State::Terminating => Some(limits::STOP_TERMINATE),
            State::Running | State::Killing | State::Gone => None,
        }
    }
}

table!("ladder", State, Event);

/// The ladder of one execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    state: State,
    deadline: Option<Timestamp>,
}

impl Default for Ladder {
    fn default() -> Self {
        Ladder { state: State::Running, deadline: None }
    }
}

impl Ladder {
    /// What is to be done. An event that the state does not take changes nothing: orders come
    /// from several sides and may have been overtaken.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Option<Action> {
        if event == Event::Overdue && self.deadline.is_none_or(|deadline| now < deadline) {
            return None;
        }
        self.state = self.state.next(event).ok()?;
        self.deadline = self.state.patience().map(|span| now + span);
        self.state.action()
    }

    /// When `Overdue` is to be said.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    pub fn state(&self) -> State {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(10_000);

    #[test]
    fn every_pair_of_state_and_event_goes_down_or_is_refused() {
        let moves = table().moves;
        let expected = [
            ("running", "close", "closing"),
            ("running", "stop", "interrupting"),
            ("running", "kill", "killing"),
            ("running", "vanish", "gone"),
            ("closing", "stop", "interrupting"),
            ("closing", "kill", "killing"),
            ("closing", "overdue", "terminating"),
            ("closing", "vanish", "gone"),
            ("interrupting", "kill", "killing"),
            ("interrupting", "overdue", "terminating"),
            ("interrupting", "vanish", "gone"),
            ("terminating", "kill", "killing"),
            ("terminating", "overdue", "killing"),
            ("terminating", "vanish", "gone"),
            ("killing", "vanish", "gone"),
        ];
        assert_eq!(moves, expected);
        let rank = |name: &str| State::ALL.iter().position(|state| state.as_str() == name);
        assert!(moves.iter().all(|(from, _, to)| rank(to) > rank(from)), "it only goes down");
    }

    /// Runs the clock to each deadline until there is none.
    fn run_down(ladder: &mut Ladder, mut now: Timestamp) -> (Vec<Action>, Timestamp) {
        let mut actions = Vec::new();
        while let Some(deadline) = ladder.deadline() {
            assert_eq!(ladder.handle(Event::Overdue, Timestamp(deadline.0 - 1)), None);
            now = deadline;
            actions.extend(ladder.handle(Event::Overdue, now));
        }
        (actions, now)
    }

    #[test]
    fn what_ignores_everything_is_killed_before_the_lease_can_end() {
        let mut ladder = Ladder::default();
        assert_eq!(ladder.handle(Event::Stop, AT), Some(Action::Interrupt));
        assert_eq!(ladder.handle(Event::Stop, AT), None, "once is enough");
        let (actions, now) = run_down(&mut ladder, AT);
        assert_eq!(actions, [Action::Terminate, Action::Kill]);
        assert!((now - AT).0 + limits::STOP_KILL.0 < limits::FENCE.0);
        assert_eq!(ladder.handle(Event::Kill, now), None);
        assert_eq!(ladder.handle(Event::Vanish, now), None);
        assert_eq!(ladder.state(), State::Gone);
    }

    #[test]
    fn closing_has_its_own_patience_and_a_stop_overtakes_it() {
        let mut ladder = Ladder::default();
        assert_eq!(ladder.handle(Event::Close, AT), Some(Action::Close));
        assert_eq!(ladder.deadline(), Some(AT + limits::CLOSE_GRACE));
        let mut stopped = ladder.clone();
        assert_eq!(run_down(&mut ladder, AT).0, [Action::Terminate, Action::Kill]);
        assert_eq!(stopped.handle(Event::Stop, AT), Some(Action::Interrupt));
        assert_eq!(stopped.handle(Event::Close, AT), None);
        assert_eq!(stopped.handle(Event::Kill, AT), Some(Action::Kill));
        assert_eq!(stopped.deadline(), None);
    }

    #[test]
    fn what_is_gone_stays_gone() {
        for event in Event::ALL {
            let mut ladder = Ladder::default();
            ladder.handle(Event::Vanish, AT);
            assert_eq!(ladder.handle(*event, AT), None);
            assert_eq!((ladder.state(), ladder.deadline()), (State::Gone, None));
        }
    }
}

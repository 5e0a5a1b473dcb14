//! How an attempt's end becomes the run's outcome, and whether another attempt follows
//! (RUN-2, RUN-3).

use crate::lease::{Stop, Turn};
use crate::run::state::Event;
use crate::text::words;

words! {
    /// The class of a failure: what decides about a retry. Stable words of the contract.
    pub enum Failure {
        /// The agent said that its work failed.
        Agent => "agent",
        /// A budget is spent (RUN-11).
        Budget => "budget",
        /// The `check` of the agent's config failed (RUN-2).
        Check => "check",
        /// Credential, program or configuration is missing or wrong.
        Configuration => "configuration",
        /// The agent's process died in mid-turn.
        Crashed => "crashed",
        /// The worker was lost.
        Lost => "lost",
        /// The provider is overloaded or cannot be reached.
        Overloaded => "overloaded",
        /// The run lost too many workers (RUN-7).
        Poisoned => "poisoned",
        /// The provider refused the request.
        Rejected => "rejected",
        /// The sandbox could not be started.
        Sandbox => "sandbox",
        /// The worker was stopped in an orderly way.
        Stopped => "stopped",
        /// `timeout_ms` of working time had passed.
        Timeout => "timeout",
        /// The process ended well without the agent's end-of-work event (RUN-2).
        Unproven => "unproven",
    }
}

impl Failure {
    /// Trying again can help (RUN-3).
    pub fn is_retryable(self) -> bool {
        match self {
            Failure::Crashed
            | Failure::Lost
            | Failure::Overloaded
            | Failure::Sandbox
            | Failure::Stopped
            | Failure::Timeout => true,
            Failure::Agent
            | Failure::Budget
            | Failure::Check
            | Failure::Configuration
            | Failure::Poisoned
            | Failure::Rejected
            | Failure::Unproven => false,
        }
    }
}

/// How an execution ended, as its worker saw it; nothing of it is left there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    Exited {
        code: i32,
    },
    /// Closed by the worker after its last turn.
    Closed,
    /// Stopped by its worker: cancelled, or the worker itself stops.
    Stopped,
    TimedOut,
    /// The agent's work was done, and the check of its config failed.
    CheckFailed {
        code: i32,
    },
    SandboxFailed,
    /// It cannot run there as configured.
    Refused,
    /// Killed by a signal or by the machine.
    Crashed,
    /// The worker was lost: this comes from the engine itself.
    Lost,
}

/// What an attempt's end means for its run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub event: Event,
    pub failure: Option<Failure>,
    pub error: Option<String>,
    pub waiting_for_input: bool,
}

impl Outcome {
    pub fn cancelled() -> Self {
        let error = Some("cancelled by user".to_owned());
        Outcome { event: Event::Cancel, failure: None, error, waiting_for_input: false }
    }

    /// Its turn was stopped for an input that waits.
    pub fn interrupted() -> Self {
        let error = Some("interrupted by queued input".to_owned());
        Outcome { event: Event::Cancel, failure: None, error, waiting_for_input: false }
    }

    pub fn succeeded() -> Self {
        let event = Event::Succeed;
        Outcome { event, failure: None, error: None, waiting_for_input: false }
    }

    pub(crate) fn failed(failure: Failure, error: String) -> Self {
        let event = match failure {
            Failure::Timeout => Event::TimeOut,
            _ => Event::Fail,
        };
        Outcome { event, failure: Some(failure), error: Some(error), waiting_for_input: false }
    }
}

/// The outcome of an attempt. A cancel that was accepted wins over everything (RUN-8); then the
/// agent's own word counts, with the check that was to confirm it; then why it was stopped; then
/// the way in which the process ended.
pub fn outcome(turn: &Turn, stop: Option<Stop>, cause: &Cause, detail: &str) -> Outcome {
    if stop == Some(Stop::Cancel) {
        return Outcome::cancelled();
    }
    if let Turn::Ended(_, ended) | Turn::Idle(_, ended) = turn {
        if ended.is_error
            && let Some(stopped) = stop.map(stopped)
        {
            return stopped;
        }
        if ended.is_error {
            let failure = ended.failure.unwrap_or(Failure::Agent);
            return Outcome::failed(failure, or(&ended.text, &ended.reason));
        }
        if let Cause::CheckFailed { code } = cause {
            let text = format!("the check failed with exit code {code}");
            return Outcome::failed(Failure::Check, or(detail, &text));
        }
        let waiting_for_input = ended.waiting_for_input;
        return Outcome { event: Event::Succeed, failure: None, error: None, waiting_for_input };
    }
    if let Some(stopped) = stop.map(stopped) {
        return stopped;
    }
    let (failure, fallback) = match cause {
        Cause::Exited { code: 0 } | Cause::Closed => (
            Failure::Unproven,
            "the agent's process ended without saying that its work was done".to_owned(),
        ),
        Cause::Exited { code } | Cause::CheckFailed { code } => {
            (Failure::Crashed, format!("the agent's process ended with exit code {code}"))
        }
        Cause::Stopped => (Failure::Stopped, "its worker was stopped".to_owned()),
        Cause::TimedOut => (Failure::Timeout, "the run's timeout_ms has passed".to_owned()),
        Cause::SandboxFailed => (Failure::Sandbox, "the sandbox could not be started".to_owned()),
        Cause::Refused => (Failure::Configuration, "the agent cannot run here".to_owned()),
        Cause::Crashed => (Failure::Crashed, "the agent's process was killed".to_owned()),
        Cause::Lost => (Failure::Lost, "its worker was lost".to_owned()),
    };
    Outcome::failed(failure, or(detail, &fallback))
}

/// What was stopped, and not done, ended as that which stopped it says.
fn stopped(stop: Stop) -> Outcome {
    match stop {
        Stop::Cancel => Outcome::cancelled(),
        Stop::Interrupt => Outcome::interrupted(),
        Stop::Budget => Outcome::failed(Failure::Budget, "its budget is spent".to_owned()),
    }
}

fn or(text: &str, fallback: &str) -> String {
    if text.trim().is_empty() { fallback.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::InputId;
    use crate::lease::Ended;
    use uuid::Uuid;

    fn open() -> Turn {
        Turn::Open(InputId(Uuid::nil()))
    }

    fn ended(is_error: bool, failure: Option<Failure>) -> Turn {
        let (reason, text) = ("completed".to_owned(), "all done".to_owned());
        let ended = Ended { is_error, reason, text, waiting_for_input: false, failure };
        Turn::Ended(InputId(Uuid::nil()), ended)
    }

    #[test]
    fn exit_code_zero_without_the_agents_word_is_unproven() {
        let got = outcome(&open(), None, &Cause::Exited { code: 0 }, "");
        assert_eq!((got.event, got.failure), (Event::Fail, Some(Failure::Unproven)));
    }

    #[test]
    fn the_agents_word_counts_more_than_the_exit_code() {
        let got = outcome(&ended(false, None), None, &Cause::Exited { code: 1 }, "");
        assert_eq!((got.event, got.failure), (Event::Succeed, None));
        let got = outcome(&ended(true, None), None, &Cause::Exited { code: 0 }, "");
        assert_eq!((got.event, got.failure), (Event::Fail, Some(Failure::Agent)));
        assert_eq!(got.error.as_deref(), Some("all done"));
    }

    #[test]
    fn a_cancel_wins_over_success() {
        let got = outcome(&ended(false, None), Some(Stop::Cancel), &Cause::Closed, "");
        assert_eq!(got.event, Event::Cancel);
    }

    #[test]
    fn a_turn_that_was_stopped_for_an_input_is_no_failure() {
        let got = outcome(&open(), Some(Stop::Interrupt), &Cause::Crashed, "");
        assert_eq!((got.event, got.failure), (Event::Cancel, None));
        let got = outcome(&ended(false, None), Some(Stop::Interrupt), &Cause::Closed, "");
        assert_eq!(got.event, Event::Succeed);
    }

    #[test]
    fn a_spent_budget_is_an_outcome_of_its_own() {
        // An agent that was told to stop ends its turn in an error of its own.
        for turn in [open(), ended(true, Some(Failure::Agent))] {
            let got = outcome(&turn, Some(Stop::Budget), &Cause::Stopped, "");
            assert_eq!((got.event, got.failure), (Event::Fail, Some(Failure::Budget)));
        }
        let got = outcome(&ended(false, None), Some(Stop::Budget), &Cause::Closed, "");
        assert_eq!(got.event, Event::Succeed);
    }

    #[test]
    fn a_failed_check_takes_the_agents_word_back() {
        let got = outcome(&ended(false, None), None, &Cause::CheckFailed { code: 2 }, "");
        assert_eq!((got.event, got.failure), (Event::Fail, Some(Failure::Check)));
        assert_eq!(got.error.as_deref(), Some("the check failed with exit code 2"));
    }

    #[test]
    fn every_cause_without_proof_is_a_failure_of_its_class() {
        let table = [
            (Cause::Exited { code: 3 }, Failure::Crashed),
            (Cause::Closed, Failure::Unproven),
            (Cause::Stopped, Failure::Stopped),
            (Cause::TimedOut, Failure::Timeout),
            (Cause::SandboxFailed, Failure::Sandbox),
            (Cause::Refused, Failure::Configuration),
            (Cause::Crashed, Failure::Crashed),
            (Cause::Lost, Failure::Lost),
        ];
        for (cause, failure) in table {
            let got = outcome(&open(), None, &cause, "");
            assert_eq!(got.failure, Some(failure), "{cause:?}");
            assert_eq!(got.event == Event::TimeOut, failure == Failure::Timeout);
        }
    }
}

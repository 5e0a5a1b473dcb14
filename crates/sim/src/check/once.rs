//! Nothing happens twice: no execution in one term, no input for the agent, no effect of a key.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::id::{AttemptId, InputId, RunId, WorkspaceId};
use hostler_core::input;
use hostler_core::key::Row;
use hostler_core::session::SessionId;

use super::{Change, Verdict};

#[derive(Default)]
pub struct Once {
    started: BTreeSet<(WorkspaceId, SessionId, u64)>,
    delivered: BTreeSet<(AttemptId, InputId)>,
    taken_by: BTreeMap<InputId, RunId>,
    keys: BTreeMap<String, InputId>,
    /// Said between two commits.
    pub spoken: Option<String>,
}

impl Once {
    /// A worker's sandbox starts for this term.
    pub fn started(&mut self, session: &(WorkspaceId, SessionId), term: u64, attempt: AttemptId) {
        if !self.started.insert((session.0, session.1.clone(), term)) {
            self.speak(format!("INV-LEASE-1: {attempt} runs twice in term {term}"));
        }
    }

    /// The agent takes an input: an effect on the world outside.
    pub fn delivered(&mut self, attempt: AttemptId, input: InputId, run: RunId) {
        if !self.delivered.insert((attempt, input)) {
            self.speak(format!("INV-INPUT-2: {attempt} was given the input {input} twice"));
        }
        let first = *self.taken_by.entry(input).or_insert(run);
        if first != run {
            self.speak(format!("INV-INPUT-2: the input {input} went to {first} and to {run}"));
        }
    }

    pub fn was_delivered(&self, input: InputId) -> bool {
        self.taken_by.contains_key(&input)
    }

    fn speak(&mut self, text: String) {
        self.spoken.get_or_insert(text);
    }

    pub fn committed(&mut self, changes: &[Change<'_>]) -> Verdict {
        for change in changes {
            if let Some(Row::Input(after)) = change.after {
                let before = match change.before {
                    Some(Row::Input(before)) => Some(before),
                    _ => None,
                };
                self.input(before, after)?;
            }
        }
        Ok(())
    }

    fn input(&mut self, before: Option<&input::Input>, after: &input::Input) -> Verdict {
        let id = after.id;
        // An agent that is made anew under its key has receipts of its own.
        if before.is_none() && !after.idempotency_key.starts_with("dora") {
            let key = after.idempotency_key.clone();
            if let Some(first) = self.keys.insert(key, id) {
                return Err(format!("ACC-4: the key of {first} has a second effect, {id}"));
            }
        }
        let is_settled = after.state == input::State::Settled;
        if is_settled != after.outcome.is_some() {
            return Err(format!("INV-INPUT-1: {id} is {} with {:?}", after.state, after.outcome));
        }
        let Some(before) = before else { return Ok(()) };
        if before.state == input::State::Settled && before != after {
            return Err(format!("INV-INPUT-1: {id} was settled and changed"));
        }
        // What was taken and never given to the agent may wait again.
        let returned = before.state == input::State::Taken && after.state == input::State::Waiting;
        if before.run_id.is_some() && before.run_id != after.run_id && !returned {
            return Err(format!("INV-INPUT-2: {id} was taken by two runs"));
        }
        Ok(())
    }
}

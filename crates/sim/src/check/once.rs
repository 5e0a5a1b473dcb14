//! Nothing happens twice: no execution in one term, no input for the agent, no effect of a key.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::id::{AttemptId, InputId, RunId, WorkspaceId};
use hostler_core::input;
use hostler_core::key::{Key, Row};
use hostler_core::session::SessionId;

use super::{Change, Verdict};
use crate::disk::Disk;

#[derive(Default)]
pub struct Once {
    started: BTreeSet<(WorkspaceId, SessionId, u64)>,
    delivered: BTreeSet<(AttemptId, InputId)>,
    taken: BTreeSet<InputId>,
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

    /// The agent takes an input, as a turn or into one: an effect on the world outside. What an
    /// earlier process took comes again only when its word of it was lost with it, or when the run
    /// tries its turn again.
    pub fn delivered(&mut self, attempt: AttemptId, input: InputId, run: RunId, disk: &Disk) {
        if !self.delivered.insert((attempt, input)) {
            self.speak(format!("INV-INPUT-2: {attempt} was given the input {input} twice"));
        }
        self.taken.insert(input);
        let Some(Row::Input(row)) = disk.row(Key::Input(input)) else { return };
        let is_its_turn = match disk.row(Key::Run(run)) {
            Some(Row::Run(row)) => row.input_id == Some(input),
            _ => false,
        };
        if row.state == input::State::Settled && (row.run_id != Some(run) || !is_its_turn) {
            self.speak(format!(
                "INV-INPUT-2: {attempt} was given {input}, settled as {:?} before",
                row.outcome
            ));
        }
        if row.state == input::State::Waiting || row.run_id != Some(run) {
            let (state, of) = (row.state, row.run_id);
            self.speak(format!("INV-INPUT-2: {attempt} took {input}, {state} by {of:?}"));
        }
    }

    pub fn was_delivered(&self, input: InputId) -> bool {
        self.taken.contains(&input)
    }

    fn speak(&mut self, text: String) {
        self.spoken.get_or_insert(text);
    }

    pub fn committed(&mut self, changes: &[Change<'_>], disk: &Disk) -> Verdict {
        for change in changes {
            if let Some(Row::Input(after)) = change.after {
                let before = match change.before {
                    Some(Row::Input(before)) => Some(before),
                    _ => None,
                };
                self.input(before, after, disk)?;
            }
        }
        Ok(())
    }

    fn input(
        &mut self,
        before: Option<&input::Input>,
        after: &input::Input,
        disk: &Disk,
    ) -> Verdict {
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
        // What a run had taken and given back another one may take, also within the batch.
        let moves = before.run_id.is_some() && before.run_id != after.run_id;
        let was_given = !matches!(
            after.outcome,
            None | Some(input::Outcome::Withdrawn | input::Outcome::Dropped)
        );
        let waits = after.state == input::State::Waiting || !was_given;
        let returned = before.state == input::State::Taken && after.run_id.is_none() && waits;
        let is_over = |run: RunId| match disk.row(Key::Run(run)) {
            Some(Row::Run(row)) => row.status.is_terminal(),
            _ => false,
        };
        let is_known = |run: RunId| disk.row(Key::Run(run)).is_some();
        let passed = before.run_id.is_some_and(is_over) && after.run_id.is_some_and(is_known);
        if moves && !returned && !passed {
            return Err(format!("INV-INPUT-2: {id} was taken by two runs"));
        }
        Ok(())
    }
}

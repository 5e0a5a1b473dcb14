//! INV-INPUT-1: the outcome of an input is the truth about it, as far as anybody can know it.
//!
//! **What** A word of the agent is what its worker reports: it took an input as a turn, or into a
//! running turn. A word is durable when the server has acknowledged it; of an attempt whose end is
//! acknowledged every word is. An input may reach an agent twice only when the process that took
//! it first was lost before its word was durable, or when the run that it belongs to tries its
//! turn again.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::id::{AttemptId, InputId, RunId};
use hostler_core::input::{self, Input, Outcome};
use hostler_core::key::{Key, Row};

use super::lease::Leases;
use super::{Change, Verdict};
use crate::disk::Disk;

#[derive(Default)]
pub struct Inputs {
    began: BTreeMap<InputId, BTreeSet<AttemptId>>,
    injected: BTreeMap<InputId, BTreeSet<AttemptId>>,
    /// The lead of the turn that an input was merged into last.
    leads: BTreeMap<InputId, InputId>,
    /// By idempotency key: the run that its input is for (INP-4).
    pub expected: BTreeMap<String, RunId>,
}

impl Inputs {
    /// The agent begins a turn with it.
    pub fn began(&mut self, attempt: AttemptId, input: InputId) {
        self.began.entry(input).or_default().insert(attempt);
    }

    /// The agent takes it into a running turn.
    pub fn injected(&mut self, attempt: AttemptId, input: InputId) {
        self.injected.entry(input).or_default().insert(attempt);
    }

    pub fn committed(
        &mut self,
        changes: &[Change<'_>],
        processes: &Leases,
        disk: &Disk,
    ) -> Verdict {
        for change in changes {
            if let Some(Row::Run(run)) = change.after
                && let Some(lead) = run.input_id
            {
                for id in std::iter::once(&lead).chain(&run.merged) {
                    self.leads.insert(*id, lead);
                }
            }
        }
        for change in changes {
            match (change.before, change.after) {
                (None, Some(Row::Input(input))) => self.expected_run(input, changes, disk)?,
                (Some(Row::Input(before)), Some(Row::Input(after)))
                    if before.state != input::State::Settled =>
                {
                    self.settled(after, processes)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn settled(&self, input: &Input, processes: &Leases) -> Verdict {
        let id = input.id;
        let Some(outcome) = input.outcome else { return Ok(()) };
        let lead = self.leads.get(&id).copied().unwrap_or(id);
        let is_true = match outcome {
            Outcome::Injected => self.injected.contains_key(&id),
            Outcome::Turn | Outcome::Restarted => self.began.contains_key(&id),
            Outcome::Collected => self.began.contains_key(&lead),
            Outcome::Withdrawn | Outcome::Dropped => {
                let nobody = BTreeSet::new();
                let began = self.began.get(&lead).unwrap_or(&nobody);
                let injected = self.injected.get(&id).unwrap_or(&nobody);
                began.union(injected).all(|attempt| !processes.is_working(*attempt))
            }
        };
        let text = || format!("INV-INPUT-1: {id} is settled as {outcome}, which is not so");
        is_true.then_some(()).ok_or_else(text)
    }

    /// The worker knows that all that it said of an attempt is durable: what its agent took has
    /// the outcome that says so.
    pub fn heard(&self, attempt: AttemptId, disk: &Disk) -> Verdict {
        let took = |(input, attempts): (&InputId, &BTreeSet<AttemptId>)| {
            attempts.contains(&attempt).then_some(*input)
        };
        let began = self.began.iter().filter_map(took);
        let injected = self.injected.iter().filter_map(took);
        let began = began.map(|id| (id, false));
        for (id, is_injected) in began.chain(injected.map(|id| (id, true))) {
            let outcome = match disk.row(Key::Input(id)) {
                Some(Row::Input(input)) => input.outcome,
                _ => None,
            };
            let is_said = match outcome {
                Some(Outcome::Injected) => is_injected,
                Some(Outcome::Turn | Outcome::Restarted | Outcome::Collected) => !is_injected,
                Some(Outcome::Withdrawn | Outcome::Dropped) | None => false,
            };
            if !is_said {
                return Err(format!(
                    "INV-INPUT-1: the agent of {attempt} took {id} (injected: {is_injected}), \
                     which is settled as {outcome:?}"
                ));
            }
        }
        Ok(())
    }

    /// INP-4: the run was the live one when its input was accepted.
    fn expected_run(&self, input: &Input, changes: &[Change<'_>], disk: &Disk) -> Verdict {
        let Some(expected) = self.expected.get(&input.idempotency_key) else { return Ok(()) };
        let before = |key: Key| match changes.iter().find(|change| *change.key == key) {
            Some(change) => change.before.cloned(),
            None => disk.row(key),
        };
        let target = match before(Key::Task(input.task_id)) {
            Some(Row::Task(task)) => task.target_run_id,
            _ => None,
        };
        let is_live = match before(Key::Run(*expected)) {
            Some(Row::Run(run)) => !run.status.is_terminal(),
            _ => false,
        };
        let text = || format!("INP-4: {} was accepted for {expected}, not live", input.id);
        (target == Some(*expected) && is_live).then_some(()).ok_or_else(text)
    }
}

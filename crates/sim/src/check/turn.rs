//! What a run, its lease and its task say of the turn is one story.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::id::{AttemptId, InputId, RunId, TaskId};
use hostler_core::input::{self, Delivery};
use hostler_core::key::{Key, Row};
use hostler_core::lease::{self, Lease, Turn};
use hostler_core::run::Run;
use hostler_core::task;

use super::{Change, Verdict};
use crate::disk::Disk;
use crate::world::START;

/// In a healed world an interrupted turn has ended by then, and an idle process is closed that
/// long after its time: a worker that stood still is found out, and the clock of a server that
/// starts again may be half a minute behind.
const PATIENCE: i64 = 60_000;

#[derive(Default)]
pub struct Turns {
    /// Inputs that a run has taken and the agent has not confirmed.
    taken: BTreeMap<RunId, BTreeSet<InputId>>,
    /// Since when a lease is interrupted, by true time.
    interrupted: BTreeMap<AttemptId, i64>,
    /// Until when a process is kept, by some server's clock.
    idle: BTreeMap<AttemptId, i64>,
    pub now: i64,
}

impl Turns {
    pub fn committed(&mut self, changes: &[Change<'_>], disk: &Disk) -> Verdict {
        let mut runs: BTreeSet<RunId> = BTreeSet::new();
        let mut tasks: BTreeSet<TaskId> = BTreeSet::new();
        for change in changes {
            for row in [change.before, change.after].into_iter().flatten() {
                match row {
                    Row::Run(run) => drop(runs.insert(run.id)),
                    Row::Input(input) => runs.extend(input.run_id),
                    Row::Lease(lease) => {
                        runs.insert(lease.run_id);
                        tasks.insert(lease.task_id);
                    }
                    Row::Task(task) => drop(tasks.insert(task.id)),
                    _ => {}
                }
            }
            self.note(change);
        }
        for change in changes {
            if let (None, Some(Row::Input(input))) = (change.before, change.after)
                && input.delivery == Delivery::Interrupted
            {
                was_interrupted(input.task_id, changes, disk)?;
            }
        }
        runs.into_iter().try_for_each(|run| self.run(run, disk))?;
        tasks.into_iter().try_for_each(|task| task_follows(task, disk))
    }

    fn note(&mut self, change: &Change<'_>) {
        match (change.before, change.after) {
            (before, Some(Row::Input(after))) => {
                if let Some(Row::Input(before)) = before
                    && let Some(run) = before.run_id
                {
                    self.taken.entry(run).or_default().remove(&before.id);
                }
                if after.state == input::State::Taken
                    && let Some(run) = after.run_id
                {
                    self.taken.entry(run).or_default().insert(after.id);
                }
            }
            (_, Some(Row::Lease(lease))) => {
                let id = lease.attempt_id;
                match lease.interrupted {
                    true => drop(self.interrupted.entry(id).or_insert(self.now)),
                    false => drop(self.interrupted.remove(&id)),
                }
                match lease.idle_until {
                    Some(until) => drop(self.idle.insert(id, until.0 - START)),
                    None => drop(self.idle.remove(&id)),
                }
            }
            (Some(Row::Lease(lease)), None) => {
                self.interrupted.remove(&lease.attempt_id);
                self.idle.remove(&lease.attempt_id);
            }
            _ => {}
        }
    }

    /// In a world without faults nothing is left as it is for ever.
    pub fn listen(&self, healed_at: i64) -> Verdict {
        let over = |since: &i64| self.now > (*since).max(healed_at) + PATIENCE;
        if let Some((attempt, _)) = self.interrupted.iter().find(|(_, since)| over(since)) {
            return Err(format!("INP-2: {attempt} stays interrupted"));
        }
        match self.idle.iter().find(|(_, until)| over(until)) {
            Some((attempt, _)) => Err(format!("INV-LEASE-4: {attempt} is kept beyond its time")),
            None => Ok(()),
        }
    }

    fn run(&self, id: RunId, disk: &Disk) -> Verdict {
        let Some(Row::Run(run)) = disk.row(Key::Run(id)) else { return Ok(()) };
        let lease = run.live_attempt_id.and_then(|attempt| disk.row(Key::Lease(attempt)));
        let turn: BTreeSet<InputId> = match run.input_id {
            Some(lead) => std::iter::once(lead).chain(run.merged.iter().copied()).collect(),
            None => BTreeSet::new(),
        };
        let steers: BTreeSet<InputId> = match &lease {
            Some(Row::Lease(lease)) => lease.steers.iter().copied().collect(),
            _ => BTreeSet::new(),
        };
        let taken = self.taken.get(&id).cloned().unwrap_or_default();
        let others: BTreeSet<InputId> = taken.difference(&turn).copied().collect();
        if others != steers {
            return Err(format!(
                "INV-LEASE-4: {id} has taken {others:?} besides its turn; its lease has the \
                 steers {steers:?}"
            ));
        }
        settle_together(&run, disk)?;
        match lease {
            Some(Row::Lease(lease)) => lease_follows(&run, &lease),
            _ => Ok(()),
        }
    }
}

/// The inputs of one turn have one fate.
fn settle_together(run: &Run, disk: &Disk) -> Verdict {
    let Some(lead) = run.input_id.filter(|_| !run.merged.is_empty()) else { return Ok(()) };
    let fate = |id: InputId| match disk.row(Key::Input(id)) {
        Some(Row::Input(input)) => Some((input.state, input.outcome)),
        _ => None,
    };
    let first = fate(lead);
    match run.merged.iter().find(|id| fate(**id) != first) {
        Some(id) => Err(format!("INP-2: {id} has another fate than {lead}, whose turn it shares")),
        None => Ok(()),
    }
}

fn lease_follows(run: &Run, lease: &Lease) -> Verdict {
    let id = lease.attempt_id;
    let named = match lease.turn {
        Turn::Given(input) | Turn::Open(input) => Some(input),
        Turn::Idle(..) | Turn::Ended(..) => None,
    };
    if named != run.input_id {
        return Err(format!(
            "INV-LEASE-4: {id} has the turn {named:?}, its run {:?}",
            run.input_id
        ));
    }
    if lease.is_idle() != lease.idle_until.is_some() {
        let until = lease.idle_until;
        return Err(format!("INV-LEASE-4: {id} is idle: {}, until {until:?}", lease.is_idle()));
    }
    Ok(())
}

/// INV-TASK-3: while a run of it is carried out a task is running, and waits only when the process
/// has no turn.
fn task_follows(id: TaskId, disk: &Disk) -> Verdict {
    let Some(Row::Task(task)) = disk.row(Key::Task(id)) else { return Ok(()) };
    let run = task.target_run_id.and_then(|run| disk.row(Key::Run(run)));
    let Some(Row::Run(run)) = run else { return Ok(()) };
    let lease = run.live_attempt_id.and_then(|attempt| disk.row(Key::Lease(attempt)));
    let Some(Row::Lease(lease)) = lease else {
        let is_open = !run.status.is_terminal();
        if is_open && task.state != task::State::Queued {
            return Err(format!("INV-TASK-3: {id} is {} between two attempts", task.state));
        }
        return Ok(());
    };
    let follows = match lease.turn {
        Turn::Given(_) | Turn::Open(_) => task.state == task::State::Running,
        Turn::Idle(..) => task.state == task::State::Waiting,
        Turn::Ended(..) => matches!(task.state, task::State::Running | task::State::Waiting),
    };
    let text = || format!("INV-TASK-3: {id} is {} while its lease is {:?}", task.state, lease.turn);
    follows.then_some(()).ok_or_else(text)
}

/// INP-3: an input that was answered `interrupted` has its lease interrupted or stopped, unless
/// the turn has ended in the same batch.
fn was_interrupted(task: TaskId, changes: &[Change<'_>], disk: &Disk) -> Verdict {
    let ends = changes.iter().any(|change| match (change.before, change.after) {
        (Some(Row::Lease(lease)), after) if lease.task_id == task => match after {
            Some(Row::Lease(after)) => after.turn.input_id() != lease.turn.input_id(),
            _ => true,
        },
        _ => false,
    });
    let Some(Row::Task(row)) = disk.row(Key::Task(task)) else { return Ok(()) };
    let run = row.target_run_id.and_then(|run| disk.row(Key::Run(run)));
    let lease = match run {
        Some(Row::Run(run)) => run.live_attempt_id.and_then(|id| disk.row(Key::Lease(id))),
        _ => None,
    };
    let is_told = match lease {
        Some(Row::Lease(lease)) => {
            lease.interrupted
                || lease.state == lease::State::Stopping
                || !matches!(lease.turn, Turn::Open(_) | Turn::Given(_))
        }
        _ => true,
    };
    let text = || format!("INP-3: an input of {task} was to interrupt, and nothing is");
    (is_told || ends).then_some(()).ok_or_else(text)
}

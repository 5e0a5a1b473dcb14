//! Nothing that was accepted is lost: inboxes hold what waits, and a healed world comes to rest
//! with everything in it that clients were told of.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::id::{InputId, TaskId};
use hostler_core::input;
use hostler_core::key::{Key, Row};
use hostler_core::run;
use hostler_core::schedule::Schedule;
use hostler_core::task::{self, Task};

use super::{Change, Verdict};
use crate::disk::Disk;
use crate::world::World;

#[derive(Default)]
pub struct Lost {
    /// Waiting inputs by task.
    waiting: BTreeMap<TaskId, BTreeSet<InputId>>,
    /// Tasks that have not come to rest.
    open: BTreeSet<TaskId>,
}

impl Lost {
    pub fn committed(&mut self, changes: &[Change<'_>], disk: &Disk) -> Verdict {
        let mut touched: BTreeSet<TaskId> = BTreeSet::new();
        for change in changes {
            match (change.before, change.after) {
                (_, Some(Row::Input(input))) => {
                    let waiting = self.waiting.entry(input.task_id).or_default();
                    match input.state {
                        input::State::Waiting => waiting.insert(input.id),
                        input::State::Taken | input::State::Settled => waiting.remove(&input.id),
                    };
                    touched.insert(input.task_id);
                }
                (_, Some(Row::Task(task))) => {
                    touched.insert(task.id);
                    match is_resting(task) {
                        true => self.open.remove(&task.id),
                        false => self.open.insert(task.id),
                    };
                }
                (Some(Row::Task(_) | Row::Input(_) | Row::Run(_)), None) => {
                    return Err(format!("a row is gone: {:?}", change.key));
                }
                _ => {}
            }
        }
        touched.into_iter().try_for_each(|id| self.look_at(id, disk))
    }

    fn look_at(&self, id: TaskId, disk: &Disk) -> Verdict {
        let Some(Row::Task(task)) = disk.row(Key::Task(id)) else {
            return Err(format!("the task {id} has inputs and no row"));
        };
        let inbox: BTreeSet<InputId> = task.inbox.iter().copied().collect();
        let waiting = self.waiting.get(&id).cloned().unwrap_or_default();
        if inbox != waiting || inbox.len() != task.inbox.len() {
            let inbox = &task.inbox;
            return Err(format!("INV-TASK-2: {id} has {inbox:?} in its inbox, not {waiting:?}"));
        }
        if task.state == task::State::Running {
            let run = task.target_run_id.and_then(|run| disk.row(Key::Run(run)));
            match run {
                Some(Row::Run(run)) if !run.status.is_terminal() => {}
                _ => return Err(format!("INV-TASK-3: {id} is running without a live run")),
            }
        }
        Ok(())
    }
}

fn is_resting(task: &Task) -> bool {
    task.state.is_terminal() || task.state == task::State::Waiting
}

impl World {
    /// Nothing more will happen by itself.
    pub fn is_at_rest(&self) -> bool {
        self.clients.iter().all(|client| client.ops.values().all(|op| op.is_answered))
            && self.check.lost.open.is_empty()
            && self.check.lease.lease_count() == 0
            && !self.check.lease.is_anybody_working()
            && self.servers.iter().all(crate::server::Server::is_idle)
            && self.check.schedule.active.is_empty()
    }

    /// A healed world did not come to rest: says what hangs.
    pub fn blame_unrest(&mut self) {
        let ops = self.clients.iter().flat_map(|client| client.ops.values());
        let unanswered = ops.filter(|op| !op.is_answered).count();
        let mut text = format!("{unanswered} commands have no answer");
        for id in self.check.lost.open.clone() {
            if let Some(Row::Task(task)) = self.disk.row(Key::Task(id)) {
                let (state, parked, session) = (task.state, task.parked, &task.session_id);
                text += &format!("; the task {id} of {session} is {state} {parked:?}");
            }
        }
        self.disk.memory.each(|_, _, row| match row {
            Row::Workspace(row) if row.paused => text += &format!("; {} is paused", row.key),
            Row::Instance(row) if row.queued > 0 => {
                let (key, status, needs) = (&row.key, row.status, &row.needs);
                let (probe, held) = (row.probe_at, row.held_until);
                text += &format!("; {key} is {status}, {probe:?}, {held:?}, {needs:?}");
            }
            _ => {}
        });
        let waiting: usize = self.servers.iter().map(|server| server.asked.len()).sum();
        text += &format!("; servers owe {waiting} replies");
        text += &format!("; {} leases are left", self.check.lease.lease_count());
        self.fail("lost", text);
    }

    /// Everything at rest is compared with what clients were told.
    pub fn final_check(&mut self) {
        let verdict = self.told_is_there().and_then(|()| self.rows_at_rest());
        if let Err(text) = verdict {
            self.fail("lost", text);
        }
        if let Err(text) = self.check.order.at_rest(&self.disk) {
            self.fail("order", text);
        }
        if let Err(text) = self.check.budget.at_rest(&self.disk) {
            self.fail("budget", text);
        }
    }

    fn told_is_there(&self) -> Verdict {
        for task in &self.model.tasks {
            if self.disk.row(Key::Task(*task)).is_none() {
                return Err(format!("the task {task} was accepted and is gone"));
            }
        }
        for (key, (_, input)) in &self.model.accepted {
            if self.disk.row(Key::Input(*input)).is_none() {
                return Err(format!("the input {input} of {key} was accepted and is gone"));
            }
        }
        for (task, run) in &self.model.stopped_runs {
            match self.disk.row(Key::Run(*run)) {
                Some(Row::Run(row)) if row.status == run::Status::Cancelled => {}
                Some(Row::Run(row)) => {
                    let status = row.status;
                    return Err(format!("RUN-8: the cancel of {task} left {run} {status}"));
                }
                _ => return Err(format!("the run {run} is gone")),
            }
        }
        Ok(())
    }

    fn rows_at_rest(&self) -> Verdict {
        let mut verdict = Ok(());
        let mut schedules = Vec::new();
        self.disk.memory.each(|key, _, row| {
            let wrong = match row {
                Row::Input(input) => self.input_at_rest(input),
                Row::Run(run) if !run.status.is_terminal() => Some("a run that is live".to_owned()),
                Row::Run(run) if run.status == run::Status::Ok && run.turn_count == 0 => {
                    Some("INV-RUN-2: a run is ok without a turn".to_owned())
                }
                Row::Lease(_) => Some("a lease is left".to_owned()),
                Row::Session(session) if session.live_run.is_some() || session.waiter_count > 0 => {
                    Some("a session is busy".to_owned())
                }
                Row::Instance(row)
                    if row.queued + row.parked + row.taken() + row.idle > 0
                        || row.ready.iter().any(|count| *count > 0) =>
                {
                    Some("an instance counts something".to_owned())
                }
                Row::Worker(row) if !row.reserved.is_nothing() => {
                    Some("INV-WORKER-3: something is reserved".to_owned())
                }
                Row::Schedule(row) => {
                    schedules.push((**row).clone());
                    None
                }
                _ => None,
            };
            if let Some(wrong) = wrong
                && verdict.is_ok()
            {
                verdict = Err(format!("{wrong}: {key:?}"));
            }
        });
        verdict?;
        match schedules.iter().find_map(|row| self.schedule_at_rest(row)) {
            Some(wrong) => Err(wrong),
            None => Ok(()),
        }
    }

    /// What it waits for waits for an answer, and nothing else waits.
    fn schedule_at_rest(&self, schedule: &Schedule) -> Option<String> {
        let waits = |id: &TaskId| match self.disk.row(Key::Task(*id)) {
            Some(Row::Task(task)) => task.state == task::State::Waiting,
            _ => false,
        };
        if !schedule.open_tasks.iter().all(waits) {
            return Some("SCH-4: a schedule waits for a task that rests".to_owned());
        }
        (schedule.open_tasks.is_empty() && !schedule.buffered.is_empty())
            .then(|| "SCH-4: a tick waits for nothing".to_owned())
    }

    /// INV-INPUT-1 at rest; what counts as delivered did reach an agent.
    fn input_at_rest(&self, input: &input::Input) -> Option<String> {
        let outcome = match input.outcome {
            Some(outcome) if input.state == input::State::Settled => outcome,
            _ => return Some("INV-INPUT-1: an input is not settled".to_owned()),
        };
        let is_delivered = self.check.once.was_delivered(input.id);
        let counts = matches!(
            outcome,
            input::Outcome::Turn | input::Outcome::Restarted | input::Outcome::Injected
        );
        (counts && !is_delivered)
            .then(|| "INV-INPUT-1: an input counts as delivered and was not".to_owned())
    }
}

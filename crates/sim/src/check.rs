//! # Checkers
//!
//! **What** What must hold in every world, seen from outside of the engine: over every batch that
//! the disk takes, over every reply, over what workers truly did at which true time, and over
//! everything at rest. The first "no" ends the world.
//!
//! **Invariants** Each message begins with the name of the invariant that is broken; each checker
//! is shown to fail by a mutant.

pub mod budget;
pub mod cap;
pub mod health;
pub mod inbox;
pub mod input;
pub mod lease;
pub mod lost;
pub mod once;
pub mod order;
pub mod pause;
pub mod schedule;
pub mod turn;

use std::collections::BTreeMap;

use hostler_core::batch::Batch;
use hostler_core::capacity::Health;
use hostler_core::command::Answer;
use hostler_core::input as input_row;
use hostler_core::key::{Key, Loaded, Row};
use hostler_core::lease::{Lease, Turn};
use hostler_core::task;

use crate::disk::Disk;
use crate::server::Asker;

/// How often which interesting thing came about: a simulation that never gets there proves nothing.
pub type Tally = BTreeMap<&'static str, u64>;

#[derive(Default)]
pub struct Check {
    pub broken: Option<String>,
    pub tally: Tally,
    pub once: once::Once,
    pub order: order::Order,
    pub lease: lease::Leases,
    pub cap: cap::Caps,
    pub lost: lost::Lost,
    pub input: input::Inputs,
    pub inbox: inbox::Inboxes,
    pub turn: turn::Turns,
    pub schedule: schedule::Schedules,
    pub budget: budget::Budgets,
    pub health: health::Healths,
    pub pause: pause::Pauses,
    /// When the world was healed.
    pub healed_at: Option<i64>,
}

/// A row before and after a batch.
pub struct Change<'a> {
    pub key: &'a Key,
    pub before: Option<&'a Row>,
    pub after: Option<&'a Row>,
}

/// What a checker says: nothing, or what is broken.
pub type Verdict = Result<(), String>;

impl Check {
    /// Several servers write to the store.
    pub fn set_shared(&mut self, is_shared: bool) {
        self.cap.is_shared = is_shared;
        self.budget.is_shared = is_shared;
    }

    pub fn set_now(&mut self, now: i64) {
        self.turn.now = now;
        self.health.now = now;
        self.pause.now = now;
    }

    pub fn fail(&mut self, checker: &'static str, text: String) {
        if self.broken.is_none() {
            self.broken = Some(format!("[{checker}] {text}"));
        }
    }

    fn hear(&mut self, checker: &'static str, verdict: Verdict) {
        if let Err(text) = verdict {
            self.fail(checker, text);
        }
    }

    /// Every batch that was written, with the rows as they were before it.
    pub fn committed(&mut self, batch: &Batch, before: &[Loaded], disk: &Disk) {
        let changes: Vec<Change<'_>> = batch
            .writes
            .iter()
            .zip(before)
            .map(|(write, (key, row))| Change {
                key,
                before: row.as_ref().map(|(_, row)| row),
                after: write.row.as_deref(),
            })
            .collect();
        for change in &changes {
            self.count(change);
        }
        let verdict = self.once.committed(&changes, disk);
        self.hear("once", verdict);
        let verdict = self.order.committed(&changes, batch);
        self.hear("order", verdict);
        let verdict = self.lease.committed(&changes, disk);
        self.hear("lease", verdict);
        let verdict = self.cap.committed(&changes, disk);
        self.hear("cap", verdict);
        let verdict = self.lost.committed(&changes, disk);
        self.hear("lost", verdict);
        let verdict = self.input.committed(&changes, &self.lease, disk);
        self.hear("input", verdict);
        let verdict = self.inbox.committed(&changes, batch);
        self.hear("inbox", verdict);
        let verdict = self.turn.committed(&changes, disk);
        self.hear("turn", verdict);
        let verdict = self.schedule.committed(&changes, batch, &mut self.tally);
        self.hear("schedule", verdict);
        let verdict = self.budget.committed(&changes, disk);
        self.hear("budget", verdict);
        let verdict = self.health.committed(&changes, disk);
        self.hear("health", verdict);
        let verdict = self.pause.committed(&changes);
        self.hear("pause", verdict);
    }

    /// What was said of the workers' doings since the last event.
    pub fn listen(&mut self) {
        if let Some(text) = self.once.spoken.take() {
            self.fail("once", text);
        }
        if let Some(text) = self.lease.spoken.take() {
            self.fail("lease", text);
        }
        if let Some(healed_at) = self.healed_at {
            let verdict = self.turn.listen(healed_at);
            self.hear("turn", verdict);
            let verdict = self.health.listen(healed_at);
            self.hear("health", verdict);
        }
    }

    fn count(&mut self, change: &Change<'_>) {
        let mut one = |name: &'static str| *self.tally.entry(name).or_default() += 1;
        match (change.before, change.after) {
            (_, Some(Row::Snapshot(snapshot))) => {
                let failure = snapshot.payload.get("failure").and_then(|word| word.as_str());
                match failure {
                    Some("poisoned") => one("poisoned"),
                    Some("lost") => one("lost worker"),
                    Some("crashed") => one("crashed"),
                    Some(_) => one("other failure"),
                    None => {}
                }
            }
            (Some(Row::Task(before)), Some(Row::Task(after))) => {
                match (before.state, after.state) {
                    (_, task::State::Cancelled) => one("task cancelled"),
                    (task::State::Waiting, task::State::Queued) => one("answered"),
                    (old, task::State::Queued) if old.is_terminal() => one("restarted"),
                    _ => {}
                }
                if before.parked.is_none() && after.parked == Some(task::Parked::Session) {
                    one("session busy");
                }
            }
            (Some(Row::Instance(before)), Some(Row::Instance(after))) => {
                match (before.status, after.status) {
                    (Health::Healthy | Health::Warning, Health::Degraded) => one("degraded"),
                    (Health::Degraded, Health::Healthy) => one("healed"),
                    _ if before.probe_at.is_some() && after.probe_at.is_none() => one("probe"),
                    _ => {}
                }
                if before.held_until.is_none() && after.held_until.is_some() {
                    one("held by a budget");
                }
            }
            (Some(Row::Lease(before)), Some(Row::Lease(after))) => {
                live(before, after).into_iter().for_each(one);
            }
            (Some(Row::Input(before)), Some(Row::Input(after)))
                if before.outcome != after.outcome =>
            {
                match after.outcome {
                    Some(input_row::Outcome::Injected) => one("injected"),
                    Some(input_row::Outcome::Collected) => one("collected"),
                    Some(input_row::Outcome::Withdrawn) => one("withdrawn"),
                    Some(input_row::Outcome::Dropped) => one("dropped"),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// INV-ENGINE-1: what a reply says is in the store when it is said.
    pub fn durable(&mut self, answer: &Answer, asker: &Asker, disk: &Disk) {
        let verdict = match answer {
            Answer::Accepted(accepted) => {
                let task = disk.row(Key::Task(accepted.task.id)).is_some();
                let input = disk.row(Key::Input(accepted.input.id)).is_some();
                (task && input).then_some(()).ok_or(format!("task {}", accepted.task.id))
            }
            Answer::Cancelled(cancelled) => match disk.row(Key::Task(cancelled.task.id)) {
                Some(Row::Task(row))
                    if row.state == task::State::Cancelled
                        || row.cancel_requested_at.is_some()
                        // An input has begun it anew since, or in the same batch.
                        || row.queued_at != cancelled.task.queued_at
                        || row.queued_at >= cancelled.task.cancel_requested_at
                        || row.updated_at == cancelled.task.updated_at =>
                {
                    Ok(())
                }
                _ => Err(format!("the cancel of {}", cancelled.task.id)),
            },
            Answer::Agent(agent) => {
                let row = disk.row(Key::Agent(agent.id));
                row.is_some().then_some(()).ok_or(format!("agent {}", agent.agent_key))
            }
            Answer::ChunkAcks(acks) => acks.iter().try_for_each(|ack| {
                let stored = self.order.stored_chunks(ack.attempt_id);
                let is_stored = ack.fenced || ack.next_number <= stored;
                is_stored.then_some(()).ok_or(format!("chunks of {}", ack.attempt_id))
            }),
            _ => Ok(()),
        };
        if let Err(what) = verdict {
            let text = format!("INV-ENGINE-1: {asker:?} was told of what is not stored: {what}");
            self.fail("reply", text);
        }
    }
}

/// What happens to a process between its turns and in them.
fn live(before: &Lease, after: &Lease) -> Vec<&'static str> {
    let (old, new) = (before.turn.input_id(), after.turn.input_id());
    let is_idle = matches!(after.turn, Turn::Idle(..));
    let was_ended = matches!(before.turn, Turn::Ended(..));
    let shrinks = after.steers.len() < before.steers.len();
    let begins = old != new && before.steers.contains(&new);
    let happened = [
        (old != new, "next turn"),
        (!before.is_idle() && after.is_idle(), "kept warm"),
        (!before.interrupted && after.interrupted, "interrupted"),
        (after.returned.len() > before.returned.len(), "steer returned"),
        (begins && matches!(before.turn, Turn::Open(_)), "steer is next turn"),
        (begins && matches!(before.turn, Turn::Given(_)), "steer goes before another"),
        (begins && matches!(before.turn, Turn::Idle(..)), "steer begins while idle"),
        (was_ended && shrinks, "steer begins at the end"),
        (is_idle && !after.steers.is_empty(), "steers are to be settled"),
        (before.stop.is_none() && after.stop.is_some(), "stopped"),
    ];
    happened.into_iter().filter_map(|(happens, name)| happens.then_some(name)).collect()
}

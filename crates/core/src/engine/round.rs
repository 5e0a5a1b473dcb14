//! One round: commands that are decided one after the other and committed together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cache::Cache;
use super::txn::{Decided, Halt, Need, Reads, Txn, Writes};
use super::{Config, Offers, Ticket};
use crate::batch::{Batch, Find, Write};
use crate::capacity::claim;
use crate::code::Rejection;
use crate::command::{Answer, Command};
use crate::id::{Ids, Seed, TaskId};
use crate::key::{Key, Loaded, Row, Version};
use crate::time::Timestamp;
use crate::{agent, budget, capacity, input, retention, run, schedule, task, worker, workspace};

#[derive(Debug)]
pub(crate) struct Work {
    pub command: Command,
    pub seed: Seed,
    /// Who is to be answered; `None` for the engine itself.
    pub ticket: Option<Ticket>,
}

#[derive(Debug)]
pub(crate) struct Round {
    pub works: Vec<Work>,
    /// How many of them are decided.
    decided: usize,
    /// How many new tasks may be claimed in the round that accepts them.
    claims_left: usize,
    /// The place of its first command among those of its millisecond (see `id::Ids`).
    first_place: u16,
    pub now: Timestamp,
    pub tries: u32,
    pub reads: Reads,
    pub writes: Writes,
    pub results: Vec<(Option<Ticket>, Result<Answer, Rejection>)>,
}

/// What a round needs next.
pub(crate) enum Step {
    Read(Vec<Key>, Vec<Find>),
    Commit(Batch),
    /// Nothing is to be written.
    Nothing,
}

impl Round {
    pub fn new(works: Vec<Work>, claims_max: usize, now: Timestamp, first_place: u16) -> Self {
        Round {
            works,
            decided: 0,
            claims_left: claims_max,
            first_place,
            now,
            tries: 0,
            reads: Reads::default(),
            writes: Writes::default(),
            results: Vec::new(),
        }
    }

    /// From the start, on rows that are read anew.
    pub fn restart(&mut self, now: Timestamp) {
        self.decided = 0;
        self.now = now;
        self.tries += 1;
        self.reads = Reads::default();
        self.writes = Writes::default();
        self.results.clear();
    }

    /// These keys and all that were read before: what is loaded together is of one moment.
    pub fn with_read(&self, keys: Vec<Key>) -> Vec<Key> {
        let mut all: BTreeSet<Key> = keys.into_iter().collect();
        all.extend(self.reads.rows.keys().cloned());
        all.into_iter().collect()
    }

    /// A row that was decided on has changed since it was read.
    pub fn is_outdated(&self, rows: &[Loaded]) -> bool {
        rows.iter().any(|(key, row)| {
            let version = row.as_ref().map(|(version, _)| *version);
            let before = self.reads.rows.get(key);
            before.is_some_and(|before| before.as_ref().map(|(version, _)| *version) != version)
        })
    }

    pub fn decide(&mut self, config: &Config, offers: &Offers, cache: &mut Cache) -> Step {
        let mut needs = self.decide_known(config, offers, cache);
        if needs.is_empty() && self.claims_left > 0 {
            let claims = self.claims_at_once();
            self.claims_left = 0;
            self.works.extend(claims);
            needs = self.decide_known(config, offers, cache);
        }
        if !needs.is_empty() {
            let (mut keys, mut finds) = (Vec::new(), Vec::new());
            for need in needs {
                match need {
                    Need::Key(key) => keys.push(key),
                    Need::Find(find) => finds.push(find),
                }
            }
            return Step::Read(keys, finds);
        }
        let batch = self.batch();
        match batch.is_empty() {
            true => Step::Nothing,
            false => Step::Commit(batch),
        }
    }

    fn place_of(&self, index: usize) -> u16 {
        u16::try_from(index).unwrap_or(Ids::PLACES).saturating_add(self.first_place)
    }

    /// The place after its last command.
    pub fn end_place(&self) -> u16 {
        self.place_of(self.works.len())
    }

    /// Decides in order until a row is missing; then asks the rest what they will miss too.
    fn decide_known(
        &mut self,
        config: &Config,
        offers: &Offers,
        cache: &mut Cache,
    ) -> BTreeSet<Need> {
        let mut needs = BTreeSet::new();
        for index in self.decided..self.works.len() {
            let work = &self.works[index];
            let place = self.place_of(index);
            let ids = Ids::at(self.now, place, work.seed);
            let reads = &mut self.reads;
            let mut txn = Txn::new(config, offers, self.now, ids, reads, cache, &self.writes);
            match dispatch(&mut txn, &work.command) {
                Err(Halt::Missing(need)) => {
                    needs.insert(need);
                    needs.extend(txn.take_wanted().into_iter().map(Need::Key));
                    wants(&work.command, &mut needs);
                }
                _ if !needs.is_empty() => {}
                Ok(answer) => {
                    let staged = txn.staged;
                    self.writes.merge(staged);
                    self.results.push((work.ticket, Ok(answer)));
                    self.decided = index + 1;
                }
                Err(Halt::Rejected(rejection)) => {
                    self.results.push((work.ticket, Err(rejection)));
                    self.decided = index + 1;
                }
            }
        }
        needs.retain(|need| match need {
            Need::Key(key) => !self.reads.rows.contains_key(key) && cache.get(key).is_none(),
            Need::Find(find) => !self.reads.finds.contains_key(find),
        });
        needs
    }

    /// Claims of tasks that this round queues, of classes in which nobody waits before them: what
    /// can start at once needs no search and no commit of its own. Where there is not a place for
    /// each of them the search says who goes first (DSP-2).
    fn claims_at_once(&self) -> Vec<Work> {
        let mut queued: BTreeMap<&str, Vec<TaskId>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (_, result) in &self.results {
            if let Ok(Answer::Accepted(accepted)) = result
                && accepted.task.is_ready()
                && seen.insert(accepted.task.id)
            {
                queued.entry(&accepted.task.instance_key).or_default().push(accepted.task.id);
            }
        }
        if seen.len() > self.claims_left {
            return Vec::new();
        }
        let alone = |key: &str, count: usize| {
            let row = self.writes.rows.get(&Key::Instance(key.to_owned())).and_then(Option::as_ref);
            let Some(Row::Instance(instance)) = row.map(Arc::as_ref) else { return false };
            (instance.queued - instance.parked) as usize <= count
        };
        let claims = queued.iter().filter(|(key, tasks)| alone(key, tasks.len()));
        let claims = claims.flat_map(|(_, tasks)| tasks);
        let claim = |(index, task): (usize, &TaskId)| {
            let mut ids = Ids::new(self.now, self.works[0].seed ^ index as u64);
            Work { command: Command::Claim(*task), seed: ids.bits(), ticket: None }
        };
        claims.enumerate().map(claim).collect()
    }

    fn batch(&self) -> Batch {
        let (appends, mut trims) = (self.writes.appends.clone(), self.writes.trims.clone());
        // What is appended now is no part of what was to go as a whole.
        let grows = |task| appends.iter().any(|append| append.task_id == task);
        trims.retain(|trim| trim.to_seq != u64::MAX || !grows(trim.task_id));
        let mut batch = Batch { writes: Vec::new(), appends, trims };
        for (key, row) in &self.writes.rows {
            let before = self.reads.rows.get(key).and_then(Option::as_ref);
            if before.map(|(_, row)| row) == row.as_ref() {
                continue;
            }
            let expect = before.map(|(version, _)| *version);
            batch.writes.push(Write { key: key.clone(), expect, row: row.clone() });
        }
        batch
    }

    /// The version of a row of this round's batch once it is committed.
    pub fn version_after(&self, key: &Key, row: &Arc<Row>) -> Version {
        match self.reads.rows.get(key).and_then(Option::as_ref) {
            Some((version, before)) if before == row => *version,
            Some((version, _)) => version + 1,
            None => 1,
        }
    }
}

/// Rows that a command will want whatever the first one says: they are read in the same go.
fn wants(command: &Command, needs: &mut BTreeSet<Need>) {
    let mut keys = Vec::new();
    match command {
        Command::Accept { workspace, accept } => task::accept::wants(*workspace, accept, &mut keys),
        Command::Report { events, .. } => {
            for event in events {
                keys.push(Key::Lease(event.attempt_id));
                keys.push(Key::Attempt(event.attempt_id));
            }
        }
        Command::Append { chunks, .. } => {
            keys.extend(chunks.iter().map(|chunk| Key::Lease(chunk.attempt_id)));
        }
        Command::Beat(beat) => {
            keys.extend(beat.held.iter().map(|held| Key::Lease(held.attempt_id)));
        }
        _ => {}
    }
    needs.extend(keys.into_iter().map(Need::Key));
}

/// Which rule decides which command.
fn dispatch(txn: &mut Txn<'_>, command: &Command) -> Decided<Answer> {
    Ok(match command {
        Command::Accept { workspace, accept } => {
            Answer::Accepted(Box::new(task::accept::decide(txn, *workspace, accept)?))
        }
        Command::Submit { workspace, target, submit } => {
            let accepted = input::submit::decide(txn, *workspace, *target, submit)?;
            Answer::Accepted(Box::new(accepted))
        }
        Command::EditInput { workspace, input, edit } => {
            Answer::Input(Box::new(input::edit::edit(txn, *workspace, *input, edit)?))
        }
        Command::WithdrawInput { workspace, input } => {
            Answer::Input(Box::new(input::edit::withdraw(txn, *workspace, *input)?))
        }
        Command::CancelTask { workspace, task } => {
            Answer::Cancelled(Box::new(task::cancel::task(txn, *workspace, *task)?))
        }
        Command::CancelRun { workspace, run } => {
            Answer::Cancelled(Box::new(task::cancel::run(txn, *workspace, *run)?))
        }
        Command::ArchiveTask { workspace, task } => {
            Answer::Task(Box::new(task::archive::decide(txn, *workspace, *task)?))
        }
        Command::CreateAgent { workspace, create } => {
            Answer::Agent(Box::new(agent::manage::create(txn, *workspace, create)?))
        }
        Command::UpdateAgent { workspace, agent, update } => {
            Answer::Agent(Box::new(agent::manage::update(txn, *workspace, agent, update)?))
        }
        Command::DeleteAgent { workspace, agent } => {
            agent::manage::delete(txn, *workspace, agent)?;
            Answer::Done
        }
        Command::CreateSchedule { workspace, create } => {
            Answer::Schedule(Box::new(schedule::manage::create(txn, *workspace, create)?))
        }
        Command::UpdateSchedule { workspace, id, update } => {
            Answer::Schedule(Box::new(schedule::manage::update(txn, *workspace, *id, update)?))
        }
        Command::DeleteSchedule { workspace, id } => {
            schedule::manage::delete(txn, *workspace, *id)?;
            Answer::Done
        }
        Command::Trigger { workspace, id, idempotency_key } => {
            let key = idempotency_key.as_ref();
            Answer::Accepted(Box::new(schedule::trigger::decide(txn, *workspace, *id, key)?))
        }
        Command::Backfill { workspace, id, backfill } => {
            Answer::Backfilled(schedule::backfill::decide(txn, *workspace, *id, backfill)?)
        }
        Command::Preview(preview) => Answer::Times(schedule::preview::decide(txn.now, preview)?),
        Command::CreateWorkspace { create } => {
            Answer::Workspace(Box::new(workspace::manage::create(txn, create)?))
        }
        Command::UpdateWorkspace { workspace, update } => {
            let updated = workspace::manage::update(txn, *workspace, update)?;
            Answer::Workspace(Box::new(updated))
        }
        Command::UpdateInstance { workspace, key, update } => {
            Answer::Instance(Box::new(capacity::manage::update(txn, *workspace, key, update)?))
        }
        Command::ResetInstance { workspace, key } => {
            Answer::Instance(Box::new(capacity::manage::reset(txn, *workspace, key)?))
        }
        Command::ShowBudget { workspace, agent } => {
            let standing = budget::account::show(txn, *workspace, agent.as_deref())?;
            Answer::Standing(Box::new(standing))
        }
        Command::ResetBudget { workspace, agent } => {
            let standing = budget::account::reset(txn, *workspace, agent.as_deref())?;
            Answer::Standing(Box::new(standing))
        }
        Command::Hello(hello) => Answer::Orders(worker::hello::decide(txn, hello)?),
        Command::Beat(beat) => match worker::beat::decide(txn, beat)? {
            Some(orders) => Answer::Orders(orders),
            None => Answer::UnknownWorker,
        },
        Command::Report { writer, events } => {
            let mut verdicts = Vec::with_capacity(events.len());
            for event in events {
                verdicts.push(run::start::decide(txn, writer, event)?);
            }
            Answer::Verdicts(verdicts)
        }
        Command::Append { writer, chunks } => {
            let mut acks = Vec::with_capacity(chunks.len());
            for chunk in chunks {
                acks.push(worker::append::decide(txn, writer, chunk)?);
            }
            Answer::ChunkAcks(acks)
        }
        Command::Goodbye(writer) => {
            worker::lose::goodbye(txn, writer)?;
            Answer::Done
        }
        Command::Claim(task) => {
            claim::decide(txn, *task)?;
            Answer::Done
        }
        Command::Wake(task) => {
            let now = txn.now;
            claim::wake(txn, *task, now)?;
            Answer::Done
        }
        Command::CloseIdle(attempt) => {
            run::idle::close(txn, *attempt)?;
            Answer::Done
        }
        Command::Reopen(key) => {
            crate::capacity::health::reopen(txn, key)?;
            Answer::Done
        }
        // What it has made is claimed at once where it can be, as after an accept.
        Command::Fire(id) => match schedule::fire::decide(txn, *id)? {
            Some(accepted) => Answer::Accepted(Box::new(accepted)),
            None => Answer::Done,
        },
        Command::Expire { worker, renewal } => {
            worker::lose::expire(txn, worker, *renewal)?;
            Answer::Done
        }
        Command::Trim { task, to_seq } => {
            retention::trim(txn, *task, *to_seq);
            Answer::Done
        }
        Command::Forget { task, emptied } => {
            retention::forget(txn, *task, *emptied)?;
            Answer::Done
        }
    })
}

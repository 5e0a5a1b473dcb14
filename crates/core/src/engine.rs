//! # The engine
//!
//! **What** The one place that decides. Commands go in; what is to be read, written, told and
//! waited for comes out. It has no clock, no I/O and no threads.
//!
//! **The contract** After every [`Engine::handle`] the driver drains [`Engine::poll`] until it
//! returns [`Output::WaitUntil`]. Of `Load`, `Find` and `Commit` at most one is unanswered at a
//! time; its answer goes in through `handle`. `now` never goes back within one engine. A reply
//! and a push are handed out only after the batch that carries them has committed.
//!
//! While a commit is on its way commands gather; the next round takes up to
//! `limits::BATCH_COMMANDS_MAX` of them. Group commit is a property of this shape.
//!
//! **Several servers** The guards of a batch cover the rows that it writes; a rule also reads rows
//! that it does not write, and panics on rows that cannot stand together. So on a shared store a
//! round believes no row from before it ([`Engine::on_shared_store`]), and each `Load` asks again
//! for what the round has read: its rows are of one moment, or it is decided anew.
//!
//! **Invariants** `INV-ENGINE-1`: nothing is told to anyone before it is durable. `INV-ENGINE-2`:
//! every command gets exactly one reply. `INV-ENGINE-3`: deciding is pure, so a round may be
//! decided again on fresh rows. `INV-ENGINE-4`: the reports of a worker's process are decided in
//! the order in which they came: when one is refused, so are all behind it until it connects anew.
//!
//! **Failure** A failed guard: the rows are read anew and the round is decided again. A store that
//! cannot be used: every command of the round is answered `unavailable`, nothing was written.
//!
//! **Not here** The rules (one file for each command, beside its noun), SQL, sockets.

pub mod offers;

mod cache;
mod keep;
mod round;
mod shares;
pub(crate) mod txn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::batch::{Batch, Committed, Due, Find, Found};
use crate::capacity::claim::Assignment;
use crate::code::Rejection;
use crate::command::{Answer, Command};
use crate::id::{AttemptId, IncarnationId, Seed, TaskId, WorkerId, WorkspaceId};
use crate::key::{Key, Loaded, Row, Version};
use crate::lease::Lease;
use crate::limits;
use crate::time::Timestamp;
use cache::Cache;
pub use offers::{Connected, Link, Offers};
use round::{Round, Work};
use shares::Shares;

/// How the engine behaves on this server.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The runtime to use in development where no worker offers the one asked for (POL-4).
    pub fallback_runtime: Option<String>,
    /// How long streams are kept.
    pub retention: crate::retention::Retention,
}

/// Names a question until it is answered.
pub type Ticket = u64;

#[derive(Debug)]
pub enum Input {
    Ask {
        ticket: Ticket,
        command: Command,
        seed: Seed,
    },
    /// The answer to `Output::Load`.
    Loaded(Vec<Loaded>),
    /// The answer to `Output::Find`.
    Found(Find, Found),
    /// The answer to `Output::Commit`.
    Committed(Committed),
    /// The store's "no" to what was asked last.
    Failed(StoreFailure),
    /// A worker has connected; comes before its hello, so that the hello's pushes find it.
    Connected {
        worker: WorkerId,
        connected: Connected,
    },
    Disconnected {
        worker: WorkerId,
        link: Link,
    },
    /// The worker has offered to take this many over the connection in all.
    Offered {
        worker: WorkerId,
        link: Link,
        total: u64,
    },
    /// Time has passed, or a hint came that others have changed the store.
    Tick,
}

/// What is known of the write when the store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFailure {
    /// A guard failed, nothing was written.
    Conflict,
    /// Nothing was written.
    Unavailable,
    /// It may have been written.
    Unknown,
}

#[derive(Debug, PartialEq)]
pub enum Output {
    Load(Vec<Key>),
    Find(Find),
    Commit(Batch),
    Reply(Ticket, Result<Answer, Refused>),
    Push(Link, Push),
    /// The task's stream has grown to this `seq`.
    Appended(TaskId, u64),
    /// Nothing to do before this time or the next input.
    WaitUntil(Timestamp),
}

/// A command that had no effect, or may have had one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    Rejected(Rejection),
    /// The store could not be used; nothing was written.
    Unavailable,
    /// The store did not say: repeat it with the same idempotency key.
    Unknown,
}

/// Something to be told to a worker. It may be lost: the worker's heartbeats bring it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    pub worker_id: WorkerId,
    /// Another start of the worker's process must not get it.
    pub incarnation: IncarnationId,
    pub what: PushKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum PushKind {
    Assign(Box<Assignment>),
    Cancel(AttemptId),
    /// A further message for an execution: into its running turn, or as its next one.
    Give {
        attempt_id: AttemptId,
        term: u64,
        steer: bool,
        input: Box<crate::input::Input>,
    },
    /// Stop this turn; the process stays. It is nothing to another turn.
    Interrupt {
        attempt_id: AttemptId,
        input_id: crate::id::InputId,
    },
    /// No further turn comes.
    Close(AttemptId),
}

impl Push {
    pub(crate) fn assign(assignment: Assignment) -> Push {
        let Lease { worker_id, incarnation, .. } = assignment.lease.clone();
        Push { worker_id, incarnation, what: PushKind::Assign(Box::new(assignment)) }
    }

    /// Something for the worker that holds the lease.
    pub(crate) fn to(lease: &Lease, what: PushKind) -> Push {
        Push { worker_id: lease.worker_id.clone(), incarnation: lease.incarnation, what }
    }
}

/// What the engine waits for.
#[derive(Debug)]
enum Phase {
    Idle,
    /// Rows or searches of the round.
    Reading(Round),
    Committing(Round),
    /// What is due.
    SeekingDue,
    /// Ready work.
    SeekingReady,
    /// Tasks that have rested long enough.
    SeekingRested,
}

#[derive(Debug)]
pub struct Engine {
    config: Config,
    /// Other servers write to the same store.
    is_shared: bool,
    now: Timestamp,
    seeds: crate::id::Ids,
    inbox: VecDeque<Work>,
    outputs: VecDeque<Output>,
    phase: Phase,
    cache: Cache,
    offers: Offers,
    shares: Shares,
    /// The search for ready work begins with the workspace after this one.
    after: WorkspaceId,
    /// Of the current millisecond: the place of the next command (see `id::Ids`).
    next_place: (Timestamp, u16),
    /// Ready work may be there that was not looked for.
    ready: bool,
    /// The last search for ready work was cut by its limit: when that work has moved, look again.
    cut: bool,
    /// When to look for what is due.
    due_at: Timestamp,
    /// The last search was for what is due: when more of it is, ready work goes first.
    due_was_last: bool,
    /// When to look for ready work and timers although nothing told of any.
    floor_at: Timestamp,
    /// When to look for tasks that have rested long enough.
    rested_at: Timestamp,
    /// Processes of workers of which a report was refused (`INV-ENGINE-4`).
    unheard: BTreeSet<IncarnationId>,
    /// For each worker the renewal that was seen last, and since when (see `worker::lose`).
    watched: BTreeMap<WorkerId, (u64, Timestamp)>,
}

impl Engine {
    pub fn new(config: Config, now: Timestamp, seed: Seed) -> Self {
        Engine {
            config,
            is_shared: false,
            now,
            seeds: crate::id::Ids::new(now, seed),
            inbox: VecDeque::new(),
            outputs: VecDeque::new(),
            phase: Phase::Idle,
            cache: Cache::default(),
            offers: Offers::default(),
            shares: Shares::default(),
            after: WorkspaceId(0),
            next_place: (now, 0),
            ready: true,
            cut: false,
            due_at: now,
            due_was_last: false,
            floor_at: now,
            rested_at: now,
            unheard: BTreeSet::new(),
            watched: BTreeMap::new(),
        }
    }

    /// Other servers write to the same store: no row is believed from one round to the next, and
    /// all rows of a round are of one moment.
    pub fn on_shared_store(self) -> Self {
        Engine { is_shared: true, ..self }
    }

    pub fn handle(&mut self, input: Input, now: Timestamp) {
        self.now = self.now.max(now);
        match input {
            Input::Ask { ticket, command, seed } => {
                if let Command::Hello(hello) = &command {
                    // Nothing is given to a process that is being replaced.
                    let writer = &hello.writer;
                    self.offers.forget_other(&writer.worker_id, writer.incarnation);
                }
                let is_heard = match &command {
                    Command::Report { writer, .. } => !self.unheard.contains(&writer.incarnation),
                    _ => true,
                };
                match is_heard {
                    true => self.inbox.push_back(Work { command, seed, ticket: Some(ticket) }),
                    false => {
                        self.outputs.push_back(Output::Reply(ticket, Err(Refused::Unavailable)));
                    }
                }
            }
            Input::Loaded(rows) => self.loaded(rows),
            Input::Found(find, found) => self.found(find, found),
            Input::Committed(committed) => self.committed(committed),
            Input::Failed(failure) => self.failed(failure),
            Input::Connected { worker, connected } => {
                self.unheard.remove(&connected.incarnation);
                self.offers.connect(worker, connected);
                self.ready = true;
            }
            Input::Disconnected { worker, link } => {
                self.offers.disconnect(&worker, link);
                self.ready = true;
            }
            Input::Offered { worker, link, total } => {
                self.offers.offer(&worker, link, total);
                self.ready = true;
            }
            Input::Tick => {}
        }
    }

    pub fn poll(&mut self) -> Output {
        if self.outputs.is_empty() && matches!(self.phase, Phase::Idle) {
            self.begin();
        }
        self.outputs.pop_front().unwrap_or(Output::WaitUntil(self.wakes_at()))
    }

    /// When there is something to do by itself.
    fn wakes_at(&self) -> Timestamp {
        match self.phase {
            Phase::Idle => self.due_at.min(self.floor_at),
            _ => Timestamp::MAX,
        }
    }

    /// Starts the next piece of work, the first of: what is due, ready work, commands. However much
    /// is due, ready work has every second turn, and commands have their part of each round.
    fn begin(&mut self) {
        if self.now >= self.floor_at {
            self.floor_at = self.now + limits::POLL_FLOOR;
            self.ready = true;
            // Another server may have set a timer and be gone.
            self.due_at = self.due_at.min(self.now);
        }
        let ready = if self.ready { self.find_ready() } else { None };
        let ready_first = self.due_was_last && ready.is_some();
        if self.now >= self.due_at && !ready_first {
            self.due_was_last = true;
            self.phase = Phase::SeekingDue;
            self.outputs
                .push_back(Output::Find(Find::Due { now: self.now, limit: limits::DUE_MAX }));
            return;
        }
        self.due_was_last = false;
        if let Some(find) = ready {
            self.ready = false;
            self.phase = Phase::SeekingReady;
            self.outputs.push_back(Output::Find(find));
            return;
        }
        if !self.seek_rested() {
            self.begin_commands();
        }
    }

    /// The search for ready work that the connected workers could take.
    fn find_ready(&self) -> Option<Find> {
        let limit = self.offers.free_in_all().min(limits::READY_MAX);
        let rooms = self.offers.rooms(self.config.fallback_runtime.as_deref());
        (limit > 0).then_some(Find::Ready { rooms, limit, after: self.after })
    }

    /// Decides as far as the rows that are there allow.
    fn advance(&mut self, mut round: Round) {
        match round.decide(&self.config, &self.offers, &mut self.cache) {
            round::Step::Read(keys, finds) => {
                if !keys.is_empty() {
                    let keys = if self.is_shared { round.with_read(keys) } else { keys };
                    self.outputs.push_back(Output::Load(keys));
                } else {
                    let find = finds.into_iter().next().expect("something is missing");
                    self.outputs.push_back(Output::Find(find));
                }
                self.phase = Phase::Reading(round);
            }
            round::Step::Commit(batch) => {
                self.outputs.push_back(Output::Commit(batch));
                self.phase = Phase::Committing(round);
            }
            round::Step::Nothing => {
                self.phase = Phase::Idle;
                self.tell(round);
            }
        }
    }

    fn loaded(&mut self, rows: Vec<Loaded>) {
        let Phase::Reading(mut round) = self.take_phase() else {
            panic!("INV: rows that nobody asked for")
        };
        if self.is_shared && round.is_outdated(&rows) {
            if round.tries >= limits::DECIDE_RETRIES_MAX {
                self.refuse(round, Refused::Unavailable);
                return;
            }
            round.restart(self.now);
        }
        for (key, row) in rows {
            let row = row.map(|(version, row)| (version, Arc::new(row)));
            if let Some((version, row)) = &row {
                if let Row::Worker(worker) = row.as_ref() {
                    self.offers.notice(&worker.id, worker.reserved);
                }
                self.remember(key.clone(), *version, row.clone());
            }
            round.reads.rows.insert(key, row);
        }
        self.advance(round);
    }

    fn found(&mut self, find: Find, found: Found) {
        match (self.take_phase(), found) {
            (Phase::Reading(mut round), found) => {
                round.reads.finds.insert(find, found);
                self.advance(round);
            }
            (Phase::SeekingReady, Found::Ready(found)) => {
                let Find::Ready { limit, .. } = find else {
                    unreachable!("a search for ready work")
                };
                self.cut = found.candidates.len() >= limit || found.last.is_some();
                self.after = found.last.unwrap_or(WorkspaceId(0));
                for task in self.shares.order(found.candidates, limit).into_iter().rev() {
                    self.work_first(Command::Claim(task));
                }
                self.begin_commands();
            }
            (Phase::SeekingDue, Found::Due { due, next }) => {
                self.due_at = next.unwrap_or(Timestamp::MAX);
                for one in due.into_iter().rev() {
                    match one {
                        Due::Task(task) => self.work_first(Command::Wake(task)),
                        Due::Lease(attempt) => self.work_first(Command::CloseIdle(attempt)),
                        Due::Instance(key) => self.work_first(Command::Reopen(key)),
                        Due::Schedule(schedule) => self.work_first(Command::Fire(schedule)),
                        Due::Worker(worker, renewal) => self.watch(worker, renewal),
                    }
                }
                if self.inbox.is_empty() {
                    // Many workers are watched, and none can be given up yet: others have a turn.
                    self.due_at = self.due_at.max(self.now + limits::DUE_PAUSE);
                }
                self.begin_commands();
            }
            (Phase::SeekingRested, Found::Rested(tasks)) => self.found_rested(tasks),
            (_, found) => panic!("INV: a search is answered in kind: {found:?}"),
        }
    }

    /// Goes on with commands without looking for ready work again.
    fn begin_commands(&mut self) {
        if self.inbox.is_empty() {
            return;
        }
        let count = self.inbox.len().min(limits::BATCH_COMMANDS_MAX);
        // While ready work waits to be looked for, nothing goes before it.
        let claims_max = if self.ready || self.cut { 0 } else { self.offers.free_in_all() };
        let works = self.inbox.drain(..count).collect();
        let (at, place) = self.next_place;
        let place = if at == self.now { place } else { 0 };
        let round = Round::new(works, claims_max, self.now, place);
        self.advance(round);
    }

    /// A worker whose lease has run out by the store's word: lost when this engine has seen no
    /// renewal for a whole lease, else looked at again when that would be.
    fn watch(&mut self, worker: WorkerId, renewal: u64) {
        let lost_at = self.seen_since(&worker, renewal) + limits::LEASE;
        if self.now >= lost_at {
            self.work_first(Command::Expire { worker, renewal });
        } else {
            self.due_at = self.due_at.min(lost_at);
        }
    }

    /// Since when this renewal of the worker is the last one that was seen.
    fn seen_since(&mut self, worker: &WorkerId, renewal: u64) -> Timestamp {
        let seen = self.watched.entry(worker.clone()).or_insert((renewal, self.now));
        if seen.0 != renewal {
            *seen = (renewal, self.now);
        }
        seen.1
    }

    fn work_first(&mut self, command: Command) {
        let seed = self.seeds.bits();
        self.inbox.push_front(Work { command, seed, ticket: None });
    }

    fn committed(&mut self, committed: Committed) {
        let Phase::Committing(mut round) = self.take_phase() else {
            panic!("INV: a commit that nobody asked for")
        };
        self.ready |= std::mem::take(&mut self.cut);
        let Committed { last_seqs, trims_done } = committed;
        for (append, &last_seq) in round.writes.appends.iter().zip(&last_seqs) {
            self.outputs.push_back(Output::Appended(append.task_id, last_seq));
        }
        self.trim_what_has_grown(&round.writes.appends, &last_seqs);
        self.trimmed(&round.writes.trims, &trims_done);
        for (key, row) in std::mem::take(&mut round.writes.rows) {
            match row {
                Some(row) => {
                    self.notice(&row);
                    let version = round.version_after(&key, &row);
                    self.remember(key, version, row);
                }
                None => self.cache.forget(&key),
            }
        }
        self.tell(round);
    }

    /// A row as it is in the store, for as long as nobody else writes there.
    fn remember(&mut self, key: Key, version: Version, row: Arc<Row>) {
        if !self.is_shared {
            self.cache.put(key, version, row);
        }
    }

    /// What a row that was just written means for what is to be done next.
    fn notice(&mut self, row: &Row) {
        match row {
            Row::Instance(instance) => {
                self.ready |= instance.is_ready();
                self.due_by(instance.due_at());
            }
            Row::Task(task) => self.due_by(task.wake_at),
            Row::Lease(lease) => self.due_by(lease.idle_until),
            Row::Schedule(schedule) => self.due_by(schedule.fire_at),
            Row::Worker(worker) => {
                // What was given back may be what somebody waits for.
                self.ready |= self.offers.reserved(&worker.id).exceeds(worker.reserved);
                self.offers.notice(&worker.id, worker.reserved);
                self.offers.set_leased(&worker.id, worker.incarnation, worker.until.is_some());
                match worker.until {
                    Some(until) => {
                        self.seen_since(&worker.id, worker.renewal);
                        self.due_at = self.due_at.min(until);
                    }
                    None => {
                        self.watched.remove(&worker.id);
                    }
                }
            }
            Row::Workspace(workspace) => self.ready |= !workspace.paused,
            _ => {}
        }
    }

    fn due_by(&mut self, at: Option<Timestamp>) {
        self.due_at = self.due_at.min(at.unwrap_or(Timestamp::MAX));
    }

    /// Hands out replies and pushes: what they say is durable.
    fn tell(&mut self, round: Round) {
        self.next_place = (round.now, round.end_place());
        for (workspace, weight) in round.writes.served {
            self.shares.give(workspace, weight);
        }
        for (ticket, result) in round.results {
            if let Some(ticket) = ticket {
                self.outputs.push_back(Output::Reply(ticket, result.map_err(Refused::Rejected)));
            }
        }
        for push in round.writes.pushes {
            if let Some(link) = self.offers.link_of(&push.worker_id, push.incarnation) {
                if let PushKind::Assign(_) = push.what {
                    self.offers.give(&push.worker_id);
                }
                self.outputs.push_back(Output::Push(link, push));
            }
        }
    }

    fn failed(&mut self, failure: StoreFailure) {
        let mut round = match self.take_phase() {
            Phase::Reading(round) | Phase::Committing(round) => round,
            // A search that failed is done again when its time comes.
            _ => {
                self.due_at = self.due_at.max(self.now + limits::POLL_FLOOR);
                self.floor_at = self.now + limits::POLL_FLOOR;
                return;
            }
        };
        self.cache.clear();
        if failure == StoreFailure::Conflict && round.tries < limits::DECIDE_RETRIES_MAX {
            round.restart(self.now);
            self.advance(round);
            return;
        }
        let refused = match failure {
            StoreFailure::Conflict | StoreFailure::Unavailable => Refused::Unavailable,
            StoreFailure::Unknown => Refused::Unknown,
        };
        self.refuse(round, refused);
    }

    /// Answers every command of a round that could not be carried out.
    fn refuse(&mut self, round: Round, refused: Refused) {
        self.ready = true;
        self.floor_at = self.now + limits::POLL_FLOOR;
        self.due_at = self.due_at.min(self.now + limits::POLL_FLOOR);
        for work in round.works {
            if let Command::Report { writer, .. } = &work.command {
                self.unheard.insert(writer.incarnation);
            }
            if let Some(ticket) = work.ticket {
                self.outputs.push_back(Output::Reply(ticket, Err(refused.clone())));
            }
        }
        self.refuse_unheard();
    }

    /// Reports behind a refused one: they come again with it, in their order.
    fn refuse_unheard(&mut self) {
        for work in std::mem::take(&mut self.inbox) {
            match (&work.command, work.ticket) {
                (Command::Report { writer, .. }, Some(ticket))
                    if self.unheard.contains(&writer.incarnation) =>
                {
                    self.outputs.push_back(Output::Reply(ticket, Err(Refused::Unavailable)));
                }
                _ => self.inbox.push_back(work),
            }
        }
    }

    fn take_phase(&mut self) -> Phase {
        std::mem::replace(&mut self.phase, Phase::Idle)
    }
}

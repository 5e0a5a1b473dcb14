//! One command's view of the rows: what it has read, what it wants written.
//!
//! **Invariants** Counts are exact by construction: [`Txn::put_task`] and [`Txn::put_lease`] move
//! the counts of the instance and the session with the row (INV-TASK-1, INV-LEASE-3, INV-CAP-2),
//! and with a lease what is reserved on its worker (INV-WORKER-3); [`Txn::put_run`] writes the
//! snapshot that a change of status owes (INV-RUN-4).
//!
//! A read of a row that is not loaded halts the command; the engine loads it and decides again
//! from the start. Deciding is pure, so doing it twice does no harm.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::cache::Cache;
use super::{Config, Offers, Push, PushKind};
use crate::agent::Agent;
use crate::attempt::Attempt;
use crate::batch::{Find, Found};
use crate::budget::Account;
use crate::capacity::Instance;
use crate::code::{Code, Rejection};
use crate::id::{
    AgentId, AttemptId, Ids, InputId, RunId, ScheduleId, TaskId, WorkerId, WorkspaceId,
};
use crate::idempotency::Receipt;
use crate::input::Input;
use crate::key::{Key, Row, Version};
use crate::lease::{Lease, Resources};
use crate::machine::Illegal;
use crate::run::{Run, Snapshot};
use crate::schedule::{Missed, Schedule};
use crate::session::{Session, SessionId};
use crate::stream::{Append, Body, Record, Trim};
use crate::task::{Parked, State, Task};
use crate::time::Timestamp;
use crate::worker::Worker;
use crate::workspace::Workspace;

/// Why a command stopped before its end.
#[derive(Debug)]
pub(crate) enum Halt {
    Missing(Need),
    Rejected(Rejection),
}

/// Something to be read first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    Key(Key),
    Find(Find),
}

impl From<Rejection> for Halt {
    fn from(rejection: Rejection) -> Self {
        Halt::Rejected(rejection)
    }
}

pub(crate) type Decided<T> = Result<T, Halt>;

/// Rows to be written; `None` removes.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub rows: BTreeMap<Key, Option<Arc<Row>>>,
    pub appends: Vec<Append>,
    pub trims: Vec<Trim>,
    pub pushes: Vec<Push>,
    /// How many of the pushes are assignments, by their worker.
    pub assigned: BTreeMap<WorkerId, u32>,
    /// The workspace of each claimed task, and its weight.
    pub served: Vec<(WorkspaceId, u32)>,
}

impl Writes {
    pub fn merge(&mut self, later: Writes) {
        self.rows.extend(later.rows);
        for append in later.appends {
            self.append(append.task_id, append.records);
        }
        for trim in later.trims {
            match self.trims.iter_mut().find(|known| known.task_id == trim.task_id) {
                Some(known) => known.to_seq = known.to_seq.max(trim.to_seq),
                None => self.trims.push(trim),
            }
        }
        self.pushes.extend(later.pushes);
        self.served.extend(later.served);
        for (worker, count) in later.assigned {
            *self.assigned.entry(worker).or_default() += count;
        }
    }

    pub fn append(&mut self, task_id: TaskId, records: Vec<Record>) {
        match self.appends.iter_mut().rev().find(|append| append.task_id == task_id) {
            Some(append) => append.records.extend(records),
            None => self.appends.push(Append { task_id, records }),
        }
    }
}

/// A row as it was read; `None` when there is none.
pub(crate) type Read = Option<(Version, Arc<Row>)>;

/// What has been read in this round, from the cache or the store.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pub rows: BTreeMap<Key, Read>,
    pub finds: BTreeMap<Find, Found>,
}

pub(crate) struct Txn<'a> {
    pub config: &'a Config,
    pub offers: &'a Offers,
    pub now: Timestamp,
    pub ids: Ids,
    reads: RefCell<&'a mut Reads>,
    cache: RefCell<&'a mut Cache>,
    /// Of the commands before this one in the round.
    before: &'a Writes,
    pub staged: Writes,
    /// Rows that will be asked for, should this command have to wait for one (see `want`).
    wanted: RefCell<Vec<Key>>,
}

impl<'a> Txn<'a> {
    pub fn new(
        config: &'a Config,
        offers: &'a Offers,
        now: Timestamp,
        ids: Ids,
        reads: &'a mut Reads,
        cache: &'a mut Cache,
        before: &'a Writes,
    ) -> Self {
        let (reads, cache) = (RefCell::new(reads), RefCell::new(cache));
        let (staged, wanted) = (Writes::default(), RefCell::default());
        Txn { config, offers, now, ids, reads, cache, before, staged, wanted }
    }

    /// Says that this row will be asked for. A command that names its rows before it reads the
    /// first one has all of them loaded in one go.
    pub fn want(&self, key: Key) {
        self.wanted.borrow_mut().push(key);
    }

    pub fn take_wanted(&self) -> Vec<Key> {
        self.wanted.take()
    }

    fn get(&self, key: Key) -> Decided<Option<Arc<Row>>> {
        if let Some(row) = self.staged.rows.get(&key) {
            return Ok(row.clone());
        }
        if let Some(row) = self.before.rows.get(&key) {
            return Ok(row.clone());
        }
        if let Some(found) = self.reads.borrow().rows.get(&key) {
            return Ok(found.as_ref().map(|(_, row)| row.clone()));
        }
        let Some((version, row)) = self.cache.borrow_mut().get(&key).cloned() else {
            return Err(Halt::Missing(Need::Key(key)));
        };
        // The batch is guarded by the version that was decided on.
        self.reads.borrow_mut().rows.insert(key, Some((version, row.clone())));
        Ok(Some(row))
    }

    fn put(&mut self, key: Key, row: Row) {
        self.staged.rows.insert(key, Some(Arc::new(row)));
    }

    pub fn remove(&mut self, key: Key) {
        self.staged.rows.insert(key, None);
    }

    /// The answer of a search. It does not see what this round writes (see `of_round`).
    pub fn find(&self, find: Find) -> Decided<Found> {
        let found = self.reads.borrow().finds.get(&find).cloned();
        found.ok_or(Halt::Missing(Need::Find(find)))
    }

    /// How many executions a worker may still be given.
    pub fn free_slots(&self, worker: &WorkerId) -> u32 {
        let assigned = |writes: &Writes| writes.assigned.get(worker).copied().unwrap_or(0);
        let taken = assigned(self.before) + assigned(&self.staged);
        self.offers.free(worker).saturating_sub(taken)
    }

    pub fn push(&mut self, push: Push) {
        if let PushKind::Assign(_) = push.what {
            *self.staged.assigned.entry(push.worker_id.clone()).or_default() += 1;
        }
        self.staged.pushes.push(push);
    }

    /// A lifecycle event at the end of the task's stream.
    pub fn event(
        &mut self,
        task_id: TaskId,
        run: Option<(RunId, Option<AttemptId>)>,
        event_type: &str,
        payload: Value,
    ) {
        let Value::Object(payload) = payload else { unreachable!("event payloads are objects") };
        let body = Body::Event { event_type: event_type.to_owned(), payload };
        let run_id = run.map(|(run_id, _)| run_id);
        let attempt_id = run.and_then(|(_, attempt_id)| attempt_id);
        let record = Record { ts: self.now, run_id, attempt_id, body };
        self.staged.append(task_id, vec![record]);
    }
}

macro_rules! rows {
    ($($get:ident, $variant:ident($($arg:ident: $arg_type:ty),*) -> $row:ty;)*) => {
        impl Txn<'_> {$(
            pub fn $get(&self, $($arg: $arg_type),*) -> Decided<Option<$row>> {
                let Some(row) = self.get(Key::$variant($($arg),*))? else { return Ok(None) };
                match &*row {
                    Row::$variant(row) => Ok(Some(row.clone())),
                    other => unreachable!("a row of another kind: {other:?}"),
                }
            }
        )*}
    };
}

rows! {
    workspace, Workspace(id: WorkspaceId) -> Workspace;
    agent, Agent(id: AgentId) -> Agent;
    agent_key, AgentKey(workspace: WorkspaceId, key: String) -> AgentId;
    task_row, Task(id: TaskId) -> Box<Task>;
    input, Input(id: InputId) -> Input;
    run_row, Run(id: RunId) -> Box<Run>;
    attempt, Attempt(id: AttemptId) -> Attempt;
    lease, Lease(id: AttemptId) -> Lease;
    session, Session(workspace: WorkspaceId, id: SessionId) -> Session;
    instance, Instance(key: String) -> Instance;
    worker, Worker(id: WorkerId) -> Worker;
    receipt, Receipt(workspace: WorkspaceId, agent: AgentId, key: String) -> Receipt;
    schedule_row, Schedule(id: ScheduleId) -> Box<Schedule>;
    missed, Missed(schedule: ScheduleId, seq: u32) -> Missed;
    account, Account(workspace: WorkspaceId, agent: Option<AgentId>) -> Account;
}

impl Txn<'_> {
    pub fn task(&self, id: TaskId) -> Decided<Option<Task>> {
        Ok(self.task_row(id)?.map(|task| *task))
    }

    pub fn run(&self, id: RunId) -> Decided<Option<Run>> {
        Ok(self.run_row(id)?.map(|run| *run))
    }

    pub fn schedule(&self, id: ScheduleId) -> Decided<Option<Schedule>> {
        Ok(self.schedule_row(id)?.map(|schedule| *schedule))
    }

    /// The schedules of an agent that are not deleted, also those that this round has made.
    pub fn schedules_of(&self, agent: AgentId) -> Decided<Vec<Schedule>> {
        let find = Find::Schedules { agent, limit: crate::limits::AGENT_SCHEDULES_MAX };
        let Found::Schedules(found) = self.find(find)? else {
            unreachable!("a search is answered in kind")
        };
        let mut ids: BTreeSet<ScheduleId> = found.iter().copied().collect();
        let ends = (ScheduleId(Uuid::nil()), ScheduleId(Uuid::max()));
        let of_round = self.of_round(Key::Schedule(ends.0)..=Key::Schedule(ends.1));
        ids.extend(of_round.filter_map(|(_, row)| match row {
            Row::Schedule(schedule) => Some(schedule.id),
            _ => None,
        }));
        ids.iter().for_each(|id| self.want(Key::Schedule(*id)));
        let mut schedules = Vec::with_capacity(ids.len());
        for id in ids {
            let is_its = |row: &Schedule| row.agent_id == agent && row.deleted_at.is_none();
            schedules.extend(self.schedule(id)?.filter(is_its));
        }
        Ok(schedules)
    }

    /// A row that another row names: it must be there.
    pub fn known<T>(&self, row: Decided<Option<T>>) -> Decided<T> {
        Ok(row?.expect("a row that is named exists"))
    }

    /// The leases of a worker, also those that this round has given it.
    pub fn leases_of(&self, worker: &WorkerId) -> Decided<Vec<Lease>> {
        let find = Find::Leases { worker: worker.clone() };
        self.leases(find, |lease| lease.worker_id == *worker)
    }

    /// The leases of a class whose processes are kept warm.
    pub fn idle_leases(&self, instance: &str) -> Decided<Vec<Lease>> {
        let find = Find::Idle { instance: instance.to_owned() };
        self.leases(find, |lease| lease.is_idle() && lease.instance_key == instance)
    }

    /// The classes that a search finds and those of this round, as they are by now.
    pub fn classes(&self, find: Find, fits: impl Fn(&Instance) -> bool) -> Decided<Vec<Instance>> {
        let Found::Classes(found) = self.find(find)? else {
            unreachable!("a search is answered in kind")
        };
        let mut keys: BTreeSet<String> = found.into_iter().collect();
        for (_, row) in self.written() {
            if let Row::Instance(instance) = row {
                keys.insert(instance.key.clone());
            }
        }
        let mut classes = Vec::with_capacity(keys.len());
        for key in keys {
            classes.extend(self.instance(key)?.filter(&fits));
        }
        Ok(classes)
    }

    /// Every workspace by its number, also those of this round.
    pub fn workspaces(&self) -> Decided<BTreeMap<WorkspaceId, String>> {
        let Found::Workspaces(found) = self.find(Find::Workspaces)? else {
            unreachable!("a search is answered in kind")
        };
        let mut workspaces: BTreeMap<WorkspaceId, String> = found.into_iter().collect();
        for (_, row) in self.written() {
            if let Row::Workspace(workspace) = row {
                workspaces.insert(workspace.id, workspace.key.clone());
            }
        }
        Ok(workspaces)
    }

    /// The leases that a search finds and those of this round, as they are by now.
    fn leases(&self, find: Find, fits: impl Fn(&Lease) -> bool) -> Decided<Vec<Lease>> {
        let Found::Leases(found) = self.find(find)? else {
            unreachable!("a search is answered in kind")
        };
        let mut ids: BTreeSet<AttemptId> = found.iter().copied().collect();
        let ends = Key::Lease(AttemptId(Uuid::nil()))..=Key::Lease(AttemptId(Uuid::max()));
        for (_, row) in self.of_round(ends) {
            if let Row::Lease(lease) = row {
                ids.insert(lease.attempt_id);
            }
        }
        let mut leases = Vec::with_capacity(ids.len());
        for id in ids {
            leases.extend(self.lease(id)?.filter(&fits));
        }
        Ok(leases)
    }

    /// The tasks of a session that this round has written.
    pub fn tasks_of_round(&self, session: &Session) -> Vec<Task> {
        let ends = Key::Task(TaskId(Uuid::nil()))..=Key::Task(TaskId(Uuid::max()));
        let tasks = self.of_round(ends).filter_map(|(_, row)| match row {
            Row::Task(task) => Some(task.as_ref()),
            _ => None,
        });
        let is_its = |task: &&Task| {
            task.workspace_id == session.workspace_id && task.session_id == session.id
        };
        tasks.filter(is_its).cloned().collect()
    }

    /// Rows that this round has written, as they are by now: a search does not see them.
    fn of_round(&self, keys: RangeInclusive<Key>) -> impl Iterator<Item = (&Key, &Row)> {
        let before = self.before.rows.range(keys.clone());
        let before = before.filter(|(key, _)| !self.staged.rows.contains_key(*key));
        let rows = before.chain(self.staged.rows.range(keys));
        rows.filter_map(|(key, row)| Some((key, row.as_deref()?)))
    }

    /// All that this round has written, for kinds of which few are written.
    fn written(&self) -> impl Iterator<Item = (&Key, &Row)> {
        let ends = Key::Workspace(WorkspaceId(0))..=Key::Account(WorkspaceId(u64::MAX), None);
        self.of_round(ends)
    }

    /// A task of the workspace, or `task_not_found`.
    pub fn task_in(&self, workspace: WorkspaceId, id: TaskId) -> Decided<Task> {
        let task = self.task(id)?.filter(|task| task.workspace_id == workspace);
        task.ok_or_else(|| {
            Rejection::new(Code::TaskNotFound, format!("there is no task {id}")).into()
        })
    }

    pub fn run_in(&self, workspace: WorkspaceId, id: RunId) -> Decided<Run> {
        let run = self.run(id)?.filter(|run| run.workspace_id == workspace);
        run.ok_or_else(|| Rejection::new(Code::RunNotFound, format!("there is no run {id}")).into())
    }

    pub fn put_workspace(&mut self, workspace: Workspace) {
        self.put(Key::Workspace(workspace.id), Row::Workspace(workspace));
    }

    pub fn put_account(&mut self, key: (WorkspaceId, Option<AgentId>), account: Account) {
        self.put(Key::Account(key.0, key.1), Row::Account(account));
    }

    pub fn put_agent(&mut self, agent: Agent) {
        self.put(Key::Agent(agent.id), Row::Agent(agent));
    }

    pub fn put_agent_key(&mut self, workspace: WorkspaceId, key: String, id: AgentId) {
        self.put(Key::AgentKey(workspace, key), Row::AgentKey(id));
    }

    pub fn put_input(&mut self, mut input: Input) {
        input.updated_at = self.now;
        self.put(Key::Input(input.id), Row::Input(input));
    }

    pub fn put_attempt(&mut self, mut attempt: Attempt) {
        attempt.updated_at = self.now;
        self.put(Key::Attempt(attempt.id), Row::Attempt(attempt));
    }

    pub fn put_session(&mut self, session: Session) {
        self.put(Key::Session(session.workspace_id, session.id.clone()), Row::Session(session));
    }

    pub fn put_instance(&mut self, mut instance: Instance) {
        instance.updated_at = self.now;
        self.put(Key::Instance(instance.key.clone()), Row::Instance(instance));
    }

    /// Writes an instance whose limits have changed; what it keeps warm makes room (INV-CAP-3).
    pub fn change_instance(&mut self, instance: Instance) -> Decided<()> {
        let starved = instance.is_starved().then(|| instance.key.clone());
        self.put_instance(instance);
        match starved {
            Some(key) => crate::run::idle::evict(self, &key),
            None => Ok(()),
        }
    }

    pub fn put_worker(&mut self, mut worker: Worker) {
        worker.updated_at = self.now;
        self.put(Key::Worker(worker.id.clone()), Row::Worker(worker));
    }

    pub fn put_schedule(&mut self, mut schedule: Schedule) {
        schedule.updated_at = self.now;
        self.put(Key::Schedule(schedule.id), Row::Schedule(Box::new(schedule)));
    }

    pub fn put_missed(&mut self, missed: Missed) {
        self.put(Key::Missed(missed.schedule_id, missed.seq), Row::Missed(missed));
    }

    pub fn put_receipt(&mut self, key: Key, receipt: Receipt) {
        self.put(key, Row::Receipt(receipt));
    }

    /// A task that is new in this command.
    pub fn create_task(&mut self, mut task: Task) -> Decided<()> {
        task.rested_at = crate::retention::rested_at(None, &task);
        self.count_task(None, &task)?;
        self.put(Key::Task(task.id), Row::Task(Box::new(task)));
        Ok(())
    }

    pub fn put_task(&mut self, mut task: Task) -> Decided<()> {
        task.updated_at = self.now;
        let before = self.task(task.id)?;
        self.count_task(before.as_ref(), &task)?;
        task.rested_at = crate::retention::rested_at(before.as_ref(), &task);
        let was_open = before.is_some_and(|before| !before.state.is_terminal());
        let rests = was_open && task.state.is_terminal() && task.schedule_id.is_some();
        self.put(Key::Task(task.id), Row::Task(Box::new(task.clone())));
        if rests {
            crate::schedule::fire::rested(self, &task)?;
        }
        Ok(())
    }

    /// Moves the counts that a task is in.
    fn count_task(&mut self, before: Option<&Task>, after: &Task) -> Decided<()> {
        let queued = |task: &Task| task.state == State::Queued;
        let parked = |task: &Task| queued(task) && task.parked.is_some();
        let waits = |task: &Task| queued(task) && task.parked == Some(Parked::Session);
        let step = |test: &dyn Fn(&Task) -> bool| {
            i64::from(test(after)) - i64::from(before.is_some_and(test))
        };
        let (queued, parked, waits) = (step(&queued), step(&parked), step(&waits));
        let ready = |task: Option<&Task>| task.filter(|task| task.is_ready()).map(|t| t.priority);
        let (was_ready, is_ready) = (ready(before), ready(Some(after)));
        if queued != 0 || parked != 0 || was_ready != is_ready {
            let mut instance = self.known(self.instance(after.instance_key.clone()))?;
            instance.queued = moved(instance.queued, queued);
            instance.parked = moved(instance.parked, parked);
            for (priority, step) in [(was_ready, -1), (is_ready, 1)] {
                if let Some(priority) = priority {
                    let count = &mut instance.ready[priority as usize];
                    *count = moved(*count, step);
                }
            }
            match queued > parked {
                true => self.change_instance(instance)?,
                false => self.put_instance(instance),
            }
        }
        if waits != 0 {
            let session = self.session(after.workspace_id, after.session_id.clone());
            let mut session = self.known(session)?;
            session.waiter_count = moved(session.waiter_count, waits);
            self.put_session(session);
        }
        Ok(())
    }

    /// Writes a lease and counts it where its state says; a state that ends it removes it.
    pub fn put_lease(&mut self, lease: Lease) -> Decided<()> {
        let before = self.lease(lease.attempt_id)?;
        self.count_lease(before.as_ref(), &lease)?;
        let key = Key::Lease(lease.attempt_id);
        match lease.state {
            crate::lease::State::Released | crate::lease::State::Expired => self.remove(key),
            _ => {
                self.put(key, Row::Lease(lease));
                return Ok(());
            }
        }
        // Its class may have more leases than it is allowed by now: its end has made no room.
        let instance = self.known(self.instance(lease.instance_key))?;
        match instance.is_starved() {
            true => crate::run::idle::evict(self, &instance.key),
            false => Ok(()),
        }
    }

    pub fn create_lease(&mut self, lease: Lease) -> Decided<()> {
        self.count_lease(None, &lease)?;
        self.put(Key::Lease(lease.attempt_id), Row::Lease(lease));
        Ok(())
    }

    fn count_lease(&mut self, before: Option<&Lease>, after: &Lease) -> Decided<()> {
        let was = before.map(|before| before.state);
        let idle = i64::from(after.is_idle()) - i64::from(before.is_some_and(Lease::is_idle));
        if was != Some(after.state) || idle != 0 {
            let mut instance = self.known(self.instance(after.instance_key.clone()))?;
            if was != Some(after.state) {
                instance.recount(was, Some(after.state));
            }
            instance.idle = moved(instance.idle, idle);
            self.put_instance(instance);
        }
        let takes = |lease: &Lease| match lease.state.is_ended() {
            true => Resources::default(),
            false => lease.resources,
        };
        let (had, has) = (before.map(takes).unwrap_or_default(), takes(after));
        if had != has {
            let mut worker = self.known(self.worker(after.worker_id.clone()))?;
            worker.reserved = worker.reserved.minus(had).plus(has);
            self.put_worker(worker);
        }
        Ok(())
    }

    /// Writes a run; `happened` names what changed its status, for the snapshot that this owes.
    pub fn put_run(&mut self, mut run: Run, happened: Option<(&str, Map<String, Value>)>) {
        run.updated_at = self.now;
        if let Some((event, mut payload)) = happened {
            run.snapshot_seq += 1;
            payload.insert("event".to_owned(), event.into());
            let snapshot = Snapshot {
                run_id: run.id,
                seq: run.snapshot_seq,
                status: run.status,
                started_at: run.started_at,
                ended_at: run.ended_at,
                error: run.error.clone(),
                at: self.now,
                payload,
            };
            self.put(Key::Snapshot(run.id, snapshot.seq), Row::Snapshot(snapshot));
        }
        self.put(Key::Run(run.id), Row::Run(Box::new(run)));
    }
}

fn moved(count: u32, step: i64) -> u32 {
    u32::try_from(i64::from(count) + step).expect("INV-CAP-2: what leaves a count was in it")
}

/// The next state; an illegal move is a bug, and the process ends before it is written.
pub(crate) fn legal<S>(next: Result<S, Illegal>) -> S {
    next.unwrap_or_else(|illegal| panic!("{illegal}"))
}

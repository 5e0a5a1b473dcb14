//! Reading: rows from the store, and what the answers show beside them.
//!
//! **Invariants** A view never writes. Its reads run on the runtime's blocking threads, so a slow
//! disk holds up no connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use hostler_core::agent::Agent;
use hostler_core::capacity::waiting::{self, Around};
use hostler_core::code::Code;
use hostler_core::id::{AgentId, InputId, RunId, ScheduleId, TaskId, WorkerId, WorkspaceId};
use hostler_core::input::Input;
use hostler_core::key::{Key, Row};
use hostler_core::run::Run;
use hostler_core::schedule::Schedule;
use hostler_core::stream::Body;
use hostler_core::task::{State, Task};
use hostler_core::worker::{Status, Worker};
use hostler_core::workspace::Workspace;
use hostler_store::{LogRange, Page, Query, Sequenced, Store};
use hostler_wire::convert::{self, Claim};
use hostler_wire::json;

use super::fault::Fault;

#[derive(Clone)]
pub struct View {
    store: Arc<dyn Store>,
    fallback_runtime: Option<String>,
    /// Workspaces by key: a key never changes its workspace.
    workspaces: Arc<RwLock<BTreeMap<String, WorkspaceId>>>,
}

type Rows = BTreeMap<Key, Row>;

impl View {
    pub fn new(store: Arc<dyn Store>, fallback_runtime: Option<String>) -> Self {
        View { store, fallback_runtime, workspaces: Arc::default() }
    }

    async fn read<T, F>(&self, read: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store) -> Result<T, hostler_store::Error> + Send + 'static,
    {
        let store = self.store.clone();
        let answer = tokio::task::spawn_blocking(move || read(store.as_ref())).await;
        let panicked = |_| Fault::new(Code::Internal, "a read ended before its time");
        Ok(answer.map_err(panicked)??)
    }

    /// The rows of these keys that there are.
    pub async fn rows(&self, keys: BTreeSet<Key>) -> Result<Rows, Fault> {
        if keys.is_empty() {
            return Ok(Rows::new());
        }
        let keys: Vec<Key> = keys.into_iter().collect();
        let loaded = self.read(move |store| store.look(&keys)).await?;
        Ok(loaded.into_iter().filter_map(|(key, row)| Some((key, row?.1))).collect())
    }

    pub async fn row(&self, key: Key) -> Result<Option<Row>, Fault> {
        let mut rows = self.rows(BTreeSet::from([key.clone()])).await?;
        Ok(rows.remove(&key))
    }

    pub async fn scan(&self, query: Query) -> Result<Page, Fault> {
        self.read(move |store| store.scan(&query)).await
    }

    /// A piece of a stream, and the end of the stream after it was read.
    pub async fn records(&self, range: LogRange) -> Result<(Vec<Sequenced>, u64), Fault> {
        let first = range.after + 1;
        let read = move |store: &dyn Store| Ok((store.read(&range)?, store.end(range.task)?));
        let (mut records, end) = self.read(read).await?;
        if let Some(Sequenced { seq, record }) = records.first_mut()
            && let Body::Gap { from_seq, .. } = &mut record.body
        {
            // What was seen before it went is no gap for this reader.
            *from_seq = first.max(*from_seq);
            *seq = *from_seq;
        }
        Ok((records, end))
    }

    pub async fn end(&self, task: TaskId) -> Result<u64, Fault> {
        self.read(move |store| store.end(task)).await
    }

    pub async fn workspace(&self, key: &str) -> Result<Option<WorkspaceId>, Fault> {
        if let Some(id) = self.known_workspace(key) {
            return Ok(Some(id));
        }
        let page = self.scan(Query::Workspaces { after: None, limit: usize::MAX }).await?;
        let mut found = BTreeMap::new();
        for row in page.rows {
            if let Row::Workspace(workspace) = row {
                found.insert(workspace.key, workspace.id);
            }
        }
        let id = found.get(key).copied();
        if let Ok(mut known) = self.workspaces.write() {
            *known = found;
        }
        Ok(id)
    }

    fn known_workspace(&self, key: &str) -> Option<WorkspaceId> {
        self.workspaces.read().ok()?.get(key).copied()
    }

    pub async fn task(&self, workspace: WorkspaceId, id: TaskId) -> Result<Task, Fault> {
        match self.row(Key::Task(id)).await? {
            Some(Row::Task(task)) if task.workspace_id == workspace => Ok(*task),
            _ => Err(Fault::new(Code::TaskNotFound, format!("there is no task {id}"))),
        }
    }

    pub async fn run(&self, workspace: WorkspaceId, id: RunId) -> Result<Run, Fault> {
        match self.row(Key::Run(id)).await? {
            Some(Row::Run(run)) if run.workspace_id == workspace => Ok(*run),
            _ => Err(Fault::new(Code::RunNotFound, format!("there is no run {id}"))),
        }
    }

    pub async fn input(&self, workspace: WorkspaceId, id: InputId) -> Result<Input, Fault> {
        match self.row(Key::Input(id)).await? {
            Some(Row::Input(input)) if input.workspace_id == workspace => Ok(input),
            _ => Err(Fault::new(Code::InputNotFound, format!("there is no input {id}"))),
        }
    }

    pub async fn schedule(
        &self,
        workspace: WorkspaceId,
        id: ScheduleId,
    ) -> Result<Schedule, Fault> {
        let is_there = |row: &Schedule| row.workspace_id == workspace && row.deleted_at.is_none();
        match self.row(Key::Schedule(id)).await? {
            Some(Row::Schedule(schedule)) if is_there(&schedule) => Ok(*schedule),
            _ => Err(Fault::new(Code::ScheduleNotFound, format!("there is no schedule {id}"))),
        }
    }

    /// Schedules with the names of their agents.
    pub async fn schedules_json(
        &self,
        schedules: &[Schedule],
    ) -> Result<Vec<json::Schedule>, Fault> {
        let agents = schedules.iter().map(|schedule| Key::Agent(schedule.agent_id)).collect();
        let agents = self.rows(agents).await?;
        let show = |schedule: &Schedule| match agents.get(&Key::Agent(schedule.agent_id)) {
            Some(Row::Agent(agent)) => convert::schedule(schedule, &agent.name),
            _ => convert::schedule(schedule, ""),
        };
        Ok(schedules.iter().map(show).collect())
    }

    /// The inputs that wait for a task, in their order; at most `limits::INBOX_MAX` and the first.
    pub async fn waiting_inputs(&self, task: &Task) -> Result<Vec<Input>, Fault> {
        let rows = self.rows(task.inbox.iter().copied().map(Key::Input).collect()).await?;
        let inputs = task.inbox.iter().filter_map(|id| match rows.get(&Key::Input(*id)) {
            Some(Row::Input(input)) => Some(input.clone()),
            _ => None,
        });
        Ok(inputs.collect())
    }

    /// The agent with this id or key, if it is not deleted.
    pub async fn agent(&self, workspace: WorkspaceId, given: &str) -> Result<Agent, Fault> {
        let by_id = match given.parse::<AgentId>() {
            Ok(id) => self.row(Key::Agent(id)).await?,
            Err(_) => None,
        };
        let row = match by_id {
            Some(row) => Some(row),
            None => match self.row(Key::AgentKey(workspace, given.to_owned())).await? {
                Some(Row::AgentKey(id)) => self.row(Key::Agent(id)).await?,
                _ => None,
            },
        };
        match row {
            Some(Row::Agent(agent))
                if agent.workspace_id == workspace && agent.deleted_at.is_none() =>
            {
                Ok(agent)
            }
            _ => {
                let text = format!("there is no agent with the id or the key {given:?}");
                Err(Fault::field(Code::AgentNotFound, "agent_id", text))
            }
        }
    }

    pub async fn task_json(&self, task: Task) -> Result<json::Task, Fault> {
        let mut shown = self.tasks_json(vec![task]).await?;
        Ok(shown.remove(0))
    }

    /// Tasks with their first messages, and for queued ones why they wait (DSP-4).
    pub async fn tasks_json(&self, tasks: Vec<Task>) -> Result<Vec<json::Task>, Fault> {
        let mut keys = BTreeSet::new();
        for task in &tasks {
            keys.insert(Key::Input(task.first_input_id));
            if task.state == State::Queued {
                keys.insert(Key::Workspace(task.workspace_id));
                keys.insert(Key::Instance(task.instance_key.clone()));
                keys.insert(Key::Session(task.workspace_id, task.session_id.clone()));
            }
        }
        let waits = tasks.iter().any(|task| task.state == State::Queued);
        let workers = if waits { self.live_workers().await? } else { Vec::new() };
        let rows = self.rows(keys).await?;
        let show = |task: &Task| {
            let first = match rows.get(&Key::Input(task.first_input_id)) {
                Some(Row::Input(input)) => Some(input),
                _ => None,
            };
            convert::task(task, first, self.waiting_on(task, &rows, &workers))
        };
        Ok(tasks.iter().map(show).collect())
    }

    fn waiting_on(&self, task: &Task, rows: &Rows, live: &[Worker]) -> Option<json::WaitingOn> {
        let session = Key::Session(task.workspace_id, task.session_id.clone());
        let (
            Some(Row::Workspace(workspace)),
            Some(Row::Instance(instance)),
            Some(Row::Session(session)),
        ) = (
            rows.get(&Key::Workspace(task.workspace_id)),
            rows.get(&Key::Instance(task.instance_key.clone())),
            rows.get(&session),
        )
        else {
            return None;
        };
        let workers = live.iter().map(|worker| waiting::Worker {
            offer: &worker.offer,
            reserved: worker.reserved,
            free: None,
        });
        let workers: Vec<_> = workers.collect();
        let fallback_runtime = self.fallback_runtime.as_deref();
        let around = Around { workspace, instance, session, workers: &workers, fallback_runtime };
        waiting::waiting_on(task, &around).map(Into::into)
    }

    /// The workers that take work.
    async fn live_workers(&self) -> Result<Vec<Worker>, Fault> {
        let page = self.scan(Query::Workers { after: None, limit: usize::MAX }).await?;
        let live = page.rows.into_iter().filter_map(|row| match row {
            Row::Worker(worker) if worker.status == Status::Available => Some(worker),
            _ => None,
        });
        Ok(live.collect())
    }

    pub async fn whole_workspace(&self, id: WorkspaceId) -> Result<Workspace, Fault> {
        match self.row(Key::Workspace(id)).await? {
            Some(Row::Workspace(workspace)) => Ok(workspace),
            _ => Err(Fault::new(Code::WorkspaceNotFound, format!("there is no workspace {id}"))),
        }
    }

    pub async fn run_json(&self, run: Run) -> Result<json::Run, Fault> {
        let mut shown = self.runs_json(vec![run]).await?;
        Ok(shown.remove(0))
    }

    /// Runs with what their tasks' commands said, and who carries them out.
    pub async fn runs_json(&self, runs: Vec<Run>) -> Result<Vec<json::Run>, Fault> {
        let mut keys = BTreeSet::new();
        for run in &runs {
            keys.insert(Key::Task(run.origin_task_id));
            keys.extend(run.live_attempt_id.map(Key::Lease));
        }
        let mut rows = self.rows(keys).await?;
        let workers: BTreeSet<Key> = rows
            .values()
            .filter_map(|row| match row {
                Row::Lease(lease) => Some(Key::Worker(lease.worker_id.clone())),
                _ => None,
            })
            .collect();
        rows.extend(self.rows(workers).await?);
        let show = |run: &Run| {
            let details = match rows.get(&Key::Task(run.origin_task_id)) {
                Some(Row::Task(task)) => Some(&task.details),
                _ => None,
            };
            convert::run(run, details, claim(run, &rows).as_ref())
        };
        Ok(runs.iter().map(show).collect())
    }
}

fn claim(run: &Run, rows: &Rows) -> Option<Claim> {
    let Some(Row::Lease(lease)) = rows.get(&Key::Lease(run.live_attempt_id?)) else { return None };
    let worker_id: WorkerId = lease.worker_id.clone();
    let worker = match rows.get(&Key::Worker(worker_id.clone())) {
        Some(Row::Worker(worker)) => Some(worker),
        _ => None,
    };
    Some(Claim {
        worker_id: worker_id.0,
        heartbeat_at: worker.map(|worker| worker.updated_at),
        expires_at: worker.and_then(|worker| worker.until),
    })
}

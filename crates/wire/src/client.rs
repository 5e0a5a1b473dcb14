//! A small client of the HTTP API: for the command line and for tests.
//!
//! **What** One method for each call; the types are those of [`json`]. Nothing is repeated
//! here: whether to try again is the caller's business, and so is connecting again to a stream
//! of events ([`Event::cursor`] says where to go on).
//!
//! **Failure** [`ClientError`] tells a "no" of the server from a server that was not reached and
//! from a connection that broke.
//!
//! **Not here** The choice of a TLS provider: the binary installs one before it makes a client.
//!
//! Plain `http` works with tokens too: it is meant for the same machine, and the server of the
//! development mode listens there only.

mod error;
pub mod sse;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use http::{Method, StatusCode, header};
use reqwest::{RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::json::stream::{EVENT_GAP, EVENT_RECORD, EVENT_SNAPSHOT};
use crate::json::{self, Problem, Record, TaskSnapshot};
pub use error::ClientError;

/// A connection that says nothing for so long is dead: the server comments an idle stream of
/// events far more often.
pub const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A server that is there answers a connection within this.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The largest page of a list that is not filtered.
const MOST_ROWS: json::Paged = json::Paged { limit: Some(200), cursor: None };

/// Events of a task in their order.
pub type Events = Pin<Box<dyn Stream<Item = Result<Event, ClientError>> + Send>>;

/// One server-sent event of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Where the task stands: the first one.
    Snapshot(Box<TaskSnapshot>),
    /// A log line, a lifecycle event, or a gap.
    Record(Record),
}

impl Event {
    /// Where to go on after it.
    pub fn cursor(&self) -> Option<u64> {
        match self {
            Event::Snapshot(_) => None,
            Event::Record(record) => Some(record.cursor()),
        }
    }
}

/// A client for one workspace of one server. Cloning is cheap.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    workspace: String,
    token: Option<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({}, workspace {:?})", self.base, self.workspace)
    }
}

impl Client {
    /// A client; nothing is sent yet. It panics without an installed TLS provider.
    pub fn new(base_url: &str, token: Option<&str>, workspace: &str) -> Result<Self, ClientError> {
        let wrong = || ClientError::Request(format!("{base_url:?} is not an http(s) address"));
        let base = Url::parse(base_url).map_err(|_| wrong())?;
        let host = base.host_str().ok_or_else(wrong)?;
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .read_timeout(SILENCE_MAX)
            // A redirect would carry the token to who knows where.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("hostler/", env!("CARGO_PKG_VERSION")));
        http = match base.scheme() {
            // No certificates are needed, and a machine may have none.
            "http" => http.tls_certs_only([]),
            "https" => http,
            _ => return Err(wrong()),
        };
        // A proxy from the environment cannot reach this machine's own loopback.
        if matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
            http = http.no_proxy();
        }
        Ok(Client {
            http: http.build()?,
            workspace: segment(workspace)?.to_owned(),
            token: token.map(str::to_owned),
            base,
        })
    }

    pub fn base(&self) -> &Url {
        &self.base
    }

    pub fn workspace(&self) -> &str {
        &self.workspace
    }

    /// The server is up; the only call that needs no token.
    pub async fn healthz(&self) -> Result<(), ClientError> {
        let request = self.http.get(self.url(&["healthz"])?);
        check(request.send().await?).await.map(|_| ())
    }

    // Agents.

    pub async fn list_agents(&self) -> Result<json::AgentList, ClientError> {
        self.get(&["agents"]).await
    }

    /// The config that a new agent with this key starts from.
    pub async fn agent_defaults(
        &self,
        agent_key: Option<&str>,
    ) -> Result<json::AgentDefaults, ClientError> {
        let query = serde_json::json!({ "agent_key": agent_key });
        self.get_with(&["agents", "defaults"], &query).await
    }

    /// An agent by its id or its key.
    pub async fn get_agent(&self, id: &str) -> Result<json::Agent, ClientError> {
        self.get(&["agents", id]).await
    }

    pub async fn create_agent(
        &self,
        agent: &json::CreateAgent,
    ) -> Result<json::Agent, ClientError> {
        self.post(&["agents"], agent).await
    }

    pub async fn update_agent(
        &self,
        id: &str,
        change: &json::UpdateAgent,
    ) -> Result<json::Agent, ClientError> {
        let request = self.request(Method::PATCH, &["agents", id])?.json(change);
        read(request).await
    }

    pub async fn delete_agent(&self, id: &str) -> Result<(), ClientError> {
        let request = self.request(Method::DELETE, &["agents", id])?;
        check(request.send().await?).await.map(|_| ())
    }

    // Tasks.

    pub async fn create_task(
        &self,
        command: &json::CreateTask,
    ) -> Result<json::Accepted, ClientError> {
        self.post(&["tasks"], command).await
    }

    /// Many commands in one call, each with its own outcome.
    pub async fn create_tasks(
        &self,
        commands: &[json::CreateTask],
    ) -> Result<json::Created, ClientError> {
        #[derive(Serialize)]
        struct Commands<'a> {
            commands: &'a [json::CreateTask],
        }
        self.post(&["tasks", "batch"], &Commands { commands }).await
    }

    pub async fn get_task(&self, id: &str) -> Result<json::Task, ClientError> {
        self.get(&["tasks", id]).await
    }

    pub async fn list_tasks(
        &self,
        filter: &json::ListTasks,
    ) -> Result<json::TaskList, ClientError> {
        self.get_with(&["tasks"], filter).await
    }

    pub async fn cancel_task(&self, id: &str) -> Result<json::TaskMoved, ClientError> {
        read(self.request(Method::POST, &["tasks", id, "cancel"])?).await
    }

    pub async fn archive_task(&self, id: &str) -> Result<json::TaskMoved, ClientError> {
        read(self.request(Method::POST, &["tasks", id, "archive"])?).await
    }

    /// The events of a task after a `seq` (0: all), until the server or the caller ends them.
    /// A dropped stream closes its connection.
    pub async fn events(&self, task_id: &str, after_seq: u64) -> Result<Events, ClientError> {
        let mut request = self
            .request(Method::GET, &["tasks", task_id, "events"])?
            .header(header::ACCEPT, "text/event-stream");
        if after_seq > 0 {
            request = request.header("last-event-id", after_seq.to_string());
        }
        let response = check(request.send().await?).await?;
        let status = response.status();
        let kind = response.headers().get(header::CONTENT_TYPE);
        if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
            let what = "no stream of events".to_owned();
            return Err(ClientError::Answer { status, what, source: None });
        }
        let bytes = response.bytes_stream().map_err(ClientError::from).boxed();
        let state = (bytes, sse::Parser::default());
        let frames = stream::try_unfold(state, |(mut bytes, mut parser)| async move {
            loop {
                if let Some(frame) = parser.next_frame() {
                    return Ok(Some((frame, (bytes, parser))));
                }
                match bytes.try_next().await? {
                    Some(chunk) => {
                        parser.push(&chunk).map_err(|sse::Overlong| ClientError::Overlong)?;
                    }
                    None => return Ok(None),
                }
            }
        });
        let events = frames.try_filter_map(move |frame| async move { event(status, &frame) });
        Ok(events.boxed())
    }

    // Schedules.

    pub async fn list_schedules(
        &self,
        filter: &json::ListSchedules,
    ) -> Result<json::ScheduleList, ClientError> {
        self.get_with(&["schedules"], filter).await
    }

    pub async fn get_schedule(&self, id: &str) -> Result<json::Schedule, ClientError> {
        self.get(&["schedules", id]).await
    }

    pub async fn create_schedule(
        &self,
        schedule: &json::CreateSchedule,
    ) -> Result<json::Schedule, ClientError> {
        self.post(&["schedules"], schedule).await
    }

    pub async fn update_schedule(
        &self,
        id: &str,
        change: &json::UpdateSchedule,
    ) -> Result<json::Schedule, ClientError> {
        read(self.request(Method::PATCH, &["schedules", id])?.json(change)).await
    }

    pub async fn delete_schedule(&self, id: &str) -> Result<(), ClientError> {
        let request = self.request(Method::DELETE, &["schedules", id])?;
        check(request.send().await?).await.map(|_| ())
    }

    /// Makes a task of it now.
    pub async fn trigger_schedule(
        &self,
        id: &str,
        trigger: &json::TriggerSchedule,
    ) -> Result<json::Accepted, ClientError> {
        self.post(&["schedules", id, "trigger"], trigger).await
    }

    pub async fn backfill_schedule(
        &self,
        id: &str,
        fill: &json::BackfillSchedule,
    ) -> Result<json::Backfilled, ClientError> {
        self.post(&["schedules", id, "backfill"], fill).await
    }

    pub async fn list_missed(
        &self,
        id: &str,
        page: &json::Paged,
    ) -> Result<json::MissedList, ClientError> {
        self.get_with(&["schedules", id, "missed"], page).await
    }

    pub async fn preview_schedule(
        &self,
        preview: &json::PreviewSchedule,
    ) -> Result<json::PreviewedTimes, ClientError> {
        self.post(&["schedules", "preview"], preview).await
    }

    // Inputs.

    pub async fn send_input(
        &self,
        task_id: &str,
        input: &json::SendInput,
    ) -> Result<json::InputAccepted, ClientError> {
        self.post(&["tasks", task_id, "inputs"], input).await
    }

    /// The original's way: to the task of a run.
    pub async fn send_run_input(
        &self,
        run_id: &str,
        input: &json::SendInput,
    ) -> Result<json::InputAccepted, ClientError> {
        self.post(&["runs", run_id, "input"], input).await
    }

    pub async fn get_input(&self, id: &str) -> Result<json::Input, ClientError> {
        self.get(&["inputs", id]).await
    }

    pub async fn edit_input(
        &self,
        id: &str,
        edit: &json::EditInput,
    ) -> Result<json::Input, ClientError> {
        read(self.request(Method::PATCH, &["inputs", id])?.json(edit)).await
    }

    /// Takes a waiting input out; the answer is the input with its outcome.
    pub async fn withdraw_input(&self, id: &str) -> Result<json::Input, ClientError> {
        read(self.request(Method::DELETE, &["inputs", id])?).await
    }

    pub async fn list_inputs(&self, task_id: &str) -> Result<json::InputList, ClientError> {
        self.get_with(&["tasks", task_id, "inputs"], &MOST_ROWS).await
    }

    // Runs.

    pub async fn get_run(&self, id: &str) -> Result<json::Run, ClientError> {
        self.get(&["runs", id]).await
    }

    pub async fn list_runs(&self, filter: &json::ListRuns) -> Result<json::RunList, ClientError> {
        self.get_with(&["runs"], filter).await
    }

    pub async fn list_attempts(&self, run_id: &str) -> Result<json::AttemptList, ClientError> {
        self.get(&["runs", run_id, "attempts"]).await
    }

    pub async fn list_snapshots(&self, run_id: &str) -> Result<json::SnapshotList, ClientError> {
        self.get_with(&["runs", run_id, "snapshots"], &MOST_ROWS).await
    }

    pub async fn get_interaction(&self, run_id: &str) -> Result<json::Interaction, ClientError> {
        self.get(&["runs", run_id, "interaction"]).await
    }

    pub async fn cancel_run(&self, id: &str) -> Result<json::RunMoved, ClientError> {
        read(self.request(Method::POST, &["runs", id, "cancel"])?).await
    }

    // What carries runs out.

    pub async fn list_instances(
        &self,
        page: &json::Paged,
    ) -> Result<json::InstanceList, ClientError> {
        self.get_with(&["instances"], page).await
    }

    pub async fn update_instance(
        &self,
        key: &str,
        change: &json::UpdateInstance,
    ) -> Result<json::Instance, ClientError> {
        read(self.request(Method::PATCH, &["instances", key])?.json(change)).await
    }

    /// Healthy again, whatever it failed at.
    pub async fn reset_instance(&self, key: &str) -> Result<json::Instance, ClientError> {
        read(self.request(Method::POST, &["instances", key, "reset"])?).await
    }

    pub async fn get_instance(&self, key: &str) -> Result<json::Instance, ClientError> {
        self.get(&["instances", key]).await
    }

    pub async fn list_workers(&self) -> Result<json::WorkerList, ClientError> {
        self.get(&["workers"]).await
    }

    // Workspaces, and what may be spent.

    pub async fn list_workspaces(
        &self,
        page: &json::Paged,
    ) -> Result<json::WorkspaceList, ClientError> {
        let mut url = self.url(&["api", "v1", "workspaces"])?;
        add_query(&mut url, page)?;
        read(self.authorized(self.http.get(url))).await
    }

    pub async fn create_workspace(
        &self,
        workspace: &json::CreateWorkspace,
    ) -> Result<json::Workspace, ClientError> {
        let url = self.url(&["api", "v1", "workspaces"])?;
        read(self.authorized(self.http.post(url)).json(workspace)).await
    }

    pub async fn get_workspace(&self, key: &str) -> Result<json::Workspace, ClientError> {
        let url = self.url(&["api", "v1", "workspaces", key])?;
        read(self.authorized(self.http.get(url))).await
    }

    pub async fn update_workspace(
        &self,
        key: &str,
        change: &json::UpdateWorkspace,
    ) -> Result<json::Workspace, ClientError> {
        let url = self.url(&["api", "v1", "workspaces", key])?;
        read(self.authorized(self.http.patch(url)).json(change)).await
    }

    /// Of an agent, or of the workspace itself.
    pub async fn budget(&self, agent: Option<&str>) -> Result<json::BudgetStanding, ClientError> {
        match agent {
            Some(agent) => self.get(&["agents", agent, "budget"]).await,
            None => self.get(&["budget"]).await,
        }
    }

    /// Nothing of it is spent, from here on.
    pub async fn reset_budget(
        &self,
        agent: Option<&str>,
    ) -> Result<json::BudgetStanding, ClientError> {
        let request = match agent {
            Some(agent) => self.request(Method::POST, &["agents", agent, "budget", "reset"])?,
            None => self.request(Method::POST, &["budget", "reset"])?,
        };
        read(request).await
    }

    // How requests are made and answers read.

    async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, ClientError> {
        read(self.request(Method::GET, path)?).await
    }

    async fn get_with<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
    ) -> Result<T, ClientError> {
        let mut url = self.workspace_url(path)?;
        add_query(&mut url, query)?;
        read(self.authorized(self.http.get(url))).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        read(self.request(Method::POST, path)?.json(body)).await
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, ClientError> {
        Ok(self.authorized(self.http.request(method, self.workspace_url(path)?)))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    fn workspace_url(&self, path: &[&str]) -> Result<Url, ClientError> {
        let mut full = vec!["api", "v1", "workspaces", &self.workspace];
        full.extend_from_slice(path);
        self.url(&full)
    }

    fn url(&self, path: &[&str]) -> Result<Url, ClientError> {
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        let mut segments = url.path_segments_mut().expect("an http address has a path");
        segments.pop_if_empty();
        for part in path {
            segments.push(segment(part)?);
        }
        drop(segments);
        Ok(url)
    }
}

/// An id as a segment of a path. These three would name another path, encoded or not.
fn segment(id: &str) -> Result<&str, ClientError> {
    match id {
        "" | "." | ".." => Err(ClientError::Request(format!("{id:?} names nothing"))),
        id => Ok(id),
    }
}

/// The fields of a flat struct as a query; absent ones are left out.
fn add_query(url: &mut Url, query: &impl Serialize) -> Result<(), ClientError> {
    let value = serde_json::to_value(query)
        .map_err(|error| ClientError::Request(format!("the query cannot be written: {error}")))?;
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Null => continue,
            Value::String(text) => url.query_pairs_mut().append_pair(name, text),
            other => url.query_pairs_mut().append_pair(name, &other.to_string()),
        };
    }
    Ok(())
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ClientError> {
    let response = check(request.send().await?).await?;
    let status = response.status();
    let body = response.bytes().await?;
    serde_json::from_slice(&body).map_err(|error| unexpected(status, error))
}

/// An answer that is no "no".
async fn check(response: Response) -> Result<Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.bytes().await?;
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Err(problem.into()),
        Err(_) => {
            let text = String::from_utf8_lossy(&body);
            let what = hostler_core::text::shortened(text.trim(), 200);
            let what = if what.is_empty() { "an empty body".to_owned() } else { what.to_owned() };
            Err(ClientError::Answer { status, what, source: None })
        }
    }
}

fn unexpected(status: StatusCode, error: serde_json::Error) -> ClientError {
    let what = "its body cannot be read".to_owned();
    ClientError::Answer { status, what, source: Some(error) }
}

/// An event by its name; names that this build does not know are passed over.
fn event(status: StatusCode, frame: &sse::Frame) -> Result<Option<Event>, ClientError> {
    let event = match frame.event.as_str() {
        EVENT_SNAPSHOT => serde_json::from_str(&frame.data).map(Event::Snapshot),
        EVENT_RECORD | EVENT_GAP => serde_json::from_str(&frame.data).map(Event::Record),
        _ => return Ok(None),
    };
    event.map(Some).map_err(|error| unexpected(status, error))
}

#[cfg(test)]
mod tests;

//! A task's stream: plain pages, long-poll and server-sent events (STR-1, STR-2), and the
//! original's batch (STR-3).

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use hostler_core::code::Code;
use hostler_core::id::{RunId, TaskId, WorkspaceId};
use hostler_core::limits;
use hostler_store::LogRange;
use hostler_wire::convert::{self, Original};
use hostler_wire::json::stream::{LogPage, RecordPage, TaskEventBatch};
use hostler_wire::json::{Problem, Record, TaskSnapshot};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::App;
use super::body::Query;
use super::fault::Fault;
use super::task::task_id;
use super::workspace::InWorkspace;

/// A reader looks again after this long although nobody told it of more: the floor under a hint
/// that got lost.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Records that a live reader holds at a time: few, since there may be many readers.
const RECORDS_AT_ONCE: usize = 64;
/// The longest that a long-poll waits.
const WAIT_MS_MAX: u64 = 60_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogsOf {
    /// Log lines after this `seq`.
    cursor: Option<u64>,
}

/// The log lines of a task in the shape of the original; lifecycle events are left out.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/tasks/{id}/logs", tag = "streams",
    params(("workspace" = String, Path), ("id" = String, Path), LogsOf),
    responses(
        (status = 200, body = LogPage),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn logs(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<LogsOf>,
) -> Result<axum::Json<LogPage>, Fault> {
    let task = app.view.task(workspace, task_id(&id)?).await?;
    let after = query.cursor.unwrap_or(0);
    let records = page(&app, task.id, after, limits::STREAM_PAGE_MAX).await?;
    let next = records.last().map_or(after, Record::cursor);
    let logs = records.into_iter().filter_map(|record| match convert::original(task.id, record) {
        Original::Log(line) => Some(line),
        Original::Event(_) => None,
    });
    Ok(axum::Json(LogPage { logs: logs.collect(), next_cursor: next as i64 }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsOf {
    /// Records after this `seq`; the header `Last-Event-ID` of a reconnect goes before it.
    cursor: Option<u64>,
    /// Records of a plain page: 1 to 1 000, 1 000 when absent.
    limit: Option<usize>,
    /// Long-poll: how long an empty page may wait for a record, at most 60 000.
    wait_ms: Option<u64>,
}

/// The stream of a task. With `Accept: text/event-stream` as server-sent events: `snapshot`
/// first, then `record` and `gap`, each with its `seq` as id, until the reader goes. Otherwise one
/// page as JSON, at once or after at most `wait_ms`.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/tasks/{id}/events", tag = "streams",
    params(("workspace" = String, Path), ("id" = String, Path), EventsOf,
        ("Last-Event-ID" = Option<String>, Header, description = "The last `seq` that was seen.")),
    responses(
        (status = 200, description = "A page, or server-sent events.",
         content((RecordPage = "application/json"), (String = "text/event-stream"))),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn events(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<EventsOf>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let id = task_id(&id)?;
    let after = last_event_id(&headers)?.or(query.cursor).unwrap_or(0);
    app.view.task(workspace, id).await?;
    let accept = headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        return server_sent(app, workspace, id, after).await;
    }
    let limit = query.limit.unwrap_or(limits::STREAM_PAGE_MAX);
    if !(1..=limits::STREAM_PAGE_MAX).contains(&limit) {
        let text = format!("invalid limit: {limit}; allowed: 1 to {}", limits::STREAM_PAGE_MAX);
        return Err(Fault::field(Code::InvalidField, "limit", text));
    }
    let wait = Duration::from_millis(query.wait_ms.unwrap_or(0).min(WAIT_MS_MAX));
    let mut grown = app.tails.follow(id);
    let mut records = page(&app, id, after, limit).await?;
    if records.is_empty() && !wait.is_zero() {
        tokio::select! {
            _ = grown.changed() => {}
            () = tokio::time::sleep(wait) => {}
            () = app.stopping.cancelled() => {}
        }
        records = page(&app, id, after, limit).await?;
    }
    let next_cursor = records.last().map_or(after, Record::cursor);
    let has_more = records.len() == limit;
    Ok(axum::Json(RecordPage { records, next_cursor, has_more }).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let seq = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    seq.map(Some).ok_or_else(|| {
        let text = "the header Last-Event-ID is not a seq: a whole number from 0";
        Fault::field(Code::InvalidField, "Last-Event-ID", text)
    })
}

async fn page(app: &App, task: TaskId, after: u64, limit: usize) -> Result<Vec<Record>, Fault> {
    let records = app.view.records(LogRange { task, after, limit }).await?;
    Ok(records.iter().map(|one| convert::record(one.seq, &one.record)).collect())
}

async fn server_sent(
    app: App,
    workspace: WorkspaceId,
    id: TaskId,
    after: u64,
) -> Result<Response, Fault> {
    // Followed before anything is read: what comes in between is told, never missed.
    let grown = app.tails.follow(id);
    let task = app.view.task(workspace, id).await?;
    let run = match task.target_run_id {
        Some(run) => Some(app.view.run_json(app.view.run(workspace, run).await?).await?),
        None => None,
    };
    let last_seq = app.view.end(id).await?;
    let task = app.view.task_json(task).await?;
    let snapshot = TaskSnapshot { task, run, last_seq };
    let first = Event::default().event("snapshot").json_data(&snapshot);
    let first = first.map_err(|_| Fault::new(Code::Internal, "the snapshot is not plain data"))?;
    let stopping = app.stopping.clone();
    let reader = Reader { app, id, after, grown, stopping, page: Vec::new().into_iter() };
    let records = futures_util::stream::unfold(reader, Reader::next);
    let first = futures_util::stream::once(async move { Ok(first) });
    let events = futures_util::StreamExt::chain(first, records);
    Ok(Sse::new(boxed(events)).keep_alive(KeepAlive::default()).into_response())
}

type Events = std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>;

fn boxed(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Events {
    Box::pin(events)
}

/// One reader of a stream, at its own pace.
struct Reader {
    app: App,
    id: TaskId,
    after: u64,
    grown: watch::Receiver<u64>,
    stopping: CancellationToken,
    page: std::vec::IntoIter<Record>,
}

impl Reader {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Reader)> {
        loop {
            if let Some(record) = self.page.next() {
                self.after = record.cursor();
                let event = Event::default().event(record.event_name()).id(self.after.to_string());
                let event = event.json_data(&record).ok()?;
                return Some((Ok(event), self));
            }
            // A store that cannot be read ends the stream; the reader comes back with its cursor.
            let read = page(&self.app, self.id, self.after, RECORDS_AT_ONCE).await.ok()?;
            if !read.is_empty() {
                self.page = read.into_iter();
                continue;
            }
            tokio::select! {
                _ = self.grown.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = self.stopping.cancelled() => return None,
            }
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BatchOf {
    /// Log lines after this cursor.
    log_cursor: Option<i64>,
    /// Lifecycle events after this cursor.
    run_event_cursor: Option<i64>,
    /// The run that the cursors belong to; when the task has another one, both start anew.
    cursor_run_id: Option<String>,
}

/// What is new of a task since two cursors, in the shape of the original. One poll.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/tasks/{id}/stream", tag = "streams",
    params(("workspace" = String, Path), ("id" = String, Path), BatchOf),
    responses(
        (status = 200, body = TaskEventBatch),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn batch(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<BatchOf>,
) -> Result<axum::Json<TaskEventBatch>, Fault> {
    let task = app.view.task(workspace, task_id(&id)?).await?;
    let run_id = task.target_run_id;
    let same = match query.cursor_run_id.as_deref().map(str::trim) {
        None | Some("") => true,
        Some(text) => text.parse::<RunId>().ok() == run_id,
    };
    let cursor = |given: Option<i64>| match same {
        true => u64::try_from(given.unwrap_or(0)).unwrap_or(0),
        false => 0,
    };
    let (log_after, event_after) = (cursor(query.log_cursor), cursor(query.run_event_cursor));
    let records = page(&app, task.id, log_after.min(event_after), limits::STREAM_PAGE_MAX).await?;
    let end = records.last().map_or(0, Record::cursor);
    let (mut logs, mut run_events) = (Vec::new(), Vec::new());
    for record in records {
        let seq = record.cursor();
        match convert::original(task.id, record) {
            Original::Log(line) if seq > log_after => logs.push(line),
            Original::Event(event) if seq > event_after => run_events.push(event),
            _ => {}
        }
    }
    let waiting = app.view.waiting_inputs(&task).await?;
    let (mut run, mut interaction) = (None, None);
    if let Some(id) = run_id {
        let row = app.view.run(workspace, id).await?;
        interaction = Some(convert::interaction(&row, task.state, &waiting));
        run = Some(app.view.run_json(row).await?);
    }
    Ok(axum::Json(TaskEventBatch {
        task_id: task.id,
        run_id,
        run,
        interaction,
        logs,
        run_events,
        pending_inputs: waiting.iter().map(convert::pending_input).collect(),
        next_log_cursor: log_after.max(end) as i64,
        next_run_event_cursor: event_after.max(end) as i64,
        task: Some(app.view.task_json(task).await?),
    }))
}

//! A task's stream in the shapes of the original (STR-3).
//!
//! **Cursors** Both are a `seq` of the one stream. At 0 the whole stream is read, with the task's
//! message before it when no line of a person says the same. A log cursor beyond the end belongs
//! to another stream: it starts anew. An event cursor beyond the end is the end.

use axum::extract::{Path, State};
use hostler_core::id::RunId;
use hostler_core::limits;
use hostler_core::stream::Channel;
use hostler_core::task::Task;
use hostler_wire::convert::{self, Original};
use hostler_wire::json::Problem;
use hostler_wire::json::stream::{LogPage, RecordPage, TaskEventBatch, TaskLogEntry};
use serde::Deserialize;
use utoipa::IntoParams;

use super::page;
use crate::http::App;
use crate::http::body::Query;
use crate::http::fault::Fault;
use crate::http::task::task_id;
use crate::http::workspace::InWorkspace;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogsOf {
    /// Log lines after this `seq`; what is below 0 is 0, and what is beyond the end starts anew.
    cursor: Option<i64>,
}

/// The log lines of a task in the shape of the original, of up to 1 000 records or 4 MiB;
/// lifecycle events are left out. Before the first ones stands the task's message.
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
    let cursors = Cursors { log: from_zero(query.cursor), event: u64::MAX };
    let (after, RecordPage { records, next_cursor, .. }) = read(&app, &task, cursors).await?;
    let logs = records.into_iter().filter_map(|record| match convert::original(task.id, record) {
        Original::Log(line) => Some(line),
        Original::Event(_) => None,
    });
    let logs = with_prompt(&app, &task, after.log, logs.collect()).await?;
    Ok(axum::Json(LogPage { logs, next_cursor: next_cursor as i64 }))
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
    let given = match same {
        true => {
            Cursors { log: from_zero(query.log_cursor), event: from_zero(query.run_event_cursor) }
        }
        false => Cursors { log: 0, event: 0 },
    };
    let (after, page) = read(&app, &task, given).await?;
    let end = page.next_cursor;
    let (mut logs, mut run_events) = (Vec::new(), Vec::new());
    for record in page.records {
        let seq = record.cursor();
        match convert::original(task.id, record) {
            Original::Log(line) if seq > after.log => logs.push(line),
            Original::Event(event) if seq > after.event => run_events.push(event),
            _ => {}
        }
    }
    let logs = with_prompt(&app, &task, after.log, logs).await?;
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
        next_log_cursor: after.log.max(end) as i64,
        next_run_event_cursor: after.event.max(end) as i64,
        task: Some(app.view.task_json(task).await?),
    }))
}

/// Where a client of the original is.
#[derive(Clone, Copy)]
struct Cursors {
    log: u64,
    event: u64,
}

fn from_zero(given: Option<i64>) -> u64 {
    u64::try_from(given.unwrap_or(0)).unwrap_or(0)
}

/// The page after the lower of both cursors, and where they truly are: none is beyond the end.
async fn read(app: &App, task: &Task, given: Cursors) -> Result<(Cursors, RecordPage), Fault> {
    let end = app.view.end(task.id).await?;
    let log = if given.log > end { 0 } else { given.log };
    let after = Cursors { log, event: given.event.min(end) };
    let page = page(app, task.id, log.min(after.event), limits::STREAM_PAGE_MAX).await?;
    Ok((after, page))
}

/// The first page begins with the task's message, unless a person's line in it says the same.
async fn with_prompt(
    app: &App,
    task: &Task,
    after: u64,
    mut logs: Vec<TaskLogEntry>,
) -> Result<Vec<TaskLogEntry>, Fault> {
    if after > 0 {
        return Ok(logs);
    }
    let first = app.view.input(task.workspace_id, task.first_input_id).await?;
    let prompt = convert::prompt(task, &first);
    let is_same = |line: &TaskLogEntry| {
        line.stream == Channel::User && line.data.trim() == prompt.data.trim()
    };
    if !prompt.data.trim().is_empty() && !logs.iter().any(is_same) {
        logs.insert(0, prompt);
    }
    Ok(logs)
}

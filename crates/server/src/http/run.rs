//! Runs, their attempts and their snapshots.

use axum::extract::{Path, State};
use hostler_core::code::Code;
use hostler_core::command::{Answer, Command};
use hostler_core::id::RunId;
use hostler_core::key::Row;
use hostler_core::limits;
use hostler_core::run::{Run, Status};
use hostler_core::session::SessionId;
use hostler_store::Query as List;
use hostler_store::query::RunFilter;
use hostler_wire::convert::{self, Original};
use hostler_wire::json::stream::RunEventList;
use hostler_wire::json::{
    self, AttemptList, Interaction, ListRuns, Paged, Problem, RunList, RunMoved, Snapshot,
    SnapshotList,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::{self, Query};
use super::fault::Fault;
use super::stream;
use super::task::words;
use super::workspace::InWorkspace;

pub fn run_id(text: &str) -> Result<RunId, Fault> {
    body::id(text, Code::RunNotFound, "run")
}

/// The runs of the workspace, newest first.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/runs", tag = "runs",
    params(("workspace" = String, Path), ListRuns),
    responses(
        (status = 200, body = RunList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn list(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Query(query): Query<ListRuns>,
) -> Result<axum::Json<RunList>, Fault> {
    let limit = body::limit(query.limit)?;
    let agent = match &query.agent_id {
        Some(given) => Some(app.view.agent(workspace, given).await?.id),
        None => None,
    };
    let filter = RunFilter {
        agent,
        task: query.task_id,
        statuses: words("status", query.status.as_deref(), Status::parse, Status::list)?,
        session: query.session_id.map(SessionId),
        created_after: query.created_after.map(|time| time.0),
        created_before: query.created_before.map(|time| time.0),
    };
    let after = body::cursor(query.cursor.as_deref())?;
    let page = app.view.scan(List::Runs { workspace, filter, after, limit }).await?;
    let runs: Vec<Run> = page
        .rows
        .into_iter()
        .filter_map(|row| match row {
            Row::Run(run) => Some(*run),
            _ => None,
        })
        .collect();
    let last = runs.last().map(|run| run.id.to_string());
    Ok(axum::Json(RunList {
        runs: app.view.runs_json(runs).await?,
        next_cursor: last.filter(|_| page.has_more),
        has_more: page.has_more,
    }))
}

/// One run.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/runs/{id}", tag = "runs",
    params(("workspace" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = json::Run),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn get(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<axum::Json<json::Run>, Fault> {
    let run = app.view.run(workspace, run_id(&id)?).await?;
    Ok(axum::Json(app.view.run_json(run).await?))
}

/// Every attempt of a run, in their order.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/runs/{id}/attempts", tag = "runs",
    params(("workspace" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = AttemptList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn attempts(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<axum::Json<AttemptList>, Fault> {
    let run = app.view.run(workspace, run_id(&id)?).await?;
    let page = app.view.scan(List::Attempts { run: run.id }).await?;
    let attempts = page.rows.iter().filter_map(|row| match row {
        Row::Attempt(attempt) => Some(convert::attempt(attempt, &run.policy)),
        _ => None,
    });
    let attempts = attempts.collect();
    Ok(axum::Json(AttemptList { attempts, next_cursor: None, has_more: false }))
}

/// The statuses that a run has had, one snapshot for each change (RUN-10), by `seq`.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/runs/{id}/snapshots", tag = "runs",
    params(("workspace" = String, Path), ("id" = String, Path), Paged),
    responses(
        (status = 200, body = SnapshotList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn snapshots(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<Paged>,
) -> Result<axum::Json<SnapshotList>, Fault> {
    let limit = body::limit(query.limit)?;
    let after_seq = body::cursor(query.cursor.as_deref())?.unwrap_or(0);
    let run = app.view.run(workspace, run_id(&id)?).await?;
    let page = app.view.scan(List::Snapshots { run: run.id, after_seq, limit }).await?;
    let snapshots = page.rows.iter().filter_map(|row| match row {
        Row::Snapshot(snapshot) => Some(convert::snapshot(snapshot)),
        _ => None,
    });
    let snapshots: Vec<Snapshot> = snapshots.collect();
    let last = snapshots.last().map(|snapshot| snapshot.seq.to_string());
    let next_cursor = last.filter(|_| page.has_more);
    Ok(axum::Json(SnapshotList { snapshots, next_cursor, has_more: page.has_more }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunEventsOf {
    /// Events after this `seq` of the task's stream: the `next_cursor` of the page before.
    cursor: Option<u64>,
    /// Events of the page: 1 to 1 000, 1 000 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// The lifecycle events of a run, from its task's stream. A page may be short, or empty, although
/// there are more: at most 4 000 records are gone through for it.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/runs/{id}/events", tag = "runs",
    params(("workspace" = String, Path), ("id" = String, Path), RunEventsOf),
    responses(
        (status = 200, body = RunEventList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn events(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<RunEventsOf>,
) -> Result<axum::Json<RunEventList>, Fault> {
    let limit = stream::page_limit(query.limit)?;
    let run = app.view.run(workspace, run_id(&id)?).await?;
    let task = run.origin_task_id;
    let (mut events, mut next_cursor) = (Vec::new(), query.cursor.unwrap_or(0));
    for _ in 0..limits::STREAM_PAGES_SCANNED_MAX {
        let page = stream::page(&app, task, next_cursor, limits::STREAM_PAGE_MAX).await?;
        for record in page.records {
            if events.len() == limit {
                return Ok(axum::Json(RunEventList { events, next_cursor, has_more: true }));
            }
            next_cursor = record.cursor();
            if record.run_id == Some(run.id)
                && let Original::Event(event) = convert::original(task, record)
            {
                events.push(event);
            }
        }
        if !page.has_more {
            return Ok(axum::Json(RunEventList { events, next_cursor, has_more: false }));
        }
    }
    Ok(axum::Json(RunEventList { events, next_cursor, has_more: true }))
}

/// Whether the run's agent works or waits for a person, and which inputs wait.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/runs/{id}/interaction", tag = "runs",
    params(("workspace" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = Interaction),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn interaction(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<axum::Json<Interaction>, Fault> {
    let run = app.view.run(workspace, run_id(&id)?).await?;
    let task = app.view.task(workspace, run.origin_task_id).await?;
    let inputs = app.view.waiting_inputs(&task).await?;
    Ok(axum::Json(convert::interaction(&run, task.state, &inputs)))
}

/// Cancels a run, and its task with it (RUN-8).
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/runs/{id}/cancel", tag = "runs",
    params(("workspace" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = RunMoved),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn cancel(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<axum::Json<RunMoved>, Fault> {
    let run = run_id(&id)?;
    match app.handle.ask(Command::CancelRun { workspace, run }).await? {
        Answer::Cancelled(_) => {}
        other => unreachable!("a command is answered in kind: {other:?}"),
    }
    let run = app.view.run(workspace, run).await?;
    let run = app.view.run_json(run).await?;
    Ok(axum::Json(RunMoved { status: "cancelled".to_owned(), run }))
}

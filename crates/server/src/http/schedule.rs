//! Schedules: rules that make tasks (SCH-1 to SCH-5).

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use hostler_core::code::Code;
use hostler_core::command::{Answer, Command};
use hostler_core::id::ScheduleId;
use hostler_core::key::Row;
use hostler_core::schedule::Schedule;
use hostler_store::Query as List;
use hostler_wire::convert;
use hostler_wire::json::{
    self, BackfillSchedule, CreateSchedule, ListSchedules, Paged, PreviewSchedule, Problem,
    TriggerSchedule, UpdateSchedule,
};

use super::App;
use super::body::{self, Json, JsonOrNothing, Query};
use super::fault::Fault;
use super::task;
use super::workspace::InWorkspace;

/// The schedules of the workspace, newest first.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/schedules", tag = "schedules",
    params(("workspace" = String, Path, description = "The workspace's key: `default`."),
           ListSchedules),
    responses(
        (status = 200, body = json::ScheduleList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn list(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Query(query): Query<ListSchedules>,
) -> Result<axum::Json<json::ScheduleList>, Fault> {
    let limit = body::limit(query.limit)?;
    let agent = match &query.agent_id {
        Some(given) => Some(app.view.agent(workspace, given).await?.id),
        None => None,
    };
    let after = body::cursor(query.cursor.as_deref())?;
    let page = app.view.scan(List::Schedules { workspace, agent, after, limit }).await?;
    let schedules: Vec<Schedule> = page
        .rows
        .into_iter()
        .filter_map(|row| match row {
            Row::Schedule(schedule) => Some(*schedule),
            _ => None,
        })
        .collect();
    let last = schedules.last().map(|schedule| schedule.id.to_string());
    Ok(axum::Json(json::ScheduleList {
        schedules: app.view.schedules_json(&schedules).await?,
        next_cursor: last.filter(|_| page.has_more),
        has_more: page.has_more,
    }))
}

/// Makes a schedule. A rule that can never fire, or an unknown timezone, is refused.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/schedules", tag = "schedules",
    params(("workspace" = String, Path)),
    request_body = CreateSchedule,
    responses(
        (status = 201, body = json::Schedule),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn create(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Json(body): Json<CreateSchedule>,
) -> Result<(StatusCode, axum::Json<json::Schedule>), Fault> {
    let create = Box::new(body.into_command());
    let schedule = changed(&app, Command::CreateSchedule { workspace, create }).await?;
    Ok((StatusCode::CREATED, schedule))
}

/// The next times of a rule, without a schedule.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/schedules/preview", tag = "schedules",
    params(("workspace" = String, Path)),
    request_body = PreviewSchedule,
    responses(
        (status = 200, body = json::PreviewedTimes),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn preview(
    State(app): State<App>,
    InWorkspace(_): InWorkspace,
    Json(body): Json<PreviewSchedule>,
) -> Result<axum::Json<json::PreviewedTimes>, Fault> {
    match app.handle.ask(Command::Preview(Box::new(body.into_command()))).await? {
        Answer::Times(times) => Ok(axum::Json(json::PreviewedTimes { times })),
        other => unreachable!("a command is answered in kind: {other:?}"),
    }
}

/// One schedule.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/schedules/{id}", tag = "schedules",
    params(("workspace" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = json::Schedule),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn get(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<axum::Json<json::Schedule>, Fault> {
    let schedule = app.view.schedule(workspace, schedule_id(&id)?).await?;
    shown(&app, schedule).await
}

/// Changes a schedule. `active: false` pauses it; `active: true` lets it go on with the next tick
/// from now. A new rule begins now.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}/schedules/{id}", tag = "schedules",
    params(("workspace" = String, Path), ("id" = String, Path)),
    request_body = UpdateSchedule,
    responses(
        (status = 200, body = json::Schedule),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn update(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Json(body): Json<UpdateSchedule>,
) -> Result<axum::Json<json::Schedule>, Fault> {
    let (id, update) = (schedule_id(&id)?, Box::new(body.into_command()));
    changed(&app, Command::UpdateSchedule { workspace, id, update }).await
}

/// Removes a schedule; its tasks go on to their end.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/schedules/{id}", tag = "schedules",
    params(("workspace" = String, Path), ("id" = String, Path)),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn delete(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Fault> {
    let id = schedule_id(&id)?;
    app.handle.ask(Command::DeleteSchedule { workspace, id }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a task of the schedule now, whatever its rule, its pause or its open tasks say.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/schedules/{id}/trigger", tag = "schedules",
    params(
        ("workspace" = String, Path), ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header,
         description = "The same as `idempotency_key` in the body.")),
    request_body = Option<TriggerSchedule>,
    responses(
        (status = 202, description = "A new task.", body = json::Accepted),
        (status = 200, description = "The same key came before.", body = json::Accepted),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn trigger(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    JsonOrNothing(body): JsonOrNothing<TriggerSchedule>,
) -> Result<(StatusCode, axum::Json<json::Accepted>), Fault> {
    let id = schedule_id(&id)?;
    let idempotency_key = body::one_key(body.idempotency_key, &headers)?;
    let command = Command::Trigger { workspace, id, idempotency_key };
    let accepted = task::accepted(&app, command).await?;
    let status = task::status_of(&accepted);
    Ok((status, axum::Json(task::accepted_json(&app, workspace, accepted).await?)))
}

/// Fires the ticks of a time that has passed: at most 1 000, all or none. Each fires once: one
/// that has fired is answered with its task.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/schedules/{id}/backfill", tag = "schedules",
    params(("workspace" = String, Path), ("id" = String, Path)),
    request_body = BackfillSchedule,
    responses(
        (status = 200, body = json::Backfilled),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn backfill(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Json(body): Json<BackfillSchedule>,
) -> Result<axum::Json<json::Backfilled>, Fault> {
    let (id, backfill) = (schedule_id(&id)?, body.into_command());
    match app.handle.ask(Command::Backfill { workspace, id, backfill }).await? {
        Answer::Backfilled(filled) => Ok(axum::Json(convert::backfilled(&filled))),
        other => unreachable!("a command is answered in kind: {other:?}"),
    }
}

/// The ticks of a schedule that did not fire, the last ones first.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/schedules/{id}/missed", tag = "schedules",
    params(("workspace" = String, Path), ("id" = String, Path), Paged),
    responses(
        (status = 200, body = json::MissedList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn missed(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<Paged>,
) -> Result<axum::Json<json::MissedList>, Fault> {
    let limit = body::limit(query.limit)?;
    let before = match query.cursor.as_deref().filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            let text = format!("invalid cursor: {text:?}; allowed: the next_cursor of a page");
            Fault::field(Code::InvalidField, "cursor", text)
        })?),
    };
    let schedule = app.view.schedule(workspace, schedule_id(&id)?).await?.id;
    let page = app.view.scan(List::Missed { schedule, before, limit }).await?;
    let missed = page.rows.iter().filter_map(|row| match row {
        Row::Missed(missed) => Some(convert::missed(missed)),
        _ => None,
    });
    let missed: Vec<_> = missed.collect();
    let last = missed.last().map(|range| range.seq.to_string());
    let (next_cursor, has_more) = (last.filter(|_| page.has_more), page.has_more);
    Ok(axum::Json(json::MissedList { missed, next_cursor, has_more }))
}

fn schedule_id(text: &str) -> Result<ScheduleId, Fault> {
    body::id(text, Code::ScheduleNotFound, "schedule")
}

async fn changed(app: &App, command: Command) -> Result<axum::Json<json::Schedule>, Fault> {
    match app.handle.ask(command).await? {
        Answer::Schedule(schedule) => shown(app, *schedule).await,
        other => unreachable!("a command is answered in kind: {other:?}"),
    }
}

async fn shown(app: &App, schedule: Schedule) -> Result<axum::Json<json::Schedule>, Fault> {
    Ok(axum::Json(app.view.schedules_json(&[schedule]).await?.remove(0)))
}

//! Workspaces, and the one of a path.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use hostler_core::code::Code;
use hostler_core::command::{Answer, Command};
use hostler_core::id::WorkspaceId;
use hostler_core::key::Row;
use hostler_store::Query as List;
use hostler_wire::convert;
use hostler_wire::json::{
    CreateWorkspace, Paged, Problem, UpdateWorkspace, Workspace, WorkspaceList,
};

use super::App;
use super::body::{self, Json, Query};
use super::fault::Fault;

/// The workspace that the path names by its key.
pub struct InWorkspace(pub WorkspaceId);

impl FromRequestParts<App> for InWorkspace {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, app).await;
        let key = path.ok().and_then(|mut path| path.0.remove("workspace")).unwrap_or_default();
        app.view.workspace(&key).await?.map(InWorkspace).ok_or_else(|| {
            Fault::new(Code::WorkspaceNotFound, format!("there is no workspace {key:?}"))
        })
    }
}

/// The workspaces, by number.
#[utoipa::path(
    get, path = "/api/v1/workspaces", tag = "workspaces",
    params(Paged),
    responses(
        (status = 200, body = WorkspaceList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn list(
    State(app): State<App>,
    Query(query): Query<Paged>,
) -> Result<axum::Json<WorkspaceList>, Fault> {
    let limit = body::limit(query.limit)?;
    let after = match query.cursor.as_deref() {
        None | Some("") => None,
        Some(text) => Some(WorkspaceId(text.parse().map_err(|_| {
            let text = format!("invalid cursor: {text:?}; allowed: the next_cursor of a page");
            Fault::field(Code::InvalidField, "cursor", text)
        })?)),
    };
    let page = app.view.scan(List::Workspaces { after, limit }).await?;
    let workspaces = page.rows.iter().filter_map(|row| match row {
        Row::Workspace(workspace) => Some(convert::workspace(workspace)),
        _ => None,
    });
    let workspaces: Vec<_> = workspaces.collect();
    let last = workspaces.last().map(|workspace| workspace.id.to_string());
    let next_cursor = last.filter(|_| page.has_more);
    Ok(axum::Json(WorkspaceList { workspaces, next_cursor, has_more: page.has_more }))
}

/// Makes a workspace.
#[utoipa::path(
    post, path = "/api/v1/workspaces", tag = "workspaces",
    request_body = CreateWorkspace,
    responses(
        (status = 201, body = Workspace),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn create(
    State(app): State<App>,
    Json(body): Json<CreateWorkspace>,
) -> Result<(StatusCode, axum::Json<Workspace>), Fault> {
    let create = Box::new(body.into_command());
    let made = changed(&app, Command::CreateWorkspace { create }).await?;
    Ok((StatusCode::CREATED, made))
}

/// One workspace, by its key.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}", tag = "workspaces",
    params(("workspace" = String, Path)),
    responses(
        (status = 200, body = Workspace),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn get(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
) -> Result<axum::Json<Workspace>, Fault> {
    let workspace = app.view.whole_workspace(workspace).await?;
    Ok(axum::Json(convert::workspace(&workspace)))
}

/// Pauses or resumes it, sets its share and its budget.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}", tag = "workspaces",
    params(("workspace" = String, Path)),
    request_body = UpdateWorkspace,
    responses(
        (status = 200, body = Workspace),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn update(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Json(body): Json<UpdateWorkspace>,
) -> Result<axum::Json<Workspace>, Fault> {
    let update = Box::new(body.into_command());
    changed(&app, Command::UpdateWorkspace { workspace, update }).await
}

async fn changed(app: &App, command: Command) -> Result<axum::Json<Workspace>, Fault> {
    match app.handle.ask(command).await? {
        Answer::Workspace(workspace) => Ok(axum::Json(convert::workspace(&workspace))),
        other => unreachable!("a command is answered in kind: {other:?}"),
    }
}

//! Instances: what they are, and a person's hand on them (INS-2).

use axum::extract::{Path, State};
use hostler_core::code::Code;
use hostler_core::command::{Answer, Command};
use hostler_core::key::{Key, Row};
use hostler_store::Query as List;
use hostler_wire::convert;
use hostler_wire::json::{self, InstanceList, Paged, Problem, UpdateInstance};

use super::App;
use super::body::{self, Json, Query};
use super::fault::Fault;
use super::workspace::InWorkspace;

/// The instances of the workspace, newest first: one for each execution class that was ever used.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/instances", tag = "instances",
    params(("workspace" = String, Path), Paged),
    responses(
        (status = 200, body = InstanceList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn list(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Query(query): Query<Paged>,
) -> Result<axum::Json<InstanceList>, Fault> {
    let (limit, after) = (body::limit(query.limit)?, query.cursor);
    let page = app.view.scan(List::Instances { workspace, after, limit }).await?;
    let instances = page.rows.iter().filter_map(|row| match row {
        Row::Instance(instance) => Some(convert::instance(instance)),
        _ => None,
    });
    let instances: Vec<_> = instances.collect();
    let last = instances.last().map(|instance| instance.instance_key.clone());
    let next_cursor = last.filter(|_| page.has_more);
    Ok(axum::Json(InstanceList { instances, next_cursor, has_more: page.has_more }))
}

/// One instance, by its execution class key.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/instances/{key}", tag = "instances",
    params(("workspace" = String, Path), ("key" = String, Path)),
    responses(
        (status = 200, body = json::Instance),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn get(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, key)): Path<(String, String)>,
) -> Result<axum::Json<json::Instance>, Fault> {
    let wanted = Key::Instance(key.clone());
    let mut rows = app.view.rows([wanted.clone()].into()).await?;
    match rows.remove(&wanted) {
        Some(Row::Instance(instance)) if instance.workspace_id == workspace => {
            Ok(axum::Json(convert::instance(&instance)))
        }
        _ => Err(Fault::new(Code::NotFound, format!("there is no instance {key:?}"))),
    }
}

/// Sets how much of it may run, how many failures degrade it, and its share.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}/instances/{key}", tag = "instances",
    params(("workspace" = String, Path), ("key" = String, Path)),
    request_body = UpdateInstance,
    responses(
        (status = 200, body = json::Instance),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn update(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, key)): Path<(String, String)>,
    Json(body): Json<UpdateInstance>,
) -> Result<axum::Json<json::Instance>, Fault> {
    let update = Box::new(body.into_command());
    changed(&app, Command::UpdateInstance { workspace, key, update }).await
}

/// Makes it healthy, whatever it was: its tasks may start at once.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/instances/{key}/reset", tag = "instances",
    params(("workspace" = String, Path), ("key" = String, Path)),
    responses(
        (status = 200, body = json::Instance),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn reset(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, key)): Path<(String, String)>,
) -> Result<axum::Json<json::Instance>, Fault> {
    changed(&app, Command::ResetInstance { workspace, key }).await
}

async fn changed(app: &App, command: Command) -> Result<axum::Json<json::Instance>, Fault> {
    match app.handle.ask(command).await? {
        Answer::Instance(instance) => Ok(axum::Json(convert::instance(&instance))),
        other => unreachable!("a command is answered in kind: {other:?}"),
    }
}

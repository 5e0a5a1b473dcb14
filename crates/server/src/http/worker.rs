//! Workers and instances.

use axum::extract::{Path, State};
use hostler_core::code::Code;
use hostler_core::key::{Key, Row};
use hostler_store::Query as List;
use hostler_wire::convert;
use hostler_wire::json::{self, InstanceList, Problem, WorkerList};

use super::App;
use super::fault::Fault;
use super::workspace::InWorkspace;

/// The workers that this installation has seen.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/workers", tag = "workers",
    params(("workspace" = String, Path)),
    responses(
        (status = 200, body = WorkerList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn workers(
    State(app): State<App>,
    InWorkspace(_): InWorkspace,
) -> Result<axum::Json<WorkerList>, Fault> {
    let page = app.view.scan(List::Workers).await?;
    let workers = page.rows.iter().filter_map(|row| match row {
        Row::Worker(worker) => Some(convert::worker(worker)),
        _ => None,
    });
    Ok(axum::Json(WorkerList { workers: workers.collect(), next_cursor: None, has_more: false }))
}

/// The instances of the workspace: one for each execution class that was ever used.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/instances", tag = "instances",
    params(("workspace" = String, Path)),
    responses(
        (status = 200, body = InstanceList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn instances(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
) -> Result<axum::Json<InstanceList>, Fault> {
    let page = app.view.scan(List::Instances { workspace }).await?;
    let instances = page.rows.iter().filter_map(|row| match row {
        Row::Instance(instance) => Some(convert::instance(instance)),
        _ => None,
    });
    let instances = instances.collect();
    Ok(axum::Json(InstanceList { instances, next_cursor: None, has_more: false }))
}

/// One instance, by its execution class key.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/instances/{key}", tag = "instances",
    params(("workspace" = String, Path), ("key" = String, Path)),
    responses(
        (status = 200, body = json::Instance),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn instance(
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

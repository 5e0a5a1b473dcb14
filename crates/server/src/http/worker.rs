//! Workers.

use axum::extract::State;
use hostler_core::id::WorkerId;
use hostler_core::key::Row;
use hostler_store::Query as List;
use hostler_wire::convert;
use hostler_wire::json::{Paged, Problem, WorkerList};

use super::App;
use super::body::{self, Query};
use super::fault::Fault;
use super::workspace::InWorkspace;

/// The workers that this installation has seen, by id.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/workers", tag = "workers",
    params(("workspace" = String, Path), Paged),
    responses(
        (status = 200, body = WorkerList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn workers(
    State(app): State<App>,
    InWorkspace(_): InWorkspace,
    Query(query): Query<Paged>,
) -> Result<axum::Json<WorkerList>, Fault> {
    let (limit, after) = (body::limit(query.limit)?, query.cursor.map(WorkerId));
    let page = app.view.scan(List::Workers { after, limit }).await?;
    let workers = page.rows.iter().filter_map(|row| match row {
        Row::Worker(worker) => Some(convert::worker(worker)),
        _ => None,
    });
    let workers: Vec<_> = workers.collect();
    let last = workers.last().map(|worker| worker.id.clone());
    let next_cursor = last.filter(|_| page.has_more);
    Ok(axum::Json(WorkerList { workers, next_cursor, has_more: page.has_more }))
}

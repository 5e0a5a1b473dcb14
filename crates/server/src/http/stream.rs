//! A task's stream: plain pages and long-poll (STR-1, STR-2).
//!
//! **Invariants** A page is bounded in records and in bytes, and holds one record at least when
//! there is one after the cursor.
//!
//! **Not here** Live readers (`live`), the shapes of the original (`original`).

pub mod live;
pub mod original;

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use hostler_core::code::Code;
use hostler_core::id::TaskId;
use hostler_core::limits;
use hostler_store::LogRange;
use hostler_wire::convert;
use hostler_wire::json::stream::RecordPage;
use hostler_wire::json::{Problem, Record};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::Query;
use super::fault::Fault;
use super::task::task_id;
use super::workspace::InWorkspace;

/// The longest that a long-poll waits.
const WAIT_MS_MAX: u64 = 60_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsOf {
    /// Records after this `seq`; the header `Last-Event-ID` of a reconnect goes before it.
    cursor: Option<u64>,
    /// Records of a plain page: 1 to 1 000, 1 000 when absent; fewer when they are over 4 MiB.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Long-poll: how long an empty page may wait for a record, at most 60 000.
    #[param(minimum = 0)]
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
        return live::server_sent(app, workspace, id, after).await;
    }
    let limit = page_limit(query.limit)?;
    let wait = Duration::from_millis(query.wait_ms.unwrap_or(0).min(WAIT_MS_MAX));
    let mut follower = app.tails.follow(id);
    let mut page = page(&app, id, after, limit).await?;
    if page.records.is_empty() && !wait.is_zero() {
        tokio::select! {
            () = follower.grown() => {}
            () = tokio::time::sleep(wait) => {}
            () = app.stopping.cancelled() => {}
        }
        page = self::page(&app, id, after, limit).await?;
    }
    Ok(axum::Json(page).into_response())
}

/// The records of a page: 1 to the most allowed.
pub fn page_limit(given: Option<usize>) -> Result<usize, Fault> {
    let limit = given.unwrap_or(limits::STREAM_PAGE_MAX);
    if (1..=limits::STREAM_PAGE_MAX).contains(&limit) {
        return Ok(limit);
    }
    let text = format!("invalid limit: {limit}; allowed: 1 to {}", limits::STREAM_PAGE_MAX);
    Err(Fault::field(Code::InvalidField, "limit", text))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let seq = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    seq.map(Some).ok_or_else(|| {
        let text = "the header Last-Event-ID is not a seq: a whole number from 0";
        Fault::field(Code::InvalidField, "Last-Event-ID", text)
    })
}

/// A page of the stream, within the bounds of every page.
pub async fn page(app: &App, task: TaskId, after: u64, limit: usize) -> Result<RecordPage, Fault> {
    let bytes = limits::STREAM_PAGE_BYTES_MAX;
    let (records, end) = app.view.records(LogRange { task, after, limit, bytes }).await?;
    let records: Vec<Record> =
        records.iter().map(|one| convert::record(one.seq, &one.record)).collect();
    let next_cursor = records.last().map_or(after, Record::cursor);
    Ok(RecordPage { records, next_cursor, has_more: next_cursor < end })
}

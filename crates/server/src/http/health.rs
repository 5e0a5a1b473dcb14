//! Health, readiness, and the documents of the API.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hostler_core::code::Code;
use hostler_core::id::WorkspaceId;
use hostler_core::key::Key;

use super::App;
use super::fault::Fault;

/// The process is up.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// The store answers, and the server is not stopping.
pub async fn ready(State(app): State<App>) -> Response {
    if app.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match app.view.row(Key::Workspace(WorkspaceId::DEFAULT)).await {
        Ok(Some(_)) => "ready\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response(),
    }
}

pub async fn openapi(document: Arc<str>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}

/// The page that a problem's `type` points at.
pub async fn error_page(Path(code): Path<String>) -> Response {
    match hostler_wire::errors::error_page(&code) {
        Some(page) => {
            ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page).into_response()
        }
        None => {
            Fault::new(Code::NotFound, format!("there is no error code {code:?}")).into_response()
        }
    }
}

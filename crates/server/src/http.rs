//! # The HTTP API
//!
//! **What** JSON over HTTP/1.1 and HTTP/2 under `/api/v1/workspaces/{workspace}` (API-1). A
//! handler parses, asks the engine or reads the store, and renders; it decides nothing.
//!
//! **Invariants** Every refusal is a problem (RFC 9457) with a stable code. Nothing answers
//! without a token but health (API-4). A write is answered after it is durable (ACC-4).
//!
//! **Failure** A handler that panics is answered `internal`; the engine is on its own thread.
//!
//! **Not here** Rules (`core`), the JSON shapes (`wire`), the worker protocol (`grpc`).

mod agent;
mod auth;
mod body;
mod budget;
mod fault;
mod health;
mod input;
mod instance;
mod run;
mod schedule;
mod stream;
mod task;
mod view;
mod worker;
mod workspace;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use hostler_core::code::Code;
use hostler_core::limits;
use hostler_store::Store;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use auth::Scheme;
pub use auth::TokenHash;
use fault::Fault;
use view::View;

use crate::driver::Handle;
use crate::tails::Tails;

/// What every handler shares.
#[derive(Clone)]
pub struct App {
    pub handle: Handle,
    pub tails: Arc<Tails>,
    pub token: TokenHash,
    /// The server stops: streams end, so that their connections can.
    pub stopping: CancellationToken,
    view: View,
}

impl App {
    pub fn new(
        handle: Handle,
        store: Arc<dyn Store>,
        tails: Arc<Tails>,
        token: TokenHash,
        fallback_runtime: Option<String>,
        stopping: CancellationToken,
    ) -> Self {
        App { handle, tails, token, stopping, view: View::new(store, fallback_runtime) }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hostler",
        description = "A durable orchestration server for AI agents. \
                       Every request but health needs `Authorization: Bearer TOKEN`. \
                       Every refusal is an RFC 9457 problem with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Scheme)
)]
struct Document;

/// All routes, and the document that describes them.
fn described() -> (Router<App>, utoipa::openapi::OpenApi) {
    let (workspaced, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(agent::list, agent::create))
        .routes(routes!(agent::defaults))
        .routes(routes!(agent::get, agent::update, agent::delete))
        .routes(routes!(task::list, task::create))
        .routes(routes!(task::create_many))
        .routes(routes!(task::get))
        .routes(routes!(task::cancel))
        .routes(routes!(task::archive))
        .routes(routes!(stream::original::logs))
        .routes(routes!(stream::events))
        .routes(routes!(stream::original::batch))
        .routes(routes!(input::list_of_task, input::send_to_task))
        .routes(routes!(input::get, input::edit, input::withdraw))
        .routes(routes!(run::list))
        .routes(routes!(run::get))
        .routes(routes!(run::attempts))
        .routes(routes!(run::snapshots))
        .routes(routes!(run::events))
        .routes(routes!(run::interaction))
        .routes(routes!(run::cancel))
        .routes(routes!(input::send_to_run))
        .routes(routes!(schedule::list, schedule::create))
        .routes(routes!(schedule::preview))
        .routes(routes!(schedule::get, schedule::update, schedule::delete))
        .routes(routes!(schedule::trigger))
        .routes(routes!(schedule::backfill))
        .routes(routes!(schedule::missed))
        .routes(routes!(instance::list))
        .routes(routes!(instance::get, instance::update))
        .routes(routes!(instance::reset))
        .routes(routes!(worker::workers))
        .routes(routes!(workspace::list, workspace::create))
        .routes(routes!(workspace::get, workspace::update))
        .routes(routes!(budget::of_agent))
        .routes(routes!(budget::reset_of_agent))
        .routes(routes!(budget::of_workspace))
        .routes(routes!(budget::reset_of_workspace))
        .split_for_parts();
    (workspaced, document)
}

/// The OpenAPI document as JSON text.
pub fn openapi() -> String {
    let (_, document) = described();
    document.to_pretty_json().expect("the document is plain data")
}

pub fn router(app: App) -> Router {
    let (workspaced, document) = described();
    let document: Arc<str> = document.to_json().expect("the document is plain data").into();
    let guarded = workspaced
        .route("/openapi.json", axum::routing::get(move || health::openapi(document.clone())))
        .route("/errors/{code}", axum::routing::get(health::error_page))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(app.clone(), auth::require));
    Router::new()
        .route("/healthz", axum::routing::get(health::alive))
        .route("/readyz", axum::routing::get(health::ready))
        .merge(guarded)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(fault::panicked))
        .with_state(app)
}

async fn no_such_path(uri: axum::http::Uri) -> Fault {
    Fault::new(Code::NotFound, format!("there is nothing at {}", uri.path()))
}

async fn no_such_method(method: axum::http::Method, uri: axum::http::Uri) -> Fault {
    let text = format!("{method} is not allowed at {}; see /openapi.json", uri.path());
    Fault::new(Code::MethodNotAllowed, text)
}

//! The workspace of a path.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use hostler_core::code::Code;
use hostler_core::id::WorkspaceId;

use super::App;
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

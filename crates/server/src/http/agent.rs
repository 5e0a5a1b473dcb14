//! Agents.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use hostler_core::agent::config;
use hostler_core::command::{Answer, Command};
use hostler_core::key::Row;
use hostler_store::Query as List;
use hostler_wire::convert;
use hostler_wire::json::{Agent, AgentDefaults, AgentList, CreateAgent, Problem, UpdateAgent};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::{Json, Query};
use super::fault::Fault;
use super::workspace::InWorkspace;

/// The agents of the workspace, by key.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/agents", tag = "agents",
    params(("workspace" = String, Path, description = "The workspace's key: `default`.")),
    responses(
        (status = 200, body = AgentList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn list(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
) -> Result<axum::Json<AgentList>, Fault> {
    let page = app.view.scan(List::Agents { workspace }).await?;
    let agents = page.rows.iter().filter_map(|row| match row {
        Row::Agent(agent) => Some(convert::agent(agent)),
        _ => None,
    });
    Ok(axum::Json(AgentList { agents: agents.collect(), next_cursor: None, has_more: false }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DefaultsOf {
    /// The key that the agent is to have; its folder is named after it.
    #[serde(default)]
    agent_key: String,
}

/// The config that an agent with this key would have.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/agents/defaults", tag = "agents",
    params(("workspace" = String, Path), DefaultsOf),
    responses(
        (status = 200, body = AgentDefaults),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn defaults(
    InWorkspace(_): InWorkspace,
    Query(query): Query<DefaultsOf>,
) -> axum::Json<AgentDefaults> {
    axum::Json(AgentDefaults(config::default_config(query.agent_key.trim())))
}

/// Makes an agent.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/agents", tag = "agents",
    params(("workspace" = String, Path)),
    request_body = CreateAgent,
    responses(
        (status = 201, body = Agent),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn create(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Json(body): Json<CreateAgent>,
) -> Result<(StatusCode, axum::Json<Agent>), Fault> {
    let create = Box::new(body.into_command());
    let agent = changed(&app, Command::CreateAgent { workspace, create }).await?;
    Ok((StatusCode::CREATED, axum::Json(agent)))
}

/// One agent, by its id or its key.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/agents/{id}", tag = "agents",
    params(("workspace" = String, Path), ("id" = String, Path, description = "Id or key.")),
    responses(
        (status = 200, body = Agent),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn get(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<axum::Json<Agent>, Fault> {
    let agent = app.view.agent(workspace, &id).await?;
    Ok(axum::Json(convert::agent(&agent)))
}

/// Changes an agent; its config is laid over the stored one, and `null` removes a key.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}/agents/{id}", tag = "agents",
    params(("workspace" = String, Path), ("id" = String, Path, description = "Id or key.")),
    request_body = UpdateAgent,
    responses(
        (status = 200, body = Agent),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn update(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, agent)): Path<(String, String)>,
    Json(body): Json<UpdateAgent>,
) -> Result<axum::Json<Agent>, Fault> {
    let update = Box::new(body.into_command());
    let command = Command::UpdateAgent { workspace, agent, update };
    Ok(axum::Json(changed(&app, command).await?))
}

/// Removes an agent: its key becomes free, and its tasks go on to their end.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/agents/{id}", tag = "agents",
    params(("workspace" = String, Path), ("id" = String, Path, description = "Id or key.")),
    responses(
        (status = 204),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn delete(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, agent)): Path<(String, String)>,
) -> Result<StatusCode, Fault> {
    app.handle.ask(Command::DeleteAgent { workspace, agent }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn changed(app: &App, command: Command) -> Result<Agent, Fault> {
    match app.handle.ask(command).await? {
        Answer::Agent(agent) => Ok(convert::agent(&agent)),
        other => unreachable!("a command is answered in kind: {other:?}"),
    }
}

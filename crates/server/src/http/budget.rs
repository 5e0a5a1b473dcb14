//! Budgets of agents and workspaces, and what was spent of them (RUN-11).

use axum::extract::{Path, State};
use hostler_core::command::{Answer, Command};
use hostler_wire::convert;
use hostler_wire::json::{BudgetStanding, Problem};

use super::App;
use super::fault::Fault;
use super::workspace::InWorkspace;

/// The budget of an agent, and what its tasks have spent of it.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/agents/{id}/budget", tag = "agents",
    params(("workspace" = String, Path), ("id" = String, Path, description = "Id or key.")),
    responses(
        (status = 200, body = BudgetStanding),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn of_agent(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<axum::Json<BudgetStanding>, Fault> {
    asked(&app, Command::ShowBudget { workspace, agent: Some(id) }).await
}

/// Begins to count an agent's spending anew: what waits for its budget goes on at once.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/agents/{id}/budget/reset", tag = "agents",
    params(("workspace" = String, Path), ("id" = String, Path, description = "Id or key.")),
    responses(
        (status = 200, body = BudgetStanding),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn reset_of_agent(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, agent)): Path<(String, String)>,
) -> Result<axum::Json<BudgetStanding>, Fault> {
    asked(&app, Command::ResetBudget { workspace, agent: Some(agent) }).await
}

/// The budget of the workspace, and what all its tasks have spent of it.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/budget", tag = "workspaces",
    params(("workspace" = String, Path)),
    responses(
        (status = 200, body = BudgetStanding),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn of_workspace(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
) -> Result<axum::Json<BudgetStanding>, Fault> {
    asked(&app, Command::ShowBudget { workspace, agent: None }).await
}

/// Begins to count the workspace's spending anew: what waits for its budget goes on at once.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/budget/reset", tag = "workspaces",
    params(("workspace" = String, Path)),
    responses(
        (status = 200, body = BudgetStanding),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn reset_of_workspace(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
) -> Result<axum::Json<BudgetStanding>, Fault> {
    asked(&app, Command::ResetBudget { workspace, agent: None }).await
}

/// The engine knows what time it is, and so which period.
async fn asked(app: &App, command: Command) -> Result<axum::Json<BudgetStanding>, Fault> {
    match app.handle.ask(command).await? {
        Answer::Standing(standing) => Ok(axum::Json(convert::standing(&standing))),
        other => unreachable!("a command is answered in kind: {other:?}"),
    }
}

//! Inputs: a message for a task or a run that is there.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use hostler_core::code::Code;
use hostler_core::command::{Answer, Command};
use hostler_core::id::WorkspaceId;
use hostler_core::input::Input;
use hostler_core::input::submit::Target;
use hostler_core::key::Row;
use hostler_store::Query as List;
use hostler_wire::convert;
use hostler_wire::json::{self, InputList, Paged, Problem, SendInput};

use super::App;
use super::body::{self, Json, Query};
use super::fault::Fault;
use super::workspace::InWorkspace;
use super::{run, task};

type Sent = Result<(StatusCode, axum::Json<json::InputAccepted>), Fault>;

/// Sends a message to a task; one that has come to rest is restarted on the same session.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/tasks/{id}/inputs", tag = "inputs",
    params(("workspace" = String, Path), ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = SendInput,
    responses(
        (status = 202, body = json::InputAccepted),
        (status = 200, description = "The same key came with the same body before.",
         body = json::InputAccepted),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn send_to_task(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<SendInput>,
) -> Sent {
    send(&app, workspace, Target::Task(task::task_id(&id)?), &headers, body).await
}

/// Sends a message to a run's task.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/runs/{id}/input", tag = "inputs",
    params(("workspace" = String, Path), ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = SendInput,
    responses(
        (status = 202, body = json::InputAccepted),
        (status = 200, description = "The same key came with the same body before.",
         body = json::InputAccepted),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn send_to_run(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<SendInput>,
) -> Sent {
    send(&app, workspace, Target::Run(run::run_id(&id)?), &headers, body).await
}

async fn send(
    app: &App,
    workspace: WorkspaceId,
    target: Target,
    headers: &HeaderMap,
    body: SendInput,
) -> Sent {
    let mut submit = body.into_command();
    submit.idempotency_key = body::one_key(submit.idempotency_key, headers)?;
    let command = Command::Submit { workspace, target, submit: Box::new(submit) };
    let accepted = task::accepted(app, command).await?;
    let first = app.view.input(workspace, accepted.task.first_input_id).await?;
    let answer = convert::input_accepted(&accepted, Some(&first));
    Ok((task::status_of(&accepted), axum::Json(answer)))
}

/// The inputs of a task, in the order of their coming.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/tasks/{id}/inputs", tag = "inputs",
    params(("workspace" = String, Path), ("id" = String, Path), Paged),
    responses(
        (status = 200, body = InputList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn list_of_task(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<Paged>,
) -> Result<axum::Json<InputList>, Fault> {
    let limit = body::limit(query.limit)?;
    let after = body::cursor(query.cursor.as_deref())?;
    let task = app.view.task(workspace, task::task_id(&id)?).await?;
    let page = app.view.scan(List::Inputs { task: task.id, after, limit }).await?;
    let inputs = page.rows.iter().filter_map(|row| match row {
        Row::Input(input) => Some(convert::input(input, &task)),
        _ => None,
    });
    let inputs: Vec<json::Input> = inputs.collect();
    let last = inputs.last().map(|input| input.id.to_string());
    let next_cursor = last.filter(|_| page.has_more);
    Ok(axum::Json(InputList { inputs, next_cursor, has_more: page.has_more }))
}

/// Changes or moves an input that waits.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}/inputs/{id}", tag = "inputs",
    params(("workspace" = String, Path), ("id" = String, Path)),
    request_body = json::EditInput,
    responses(
        (status = 200, body = json::Input),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn edit(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Json(body): Json<json::EditInput>,
) -> Result<axum::Json<json::Input>, Fault> {
    let input = body::id(&id, Code::InputNotFound, "input")?;
    let edit = Box::new(body.into_command());
    changed(&app, Command::EditInput { workspace, input, edit }).await
}

/// Takes out an input that waits: its outcome is `withdrawn`.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/inputs/{id}", tag = "inputs",
    params(("workspace" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = json::Input),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn withdraw(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<axum::Json<json::Input>, Fault> {
    let input = body::id(&id, Code::InputNotFound, "input")?;
    changed(&app, Command::WithdrawInput { workspace, input }).await
}

async fn changed(app: &App, command: Command) -> Result<axum::Json<json::Input>, Fault> {
    match app.handle.ask(command).await? {
        Answer::Input(input) => shown(app, &input).await,
        other => unreachable!("a command is answered in kind: {other:?}"),
    }
}

async fn shown(app: &App, input: &Input) -> Result<axum::Json<json::Input>, Fault> {
    let task = app.view.task(input.workspace_id, input.task_id).await?;
    Ok(axum::Json(convert::input(input, &task)))
}

/// One input, with its outcome when it has one.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/inputs/{id}", tag = "inputs",
    params(("workspace" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = json::Input),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn get(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<axum::Json<json::Input>, Fault> {
    let input = app.view.input(workspace, body::id(&id, Code::InputNotFound, "input")?).await?;
    shown(&app, &input).await
}

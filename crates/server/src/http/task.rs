//! Tasks: accepting, listing, cancelling, archiving.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use hostler_core::code::Code;
use hostler_core::command::{Answer, Command};
use hostler_core::id::{TaskId, WorkspaceId};
use hostler_core::key::Row;
use hostler_core::limits;
use hostler_core::session::SessionId;
use hostler_core::task::accept::Accepted;
use hostler_core::task::{State as TaskState, Task};
use hostler_store::Query as List;
use hostler_store::query::TaskFilter;
use hostler_wire::convert;
use hostler_wire::json::task::BatchAccepted;
use hostler_wire::json::{self, BatchResult, CreateTask, CreateTasks, Created, ListTasks, Problem};

use super::App;
use super::body::{self, Json, Query};
use super::fault::Fault;
use super::workspace::InWorkspace;

/// Accepts a command. It is durable when this is answered.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/tasks", tag = "tasks",
    params(
        ("workspace" = String, Path, description = "The workspace's key: `default`."),
        ("Idempotency-Key" = Option<String>, Header,
         description = "The same as `idempotency_key` in the body.")),
    request_body = CreateTask,
    responses(
        (status = 202, description = "A new task, or a new input of the session's task.",
         body = json::Accepted),
        (status = 200, description = "The same key came with the same body before.",
         body = json::Accepted),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn create(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    headers: HeaderMap,
    Json(body): Json<CreateTask>,
) -> Result<(StatusCode, axum::Json<json::Accepted>), Fault> {
    let mut accept = body.into_command();
    accept.idempotency_key = body::one_key(accept.idempotency_key, &headers)?;
    let command = Command::Accept { workspace, accept: Box::new(accept) };
    let accepted = accepted(&app, command).await?;
    let status = status_of(&accepted);
    Ok((status, axum::Json(accepted_json(&app, workspace, accepted).await?)))
}

/// Accepts up to 1 000 commands, each with its own outcome (ACC-7).
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/tasks/batch", tag = "tasks",
    params(("workspace" = String, Path)),
    request_body = CreateTasks,
    responses(
        (status = 200, description = "One result for each command, in their order.",
         body = Created),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn create_many(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Json(body): Json<CreateTasks>,
) -> Result<axum::Json<Created>, Fault> {
    if body.commands.len() > limits::BULK_MAX {
        let text = format!(
            "{} commands; at most {} are allowed in one call",
            body.commands.len(),
            limits::BULK_MAX
        );
        return Err(Fault::field(Code::TooLarge, "commands", text));
    }
    let asked = body.commands.into_iter().map(|command| {
        let accept = CreateTask::read(command)?.into_command();
        let command = Command::Accept { workspace, accept: Box::new(accept) };
        // The batch itself bounds how many wait.
        Ok(app.handle.ask_later(command))
    });
    let asked: Vec<Result<_, Fault>> = asked.collect();
    let mut results = Vec::with_capacity(asked.len());
    for answer in asked {
        results.push(match one_of_many(&app, workspace, answer).await {
            Ok(accepted) => BatchResult::Accepted(Box::new(accepted)),
            Err(fault) => BatchResult::Refused(*fault.0),
        });
    }
    Ok(axum::Json(Created { results }))
}

type Later = tokio::sync::oneshot::Receiver<Result<Answer, hostler_core::engine::Refused>>;

async fn one_of_many(
    app: &App,
    workspace: WorkspaceId,
    answer: Result<Later, Fault>,
) -> Result<BatchAccepted, Fault> {
    let answer = answer?.await.unwrap_or(Err(hostler_core::engine::Refused::Unknown))?;
    let accepted = in_kind(answer);
    let status = status_of(&accepted).as_u16();
    let accepted = accepted_json(app, workspace, accepted).await?;
    Ok(BatchAccepted { status, accepted })
}

pub async fn accepted(app: &App, command: Command) -> Result<Accepted, Fault> {
    Ok(in_kind(app.handle.ask(command).await?))
}

fn in_kind(answer: Answer) -> Accepted {
    match answer {
        Answer::Accepted(accepted) => *accepted,
        other => unreachable!("a command is answered in kind: {other:?}"),
    }
}

pub fn status_of(accepted: &Accepted) -> StatusCode {
    match accepted.idempotent_hit {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    }
}

pub async fn accepted_json(
    app: &App,
    workspace: WorkspaceId,
    accepted: Accepted,
) -> Result<json::Accepted, Fault> {
    let first = match accepted.is_input {
        true => Some(app.view.input(workspace, accepted.task.first_input_id).await?),
        false => None,
    };
    Ok(convert::accepted(&accepted, first.as_ref()))
}

/// The tasks of the workspace, newest first; archived ones only when asked for.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/tasks", tag = "tasks",
    params(("workspace" = String, Path), ListTasks),
    responses(
        (status = 200, body = json::TaskList),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn list(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Query(query): Query<ListTasks>,
) -> Result<axum::Json<json::TaskList>, Fault> {
    let limit = body::limit(query.limit)?;
    let agent = match &query.agent_id {
        Some(given) => Some(app.view.agent(workspace, given).await?.id),
        None => None,
    };
    let filter = TaskFilter {
        agent,
        states: words("state", query.state.as_deref(), TaskState::parse, TaskState::list)?,
        session: query.session_id.map(SessionId),
        created_after: query.created_after.map(|time| time.0),
        created_before: query.created_before.map(|time| time.0),
        include_archived: query.include_archived.unwrap_or(false),
    };
    let after = body::cursor(query.cursor.as_deref())?;
    let page = app.view.scan(List::Tasks { workspace, filter, after, limit }).await?;
    let tasks: Vec<Task> = page
        .rows
        .into_iter()
        .filter_map(|row| match row {
            Row::Task(task) => Some(*task),
            _ => None,
        })
        .collect();
    let last = tasks.last().map(|task| task.id.to_string());
    Ok(axum::Json(json::TaskList {
        tasks: app.view.tasks_json(tasks).await?,
        next_cursor: last.filter(|_| page.has_more),
        has_more: page.has_more,
    }))
}

/// Words with commas between them; one that is not allowed is named with the list.
pub fn words<T>(
    field: &str,
    given: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
    list: impl Fn() -> String,
) -> Result<Vec<T>, Fault> {
    let words = given.unwrap_or_default().split(',').map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(|word| {
            parse(word).ok_or_else(|| {
                let text = format!("invalid {field}: {word:?}; allowed: {}", list());
                Fault::field(Code::InvalidField, field, text)
            })
        })
        .collect()
}

pub fn task_id(text: &str) -> Result<TaskId, Fault> {
    body::id(text, Code::TaskNotFound, "task")
}

/// One task.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/tasks/{id}", tag = "tasks",
    params(("workspace" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = json::Task),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn get(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<axum::Json<json::Task>, Fault> {
    let task = app.view.task(workspace, task_id(&id)?).await?;
    Ok(axum::Json(app.view.task_json(task).await?))
}

/// Cancels a task. The cancel is durable; a live run is stopped gently, then killed, and the task
/// is `cancelled` when nothing of it is left (RUN-8).
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/tasks/{id}/cancel", tag = "tasks",
    params(("workspace" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = json::TaskMoved),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn cancel(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<axum::Json<json::TaskMoved>, Fault> {
    let task = task_id(&id)?;
    let task = match app.handle.ask(Command::CancelTask { workspace, task }).await? {
        Answer::Cancelled(cancelled) => cancelled.task,
        other => unreachable!("a command is answered in kind: {other:?}"),
    };
    let task = app.view.task_json(task).await?;
    Ok(axum::Json(json::TaskMoved { status: "cancelled".to_owned(), task }))
}

/// Archives a task: it leaves the lists. One that has not come to rest is cancelled first.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/tasks/{id}/archive", tag = "tasks",
    params(("workspace" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, body = json::TaskMoved),
        (status = "default", body = Problem, content_type = "application/problem+json"))
)]
pub async fn archive(
    State(app): State<App>,
    InWorkspace(workspace): InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<axum::Json<json::TaskMoved>, Fault> {
    let task = task_id(&id)?;
    let task = match app.handle.ask(Command::ArchiveTask { workspace, task }).await? {
        Answer::Task(task) => *task,
        other => unreachable!("a command is answered in kind: {other:?}"),
    };
    let task = app.view.task_json(task).await?;
    Ok(axum::Json(json::TaskMoved { status: "archived".to_owned(), task }))
}

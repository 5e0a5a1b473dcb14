//! `hostler tasks`.

use hostler_wire::json::{self, Task, TaskId};
use hostler_wire::status::Exit;

use crate::args::{Global, ListTasksArgs, LogsArgs, Tasks};
use crate::connect::Site;
use crate::find;
use crate::follow::{Ended, Follower, OnStop, Until};
use crate::print::{self, Card, Table, age, clean_line, cut, dim, short};
use crate::transcript;

/// Letters of a message in a list.
const MESSAGE_LETTERS_MAX: usize = 48;

pub async fn tasks(global: &Global, tasks: Tasks) -> anyhow::Result<Exit> {
    let mut site = Site::find(global).await?;
    match tasks {
        Tasks::List(args) => list(&site, global, args).await,
        Tasks::Get { task } => {
            let id = find::task(&site.client, &task).await?;
            let task = site.client.get_task(&id.to_string()).await?;
            match global.json {
                true => print::json(&task)?,
                false => show(&task),
            }
            Ok(Exit::Ok)
        }
        Tasks::Logs(args) => logs(&mut site, global, args).await,
        Tasks::Cancel { task } => {
            let id = find::task(&site.client, &task).await?;
            moved(&site.client.cancel_task(&id.to_string()).await?, global.json)
        }
        Tasks::Archive { task } => {
            let id = find::task(&site.client, &task).await?;
            moved(&site.client.archive_task(&id.to_string()).await?, global.json)
        }
    }
}

async fn list(site: &Site, global: &Global, args: ListTasksArgs) -> anyhow::Result<Exit> {
    let filter = json::ListTasks {
        limit: args.page.limit,
        cursor: args.page.cursor,
        agent_id: args.agent,
        state: args.state,
        session_id: args.session,
        include_archived: args.all.then_some(true),
        ..json::ListTasks::default()
    };
    let list = site.client.list_tasks(&filter).await?;
    if global.json {
        print::json(&list)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new("tasks", &["task", "state", "age", "prio", "session", "about"]);
    for task in &list.tasks {
        table.row([
            short(task.id),
            task.state.as_str().to_owned(),
            age(task.created_at),
            task.priority.as_str().to_owned(),
            cut(&clean_line(&task.session_id), 12),
            about(task),
        ]);
    }
    table.print(list.next_cursor.as_deref());
    Ok(Exit::Ok)
}

/// Why it waits, what went wrong, or what it is about.
fn about(task: &Task) -> String {
    let payload = &task.payload_json;
    let text = task.waiting_on.as_ref().map(|waiting| format!("waits: {}", waiting.message));
    let text = text
        .or_else(|| task.error.clone())
        .or_else(|| payload.label.clone())
        .or_else(|| payload.message.clone());
    cut(&clean_line(&text.unwrap_or_default()), MESSAGE_LETTERS_MAX)
}

fn show(task: &Task) {
    let payload = &task.payload_json;
    let mut card = Card::default();
    card.line("task", task.id)
        .line("state", task.state.as_str())
        .maybe("waits", task.waiting_on.as_ref().map(|on| format!("{} ({})", on.message, on.code)))
        .maybe("error", task.error.as_ref())
        .maybe("dropped", task.dropped_reason.as_ref())
        .line("agent", task.agent_id)
        .line("session", &task.session_id)
        .maybe("run", task.target_run_id)
        .line("priority", task.priority.as_str())
        .maybe("lane", payload.lane.as_ref())
        .maybe("label", payload.label.as_ref())
        .maybe("folder", payload.dir.as_ref())
        .line("instance", &task.instance_key)
        .line("inputs", format!("{} waiting", task.pending_inputs))
        .line("accepted", format!("{} ({} ago)", task.accepted_at, age(task.accepted_at)))
        .maybe("cancelled", task.cancel_requested_at)
        .maybe("archived", task.archived_at)
        .maybe("message", payload.message.as_ref());
    card.print();
}

fn moved(moved: &json::TaskMoved, json: bool) -> anyhow::Result<Exit> {
    match json {
        true => print::json(moved)?,
        false => {
            let state = moved.task.state.as_str();
            let text = format!("task {} is {state}", moved.task.id);
            print::out(format!("{}  {}", clean_line(&moved.status), dim(&text)));
        }
    }
    Ok(Exit::Ok)
}

async fn logs(site: &mut Site, global: &Global, args: LogsArgs) -> anyhow::Result<Exit> {
    let id: TaskId = find::task(&site.client, &args.task).await?;
    let mut follower = Follower::new(site, id, OnStop::Leave, global.json)?;
    follower.after(args.after);
    let until = if args.follow { Until::Rest } else { Until::Now };
    let ended = follower.follow(until).await?;
    if let (Ended::Over(Some(run)), false) = (&ended, global.json) {
        print::err(transcript::summary(run));
        if run.waiting_for_input {
            print::err(dim(&format!("answer it: hostler send {id} \"…\"")));
        }
    }
    Ok(ended.exit())
}

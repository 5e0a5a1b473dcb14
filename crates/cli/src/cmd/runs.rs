//! `hostler runs`.

use hostler_wire::json::{self, Attempt, Run, Snapshot};
use hostler_wire::status::Exit;

use crate::args::{Global, Runs};
use crate::connect::Site;
use crate::find;
use crate::print::{self, Card, Table, age, clean_line, cut, short, span};

/// Letters of an error in a list.
const ERROR_LETTERS_MAX: usize = 48;

pub async fn runs(global: &Global, runs: Runs) -> anyhow::Result<Exit> {
    let site = Site::find(global).await?;
    let client = &site.client;
    match runs {
        Runs::List { task, status, agent, page } => {
            let task_id = match task {
                Some(task) => Some(find::task(client, &task).await?),
                None => None,
            };
            let filter = json::ListRuns {
                limit: page.limit,
                cursor: page.cursor,
                agent_id: agent,
                task_id,
                status,
                ..json::ListRuns::default()
            };
            let list = client.list_runs(&filter).await?;
            match global.json {
                true => print::json(&list)?,
                false => table(&list.runs, list.next_cursor.as_deref()),
            }
        }
        Runs::Get { run } => {
            let id = find::run(client, &run).await?;
            let run = client.get_run(&id.to_string()).await?;
            match global.json {
                true => print::json(&run)?,
                false => show(&run),
            }
        }
        Runs::Attempts { run } => {
            let id = find::run(client, &run).await?;
            let list = client.list_attempts(&id.to_string()).await?;
            match global.json {
                true => print::json(&list)?,
                false => attempts(&list.attempts),
            }
        }
        Runs::Snapshots { run } => {
            let id = find::run(client, &run).await?;
            let list = client.list_snapshots(&id.to_string()).await?;
            match global.json {
                true => print::json(&list)?,
                false => snapshots(&list.snapshots),
            }
        }
        Runs::Cancel { run } => {
            let id = find::run(client, &run).await?;
            let moved = client.cancel_run(&id.to_string()).await?;
            match global.json {
                true => print::json(&moved)?,
                false => print::out(format!("{}  run {id}", clean_line(&moved.status))),
            }
        }
    }
    Ok(Exit::Ok)
}

fn table(runs: &[Run], next_cursor: Option<&str>) {
    let header = ["run", "status", "age", "took", "tries", "task", "worker", "error"];
    let mut table = Table::new("runs", &header);
    for run in runs {
        table.row([
            short(run.id),
            run.status.as_str().to_owned(),
            age(run.created_at),
            took(run.started_at, run.ended_at),
            run.attempt_count.to_string(),
            short(run.origin_task_id),
            clean_line(run.claimed_by_worker_id.as_deref().unwrap_or_default()),
            cut(&clean_line(run.error.as_deref().unwrap_or_default()), ERROR_LETTERS_MAX),
        ]);
    }
    table.print(next_cursor);
}

fn took(from: Option<json::Time>, to: Option<json::Time>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => span(to.0.0 - from.0.0),
        _ => String::new(),
    }
}

fn show(run: &Run) {
    let usage = &run.usage_json;
    let policy = format!(
        "security {}, ask {}, runtime {}, workspace {}, network {}",
        run.exec_security.as_str(),
        run.exec_ask.as_str(),
        run.runtime_type.as_str(),
        run.workspace_access.as_str(),
        if run.network_enabled { "on" } else { "off" },
    );
    let mut card = Card::default();
    card.line("run", run.id)
        .line("status", run.status.as_str())
        .maybe("error", run.error.as_ref())
        .maybe("failure", run.failure.map(|failure| failure.as_str()))
        .line("task", run.origin_task_id)
        .line("session", &run.session_id)
        .maybe("model", run.model.as_ref())
        .line("policy", policy)
        .maybe("runtime", run.runtime_used.as_ref())
        .maybe("note", run.runtime_note.as_ref())
        .maybe("worker", run.claimed_by_worker_id.as_ref())
        .line("attempts", run.attempt_count)
        .line("turns", run.turn_count)
        .line("tokens", format!("{} in, {} out", usage.input_tokens, usage.output_tokens))
        .line("cost", format!("${:.4}", usage.total_cost_usd))
        .maybe("started", run.started_at)
        .maybe("ended", run.ended_at)
        .line("took", took(run.started_at, run.ended_at))
        .maybe("result", run.result.as_ref());
    card.print();
}

fn attempts(attempts: &[Attempt]) {
    let header = ["no", "attempt", "status", "strategy", "runtime", "worker", "took", "error"];
    let mut table = Table::new("attempts", &header);
    for attempt in attempts {
        table.row([
            attempt.attempt_no.to_string(),
            short(attempt.id),
            attempt.status.as_str().to_owned(),
            attempt.strategy.as_str().to_owned(),
            clean_line(attempt.runtime_used.as_deref().unwrap_or_default()),
            clean_line(&attempt.worker_id),
            took(attempt.started_at, attempt.ended_at),
            cut(&clean_line(attempt.error.as_deref().unwrap_or_default()), ERROR_LETTERS_MAX),
        ]);
    }
    table.print(None);
}

fn snapshots(snapshots: &[Snapshot]) {
    let mut table = Table::new("snapshots", &["seq", "status", "at", "event", "error"]);
    for snapshot in snapshots {
        let event = snapshot.payload_json.get("event").and_then(|event| event.as_str());
        table.row([
            snapshot.seq.to_string(),
            snapshot.status.as_str().to_owned(),
            snapshot.created_at.to_string(),
            clean_line(event.unwrap_or_default()),
            cut(&clean_line(snapshot.error.as_deref().unwrap_or_default()), ERROR_LETTERS_MAX),
        ]);
    }
    table.print(None);
}

//! `hostler inputs`.

use hostler_wire::json::{EditInput, Input};
use hostler_wire::status::Exit;

use super::text;
use crate::args::{Global, Inputs};
use crate::connect::Site;
use crate::find;
use crate::print::{self, Card, Table, age, clean_line, cut, short};

/// Letters of a message in a list.
const MESSAGE_LETTERS_MAX: usize = 48;

pub async fn inputs(global: &Global, inputs: Inputs) -> anyhow::Result<Exit> {
    let site = Site::find(global).await?;
    let client = &site.client;
    let input = match inputs {
        Inputs::List { task } => {
            let task = find::task(client, &task).await?;
            let list = client.list_inputs(&task.to_string()).await?;
            match global.json {
                true => print::json(&list)?,
                false => table(&list.inputs, list.next_cursor.as_deref()),
            }
            return Ok(Exit::Ok);
        }
        Inputs::Get { input } => client.get_input(&input).await?,
        Inputs::Edit { input, message } => {
            let message = Some(text::message(message)?);
            client.edit_input(&input, &EditInput { message, ..EditInput::default() }).await?
        }
        Inputs::Move { input, position } => {
            let edit = EditInput { position: Some(position), ..EditInput::default() };
            client.edit_input(&input, &edit).await?
        }
        Inputs::Withdraw { input } => client.withdraw_input(&input).await?,
    };
    match global.json {
        true => print::json(&input)?,
        false => show(&input),
    }
    Ok(Exit::Ok)
}

fn what_became(input: &Input) -> String {
    match (input.outcome, &input.reason) {
        (Some(outcome), Some(reason)) => format!("{}: {reason}", outcome.as_str()),
        (Some(outcome), None) => outcome.as_str().to_owned(),
        (None, _) => match input.position {
            Some(position) => format!("{} at {position}", input.state.as_str()),
            None => input.state.as_str().to_owned(),
        },
    }
}

fn table(inputs: &[Input], next_cursor: Option<&str>) {
    let header = ["input", "mode", "became", "run", "age", "message"];
    let mut table = Table::new("inputs", &header);
    for input in inputs {
        table.row([
            input.id.to_string(),
            input.queue_mode.as_str().to_owned(),
            clean_line(&what_became(input)),
            input.run_id.map(short).unwrap_or_default(),
            age(input.created_at),
            cut(&clean_line(&input.message), MESSAGE_LETTERS_MAX),
        ]);
    }
    table.print(next_cursor);
}

fn show(input: &Input) {
    let mut card = Card::default();
    card.line("input", input.id)
        .line("task", input.task_id)
        .maybe("run", input.run_id.as_ref())
        .line("mode", input.queue_mode.as_str())
        .line("at once", input.delivery.as_str())
        .line("became", clean_line(&what_became(input)))
        .line("message", clean_line(&input.message));
    card.print();
}

//! `hostler send`: a message for a task.

use hostler_wire::json::SendInput;
use hostler_wire::status::Exit;

use super::text;
use crate::args::{Global, SendArgs};
use crate::connect::Site;
use crate::find;
use crate::follow::{Ended, Follower, OnStop, Until};
use crate::home;
use crate::print::{self, dim};
use crate::transcript;

pub async fn send(global: &Global, args: SendArgs) -> anyhow::Result<Exit> {
    let message = text::message(args.message)?;
    let mut site = Site::find(global).await?;
    let task = find::task(&site.client, &args.task).await?;
    let expected_run_id = match &args.expected_run {
        Some(run) => Some(find::run(&site.client, run).await?),
        None => None,
    };
    let key = match args.idempotency_key {
        Some(key) => key,
        None => home::random()?,
    };
    let input = SendInput {
        message: Some(message),
        queue_mode: Some(args.mode),
        idempotency_key: Some(key),
        expected_run_id,
        attachments: None,
    };
    let accepted = site.client.send_input(&task.to_string(), &input).await?;
    let id = accepted.input.id;
    match global.json {
        true => print::json(&accepted)?,
        false => {
            print::err(format!("{}  {}", accepted.outcome.as_str(), dim(&format!("input {id}"))));
        }
    }
    if !args.follow {
        return Ok(Exit::Ok);
    }
    let mut follower = Follower::new(&mut site, task, OnStop::Leave, global.json)?;
    follower.show_from(id);
    let ended = follower.follow(Until::Input(id)).await?;
    if let Ended::Over(Some(run)) = &ended {
        match global.json {
            true => print::json(run)?,
            false => print::err(transcript::summary(run)),
        }
    }
    Ok(ended.exit())
}

//! `hostler run`: give an agent work, and follow it to its end.

use std::path::PathBuf;

use hostler_wire::json::{Accepted, CreateTask, InputId, ListTasks, Run, SendInput, Task};
use hostler_wire::status::Exit;

use super::text;
use crate::args::{Global, RunArgs};
use crate::choose;
use crate::connect::Site;
use crate::fault::Fault;
use crate::follow::{Ended, Follower, OnStop, Until};
use crate::home;
use crate::keyboard::Keyboard;
use crate::print::{self, clean, clean_line, dim};
use crate::transcript;

pub async fn run(global: &Global, args: RunArgs) -> anyhow::Result<Exit> {
    let detach = args.detach;
    // What is wrong here is said before a server is started for it.
    let policy = match &args.policy_json {
        Some(policy) => Some(text::json("--policy-json", policy)?),
        None => None,
    };
    let named_dir = args.dir.clone().map(folder).transpose()?;
    let message = text::message(args.message.clone())?;
    let mut site = Site::find_or_start(global).await?;
    let ended = async {
        let before = match &args.session {
            Some(session) => last_of(&site, session, args.agent.as_deref()).await?,
            None => None,
        };
        let choice = match &before {
            Some(task) => {
                let agent = site.client.get_agent(&task.agent_id.to_string()).await?;
                choose::Choice { key: agent.agent_key, why: "the session is its own".to_owned() }
            }
            None => choose::agent(&site, args.agent.as_deref()).await?,
        };
        let (dir, works_in) = match &before {
            Some(task) => (None, same_folder(task, named_dir.as_deref())?),
            None if named_dir.is_some() => (named_dir.clone(), named_dir),
            None if args.no_dir || !site.is_local() => (None, None),
            None => {
                let here = folder(PathBuf::from("."))?;
                (Some(here.clone()), Some(here))
            }
        };
        if !global.json {
            tell(&site, &choice, works_in.as_deref());
        }
        let command = CreateTask {
            message: Some(message),
            agent_id: Some(choice.key),
            session_id: args.session,
            lane: args.lane,
            priority: args.priority.map(|priority| priority.as_str().to_owned()),
            timeout_ms: args.timeout_ms,
            policy,
            label: args.label,
            dir,
            idempotency_key: Some(match args.idempotency_key {
                Some(key) => key,
                None => home::random()?,
            }),
            ..CreateTask::default()
        };
        let accepted = site.client.create_task(&command).await?;
        if global.json {
            print::json(&accepted)?;
        }
        match detach {
            true => Ok(left(&site, &accepted, global.json)),
            false => follow(&mut site, &accepted, global.json).await,
        }
    }
    .await;
    site.close().await;
    ended
}

/// The newest task of a session that goes on.
async fn last_of(site: &Site, session: &str, agent: Option<&str>) -> anyhow::Result<Option<Task>> {
    let filter = ListTasks {
        limit: Some(1),
        session_id: Some(session.to_owned()),
        agent_id: agent.map(str::to_owned),
        include_archived: Some(true),
        ..ListTasks::default()
    };
    Ok(site.client.list_tasks(&filter).await?.tasks.into_iter().next())
}

/// A session that goes on stays where it is.
fn same_folder(task: &Task, named: Option<&str>) -> anyhow::Result<Option<String>> {
    let folder = task.payload_json.dir.clone();
    if named.is_none() || named == folder.as_deref() {
        return Ok(folder);
    }
    let place = folder.unwrap_or_else(|| "the workspace's own folder".to_owned());
    let detail = format!("the session {:?} works in {place} and stays there", task.session_id);
    Err(Fault { exit: Exit::Conflict, detail }.into())
}

fn tell(site: &Site, choice: &choose::Choice, dir: Option<&str>) {
    let folder = match dir {
        Some(dir) => format!("works in {dir} (--no-dir offers no folder)"),
        None => "works in the workspace's own folder".to_owned(),
    };
    let why = clean_line(&choice.why);
    print::err(dim(&format!("agent {} ({why}); {}", clean(&choice.key), clean_line(&folder))));
    if site.is_embedded() {
        let text = "no server runs here: one was started for this run; `hostler dev` stays";
        print::err(dim(text));
    }
}

/// A folder of this machine by its full name.
fn folder(dir: PathBuf) -> anyhow::Result<String> {
    let full = dir.canonicalize();
    let full = full.map_err(|error| Fault::usage(format!("{}: {error}", dir.display())))?;
    if !full.is_dir() {
        return Err(Fault::usage(format!("{} is not a folder", full.display())).into());
    }
    let name = full.into_os_string().into_string();
    name.map_err(|name| Fault::usage(format!("{name:?} is not UTF-8")).into())
}

fn left(site: &Site, accepted: &Accepted, json: bool) -> Exit {
    if !json {
        let id = accepted.task.id;
        print::out(id);
        print::err(dim(&format!("follow it: hostler tasks logs -f {id}")));
        if site.is_embedded() {
            let text = "the server ends with this command: the task is carried out when one \
                        starts again (`hostler dev`)";
            print::err(print::yellow(text));
        }
    }
    Exit::Ok
}

async fn follow(site: &mut Site, accepted: &Accepted, json: bool) -> anyhow::Result<Exit> {
    let task = accepted.task.id;
    let first = match &accepted.input {
        Some(input) => Some(input.id),
        None => first_input(site, accepted).await?,
    };
    let mut follower = Follower::new(site, task, OnStop::Ask, json)?;
    if let Some(input) = &accepted.input {
        follower.show_from(input.id);
    }
    let mut until = first.map_or(Until::Rest, Until::Input);
    loop {
        let ended = follower.follow(until).await?;
        let Ended::Over(run) = &ended else {
            return Ok(left(follower.site, accepted, json));
        };
        if let Some(run) = run {
            told(run, json)?;
            if run.waiting_for_input && !json {
                if let Some(input) = answered(&mut follower, run).await? {
                    until = Until::Input(input);
                    continue;
                }
                let text = format!("answer it: hostler send {task} \"…\"");
                print::err(dim(&text));
            }
        }
        return Ok(ended.exit());
    }
}

/// The input that a new task began with.
async fn first_input(site: &Site, accepted: &Accepted) -> anyhow::Result<Option<InputId>> {
    let inputs = site.client.list_inputs(&accepted.task.id.to_string()).await?.inputs;
    Ok(inputs.first().map(|input| input.id))
}

fn told(run: &Run, json: bool) -> anyhow::Result<()> {
    match json {
        true => print::json(run)?,
        false => print::err(transcript::summary(run)),
    }
    Ok(())
}

/// The answer of the person at the terminal, sent.
async fn answered(follower: &mut Follower<'_>, run: &Run) -> anyhow::Result<Option<InputId>> {
    if !Keyboard::is_there() {
        return Ok(None);
    }
    let Some(message) = follower.answer().await else { return Ok(None) };
    let input = SendInput { message: Some(message), ..SendInput::default() };
    let task = run.origin_task_id.to_string();
    Ok(Some(follower.site.client.send_input(&task, &input).await?.input.id))
}

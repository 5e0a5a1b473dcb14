//! Which agent a run is given to.
//!
//! **What** The one that was named; else a configured one that can work here, `default` first;
//! else Claude Code where a worker has it with a credential; else the built-in scripted agent. The
//! last two are configured when they are first needed.
//!
//! **Invariants** The choice is said with its reason. What a worker offers is the server's word
//! where a worker is connected: its environment is not this command's.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hostler_wire::client::{Client, ClientError};
use hostler_wire::json::word::WorkerStatus;
use hostler_wire::json::{Agent, CreateAgent, Object, Worker};
use hostler_wire::status::Exit;
use hostler_worker::agent;
use serde_json::Value;

use crate::connect::Site;
use crate::fault::Fault;

/// A worker in this process needs a second to see what there is.
const WORKER_MAX: Duration = Duration::from_secs(3);
const WORKER_AGAIN: Duration = Duration::from_millis(50);

const CLAUDE: &str = "claude";
const SCRIPTED: &str = "scripted";

/// An agent, and why this one.
pub struct Choice {
    pub key: String,
    pub why: String,
}

pub async fn agent(site: &Site, named: Option<&str>) -> anyhow::Result<Choice> {
    let client = &site.client;
    if let Some(key) = named {
        let agent = client.get_agent(key).await?;
        return Ok(Choice { key: agent.agent_key, why: "named by --agent".to_owned() });
    }
    let agents = client.list_agents().await?.agents;
    let runners = runners(site).await?;
    if let Some(choice) = configured(&agents, runners.as_ref()) {
        return Ok(choice);
    }
    let claude = match &runners {
        Some(runners) if runners.contains("claude_code") => Ok("a worker has it".to_owned()),
        Some(_) if !site.is_local() => Err("no worker has Claude Code".to_owned()),
        // The worker may have begun before the program was installed: what is here says what is
        // missing.
        Some(_) => Err(here("claude_code").err().unwrap_or_else(|| {
            "Claude Code is here, but was not when the worker started".to_owned()
        })),
        None if site.is_local() => here("claude_code"),
        None => Err("no worker is connected".to_owned()),
    };
    let (key, name, runner, why) = match claude {
        Ok(found) => (CLAUDE, "Claude Code", "claude_code", found),
        Err(missing) => {
            let why = format!("no model is used: {}", first_sentence(&missing));
            (SCRIPTED, "Scripted agent (no model)", "scripted", why)
        }
    };
    make(client, key, name, runner).await?;
    Ok(Choice { key: key.to_owned(), why })
}

/// The first that can work, `default` before the others and the scripted one after them.
fn configured(agents: &[Agent], runners: Option<&BTreeSet<String>>) -> Option<Choice> {
    let mut usable: Vec<&Agent> = agents
        .iter()
        // The scripted one was made by an earlier run for want of another: there may be one now.
        .filter(|agent| agent.active && agent.agent_key != SCRIPTED)
        .filter(|agent| runners.is_none_or(|runners| runners.contains(runner_of(agent))))
        .collect();
    usable.sort_by_key(|agent| agent.agent_key != "default");
    let agent = usable.first()?;
    let why = match (agent.agent_key.as_str(), usable.len()) {
        ("default", _) => "the agent `default`".to_owned(),
        (_, 1) => "the only configured agent that can work here".to_owned(),
        (_, count) => format!("the first of {count} configured agents; --agent names another"),
    };
    Some(Choice { key: agent.agent_key.clone(), why })
}

fn runner_of(agent: &Agent) -> &str {
    agent.config_json.get("runner").and_then(Value::as_str).unwrap_or_default()
}

/// What the connected workers can run; `None` when none is connected.
async fn runners(site: &Site) -> Result<Option<BTreeSet<String>>, ClientError> {
    let deadline = Instant::now() + WORKER_MAX;
    loop {
        let workers = site.client.list_workers().await?.workers;
        let is_ready = |worker: &&Worker| worker.status == WorkerStatus::Available;
        let ready: Vec<&Worker> = workers.iter().filter(is_ready).collect();
        if !ready.is_empty() {
            let runners = ready.into_iter().flat_map(|worker| worker.runners.clone());
            return Ok(Some(runners.collect()));
        }
        if !site.is_embedded() || Instant::now() > deadline {
            return Ok(None);
        }
        tokio::time::sleep(WORKER_AGAIN).await;
    }
}

fn here(runner: &str) -> Result<String, String> {
    let agent = agent::by_runner(runner).map_err(|refusal| refusal.0)?;
    agent.probe().map_err(|refusal| refusal.0)
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first)
}

async fn make(client: &Client, key: &str, name: &str, runner: &str) -> anyhow::Result<()> {
    let mut config = Object::new();
    config.insert("runner".to_owned(), runner.into());
    // It works where it is called: an offered folder is the folder, not one for each agent in it.
    config.insert("workspace_dir".to_owned(), "/workspace".into());
    let agent = CreateAgent {
        agent_key: Some(key.to_owned()),
        name: Some(name.to_owned()),
        config: Some(config),
        active: None,
    };
    match client.create_agent(&agent).await {
        Ok(_) => Ok(()),
        Err(error) if error.exit() == Exit::Conflict => match client.get_agent(key).await?.active {
            true => Ok(()),
            false => {
                let text = format!("the agent {key:?} is not active; name another by --agent");
                Err(Fault::usage(text).into())
            }
        },
        Err(error) => Err(error.into()),
    }
}

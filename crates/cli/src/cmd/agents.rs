//! `hostler agents`.

use hostler_wire::json::{Agent, CreateAgent, Object, UpdateAgent};
use hostler_wire::status::Exit;
use serde_json::Value;

use super::text;
use crate::args::{Agents, ConfigArgs, Global};
use crate::connect::Site;
use crate::fault::Fault;
use crate::print::{self, Card, Table, age, clean, clean_line};

pub async fn agents(global: &Global, agents: Agents) -> anyhow::Result<Exit> {
    let site = Site::find(global).await?;
    let client = &site.client;
    match agents {
        Agents::List => {
            let list = client.list_agents().await?;
            match global.json {
                true => print::json(&list)?,
                false => table(&list.agents, list.next_cursor.as_deref()),
            }
        }
        Agents::Get { agent } => told(&client.get_agent(&agent).await?, global.json)?,
        Agents::Create { key, name, inactive, config } => {
            let agent = CreateAgent {
                name: Some(name.unwrap_or_else(|| key.clone())),
                agent_key: Some(key),
                config: merged(config)?,
                active: inactive.then_some(false),
            };
            told(&client.create_agent(&agent).await?, global.json)?;
        }
        Agents::Update { agent, name, active, inactive, config } => {
            let active = (active || inactive).then_some(active);
            let change = UpdateAgent { name, config: merged(config)?, active };
            told(&client.update_agent(&agent, &change).await?, global.json)?;
        }
        Agents::Delete { agent } => {
            client.delete_agent(&agent).await?;
            if !global.json {
                print::out(format!("deleted  {}", clean(&agent)));
            }
        }
        Agents::Defaults { key } => {
            let defaults = client.agent_defaults(key.as_deref()).await?;
            match global.json {
                true => print::json(&defaults)?,
                false => print::out(clean(&serde_json::to_string_pretty(&defaults)?)),
            }
        }
    }
    Ok(Exit::Ok)
}

/// What was said of the config, the more particular over the more general.
fn merged(args: ConfigArgs) -> anyhow::Result<Option<Object>> {
    let mut config = Object::new();
    if let Some(path) = &args.config_file {
        config.extend(text::json::<Object>("--config-file", &text::file(path)?)?);
    }
    if let Some(given) = &args.config_json {
        config.extend(text::json::<Object>("--config-json", given)?);
    }
    let texts = [
        ("runner", args.runner),
        ("model", args.model),
        ("system_prompt", args.system_prompt),
        ("workspace_dir", args.workspace_dir),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            config.insert(name.to_owned(), value.into());
        }
    }
    if let Some(count) = args.max_concurrency {
        config.insert("max_concurrency".to_owned(), count.into());
    }
    if !args.command.is_empty() {
        config.insert("command".to_owned(), args.command.into());
    }
    if !args.env.is_empty() {
        let mut variables = Object::new();
        for given in args.env {
            let Some((name, value)) = given.split_once('=') else {
                return Err(Fault::usage(format!("--env {given:?} is not NAME=VALUE")).into());
            };
            variables.insert(name.to_owned(), value.into());
        }
        config.insert("env".to_owned(), variables.into());
    }
    Ok((!config.is_empty()).then_some(config))
}

fn setting<'a>(agent: &'a Agent, name: &str) -> &'a str {
    agent.config_json.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn table(agents: &[Agent], next_cursor: Option<&str>) {
    let header = ["agent", "name", "runner", "model", "active", "updated"];
    let mut table = Table::new("agents", &header);
    for agent in agents {
        table.row([
            clean_line(&agent.agent_key),
            clean_line(&agent.name),
            clean_line(setting(agent, "runner")),
            clean_line(setting(agent, "model")),
            if agent.active { "yes" } else { "no" }.to_owned(),
            format!("{} ago", age(agent.updated_at)),
        ]);
    }
    table.print(next_cursor);
}

fn told(agent: &Agent, json: bool) -> anyhow::Result<()> {
    if json {
        return print::json(agent);
    }
    let mut card = Card::default();
    card.line("agent", &agent.agent_key)
        .line("name", &agent.name)
        .line("id", agent.id)
        .line("active", if agent.active { "yes" } else { "no" })
        .line("updated", agent.updated_at)
        .line("config", serde_json::to_string_pretty(&agent.config_json)?);
    card.print();
    Ok(())
}

//! `hostler budgets`.

use hostler_wire::json::{BudgetStanding, Object, UpdateAgent, UpdateWorkspace};
use hostler_wire::status::Exit;
use serde_json::{Value, json};

use crate::args::{Budgets, Global};
use crate::connect::Site;
use crate::print::{self, Card};

pub async fn budgets(global: &Global, budgets: Budgets) -> anyhow::Result<Exit> {
    let site = Site::find(global).await?;
    let standing = match budgets {
        Budgets::Get { agent } => site.client.budget(agent.as_deref()).await?,
        Budgets::Reset { agent } => site.client.reset_budget(agent.as_deref()).await?,
        Budgets::Set { agent, usd, tokens, turns, period } => {
            let limits = [
                ("max_usd", json!(usd)),
                ("max_tokens", json!(tokens)),
                ("max_turns", json!(turns)),
            ];
            let mut budget = Object::new();
            let given = limits.into_iter().filter(|(_, limit)| !limit.is_null());
            budget.extend(given.map(|(name, limit)| (name.to_owned(), limit)));
            budget.insert("period".to_owned(), period.into());
            set(&site, agent.as_deref(), Some(budget)).await?
        }
        Budgets::Remove { agent } => set(&site, agent.as_deref(), None).await?,
    };
    match global.json {
        true => print::json(&standing)?,
        false => show(&standing),
    }
    Ok(Exit::Ok)
}

async fn set(
    site: &Site,
    agent: Option<&str>,
    budget: Option<Object>,
) -> anyhow::Result<BudgetStanding> {
    let client = &site.client;
    match agent {
        Some(agent) => {
            let budget = budget.map_or(Value::Null, Value::Object);
            let config = Object::from_iter([("budget".to_owned(), budget)]);
            let change = UpdateAgent { config: Some(config), ..UpdateAgent::default() };
            client.update_agent(agent, &change).await?;
        }
        None => {
            let change = UpdateWorkspace { budget: Some(budget), ..UpdateWorkspace::default() };
            client.update_workspace(client.workspace(), &change).await?;
        }
    }
    Ok(client.budget(agent).await?)
}

fn show(standing: &BudgetStanding) {
    let spent = &standing.spent;
    let mut card = Card::default();
    let Some(budget) = &standing.budget else {
        card.line("budget", "none: nothing is counted");
        return card.print();
    };
    let of = |limit: Option<String>| limit.map_or("no limit".to_owned(), |limit| limit);
    let usd = of(budget.max_usd.map(|usd| format!("{usd}")));
    let tokens = spent.input_tokens + spent.output_tokens;
    card.line("dollars", format!("{:.4} of {usd}", spent.total_cost_usd))
        .line("tokens", format!("{tokens} of {}", of(budget.max_tokens.map(|max| max.to_string()))))
        .line(
            "turns",
            format!("{} of {}", spent.turns, of(budget.max_turns.map(|max| max.to_string()))),
        )
        .maybe("since", standing.since.as_ref())
        .maybe("begins anew", standing.until.as_ref());
    card.print();
}

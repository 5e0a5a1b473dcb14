//! Making, changing and removing agents, and finding the one that a caller means.

use serde_json::{Map, Value};

use super::{Agent, config};
use crate::budget::account;
use crate::capacity::follow;
use crate::code::{Code, Rejection};
use crate::engine::txn::{Decided, Txn};
use crate::id::{AgentId, WorkspaceId};
use crate::key::Key;
use crate::limits;
use crate::text::{bounded, trimmed};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateAgent {
    pub agent_key: Option<String>,
    pub name: Option<String>,
    pub config: Map<String, Value>,
    pub active: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateAgent {
    pub name: Option<String>,
    pub config: Option<Map<String, Value>>,
    pub active: Option<bool>,
}

/// The agent with this id or this key (ACC-3).
pub(crate) fn resolve(txn: &Txn<'_>, workspace: WorkspaceId, given: &str) -> Decided<Agent> {
    if let Ok(id) = given.parse::<AgentId>()
        && let Some(agent) = txn.agent(id)?
        && agent.workspace_id == workspace
        && agent.deleted_at.is_none()
    {
        return Ok(agent);
    }
    if let Some(id) = txn.agent_key(workspace, given.to_owned())? {
        return txn.known(txn.agent(id));
    }
    let text = format!("there is no agent with the id or the key {given:?}");
    Err(Rejection::field(Code::AgentNotFound, "agent_id", text).into())
}

pub(crate) fn create(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    create: &CreateAgent,
) -> Decided<Agent> {
    let agent_key = parse_key("agent_key", create.agent_key.clone())?;
    let name = trimmed(create.name.clone()).ok_or_else(|| Rejection::required("name"))?;
    bounded("name", &name, limits::TEXT_BYTES_MAX)?;
    if txn.agent_key(workspace, agent_key.clone())?.is_some() {
        let text = format!("there is an agent with the key {agent_key:?} already");
        return Err(Rejection::field(Code::AgentExists, "agent_key", text).into());
    }
    let agent = Agent {
        id: AgentId(txn.ids.uuid()),
        workspace_id: workspace,
        config: config::merged(&agent_key, &Map::new(), &create.config)?,
        agent_key,
        name,
        active: create.active.unwrap_or(true),
        deleted_at: None,
        created_at: txn.now,
        updated_at: txn.now,
    };
    if agent.budget().is_some() {
        account::open(txn, workspace, Some(agent.id))?;
    }
    txn.put_agent_key(workspace, agent.agent_key.clone(), agent.id);
    txn.put_agent(agent.clone());
    Ok(agent)
}

pub(crate) fn update(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    given: &str,
    update: &UpdateAgent,
) -> Decided<Agent> {
    let mut agent = resolve(txn, workspace, given)?;
    let before = agent.clone();
    if let Some(name) = &update.name {
        let name = trimmed(Some(name.clone()));
        let name = name.ok_or_else(|| Rejection::invalid("name", "name cannot be empty"))?;
        bounded("name", &name, limits::TEXT_BYTES_MAX)?;
        agent.name = name;
    }
    if let Some(patch) = &update.config {
        agent.config = config::merged(&agent.agent_key, &agent.config, patch)?;
    }
    agent.active = update.active.unwrap_or(agent.active);
    agent.updated_at = txn.now;
    if before.budget().is_none() && agent.budget().is_some() {
        account::open(txn, workspace, Some(agent.id))?;
    }
    follow::all_of(txn, &before, &agent)?;
    txn.put_agent(agent.clone());
    Ok(agent)
}

/// The key becomes free, and its schedules go with it; tasks of the agent that are there go on.
pub(crate) fn delete(txn: &mut Txn<'_>, workspace: WorkspaceId, given: &str) -> Decided<()> {
    let mut agent = resolve(txn, workspace, given)?;
    let key = Key::AgentKey(workspace, agent.agent_key.clone());
    // The row is removed under its version, so it must have been read.
    txn.agent_key(workspace, agent.agent_key.clone())?;
    txn.remove(key);
    crate::schedule::manage::delete_of(txn, &agent)?;
    agent.active = false;
    agent.deleted_at = Some(txn.now);
    agent.updated_at = txn.now;
    txn.put_agent(agent);
    Ok(())
}

/// A key names a directory, so it is a plain file name.
pub(crate) fn parse_key(field: &str, given: Option<String>) -> Result<String, Rejection> {
    let key = trimmed(given).ok_or_else(|| Rejection::required(field))?;
    bounded(field, &key, limits::AGENT_KEY_BYTES_MAX)?;
    let plain = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if !plain || key.starts_with('.') {
        let text = format!(
            "invalid {field}: {key:?}; \
             allowed: letters, digits, `.`, `_` and `-`, not a `.` at the start"
        );
        return Err(Rejection::invalid(field, text));
    }
    Ok(key)
}

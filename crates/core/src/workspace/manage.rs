//! Making and changing workspaces.

use serde_json::{Map, Value};

use super::Workspace;
use crate::agent::manage::parse_key;
use crate::budget::{Budget, account};
use crate::capacity::manage::whole;
use crate::code::{Code, Rejection};
use crate::engine::txn::{Decided, Txn};
use crate::id::WorkspaceId;
use crate::limits;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateWorkspace {
    pub key: Option<String>,
}

/// What is to change; an absent field stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateWorkspace {
    pub paused: Option<bool>,
    pub weight: Option<i64>,
    /// `Some(None)`: no budget.
    pub budget: Option<Option<Map<String, Value>>>,
}

/// Its number is the next one. Two servers that take the same one write the same row, whose guard
/// lets one of them pass; the other looks again, and sees the first one's key as well.
pub(crate) fn create(txn: &mut Txn<'_>, create: &CreateWorkspace) -> Decided<Workspace> {
    let key = parse_key("key", create.key.clone())?;
    let known = txn.workspaces()?;
    if known.values().any(|other| *other == key) {
        let text = format!("there is a workspace with the key {key:?} already");
        return Err(Rejection::field(Code::WorkspaceExists, "key", text).into());
    }
    let last = known.keys().next_back().map_or(0, |last| last.0);
    let workspace = Workspace::new(WorkspaceId(last + 1), key, txn.now);
    txn.put_workspace(workspace.clone());
    Ok(workspace)
}

pub(crate) fn update(
    txn: &mut Txn<'_>,
    id: WorkspaceId,
    update: &UpdateWorkspace,
) -> Decided<Workspace> {
    let unknown = || Rejection::new(Code::WorkspaceNotFound, format!("there is no workspace {id}"));
    let mut workspace = txn.workspace(id)?.ok_or_else(unknown)?;
    workspace.paused = update.paused.unwrap_or(workspace.paused);
    if let Some(weight) = update.weight {
        workspace.weight = whole("weight", weight, limits::WEIGHT_MAX)?;
    }
    if let Some(given) = &update.budget {
        let budget = match given {
            Some(given) => Budget::parse("budget", given, true)?,
            None => None,
        };
        if workspace.budget.is_none() && budget.is_some() {
            account::open(txn, id, None)?;
        }
        if workspace.budget != budget {
            account::release(txn, id, None)?;
        }
        workspace.budget = budget;
    }
    txn.put_workspace(workspace.clone());
    Ok(workspace)
}

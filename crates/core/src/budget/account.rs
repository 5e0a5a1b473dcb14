//! What a workspace, or an agent of it, has spent since its period began; and beginning anew.

use serde::{Deserialize, Serialize};

use super::{Budget, Period};
use crate::agent::manage::resolve;
use crate::batch::Find;
use crate::engine::txn::{Decided, Txn};
use crate::id::{AgentId, WorkspaceId};
use crate::run::Usage;
use crate::task::Task;
use crate::time::Timestamp;

/// Kept while there is a budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub since: Timestamp,
    pub usage: Usage,
    pub turns: u64,
}

impl Account {
    pub fn new(since: Timestamp) -> Self {
        Account { since, usage: Usage::default(), turns: 0 }
    }

    /// What of it counts now: an account of a period that is over is empty.
    pub fn now(self, period: Period, now: Timestamp) -> Self {
        let start = period.start(now);
        if self.since < start { Account::new(start) } else { self }
    }
}

/// A budget and what was spent of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub budget: Option<Budget>,
    pub account: Option<Account>,
    /// When the period ends.
    pub until: Option<Timestamp>,
}

impl Standing {
    pub fn of(budget: Option<Budget>, account: Option<Account>, now: Timestamp) -> Self {
        let Some(limits) = budget else { return Standing { budget, account: None, until: None } };
        let account = account.map(|account| account.now(limits.period, now));
        Standing { budget, account, until: limits.period.end(now) }
    }
}

/// Adds to what the task's agent and its workspace have spent, where they have a budget.
pub(super) fn charge(txn: &mut Txn<'_>, task: &Task, usage: Usage, turns: u64) -> Decided<()> {
    let agent = txn.known(txn.agent(task.agent_id))?;
    let workspace = txn.known(txn.workspace(task.workspace_id))?;
    for (of, budget) in [(Some(agent.id), agent.budget()), (None, workspace.budget)] {
        let Some(budget) = budget else { continue };
        let account = txn.account(task.workspace_id, of)?;
        let account = account.unwrap_or_else(|| Account::new(txn.now));
        let mut account = account.now(budget.period, txn.now);
        account.usage.add(usage);
        account.turns = account.turns.saturating_add(turns);
        txn.put_account((task.workspace_id, of), account);
    }
    Ok(())
}

/// A budget was given where there was none: what was spent before does not count.
pub(crate) fn open(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    agent: Option<AgentId>,
) -> Decided<()> {
    // The row is written under its version, so it must have been read.
    txn.account(workspace, agent)?;
    txn.put_account((workspace, agent), Account::new(txn.now));
    Ok(())
}

pub(crate) fn show(
    txn: &Txn<'_>,
    workspace: WorkspaceId,
    agent: Option<&str>,
) -> Decided<Standing> {
    let (budget, of) = owner(txn, workspace, agent)?;
    Ok(Standing::of(budget, txn.account(workspace, of)?, txn.now))
}

/// A person says that nothing was spent: what waits for it goes on at once.
pub(crate) fn reset(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    agent: Option<&str>,
) -> Decided<Standing> {
    let (budget, of) = owner(txn, workspace, agent)?;
    open(txn, workspace, of)?;
    release(txn, workspace, of)?;
    Ok(Standing::of(budget, Some(Account::new(txn.now)), txn.now))
}

/// Whose budget it is, and what it allows.
fn owner(
    txn: &Txn<'_>,
    workspace: WorkspaceId,
    agent: Option<&str>,
) -> Decided<(Option<Budget>, Option<AgentId>)> {
    Ok(match agent {
        Some(given) => {
            let agent = resolve(txn, workspace, given)?;
            (agent.budget(), Some(agent.id))
        }
        None => (txn.known(txn.workspace(workspace))?.budget, None),
    })
}

/// Looks anew at the classes that a budget holds back.
pub(crate) fn release(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    agent: Option<AgentId>,
) -> Decided<()> {
    let held = txn.classes(Find::Held { workspace }, |class| {
        class.workspace_id == workspace
            && class.held_until.is_some()
            && agent.is_none_or(|agent| class.agent_id == agent)
    })?;
    for mut class in held {
        class.release();
        txn.put_instance(class);
    }
    Ok(())
}

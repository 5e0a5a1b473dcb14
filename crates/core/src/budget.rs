//! # Budgets
//!
//! **What** What may be spent, and what was spent: dollars, tokens and turns (RUN-11).

use serde::{Deserialize, Serialize};

use crate::capacity::Instance;
use crate::engine::txn::{Decided, Txn};
use crate::run::Usage;
use crate::task::Task;
use crate::time::Timestamp;

/// Limits; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_micro_usd: Option<u64>,
    /// Input and output tokens together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<u64>,
}

/// What a workspace, or an agent of it, has spent since its period began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub since: Timestamp,
    pub usage: Usage,
    pub turns: u64,
}

/// Why nothing more may be spent on a task, in words.
pub(crate) fn spent(_txn: &Txn<'_>, _task: &Task, _running: Usage) -> Decided<Option<String>> {
    Ok(None)
}

/// A turn of the task has ended: what it used is added up wherever there is a limit.
pub(crate) fn charge(_txn: &mut Txn<'_>, _task: &mut Task, _turn: Usage) -> Decided<()> {
    Ok(())
}

/// Whether a spent budget keeps a task from starting; then it is settled or held back.
pub(crate) fn holds(
    _txn: &mut Txn<'_>,
    _task: &mut Task,
    _instance: &mut Instance,
) -> Decided<bool> {
    Ok(false)
}

/// What the agent's program may be told of what is left; 0: no limit.
pub(crate) fn left_micro_usd(_txn: &Txn<'_>, _task: &Task) -> Decided<u64> {
    Ok(0)
}

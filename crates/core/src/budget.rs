//! # Budgets
//!
//! **What** What may be spent, and what was spent: dollars, tokens and turns, of a task, of an
//! agent's tasks together, and of a workspace's (RUN-11).
//!
//! A task whose own budget is spent has failed with the failure `budget`. A budget of its agent or
//! workspace that is spent holds its class back until there is more; only a turn that runs into it
//! is stopped, and that run has failed.
//!
//! **Invariants** `INV-BUDGET-1`: a turn is charged once, at its end or at the end of its attempt.
//! What reaches a limit exactly is done, and the next turn does not begin.
//!
//! **Not here** Turns that other tasks are in just now: they are charged at their ends.

pub mod account;
mod level;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::agent::Agent;
use crate::capacity::Instance;
use crate::capacity::claim::wake_waiter;
use crate::code::Rejection;
use crate::engine::txn::{Decided, Txn, legal};
use crate::input::submit;
use crate::lease::Lease;
use crate::limits;
use crate::run::finish;
use crate::run::outcome::{Failure, Outcome};
use crate::run::{Run, Usage};
use crate::task::{self, Task};
use crate::text::words;
pub use account::{Account, Standing};
use level::{Level, levels};

words! {
    /// How long a budget counts before it begins anew, in UTC.
    pub enum Period { Total => "total", Day => "day", Month => "month" }
}

impl Period {
    fn is_total(&self) -> bool {
        *self == Period::Total
    }
}

/// Limits; `None`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    #[serde(skip_serializing_if = "Period::is_total")]
    pub period: Period,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { max_micro_usd: None, max_tokens: None, max_turns: None, period: Period::Total }
    }
}

impl Budget {
    /// Reads `{max_usd, max_tokens, max_turns, period}`; one that limits nothing is none.
    pub fn parse(
        field: &str,
        given: &Map<String, Value>,
        may_repeat: bool,
    ) -> Result<Option<Budget>, Rejection> {
        let mut budget = Budget::default();
        for (name, value) in given {
            let wrong = |allowed: &str| {
                let shown = crate::text::shortened(&value.to_string(), 100).to_owned();
                let text = format!("invalid {name}: {shown}; allowed: {allowed}");
                Rejection::invalid(&format!("{field}.{name}"), text)
            };
            let count = || {
                let count = value.as_u64().filter(|count| *count > 0);
                count.ok_or_else(|| wrong("a whole number above 0"))
            };
            match name.as_str() {
                _ if value.is_null() => {}
                "max_usd" => {
                    let most = limits::BUDGET_USD_MAX;
                    let dollars = value.as_f64().filter(|usd| (1e-6..=most).contains(usd));
                    let dollars = dollars.ok_or_else(|| wrong("a number from 0.000001 to 1e9"))?;
                    // Exact to a millionth: the most is far below 2^53 of them.
                    budget.max_micro_usd = Some((dollars * 1e6).round() as u64);
                }
                "max_tokens" => budget.max_tokens = Some(count()?),
                "max_turns" => budget.max_turns = Some(count()?),
                "period" if may_repeat => {
                    let period = value.as_str().and_then(Period::parse);
                    budget.period = period.ok_or_else(|| wrong(&Period::list()))?;
                }
                _ => {
                    let period = if may_repeat { ", period" } else { "" };
                    let text = format!(
                        "unknown key {name:?}; allowed: max_usd, max_tokens, max_turns{period}"
                    );
                    return Err(Rejection::invalid(&format!("{field}.{name}"), text));
                }
            }
        }
        let is_one = budget != Budget { period: budget.period, ..Budget::default() };
        Ok(is_one.then_some(budget))
    }
}

impl Agent {
    /// What its tasks may spend together. The config was checked when it was written.
    pub fn budget(&self) -> Option<Budget> {
        let given = self.config.get("budget").and_then(Value::as_object)?;
        Budget::parse("budget", given, true).ok().flatten()
    }
}

/// Why nothing more may be spent on a task, in words: `running` is what its running turn has used
/// so far, and nothing between turns.
pub(crate) fn spent(txn: &Txn<'_>, task: &Task, running: Usage) -> Decided<Option<String>> {
    let levels = levels(txn, task)?;
    Ok(levels.into_iter().find_map(|level| level.with(running).reached(!running.is_nothing())))
}

/// A turn of the task has ended: what it used is added up wherever there is a limit.
pub(crate) fn charge(txn: &mut Txn<'_>, task: &mut Task, turn: Usage) -> Decided<()> {
    task.usage.add(turn);
    task.turn_count += 1;
    account::charge(txn, task, turn, 1)
}

/// An attempt has ended in mid-turn: what was heard of the turn is charged.
pub(crate) fn unfinished(
    txn: &mut Txn<'_>,
    task: &mut Task,
    run: &mut Run,
    lease: &Lease,
) -> Decided<()> {
    if lease.spent.is_nothing() {
        return Ok(());
    }
    run.usage.add(lease.spent);
    task.usage.add(lease.spent);
    account::charge(txn, task, lease.spent, 0)
}

/// Whether a task may begin a turn. A spent budget of its agent or workspace holds its class.
pub(crate) fn allows(txn: &Txn<'_>, task: &Task, instance: &mut Instance) -> Decided<bool> {
    let reached = |level: &Level| Some((level.until(txn.now), level.reached(false)?));
    for level in levels(txn, task)? {
        let Some((until, why)) = reached(&level) else { continue };
        if !level.is_tasks_own() {
            instance.held_until = Some(until);
            instance.held_by = Some(why);
        }
        return Ok(false);
    }
    Ok(true)
}

/// A task that could not be claimed has failed if its own budget is spent; else it waits on.
pub(crate) fn settle(txn: &mut Txn<'_>, mut task: Task) -> Decided<()> {
    let own = Level::of_task(&task).and_then(|level| level.reached(false));
    let Some(why) = own else { return Ok(()) };
    let open = match task.target_run_id {
        Some(id) => txn.run(id)?.filter(|run| !run.status.is_terminal()),
        None => None,
    };
    task.state = legal(task.state.next(task::state::Event::Fail));
    task.error = Some(why.clone());
    let payload = json!({ "failure": Failure::Budget.as_str(), "error": why });
    txn.event(task.id, open.as_ref().map(|run| (run.id, None)), "budget_spent", payload);
    submit::drop_waiting(txn, &mut task, "budget")?;
    txn.put_task(task.clone())?;
    match open {
        Some(run) => finish::end_idle(txn, &mut task, run, &Outcome::failed(Failure::Budget, why)),
        None => {
            // It may have been the one that its session's other tasks waited behind.
            let session = txn.session(task.workspace_id, task.session_id.clone());
            let session = txn.known(session)?;
            wake_waiter(txn, &session)
        }
    }
}

/// What the agent's program may be told of what is left; 0: no limit.
pub(crate) fn left_micro_usd(txn: &Txn<'_>, task: &Task) -> Decided<u64> {
    let levels = levels(txn, task)?;
    let left = levels.iter().filter_map(Level::left_micro_usd).min();
    Ok(left.map_or(0, |left| left.max(1)))
}

impl Instance {
    /// No budget holds it back, as far as is known.
    pub(crate) fn release(&mut self) {
        self.held_until = None;
        self.held_by = None;
    }
}

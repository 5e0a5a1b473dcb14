//! INV-BUDGET-1: what tasks use is what their agents said, accounts are the sum of it, and a spent
//! budget begins no turn.

use std::collections::BTreeMap;

use hostler_core::budget::{Account, Budget};
use hostler_core::id::{AgentId, AttemptId, InputId, TaskId, WorkspaceId};
use hostler_core::key::{Key, Row};
use hostler_core::lease::Turn;
use hostler_core::run::Usage;
use hostler_core::task::Task;

use super::{Change, Verdict};
use crate::disk::Disk;

type Owner = (WorkspaceId, Option<AgentId>);

#[derive(Default)]
pub struct Budgets {
    /// Tokens of the turns that agents have ended, and whether a server has said that it knows.
    ended: BTreeMap<(AttemptId, InputId), (u64, bool)>,
    /// The most that was ever said of a running turn.
    spent: BTreeMap<(AttemptId, InputId), u64>,
    /// What a rule only reads may change under it.
    pub is_shared: bool,
}

impl Budgets {
    pub fn spent(&mut self, attempt: AttemptId, input: InputId, tokens: u64) {
        let most = self.spent.entry((attempt, input)).or_default();
        *most = tokens.max(*most);
    }

    pub fn ended(&mut self, attempt: AttemptId, input: InputId, tokens: u64) {
        self.ended.insert((attempt, input), (tokens, false));
    }

    pub fn heard(&mut self, attempt: AttemptId, input: InputId) {
        if let Some((_, is_heard)) = self.ended.get_mut(&(attempt, input)) {
            *is_heard = true;
        }
    }

    pub fn committed(&mut self, changes: &[Change<'_>], disk: &Disk) -> Verdict {
        let mut used: BTreeMap<Owner, (i64, i64)> = BTreeMap::new();
        for change in changes {
            match (change.key, change.before, change.after) {
                (Key::Account(workspace, of), _, _) => {
                    used.entry((*workspace, *of)).or_default();
                }
                (_, before, Some(Row::Task(after))) => {
                    let before = match before {
                        Some(Row::Task(before)) => (tokens(before.usage), before.turn_count as i64),
                        _ => (0, 0),
                    };
                    let (tokens, turns) =
                        (tokens(after.usage) - before.0, after.turn_count as i64 - before.1);
                    if tokens < 0 || turns < 0 {
                        return Err(format!(
                            "INV-BUDGET-1: {} has used less than before",
                            after.id
                        ));
                    }
                    if (tokens, turns) != (0, 0) {
                        for of in [None, Some(after.agent_id)] {
                            let sum = used.entry((after.workspace_id, of)).or_default();
                            *sum = (sum.0 + tokens, sum.1 + turns);
                        }
                    }
                }
                _ => {}
            }
        }
        for (owner, sum) in used {
            self.charged(owner, sum, changes, disk)?;
        }
        changes.iter().try_for_each(|change| self.begins(change, changes, disk))
    }

    /// An account grows by what its tasks have used while its budget stands. One that another
    /// server has opened in this moment was not seen yet.
    fn charged(
        &self,
        owner: Owner,
        sum: (i64, i64),
        changes: &[Change<'_>],
        disk: &Disk,
    ) -> Verdict {
        if standing(owner, changes, disk).is_none() {
            return Ok(());
        }
        let key = Key::Account(owner.0, owner.1);
        let change = changes.iter().find(|change| *change.key == key);
        let grown = match change.map(|change| (change.before, change.after)) {
            Some((Some(Row::Account(before)), Some(Row::Account(after)))) => {
                if before.since != after.since {
                    return Ok(());
                }
                let turns = after.turns as i64 - before.turns as i64;
                (tokens(after.usage) - tokens(before.usage), turns)
            }
            Some(_) => return Ok(()),
            None if self.is_shared && is_new(&key, disk) => return Ok(()),
            None => (0, 0),
        };
        match grown == sum {
            true => Ok(()),
            false => Err(format!(
                "INV-BUDGET-1: the account of {owner:?} grew by {grown:?}, its tasks used {sum:?}"
            )),
        }
    }

    /// No turn begins under a budget that was spent before the batch.
    fn begins(&self, change: &Change<'_>, changes: &[Change<'_>], disk: &Disk) -> Verdict {
        let lease = match (change.before, change.after) {
            (None, Some(Row::Lease(lease))) => lease,
            (Some(Row::Lease(before)), Some(Row::Lease(lease)))
                if before.turn != lease.turn && matches!(lease.turn, Turn::Given(_)) =>
            {
                lease
            }
            _ => return Ok(()),
        };
        let Some(task) = task_before(lease.task_id, changes, disk) else { return Ok(()) };
        if let Some(budget) = task.budget
            && is_reached(budget, task.usage, task.turn_count)
        {
            return Err(format!("RUN-11: {} begins a turn, and its budget is spent", task.id));
        }
        if self.is_shared {
            return Ok(());
        }
        for of in [None, Some(task.agent_id)] {
            let owner = (task.workspace_id, of);
            if let Some(budget) = standing(owner, changes, disk)
                && let Some((account, false)) = account_before(owner, changes, disk)
                && is_reached(budget, account.usage, account.turns)
            {
                return Err(format!("RUN-11: {} begins a turn under a spent {owner:?}", task.id));
            }
        }
        Ok(())
    }

    /// What tasks have used lies between what was heard and what was said at all.
    pub fn at_rest(&self, disk: &Disk) -> Verdict {
        let mut bounds: BTreeMap<TaskId, [u64; 4]> = BTreeMap::new();
        let task_of = |attempt: AttemptId| match disk.row(Key::Attempt(attempt)) {
            Some(Row::Attempt(attempt)) => Some(attempt.task_id),
            _ => None,
        };
        for ((attempt, _), (tokens, is_heard)) in &self.ended {
            let Some(task) = task_of(*attempt) else { continue };
            let bound = bounds.entry(task).or_default();
            bound[1] += tokens;
            bound[3] += 1;
            if *is_heard {
                bound[0] += tokens;
                bound[2] += 1;
            }
        }
        for ((attempt, _), tokens) in &self.spent {
            let Some(task) = task_of(*attempt) else { continue };
            bounds.entry(task).or_default()[1] += tokens;
        }
        let mut verdict = Ok(());
        disk.memory.each(|_, _, row| {
            let Row::Task(task) = row else { return };
            let [least, most, turns_least, turns_most] =
                bounds.get(&task.id).copied().unwrap_or_default();
            let is_within = (least..=most).contains(&task.usage.input_tokens)
                && (turns_least..=turns_most).contains(&task.turn_count);
            if !is_within && verdict.is_ok() {
                let (id, used, turns) = (task.id, task.usage.input_tokens, task.turn_count);
                verdict = Err(format!(
                    "INV-BUDGET-1: {id} has used {used} tokens in {turns} turns; its agents used \
                     {least} to {most} in {turns_least} to {turns_most}"
                ));
            }
        });
        verdict
    }
}

fn tokens(usage: Usage) -> i64 {
    (usage.input_tokens + usage.output_tokens) as i64
}

fn is_reached(budget: Budget, usage: Usage, turns: u64) -> bool {
    budget.max_tokens.is_some_and(|most| tokens(usage) >= most as i64)
        || budget.max_turns.is_some_and(|most| turns >= most)
}

/// The budget of an owner, unless this batch has changed it.
fn standing(owner: Owner, changes: &[Change<'_>], disk: &Disk) -> Option<Budget> {
    let key = match owner {
        (workspace, None) => Key::Workspace(workspace),
        (_, Some(agent)) => Key::Agent(agent),
    };
    let budget = |row: &Row| match row {
        Row::Workspace(row) => row.budget,
        Row::Agent(row) => row.budget(),
        _ => None,
    };
    let change = changes.iter().find(|change| *change.key == key);
    let is_moved =
        change.is_some_and(|one| one.before.and_then(budget) != one.after.and_then(budget));
    disk.row(key).as_ref().and_then(budget).filter(|_| !is_moved)
}

/// Of an owner before the batch; true: the batch has begun it anew.
fn account_before(owner: Owner, changes: &[Change<'_>], disk: &Disk) -> Option<(Account, bool)> {
    let key = Key::Account(owner.0, owner.1);
    match changes.iter().find(|change| *change.key == key) {
        Some(Change { before: Some(Row::Account(before)), after, .. }) => {
            let is_anew =
                !matches!(after, Some(Row::Account(after)) if after.since == before.since);
            Some((before.clone(), is_anew))
        }
        Some(_) => None,
        None => match disk.row(key) {
            Some(Row::Account(account)) => Some((account, false)),
            _ => None,
        },
    }
}

fn task_before(id: TaskId, changes: &[Change<'_>], disk: &Disk) -> Option<Task> {
    let key = Key::Task(id);
    match changes.iter().find(|change| *change.key == key) {
        Some(Change { before: Some(Row::Task(task)), .. }) => Some((**task).clone()),
        Some(_) => None,
        None => match disk.row(key) {
            Some(Row::Task(task)) => Some(*task),
            _ => None,
        },
    }
}

fn is_new(account: &Key, disk: &Disk) -> bool {
    match disk.row(account.clone()) {
        Some(Row::Account(account)) => account.turns == 0 && tokens(account.usage) == 0,
        _ => true,
    }
}

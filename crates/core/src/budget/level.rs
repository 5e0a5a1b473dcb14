//! The budgets that a task is under, each with what was spent of it.

use jiff::ToSpan;
use jiff::tz::TimeZone;

use super::{Budget, Period};
use crate::engine::txn::{Decided, Txn};
use crate::limits;
use crate::run::Usage;
use crate::task::Task;
use crate::time::Timestamp;

pub(super) struct Level {
    /// Whose it is, in words.
    whose: &'static str,
    budget: Budget,
    usage: Usage,
    turns: u64,
}

/// The task's own first: it alone ends the task.
pub(super) fn levels(txn: &Txn<'_>, task: &Task) -> Decided<Vec<Level>> {
    let mut levels: Vec<Level> = Level::of_task(task).into_iter().collect();
    let workspace = txn.known(txn.workspace(task.workspace_id))?;
    let agent = txn.known(txn.agent(task.agent_id))?;
    let shared = [
        ("the agent's", agent.budget(), Some(agent.id)),
        ("the workspace's", workspace.budget, None),
    ];
    for (whose, budget, of) in shared {
        let Some(budget) = budget else { continue };
        let account = txn.account(task.workspace_id, of)?;
        let account = account.filter(|account| account.since >= budget.period.start(txn.now));
        let (usage, turns) =
            account.map(|account| (account.usage, account.turns)).unwrap_or_default();
        levels.push(Level { whose, budget, usage, turns });
    }
    Ok(levels)
}

impl Level {
    pub fn of_task(task: &Task) -> Option<Level> {
        let (usage, turns) = (task.usage, task.turn_count);
        task.budget.map(|budget| Level { whose: TASKS, budget, usage, turns })
    }

    pub fn is_tasks_own(&self) -> bool {
        self.whose == TASKS
    }

    /// The same with what a running turn has used.
    pub fn with(mut self, running: Usage) -> Self {
        self.usage.add(running);
        self
    }

    /// Which limit is reached, in words; in mid-turn what was allowed may be used to the last.
    pub fn reached(&self, in_turn: bool) -> Option<String> {
        let is_over = |used: u64, most: u64| if in_turn { used > most } else { used >= most };
        let Level { whose, budget, usage, turns } = self;
        let for_how_long = match budget.period {
            Period::Total => "",
            Period::Day => " for this day",
            Period::Month => " for this month",
        };
        let tokens = tokens(usage);
        let spent = match *budget {
            Budget { max_micro_usd: Some(most), .. } if is_over(usage.cost_micro_usd, most) => {
                format!("{} of {}", dollars(usage.cost_micro_usd), dollars(most))
            }
            Budget { max_tokens: Some(most), .. } if is_over(tokens, most) => {
                format!("{tokens} of {most} tokens")
            }
            Budget { max_turns: Some(most), .. } if !in_turn && *turns >= most => {
                format!("{turns} of {most} turns")
            }
            _ => return None,
        };
        Some(format!("{whose} budget{for_how_long} is spent: {spent}"))
    }

    /// When there is more, or when to look again.
    pub fn until(&self, now: Timestamp) -> Timestamp {
        self.budget.period.end(now).unwrap_or(now + limits::BUDGET_RECHECK)
    }

    pub fn left_micro_usd(&self) -> Option<u64> {
        let most = self.budget.max_micro_usd?;
        Some(most.saturating_sub(self.usage.cost_micro_usd))
    }
}

const TASKS: &str = "the task's";

fn tokens(usage: &Usage) -> u64 {
    usage.input_tokens.saturating_add(usage.output_tokens)
}

fn dollars(micro_usd: u64) -> String {
    let cents = micro_usd.div_ceil(10_000);
    format!("${}.{:02}", cents / 100, cents % 100)
}

impl Period {
    /// When the period that `now` is in began.
    pub(crate) fn start(self, now: Timestamp) -> Timestamp {
        self.bounds(now).map_or(Timestamp(i64::MIN), |(start, _)| start)
    }

    /// When it ends; `None`: never.
    pub fn end(self, now: Timestamp) -> Option<Timestamp> {
        self.bounds(now).map(|(_, end)| end)
    }

    fn bounds(self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let moment = jiff::Timestamp::from_millisecond(now.0).ok()?;
        let day = moment.to_zoned(TimeZone::UTC).date();
        let (first, span) = match self {
            Period::Total => return None,
            Period::Day => (day, 1.day()),
            Period::Month => (day.first_of_month(), 1.month()),
        };
        let at = |date: jiff::civil::Date| {
            let zoned = date.to_zoned(TimeZone::UTC).ok()?;
            Some(Timestamp(zoned.timestamp().as_millisecond()))
        };
        Some((at(first)?, at(first.checked_add(span).ok()?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(budget: Budget, tokens: u64, cost_micro_usd: u64, turns: u64) -> Level {
        let usage = Usage { output_tokens: tokens, cost_micro_usd, ..Usage::default() };
        Level { whose: TASKS, budget, usage, turns }
    }

    #[test]
    fn what_reaches_a_limit_exactly_is_done_and_nothing_more_begins() {
        let budget = Budget { max_tokens: Some(100), ..Budget::default() };
        assert_eq!(level(budget, 99, 0, 0).reached(false), None);
        assert_eq!(level(budget, 100, 0, 0).reached(true), None);
        let text = "the task's budget is spent: 100 of 100 tokens";
        assert_eq!(level(budget, 100, 0, 0).reached(false).as_deref(), Some(text));
        assert!(level(budget, 101, 0, 0).reached(true).is_some());
    }

    #[test]
    fn turns_are_counted_between_turns_only() {
        let budget = Budget { max_turns: Some(2), period: Period::Day, ..Budget::default() };
        assert_eq!(level(budget, 0, 0, 2).reached(true), None);
        let text = "the task's budget for this day is spent: 2 of 2 turns";
        assert_eq!(level(budget, 0, 0, 2).reached(false).as_deref(), Some(text));
    }

    #[test]
    fn money_is_shown_in_dollars_and_what_is_left_is_never_below_nothing() {
        let budget = Budget { max_micro_usd: Some(1_000_000), ..Budget::default() };
        let over = level(budget, 0, 1_204_001, 0);
        let text = "the task's budget is spent: $1.21 of $1.00";
        assert_eq!(over.reached(false).as_deref(), Some(text));
        assert_eq!(over.left_micro_usd(), Some(0));
        assert_eq!(level(budget, 0, 400_000, 0).left_micro_usd(), Some(600_000));
    }

    #[test]
    fn days_and_months_end_in_utc() {
        let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let now = at("2024-02-29T23:59:59.999Z");
        assert_eq!(Period::Day.start(now), at("2024-02-29T00:00:00Z"));
        assert_eq!(Period::Day.end(now), Some(at("2024-03-01T00:00:00Z")));
        assert_eq!(Period::Month.start(now), at("2024-02-01T00:00:00Z"));
        assert_eq!(Period::Month.end(now), Some(at("2024-03-01T00:00:00Z")));
        assert_eq!(Period::Total.end(now), None);
    }
}

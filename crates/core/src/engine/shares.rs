//! Whose turn it is among workspaces (DSP-2): weighted fair shares of what this server gives.
//!
//! **What** Each task that is given moves its workspace on by `1 / weight`; the one that is least
//! far goes next. A workspace that had nothing to do begins where the others are: it has no credit.
//!
//! **Invariants** It is a memory of this server only, like `offers`: losing it costs one round of
//! turns, and no row is written for it. Several servers are each fair with their own workers.
//! Priority goes before every share.

use std::collections::{BTreeMap, VecDeque};

use crate::capacity::ready::Candidate;
use crate::id::{TaskId, WorkspaceId};
use crate::limits;

/// How far a workspace of weight 1 moves with a task: every weight up to ten divides it.
const STEP: u64 = 2_520 * 1_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    /// Where the one that was served last stood.
    now: u64,
    /// How far each has come, of those that are ahead of it.
    passes: BTreeMap<WorkspaceId, u64>,
}

impl Shares {
    fn pass(&self, workspace: WorkspaceId) -> u64 {
        self.passes.get(&workspace).map_or(self.now, |pass| self.now.max(*pass))
    }

    /// A task of the workspace was given to a worker.
    pub fn give(&mut self, workspace: WorkspaceId, weight: u32) {
        self.now = self.pass(workspace);
        self.passes.insert(workspace, self.now + STEP / u64::from(weight.max(1)));
        if self.passes.len() > limits::SHARES_MAX {
            let now = self.now;
            self.passes.retain(|_, pass| *pass > now);
        }
    }

    /// The tasks in the order in which they would be given, at most so many.
    pub fn order(&self, candidates: Vec<Candidate>, count: usize) -> Vec<TaskId> {
        let mut shares = self.clone();
        let mut ordered = Vec::with_capacity(count.min(candidates.len()));
        let mut candidates = candidates.into_iter().peekable();
        while let Some(priority) = candidates.peek().map(|first| first.priority)
            && ordered.len() < count
        {
            let mut queues: BTreeMap<WorkspaceId, VecDeque<Candidate>> = BTreeMap::new();
            while let Some(one) = candidates.next_if(|next| next.priority == priority) {
                queues.entry(one.workspace).or_default().push_back(one);
            }
            while ordered.len() < count
                && let Some(next) = queues.keys().copied().min_by_key(|id| (shares.pass(*id), *id))
            {
                let queue = queues.get_mut(&next).expect("it is one of them");
                let Some(one) = queue.pop_front() else { unreachable!("none is empty") };
                if queue.is_empty() {
                    queues.remove(&next);
                }
                shares.give(next, one.weight);
                ordered.push(one.task);
            }
        }
        ordered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Priority;
    use uuid::Uuid;

    fn candidates(workspace: u64, weight: u32, count: u64, priority: Priority) -> Vec<Candidate> {
        let one = |number| Candidate {
            task: TaskId(Uuid::from_u64_pair(workspace, number)),
            workspace: WorkspaceId(workspace),
            weight,
            priority,
        };
        (0..count).map(one).collect()
    }

    /// The workspaces in the order of their tasks.
    fn turns(ordered: &[TaskId]) -> String {
        ordered.iter().map(|task| task.0.as_u64_pair().0.to_string()).collect()
    }

    #[test]
    fn three_to_one_over_forty_claims() {
        let mut all = candidates(1, 1, 40, Priority::Normal);
        all.extend(candidates(2, 3, 40, Priority::Normal));
        let got = turns(&Shares::default().order(all, 40));
        assert_eq!(got, "1222".repeat(10));
    }

    #[test]
    fn one_at_a_time_is_as_fair_as_all_at_once() {
        let mut shares = Shares::default();
        let mut got = String::new();
        for _ in 0..12 {
            let mut all = candidates(1, 1, 9, Priority::Normal);
            all.extend(candidates(2, 2, 9, Priority::Normal));
            let next = shares.order(all, 1);
            got += &turns(&next);
            let is_first = next[0].0.as_u64_pair().0 == 1;
            shares.give(WorkspaceId(if is_first { 1 } else { 2 }), if is_first { 1 } else { 2 });
        }
        assert_eq!(got, "122".repeat(4));
    }

    #[test]
    fn whoever_was_idle_has_no_credit_and_who_was_alone_no_debt() {
        let mut shares = Shares::default();
        (0..1_000).for_each(|_| shares.give(WorkspaceId(1), 1));
        let mut all = candidates(1, 1, 4, Priority::Normal);
        all.extend(candidates(2, 1, 4, Priority::Normal));
        assert_eq!(turns(&shares.order(all, 8)), "21212121");
    }

    #[test]
    fn priority_goes_before_every_share() {
        let mut all = candidates(2, 1, 3, Priority::Urgent);
        all.extend(candidates(1, 1_000, 2, Priority::Normal));
        all.extend(candidates(2, 1, 2, Priority::Normal));
        assert_eq!(turns(&Shares::default().order(all, 9)), "2221122");
    }
}

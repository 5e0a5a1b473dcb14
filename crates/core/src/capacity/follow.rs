//! A class follows its agent's config: how much of it may run, and where (DSP-6).

use super::{Instance, Needs};
use crate::agent::Agent;
use crate::batch::Find;
use crate::engine::txn::{Decided, Txn};
use crate::policy::Policy;

impl Instance {
    /// What the agent's config and the policy say, unless a person has said something else.
    pub(crate) fn follow(&mut self, agent: &Agent, policy: &Policy) {
        self.needs = Needs::of(agent, policy);
        if !self.concurrency_is_own {
            self.concurrency = agent.concurrency();
        }
    }
}

/// The agent's config has changed: its classes follow at once. The policy of a class never does.
/// A budget that changed is looked at anew.
pub(crate) fn all_of(txn: &mut Txn<'_>, before: &Agent, agent: &Agent) -> Decided<()> {
    let budget_moved = before.budget() != agent.budget();
    let moved = budget_moved
        || before.concurrency() != agent.concurrency()
        || before.pool() != agent.pool()
        || before.labels() != agent.labels();
    if !moved {
        return Ok(());
    }
    let id = agent.id;
    for mut class in txn.classes(Find::Classes { agent: id }, |class| class.agent_id == id)? {
        if !class.concurrency_is_own {
            class.concurrency = agent.concurrency();
        }
        class.needs.pool = agent.pool().to_owned();
        class.needs.labels = agent.labels();
        if budget_moved {
            class.release();
        }
        txn.change_instance(class)?;
    }
    Ok(())
}

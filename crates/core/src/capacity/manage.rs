//! A person's hand on an instance: its concurrency, threshold and weight, and a reset (INS-2).

use super::health;
use super::{Health, Instance};
use crate::code::{Code, Rejection};
use crate::engine::txn::{Decided, Txn};
use crate::id::WorkspaceId;
use crate::limits;

/// What is to change; an absent field stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateInstance {
    /// `Some(None)`: what the agent's config says counts again.
    pub concurrency: Option<Option<i64>>,
    pub failed_attempt_threshold: Option<i64>,
    pub weight: Option<i64>,
}

pub(crate) fn update(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    key: &str,
    update: &UpdateInstance,
) -> Decided<Instance> {
    let mut instance = find(txn, workspace, key)?;
    match update.concurrency {
        Some(Some(count)) => {
            instance.concurrency = whole("concurrency", count, limits::CONCURRENCY_MAX)?;
            instance.concurrency_is_own = true;
        }
        Some(None) => {
            instance.concurrency = txn.known(txn.agent(instance.agent_id))?.concurrency();
            instance.concurrency_is_own = false;
        }
        None => {}
    }
    if let Some(weight) = update.weight {
        instance.weight = whole("weight", weight, limits::WEIGHT_MAX)?;
    }
    if let Some(count) = update.failed_attempt_threshold {
        let field = "failed_attempt_threshold";
        instance.failed_attempt_threshold = whole(field, count, limits::THRESHOLD_MAX)?;
        health::judge_anew(txn, &mut instance);
    }
    instance.updated_at = txn.now;
    txn.change_instance(instance.clone())?;
    Ok(instance)
}

/// It is healthy from here on, whatever it was.
pub(crate) fn reset(txn: &mut Txn<'_>, workspace: WorkspaceId, key: &str) -> Decided<Instance> {
    let mut instance = find(txn, workspace, key)?;
    health::clear(&mut instance);
    instance.change_to(Health::Healthy, "a person reset it", txn.now);
    instance.updated_at = txn.now;
    txn.put_instance(instance.clone());
    Ok(instance)
}

fn find(txn: &Txn<'_>, workspace: WorkspaceId, key: &str) -> Decided<Instance> {
    let instance = txn.instance(key.to_owned())?;
    let instance = instance.filter(|instance| instance.workspace_id == workspace);
    let unknown = || Rejection::new(Code::NotFound, format!("there is no instance {key:?}"));
    Ok(instance.ok_or_else(unknown)?)
}

/// A whole number from 1 on.
pub(crate) fn whole(field: &str, given: i64, most: u32) -> Result<u32, Rejection> {
    u32::try_from(given).ok().filter(|number| (1..=most).contains(number)).ok_or_else(|| {
        let text = format!("invalid {field}: {given}; allowed: a whole number from 1 to {most}");
        Rejection::invalid(field, text)
    })
}

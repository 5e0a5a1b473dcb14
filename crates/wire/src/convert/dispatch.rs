//! Instances, workers, workspaces and budgets.

use std::collections::BTreeMap;

use hostler_core::budget::{Budget, Period, Standing};
use hostler_core::capacity::{Change, Instance, Needs};
use hostler_core::lease::Resources;
use hostler_core::run::Usage;
use hostler_core::worker::{Offer, Worker};
use hostler_core::workspace::Workspace;
use serde_json::Value;

use crate::json::instance::{ByPriority, StatusChange, Taken};
use crate::json::{self, Object, Time};
use crate::redact;

pub fn instance(instance: &Instance) -> json::Instance {
    let Instance {
        key,
        workspace_id,
        agent_id,
        lane,
        needs,
        status,
        concurrency,
        concurrency_is_own,
        failed_attempt_threshold,
        failed_attempts,
        probe_at,
        degradations: _,
        history,
        held_until,
        held_by,
        queued,
        parked,
        ready: [urgent, high, normal, low],
        pending,
        running,
        stopping,
        idle,
        pass: _,
        weight,
        served: _,
        created_at,
        updated_at,
    } = instance;
    let Needs { runtime_type, pool, labels, resources } = needs;
    json::Instance {
        instance_key: key.clone(),
        workspace_id: workspace_id.0,
        agent_id: *agent_id,
        lane: lane.clone(),
        runtime_type: *runtime_type,
        pool: pool.clone(),
        labels: redacted_labels(labels),
        resources: taken(*resources),
        status: *status,
        concurrency: *concurrency,
        concurrency_is_own: *concurrency_is_own,
        weight: *weight,
        failed_attempt_threshold: *failed_attempt_threshold,
        failed_attempts: *failed_attempts,
        probe_at: probe_at.map(Time),
        held_until: held_until.map(Time),
        held_by: held_by.clone(),
        desired_dispatch_target: instance.room(),
        queued_tasks: *queued,
        parked_tasks: *parked,
        ready_tasks: ByPriority { urgent: *urgent, high: *high, normal: *normal, low: *low },
        pending_attempts: *pending,
        running_attempts: *running,
        stopping_attempts: *stopping,
        idle_attempts: *idle,
        history: history.iter().map(change).collect(),
        created_at: Time(*created_at),
        updated_at: Time(*updated_at),
    }
}

fn change(change: &Change) -> StatusChange {
    let Change { at, from, to, reason } = change;
    StatusChange { at: Time(*at), from: *from, to: *to, reason: reason.clone() }
}

fn taken(resources: Resources) -> Taken {
    let Resources { cpu_millis, memory_bytes, gpus } = resources;
    Taken { cpu_millis, memory_bytes, gpus }
}

/// Labels are an object of strings to the rules.
pub(super) fn redacted_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let values = labels.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str())));
    let mut shown: Object = values.collect();
    redact::object(&mut shown);
    let texts = shown.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        value => (name, value.to_string()),
    });
    texts.collect()
}

pub fn worker(worker: &Worker) -> json::Worker {
    let Worker {
        id,
        incarnation,
        status,
        offer,
        until,
        renewal: _,
        grant_count,
        reserved,
        connected_at,
        updated_at,
    } = worker;
    let Offer { pool, runtimes, runners, cpu_millis, memory_bytes, gpus, labels, version } = offer;
    json::Worker {
        id: id.0.clone(),
        incarnation: *incarnation,
        status: *status,
        pool: pool.clone(),
        runtimes: runtimes.clone(),
        runners: runners.clone(),
        cpu_millis: *cpu_millis,
        memory_bytes: *memory_bytes,
        gpus: *gpus,
        labels: redacted_labels(labels),
        version: version.clone(),
        grant_count: *grant_count,
        reserved: taken(*reserved),
        lease_until: until.map(Time),
        connected_at: Time(*connected_at),
        updated_at: Time(*updated_at),
    }
}

pub fn workspace(workspace: &Workspace) -> json::Workspace {
    let Workspace { id, key, paused, weight, budget, created_at, updated_at } = workspace;
    json::Workspace {
        id: id.0,
        key: key.clone(),
        paused: *paused,
        weight: *weight,
        budget: budget.as_ref().map(self::budget),
        created_at: Time(*created_at),
        updated_at: Time(*updated_at),
    }
}

pub fn budget(budget: &Budget) -> json::Budget {
    let Budget { max_micro_usd, max_tokens, max_turns, period } = *budget;
    json::Budget {
        // The most is far below 2^53 millionths.
        max_usd: max_micro_usd.map(|micro| micro as f64 / 1_000_000.0),
        max_tokens,
        max_turns,
        period: Some(period).filter(|period| *period != Period::Total),
    }
}

/// A budget and what was spent of it; without an account nothing was.
pub fn standing(standing: &Standing) -> json::BudgetStanding {
    let Standing { budget, account, until } = standing;
    let (usage, turns) = match account {
        Some(account) => (account.usage, u32::try_from(account.turns).unwrap_or(u32::MAX)),
        None => (Usage::default(), 0),
    };
    json::BudgetStanding {
        budget: budget.as_ref().map(self::budget),
        spent: super::usage(usage, turns),
        since: account.as_ref().map(|account| Time(account.since)),
        until: until.map(Time),
    }
}

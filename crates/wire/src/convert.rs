//! Between the rows of `hostler-core` and the public JSON.
//!
//! **Invariants** Rows are taken apart without `..`: a field that is not shown is named with `_`.
//! What people, agents and programs wrote is redacted here and nowhere else (STR-5). Ids, keys and
//! lanes are not: they are sent back to name something.
//!
//! **Not here** What has to be loaded beside a row (the caller gives it).

mod dispatch;
mod request;
mod schedule;
mod stream;

use std::collections::BTreeMap;

use hostler_core::agent::Agent;
use hostler_core::attempt::Attempt;
use hostler_core::capacity::waiting;
use hostler_core::input::Input;
use hostler_core::policy::{Policy, Retry, Source};
use hostler_core::run::{Run, Snapshot, Usage};
use hostler_core::task::accept::Accepted;
use hostler_core::task::{self, Details, Task};
use hostler_core::time::Timestamp;
use serde_json::Value;

use crate::json;
use crate::json::run::InteractionState;
use crate::json::task::Payload;
use crate::json::{Object, Time, WaitingOn};
use crate::redact;
pub use dispatch::{budget, instance, standing, worker, workspace};
pub use schedule::{backfilled, missed, schedule};
pub use stream::{Original, original, prompt, record};

fn text(text: &Option<String>) -> Option<String> {
    text.as_deref().map(redact::copy)
}

fn object(object: &Object) -> Object {
    let mut object = object.clone();
    redact::object(&mut object);
    object
}

fn list(items: &[Value]) -> Vec<Value> {
    let mut items = items.to_vec();
    items.iter_mut().for_each(redact::value);
    items
}

/// The caller's key of a conversation: its name is a sensitive one, as in the original.
fn session_key(details: &Details) -> Option<String> {
    details.session_key.as_deref().map(redact::hidden)
}

pub fn agent(agent: &Agent) -> json::Agent {
    let Agent {
        id,
        workspace_id,
        agent_key,
        name,
        config,
        active,
        deleted_at: _,
        created_at,
        updated_at,
    } = agent;
    json::Agent {
        id: *id,
        workspace_id: workspace_id.0,
        agent_key: agent_key.clone(),
        name: redact::copy(name),
        config_json: object(config),
        active: *active,
        created_at: Time(*created_at),
        updated_at: Time(*updated_at),
    }
}

/// A task. Its message and attachments are its first input's: without it they are absent.
pub fn task(task: &Task, first_input: Option<&Input>, waiting_on: Option<WaitingOn>) -> json::Task {
    let Task {
        id,
        workspace_id,
        agent_id,
        session_id,
        state,
        queue_mode,
        priority,
        idempotency_key,
        first_input_id: _,
        details,
        policy,
        instance_key,
        target_run_id,
        inbox,
        parked: _,
        wake_at: _,
        schedule_id: _,
        budget,
        usage,
        turn_count,
        cancel_requested_at,
        error,
        dropped_reason,
        accepted_at,
        queued_at,
        dispatched_at,
        archived_at,
        rested_at: _,
        created_at,
        updated_at,
    } = task;
    let Details {
        session_key: _,
        hook_id,
        timeout_ms,
        lane,
        extra_system_prompt,
        input_provenance,
        deliver,
        label,
        spawned_by,
        routing,
        dir,
    } = details;
    let payload = Payload {
        message: first_input.map(|input| redact::copy(&input.message)),
        session_id: session_id.0.clone(),
        session_key: session_key(details),
        agent_id: *agent_id,
        hook_id: *hook_id,
        timeout_ms: *timeout_ms,
        policy: self::policy(policy),
        lane: lane.clone(),
        extra_system_prompt: text(extra_system_prompt),
        input_provenance: input_provenance.as_ref().map(object),
        deliver: *deliver,
        attachments: first_input.map_or_else(Vec::new, |input| list(&input.attachments)),
        instance_key: instance_key.clone(),
        label: text(label),
        spawned_by: text(spawned_by),
        dir: text(dir),
    };
    json::Task {
        id: *id,
        workspace_id: workspace_id.0,
        agent_id: *agent_id,
        session_id: session_id.0.clone(),
        queue_mode: *queue_mode,
        state: *state,
        priority: *priority,
        idempotency_key: idempotency_key.clone(),
        payload_json: payload,
        routing_json: object(routing),
        instance_key: instance_key.clone(),
        // No command names a parent: the field is the original's.
        parent_task_id: None,
        target_run_id: *target_run_id,
        waiting_on,
        pending_inputs: inbox.len(),
        budget: budget.as_ref().map(self::budget),
        usage_json: self::usage(*usage, u32::try_from(*turn_count).unwrap_or(u32::MAX)),
        turn_count: *turn_count,
        cancel_requested_at: cancel_requested_at.map(Time),
        error: text(error),
        dropped_reason: text(dropped_reason),
        accepted_at: Time(*accepted_at),
        queued_at: queued_at.map(Time),
        dispatched_at: dispatched_at.map(Time),
        archived_at: archived_at.map(Time),
        created_at: Time(*created_at),
        updated_at: Time(*updated_at),
    }
}

impl From<waiting::WaitingOn> for WaitingOn {
    fn from(waiting: waiting::WaitingOn) -> Self {
        let waiting::WaitingOn { code, message } = waiting;
        WaitingOn { code, message: redact::copy(&message) }
    }
}

/// The run that an input belongs to; one that begins a new run has none yet.
fn live_run(task: &Task, input: &Input) -> Option<json::RunId> {
    task.target_run_id.filter(|_| input.delivery != hostler_core::input::Delivery::Restarted)
}

/// The answer to a command. `first_input` is the task's first one, where it is known: for a new
/// task it is the command's own.
pub fn accepted(accepted: &Accepted, first_input: Option<&Input>) -> json::Accepted {
    let Accepted { task, input, idempotent_hit, is_input, waiting_on } = accepted;
    let first = if *is_input { first_input } else { Some(input) };
    let waiting_on = waiting_on.clone().map(WaitingOn::from);
    json::Accepted {
        accepted: true,
        idempotent_hit: *idempotent_hit,
        run_id: live_run(task, input),
        task: self::task(task, first, waiting_on),
        outcome: is_input.then_some(input.delivery),
        input: is_input.then(|| self::input(input, task)),
    }
}

/// The answer to an input.
pub fn input_accepted(accepted: &Accepted, first_input: Option<&Input>) -> json::InputAccepted {
    let Accepted { task, input, idempotent_hit, is_input, waiting_on } = accepted;
    let first = if *is_input { first_input } else { Some(input) };
    let waiting_on = waiting_on.clone().map(WaitingOn::from);
    json::InputAccepted {
        accepted: true,
        idempotent_hit: *idempotent_hit,
        run_id: live_run(task, input),
        task: self::task(task, first, waiting_on),
        outcome: input.delivery,
        input: self::input(input, task),
    }
}

/// An input beside its task.
pub fn input(input: &Input, task: &Task) -> json::Input {
    let Input {
        id,
        workspace_id: _,
        task_id,
        mode,
        message,
        attachments,
        details,
        idempotency_key,
        state,
        delivery,
        outcome,
        reason,
        run_id,
        created_at,
        updated_at,
    } = input;
    json::Input {
        id: *id,
        task_id: *task_id,
        run_id: *run_id,
        queue_mode: *mode,
        message: redact::copy(message),
        attachments: list(attachments),
        details: object(details),
        state: *state,
        position: task.inbox.iter().position(|waiting| waiting == id),
        delivery: *delivery,
        outcome: *outcome,
        reason: text(reason),
        idempotency_key: idempotency_key.clone(),
        created_at: Time(*created_at),
        updated_at: Time(*updated_at),
    }
}

pub fn policy(policy: &Policy) -> json::Policy {
    let Policy {
        host,
        security,
        ask,
        runtime_type,
        workspace_access,
        network_enabled,
        interactive,
        resources,
        retry,
        sources: _,
    } = policy;
    json::Policy {
        host: *host,
        security: *security,
        ask: *ask,
        runtime_type: *runtime_type,
        workspace_access: *workspace_access,
        network_enabled: *network_enabled,
        interactive: *interactive,
        resources: resources.clone(),
        retry: self::retry(*retry),
    }
}

fn retry(retry: Retry) -> json::Retry {
    let Retry { max_attempts, delay_ms } = retry;
    json::Retry { max_attempts, delay_ms }
}

/// The fields of a policy, as `policy_sources` names them.
const POLICY_FIELDS: [&str; 10] = [
    "host",
    "security",
    "ask",
    "runtime_type",
    "workspace_access",
    "network_enabled",
    "interactive",
    "resources",
    "retry.max_attempts",
    "retry.delay_ms",
];

/// Where each field came from: the row notes only those that are not the default (POL-3).
fn policy_sources(policy: &Policy) -> BTreeMap<String, Source> {
    let defaults = POLICY_FIELDS.iter().map(|field| ((*field).to_owned(), Source::Default));
    let noted = policy.sources.iter().map(|(field, source)| (field.clone(), *source));
    defaults.chain(noted).collect()
}

/// The worker that carries out a run, and its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub worker_id: String,
    pub heartbeat_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
}

/// A run, with what its task's command said of it and who carries it out, where these are known.
pub fn run(run: &Run, details: Option<&Details>, claim: Option<&Claim>) -> json::Run {
    let Run {
        id,
        workspace_id,
        agent_id,
        origin_task_id,
        session_id,
        status,
        policy,
        runtime,
        runtime_note,
        provider,
        model,
        timeout_ms,
        instance_key,
        input_id: _,
        merged: _,
        live_attempt_id: _,
        attempt_count,
        excused_count: _,
        loss_count: _,
        turn_count,
        usage,
        result,
        waiting_for_input,
        error,
        failure,
        snapshot_seq,
        started_at,
        ended_at,
        created_at,
        updated_at,
    } = run;
    json::Run {
        id: *id,
        workspace_id: workspace_id.0,
        agent_id: *agent_id,
        origin_task_id: *origin_task_id,
        hook_id: details.and_then(|details| details.hook_id),
        status: *status,
        session_id: session_id.0.clone(),
        session_key: details.and_then(session_key),
        provider: text(provider),
        model: text(model),
        exec_host: policy.host,
        exec_security: policy.security,
        exec_ask: policy.ask,
        runtime_type: policy.runtime_type,
        workspace_access: policy.workspace_access,
        network_enabled: policy.network_enabled,
        interactive: policy.interactive,
        resources: policy.resources.clone(),
        retry: self::retry(policy.retry),
        policy_sources: policy_sources(policy),
        runtime_used: runtime.clone(),
        runtime_note: text(runtime_note),
        instance_key: instance_key.clone(),
        timeout_ms: *timeout_ms,
        started_at: started_at.map(Time),
        ended_at: ended_at.map(Time),
        claimed_by_worker_id: claim.map(|claim| claim.worker_id.clone()),
        claim_heartbeat_at: claim.and_then(|claim| claim.heartbeat_at).map(Time),
        claim_expires_at: claim.and_then(|claim| claim.expires_at).map(Time),
        error: text(error),
        failure: *failure,
        result: text(result),
        waiting_for_input: *waiting_for_input,
        attempt_count: *attempt_count,
        turn_count: *turn_count,
        snapshot_ts: *snapshot_seq,
        usage_json: self::usage(*usage, *turn_count),
        delivery_json: json::Object::new(),
        created_at: Time(*created_at),
        updated_at: Time(*updated_at),
    }
}

fn usage(usage: Usage, turns: u32) -> json::Usage {
    let Usage {
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        cost_micro_usd,
    } = usage;
    json::Usage {
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        // Exact up to 2^53 millionths, nine thousand million dollars.
        total_cost_usd: cost_micro_usd as f64 / 1_000_000.0,
        turns,
    }
}

/// An attempt; the policy is its run's.
pub fn attempt(attempt: &Attempt, policy: &Policy) -> json::Attempt {
    let Attempt {
        id,
        run_id,
        task_id,
        attempt_no,
        status,
        strategy,
        worker_id,
        term,
        runtime,
        provider,
        model,
        exit_code,
        error,
        failure,
        started_at,
        ended_at,
        created_at,
        updated_at,
    } = attempt;
    json::Attempt {
        id: *id,
        run_id: *run_id,
        task_id: *task_id,
        attempt_no: *attempt_no,
        status: *status,
        strategy: *strategy,
        provider: text(provider),
        model: text(model),
        exec_host: policy.host,
        exec_security: policy.security,
        exec_ask: policy.ask,
        runtime_type: policy.runtime_type,
        workspace_access: policy.workspace_access,
        network_enabled: policy.network_enabled,
        interactive: policy.interactive,
        runtime_used: runtime.clone(),
        execution_id: *id,
        worker_id: worker_id.0.clone(),
        term: *term,
        started_at: started_at.map(Time),
        ended_at: ended_at.map(Time),
        exit_code: *exit_code,
        error: text(error),
        failure: *failure,
        created_at: Time(*created_at),
        updated_at: Time(*updated_at),
    }
}

pub fn snapshot(snapshot: &Snapshot) -> json::Snapshot {
    let Snapshot { run_id, seq, status, started_at, ended_at, error, at, payload } = snapshot;
    json::Snapshot {
        id: *seq,
        run_id: *run_id,
        seq: *seq,
        status: *status,
        started_at_ms: started_at.map(|at| at.0),
        ended_at_ms: ended_at.map(|at| at.0),
        error: text(error),
        ts: at.0,
        payload_json: object(payload),
        created_at: Time(*at),
    }
}

/// Whether a run's agent works or waits; `pending` are the task's waiting inputs.
pub fn interaction(run: &Run, task_state: task::State, pending: &[Input]) -> json::Interaction {
    let waits = task_state == task::State::Waiting;
    let state = match (run.status.is_terminal(), run.waiting_for_input) {
        // Its process is kept warm for the next input.
        (false, _) if waits => InteractionState::WaitingForInput,
        (false, _) => InteractionState::Working,
        // Its agent is gone, and the question stands until an input begins a new run.
        (true, true) if waits => InteractionState::WaitingForInput,
        (true, _) => InteractionState::Closed,
    };
    json::Interaction {
        state,
        active_execution_id: run.live_attempt_id,
        updated_at: Some(run.updated_at.0),
        pending_inputs: pending.iter().map(pending_input).collect(),
        pending_count: pending.len(),
    }
}

pub fn pending_input(input: &Input) -> json::PendingInput {
    json::PendingInput {
        id: input.id,
        message: redact::copy(&input.message),
        created_at: input.created_at.0,
    }
}

#[cfg(test)]
mod tests;

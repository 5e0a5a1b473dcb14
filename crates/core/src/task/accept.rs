//! Accepting a command (ACC-1 to ACC-8): a task, or an input of the task that its session has.

use serde_json::{Map, Value, json};

use super::{Details, Priority, State, Task};
use crate::agent::Agent;
use crate::budget::Budget;
use crate::capacity::Instance;
use crate::capacity::waiting::{self, WaitingOn};
use crate::code::{Code, Rejection};
use crate::engine::txn::{Decided, Txn};
use crate::id::{AgentId, InputId, ScheduleId, TaskId, WorkspaceId};
use crate::idempotency::{BodyHash, Receipt};
use crate::input::{self, Delivery, Input, Mode};
use crate::key::Key;
use crate::limits;
use crate::policy::class_key::class_key;
use crate::policy::{self, Policy, PolicyPatch, Source};
use crate::run::Usage;
use crate::session::{Session, SessionId};
use crate::text::{bounded, trimmed};

/// A command as it came, not yet normalised (AgentCommandParams of the original).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accept {
    pub message: Option<String>,
    /// The agent's id or its key (ACC-3).
    pub agent: Option<String>,
    pub idempotency_key: Option<String>,
    pub session_id: Option<String>,
    pub session_key: Option<String>,
    pub hook_id: Option<u64>,
    pub deliver: Option<bool>,
    pub timeout_ms: Option<i64>,
    pub policy: Option<PolicyPatch>,
    pub lane: Option<String>,
    pub extra_system_prompt: Option<String>,
    pub input_provenance: Option<Map<String, Value>>,
    pub routing: Map<String, Value>,
    pub attachments: Vec<Value>,
    pub label: Option<String>,
    pub spawned_by: Option<String>,
    pub priority: Option<String>,
    pub dir: Option<String>,
    /// What the task may spend in all: `max_usd`, `max_tokens`, `max_turns`.
    pub budget: Option<Map<String, Value>>,
}

/// What a command became.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    pub task: Task,
    pub input: Input,
    /// The same key had the same body before: nothing was done.
    pub idempotent_hit: bool,
    /// It became an input of a task that was there.
    pub is_input: bool,
    /// Why the task waits, when it does (DSP-4).
    pub waiting_on: Option<WaitingOn>,
}

/// A command after ACC-1 and ACC-2: nothing of it is left to be checked but its policy's effect.
pub(crate) struct Request {
    pub message: String,
    pub idempotency_key: Option<String>,
    pub session_id: Option<SessionId>,
    pub policy: Policy,
    pub policy_given: bool,
    pub timeout_given: bool,
    pub priority: Priority,
    pub priority_given: bool,
    pub details: Details,
    pub budget: Option<Budget>,
    pub attachments: Vec<Value>,
    /// What is told apart under one idempotency key (ACC-4).
    pub body_hash: String,
    /// The schedule that fires it.
    pub schedule_id: Option<ScheduleId>,
}

pub(crate) fn decide(
    txn: &mut Txn<'_>,
    workspace: WorkspaceId,
    accept: &Accept,
) -> Decided<Accepted> {
    let (agent, request) = parse(accept)?;
    let agent = crate::agent::manage::resolve(txn, workspace, &agent)?;
    admit(txn, &agent, request)
}

/// Accepts what is left to be decided over rows. A rejection may come after some were written, so
/// it ends the command or the caller takes them back.
pub(crate) fn admit(txn: &mut Txn<'_>, agent: &Agent, request: Request) -> Decided<Accepted> {
    let workspace = agent.workspace_id;
    let key = request.idempotency_key.clone().unwrap_or_else(|| txn.ids.uuid().to_string());
    let receipt_key = Key::Receipt(workspace, agent.id, key.clone());
    if request.idempotency_key.is_some()
        && let Some(receipt) = txn.receipt(workspace, agent.id, key.clone())?
    {
        return repeated(txn, &receipt, &request.body_hash, &key);
    }
    agent.works()?;
    let session_id = match request.session_id.clone() {
        Some(session_id) => session_id,
        None => SessionId(txn.ids.uuid().to_string()),
    };
    let session = match request.session_id {
        Some(_) => txn.session(workspace, session_id.clone())?,
        None => None,
    };
    let session = session.unwrap_or_else(|| Session::new(workspace, session_id));
    let body_hash = request.body_hash.clone();
    let known = session.task_of(agent.id).filter(|_| request.details.hook_id.is_none());
    let accepted = match known {
        Some(task_id) => follow_up(txn, task_id, request, key)?,
        None => create(txn, agent, session, request, key)?,
    };
    let receipt = Receipt { task_id: accepted.task.id, input_id: accepted.input.id, body_hash };
    txn.put_receipt(receipt_key, receipt);
    Ok(accepted)
}

/// The answer to a key that was used before (ACC-4).
pub(crate) fn repeated(
    txn: &Txn<'_>,
    receipt: &Receipt,
    body_hash: &str,
    key: &str,
) -> Decided<Accepted> {
    if receipt.body_hash != body_hash {
        let text = format!("the idempotency key {key:?} was used with another body");
        let code = Code::IdempotencyConflict;
        return Err(Rejection::field(code, "idempotency_key", text).into());
    }
    let task = txn.known(txn.task(receipt.task_id))?;
    let input = txn.known(txn.input(receipt.input_id))?;
    let is_input = task.first_input_id != input.id;
    let waiting_on = waiting::of(txn, &task)?;
    Ok(Accepted { task, input, idempotent_hit: true, is_input, waiting_on })
}

fn create(
    txn: &mut Txn<'_>,
    agent: &Agent,
    mut session: Session,
    request: Request,
    idempotency_key: String,
) -> Decided<Accepted> {
    let now = txn.now;
    let task_id = TaskId(txn.ids.uuid());
    let input = Input {
        id: InputId(txn.ids.uuid()),
        workspace_id: agent.workspace_id,
        task_id,
        mode: Mode::Queue,
        message: request.message,
        attachments: request.attachments,
        details: Map::new(),
        idempotency_key: idempotency_key.clone(),
        state: input::State::Waiting,
        delivery: Delivery::Queued,
        outcome: None,
        reason: None,
        run_id: None,
        created_at: now,
        updated_at: now,
    };
    let lane = request.details.lane.as_deref();
    let instance_key = instance_key(agent.workspace_id, agent.id, lane, &request.policy);
    ensure_instance(txn, &instance_key, agent, lane, &request.policy)?;
    let session_id = session.id.clone();
    session.set_task(agent.id, task_id);
    txn.put_session(session);
    let task = Task {
        id: task_id,
        workspace_id: agent.workspace_id,
        agent_id: agent.id,
        session_id,
        state: State::Queued,
        queue_mode: Mode::Queue,
        priority: request.priority,
        idempotency_key,
        first_input_id: input.id,
        details: request.details,
        policy: request.policy,
        instance_key,
        target_run_id: None,
        inbox: vec![input.id],
        parked: None,
        wake_at: None,
        schedule_id: request.schedule_id,
        budget: request.budget,
        usage: Usage::default(),
        turn_count: 0,
        cancel_requested_at: None,
        error: None,
        dropped_reason: None,
        accepted_at: now,
        queued_at: Some(now),
        dispatched_at: None,
        archived_at: None,
        rested_at: None,
        created_at: now,
        updated_at: now,
    };
    txn.create_task(task.clone())?;
    txn.put_input(input.clone());
    txn.event(task_id, None, "task_accepted", json!({ "input_id": input.id }));
    let waiting_on = waiting::of(txn, &task)?;
    Ok(Accepted { task, input, idempotent_hit: false, is_input: false, waiting_on })
}

/// The execution class of a command.
pub(crate) fn instance_key(
    workspace: WorkspaceId,
    agent: AgentId,
    lane: Option<&str>,
    policy: &Policy,
) -> String {
    class_key(workspace, Some(&agent.to_string()), lane, policy)
}

fn ensure_instance(
    txn: &mut Txn<'_>,
    key: &str,
    agent: &Agent,
    lane: Option<&str>,
    policy: &Policy,
) -> Decided<()> {
    let mut instance = match txn.instance(key.to_owned())? {
        Some(instance) => instance,
        None => {
            let mut instance = Instance::new(key.to_owned(), agent, policy, txn.now);
            instance.lane = lane.map(str::to_owned);
            instance
        }
    };
    // The agent's config may have changed since the class was used last (DSP-6).
    instance.follow(agent, policy);
    txn.change_instance(instance)
}

/// A command for a session that the agent has a task for (ACC-5).
fn follow_up(
    txn: &mut Txn<'_>,
    task_id: TaskId,
    request: Request,
    idempotency_key: String,
) -> Decided<Accepted> {
    let task = txn.known(txn.task(task_id))?;
    let conflict = |field: &str| {
        let text = format!(
            "the session {:?} has the task {task_id}, whose {field} differs; \
             a command for it becomes an input and cannot change it",
            task.session_id.0
        );
        Rejection::field(Code::SessionConflict, field, text)
    };
    if request.policy_given {
        let same = Policy { sources: task.policy.sources.clone(), ..request.policy.clone() };
        if same != task.policy {
            return Err(conflict("policy").into());
        }
    }
    if request.details.lane.is_some() && request.details.lane != task.details.lane {
        return Err(conflict("lane").into());
    }
    if request.timeout_given && request.details.timeout_ms != task.details.timeout_ms {
        return Err(conflict("timeout_ms").into());
    }
    if request.priority_given && request.priority != task.priority {
        return Err(conflict("priority").into());
    }
    if request.details.dir.is_some() && request.details.dir != task.details.dir {
        return Err(conflict("dir").into());
    }
    if request.budget.is_some() && request.budget != task.budget {
        return Err(conflict("budget").into());
    }
    let submit = input::submit::Submission {
        message: request.message,
        mode: Mode::Followup,
        attachments: request.attachments,
        details: carried(&request.details),
        idempotency_key,
    };
    let (task, input) = input::submit::enqueue(txn, task, submit)?;
    let waiting_on = waiting::of(txn, &task)?;
    Ok(Accepted { task, input, idempotent_hit: false, is_input: true, waiting_on })
}

/// What a follow-up brings besides its message is kept on the input.
fn carried(details: &Details) -> Map<String, Value> {
    let mut kept = Map::new();
    let mut keep = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            kept.insert(name.to_owned(), value);
        }
    };
    keep("session_key", details.session_key.clone().map(Value::from));
    keep("extra_system_prompt", details.extra_system_prompt.clone().map(Value::from));
    keep("input_provenance", details.input_provenance.clone().map(Value::from));
    keep("deliver", details.deliver.map(Value::from));
    keep("label", details.label.clone().map(Value::from));
    keep("spawned_by", details.spawned_by.clone().map(Value::from));
    let routing = Some(details.routing.clone()).filter(|routing| !routing.is_empty());
    keep("routing", routing.map(Value::from));
    kept
}

/// ACC-1 then ACC-2: normalise, then validate; the first failure wins. The agent as it was named,
/// and the rest.
fn parse(accept: &Accept) -> Result<(String, Request), Rejection> {
    let agent = trimmed(accept.agent.clone()).ok_or_else(|| Rejection::required("agent_id"))?;
    bounded("agent_id", &agent, limits::KEY_BYTES_MAX)?;
    let message = trimmed(accept.message.clone()).ok_or_else(|| Rejection::required("message"))?;
    bounded("message", &message, limits::MESSAGE_BYTES_MAX)?;
    let idempotency_key = trimmed(accept.idempotency_key.clone());
    if let Some(key) = &idempotency_key {
        bounded("idempotency_key", key, limits::KEY_BYTES_MAX)?;
    }
    let session_id = trimmed(accept.session_id.clone());
    if let Some(session_id) = &session_id {
        bounded("session_id", session_id, limits::KEY_BYTES_MAX)?;
    }
    let timeout_ms = parse_timeout(accept.timeout_ms)?;
    let patch = accept.policy.clone().unwrap_or_default();
    let policy = policy::merge(&Policy::default(), &patch, Source::Command)?;
    let priority = parse_priority(accept.priority.as_deref())?;
    check_attachments(&accept.attachments)?;
    let budget = match &accept.budget {
        Some(given) => Budget::parse("budget", given, false)?,
        None => None,
    };
    let mut request = Request {
        message,
        idempotency_key,
        session_id: session_id.map(SessionId),
        policy_given: accept.policy.is_some(),
        timeout_given: accept.timeout_ms.is_some(),
        policy,
        priority,
        priority_given: trimmed(accept.priority.clone()).is_some(),
        details: parse_details(accept, timeout_ms)?,
        budget,
        attachments: accept.attachments.clone(),
        body_hash: String::new(),
        schedule_id: None,
    };
    request.body_hash = receipt_hash(&request);
    Ok((agent, request))
}

pub(crate) fn parse_timeout(given: Option<i64>) -> Result<u64, Rejection> {
    let Some(given) = given else { return Ok(limits::TIMEOUT_MS_DEFAULT) };
    match u64::try_from(given) {
        Ok(timeout) if timeout <= limits::TIMEOUT_MS_MAX => Ok(timeout),
        Ok(_) => Err(Rejection::invalid(
            "timeout_ms",
            format!("timeout_ms must be at most {}; 0 means no limit", limits::TIMEOUT_MS_MAX),
        )),
        Err(_) => {
            Err(Rejection::invalid("timeout_ms", "timeout_ms must be >= 0; 0 means no limit"))
        }
    }
}

pub(crate) fn parse_priority(given: Option<&str>) -> Result<Priority, Rejection> {
    match given.map(|text| text.trim().to_lowercase()).as_deref() {
        None | Some("") => Ok(Priority::Normal),
        Some(text) => Priority::parse(text).ok_or_else(|| {
            let allowed = Priority::list();
            Rejection::invalid(
                "priority",
                format!("invalid priority: {text:?}; allowed: {allowed}"),
            )
        }),
    }
}

fn parse_details(accept: &Accept, timeout_ms: u64) -> Result<Details, Rejection> {
    let line = |field: &str, text: &Option<String>, bytes_max: usize| {
        let text = trimmed(text.clone());
        if let Some(text) = &text {
            bounded(field, text, bytes_max)?;
        }
        Ok::<_, Rejection>(text)
    };
    let routing: Map<String, Value> = accept
        .routing
        .iter()
        .filter_map(|(name, value)| {
            let text = value.as_str()?.trim();
            (!text.is_empty()).then(|| (name.clone(), Value::from(text)))
        })
        .collect();
    for (name, value) in &routing {
        let text = value.as_str().unwrap_or_default();
        bounded(&format!("routing.{name}"), text, limits::TEXT_BYTES_MAX)?;
    }
    let provenance = accept.input_provenance.clone().filter(|given| !given.is_empty());
    if let Some(provenance) = &provenance {
        let text = Value::from(provenance.clone()).to_string();
        bounded("input_provenance", &text, limits::TEXT_BYTES_MAX)?;
    }
    let text_max = limits::TEXT_BYTES_MAX;
    Ok(Details {
        session_key: line("session_key", &accept.session_key, limits::KEY_BYTES_MAX)?,
        hook_id: accept.hook_id,
        timeout_ms,
        lane: line("lane", &accept.lane, limits::KEY_BYTES_MAX)?,
        extra_system_prompt: line(
            "extra_system_prompt",
            &accept.extra_system_prompt,
            limits::CONFIG_BYTES_MAX,
        )?,
        input_provenance: provenance,
        deliver: accept.deliver,
        label: line("label", &accept.label, text_max)?,
        spawned_by: line("spawned_by", &accept.spawned_by, text_max)?,
        routing,
        dir: parse_dir(line("dir", &accept.dir, text_max)?)?,
    })
}

fn parse_dir(dir: Option<String>) -> Result<Option<String>, Rejection> {
    match dir {
        Some(dir) if !dir.starts_with('/') || dir.split('/').any(|part| part == "..") => {
            let text = format!("invalid dir: {dir:?}; allowed: an absolute path without `..`");
            Err(Rejection::invalid("dir", text))
        }
        dir => Ok(dir),
    }
}

/// ACC-8; also for inputs.
pub(crate) fn check_attachments(attachments: &[Value]) -> Result<(), Rejection> {
    if attachments.len() > limits::ATTACHMENTS_MAX {
        let text = format!(
            "{} attachments; at most {} are allowed",
            attachments.len(),
            limits::ATTACHMENTS_MAX
        );
        return Err(Rejection::field(Code::TooLarge, "attachments", text));
    }
    if let Some(index) = attachments.iter().position(|attachment| !attachment.is_object()) {
        let text = "each attachment is an object";
        return Err(Rejection::invalid(&format!("attachments[{index}]"), text));
    }
    let bytes: usize = attachments.iter().map(|attachment| attachment.to_string().len()).sum();
    if bytes > limits::ATTACHMENTS_BYTES_MAX {
        let text = format!(
            "attachments have {bytes} bytes in all; at most {} are allowed",
            limits::ATTACHMENTS_BYTES_MAX
        );
        return Err(Rejection::field(Code::TooLarge, "attachments", text));
    }
    Ok(())
}

/// The hash of what was asked for, with every default in its place and without the key itself: a
/// body that writes a default out is the same as one that leaves it away (ACC-4).
fn receipt_hash(request: &Request) -> String {
    let Request { message, session_id, policy, details, .. } = request;
    let Details {
        session_key,
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
    let mut hash = BodyHash::new("command");
    hash.field("message", Some(message));
    hash.field("session_id", session_id.as_ref().map(|session| session.0.as_str()));
    let texts = [
        ("session_key", session_key),
        ("lane", lane),
        ("extra_system_prompt", extra_system_prompt),
        ("label", label),
        ("spawned_by", spawned_by),
        ("dir", dir),
    ];
    for (name, text) in texts {
        hash.field(name, text.as_deref());
    }
    hash.field("priority", Some(request.priority.as_str()));
    hash.field("timeout_ms", Some(&timeout_ms.to_string()));
    hash.field("hook_id", hook_id.map(|id| id.to_string()).as_deref());
    hash.field("deliver", deliver.map(|flag| flag.to_string()).as_deref());
    hash_policy(&mut hash, policy);
    let limits = request.budget.map(|budget| {
        let Budget { max_micro_usd, max_tokens, max_turns, period: _ } = budget;
        format!("{max_micro_usd:?} {max_tokens:?} {max_turns:?}")
    });
    hash.field("budget", limits.as_deref());
    hash.object("input_provenance", input_provenance.as_ref());
    hash.object("routing", Some(routing));
    hash.list("attachments", &request.attachments);
    hash.end()
}

/// The effective policy, whichever of its fields were given.
fn hash_policy(hash: &mut BodyHash, policy: &Policy) {
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
    let words = [
        ("policy.host", host.as_str()),
        ("policy.security", security.as_str()),
        ("policy.ask", ask.as_str()),
        ("policy.runtime_type", runtime_type.as_str()),
        ("policy.workspace_access", workspace_access.as_str()),
    ];
    for (name, word) in words {
        hash.field(name, Some(word));
    }
    hash.field("policy.network_enabled", Some(&network_enabled.to_string()));
    hash.field("policy.interactive", Some(&interactive.to_string()));
    hash.field("policy.retry.max_attempts", Some(&retry.max_attempts.to_string()));
    hash.field("policy.retry.delay_ms", Some(&retry.delay_ms.to_string()));
    for name in ["cpu", "memory", "gpu"] {
        // 2000 and 2000.0 are one number (POL-2).
        let number = resources.get(name).and_then(Value::as_f64).map(|number| number.to_string());
        hash.field(&format!("policy.resources.{name}"), number.as_deref());
    }
}

/// The rows that a command will want, as far as they can be told without reading any.
pub(crate) fn wants(workspace: WorkspaceId, accept: &Accept, keys: &mut Vec<Key>) {
    if let Some(agent) = trimmed(accept.agent.clone()) {
        match agent.parse::<AgentId>() {
            Ok(id) => keys.push(Key::Agent(id)),
            Err(_) => keys.push(Key::AgentKey(workspace, agent)),
        }
    }
    if let Some(session_id) = trimmed(accept.session_id.clone()) {
        keys.push(Key::Session(workspace, SessionId(session_id)));
    }
}

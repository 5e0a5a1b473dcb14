//! From an assignment to what the sandbox is started with. Reads and makes folders: blocking.

use std::sync::Arc;

use hostler_wire::v1::ended::Cause;
use hostler_wire::v1::{self, Assignment, Policy};
use serde_json::{Map, Value};

use super::{End, check, model};
use crate::agent::{Dialogue, Job, Launch, Refusal, STATE_DIR, TurnInput, WORKSPACE_DIR};
use crate::config::{Machine, private_dir};
use crate::sandbox::{Bind, Limits, Runtime, Spec};
use crate::tools::Tools;
use crate::workspace::{Access, Error};

/// What a policy that asks for nothing gets, where the machine has it.
const CPU_MILLIS_DEFAULT: u64 = 2_000;
const MEMORY_BYTES_DEFAULT: u64 = 4 << 30;
/// Processes and threads: a build with many cores takes hundreds.
const PIDS: u64 = 2_048;
/// Of `/tmp` and the like, which is memory.
const TMP_BYTES_MAX: u64 = 1 << 30;

pub(super) struct Prepared {
    pub(super) dialogue: Box<dyn Dialogue>,
    pub(super) first: TurnInput,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) spec: Spec,
    /// What the config's `check` is run in.
    pub(super) check: Option<Spec>,
    pub(super) identity: v1::Started,
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> End {
        End::new(Cause::Refused, refusal.0)
    }
}

impl From<Error> for End {
    fn from(error: Error) -> End {
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::Io(error) => End::new(Cause::SandboxFailed, error.to_string()),
        }
    }
}

pub(super) fn prepare(assignment: &Assignment, tools: &Tools) -> Result<Prepared, End> {
    let runtime = tools.runtime(&assignment.runtime).ok_or_else(|| {
        let (name, names) = (&assignment.runtime, tools.runtime_names());
        let text = format!("this worker has no runtime `{name}`; here are: {names}");
        End::new(Cause::SandboxFailed, text)
    })?;
    let policy = assignment.policy.clone().unwrap_or_default();
    let given = assignment.input.clone();
    let given = given.ok_or_else(|| Refusal("the assignment has no input".to_owned()))?;
    let first = turn_input(given)?;
    let job = job(assignment, &policy, tools)?;
    let runner = job.config.get("runner").and_then(Value::as_str).unwrap_or_default();
    let agent = tools.agent(runner)?;
    let launch = agent.launch(&job, &first)?;
    let keeper = &tools.keeper;
    let access = Access::parse(&policy.workspace_access);
    let folder = keeper.folder(&assignment.workspace, assignment.dir.as_deref())?;
    let room = keeper.room(&folder, &launch.cwd, access)?;
    let config = &tools.config;
    let socket = model::socket(&config.model_dir(), &assignment.attempt_id);
    // The sandbox makes its own below it.
    private_dir(&config.scratch_dir()).map_err(Error::Io)?;
    let Launch { argv, env, binds, needs_model, .. } = launch;
    let state_dir = job.state_dir.clone();
    let mut mounted = vec![Bind { host: state_dir, inside: STATE_DIR.to_owned(), writable: true }];
    let read_only = |(host, inside)| Bind { host, inside, writable: false };
    mounted.extend(binds.into_iter().map(read_only));
    let spec = Spec {
        id: assignment.attempt_id.clone(),
        argv,
        env,
        cwd: room.cwd,
        workspace: room.workspace,
        binds: mounted,
        limits: limits(&policy, tools.machine),
        model_socket: needs_model.then_some(socket),
        scratch: config.scratch_dir().join(&assignment.attempt_id),
        guardian: Some(tools.guardian.clone()),
    };
    let check = check::spec(&job.config, &spec)?;
    let capabilities = agent.capabilities();
    let text = |key| job.config.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let identity = v1::Started {
        runtime: runtime.name().to_owned(),
        provider: text("provider"),
        model: text("model"),
        can_steer: capabilities.steer,
        can_interrupt: capabilities.interrupt,
        keeps: capabilities.multi_turn,
    };
    let dialogue = agent.dialogue(&job);
    Ok(Prepared { dialogue, first, runtime, spec, check, identity })
}

/// A turn as the dialogue takes it.
pub(crate) fn turn_input(input: v1::TurnInput) -> Result<TurnInput, Refusal> {
    let attachments = match input.attachments_json.trim() {
        "" => Vec::new(),
        text => serde_json::from_str(text).map_err(|error| {
            Refusal(format!("the attachments of the input are no JSON list: {error}"))
        })?,
    };
    Ok(TurnInput { input_id: input.input_id, message: input.message, attachments })
}

fn job(assignment: &Assignment, policy: &Policy, tools: &Tools) -> Result<Job, End> {
    let mut config = object("config", &assignment.config_json)?;
    if assignment.dir.is_some() {
        in_the_offered_folder(&mut config, &assignment.agent_key);
    }
    let (workspace, session_id) = (&assignment.workspace, &assignment.session_id);
    let state_dir = tools.keeper.state(workspace, session_id, &assignment.agent_id)?;
    Ok(Job {
        workspace: workspace.clone(),
        task_id: assignment.task_id.clone(),
        run_id: assignment.run_id.clone(),
        attempt_id: assignment.attempt_id.clone(),
        agent_key: assignment.agent_key.clone(),
        session_id: session_id.clone(),
        resume: assignment.resume,
        config,
        extra_system_prompt: assignment.extra_system_prompt.clone(),
        security: policy.security.clone(),
        context: context(assignment)?,
        state_dir,
        budget_micro_usd: assignment.budget_micro_usd,
    })
}

/// What the command said besides its message; its attachments came with the input.
fn context(assignment: &Assignment) -> Result<Map<String, Value>, Refusal> {
    let mut context = object("context", &assignment.context_json)?;
    let attachments = assignment.input.as_ref().map(|input| input.attachments_json.as_str());
    if let Some(text) = attachments.filter(|text| !matches!(*text, "" | "[]"))
        && let Ok(list) = serde_json::from_str::<Value>(text)
    {
        context.insert("attachments".to_owned(), list);
    }
    Ok(context)
}

fn object(what: &str, text: &str) -> Result<Map<String, Value>, Refusal> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let parsed = serde_json::from_str(text);
    parsed.map_err(|error| Refusal(format!("the {what} is no JSON object: {error}")))
}

/// Whoever offers a folder means that folder, and not the agent's default place in it.
fn in_the_offered_folder(config: &mut Map<String, Value>, agent_key: &str) {
    let default = format!("{WORKSPACE_DIR}/agents/{agent_key}");
    let given = config.get("workspace_dir").and_then(Value::as_str).unwrap_or_default();
    if given.trim().is_empty() || given == default {
        config.insert("workspace_dir".to_owned(), WORKSPACE_DIR.into());
    }
}

fn limits(policy: &Policy, machine: Machine) -> Limits {
    let or = |asked: u64, default: u64| if asked > 0 { asked } else { default };
    let cpu_default = CPU_MILLIS_DEFAULT.min(u64::from(machine.cpu_millis));
    let memory_default = match machine.memory_bytes {
        0 => MEMORY_BYTES_DEFAULT,
        bytes => MEMORY_BYTES_DEFAULT.min(bytes / 2),
    };
    let memory_bytes = or(policy.memory_bytes, memory_default);
    Limits {
        cpu_millis: or(policy.cpu_millis, cpu_default),
        memory_bytes,
        pids: PIDS,
        tmp_bytes: TMP_BYTES_MAX.min(memory_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn offered(config: Value) -> String {
        let Value::Object(mut config) = config else { unreachable!("an object") };
        in_the_offered_folder(&mut config, "demo");
        config["workspace_dir"].as_str().unwrap_or_default().to_owned()
    }

    #[test]
    fn an_offered_folder_is_worked_in_unless_the_config_names_another_place() {
        assert_eq!(offered(json!({})), "/workspace");
        assert_eq!(offered(json!({"workspace_dir": "/workspace/agents/demo"})), "/workspace");
        assert_eq!(offered(json!({"workspace_dir": "/workspace/src"})), "/workspace/src");
    }

    #[test]
    fn limits_that_nobody_asked_for_are_within_the_machine() {
        let machine = Machine { cpu_millis: 1_000, memory_bytes: 2 << 30 };
        let found = limits(&Policy::default(), machine);
        assert_eq!((found.cpu_millis, found.memory_bytes), (1_000, 1 << 30));
        let asked = Policy { cpu_millis: 500, memory_bytes: 64 << 20, ..Policy::default() };
        let found = limits(&asked, machine);
        assert_eq!((found.cpu_millis, found.tmp_bytes), (500, 64 << 20));
    }
}

//! # Agents
//!
//! **What** One file per kind of agent. An [`Agent`] says what it needs to be launched; its
//! [`Dialogue`] is the protocol spoken with one process, as a machine without I/O: lines and
//! commands go in, [`Action`]s come out, and the driver carries them out. [`agents`] is the list
//! of the built-in ones.
//!
//! **Invariants** A dialogue never blocks, never reads a clock, and answers every call. A turn has
//! one lead input and ends with one `TurnEnded` that names it; messages that joined it were told
//! as `Injected`. Each steer is told about once: as `Injected`, `TurnStarted` or `Returned`. No
//! credential is ever part of a [`Launch`].
//!
//! **Failure** A line that is not the protocol's is logged as it came, made safe to keep and to
//! print; it never ends the worker.
//!
//! **Not here** Processes and sandboxes (`sandbox`), deciding what an outcome means (the server).

pub mod claude;
pub mod command;
pub mod environment;
mod identity;
pub mod record;
pub mod scripted;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

/// The longest line of plain output that is taken as one.
pub(crate) const TEXT_LINE_BYTES_MAX: usize = 1 << 20;

/// The agents that are built in, in the order they are offered.
pub fn agents() -> Vec<Arc<dyn Agent>> {
    vec![
        Arc::new(claude::Claude::from_environment()),
        Arc::new(command::Command),
        Arc::new(scripted::Scripted::from_environment()),
    ]
}

/// The agent for the `runner` of an agent's config.
pub fn by_runner(runner: &str) -> Result<Arc<dyn Agent>, Refusal> {
    let agents = agents();
    let names: Vec<&str> = agents.iter().map(|agent| agent.runner()).collect();
    let refusal = Refusal(format!(
        "this worker has no runner `{runner}`; built in are: {}",
        names.join(", ")
    ));
    agents.into_iter().find(|agent| agent.runner() == runner).ok_or(refusal)
}

/// What the server handed over to be run, as far as an agent is concerned.
#[derive(Debug, Clone)]
pub struct Job {
    pub workspace: String,
    pub task_id: String,
    pub run_id: String,
    pub attempt_id: String,
    pub agent_key: String,
    pub session_id: String,
    /// The conversation exists already; resume it if the agent can.
    pub resume: bool,
    /// The agent's config, an open JSON object (`runner`, `model`, `system_prompt` ...).
    pub config: Map<String, Value>,
    pub extra_system_prompt: Option<String>,
    /// `deny`, `allowlist`, `full`.
    pub security: String,
    /// label, spawned_by, deliver, input_provenance, attachments.
    pub context: Map<String, Value>,
    /// Host folder kept per session for the agent's own state; mounted at [`STATE_DIR`].
    pub state_dir: PathBuf,
    /// What the process may spend, for agents that watch it themselves; 0: no limit.
    pub budget_micro_usd: u64,
}

/// Where a session's agent state is mounted in the sandbox.
pub const STATE_DIR: &str = "/home/agent/state";
/// Where the workspace is mounted in the sandbox.
pub const WORKSPACE_DIR: &str = "/workspace";
/// The model's socket in the sandbox, when the launch asks for the model.
pub const MODEL_SOCKET: &str = "/run/hostler/model.sock";

/// One message to the agent.
#[derive(Debug, Clone)]
pub struct TurnInput {
    pub input_id: String,
    pub message: String,
    pub attachments: Vec<Value>,
}

/// How to start the agent's process in a sandbox.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Host files or folders to mount read-only: (host, inside).
    pub binds: Vec<(PathBuf, String)>,
    /// [`WORKSPACE_DIR`] or a folder below it, which the driver makes if it is missing.
    pub cwd: String,
    /// The worker's model proxy is to be reachable at [`MODEL_SOCKET`].
    pub needs_model: bool,
}

/// Why an agent cannot run here; trying again cannot help. The text names what is missing and
/// how to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// One process takes several turns.
    pub multi_turn: bool,
    pub resume: bool,
    /// It takes messages into a running turn.
    pub steer: bool,
    pub interrupt: bool,
    pub usage: bool,
}

pub trait Agent: Send + Sync {
    /// The value of `runner` in the agent's config.
    fn runner(&self) -> &'static str;
    fn capabilities(&self) -> Capabilities;
    /// Whether the program and its credential are here; the text says what was found.
    fn probe(&self) -> Result<String, Refusal>;
    /// `first` is the turn the process is started for; it may shape the command line. It is
    /// still given to the dialogue, like every other.
    fn launch(&self, job: &Job, first: &TurnInput) -> Result<Launch, Refusal>;
    /// May read the job's state folder, which blocks; it is made before the process is started.
    fn dialogue(&self, job: &Job) -> Box<dyn Dialogue>;
}

/// The protocol with one process of the agent.
pub trait Dialogue: Send {
    /// The process has just started.
    fn begin(&mut self) -> Vec<Action>;
    /// Give the agent its next turn. One that was given as a steer and is not done with is not
    /// written again: from here on it is awaited as a turn.
    fn turn(&mut self, input: &TurnInput) -> Vec<Action>;
    /// Put a message into the running turn. What became of it is told later: `Injected`,
    /// `TurnStarted` when the turn had ended before, or `Returned`.
    fn steer(&mut self, input: &TurnInput) -> Vec<Action>;
    /// Stop the running turn gently; the process should stay. Nothing at all: the agent knows no
    /// interrupt, or has no turn.
    fn interrupt(&mut self) -> Vec<Action>;
    /// No further turn will come: let the process end by itself.
    fn close(&mut self) -> Vec<Action>;
    /// The longest line of standard output that it takes as one.
    fn line_bytes_max(&self) -> usize {
        TEXT_LINE_BYTES_MAX
    }
    /// A line of standard output, without its end.
    fn stdout(&mut self, line: &str) -> Vec<Action>;
    fn stderr(&mut self, line: &str) -> Vec<Action>;
    /// The process has ended. A turn still open gets no `TurnEnded` unless the exit proves it
    /// (as for `command`).
    fn exited(&mut self, exit: Exit) -> Vec<Action>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

/// What a dialogue wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write this line (a newline is added) to the process's standard input.
    Write(String),
    /// Write these bytes as they are.
    WriteRaw(Vec<u8>),
    CloseInput,
    /// Facts learned about the agent.
    Identified {
        provider: String,
        model: String,
    },
    Log(Log),
    /// The agent has taken the input.
    TurnStarted {
        input_id: String,
    },
    TurnEnded(TurnResult),
    /// The agent has taken the steer into its running turn.
    Injected {
        input_id: String,
    },
    /// This process will not take the steer: it was not delivered.
    Returned {
        input_id: String,
    },
    /// What the running turn has used so far.
    Spent(Usage),
}

/// One record of the task's stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// `stdout`, `stderr`, `user`.
    pub stream: &'static str,
    pub data: String,
    /// `text`, `json` or the `type` of a JSON line, as in the original; `user_input`; for agents
    /// that report blocks `text` (the agent's own words), `thinking`, `tool_use`, `tool_result`.
    pub chunk_type: String,
    pub metadata: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct TurnResult {
    pub input_id: String,
    pub is_error: bool,
    /// `completed`, `waiting_for_input`, `api_error`, `max_turns`, `budget_exhausted`;
    /// `aborted_tools` or `aborted_streaming` after an interrupt; `cancelled` and `skipped` when
    /// the agent never took the message; `failed` and others as the agent says; for `command`
    /// `exit code N`.
    pub reason: String,
    pub text: String,
    pub waiting_for_input: bool,
    pub usage: Usage,
    pub failure: Failure,
    /// The process can take no further turn: close it, the next one needs a new process.
    pub last: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Failure {
    #[default]
    None,
    /// The provider refused the request; the same request would be refused again.
    Rejected,
    /// Rate limit, overload, connection failure: later it may work.
    Overloaded,
    /// Credential or configuration.
    Configuration,
    /// What the process might spend is spent.
    Budget,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub cost_micro_usd: u64,
    /// Per model, as the agent gave it.
    pub models: Option<Value>,
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A job of agent `demo` with this config.
    pub(crate) fn job(config: Value) -> Job {
        let Value::Object(config) = config else { unreachable!("a config is an object") };
        Job {
            workspace: "default".to_owned(),
            task_id: "task-1".to_owned(),
            run_id: "run-1".to_owned(),
            attempt_id: "attempt-1".to_owned(),
            agent_key: "demo".to_owned(),
            session_id: "session-1".to_owned(),
            resume: false,
            config,
            extra_system_prompt: None,
            security: "allowlist".to_owned(),
            context: Map::new(),
            state_dir: PathBuf::from("/nonexistent"),
            budget_micro_usd: 0,
        }
    }

    pub(crate) fn input(message: &str) -> TurnInput {
        TurnInput {
            input_id: "input-1".to_owned(),
            message: message.to_owned(),
            attachments: Vec::new(),
        }
    }
}

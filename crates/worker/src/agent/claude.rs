//! # Claude Code
//!
//! **What** The runner `claude_code`: the `claude` program in its stream-json mode, one process
//! for many turns. Here is how it is found and started; `dialogue` speaks with it.
//!
//! **Invariants** The program is one native file, mounted read-only. The key stays with the
//! worker: the sandbox gets a placeholder and the socket of the worker's model proxy. Settings of
//! the repository it works on are not read (`--setting-sources user`), nor its MCP servers.
//!
//! **Failure** A missing program or credential is a [`Refusal`] that says how to get it. Whether
//! a conversation is resumed is decided by what its state folder holds, not by what was
//! remembered of it, so an attempt after a crash neither collides with the first nor loses it.
//!
//! **Not here** Approvals by people and command allowlists, which need the server.

pub mod dialogue;
mod line;
mod outcome;
mod permission;
mod session;
mod spending;

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use self::dialogue::StreamJson;
use super::environment::{self, PromptMode};
use super::{Agent, Capabilities, Dialogue, Job, Launch, MODEL_SOCKET, Refusal, STATE_DIR};
use super::{TurnInput, identity};

pub use self::session::Conversation;

const PROGRAM: &str = "/opt/agent/claude";
/// The folder below the state folder that the program keeps everything in.
const CONFIG_DIR: &str = "claude";

/// What the program needs to run headless and to talk to nobody but the model. The endpoint is a
/// name only: the program connects to the socket, the proxy behind it knows the real one.
const VARIABLES: [(&str, &str); 9] = [
    ("ANTHROPIC_API_KEY", "sk-ant-placeholder-the-worker-holds-the-key"),
    ("ANTHROPIC_BASE_URL", "http://model.hostler.internal"),
    ("ANTHROPIC_UNIX_SOCKET", MODEL_SOCKET),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1"),
    ("CLAUDE_CODE_MAX_RETRIES", "3"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("DISABLE_ERROR_REPORTING", "1"),
    ("DISABLE_TELEMETRY", "1"),
];

/// The program and credential as this worker has them.
#[derive(Debug, Clone)]
pub struct Claude {
    /// `HOSTLER_CLAUDE_BIN`.
    pub program: Option<PathBuf>,
    /// The worker's `PATH`.
    pub search_path: OsString,
    /// Whether the worker holds a key to the model.
    pub has_credential: bool,
}

impl Claude {
    pub fn from_environment() -> Claude {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        Claude {
            program: set("HOSTLER_CLAUDE_BIN").map(PathBuf::from),
            search_path: set("PATH").unwrap_or_default(),
            has_credential: set("ANTHROPIC_API_KEY").is_some(),
        }
    }

    /// The program's file, through all links.
    fn find(&self) -> Result<PathBuf, Refusal> {
        let (candidate, named) = match &self.program {
            Some(path) => (Some(path.clone()), "HOSTLER_CLAUDE_BIN"),
            None => {
                let mut folders = env::split_paths(&self.search_path);
                (folders.find_map(|folder| is_file(folder.join("claude"))), "PATH")
            }
        };
        let Some(candidate) = candidate else {
            return Err(Refusal(format!(
                "the Claude Code program `claude` is not on the worker's PATH. {}",
                how_to_get_it()
            )));
        };
        let missing = |why: String| {
            Refusal(format!("{} (from {named}) {why}. {}", candidate.display(), how_to_get_it()))
        };
        let path = candidate
            .canonicalize()
            .map_err(|error| missing(format!("cannot be used: {error}")))?;
        let mut start = [0; 4];
        let executable = path.metadata().is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
        let read = File::open(&path).and_then(|mut file| file.read_exact(&mut start));
        if !executable || read.is_err() || !start.starts_with(b"\x7fELF") {
            return Err(missing("is not a native executable".to_owned()));
        }
        Ok(path)
    }

    fn usable(&self) -> Result<PathBuf, Refusal> {
        let path = self.find()?;
        if !self.has_credential {
            return Err(Refusal(
                "Claude Code is installed, but the worker has no credential for the model: set \
                 ANTHROPIC_API_KEY in the worker's environment, and ANTHROPIC_BASE_URL if the \
                 endpoint is not api.anthropic.com. The key is used by the worker's proxy only; \
                 it never enters a sandbox"
                    .to_owned(),
            ));
        }
        Ok(path)
    }
}

impl Agent for Claude {
    fn runner(&self) -> &'static str {
        "claude_code"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { multi_turn: true, resume: true, steer: true, interrupt: true, usage: true }
    }

    fn probe(&self) -> Result<String, Refusal> {
        let path = self.usable()?;
        Ok(format!("Claude Code at {}, model credential present", path.display()))
    }

    fn launch(&self, job: &Job, _first: &TurnInput) -> Result<Launch, Refusal> {
        let program = self.usable()?;
        let session = identity::session_uuid(&job.workspace, &job.session_id);
        let conversation = Conversation::find(&job.state_dir.join(CONFIG_DIR), session)?;
        let mut argv: Vec<String> = [
            PROGRAM,
            "-p",
            "--verbose",
            "--input-format",
            "stream-json",
            "--output-format",
            "stream-json",
            "--permission-prompt-tool",
            "stdio",
            "--setting-sources",
            "user",
            "--strict-mcp-config",
        ]
        .map(str::to_owned)
        .to_vec();
        argv.extend(conversation.arguments());
        argv.extend(budget(job));
        if let Some(model) = environment::text(&job.config, "model") {
            argv.push(format!("--model={model}"));
        }
        if let Some(prompt) = environment::system_prompt(job)? {
            let flag = match environment::system_prompt_mode(job)? {
                PromptMode::Append => "--append-system-prompt",
                PromptMode::Replace => "--system-prompt",
            };
            argv.push(format!("{flag}={prompt}"));
        }
        if !permission::may_run_commands(&job.security) {
            argv.push(format!("--disallowedTools={}", permission::COMMAND_TOOLS.join(",")));
        }
        if argv.iter().any(|part| part.contains('\0')) {
            return Err(Refusal("config `model` holds a zero character".to_owned()));
        }
        let mut variables = environment::variables(job)?;
        variables.extend(VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned())));
        variables.insert("CLAUDE_CONFIG_DIR".to_owned(), format!("{STATE_DIR}/{CONFIG_DIR}"));
        Ok(Launch {
            argv,
            env: variables.into_iter().collect(),
            binds: vec![(program, PROGRAM.to_owned())],
            cwd: environment::workspace_dir(job)?,
            needs_model: true,
        })
    }

    fn dialogue(&self, job: &Job) -> Box<dyn Dialogue> {
        let session = identity::session_uuid(&job.workspace, &job.session_id);
        let taken = session::taken(&job.state_dir.join(CONFIG_DIR), session);
        Box::new(StreamJson::new(job, "claude").resuming(taken))
    }
}

/// The money that this process may spend, which the program watches itself; it overshoots by one
/// answer of the model. Sums over processes and all other budgets are the server's.
fn budget(job: &Job) -> Option<String> {
    let micro_usd = job.budget_micro_usd;
    let (usd, rest) = (micro_usd / 1_000_000, micro_usd % 1_000_000);
    (micro_usd > 0).then(|| format!("--max-budget-usd={usd}.{rest:06}"))
}

fn is_file(path: PathBuf) -> Option<PathBuf> {
    Path::is_file(&path).then_some(path)
}

fn how_to_get_it() -> String {
    let platform = match env::consts::ARCH {
        "aarch64" => "linux-arm64",
        _ => "linux-x64",
    };
    let package = format!("@anthropic-ai/claude-code-{platform}");
    format!(
        "Install it with `npm install --prefix /opt/claude {package}` (one file, node is not \
         needed to run it) and set HOSTLER_CLAUDE_BIN=/opt/claude/node_modules/{package}/claude \
         for the worker"
    )
}

#[cfg(test)]
#[path = "claude/tests.rs"]
mod tests;

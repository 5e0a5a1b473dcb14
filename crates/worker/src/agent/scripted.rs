//! # The scripted agent
//!
//! **What** The runner `scripted`: an agent that is built in, needs no model and no key, and does
//! what the lines of the message say (see [`script`] for the steps). It is Hostler's own program,
//! `hostler scripted-agent`, mounted into the sandbox; it speaks the same stream-json as Claude
//! Code, so that dialogue, approvals, steers and interrupts are the same code for both.
//!
//! **Invariants** It never pretends to be a model: a message without steps is answered with what
//! it is and what it can do, after a small demonstration that changes nothing. Commands run only
//! after the same permission request that Claude Code makes.
//!
//! **Failure** A program file that is gone (replaced while the worker ran) is a refusal.
//!
//! **Not here** Conditions and loops: `run:` has a shell.

mod program;
pub mod script;
mod transcript;

use std::env;
use std::path::PathBuf;

use super::claude::dialogue::StreamJson;
use super::{Agent, Capabilities, Dialogue, Job, Launch, Refusal, STATE_DIR, TurnInput};
use super::{environment, identity};

pub use self::program::{Options, main_scripted, run};

const PROGRAM: &str = "/opt/agent/hostler";
/// The subcommand of the `hostler` binary that calls [`main_scripted`].
pub const SUBCOMMAND: &str = "scripted-agent";

#[derive(Debug, Clone)]
pub struct Scripted {
    /// `HOSTLER_BIN`, or the file of this process.
    pub program: Option<PathBuf>,
}

impl Scripted {
    pub fn from_environment() -> Scripted {
        let given = env::var_os("HOSTLER_BIN").filter(|value| !value.is_empty());
        Scripted { program: given.map(PathBuf::from).or_else(|| env::current_exe().ok()) }
    }

    fn find(&self) -> Result<PathBuf, Refusal> {
        let found = self.program.as_ref().and_then(|path| path.canonicalize().ok());
        found.filter(|path| path.is_file()).ok_or_else(|| {
            let path = self.program.clone().unwrap_or_default();
            Refusal(format!(
                "the hostler program is not at {}; restart the worker, or set HOSTLER_BIN",
                path.display()
            ))
        })
    }
}

impl Agent for Scripted {
    fn runner(&self) -> &'static str {
        "scripted"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { multi_turn: true, resume: true, steer: true, interrupt: true, usage: true }
    }

    fn probe(&self) -> Result<String, Refusal> {
        Ok(format!("built in, from {}", self.find()?.display()))
    }

    fn launch(&self, job: &Job, _first: &TurnInput) -> Result<Launch, Refusal> {
        let session = identity::session_uuid(&job.workspace, &job.session_id);
        let argv = [
            PROGRAM,
            SUBCOMMAND,
            "--state-dir",
            &format!("{STATE_DIR}/scripted"),
            "--session-id",
            &session.to_string(),
        ];
        Ok(Launch {
            argv: argv.map(str::to_owned).to_vec(),
            env: environment::variables(job)?.into_iter().collect(),
            binds: vec![(self.find()?, PROGRAM.to_owned())],
            cwd: environment::workspace_dir(job)?,
            needs_model: false,
        })
    }

    fn dialogue(&self, job: &Job) -> Box<dyn Dialogue> {
        Box::new(StreamJson::new(job, "hostler"))
    }
}

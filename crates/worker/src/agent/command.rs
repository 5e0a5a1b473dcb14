//! # Commands
//!
//! **What** The runner `command`: any program, one process for each turn. In the config's
//! `command`, a list of arguments, `{{message}}` stands for the message; a list without it gets
//! the message, byte for byte, on standard input, which is then closed.
//!
//! **Invariants** The exit decides: 0 is the end of the work, any other code an error. A process
//! that was killed proves nothing.
//!
//! **Failure** A program that is not in the sandbox is refused with the place it was looked for.
//! Below the workspace and on search paths of the config's own `env` it can only be seen by
//! trying. A message too long for an argument is refused: Linux allows 128 KiB.
//!
//! **Not here** Shells: `["/bin/sh", "-c", "…"]` is a command like any other, and a message
//! placed inside such a script is run by it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::environment::{self, VALUE_BYTES_MAX, Variables};
use super::{Action, Agent, Capabilities, Dialogue, Exit, Failure, Job, Launch, Refusal};
use super::{TurnInput, TurnResult, record};

const MESSAGE: &str = "{{message}}";
/// How much of the end of standard output is the turn's text.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// How much of the end of standard error explains a failure.
const ERROR_BYTES_MAX: usize = 4 * 1024;
/// Folders of the sandbox that are the host's.
const SYSTEM_FOLDERS: [&str; 5] = ["/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/"];

pub struct Command;

impl Agent for Command {
    fn runner(&self) -> &'static str {
        "command"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            multi_turn: false,
            resume: false,
            steer: false,
            interrupt: false,
            usage: false,
        }
    }

    fn probe(&self) -> Result<String, Refusal> {
        Ok("runs any program of the sandbox".to_owned())
    }

    fn launch(&self, job: &Job, first: &TurnInput) -> Result<Launch, Refusal> {
        if job.security == "deny" {
            return Err(Refusal(
                "the policy's security is `deny`, which lets the agent run no commands, and a \
                 `command` agent is one; set security to `allowlist` or `full`"
                    .to_owned(),
            ));
        }
        let template = template(job)?;
        let environment = environment::variables(job)?;
        find_program(&template[0], &environment)?;
        let argv: Vec<String> =
            template.iter().map(|part| part.replace(MESSAGE, &first.message)).collect();
        if let Some(part) = argv.iter().find(|part| part.len() > VALUE_BYTES_MAX) {
            return Err(Refusal(format!(
                "an argument of the command would have {} bytes; at most {VALUE_BYTES_MAX} are \
                 possible. Leave {MESSAGE} out to get the message on standard input",
                part.len()
            )));
        }
        if argv.iter().any(|part| part.contains('\0')) {
            return Err(Refusal("an argument of the command holds a zero character".to_owned()));
        }
        Ok(Launch {
            argv,
            env: environment.into_iter().collect(),
            binds: Vec::new(),
            cwd: environment::workspace_dir(job)?,
            needs_model: false,
        })
    }

    fn dialogue(&self, job: &Job) -> Box<dyn Dialogue> {
        let by_argument =
            template(job).is_ok_and(|parts| parts.iter().any(|part| part.contains(MESSAGE)));
        Box::new(OneTurn {
            by_argument,
            input_id: None,
            stdout: String::new(),
            stderr: String::new(),
        })
    }
}

fn template(job: &Job) -> Result<Vec<String>, Refusal> {
    let example = r#"e.g. ["/usr/bin/wc", "-w"]"#;
    let refusal = |why: &str| Refusal(format!("config `command` {why}, {example}"));
    let parts = job.config.get("command").filter(|value| !value.is_null());
    let parts = parts.ok_or_else(|| refusal("is missing: give a list of arguments"))?;
    let parts = parts.as_array().ok_or_else(|| refusal("must be a list of arguments"))?;
    let texts: Option<Vec<String>> =
        parts.iter().map(|part| part.as_str().map(str::to_owned)).collect();
    let texts = texts.ok_or_else(|| refusal("must hold texts only"))?;
    match texts.first() {
        None => Err(refusal("is empty")),
        Some(program) if program.trim().is_empty() || program.contains(MESSAGE) => {
            Err(refusal("must begin with a program"))
        }
        Some(_) => Ok(texts),
    }
}

/// The sandbox's system folders are the host's, so what is missing there is known beforehand.
fn find_program(program: &str, environment: &Variables) -> Result<(), Refusal> {
    if program.starts_with('/') {
        return find_absolute(program);
    }
    if program.contains('/') {
        return Ok(());
    }
    let search_path = environment.get("PATH").map_or("", String::as_str);
    let mut folders = search_path.split(':').filter(|folder| !folder.is_empty());
    let found = folders.any(|folder| {
        let path = format!("{}/{program}", folder.trim_end_matches('/'));
        !is_system(&path) || is_executable(&path)
    });
    if found {
        return Ok(());
    }
    Err(Refusal(format!(
        "the program `{program}` is not on the sandbox's PATH ({search_path}); install it on the \
         worker's host, or give a path below /workspace"
    )))
}

fn find_absolute(program: &str) -> Result<(), Refusal> {
    let in_sandbox = ["/workspace/", "/home/agent/", "/tmp/"];
    if in_sandbox.iter().any(|folder| program.starts_with(folder)) {
        return Ok(());
    }
    if !is_system(program) {
        return Err(Refusal(format!(
            "the program {program} is not in the sandbox, which has the host's /usr and \
             /workspace only"
        )));
    }
    if !is_executable(program) {
        return Err(Refusal(format!(
            "the program {program} is not there, or not executable, on the worker's host"
        )));
    }
    Ok(())
}

fn is_system(path: &str) -> bool {
    SYSTEM_FOLDERS.iter().any(|folder| path.starts_with(folder))
}

fn is_executable(path: &str) -> bool {
    let metadata = Path::new(path).metadata();
    metadata.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

struct OneTurn {
    by_argument: bool,
    input_id: Option<String>,
    stdout: String,
    stderr: String,
}

impl Dialogue for OneTurn {
    fn begin(&mut self) -> Vec<Action> {
        Vec::new()
    }

    fn turn(&mut self, input: &TurnInput) -> Vec<Action> {
        if self.input_id.is_some() {
            let text = "a command takes one message; the next one needs a process of its own";
            return vec![Action::TurnEnded(TurnResult {
                input_id: input.input_id.clone(),
                is_error: true,
                reason: "busy".to_owned(),
                text: text.to_owned(),
                last: true,
                ..TurnResult::default()
            })];
        }
        self.input_id = Some(input.input_id.clone());
        let mut actions = vec![Action::Log(record::user(input))];
        if !self.by_argument {
            actions.push(Action::WriteRaw(input.message.clone().into_bytes()));
        }
        actions.push(Action::CloseInput);
        actions.push(Action::TurnStarted { input_id: input.input_id.clone() });
        actions
    }

    fn steer(&mut self, input: &TurnInput) -> Vec<Action> {
        vec![Action::Returned { input_id: input.input_id.clone() }]
    }

    fn interrupt(&mut self) -> Vec<Action> {
        Vec::new()
    }

    fn close(&mut self) -> Vec<Action> {
        vec![Action::CloseInput]
    }

    fn stdout(&mut self, line: &str) -> Vec<Action> {
        keep_tail(&mut self.stdout, line, TEXT_BYTES_MAX);
        vec![Action::Log(record::line("stdout", line))]
    }

    fn stderr(&mut self, line: &str) -> Vec<Action> {
        keep_tail(&mut self.stderr, line, ERROR_BYTES_MAX);
        vec![Action::Log(record::line("stderr", line))]
    }

    fn exited(&mut self, exit: Exit) -> Vec<Action> {
        let Some(input_id) = self.input_id.take() else {
            return Vec::new();
        };
        let result = match exit {
            Exit::Signal(_) => return Vec::new(),
            Exit::Code(0) => TurnResult {
                reason: "completed".to_owned(),
                text: record::safe(record::tail(self.stdout.trim(), TEXT_BYTES_MAX)),
                ..TurnResult::default()
            },
            Exit::Code(code) => {
                let reason = format!("exit code {code}");
                let error = record::safe(record::tail(self.stderr.trim(), ERROR_BYTES_MAX));
                let text = format!("{reason}\n{error}").trim_end().to_owned();
                TurnResult { is_error: true, reason, text, ..TurnResult::default() }
            }
        };
        let failure = Failure::None;
        vec![Action::TurnEnded(TurnResult { input_id, last: true, failure, ..result })]
    }
}

/// Append a line and let go of the start, only now and then, so that a long output costs little.
fn keep_tail(kept: &mut String, line: &str, bytes_max: usize) {
    kept.push_str(record::tail(line, bytes_max));
    kept.push('\n');
    if kept.len() > 4 * bytes_max {
        *kept = record::tail(kept, bytes_max).to_owned();
    }
}

#[cfg(test)]
#[path = "command/tests.rs"]
mod tests;

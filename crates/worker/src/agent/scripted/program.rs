//! # The scripted agent's program
//!
//! **What** The half that runs inside the sandbox: reads messages and requests on standard input,
//! does the steps, and prints what Claude Code would print for them.
//!
//! **Invariants** One thread does everything; the threads that read the input and a command's
//! output only hand over what they read. Standard output carries the protocol and nothing else.
//!
//! As with Claude Code, a message that comes while a turn runs joins it before its next step,
//! unless its priority is `later`; one that finds no step left is a turn of its own. A message
//! whose id the transcript holds is skipped: `completed` without `started`.
//!
//! **Failure** An input line that is no JSON ends the process with code 1, as it does Claude
//! Code. A gone standard output ends it too.
//!
//! **Not here** Runtimes and libraries that take time to start: it answers in milliseconds.

mod channel;
mod shell;

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};

pub(super) use self::channel::Message;
use self::channel::{Channel, Wake};
use super::script::{self, ReportedUsage, Step};
use super::transcript::Transcript;

/// Where the program works and what session it is.
#[derive(Debug, Clone)]
pub struct Options {
    pub state_dir: PathBuf,
    pub work_dir: PathBuf,
    pub session_id: String,
}

const USAGE: &str = "usage: hostler scripted-agent --state-dir DIR --session-id ID\n\
    This is the program of the runner `scripted`; the worker starts it in a sandbox.";

const INTRODUCTION: &str = "I am Hostler's built-in scripted agent. I am not a model: I do what \
the lines of a message say, so that you can try Hostler without a key.

Give me lines such as:
  run: echo hello > hello.txt
  say: done
  ask: shall I go on?
  wait: 2s
  remember: colour=green
  recall: colour
  fail: something went wrong

For a real agent, set the runner of the agent's config to claude_code or command.";

/// Run as a program; the return value is the exit code.
pub fn main_scripted(arguments: Vec<String>) -> i32 {
    let mut options = Options {
        state_dir: PathBuf::from(format!("{}/scripted", crate::agent::STATE_DIR)),
        work_dir: PathBuf::from("."),
        session_id: "scripted".to_owned(),
    };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--state-dir", Some(value)) => options.state_dir = PathBuf::from(value),
            ("--session-id", Some(value)) => options.session_id = value,
            _ => {
                eprintln!("{USAGE}");
                return 2;
            }
        }
    }
    run(io::BufReader::new(io::stdin()), io::stdout(), options)
}

/// Speak the protocol until the input ends; the return value is the exit code.
pub fn run(
    input: impl BufRead + Send + 'static,
    output: impl Write + Send + 'static,
    options: Options,
) -> i32 {
    let channel = Channel::open(input, Box::new(output), &options.session_id);
    let transcript = Transcript::open(&options.state_dir, &options.session_id);
    let program = Program {
        transcript,
        options,
        channel,
        call_count: 0,
        cost_usd: 0.0,
        last_is_error: false,
    };
    match program.serve() {
        Ok(code) | Err(Stop::Exit(code)) => code,
        Err(Stop::Crash) => shell::die(),
        Err(Stop::Output(error)) => {
            eprintln!("{error}");
            1
        }
    }
}

/// Why the program ends before its input does.
enum Stop {
    Exit(i32),
    Crash,
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Output(error)
    }
}

struct Program {
    options: Options,
    channel: Channel,
    transcript: Transcript,
    call_count: u64,
    /// Of all turns of this process.
    cost_usd: f64,
    last_is_error: bool,
}

/// What a turn has come to so far.
#[derive(Default)]
struct Turn {
    text: String,
    command_count: u32,
    failed_count: u32,
    usage: ReportedUsage,
    /// Of it, what no message has carried yet.
    usage_unsaid: ReportedUsage,
    /// The messages that joined it.
    joined: Vec<Message>,
}

/// How a turn ended.
struct End {
    is_error: bool,
    reason: &'static str,
    text: String,
    api_status: Option<u16>,
}

impl End {
    fn new(is_error: bool, reason: &'static str, text: &str) -> End {
        End { is_error, reason, text: text.to_owned(), api_status: None }
    }
}

impl Program {
    fn serve(mut self) -> Result<i32, Stop> {
        loop {
            let Some(message) = self.channel.next_message()? else {
                return Ok(i32::from(self.last_is_error));
            };
            self.channel.state("running")?;
            self.turn(message)?;
            while let Some(message) = self.channel.queued() {
                self.turn(message)?;
            }
            self.channel.state("idle")?;
        }
    }

    fn turn(&mut self, message: Message) -> Result<(), Stop> {
        if self.transcript.holds(&message) {
            return Ok(self.channel.message_state(&message, "completed")?);
        }
        self.channel.message_state(&message, "started")?;
        self.channel.interrupted = false;
        self.channel.print(json!({
            "type": "system",
            "subtype": "init",
            "cwd": self.options.work_dir,
            "model": "scripted",
            "tools": ["Bash"],
            "claude_code_version": env!("CARGO_PKG_VERSION"),
            "turns_before": self.transcript.turn_count,
        }))?;
        self.keep(&message, false);
        let mut turn = Turn::default();
        let end = match script::parse(&message.text) {
            Some(steps) => self.steps(&mut turn, steps)?,
            None => self.introduce(&mut turn)?,
        };
        let state = if end.reason == "aborted_tools" { "cancelled" } else { "completed" };
        for message in &turn.joined {
            self.channel.message_state(message, state)?;
        }
        self.result(&message, &turn, &end)?;
        Ok(self.channel.message_state(&message, state)?)
    }

    fn keep(&mut self, message: &Message, joined: bool) {
        if let Err(error) = self.transcript.add(message, joined) {
            eprintln!("cannot keep the transcript in {:?}: {error}", self.options.state_dir);
        }
    }

    /// The steps of the messages that came meanwhile, before those that remain.
    fn join(&mut self, turn: &mut Turn, steps: &mut VecDeque<Step>) -> Result<(), Stop> {
        let mut joining = Vec::new();
        while let Some(message) = self.channel.steer()? {
            if self.transcript.holds(&message) {
                self.channel.message_state(&message, "completed")?;
                continue;
            }
            self.channel.message_state(&message, "started")?;
            self.keep(&message, true);
            let said = || vec![Step::Say(format!("I was told meanwhile: {}", message.text))];
            joining.extend(script::parse(&message.text).unwrap_or_else(said));
            turn.joined.push(message);
        }
        joining.into_iter().rev().for_each(|step| steps.push_front(step));
        Ok(())
    }

    fn steps(&mut self, turn: &mut Turn, steps: Vec<Step>) -> Result<End, Stop> {
        let mut steps = VecDeque::from(steps);
        while let Some(step) = steps.pop_front() {
            let end = self.step(turn, step)?;
            if end.is_none() && !self.channel.interrupted && !steps.is_empty() {
                self.join(turn, &mut steps)?;
            }
            if self.channel.interrupted {
                let text = "[Request interrupted by user for tool use]";
                self.channel.user(json!({"type": "text", "text": text}))?;
                return Ok(End::new(true, "aborted_tools", "interrupted"));
            }
            if let Some(end) = end {
                return Ok(end);
            }
        }
        let summary = match (turn.command_count, turn.failed_count) {
            (0, _) => String::new(),
            (count, 0) => format!("{count} of {count} commands succeeded"),
            (count, failed) => format!("{failed} of {count} commands failed"),
        };
        let text = match (turn.text.as_str(), turn.failed_count) {
            ("", _) if summary.is_empty() => "done".to_owned(),
            ("", _) => summary,
            (text, 0) => text.to_owned(),
            (text, _) => format!("{text}\n({summary})"),
        };
        Ok(End::new(false, "completed", &text))
    }

    fn step(&mut self, turn: &mut Turn, step: Step) -> Result<Option<End>, Stop> {
        match step {
            Step::Run(command) => {
                self.command(turn, &command)?;
            }
            Step::Say(text) => self.say(turn, &text)?,
            Step::Ask(question) => {
                self.say(turn, &question)?;
                return Ok(Some(End::new(false, "waiting_for_input", &question)));
            }
            Step::Wait(duration) => {
                let until = Instant::now() + duration;
                while !self.channel.interrupted
                    && !matches!(self.channel.wait(Some(until))?, Wake::TimeUp)
                {}
            }
            Step::Remember { key, value } => match self.transcript.remember(&key, &value) {
                Ok(()) => self.say(turn, &format!("I will remember {key}."))?,
                Err(error) => {
                    let text = format!("cannot remember {key}: {error}");
                    return Ok(Some(End::new(true, "failed", &text)));
                }
            },
            Step::Recall(key) => match self.transcript.recall(&key) {
                Ok(Some(value)) => self.say(turn, &format!("{key} = {value}"))?,
                Ok(None) => self.say(turn, &format!("I remember nothing about {key}."))?,
                Err(error) => {
                    let text = format!("cannot recall {key}: {error}");
                    return Ok(Some(End::new(true, "failed", &text)));
                }
            },
            Step::Usage(usage) => {
                turn.usage.add(&usage);
                turn.usage_unsaid.add(&usage);
            }
            Step::Fail(text) => {
                self.say(turn, &text)?;
                return Ok(Some(End::new(true, "failed", &text)));
            }
            Step::ApiError { status, text } => {
                let text = format!("API Error: {status} {text}").trim_end().to_owned();
                self.say(turn, &text)?;
                let end = End::new(true, "api_error", &text);
                return Ok(Some(End { api_status: Some(status), ..end }));
            }
            Step::Exit(code) => return Err(Stop::Exit(code)),
            Step::Crash => return Err(Stop::Crash),
            Step::IgnoreSignals => match shell::ignore_signals() {
                Ok(()) => self.say(turn, "I ignore SIGTERM, SIGINT and SIGHUP from now on.")?,
                Err(error) => return Ok(Some(End::new(true, "failed", &error.to_string()))),
            },
            Step::Prose(line) => self.say(turn, &format!("This is no step, skipped: {line}"))?,
            Step::Bad(why) => {
                self.say(turn, &why)?;
                return Ok(Some(End::new(true, "failed", &why)));
            }
        }
        Ok(None)
    }

    fn introduce(&mut self, turn: &mut Turn) -> Result<End, Stop> {
        let before = self.transcript.turn_count.saturating_sub(1);
        let mut text = INTRODUCTION.to_owned();
        match before {
            0 => {}
            1 => text.push_str("\n\nOne turn of this conversation came before."),
            _ => text.push_str(&format!("\n\n{before} turns of this conversation came before.")),
        }
        let mut shown = Vec::new();
        for (command, what) in [("uname -srm", "runs on"), ("ls -A", "has in its workspace")] {
            let output = self.command(turn, command)?;
            if self.channel.interrupted {
                return Ok(End::new(true, "aborted_tools", "interrupted"));
            }
            let output = output.trim();
            let output = if output.is_empty() { "nothing" } else { output };
            shown.push(format!("{what}: {}", output.replace('\n', ", ")));
        }
        text.push_str(&format!("\n\nThis sandbox {}.", shown.join("; it ")));
        self.say(turn, &text)?;
        Ok(End::new(false, "completed", &text))
    }

    fn say(&mut self, turn: &mut Turn, text: &str) -> Result<(), Stop> {
        turn.text = text.to_owned();
        let usage = std::mem::take(&mut turn.usage_unsaid);
        Ok(self.channel.assistant(json!({"type": "text", "text": text}), &usage)?)
    }

    /// Run a command as a tool call: ask, run, print what came of it.
    fn command(&mut self, turn: &mut Turn, command: &str) -> Result<String, Stop> {
        self.call_count += 1;
        turn.command_count += 1;
        let id = format!("toolu_scripted_{}_{}", self.transcript.turn_count, self.call_count);
        let input = json!({"command": command});
        let block = json!({"type": "tool_use", "id": id, "name": "Bash", "input": input});
        self.channel.assistant(block, &std::mem::take(&mut turn.usage_unsaid))?;
        let permission = self.permission(&id, &input)?;
        let (output, is_error) = match permission {
            _ if self.channel.interrupted => ("not run: interrupted".to_owned(), true),
            Err(why) => (why, true),
            Ok(command) => self.shell(&command)?,
        };
        turn.failed_count += u32::from(is_error);
        self.channel.user(json!({
            "type": "tool_result",
            "tool_use_id": id,
            "content": output,
            "is_error": is_error,
        }))?;
        Ok(output)
    }

    /// The command as allowed, or why it is not.
    fn permission(&mut self, id: &str, input: &Value) -> Result<Result<String, String>, Stop> {
        self.channel.state("requires_action")?;
        let request_id = self.channel.ask(json!({
            "subtype": "can_use_tool",
            "tool_name": "Bash",
            "input": input,
            "tool_use_id": id,
        }))?;
        let answer = loop {
            if let Some(answer) = self.channel.answer(&request_id) {
                break answer;
            }
            if self.channel.interrupted || self.channel.ended {
                self.channel.take_back(&request_id)?;
                break Value::Null;
            }
            self.channel.wait(None)?;
        };
        self.channel.state("running")?;
        if answer["behavior"] == "allow" {
            let command = answer["updatedInput"]["command"].as_str();
            let command = command.or(input["command"].as_str()).unwrap_or_default();
            return Ok(Ok(command.to_owned()));
        }
        let why = answer["message"].as_str().unwrap_or("permission to run it was not given");
        Ok(Err(why.to_owned()))
    }

    fn shell(&mut self, command: &str) -> Result<(String, bool), Stop> {
        let running = match shell::start(command, &self.options.work_dir, self.channel.sender()) {
            Ok(running) => running,
            Err(error) => return Ok((format!("cannot run it: {error}"), true)),
        };
        loop {
            let wake = self.channel.wait(None)?;
            if self.channel.interrupted {
                running.kill();
                return Ok(("stopped while it ran".to_owned(), true));
            }
            if let Wake::CommandEnded { id, code, output } = wake
                && id == running.id
            {
                let ending = match code {
                    Some(0) => return Ok((output, false)),
                    Some(code) => format!("Exit code {code}"),
                    None => "Ended by a signal".to_owned(),
                };
                return Ok((format!("{ending}\n{output}"), true));
            }
        }
    }

    fn result(&mut self, message: &Message, turn: &Turn, end: &End) -> Result<(), Stop> {
        let usage = &turn.usage;
        self.cost_usd += usage.cost_usd;
        self.last_is_error = end.is_error;
        let aborted = end.reason == "aborted_tools";
        let mut line = json!({
            "type": "result",
            "subtype": if aborted { "error_during_execution" } else { "success" },
            "is_error": end.is_error,
            "num_turns": 1,
            "terminal_reason": end.reason,
            "api_error_status": end.api_status,
            "total_cost_usd": self.cost_usd,
            "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
            "model_usage_since_last_result": {},
        });
        if *usage != ReportedUsage::default() {
            line["model_usage_since_last_result"] = json!({"scripted": {
                "inputTokens": usage.input_tokens,
                "outputTokens": usage.output_tokens,
                "cacheReadInputTokens": usage.cache_read_tokens,
                "cacheCreationInputTokens": usage.cache_write_tokens,
                "costUSD": usage.cost_usd,
            }});
        }
        if aborted {
            line["errors"] = json!([end.text]);
        } else {
            line["result"] = json!(end.text);
        }
        let messages = turn.joined.iter().chain([message]);
        let ids: Vec<&String> = messages.filter_map(|message| message.id.as_ref()).collect();
        if !ids.is_empty() {
            line["user_message_uuids"] = json!(ids);
        }
        Ok(self.channel.print(line)?)
    }
}

impl ReportedUsage {
    fn add(&mut self, other: &ReportedUsage) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cache_read_tokens = self.cache_read_tokens.saturating_add(other.cache_read_tokens);
        self.cache_write_tokens = self.cache_write_tokens.saturating_add(other.cache_write_tokens);
        self.cost_usd += other.cost_usd;
    }
}

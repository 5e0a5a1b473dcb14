//! # The scripted agent's line to the worker
//!
//! **What** Standard input and output as messages, requests and answers.
//!
//! **Invariants** Requests of the worker are answered whenever the program waits for anything and
//! between steps; so an interrupt reaches a running command, a wait and a permission request alike.
//!
//! **Failure** See `program`.
//!
//! **Not here** What the messages say.

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use super::super::script::ReportedUsage;
use super::Stop;

/// What the helper threads hand over.
pub enum Event {
    Line(String),
    InputEnded,
    CommandEnded { id: u32, code: Option<i32>, output: String },
}

/// Why a wait is over.
pub enum Wake {
    /// Something came in and was taken care of.
    Input,
    CommandEnded {
        id: u32,
        code: Option<i32>,
        output: String,
    },
    TimeUp,
}

pub struct Message {
    pub id: Option<String>,
    pub text: String,
    /// It is to be a turn of its own, also when it comes while one runs.
    pub waits: bool,
}

pub struct Channel {
    output: Box<dyn Write + Send>,
    session_id: String,
    events: Receiver<Event>,
    sender: Sender<Event>,
    queue: VecDeque<Message>,
    answers: Vec<(String, Value)>,
    request_count: u64,
    message_count: u64,
    pub interrupted: bool,
    /// The input has ended: finish what was begun, then go.
    pub ended: bool,
}

impl Channel {
    pub fn open(
        mut input: impl BufRead + Send + 'static,
        output: Box<dyn Write + Send>,
        session_id: &str,
    ) -> Channel {
        // Unbounded, but its writers are one worker that waits for answers and one command.
        let (sender, events) = channel();
        let lines = sender.clone();
        thread::spawn(move || {
            let mut line = String::new();
            while input.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                if lines.send(Event::Line(std::mem::take(&mut line))).is_err() {
                    return;
                }
            }
            // The receiver goes only when the program ends.
            let _ = lines.send(Event::InputEnded);
        });
        Channel {
            output,
            session_id: session_id.to_owned(),
            events,
            sender,
            queue: VecDeque::new(),
            answers: Vec::new(),
            request_count: 0,
            message_count: 0,
            interrupted: false,
            ended: false,
        }
    }

    pub fn sender(&self) -> Sender<Event> {
        self.sender.clone()
    }

    pub fn queued(&mut self) -> Option<Message> {
        self.queue.pop_front()
    }

    /// A message for the running turn, of those that have come.
    pub fn steer(&mut self) -> Result<Option<Message>, Stop> {
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Line(line) => self.take(&line)?,
                Event::InputEnded => self.ended = true,
                // Of a command that was given up.
                Event::CommandEnded { .. } => {}
            }
        }
        if self.interrupted {
            return Ok(None);
        }
        let index = self.queue.iter().position(|message| !message.waits);
        Ok(index.and_then(|index| self.queue.remove(index)))
    }

    /// The next message, or none when the input has ended.
    pub fn next_message(&mut self) -> Result<Option<Message>, Stop> {
        loop {
            if let Some(message) = self.queue.pop_front() {
                return Ok(Some(message));
            }
            if self.ended {
                return Ok(None);
            }
            self.wait(None)?;
        }
    }

    /// Wait for one event, or until a point in time.
    pub fn wait(&mut self, until: Option<Instant>) -> Result<Wake, Stop> {
        let event = match until {
            None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => {
                self.events.recv_timeout(until.saturating_duration_since(Instant::now()))
            }
        };
        match event {
            Ok(Event::Line(line)) => self.take(&line)?,
            Ok(Event::CommandEnded { id, code, output }) => {
                return Ok(Wake::CommandEnded { id, code, output });
            }
            Err(RecvTimeoutError::Timeout) => return Ok(Wake::TimeUp),
            Ok(Event::InputEnded) | Err(RecvTimeoutError::Disconnected) => self.ended = true,
        }
        Ok(Wake::Input)
    }

    pub fn print(&mut self, mut line: Value) -> io::Result<()> {
        line["session_id"] = Value::from(self.session_id.clone());
        writeln!(self.output, "{line}")?;
        self.output.flush()
    }

    pub fn state(&mut self, state: &str) -> io::Result<()> {
        let subtype = "session_state_changed";
        self.print(json!({"type": "system", "subtype": subtype, "state": state}))
    }

    pub fn message_state(&mut self, message: &Message, state: &str) -> io::Result<()> {
        let Some(id) = &message.id else { return Ok(()) };
        self.print(json!({"type": "command_lifecycle", "command_uuid": id, "state": state}))
    }

    pub fn assistant(&mut self, block: Value, usage: &ReportedUsage) -> io::Result<()> {
        self.message_count += 1;
        let message = json!({
            "id": format!("msg_scripted_{}", self.message_count),
            "role": "assistant",
            "model": "scripted",
            "content": [block],
            "usage": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cache_read_input_tokens": usage.cache_read_tokens,
                "cache_creation_input_tokens": usage.cache_write_tokens,
            },
        });
        self.print(json!({"type": "assistant", "message": message, "parent_tool_use_id": null}))
    }

    pub fn user(&mut self, block: Value) -> io::Result<()> {
        let message = json!({"role": "user", "content": [block]});
        self.print(json!({"type": "user", "message": message, "parent_tool_use_id": null}))
    }

    /// Put a request to the worker; its answer comes by `answer`.
    pub fn ask(&mut self, request: Value) -> io::Result<String> {
        self.request_count += 1;
        let id = format!("scripted-{}", self.request_count);
        self.print(json!({"type": "control_request", "request_id": id, "request": request}))?;
        Ok(id)
    }

    /// The answer is no longer wanted.
    pub fn take_back(&mut self, request_id: &str) -> io::Result<()> {
        self.print(json!({"type": "control_cancel_request", "request_id": request_id}))
    }

    pub fn answer(&mut self, request_id: &str) -> Option<Value> {
        let index = self.answers.iter().position(|(id, _)| id == request_id)?;
        Some(self.answers.swap_remove(index).1)
    }

    fn take(&mut self, line: &str) -> Result<(), Stop> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            eprintln!("Error parsing streaming input line");
            return Err(Stop::Exit(1));
        };
        match line["type"].as_str() {
            Some("user") => {
                let id = line["uuid"].as_str().map(str::to_owned);
                let text = message_text(&line["message"]["content"]);
                let message = Message { id, text, waits: line["priority"] == "later" };
                self.message_state(&message, "queued")?;
                self.queue.push_back(message);
            }
            Some("control_response") => {
                let response = &line["response"];
                let id = response["request_id"].as_str().unwrap_or_default().to_owned();
                self.answers.push((id, response["response"].clone()));
            }
            Some("control_request") => self.request(&line)?,
            _ => {}
        }
        Ok(())
    }

    fn request(&mut self, line: &Value) -> Result<(), Stop> {
        let request_id = &line["request_id"];
        let subtype = line["request"]["subtype"].as_str().unwrap_or_default();
        let response = match subtype {
            "initialize" => json!({"commands": [], "models": [], "pid": std::process::id()}),
            "interrupt" => {
                self.interrupted = true;
                let mut cancelled = Vec::new();
                if line["request"]["cancel_queued"] == true {
                    for message in std::mem::take(&mut self.queue) {
                        self.message_state(&message, "cancelled")?;
                        cancelled.push(json!(message.id));
                    }
                }
                let queued: Vec<Value> =
                    self.queue.iter().map(|message| json!(message.id)).collect();
                json!({"still_queued": queued, "cancelled": cancelled})
            }
            subtype => {
                let error = format!("Unsupported control request subtype: {subtype}");
                let response = json!({
                    "subtype": "error",
                    "request_id": request_id,
                    "error": error,
                    "error_code": "unsupported_request",
                });
                return Ok(self.print(json!({"type": "control_response", "response": response}))?);
            }
        };
        let response =
            json!({"subtype": "success", "request_id": request_id, "response": response});
        Ok(self.print(json!({"type": "control_response", "response": response}))?)
    }
}

fn message_text(content: &Value) -> String {
    match content {
        Value::Array(blocks) => {
            let first = blocks.iter().find_map(|block| block["text"].as_str());
            first.unwrap_or_default().to_owned()
        }
        content => content.as_str().unwrap_or_default().to_owned(),
    }
}

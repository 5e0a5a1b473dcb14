//! # Speaking stream-json
//!
//! **What** The conversation with one process over its standard input and output: a line of JSON
//! for each message, request and answer. `claude_code` and `scripted` both speak it.
//!
//! **States** of a message: given (written to the process), started (the process said so),
//! withdrawn (it may get no result). The first to start is the turn's lead; one that starts
//! while the lead runs has joined its turn and is done with. A turn ends when the process says it
//! is idle after at least one result, or when the next message starts after a result; background
//! work of the agent goes on after a result and may bring another one. A steer that has not
//! started when the turn ends stays with the process, which starts it by itself.
//!
//! **Invariants** Every line written is one JSON object; anything else would end the process.
//! Every request of the process is answered at once. The id of a turn's message is new in every
//! attempt: the program skips, silently, a message whose id its transcript holds. The id of a
//! steer is the same in every attempt: one that an earlier process took is not written again, and
//! where that is not known from the transcript, the program may skip it.
//!
//! **Failure** A result without a following `idle` counts when the process ends. A message the
//! program withdrew or skipped ends its turn with an error. Programs that report neither message
//! states nor idleness (older ones) are taken at their `init` and `result` lines; what was given
//! them while a turn ran is taken to have joined it.
//!
//! **Not here** Deciding about tool calls (`permission`), adding up results (`outcome`).

use std::collections::{HashSet, VecDeque};

use serde_json::{Map, Value, json};

use super::line;
use super::outcome::Outcome;
use super::permission::{self, Decision};
use super::spending::Spending;
use crate::agent::record;
use crate::agent::{Action, Dialogue, Exit, Job, TurnInput, TurnResult, environment, identity};

/// A result repeats the agent's text, and a tool's result may be a picture.
const LINE_BYTES_MAX: usize = 16 << 20;
/// How long the program waits for our answer about a tool call; it then refuses the call.
const HOOK_TIMEOUT_SECONDS: u32 = 3600;

pub struct StreamJson {
    attempt_id: String,
    /// The conversation's name among all of this server's.
    conversation: [String; 2],
    security: String,
    provider: String,
    model: String,
    /// Ids of steers that earlier processes took, from the transcript.
    taken: HashSet<String>,
    messages: VecDeque<Message>,
    outcome: Outcome,
    spending: Spending,
    message_count: u64,
    request_count: u64,
    interrupted: bool,
    /// The last tool call was a question that was sent back into the conversation.
    asked: bool,
    reports_messages: bool,
    reports_idle: bool,
    /// Total money the program has reported; unknown until the first result of a resumed one.
    cost_total_usd: Option<f64>,
}

/// A message that is not done with.
struct Message {
    input_id: String,
    message_id: String,
    /// It may join a running turn, and nobody waits for a turn of its own.
    is_steer: bool,
    /// It is the lead of the running turn.
    started: bool,
    /// The program took it back while it ran: its turn may end without a result.
    withdrawn: bool,
}

impl StreamJson {
    /// `provider` is the one to name when the agent's config names none.
    pub fn new(job: &Job, provider: &str) -> StreamJson {
        let provider = environment::text(&job.config, "provider").unwrap_or(provider);
        StreamJson {
            attempt_id: job.attempt_id.clone(),
            conversation: [job.workspace.clone(), job.session_id.clone()],
            security: job.security.clone(),
            provider: provider.to_owned(),
            model: String::new(),
            taken: HashSet::new(),
            messages: VecDeque::new(),
            outcome: Outcome::default(),
            spending: Spending::default(),
            message_count: 0,
            request_count: 0,
            interrupted: false,
            asked: false,
            reports_messages: false,
            reports_idle: false,
            cost_total_usd: (!job.resume).then_some(0.0),
        }
    }

    /// `taken` are the ids of the messages that the conversation holds.
    pub fn resuming(mut self, taken: HashSet<String>) -> StreamJson {
        self.taken = taken;
        self
    }

    fn request(&mut self, request: Value) -> Action {
        self.request_count += 1;
        let request_id = format!("hostler-{}", self.request_count);
        write(json!({"type": "control_request", "request_id": request_id, "request": request}))
    }

    fn system(&mut self, line: &Map<String, Value>) -> Vec<Action> {
        match (text(line, "subtype"), text(line, "state")) {
            ("init", _) => self.init(line),
            ("session_state_changed", "idle") => {
                self.reports_idle = true;
                self.idle()
            }
            ("session_state_changed", _) => {
                self.reports_idle = true;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn init(&mut self, line: &Map<String, Value>) -> Vec<Action> {
        let mut actions = Vec::new();
        let model = text(line, "model");
        if !model.is_empty() && model != self.model {
            self.model = model.to_owned();
            let (provider, model) = (self.provider.clone(), self.model.clone());
            actions.push(Action::Identified { provider, model });
        }
        if !self.reports_messages && !self.has_lead() {
            actions.extend(self.messages.front_mut().map(Message::start));
        }
        actions
    }

    fn has_lead(&self) -> bool {
        self.messages.iter().any(|message| message.started)
    }

    fn message_state(&mut self, line: &Map<String, Value>) -> Vec<Action> {
        self.reports_messages = true;
        let message_id = text(line, "command_uuid");
        let of_id = |message: &Message| message.message_id == message_id;
        let Some(index) = self.messages.iter().position(of_id) else {
            return Vec::new();
        };
        let state = text(line, "state");
        match (state, self.messages[index].started) {
            ("started", false) => self.started(message_id),
            ("cancelled", true) => {
                self.messages[index].withdrawn = true;
                Vec::new()
            }
            ("cancelled" | "completed", false) => {
                let message = self.messages.remove(index);
                message.map(|message| message.end_unstarted(state)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn started(&mut self, message_id: &str) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.outcome.result_count > 0 {
            // A message that begins after a result begins a turn of its own. A result without a
            // lead was of a turn that the agent began by itself.
            match self.has_lead() {
                true => actions = self.finish(false),
                false => {
                    self.outcome = Outcome::default();
                    self.spending = Spending::default();
                }
            }
        }
        let joins = self.has_lead();
        let of_id = |message: &Message| message.message_id == message_id;
        let Some(index) = self.messages.iter().position(of_id) else {
            return actions;
        };
        if !joins {
            actions.push(self.messages[index].start());
        } else if let Some(message) = self.messages.remove(index) {
            actions.push(Action::Injected { input_id: message.input_id });
        }
        actions
    }

    fn assistant(&mut self, line: &Map<String, Value>) -> Vec<Action> {
        let spent = self.spending.add(line).filter(|_| self.has_lead());
        let actions = spent.map(Action::Spent).into_iter().collect();
        if line.get("parent_tool_use_id").is_some_and(Value::is_string) {
            return actions;
        }
        let blocks = line.get("message").and_then(|message| message["content"].as_array());
        for block in blocks.into_iter().flatten() {
            if block["type"] == "tool_use" {
                self.asked = block["name"] == permission::QUESTION_TOOL;
            }
        }
        actions
    }

    fn result(&mut self, line: &Map<String, Value>) -> Vec<Action> {
        self.outcome.add(line, self.cost_total_usd);
        let total = line.get("total_cost_usd").and_then(Value::as_f64);
        self.cost_total_usd = total.or(self.cost_total_usd);
        if self.reports_idle { Vec::new() } else { self.finish(false) }
    }

    /// What a line that is too long had to say is lost, the end of the turn perhaps.
    fn overlong(&mut self) -> Vec<Action> {
        let lead = self.messages.iter().position(|message| message.started);
        let lead = lead.and_then(|index| self.messages.remove(index));
        let Some(lead) = lead else { return Vec::new() };
        vec![Action::TurnEnded(TurnResult {
            input_id: lead.input_id,
            is_error: true,
            reason: "overlong".to_owned(),
            text: format!("the agent wrote a line of more than {} MiB", LINE_BYTES_MAX >> 20),
            last: true,
            ..TurnResult::default()
        })]
    }

    fn idle(&mut self) -> Vec<Action> {
        if self.outcome.result_count > 0 {
            return self.finish(false);
        }
        let interrupted = std::mem::take(&mut self.interrupted);
        let lead = self
            .messages
            .iter()
            .position(|message| message.started && (interrupted || message.withdrawn));
        let lead = lead.and_then(|index| self.messages.remove(index));
        let Some(lead) = lead else { return Vec::new() };
        self.spending = Spending::default();
        vec![lead.end_without_result("cancelled")]
    }

    /// End the running turn with the results that have come. Where no message has started, they
    /// are an answer to the first that is to be a turn.
    fn finish(&mut self, exited: bool) -> Vec<Action> {
        let mut result = std::mem::take(&mut self.outcome).finish();
        self.spending = Spending::default();
        self.interrupted = false;
        result.last |= exited;
        result.waiting_for_input |= std::mem::take(&mut self.asked) && !result.is_error;
        let lead = self.messages.iter().position(|message| message.started);
        let mut actions = Vec::new();
        if lead.is_some() && !self.reports_messages {
            let joined = self.messages.iter().filter(|message| !message.started);
            let joined = joined.filter(|message| message.is_steer);
            actions.extend(
                joined.map(|message| Action::Injected { input_id: message.input_id.clone() }),
            );
            self.messages.retain(|message| message.started || !message.is_steer);
        }
        let ended = self.messages.iter().position(|message| match lead {
            Some(_) => message.started,
            None => !message.is_steer,
        });
        if let Some(message) = ended.and_then(|index| self.messages.remove(index)) {
            actions.push(Action::TurnEnded(TurnResult { input_id: message.input_id, ..result }));
        }
        actions
    }

    fn write_message(&mut self, input: &TurnInput, message_id: String, is_steer: bool) -> Action {
        let mut content = json!(input.message);
        if !input.attachments.is_empty() {
            let attachments = Value::Array(input.attachments.clone());
            let attachments = format!("Attachments of this message, as JSON:\n{attachments}");
            content = json!([
                {"type": "text", "text": input.message},
                {"type": "text", "text": attachments},
            ]);
        }
        let mut line = json!({
            "type": "user",
            "message": {"role": "user", "content": content},
            "uuid": message_id,
        });
        if is_steer {
            line["priority"] = json!("next");
        } else if !self.messages.is_empty() {
            // Not into the turn of a steer that began one by itself.
            line["priority"] = json!("later");
        }
        self.messages.push_back(Message {
            input_id: input.input_id.clone(),
            message_id,
            is_steer,
            started: false,
            withdrawn: false,
        });
        write(line)
    }

    fn answer(&mut self, line: &Map<String, Value>) -> Vec<Action> {
        let request_id = line.get("request_id").cloned().unwrap_or(Value::Null);
        let request = line.get("request").unwrap_or(&Value::Null);
        let response = match request["subtype"].as_str().unwrap_or_default() {
            "can_use_tool" => {
                let input = request.get("input").unwrap_or(&Value::Null);
                let tool = request["tool_name"].as_str().unwrap_or_default();
                match permission::decide(&self.security, tool, input) {
                    Decision::Allow => json!({"behavior": "allow", "updatedInput": input}),
                    Decision::Deny(why) => json!({"behavior": "deny", "message": why}),
                }
            }
            "hook_callback" => {
                let call = request.get("input").unwrap_or(&Value::Null);
                let input = call.get("tool_input").unwrap_or(&Value::Null);
                let tool = call["tool_name"].as_str().unwrap_or_default();
                let (decision, why) = match permission::decide(&self.security, tool, input) {
                    Decision::Allow => ("allow", String::new()),
                    Decision::Deny(why) => ("deny", why),
                };
                json!({"hookSpecificOutput": {
                    "hookEventName": "PreToolUse",
                    "permissionDecision": decision,
                    "permissionDecisionReason": why,
                }})
            }
            subtype => {
                let error = format!("Hostler does not answer `{subtype}` requests");
                let response =
                    json!({"subtype": "error", "request_id": request_id, "error": error});
                return vec![write(json!({"type": "control_response", "response": response}))];
            }
        };
        let response =
            json!({"subtype": "success", "request_id": request_id, "response": response});
        vec![write(json!({"type": "control_response", "response": response}))]
    }
}

impl Dialogue for StreamJson {
    fn begin(&mut self) -> Vec<Action> {
        let mut request = json!({"subtype": "initialize"});
        if !permission::may_run_commands(&self.security) {
            // The program runs what it takes for harmless unasked; the hook sees every call.
            request["hooks"] = json!({"PreToolUse": [{
                "matcher": "*",
                "hookCallbackIds": ["every-tool"],
                "timeout": HOOK_TIMEOUT_SECONDS,
                "onFailure": "block",
            }]});
        }
        vec![self.request(request)]
    }

    fn turn(&mut self, input: &TurnInput) -> Vec<Action> {
        let mut messages = self.messages.iter_mut();
        if let Some(known) = messages.find(|message| message.input_id == input.input_id) {
            known.is_steer = false;
            return Vec::new();
        }
        self.message_count += 1;
        let count = self.message_count.to_string();
        let parts = ["message", &self.attempt_id, &input.input_id, &count];
        let message_id = identity::uuid_from(&parts).to_string();
        vec![Action::Log(record::user(input)), self.write_message(input, message_id, false)]
    }

    fn steer(&mut self, input: &TurnInput) -> Vec<Action> {
        if self.messages.iter().any(|message| message.input_id == input.input_id) {
            return Vec::new();
        }
        let [workspace, session_id] = &self.conversation;
        let parts = ["steer", workspace, session_id, &input.input_id];
        let message_id = identity::uuid_from(&parts).to_string();
        if self.taken.contains(&message_id) {
            return vec![Action::Injected { input_id: input.input_id.clone() }];
        }
        vec![Action::Log(record::user(input)), self.write_message(input, message_id, true)]
    }

    fn interrupt(&mut self) -> Vec<Action> {
        if self.messages.is_empty() {
            return Vec::new();
        }
        self.interrupted = true;
        vec![self.request(json!({"subtype": "interrupt", "cancel_queued": true}))]
    }

    fn close(&mut self) -> Vec<Action> {
        vec![Action::CloseInput]
    }

    fn line_bytes_max(&self) -> usize {
        LINE_BYTES_MAX
    }

    fn stdout(&mut self, text_line: &str) -> Vec<Action> {
        if text_line.trim().is_empty() {
            return Vec::new();
        }
        // A piece of a longer line may be cut within a character.
        if text_line.len() > LINE_BYTES_MAX - 4 {
            return self.overlong();
        }
        let Ok(Value::Object(object)) = serde_json::from_str(text_line) else {
            return vec![Action::Log(record::line("stdout", text_line))];
        };
        let mut actions: Vec<Action> =
            line::records(&object).into_iter().map(Action::Log).collect();
        actions.extend(match text(&object, "type") {
            "assistant" => self.assistant(&object),
            "command_lifecycle" => self.message_state(&object),
            "control_request" => self.answer(&object),
            "result" => self.result(&object),
            "system" => self.system(&object),
            _ => Vec::new(),
        });
        actions
    }

    fn stderr(&mut self, line: &str) -> Vec<Action> {
        if line.trim().is_empty() {
            return Vec::new();
        }
        vec![Action::Log(record::text("stderr", "text", line))]
    }

    fn exited(&mut self, _exit: Exit) -> Vec<Action> {
        let has_result = self.outcome.result_count > 0;
        let mut actions = if has_result { self.finish(true) } else { Vec::new() };
        let left = self.messages.drain(..).filter(|message| message.is_steer && !message.started);
        actions.extend(left.map(|message| Action::Returned { input_id: message.input_id }));
        actions
    }
}

impl Message {
    fn start(&mut self) -> Action {
        self.started = true;
        Action::TurnStarted { input_id: self.input_id.clone() }
    }

    /// What the program's word for a message that it never started means.
    fn end_unstarted(self, state: &str) -> Action {
        let input_id = self.input_id.clone();
        match (self.is_steer, state) {
            (true, "cancelled") => Action::Returned { input_id },
            // Its transcript holds it: an earlier process took it.
            (true, _) => Action::Injected { input_id },
            (false, "cancelled") => self.end_without_result("cancelled"),
            (false, _) => self.end_without_result("skipped"),
        }
    }

    fn end_without_result(self, reason: &str) -> Action {
        let text = match reason {
            "skipped" => "the agent skipped the message, which it had been given before",
            _ => "the message was withdrawn before the agent finished it",
        };
        Action::TurnEnded(TurnResult {
            input_id: self.input_id,
            is_error: true,
            reason: reason.to_owned(),
            text: text.to_owned(),
            ..TurnResult::default()
        })
    }
}

fn write(line: Value) -> Action {
    Action::Write(line.to_string())
}

fn text<'a>(line: &'a Map<String, Value>, key: &str) -> &'a str {
    line.get(key).and_then(Value::as_str).unwrap_or_default()
}

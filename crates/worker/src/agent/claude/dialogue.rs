//! # Speaking stream-json
//!
//! **What** The conversation with one process over its standard input and output: a line of JSON
//! for each message, request and answer. `claude_code` and `scripted` both speak it.
//!
//! **States** of a turn: given (written to the process), started (the process said so), settled
//! (it will get no result: withdrawn or skipped). It ends, with all turns that joined it, when
//! the process says it is idle after at least one result; background work of the agent goes on
//! after a result and may bring another one.
//!
//! **Invariants** Every line written is one JSON object; anything else would end the process.
//! Every request of the process is answered at once. The id of a message is new in every attempt:
//! the program skips, silently, a message whose id its transcript holds.
//!
//! **Failure** A result without a following `idle` counts when the process ends. A message the
//! program withdrew or skipped ends its turn with an error. Programs that report neither message
//! states nor idleness (older ones) are taken at their `init` and `result` lines.
//!
//! **Not here** Deciding about tool calls (`permission`), adding up results (`outcome`).

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::line;
use super::outcome::Outcome;
use super::permission::{self, Decision};
use crate::agent::record;
use crate::agent::{Action, Dialogue, Exit, Job, TurnInput, TurnResult, environment, identity};

/// How long the program waits for our answer about a tool call; it then refuses the call.
const HOOK_TIMEOUT_SECONDS: u32 = 3600;

pub struct StreamJson {
    attempt_id: String,
    security: String,
    provider: String,
    model: String,
    turns: VecDeque<Turn>,
    outcome: Outcome,
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

struct Turn {
    input_id: String,
    message_id: String,
    started: bool,
    settled: Option<&'static str>,
}

impl StreamJson {
    /// `provider` is the one to name when the agent's config names none.
    pub fn new(job: &Job, provider: &str) -> StreamJson {
        let provider = environment::text(&job.config, "provider").unwrap_or(provider);
        StreamJson {
            attempt_id: job.attempt_id.clone(),
            security: job.security.clone(),
            provider: provider.to_owned(),
            model: String::new(),
            turns: VecDeque::new(),
            outcome: Outcome::default(),
            message_count: 0,
            request_count: 0,
            interrupted: false,
            asked: false,
            reports_messages: false,
            reports_idle: false,
            cost_total_usd: (!job.resume).then_some(0.0),
        }
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
        if !self.reports_messages {
            actions.extend(self.turns.iter_mut().filter_map(Turn::start));
        }
        actions
    }

    fn message_state(&mut self, line: &Map<String, Value>) -> Vec<Action> {
        self.reports_messages = true;
        let message_id = text(line, "command_uuid");
        let Some(index) = self.turns.iter().position(|turn| turn.message_id == message_id) else {
            return Vec::new();
        };
        let started = self.turns[index].started;
        match text(line, "state") {
            "started" => {
                // A message that begins after a result begins a turn of its own.
                let joins = self.outcome.result_count == 0;
                let mut actions = if joins { Vec::new() } else { self.finish(false) };
                let turn = self.turns.iter_mut().find(|turn| turn.message_id == message_id);
                actions.extend(turn.and_then(Turn::start));
                actions
            }
            state @ ("cancelled" | "completed") if !started => {
                let reason = if state == "cancelled" { "cancelled" } else { "skipped" };
                let turn = self.turns.remove(index);
                turn.map(|turn| turn.end_without_result(reason)).into_iter().collect()
            }
            "cancelled" => {
                self.turns[index].settled = Some("cancelled");
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn assistant(&mut self, line: &Map<String, Value>) {
        if line.get("parent_tool_use_id").is_some_and(Value::is_string) {
            return;
        }
        let blocks = line.get("message").and_then(|message| message["content"].as_array());
        for block in blocks.into_iter().flatten() {
            if block["type"] == "tool_use" {
                self.asked = block["name"] == permission::QUESTION_TOOL;
            }
        }
    }

    fn result(&mut self, line: &Map<String, Value>) -> Vec<Action> {
        self.outcome.add(line, self.cost_total_usd);
        let total = line.get("total_cost_usd").and_then(Value::as_f64);
        self.cost_total_usd = total.or(self.cost_total_usd);
        if self.reports_idle { Vec::new() } else { self.finish(false) }
    }

    fn idle(&mut self) -> Vec<Action> {
        if self.outcome.result_count > 0 {
            return self.finish(false);
        }
        let interrupted = std::mem::take(&mut self.interrupted);
        let mut actions = Vec::new();
        let mut kept = VecDeque::new();
        for turn in self.turns.drain(..) {
            match turn.settled {
                Some(reason) => actions.push(turn.end_without_result(reason)),
                None if interrupted && turn.started => {
                    actions.push(turn.end_without_result("cancelled"));
                }
                None => kept.push_back(turn),
            }
        }
        self.turns = kept;
        actions
    }

    /// End the turns that have begun with the results that have come. The first one carries the
    /// usage, so that the sum over all turns stays right.
    fn finish(&mut self, exited: bool) -> Vec<Action> {
        let mut result = std::mem::take(&mut self.outcome).finish();
        self.interrupted = false;
        result.last |= exited;
        result.waiting_for_input |= std::mem::take(&mut self.asked) && !result.is_error;
        let any_started = self.turns.iter().any(|turn| turn.started);
        let mut actions = Vec::new();
        let mut kept = VecDeque::new();
        for turn in self.turns.drain(..) {
            let ends = if any_started { turn.started } else { actions.is_empty() };
            if !ends {
                kept.push_back(turn);
                continue;
            }
            let usage = std::mem::take(&mut result.usage);
            let input_id = turn.input_id;
            actions.push(Action::TurnEnded(TurnResult { input_id, usage, ..result.clone() }));
        }
        self.turns = kept;
        actions
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
        self.message_count += 1;
        let count = self.message_count.to_string();
        let parts = ["message", &self.attempt_id, &input.input_id, &count];
        let message_id = identity::uuid_from(&parts).to_string();
        self.turns.push_back(Turn {
            input_id: input.input_id.clone(),
            message_id: message_id.clone(),
            started: false,
            settled: None,
        });
        let mut content = json!(input.message);
        if !input.attachments.is_empty() {
            let attachments = Value::Array(input.attachments.clone());
            let attachments = format!("Attachments of this message, as JSON:\n{attachments}");
            content = json!([
                {"type": "text", "text": input.message},
                {"type": "text", "text": attachments},
            ]);
        }
        let line = write(json!({
            "type": "user",
            "message": {"role": "user", "content": content},
            "uuid": message_id,
        }));
        vec![Action::Log(record::user(input)), line]
    }

    fn interrupt(&mut self) -> Vec<Action> {
        if self.turns.is_empty() {
            return Vec::new();
        }
        self.interrupted = true;
        vec![self.request(json!({"subtype": "interrupt", "cancel_queued": true}))]
    }

    fn close(&mut self) -> Vec<Action> {
        vec![Action::CloseInput]
    }

    fn stdout(&mut self, text_line: &str) -> Vec<Action> {
        if text_line.trim().is_empty() {
            return Vec::new();
        }
        let Ok(Value::Object(object)) = serde_json::from_str(text_line) else {
            return vec![Action::Log(record::line("stdout", text_line))];
        };
        let mut actions: Vec<Action> =
            line::records(&object).into_iter().map(Action::Log).collect();
        actions.extend(match text(&object, "type") {
            "assistant" => {
                self.assistant(&object);
                Vec::new()
            }
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
        let actions = if self.outcome.result_count > 0 { self.finish(true) } else { Vec::new() };
        self.turns.clear();
        actions
    }
}

impl Turn {
    fn start(&mut self) -> Option<Action> {
        let input_id = self.input_id.clone();
        (!std::mem::replace(&mut self.started, true)).then_some(Action::TurnStarted { input_id })
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

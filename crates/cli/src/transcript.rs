//! A task's stream as people read it.
//!
//! **What** Records become lines: the agent's words and its tools on standard output, what happens
//! to the task beside them on standard error. The same work gives the same lines, whatever shows
//! them.
//!
//! **Invariants** Nothing of a record is printed that has not passed [`print::clean`]. What is
//! shortened says so.
//!
//! **Not here** Following a stream (`follow`).

use hostler_wire::json::word::Channel;
use hostler_wire::json::{InputId, Object, Record, RecordBody, Run};
use serde_json::Value;

use crate::print::{self, bold, clean, cut, cyan, dim, green, red, span, yellow};

/// Lines of a tool's answer that are shown; the rest is counted.
const RESULT_LINES_MAX: usize = 12;
/// Letters of one line of a tool's answer.
const RESULT_LETTERS_MAX: usize = 400;
/// Lines of the agent's thinking.
const THINKING_LINES_MAX: usize = 4;

/// One line, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The work itself.
    Out(String),
    /// About the work.
    Err(String),
}

impl Line {
    pub fn print(&self) {
        match self {
            Line::Out(text) => print::out(text),
            Line::Err(text) => print::err(text),
        }
    }
}

/// The lines of a record.
pub fn lines(record: &Record) -> Vec<Line> {
    match &record.body {
        RecordBody::Log { stream, data, chunk_type, metadata } => {
            log(*stream, data, chunk_type, metadata.as_ref())
        }
        RecordBody::Event { event_type, payload } => event(event_type, payload),
        RecordBody::Gap { from_seq, to_seq } => {
            vec![Line::Err(yellow(&format!("… records {from_seq} to {to_seq} are gone")))]
        }
    }
}

fn log(stream: Channel, data: &str, chunk_type: &str, metadata: Option<&Object>) -> Vec<Line> {
    let text = clean(data.trim_end());
    match (stream, chunk_type) {
        (Channel::User, _) => prefixed("> ", &text, bold),
        (Channel::Stderr, _) if text.is_empty() => Vec::new(),
        (Channel::Stderr, _) => vec![Line::Err(yellow(&text))],
        // The protocol between worker and agent: what it means comes as other records.
        (Channel::Stdout, "control_request" | "control_response" | "command_lifecycle") => {
            Vec::new()
        }
        (Channel::Stdout, "system") => system(&text, metadata),
        // The last words of a turn came before as text; an error may have come nowhere else.
        (Channel::Stdout, "result") => match flag(metadata, "is_error") {
            true if !text.is_empty() => vec![Line::Err(red(&text))],
            _ => Vec::new(),
        },
        (Channel::Stdout, "tool_use") => match text.split_once(": ") {
            Some(("Bash", command)) => prefixed("$ ", command, cyan),
            _ => prefixed("* ", &text, cyan),
        },
        (Channel::Stdout, "tool_result") => result(&text, metadata),
        (Channel::Stdout, "thinking") => {
            head(&text, THINKING_LINES_MAX).into_iter().map(|line| out(dim(&line))).collect()
        }
        (Channel::Stdout, _) if text.is_empty() => Vec::new(),
        (Channel::Stdout, _) => vec![out(text)],
    }
}

fn out(text: String) -> Line {
    Line::Out(text)
}

/// A text whose further lines stand under its first.
fn prefixed(mark: &str, text: &str, colour: fn(&str) -> String) -> Vec<Line> {
    let indent = format!("\n{:width$}", "", width = mark.len());
    vec![out(colour(&format!("{mark}{}", text.replace('\n', &indent))))]
}

fn system(text: &str, metadata: Option<&Object>) -> Vec<Line> {
    let subtype = metadata.and_then(|map| map.get("subtype")).and_then(Value::as_str);
    match subtype {
        Some("init" | "session_state_changed") | None => Vec::new(),
        Some("api_retry") => vec![Line::Err(yellow(text))],
        Some(_) => vec![Line::Err(dim(text))],
    }
}

fn result(text: &str, metadata: Option<&Object>) -> Vec<Line> {
    let block = metadata.and_then(|map| map.get("message")?.get("content")?.get(0)?.as_object());
    let colour = if flag(block, "is_error") { red } else { dim };
    let lines = head(text, RESULT_LINES_MAX).into_iter();
    lines.map(|line| out(format!("  {}", colour(&cut(&line, RESULT_LETTERS_MAX))))).collect()
}

/// The first lines, and how many there are besides.
fn head(text: &str, lines_max: usize) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut lines: Vec<String> = text.lines().take(lines_max).map(str::to_owned).collect();
    let count = text.lines().count();
    if count > lines_max {
        lines.push(format!("… {} more lines", count - lines_max));
    }
    lines
}

fn flag(map: Option<&Object>, name: &str) -> bool {
    map.and_then(|map| map.get(name)).and_then(Value::as_bool).unwrap_or(false)
}

fn event(event_type: &str, payload: &Object) -> Vec<Line> {
    let text = |name: &str| clean(payload.get(name).and_then(Value::as_str).unwrap_or_default());
    let number = |name: &str| payload.get(name).and_then(Value::as_u64).unwrap_or(0);
    let said = match event_type {
        "task_accepted" | "started" | "turn_started" | "turn_ended" | "waiting" | "closing" => {
            return Vec::new();
        }
        "accepted" => {
            let attempt = match number("attempt_no") {
                0 | 1 => String::new(),
                attempt => format!(", attempt {attempt}"),
            };
            dim(&format!("taken by {} in {}{attempt}", text("worker_id"), text("runtime")))
        }
        "input_queued" => dim(&format!("message queued ({})", text("queue_mode"))),
        "input_steered" => dim("message handed into the running turn"),
        "input_injected" => dim("the agent has taken the message"),
        "steer_fallback" => dim("the message waits for a turn of its own"),
        "input_withdrawn" => dim("message withdrawn"),
        "input_edited" => dim("message changed"),
        "interrupted" => yellow("being interrupted"),
        "stop_requested" => yellow("being stopped"),
        "task_restarted" => dim("the task goes on with a new message"),
        "cancel_requested" => yellow("being stopped"),
        "task_cancelled" => yellow("cancelled before it started"),
        "retry_scheduled" => {
            let after = match number("retry_delay_ms") {
                0 => "at once".to_owned(),
                ms => format!("in {}", span(i64::try_from(ms).unwrap_or(i64::MAX))),
            };
            let why = failure(&text("failure"), &text("error"));
            yellow(&format!("{why}; attempt {} {after}", number("next_attempt_no")))
        }
        "finished" => match (text("status").as_str(), failure(&text("failure"), &text("error"))) {
            ("ok", _) => return Vec::new(),
            ("cancelled", _) => yellow("cancelled"),
            (status, why) => red(&format!("{status}: {why}")),
        },
        other => dim(&clean(&other.replace('_', " "))),
    };
    vec![Line::Err(said)]
}

fn failure(class: &str, error: &str) -> String {
    match (class, error) {
        ("", "") => "no reason was given".to_owned(),
        ("", error) => error.to_owned(),
        (class, "") => class.to_owned(),
        (class, error) => format!("{error} ({class})"),
    }
}

/// How a run came out, in one line.
pub fn summary(run: &Run) -> String {
    let mut parts = Vec::new();
    if let (Some(from), Some(to)) = (run.started_at, run.ended_at) {
        parts.push(span(to.0.0 - from.0.0));
    }
    let usage = &run.usage_json;
    if usage.turns > 1 {
        parts.push(format!("{} turns", usage.turns));
    }
    if usage.input_tokens + usage.output_tokens > 0 {
        let read = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
        parts.push(format!("{read} tokens in, {} out", usage.output_tokens));
    }
    if usage.total_cost_usd > 0.0 {
        parts.push(format!("${:.4}", usage.total_cost_usd));
    }
    if run.attempt_count > 1 {
        parts.push(format!("{} attempts", run.attempt_count));
    }
    let status = match run.status.as_str() {
        "ok" | "running" if run.waiting_for_input => yellow("waits for an answer"),
        "running" => green("waits for more"),
        "ok" => green("done"),
        status => red(status),
    };
    let task = dim(&format!("task {}", run.origin_task_id));
    match parts.is_empty() {
        true => format!("{status}  {task}"),
        false => format!("{status}  {}  {task}", parts.join(", ")),
    }
}

/// The input that a lifecycle event is about.
pub fn input_of(record: &Record) -> Option<InputId> {
    match &record.body {
        RecordBody::Event { payload, .. } => payload.get("input_id")?.as_str()?.parse().ok(),
        RecordBody::Log { .. } | RecordBody::Gap { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn check(bodies: &[Value], expected: Expect) {
        let mut shown = String::new();
        for body in bodies {
            let mut record = json!({"seq": 1, "ts": 0, "run_id": null, "attempt_id": null});
            record.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            let record: Record = serde_json::from_value(record).unwrap();
            for line in lines(&record) {
                let (to, text) = match line {
                    Line::Out(text) => ("out", text),
                    Line::Err(text) => ("err", text),
                };
                let text = anstream::adapter::strip_str(&text).to_string();
                shown.push_str(&format!("{to} {}\n", text.replace('\n', "\n    ")));
            }
        }
        expected.assert_eq(&shown);
    }

    fn log(stream: &str, chunk_type: &str, data: &str, metadata: Value) -> Value {
        json!({"kind": "log", "stream": stream, "chunk_type": chunk_type, "data": data,
               "metadata": metadata})
    }

    fn event(event_type: &str, payload: Value) -> Value {
        json!({"kind": "event", "event_type": event_type, "payload": payload})
    }

    #[test]
    fn a_turn_reads_like_a_conversation() {
        let failed = json!({"message": {"content": [{"type": "tool_result", "is_error": true}]}});
        check(
            &[
                json!({"kind": "event", "event_type": "task_accepted", "payload": {}}),
                json!({"kind": "event", "event_type": "accepted",
                       "payload": {"worker_id": "w-1", "runtime": "bubblewrap", "attempt_no": 2}}),
                log("user", "user_input", "run: ls\nsay: hi", json!({})),
                log("stdout", "system", "session 1", json!({"subtype": "init"})),
                log("stdout", "control_request", "can_use_tool Bash: ls", json!({})),
                log("stdout", "tool_use", "Bash: ls\nls -l", json!({})),
                log("stdout", "tool_result", "a\nb\n", json!({})),
                log("stdout", "tool_result", "Exit code 1\n", failed),
                log("stdout", "tool_use", "Read: src/main.rs", json!({})),
                log("stdout", "text", "hi", Value::Null),
                log("stderr", "text", "warning", Value::Null),
                log("stdout", "result", "hi", json!({"is_error": false})),
                json!({"kind": "event", "event_type": "finished", "payload": {"status": "ok"}}),
            ],
            expect![[r#"
                err taken by w-1 in bubblewrap, attempt 2
                out > run: ls
                      say: hi
                out $ ls
                      ls -l
                out   a
                out   b
                out   Exit code 1
                out * Read: src/main.rs
                out hi
                err warning
            "#]],
        );
    }

    #[test]
    fn what_goes_wrong_says_why() {
        check(
            &[
                event(
                    "retry_scheduled",
                    json!({"next_attempt_no": 2, "retry_delay_ms": 1500,
                      "failure": "lost", "error": "the worker was lost"}),
                ),
                event("finished", json!({"status": "error", "failure": "agent", "error": "no"})),
                event("finished", json!({"status": "timeout", "failure": "timeout"})),
                event("moved_elsewhere", json!({})),
                json!({"kind": "gap", "from_seq": 3, "to_seq": 7}),
            ],
            expect![[r#"
                err the worker was lost (lost); attempt 2 in 1.5 s
                err error: no (agent)
                err timeout: timeout
                err moved elsewhere
                err … records 3 to 7 are gone
            "#]],
        );
    }

    #[test]
    fn hostile_output_does_not_reach_the_terminal() {
        let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\rrm -rf /";
        let long = "x\n".repeat(20);
        check(
            &[
                log("stdout", "text", hostile, Value::Null),
                log("stderr", "text", hostile, Value::Null),
                log("stdout", "tool_use", &format!("Bash: {hostile}"), Value::Null),
                log("stdout", "some_type", hostile, Value::Null),
                json!({"kind": "event", "event_type": hostile, "payload": {}}),
                json!({"kind": "event", "event_type": "finished",
                       "payload": {"status": "error", "error": hostile}}),
                log("stdout", "tool_result", &long, Value::Null),
            ],
            expect![[r#"
                out \u{1b}]0;owned\u{7}\u{1b}[2J\u{d}rm -rf /
                err \u{1b}]0;owned\u{7}\u{1b}[2J\u{d}rm -rf /
                out $ \u{1b}]0;owned\u{7}\u{1b}[2J\u{d}rm -rf /
                out \u{1b}]0;owned\u{7}\u{1b}[2J\u{d}rm -rf /
                err \u{1b}]0;owned\u{7}\u{1b}[2J\u{d}rm -rf /
                err error: \u{1b}]0;owned\u{7}\u{1b}[2J\u{d}rm -rf /
                out   x
                out   x
                out   x
                out   x
                out   x
                out   x
                out   x
                out   x
                out   x
                out   x
                out   x
                out   x
                out   … 8 more lines
            "#]],
        );
    }
}

//! # Records of stream-json lines
//!
//! **What** What a reader of the task's stream sees of each line the program prints: a chunk
//! type, readable text, and the line itself as metadata without what is large and of no use.
//!
//! **Invariants** Every line gives at least one record. A message with several blocks gives one
//! record for each block.
//!
//! **Failure** A line of an unknown shape is recorded under its own `type`.
//!
//! **Not here** What a line means for the turn (`dialogue`).

use serde_json::{Map, Value};

use super::outcome;
use crate::agent::{Log, record};

/// What the `init` line says about this session; the rest is what the program could do.
const INIT_KEPT: [&str; 11] = [
    "apiKeySource",
    "claude_code_version",
    "cwd",
    "mcp_servers",
    "model",
    "permissionMode",
    "session_id",
    "subtype",
    "tools",
    "turns_before",
    "type",
];

/// How many blocks of one message get a record each; the program prints one block a line.
const BLOCKS_MAX: usize = 64;
/// How much of one value of a tool's input is shown in the readable text.
const INPUT_BYTES_MAX: usize = 2_000;

pub fn records(line: &Map<String, Value>) -> Vec<Log> {
    let kind = text(line, "type");
    match kind {
        "assistant" | "user" => message(line, kind),
        "system" => vec![system(line)],
        "result" => {
            vec![record::object("stdout", kind, &outcome::result_text(line), line.clone())]
        }
        "control_request" => vec![control_request(line)],
        "control_response" => vec![control_response(line)],
        "command_lifecycle" => {
            let data = format!("message {}", text(line, "state"));
            vec![record::object("stdout", kind, &data, line.clone())]
        }
        "" => vec![record::object("stdout", "json", "", line.clone())],
        kind => {
            let data =
                ["text", "message", "content"].iter().find_map(|key| line.get(*key)?.as_str());
            vec![record::object("stdout", kind, data.unwrap_or_default(), line.clone())]
        }
    }
}

fn message(line: &Map<String, Value>, kind: &str) -> Vec<Log> {
    let content = line.get("message").and_then(|message| message.get("content"));
    let blocks = match content {
        Some(Value::Array(blocks)) if !blocks.is_empty() => blocks,
        Some(Value::String(content)) => {
            return vec![record::object("stdout", kind, content, line.clone())];
        }
        _ => return vec![record::object("stdout", kind, "", line.clone())],
    };
    let mut base = line.clone();
    // A copy of the tool's answer in another form.
    base.remove("tool_use_result");
    if let Some(content) = base.get_mut("message").and_then(|message| message.get_mut("content")) {
        *content = Value::Null;
    }
    let mut records: Vec<Log> =
        blocks.iter().take(BLOCKS_MAX).map(|block| record_of_block(&base, kind, block)).collect();
    if blocks.len() > BLOCKS_MAX {
        let data = format!("{} more blocks are left out", blocks.len() - BLOCKS_MAX);
        records.push(record::text("stdout", kind, &data));
    }
    records
}

/// `base` is the line without its blocks.
fn record_of_block(base: &Map<String, Value>, kind: &str, block: &Value) -> Log {
    let block_kind = block["type"].as_str().unwrap_or(kind);
    let data = match block_kind {
        "tool_use" => call(block["name"].as_str().unwrap_or_default(), &block["input"]),
        "tool_result" => content_text(&block["content"]),
        _ => ["text", "thinking"].iter().find_map(|key| block[*key].as_str()).unwrap_or("").into(),
    };
    // Only the agent's own words are `text`; what the program says for the user keeps `user`.
    let chunk_type = if (kind, block_kind) == ("user", "text") { kind } else { block_kind };
    let mut metadata = base.clone();
    if let Some(content) =
        metadata.get_mut("message").and_then(|message| message.get_mut("content"))
    {
        *content = Value::Array(vec![block.clone()]);
    }
    record::object("stdout", chunk_type, &data, metadata)
}

/// A tool call in one line: `Bash: cargo test`.
pub fn call(tool: &str, input: &Value) -> String {
    const TELLING: [&str; 9] = [
        "command",
        "file_path",
        "notebook_path",
        "pattern",
        "url",
        "query",
        "prompt",
        "skill",
        "path",
    ];
    let questions = input["questions"].as_array().into_iter().flatten();
    let questions: Vec<&str> =
        questions.filter_map(|question| question["question"].as_str()).collect();
    let questions = (!questions.is_empty()).then(|| questions.join(" "));
    let shown = TELLING.iter().find_map(|key| input[*key].as_str()).map(str::to_owned);
    let shown = shown.or(questions).unwrap_or_else(|| match input {
        Value::Object(map) if map.is_empty() => String::new(),
        Value::Null => String::new(),
        other => other.to_string(),
    });
    let kept = record::head(&shown, INPUT_BYTES_MAX);
    let mark = if kept.len() < shown.len() { "…" } else { "" };
    if shown.is_empty() { tool.to_owned() } else { format!("{tool}: {kept}{mark}") }
}

fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().map(|block| match block["text"].as_str() {
                Some(text) => text.to_owned(),
                None => format!("({})", block["type"].as_str().unwrap_or("block")),
            });
            texts.collect::<Vec<String>>().join("\n")
        }
        _ => String::new(),
    }
}

fn system(line: &Map<String, Value>) -> Log {
    let subtype = text(line, "subtype");
    let data = match subtype {
        "init" => format!(
            "session {} with {} {}",
            text(line, "session_id"),
            text(line, "model"),
            text(line, "claude_code_version")
        ),
        "session_state_changed" => format!("agent is {}", text(line, "state")),
        "api_retry" => {
            let number = |key| line.get(key).and_then(Value::as_u64).unwrap_or(0);
            let status = line.get("error_status").and_then(Value::as_u64);
            let status = status.map_or("no answer".to_owned(), |status| status.to_string());
            let error = match text(line, "error") {
                "" | "unknown" => String::new(),
                error => format!(", {error}"),
            };
            format!(
                "the model's endpoint failed ({status}{error}), retry {} of {} in {} ms",
                number("attempt"),
                number("max_retries"),
                number("retry_delay_ms"),
            )
        }
        _ => {
            let detail = ["message", "description", "summary", "text"]
                .iter()
                .find_map(|key| line.get(*key)?.as_str());
            detail.map_or(subtype.to_owned(), |detail| format!("{subtype}: {detail}"))
        }
    };
    let mut metadata = line.clone();
    metadata.retain(|key, _| subtype != "init" || INIT_KEPT.contains(&key.as_str()));
    record::object("stdout", "system", data.trim(), metadata)
}

fn control_request(line: &Map<String, Value>) -> Log {
    let request = line.get("request").unwrap_or(&Value::Null);
    let subtype = request["subtype"].as_str().unwrap_or_default();
    let input = request.get("input").unwrap_or(&Value::Null);
    let data = match subtype {
        "can_use_tool" => call(request["tool_name"].as_str().unwrap_or_default(), input),
        "hook_callback" => {
            call(input["tool_name"].as_str().unwrap_or_default(), &input["tool_input"])
        }
        _ => String::new(),
    };
    let data = format!("{subtype} {data}");
    record::object("stdout", "control_request", data.trim(), line.clone())
}

/// Answers to our own requests; the one to `initialize` carries long lists.
fn control_response(line: &Map<String, Value>) -> Log {
    let response = line.get("response").unwrap_or(&Value::Null);
    let data = response["error"].as_str().or(response["subtype"].as_str()).unwrap_or_default();
    let mut metadata = line.clone();
    if let Some(Value::Object(response)) = metadata.get_mut("response")
        && let Some(Value::Object(answer)) = response.get_mut("response")
    {
        answer.retain(|key, _| matches!(key.as_str(), "still_queued" | "cancelled" | "pid"));
    }
    record::object("stdout", "control_response", data, metadata)
}

fn text<'a>(line: &'a Map<String, Value>, key: &str) -> &'a str {
    line.get(key).and_then(Value::as_str).unwrap_or_default()
}

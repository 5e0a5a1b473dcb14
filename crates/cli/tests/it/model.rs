//! A model on loopback that says what the prompt's script tells it to: enough of the Messages API
//! for the real Claude Code program.
//!
//! The last user text with `SCRIPT` in it carries a JSON list of steps; the number of the model's
//! turns since then says which one is next: `{"bash": …}`, `{"text": …}`, `{"status": …,
//! "message": …}`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

pub struct Model {
    pub url: String,
    seen: Arc<Mutex<Vec<Asked>>>,
}

/// One request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub key: Option<String>,
    pub body: Value,
}

impl Model {
    pub fn start() -> Model {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let record = record.clone();
                std::thread::spawn(move || serve(stream, &record));
            }
        });
        Model { url, seen }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.seen.lock().expect("no holder panics").clone()
    }
}

/// Requests of one connection, until it ends.
fn serve(stream: TcpStream, seen: &Mutex<Vec<Asked>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let path = line.split(' ').nth(1)?.to_owned();
        let (mut length, mut chunked, mut key) = (0, false, None);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok()?,
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "x-api-key" => key = Some(value.to_owned()),
                _ => {}
            }
        }
        let body = if chunked { read_chunks(&mut reader)? } else { read(&mut reader, length)? };
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if path.starts_with("/v1/messages/count_tokens") {
            plain(&mut writer, 200, &json!({ "input_tokens": 1 }))?;
            continue;
        }
        let step = next_step(&body);
        let stream = body["stream"] == true;
        seen.lock().ok()?.push(Asked { key, body });
        match step["status"].as_u64() {
            Some(status) => {
                let kind = "invalid_request_error";
                let error = json!({ "type": kind, "message": step["message"] });
                plain(&mut writer, status, &json!({ "type": "error", "error": error }))?;
            }
            None if stream => streamed(&mut writer, &step)?,
            None => plain(&mut writer, 200, &message(&step))?,
        }
    }
}

fn read(reader: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn read_chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        body.extend(read(reader, size)?);
        read(reader, 2)?;
        if size == 0 {
            return Some(body);
        }
    }
}

/// The texts of a message of the conversation.
fn texts(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            blocks.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn next_step(body: &Value) -> Value {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let scripted = |message: &Value| message["role"] == "user" && texts(message).contains("SCRIPT");
    let Some(at) = messages.iter().rposition(scripted) else {
        return json!({ "text": "no script" });
    };
    let text = texts(&messages[at]);
    let script = &text[text.rfind("SCRIPT").unwrap_or_default() + "SCRIPT".len()..];
    let steps = serde_json::Deserializer::from_str(script).into_iter::<Value>().next();
    let Some(Ok(Value::Array(steps))) = steps else { return json!({ "text": "no steps" }) };
    let turns = messages[at + 1..].iter().filter(|message| message["role"] == "assistant").count();
    steps.get(turns).cloned().unwrap_or_else(|| json!({ "text": "the script is over" }))
}

/// A resumed conversation tells messages and calls apart by their ids.
fn next_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// What the model says, as blocks.
fn blocks(step: &Value) -> (Vec<Value>, &'static str) {
    match step["bash"].as_str() {
        Some(command) => {
            let input = json!({ "command": command, "description": "a step" });
            let id = format!("toolu_{:020}", next_id());
            (
                vec![json!({ "type": "tool_use", "id": id, "name": "Bash", "input": input })],
                "tool_use",
            )
        }
        None => (vec![json!({ "type": "text", "text": step["text"] })], "end_turn"),
    }
}

fn message(step: &Value) -> Value {
    let (content, stop_reason) = blocks(step);
    json!({
        "id": format!("msg_{:010}", next_id()), "type": "message", "role": "assistant", "model": "stub",
        "content": content, "stop_reason": stop_reason, "stop_sequence": null,
        "usage": { "input_tokens": 100, "output_tokens": 20 },
    })
}

fn plain(writer: &mut impl Write, status: u64, body: &Value) -> Option<()> {
    let body = body.to_string();
    let head = "content-type: application/json\r\ncontent-length";
    write!(writer, "HTTP/1.1 {status} x\r\n{head}: {}\r\n\r\n{body}", body.len()).ok()
}

fn streamed(writer: &mut impl Write, step: &Value) -> Option<()> {
    let (content, stop_reason) = blocks(step);
    let mut start = message(step);
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    let mut events = vec![("message_start", json!({ "message": start }))];
    for (index, block) in content.iter().enumerate() {
        let (empty, delta) = match block["type"].as_str() {
            Some("tool_use") => {
                let mut empty = block.clone();
                empty["input"] = json!({});
                let partial = block["input"].to_string();
                (empty, json!({ "type": "input_json_delta", "partial_json": partial }))
            }
            _ => {
                let delta = json!({ "type": "text_delta", "text": block["text"] });
                (json!({ "type": "text", "text": "" }), delta)
            }
        };
        events.push(("content_block_start", json!({ "index": index, "content_block": empty })));
        events.push(("content_block_delta", json!({ "index": index, "delta": delta })));
        events.push(("content_block_stop", json!({ "index": index })));
    }
    let delta = json!({ "stop_reason": stop_reason, "stop_sequence": null });
    events.push(("message_delta", json!({ "delta": delta, "usage": { "output_tokens": 20 } })));
    events.push(("message_stop", json!({})));
    let mut text = String::new();
    for (name, mut event) in events {
        event["type"] = name.into();
        text.push_str(&format!("event: {name}\ndata: {event}\n\n"));
    }
    let head = "content-type: text/event-stream\r\ncontent-length";
    write!(writer, "HTTP/1.1 200 OK\r\n{head}: {}\r\n\r\n{text}", text.len()).ok()
}

//! A model on loopback that says what the prompt's script tells it to: enough of the Messages API
//! for the real Claude Code program.
//!
//! The last user text with `SCRIPT` in it carries a JSON list of steps; the number of the model's
//! turns since then says which one is next: `{"bash": …}`, `{"text": …}`; with `"until": PATH` the
//! text begins to stream at once and ends when there is a file at that path.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// A name for each message and call: the program tells them apart by it.
static COUNT: AtomicU64 = AtomicU64::new(0);

pub struct Model {
    pub url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Model {
    pub fn start() -> Model {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = asked.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let record = record.clone();
                std::thread::spawn(move || serve(stream, &record));
            }
        });
        Model { url, asked }
    }

    /// The conversations that it was asked to go on with.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("no holder panics");
        asked.iter().map(|body| body["messages"].to_string()).collect()
    }
}

/// Requests of one connection, until it ends.
fn serve(stream: TcpStream, asked: &Mutex<Vec<Value>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let path = line.split(' ').nth(1)?.to_owned();
        let (mut length, mut chunked) = (0, false);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
                _ => {}
            }
        }
        let body = if chunked { read_chunks(&mut reader)? } else { read(&mut reader, length)? };
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if path.starts_with("/v1/messages/count_tokens") {
            plain(&mut writer, &json!({"input_tokens": 1}))?;
            continue;
        }
        let step = next_step(&body);
        let streams = body["stream"] == true;
        asked.lock().ok()?.push(body);
        if streams {
            stream_message(&mut writer, &step)?
        } else {
            plain(&mut writer, &message(&step))?
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
        return json!({"text": "no script"});
    };
    let text = texts(&messages[at]);
    let script = &text[text.rfind("SCRIPT").unwrap_or_default() + "SCRIPT".len()..];
    let steps = serde_json::Deserializer::from_str(script).into_iter::<Value>().next();
    let Some(Ok(Value::Array(steps))) = steps else { return json!({"text": "no steps"}) };
    let turns = messages[at + 1..].iter().filter(|message| message["role"] == "assistant").count();
    steps.get(turns).cloned().unwrap_or_else(|| json!({"text": "the script is over"}))
}

fn message(step: &Value) -> Value {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let (block, stop_reason) = match step["bash"].as_str() {
        Some(command) => {
            let input = json!({"command": command, "description": "a step"});
            let id = format!("toolu_{number:020}");
            (json!({"type": "tool_use", "id": id, "name": "Bash", "input": input}), "tool_use")
        }
        None => (json!({"type": "text", "text": step["text"]}), "end_turn"),
    };
    json!({
        "id": format!("msg_{number:020}"), "type": "message", "role": "assistant",
        "model": "stub", "content": [block], "stop_reason": stop_reason, "stop_sequence": null,
        "usage": {"input_tokens": 100, "output_tokens": 20},
    })
}

fn plain(writer: &mut impl Write, body: &Value) -> Option<()> {
    let body = body.to_string();
    let head = "content-type: application/json\r\ncontent-length";
    write!(writer, "HTTP/1.1 200 OK\r\n{head}: {}\r\n\r\n{body}", body.len()).ok()
}

fn stream_message(writer: &mut impl Write, step: &Value) -> Option<()> {
    let message = message(step);
    let mut start = message.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    let mut block = message["content"][0].clone();
    let delta = match block["type"].as_str() {
        Some("tool_use") => {
            let partial = std::mem::replace(&mut block["input"], json!({})).to_string();
            json!({"type": "input_json_delta", "partial_json": partial})
        }
        _ => {
            let text = std::mem::replace(&mut block["text"], json!(""));
            json!({"type": "text_delta", "text": text})
        }
    };
    let head = "content-type: text/event-stream\r\ntransfer-encoding: chunked";
    write!(writer, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n").ok()?;
    event(writer, "message_start", json!({"message": start}))?;
    event(writer, "content_block_start", json!({"index": 0, "content_block": block}))?;
    event(writer, "content_block_delta", json!({"index": 0, "delta": delta}))?;
    if let Some(path) = step["until"].as_str() {
        while !Path::new(path).exists() {
            event(writer, "ping", json!({}))?;
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    event(writer, "content_block_stop", json!({"index": 0}))?;
    let delta = json!({"stop_reason": message["stop_reason"], "stop_sequence": null});
    let usage = json!({"output_tokens": 20});
    event(writer, "message_delta", json!({"delta": delta, "usage": usage}))?;
    event(writer, "message_stop", json!({}))?;
    write!(writer, "0\r\n\r\n").ok()
}

fn event(writer: &mut impl Write, name: &str, mut event: Value) -> Option<()> {
    event["type"] = name.into();
    let text = format!("event: {name}\ndata: {event}\n\n");
    write!(writer, "{:x}\r\n{text}\r\n", text.len()).ok()?;
    writer.flush().ok()
}

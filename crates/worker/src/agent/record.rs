//! # Log records of agents
//!
//! **What** Turns what an agent printed into a [`Log`] that is safe to keep and to show.
//!
//! **Invariants** No record holds a control character other than newline and tab, and none is
//! larger than a few [`DATA_BYTES_MAX`]; what was left out is said in its place.
//!
//! **Failure** None: any text gives a record.
//!
//! **Not here** Redaction of secrets (the server), the meaning of a line (the dialogues).

use serde_json::{Map, Value};

use super::{Log, TurnInput};

/// The longest text of a record. Models answer in less; logs of tools may not.
pub const DATA_BYTES_MAX: usize = 256 * 1024;
/// The longest single string inside metadata; the readable text stands in `data` anyway.
const METADATA_STRING_BYTES_MAX: usize = 16 * 1024;
/// All strings of one metadata object together.
const METADATA_BYTES_MAX: usize = 128 * 1024;
const METADATA_ITEMS_MAX: usize = 256;

const _: () = assert!(METADATA_STRING_BYTES_MAX < METADATA_BYTES_MAX);

/// A record of plain text.
pub fn text(stream: &'static str, chunk_type: &str, data: &str) -> Log {
    Log { stream, data: safe(data), chunk_type: chunk_type.to_owned(), metadata: None }
}

/// The record of a message given to an agent.
pub fn user(input: &TurnInput) -> Log {
    let mut metadata = Map::new();
    metadata.insert("input_id".to_owned(), Value::from(input.input_id.clone()));
    if !input.attachments.is_empty() {
        metadata.insert("attachments".to_owned(), Value::Array(input.attachments.clone()));
    }
    object("user", "user_input", &input.message, metadata)
}

/// A record of an object, with the text a reader wants to see.
pub fn object(
    stream: &'static str,
    chunk_type: &str,
    data: &str,
    metadata: Map<String, Value>,
) -> Log {
    Log { metadata: Some(trimmed(metadata)), ..text(stream, chunk_type, data) }
}

/// A record of a line of a program that is not known to us: a line that is one JSON object has
/// its `type` as chunk type and its text as data, any other line is text.
pub fn line(stream: &'static str, line: &str) -> Log {
    let Ok(Value::Object(map)) = serde_json::from_str(line) else {
        return text(stream, "text", line);
    };
    let chunk_type = map.get("type").and_then(Value::as_str).unwrap_or("json").to_owned();
    let data = ["text", "delta", "content"]
        .iter()
        .find_map(|key| map.get(*key)?.as_str().filter(|text| !text.trim().is_empty()))
        .unwrap_or(line)
        .to_owned();
    object(stream, &chunk_type, &data, map)
}

/// The text with control characters made visible and its length bounded.
pub fn safe(text: &str) -> String {
    bounded(text, DATA_BYTES_MAX)
}

/// The end of a text, at most `bytes_max` of it, cut between characters.
pub fn tail(text: &str, bytes_max: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes_max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// The start of a text, at most `bytes_max` of it, cut between characters.
pub fn head(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn bounded(text: &str, bytes_max: usize) -> String {
    let kept = head(text, bytes_max);
    let mut out = String::with_capacity(kept.len());
    let mut characters = kept.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' | '\t' => out.push(character),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' => out.push('\n'),
            // U+2400 and following are pictures of the control characters.
            '\0'..='\x1f' => out.push(char::from_u32(0x2400 + character as u32).unwrap_or('␀')),
            '\x7f' => out.push('␡'),
            '\u{80}'..='\u{9f}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    if kept.len() < text.len() {
        out.push_str(&format!("… ({} bytes left out)", text.len() - kept.len()));
    }
    out
}

/// The object with long strings and lists shortened.
pub fn trimmed(map: Map<String, Value>) -> Map<String, Value> {
    let mut bytes_left = METADATA_BYTES_MAX;
    trimmed_map(map, &mut bytes_left)
}

fn trimmed_map(map: Map<String, Value>, bytes_left: &mut usize) -> Map<String, Value> {
    let mut out = Map::new();
    let item_count = map.len();
    for (key, value) in map.into_iter().take(METADATA_ITEMS_MAX) {
        let key = bounded(&key, 256);
        out.insert(key, trimmed_value(value, bytes_left));
    }
    if item_count > METADATA_ITEMS_MAX {
        let left_out = item_count - METADATA_ITEMS_MAX;
        out.insert("…".to_owned(), Value::from(format!("{left_out} entries left out")));
    }
    out
}

fn trimmed_value(value: Value, bytes_left: &mut usize) -> Value {
    match value {
        Value::String(text) => {
            let bytes_max = METADATA_STRING_BYTES_MAX.min(*bytes_left);
            *bytes_left = bytes_left.saturating_sub(text.len());
            Value::String(bounded(&text, bytes_max))
        }
        Value::Array(items) => {
            let item_count = items.len();
            let mut out: Vec<Value> = items
                .into_iter()
                .take(METADATA_ITEMS_MAX)
                .map(|item| trimmed_value(item, bytes_left))
                .collect();
            if item_count > METADATA_ITEMS_MAX {
                let left_out = item_count - METADATA_ITEMS_MAX;
                out.push(Value::from(format!("… ({left_out} items left out)")));
            }
            Value::Array(out)
        }
        Value::Object(map) => Value::Object(trimmed_map(map, bytes_left)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(safe("a\u{1b}[31mb\0c\r\nd\re\u{9b}f\t\n"), "a␛[31mb␀c\nd\ne\u{fffd}f\t\n");
    }

    #[test]
    fn a_line_over_a_mebibyte_is_cut_between_characters() {
        let log = line("stdout", &"é".repeat(1024 * 1024));
        assert!(log.data.len() < DATA_BYTES_MAX + 64);
        assert!(log.data.ends_with("bytes left out)"));
        assert_eq!(log.chunk_type, "text");
    }

    #[test]
    fn a_json_line_keeps_its_type_and_text() {
        let log = line("stdout", r#"{"type":"note","text":" ","content":"hello","n":1}"#);
        assert_eq!((log.chunk_type.as_str(), log.data.as_str()), ("note", "hello"));
        assert_eq!(log.metadata.map(|map| map["n"].clone()), Some(json!(1)));
        let untyped = line("stdout", r#"{"n":1}"#);
        assert_eq!((untyped.chunk_type.as_str(), untyped.data.as_str()), ("json", r#"{"n":1}"#));
        assert_eq!(line("stderr", "[1]").chunk_type, "text");
    }

    #[test]
    fn metadata_is_bounded_as_a_whole() {
        let many: Vec<String> = (0..1000).map(|_| "x".repeat(20_000)).collect();
        let map = json!({"many": many, "nul": "a\0b"});
        let Value::Object(map) = map else { unreachable!("built as an object") };
        let bytes = Value::Object(trimmed(map)).to_string().len();
        assert!(bytes < 2 * METADATA_BYTES_MAX, "{bytes}");
    }

    #[test]
    fn heads_and_tails_are_cut_between_characters() {
        assert_eq!(tail("aéb", 2), "b");
        assert_eq!(head("aéb", 2), "a");
        assert_eq!(tail("ab", 9), "ab");
    }
}

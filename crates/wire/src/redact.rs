//! # Redaction: what looks like a secret does not leave the server (STR-5)
//!
//! **What** [`text`] for strings, [`value`] and [`object`] for JSON. What they hide is replaced by
//! [`REDACTED`].
//!
//! A name is sensitive when it contains one of the words of `redact::name`. In JSON, a sensitive
//! name hides its whole value, except `true`, `false`, `null` and the empty string, which tell
//! nothing. In a string, hidden are:
//!
//! 1. the value of a quoted sensitive name and a colon, at any depth of `\"` escapes;
//! 2. the value of `NAME=value`: the quoted text, or up to a blank, comma or semicolon. With blanks
//!    around `=` only a quoted text or a long key, since `token = next()` is code;
//! 3. what follows `Bearer`;
//! 4. a key that starts with `sk-` and has eight or more characters after it;
//! 5. the value of an unquoted sensitive name, a colon and a blank (a header), if it is a scheme
//!    and its credentials or a long key.
//!
//! **Counts stay readable.** A name speaks of counts when it has a part such as `max`, `count` or
//! `usage`, or when `token` is its only sensitive word and not its end (`input_tokens`,
//! `maxTokens`, `token_usage`). Below it numbers stay, also as strings; objects and lists are
//! walked; every other string is hidden, so that `tokens: {"github": "…"}` shows nothing. A number
//! below another sensitive name (`password: 1234`) is hidden.
//!
//! **Invariants** Linear time; no panic; cuts at ASCII only. Redacting twice is redacting once: a
//! decision rests on what stays and on where the last hidden part ended, and both are the same the
//! second time. A string without a secret is borrowed.
//!
//! **Not here** A secret that is cut in two by the records of a stream; names that say nothing.

mod name;
mod scan;
mod span;

use std::borrow::Cow;

use serde_json::Value;

use crate::json::Object;
use name::Kind;

pub use hostler_core::text::REDACTED;

/// A string without its secrets.
pub fn text(text: &str) -> Cow<'_, str> {
    scan::scan(text)
}

/// A copy of a string without its secrets.
pub fn copy(text: &str) -> String {
    self::text(text).into_owned()
}

/// Hides the secrets of a value.
pub fn value(value: &mut Value) {
    walk(value, false);
}

/// Hides the secrets of an object.
pub fn object(object: &mut Object) {
    walk_object(object, false);
}

/// The value of a field with a sensitive name: hidden, unless it is empty.
pub fn hidden(text: &str) -> String {
    if text.is_empty() { String::new() } else { REDACTED.to_owned() }
}

fn walk_object(object: &mut Object, counts: bool) {
    for (key, value) in object.iter_mut() {
        match name::kind(key.as_bytes()) {
            Kind::Plain => walk(value, counts),
            Kind::Counts => walk(value, true),
            Kind::Secret => match value {
                Value::Null | Value::Bool(_) => {}
                Value::String(text) if text.is_empty() => {}
                value => *value = Value::from(REDACTED),
            },
        }
    }
}

fn walk(value: &mut Value, counts: bool) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) if counts => {
            if !text.is_empty() && !name::is_count(text.as_bytes()) {
                *text = REDACTED.to_owned();
            }
        }
        Value::String(text) => {
            if let Cow::Owned(redacted) = self::text(text) {
                *text = redacted;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, counts)),
        Value::Object(object) => walk_object(object, counts),
    }
}

#[cfg(test)]
mod tests;

//! Repeated commands: the receipt of a key, and the canonical form that bodies are compared in.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{InputId, TaskId};

/// What a key was answered with (ACC-4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    pub task_id: TaskId,
    pub input_id: InputId,
    /// The hash of the canonical body: another body under the same key is a conflict.
    pub body_hash: String,
}

/// The hash of a body, field by field, without regard to the order of fields within objects.
///
/// Each part is written with its length before it, so that no two bodies write the same bytes.
pub struct BodyHash {
    hasher: blake3::Hasher,
}

impl BodyHash {
    /// `kind` keeps bodies of different commands apart.
    pub fn new(kind: &str) -> Self {
        let mut hash = BodyHash { hasher: blake3::Hasher::new() };
        hash.part(kind);
        hash
    }

    fn part(&mut self, text: &str) {
        self.hasher.update(&(text.len() as u64).to_le_bytes());
        self.hasher.update(text.as_bytes());
    }

    /// An absent field leaves no trace: it means the same as one that was never named.
    pub fn field(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.part(name);
            self.part(text);
        }
    }

    pub fn object(&mut self, name: &str, object: Option<&Map<String, Value>>) {
        if let Some(object) = object
            && !object.is_empty()
        {
            self.value(name, &Value::Object(object.clone()));
        }
    }

    pub fn list(&mut self, name: &str, items: &[Value]) {
        for item in items {
            self.value(name, item);
        }
    }

    fn value(&mut self, name: &str, value: &Value) {
        let mut text = String::new();
        write_canonical(value, &mut text);
        self.field(name, Some(&text));
    }

    pub fn end(self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            text.push('{');
            for (name, value) in entries {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hash(value: Value) -> String {
        let mut hash = BodyHash::new("test");
        hash.object("body", value.as_object());
        hash.end()
    }

    #[test]
    fn the_order_of_fields_does_not_matter_and_their_values_do() {
        let one = hash(json!({"a": 1, "b": {"c": [1, 2], "d": null}}));
        let two = hash(json!({"b": {"d": null, "c": [1, 2]}, "a": 1}));
        let other = hash(json!({"b": {"d": null, "c": [2, 1]}, "a": 1}));
        assert_eq!(one, two);
        assert_ne!(one, other);
    }

    #[test]
    fn text_cannot_move_from_one_field_to_the_next() {
        let of = |one: &str, two: &str| {
            let mut hash = BodyHash::new("test");
            hash.field("one", Some(one));
            hash.field("two", Some(two));
            hash.end()
        };
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(of("a", "two"), of("atwo", ""));
    }
}

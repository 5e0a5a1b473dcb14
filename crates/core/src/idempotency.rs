//! Repeated commands: the receipt of a key, and the canonical form that bodies are compared in.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{InputId, TaskId};

/// What a key was answered with (ACC-4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    pub task_id: TaskId,
    pub input_id: InputId,
    /// The hash of the canonical body: another body under the same key is a conflict.
    pub body_hash: String,
}

/// The hash of a body without regard to the order of its fields.
pub fn body_hash(body: &Value) -> String {
    let mut text = String::new();
    write_canonical(body, &mut text);
    blake3::hash(text.as_bytes()).to_hex().to_string()
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

    #[test]
    fn the_order_of_fields_does_not_matter_and_their_values_do() {
        let one = body_hash(&json!({"a": 1, "b": {"c": [1, 2], "d": null}}));
        let two = body_hash(&json!({"b": {"d": null, "c": [1, 2]}, "a": 1}));
        let other = body_hash(&json!({"b": {"d": null, "c": [2, 1]}, "a": 1}));
        assert_eq!(one, two);
        assert_ne!(one, other);
    }
}

//! The execution class key, byte for byte the original's (POL-2).
//!
//! Eleven parts `name=value` joined with `|`, hashed with SHA-1; the first 16 bytes as hex after
//! `execclass_`. Values are not escaped, as in the original: a lane that contains `|host=` can
//! collide with another class.

use std::fmt::{self, Write};

use serde_json::Value;

use super::Policy;
use crate::id::WorkspaceId;

/// A resource value as the original's default formatting sees it, and shows it.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassValue {
    Null,
    Bool(bool),
    /// A whole number that did not come from JSON.
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<ClassValue>),
    Map(Vec<(String, ClassValue)>),
}

impl From<&Value> for ClassValue {
    /// JSON numbers are floats.
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => ClassValue::Null,
            Value::Bool(flag) => ClassValue::Bool(*flag),
            Value::Number(number) => ClassValue::Float(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => ClassValue::Text(text.clone()),
            Value::Array(items) => ClassValue::List(items.iter().map(Into::into).collect()),
            Value::Object(map) => {
                ClassValue::Map(map.iter().map(|(k, v)| (k.clone(), v.into())).collect())
            }
        }
    }
}

/// The key of a policy whose resources came from JSON.
pub fn class_key(
    workspace: WorkspaceId,
    agent: Option<&str>,
    lane: Option<&str>,
    policy: &Policy,
) -> String {
    let resources = policy.resources.iter().map(|(k, v)| (k.clone(), v.into())).collect();
    class_key_of(workspace, agent, lane, policy, resources)
}

/// The key with resources as the caller has them.
pub fn class_key_of(
    workspace: WorkspaceId,
    agent: Option<&str>,
    lane: Option<&str>,
    policy: &Policy,
    mut resources: Vec<(String, ClassValue)>,
) -> String {
    resources.sort_by(|a, b| a.0.cmp(&b.0));
    let resources: Vec<String> =
        resources.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let text = format!(
        "ws={workspace}|agent={}|lane={}|host={}|security={}|ask={}|runtime={}\
         |workspace_access={}|network={}|interactive={}|resources={}",
        or_blank(agent),
        or_blank(lane),
        policy.host,
        policy.security,
        policy.ask,
        policy.runtime_type,
        policy.workspace_access,
        policy.network_enabled,
        policy.interactive,
        resources.join(","),
    );
    let digest = sha1_smol::Sha1::from(text).digest().bytes();
    let mut key = String::from("execclass_");
    for byte in &digest[..16] {
        write!(key, "{byte:02x}").expect("a String takes any text");
    }
    key
}

fn or_blank(text: Option<&str>) -> &str {
    text.map(str::trim).filter(|text| !text.is_empty()).unwrap_or("_")
}

impl fmt::Display for ClassValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClassValue::Null => f.write_str("<nil>"),
            ClassValue::Bool(flag) => write!(f, "{flag}"),
            ClassValue::Integer(number) => write!(f, "{number}"),
            ClassValue::Float(number) => f.write_str(&show_float(*number)),
            ClassValue::Text(text) => f.write_str(text),
            ClassValue::List(items) => {
                let items: Vec<String> = items.iter().map(ClassValue::to_string).collect();
                write!(f, "[{}]", items.join(" "))
            }
            ClassValue::Map(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                let entries: Vec<String> =
                    entries.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                write!(f, "map[{}]", entries.join(" "))
            }
        }
    }
}

/// Shortest digits that read back the same, and of two that are equally near the one with an even
/// last digit; with an exponent (sign and two digits at least) when the power of ten of the first
/// digit is under -4 or from 6 on.
fn show_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = shortest(number);
    let (digits, exponent) = scientific.split_once('e').expect("LowerExp writes an exponent");
    let exponent: i32 = exponent.parse().expect("LowerExp writes a whole exponent");
    if (-4..6).contains(&exponent) || number == 0.0 {
        return format!("{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// Rust's own shortest digits round up where the original's round to even.
fn shortest(number: f64) -> String {
    let up = format!("{number:e}");
    let mantissa = up.split('e').next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let even = format!("{number:.*e}", digits - 1);
    if even.parse() == Ok(number) { even } else { up }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Ask, RuntimeType, Security, WorkspaceAccess};
    use serde_json::json;

    const AGENT: &str = "11111111-2222-4333-8444-555555555555";

    fn key(ws: u64, agent: Option<&str>, lane: Option<&str>, policy: &Policy) -> String {
        class_key(WorkspaceId(ws), agent, lane, policy)
    }

    fn with_resources(resources: Value) -> Policy {
        Policy { resources: resources.as_object().cloned().unwrap(), ..Policy::default() }
    }

    /// The worked examples of the original's behaviour.
    #[test]
    fn keys_are_the_originals() {
        let padded = Some(" 11111111-2222-4333-8444-555555555555 ");
        let default = Policy::default();
        assert_eq!(key(1, None, None, &default), "execclass_bd3c8568fd887859554952101bbb1a62");
        assert_eq!(
            key(42, padded, Some("  "), &default),
            "execclass_12b6d373ce96dc0dbaf6480e29b59f70"
        );
        assert_eq!(
            key(42, Some(AGENT), Some("schedule-lane:9b1d"), &default),
            "execclass_9c999dc8fa4e7f4c5d6b55a48f08b237"
        );
        let small = with_resources(json!({"cpu": 4000, "memory": 4096, "gpu": 1}));
        assert_eq!(
            key(42, padded, Some("  "), &small),
            "execclass_7524fbf112c087035ccc0bf8236cca14"
        );
        let large = with_resources(json!({"cpu": 2000, "memory": 2_147_483_648_u64}));
        assert_eq!(
            key(42, padded, Some("  "), &large),
            "execclass_2fce094f703e02b3c1479c96e90518be"
        );
        let integers = vec![
            ("cpu".to_owned(), ClassValue::Integer(2000)),
            ("memory".to_owned(), ClassValue::Integer(2_147_483_648)),
        ];
        assert_eq!(
            class_key_of(WorkspaceId(42), padded, None, &default, integers),
            "execclass_7a826167e4cae9158d7b22576617d140"
        );
        let strict = Policy {
            security: Security::Full,
            ask: Ask::Always,
            runtime_type: RuntimeType::Runc,
            workspace_access: WorkspaceAccess::Ro,
            network_enabled: false,
            interactive: true,
            ..Policy::default()
        };
        assert_eq!(
            key(7, Some(AGENT), Some("nightly"), &strict),
            "execclass_b73d4cfdc97e8b1c9d1a3484a1904628"
        );
        let offline = Policy { network_enabled: false, ..Policy::default() };
        assert_eq!(key(42, padded, None, &offline), "execclass_124284d15ef17b6d3704b46ea0e826ef");
    }

    #[test]
    fn floats_are_written_with_an_exponent_from_six_on_and_under_minus_four() {
        let table = [
            (0.0, "0"),
            (0.5, "0.5"),
            (999_999.0, "999999"),
            (1_000_000.0, "1e+06"),
            (2_147_483_648.0, "2.147483648e+09"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-1_500_000.0, "-1.5e+06"),
            (1e100, "1e+100"),
            (2_f64.powi(-25), "2.9802322387695312e-08"),
        ];
        for (number, text) in table {
            assert_eq!(show_float(number), text);
        }
    }

    #[test]
    fn nested_values_are_written_in_the_originals_way() {
        let value = json!({"b": [1, "x", null], "a": {"z": true}});
        assert_eq!(ClassValue::from(&value).to_string(), "map[a:map[z:true] b:[1 x <nil>]]");
    }
}

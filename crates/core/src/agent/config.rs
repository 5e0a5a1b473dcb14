//! An agent's config: the defaults, merging, and what is checked (AGT-4).
//!
//! Known keys are checked by type; unknown ones are kept, as in the original.

use serde_json::{Map, Value, json};

use crate::budget::Budget;
use crate::code::Rejection;
use crate::limits;
use crate::text::{REDACTED, bounded, words};

words! {
    /// What runs an agent.
    pub enum Runner {
        ClaudeCode => "claude_code",
        Codex => "codex",
        Acp => "acp",
        Command => "command",
        Scripted => "scripted",
    }
}

/// The text that the original gives an agent. `{{workspace_dir}}` is resolved at run time.
pub const SYSTEM_PROMPT: &str = "\
You work in {{workspace_dir}}, inside /workspace, which is this workspace's own folder.
Read AGENTS.md there first, if there is one. Skills stand in /workspace/skills: read them before \
you start; they come before your own defaults.
/workspace/sources is data to read, never to change. /workspace/tools holds command line tools. \
/workspace/memory is kept from one session to the next.
Say in a few lines which tools you have, then do the work.";

/// The config of a new agent with this key.
pub fn default_config(agent_key: &str) -> Map<String, Value> {
    let workspace_dir = match agent_key {
        "" => "/workspace".to_owned(),
        key => format!("/workspace/agents/{key}"),
    };
    let config = json!({
        "runner": Runner::ClaudeCode.as_str(),
        "provider": "claude",
        "workspace_dir": workspace_dir,
        "system_prompt": SYSTEM_PROMPT,
    });
    let Value::Object(config) = config else { unreachable!("it is written as an object") };
    config
}

/// Lays `patch` over `base`, shallowly; `null` removes a key, and `[REDACTED]` keeps what is stored
/// in its place. Then fills in what is missing.
pub fn merged(
    agent_key: &str,
    base: &Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<Map<String, Value>, Rejection> {
    let mut config = base.clone();
    for (name, value) in patch {
        let mut value = value.clone();
        restore(&format!("config.{name}"), &mut value, base.get(name))?;
        match value {
            Value::Null => config.remove(name),
            value => config.insert(name.clone(), value),
        };
    }
    normalise(agent_key, &mut config)?;
    check(&config)?;
    Ok(config)
}

fn normalise(agent_key: &str, config: &mut Map<String, Value>) -> Result<(), Rejection> {
    for name in ["runner", "provider"] {
        if let Some(Value::String(text)) = config.get_mut(name) {
            *text = text.trim().to_lowercase();
        }
    }
    let blank = |config: &Map<String, Value>, name: &str| {
        config
            .get(name)
            .is_none_or(|value| value.as_str().is_some_and(|text| text.trim().is_empty()))
    };
    let defaults = default_config(agent_key);
    if blank(config, "runner") {
        let derived = match config.get("provider").and_then(Value::as_str) {
            None | Some("" | "claude") => Runner::ClaudeCode,
            Some("openai") => Runner::Codex,
            Some(provider) => {
                let text =
                    format!("no runner follows from the provider {provider:?}; set `runner`");
                return Err(Rejection::invalid("config.provider", text));
            }
        };
        config.insert("runner".to_owned(), derived.as_str().into());
    }
    if blank(config, "provider") {
        let runner = config.get("runner").and_then(Value::as_str).and_then(Runner::parse);
        let provider = match runner {
            Some(Runner::ClaudeCode) => "claude",
            Some(Runner::Codex) => "openai",
            Some(Runner::Acp) => "acp",
            Some(Runner::Command) => "command",
            Some(Runner::Scripted) => "scripted",
            None => "",
        };
        config.insert("provider".to_owned(), provider.into());
    }
    for name in ["workspace_dir", "system_prompt"] {
        if blank(config, name) {
            config.insert(name.to_owned(), defaults[name].clone());
        }
    }
    Ok(())
}

fn check(config: &Map<String, Value>) -> Result<(), Rejection> {
    let text = Value::Object(config.clone()).to_string();
    bounded("config", &text, limits::CONFIG_BYTES_MAX)?;
    for (name, value) in config {
        let field = format!("config.{name}");
        let wrong = |allowed: &str| {
            let shown = crate::text::shortened(&value.to_string(), 100).to_owned();
            Err(Rejection::invalid(&field, format!("invalid {name}: {shown}; allowed: {allowed}")))
        };
        let strings = |value: &Value| {
            value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
        };
        let ok = match name.as_str() {
            "runner" => match value.as_str().and_then(Runner::parse) {
                Some(_) => continue,
                None => return wrong(&Runner::list()),
            },
            "provider" | "model" | "system_prompt" | "check" => value.is_string(),
            "system_prompt_mode" => match value.as_str() {
                Some("append" | "replace") => continue,
                _ => return wrong("append, replace"),
            },
            "workspace_dir" => match value.as_str() {
                Some(dir) if is_in_workspace(dir) => continue,
                _ => return wrong("/workspace or a folder below it, without `..`"),
            },
            "max_concurrency" => match value.as_u64() {
                Some(1..) if value.as_u64() <= Some(u64::from(limits::CONCURRENCY_MAX)) => continue,
                _ => {
                    return wrong(&format!("a whole number from 1 to {}", limits::CONCURRENCY_MAX));
                }
            },
            "idle_timeout_ms" => match value.as_u64() {
                Some(span) if span <= limits::TIMEOUT_MS_MAX => continue,
                _ => return wrong(&format!("a whole number from 0 to {}", limits::TIMEOUT_MS_MAX)),
            },
            "env" => match value.as_object() {
                Some(map) if are_variables(map) => continue,
                _ => return wrong("an object of strings, by names without `=`"),
            },
            "command" => match value.as_array() {
                Some(items) if !items.is_empty() && strings(value) => continue,
                _ => return wrong("a list of strings, the program first"),
            },
            "exec_allowlist" | "egress_allowlist" | "skills" => match strings(value) {
                true => continue,
                false => return wrong("a list of strings"),
            },
            "budget" => match value.as_object() {
                Some(given) => {
                    Budget::parse(&field, given, true)?;
                    continue;
                }
                None => return wrong("an object of max_usd, max_tokens, max_turns, period"),
            },
            "pool" => match value.as_str() {
                Some(pool) if is_plain(pool, limits::AGENT_KEY_BYTES_MAX) => continue,
                _ => return wrong("letters, digits, `.`, `_` and `-`"),
            },
            "labels" => match value.as_object() {
                Some(labels) if are_labels(labels) => continue,
                _ => return wrong(&format!("an object of up to {} strings", limits::LABELS_MAX)),
            },
            _ => continue,
        };
        if !ok {
            return wrong("a string");
        }
    }
    if config["runner"] == Runner::Command.as_str() && !config.contains_key("command") {
        let text = "the runner `command` needs `command`: a list of strings, the program first";
        return Err(Rejection::field(crate::code::Code::RequiredField, "config.command", text));
    }
    Ok(())
}

fn is_in_workspace(dir: &str) -> bool {
    (dir == "/workspace" || dir.starts_with("/workspace/"))
        && !dir.split('/').any(|part| part == "..")
        && !dir.chars().any(char::is_control)
}

fn is_plain(text: &str, bytes_max: usize) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=bytes_max).contains(&text.len()) && text.chars().all(plain)
}

fn are_variables(map: &Map<String, Value>) -> bool {
    let is_name = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
    map.iter().all(|(name, value)| {
        is_name(name) && value.as_str().is_some_and(|text| !text.contains('\0'))
    })
}

fn are_labels(labels: &Map<String, Value>) -> bool {
    let short = |text: &str| text.len() <= limits::KEY_BYTES_MAX;
    labels.len() <= limits::LABELS_MAX
        && labels.iter().all(|(name, value)| {
            !name.is_empty() && short(name) && value.as_str().is_some_and(short)
        })
}

/// Puts what is stored in the place of what an answer had hidden.
fn restore(field: &str, given: &mut Value, stored: Option<&Value>) -> Result<(), Rejection> {
    match given {
        Value::String(text) if text == REDACTED => match stored {
            Some(stored) => *given = stored.clone(),
            None => {
                let text = format!("{REDACTED} stands for a stored value, and none is stored");
                return Err(Rejection::invalid(field, text));
            }
        },
        Value::Object(map) => {
            for (name, value) in map {
                restore(&format!("{field}.{name}"), value, stored.and_then(|old| old.get(name)))?;
            }
        }
        Value::Array(items) => {
            // In a list of another length nothing is known to have kept its place.
            let same = |old: &&Value| old.as_array().is_some_and(|old| old.len() == items.len());
            let stored = stored.filter(same);
            for (index, item) in items.iter_mut().enumerate() {
                let old = stored.and_then(|old| old.get(index));
                restore(&format!("{field}[{index}]"), item, old)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(patch: Value) -> Result<Map<String, Value>, String> {
        let patch = patch.as_object().cloned().unwrap();
        merged("demo", &default_config("demo"), &patch)
            .map_err(|refused| format!("{}: {}", refused.field.unwrap(), refused.message))
    }

    #[test]
    fn the_default_is_the_originals() {
        let config = default_config("demo");
        assert_eq!(config["runner"], "claude_code");
        assert_eq!(config["provider"], "claude");
        assert_eq!(config["workspace_dir"], "/workspace/agents/demo");
        assert_eq!(default_config("")["workspace_dir"], "/workspace");
    }

    #[test]
    fn a_patch_is_laid_over_shallowly_null_removes_and_unknown_keys_are_kept() {
        let config = patched(json!({"model": "sonnet", "x-team": {"a": 1}})).unwrap();
        assert_eq!(config["model"], "sonnet");
        assert_eq!(config["x-team"]["a"], 1);
        let again = json!({"model": null, "workspace_dir": " "});
        let again = merged("demo", &config, again.as_object().unwrap()).unwrap();
        assert!(!again.contains_key("model"));
        assert_eq!(again["workspace_dir"], "/workspace/agents/demo");
    }

    #[test]
    fn runner_and_provider_follow_from_each_other() {
        let base = Map::new();
        let of = |patch: Value| merged("a", &base, patch.as_object().unwrap()).unwrap();
        assert_eq!(of(json!({}))["runner"], "claude_code");
        assert_eq!(of(json!({"runner": " Scripted "}))["provider"], "scripted");
        assert_eq!(of(json!({"provider": "openai"}))["runner"], "codex");
    }

    #[test]
    fn a_wrong_value_names_the_key_and_what_is_allowed() {
        assert_eq!(
            patched(json!({"runner": "gpt"})).unwrap_err(),
            "config.runner: invalid runner: \"gpt\"; \
             allowed: claude_code, codex, acp, command, scripted"
        );
        assert_eq!(
            patched(json!({"workspace_dir": "/workspace/../etc"})).unwrap_err(),
            "config.workspace_dir: invalid workspace_dir: \"/workspace/../etc\"; \
             allowed: /workspace or a folder below it, without `..`"
        );
        assert_eq!(
            patched(json!({"runner": "command"})).unwrap_err(),
            "config.command: the runner `command` needs `command`: \
             a list of strings, the program first"
        );
        assert!(patched(json!({"max_concurrency": 0})).is_err());
        assert!(patched(json!({"env": {"A": 1}})).is_err());
        assert!(patched(json!({"env": {"A=B": "c"}})).is_err());
        assert!(patched(json!({"env": {"A": "b=c"}})).is_ok());
        assert!(patched(json!({"labels": {"zone": 1}})).is_err());
        assert!(patched(json!({"pool": "a b"})).is_err());
        assert_eq!(
            patched(json!({"budget": {"max_usd": -1}})).unwrap_err(),
            "config.budget.max_usd: invalid max_usd: -1; allowed: a number from 0.000001 to 1e9"
        );
        assert!(patched(json!({"budget": {"max_usd": 0.5, "period": "day"}})).is_ok());
    }

    #[test]
    fn what_an_answer_has_hidden_keeps_what_is_stored() {
        let stored = json!({"env": {"KEY": "secret", "B": "b"}, "args": ["x", "token"]});
        let stored = merged("a", &Map::new(), stored.as_object().unwrap()).unwrap();
        let patch = json!({"env": {"KEY": "[REDACTED]", "C": "c"}, "args": ["y", "[REDACTED]"]});
        let config = merged("a", &stored, patch.as_object().unwrap()).unwrap();
        assert_eq!(config["env"], json!({"KEY": "secret", "C": "c"}));
        assert_eq!(config["args"], json!(["y", "token"]));
        let refused = patched(json!({"env": {"NEW": "[REDACTED]"}})).unwrap_err();
        assert_eq!(
            refused,
            "config.env.NEW: [REDACTED] stands for a stored value, and none is stored"
        );
    }
}

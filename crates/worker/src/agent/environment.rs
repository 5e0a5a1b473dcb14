//! # Environment of agents
//!
//! **What** The variables every agent's process is started with: a small fixed base, the `env`
//! of the agent's config, and the `HOSTLER_*` variables that tell the agent about its task. They
//! are the original's, with its prefix replaced.
//!
//! | variable | value |
//! |---|---|
//! | `HOSTLER_RUN_ID`, `HOSTLER_RUN_ATTEMPT_ID`, `HOSTLER_ORIGIN_TASK_ID` | ids |
//! | `HOSTLER_AGENT_SESSION_ID`, `_PROVIDER`, `_MODEL` | when not blank |
//! | `HOSTLER_AGENT_CONFIG_<KEY>` | each config entry that is not null |
//! | `HOSTLER_AGENT_SYSTEM_PROMPT`, `_SYSTEM_PROMPT_MODE`, `_WORKSPACE_DIR` | as resolved |
//! | `HOSTLER_AGENT_DELIVER`, `_LABEL`, `_SPAWNED_BY` | from the command |
//! | `HOSTLER_AGENT_ATTACHMENTS_JSON`, `_INPUT_PROVENANCE_JSON` | from the command |
//! | `HOSTLER_AGENT_RESUME_SESSION` | `true` when the conversation is resumed |
//! | `HOSTLER_AGENT_ENV_OMITTED` | names of the variables above that were too long to be set |
//!
//! A key of the config becomes upper case, anything but ASCII letters and digits becomes `_`, and
//! outer `_` go. Text stands as it is, numbers and booleans in their usual form, the rest as JSON.
//!
//! **Invariants** Nothing is read from the worker's environment, so no credential can slip in.
//! Each name occurs once. `{{workspace_dir}}` is resolved in the system prompt.
//!
//! **Failure** The config's `env` may set what it likes, `PATH` too: the sandbox is the boundary,
//! not this list. Refused, rather than silently overruled, are the names that belong to Hostler:
//! `HOSTLER_*`, `HOME` and `CLAUDE_CONFIG_DIR` (where the kept state is mounted), and
//! `ANTHROPIC_*` except those that name a model, since the worker's proxy holds endpoint and key.
//! Linux allows 128 KiB for one variable: a `HOSTLER_*` value above [`VALUE_BYTES_MAX`] is left
//! out and named, a longer system prompt or `env` value is refused.
//!
//! **Not here** Variables of one agent's program (`claude`), the proxy's (`sandbox`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Job, Refusal, WORKSPACE_DIR};

/// Linux takes at most 131 072 bytes for one argument or variable, its name and end included.
pub const VALUE_BYTES_MAX: usize = 120 * 1024;
/// All of it together; Linux takes a quarter of the stack limit, 2 MiB, arguments included.
const TOTAL_BYTES_MAX: usize = 768 * 1024;

const _: () = assert!(VALUE_BYTES_MAX < 128 * 1024 - 256);

const OMITTED: &str = "HOSTLER_AGENT_ENV_OMITTED";

const BASE: [(&str, &str); 7] = [
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("HOME", "/home/agent"),
    ("USER", "agent"),
    ("SHELL", "/bin/bash"),
    ("LANG", "C.UTF-8"),
    ("TERM", "xterm-256color"),
    ("TMPDIR", "/tmp"),
];

/// How the system prompt meets the agent's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptMode {
    Append,
    Replace,
}

pub type Variables = BTreeMap<String, String>;

/// The environment of the job, before the variables of one agent's program.
pub fn variables(job: &Job) -> Result<Variables, Refusal> {
    let mut variables: Variables =
        BASE.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    add_config_env(&mut variables, job)?;
    let own = own_variables(job)?;
    let mut omitted: Vec<String> = Vec::new();
    let mut bytes_left = TOTAL_BYTES_MAX;
    // The short ones first, so that one giant entry does not push out the rest.
    let mut own: Vec<(String, String)> = own.into_iter().collect();
    own.sort_by_key(|(name, value)| (value.len(), name.clone()));
    for (name, value) in own {
        let bytes = name.len() + value.len();
        if value.len() > VALUE_BYTES_MAX || bytes > bytes_left {
            omitted.push(name);
            continue;
        }
        bytes_left -= bytes;
        variables.insert(name, value);
    }
    if !omitted.is_empty() {
        variables.insert(OMITTED.to_owned(), omitted.join(","));
    }
    Ok(variables)
}

/// The folder the agent works in: its `workspace_dir`, or the default one of its key.
pub fn workspace_dir(job: &Job) -> Result<String, Refusal> {
    let given = text(&job.config, "workspace_dir");
    let path = match given {
        Some(path) if path.starts_with('/') => path.to_owned(),
        Some(path) => format!("{WORKSPACE_DIR}/{path}"),
        None if job.agent_key.trim().is_empty() => WORKSPACE_DIR.to_owned(),
        None => format!("{WORKSPACE_DIR}/agents/{}", job.agent_key.trim()),
    };
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." || part.contains('\0') {
            return Err(Refusal(format!(
                "config `workspace_dir`: `{path}` must not leave its folder"
            )));
        }
        parts.push(part);
    }
    let path = format!("/{}", parts.join("/"));
    let inside = path == WORKSPACE_DIR || path.starts_with(&format!("{WORKSPACE_DIR}/"));
    if !inside {
        return Err(Refusal(format!(
            "config `workspace_dir`: `{path}` must be {WORKSPACE_DIR} or a folder below it"
        )));
    }
    Ok(path)
}

/// The system prompt with `{{workspace_dir}}` resolved. The command's extra prompt stands in only
/// when the config has none.
pub fn system_prompt(job: &Job) -> Result<Option<String>, Refusal> {
    let extra = job.extra_system_prompt.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let Some(prompt) = text(&job.config, "system_prompt").or(extra) else {
        return Ok(None);
    };
    let prompt = prompt.replace("{{workspace_dir}}", &workspace_dir(job)?).replace('\0', "");
    if prompt.len() > VALUE_BYTES_MAX {
        return Err(Refusal(format!(
            "the system prompt has {} bytes; at most {VALUE_BYTES_MAX} reach an agent",
            prompt.len()
        )));
    }
    Ok(Some(prompt))
}

pub fn system_prompt_mode(job: &Job) -> Result<PromptMode, Refusal> {
    match text(&job.config, "system_prompt_mode").map(str::to_ascii_lowercase).as_deref() {
        None | Some("append") => Ok(PromptMode::Append),
        Some("replace") => Ok(PromptMode::Replace),
        Some(other) => Err(Refusal(format!(
            "config `system_prompt_mode`: `{other}` is not one of append, replace"
        ))),
    }
}

/// A config entry that is text and not blank, trimmed.
pub(super) fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

fn add_config_env(variables: &mut Variables, job: &Job) -> Result<(), Refusal> {
    let map = match job.config.get("env") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(map)) => map,
        Some(_) => {
            return Err(Refusal("config `env` must be an object of texts".to_owned()));
        }
    };
    let mut bytes = 0;
    for (name, value) in map {
        if let Some(why) = refused_name(name) {
            return Err(Refusal(format!("config `env`: `{name}` cannot be set: {why}")));
        }
        if value.is_null() {
            continue;
        }
        let value = display(value);
        bytes += name.len() + value.len();
        if value.len() > VALUE_BYTES_MAX || bytes > TOTAL_BYTES_MAX {
            return Err(Refusal(format!(
                "config `env`: `{name}` is too long; one value has at most {VALUE_BYTES_MAX} \
                 bytes, all together {TOTAL_BYTES_MAX}"
            )));
        }
        variables.insert(name.clone(), value);
    }
    Ok(())
}

fn refused_name(name: &str) -> Option<&'static str> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts_with_digit = name.bytes().next().is_none_or(|byte| byte.is_ascii_digit());
    if starts_with_digit || !name.bytes().all(word) {
        return Some("a name has letters, digits and `_`, and does not start with a digit");
    }
    if name.starts_with("HOSTLER_") {
        return Some("names that begin with HOSTLER_ are Hostler's own");
    }
    if name == "HOME" || name == "CLAUDE_CONFIG_DIR" {
        return Some("the agent's kept state is mounted there");
    }
    if name.starts_with("ANTHROPIC_") && !name.contains("MODEL") {
        return Some(
            "endpoint and credential of the model are set in the worker's environment and never \
             enter the sandbox",
        );
    }
    None
}

fn own_variables(job: &Job) -> Result<Variables, Refusal> {
    let mut own = Variables::new();
    let mut set = |name: &str, value: String| {
        if !value.trim().is_empty() {
            own.insert(format!("HOSTLER_{name}"), value.replace('\0', ""));
        }
    };
    let prompt = system_prompt(job)?;
    for (key, value) in &job.config {
        let name = variable_name(key);
        if value.is_null() || name.is_empty() {
            continue;
        }
        let resolved = prompt.clone().filter(|_| key == "system_prompt");
        set(&format!("AGENT_CONFIG_{name}"), resolved.unwrap_or_else(|| display(value)));
    }
    set("RUN_ID", job.run_id.clone());
    set("RUN_ATTEMPT_ID", job.attempt_id.clone());
    set("ORIGIN_TASK_ID", job.task_id.clone());
    set("AGENT_SESSION_ID", job.session_id.clone());
    set("AGENT_PROVIDER", text(&job.config, "provider").unwrap_or_default().to_owned());
    set("AGENT_MODEL", text(&job.config, "model").unwrap_or_default().to_owned());
    set("AGENT_SYSTEM_PROMPT", prompt.unwrap_or_default());
    set(
        "AGENT_SYSTEM_PROMPT_MODE",
        match system_prompt_mode(job)? {
            PromptMode::Append => "append".to_owned(),
            PromptMode::Replace => "replace".to_owned(),
        },
    );
    set("AGENT_WORKSPACE_DIR", workspace_dir(job)?);
    for (key, name) in [
        ("deliver", "AGENT_DELIVER"),
        ("label", "AGENT_LABEL"),
        ("spawned_by", "AGENT_SPAWNED_BY"),
        ("attachments", "AGENT_ATTACHMENTS_JSON"),
        ("input_provenance", "AGENT_INPUT_PROVENANCE_JSON"),
    ] {
        let value = job.context.get(key).filter(|value| !value.is_null());
        let value = value.filter(|value| value.as_array().is_none_or(|items| !items.is_empty()));
        let json = name.ends_with("_JSON");
        let value = value.map(|value| if json { value.to_string() } else { display(value) });
        set(name, value.unwrap_or_default());
    }
    if job.resume {
        set("AGENT_RESUME_SESSION", "true".to_owned());
    }
    Ok(own)
}

fn variable_name(key: &str) -> String {
    let name: String = key
        .chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' => character.to_ascii_uppercase(),
            _ => '_',
        })
        .collect();
    name.trim_matches('_').to_owned()
}

fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('\0', ""),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "environment/tests.rs"]
mod tests;

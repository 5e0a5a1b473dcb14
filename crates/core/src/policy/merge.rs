//! Laying a command's policy over the defaults, field by field.

use serde_json::{Map, Value};

use super::{Ask, Host, Policy, RuntimeType, Security, Source, WorkspaceAccess};
use crate::code::Rejection;
use crate::limits;

/// A policy as a caller gave it: an absent field means the default, also for booleans (ACC-6).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyPatch {
    pub host: Option<String>,
    pub security: Option<String>,
    pub ask: Option<String>,
    pub runtime_type: Option<String>,
    pub workspace_access: Option<String>,
    pub network_enabled: Option<bool>,
    pub interactive: Option<bool>,
    pub resources: Option<Map<String, Value>>,
    pub retry: Option<RetryPatch>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryPatch {
    pub max_attempts: Option<i64>,
    pub delay_ms: Option<i64>,
}

/// The patch over `base`; the first invalid field refuses all of it.
pub fn merge(base: &Policy, patch: &PolicyPatch, source: Source) -> Result<Policy, Rejection> {
    let mut policy = base.clone();
    let mut note = |field: &str| {
        policy.sources.insert(field.to_owned(), source);
    };
    if let Some(value) = word("host", &patch.host, Host::parse, Host::list)? {
        note("host");
        policy.host = value;
    }
    if let Some(value) = word("security", &patch.security, Security::parse, Security::list)? {
        note("security");
        policy.security = value;
    }
    if let Some(value) = word("ask", &patch.ask, Ask::parse, Ask::list)? {
        note("ask");
        policy.ask = value;
    }
    let asked = &patch.runtime_type;
    if let Some(value) = word("runtime_type", asked, RuntimeType::parse, RuntimeType::list)? {
        note("runtime_type");
        policy.runtime_type = value;
    }
    let asked = &patch.workspace_access;
    let list = WorkspaceAccess::list;
    if let Some(value) = word("workspace_access", asked, WorkspaceAccess::parse, list)? {
        note("workspace_access");
        policy.workspace_access = value;
    }
    if let Some(value) = patch.network_enabled {
        note("network_enabled");
        policy.network_enabled = value;
    }
    if let Some(value) = patch.interactive {
        note("interactive");
        policy.interactive = value;
    }
    if let Some(resources) = &patch.resources {
        check_resources(resources)?;
        note("resources");
        policy.resources = resources.clone();
    }
    if let Some(retry) = patch.retry {
        if let Some(count) = retry.max_attempts {
            let allowed = 1..=i64::from(limits::RETRY_ATTEMPTS_MAX);
            policy.retry.max_attempts = whole("retry.max_attempts", count, allowed)? as u32;
            note("retry.max_attempts");
        }
        if let Some(delay) = retry.delay_ms {
            let allowed = 0..=limits::RETRY_DELAY_MS_MAX as i64;
            policy.retry.delay_ms = whole("retry.delay_ms", delay, allowed)? as u64;
            note("retry.delay_ms");
        }
    }
    Ok(policy)
}

fn word<T>(
    field: &str,
    given: &Option<String>,
    parse: impl Fn(&str) -> Option<T>,
    list: impl Fn() -> String,
) -> Result<Option<T>, Rejection> {
    let Some(text) = given.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    parse(text).map(Some).ok_or_else(|| {
        Rejection::invalid(
            &format!("policy.{field}"),
            format!("invalid {field}: {text:?}; allowed: {}", list()),
        )
    })
}

fn whole(
    field: &str,
    value: i64,
    allowed: std::ops::RangeInclusive<i64>,
) -> Result<i64, Rejection> {
    if allowed.contains(&value) {
        return Ok(value);
    }
    Err(Rejection::invalid(
        &format!("policy.{field}"),
        format!("invalid {field}: {value}; allowed: {} to {}", allowed.start(), allowed.end()),
    ))
}

fn check_resources(resources: &Map<String, Value>) -> Result<(), Rejection> {
    for (name, value) in resources {
        let maximum = match name.as_str() {
            "cpu" => limits::CPU_MILLIS_MAX,
            "memory" => limits::MEMORY_BYTES_MAX,
            "gpu" => limits::GPUS_MAX,
            _ => {
                return Err(Rejection::invalid(
                    &format!("policy.resources.{name}"),
                    format!("unknown resource {name:?}; allowed: cpu, memory, gpu"),
                ));
            }
        };
        let number = value.as_f64().filter(|n| (0.0..=maximum as f64).contains(n));
        if number.is_none() {
            return Err(Rejection::invalid(
                &format!("policy.resources.{name}"),
                format!("invalid resources.{name}: {value}; allowed: a number from 0 to {maximum}"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patch(fill: impl FnOnce(&mut PolicyPatch)) -> PolicyPatch {
        let mut patch = PolicyPatch::default();
        fill(&mut patch);
        patch
    }

    fn message(patch: PolicyPatch) -> String {
        let refused = merge(&Policy::default(), &patch, Source::Command).unwrap_err();
        format!("{}: {}", refused.field.unwrap(), refused.message)
    }

    #[test]
    fn the_words_and_the_defaults_are_the_originals() {
        assert_eq!(Host::list(), "sandbox");
        assert_eq!(Security::list(), "deny, allowlist, full");
        assert_eq!(Ask::list(), "off, on-miss, always");
        assert_eq!(RuntimeType::list(), "gvisor, runc");
        assert_eq!(WorkspaceAccess::list(), "none, ro, rw");
        let Policy { retry, resources, sources, .. } = Policy::default();
        assert_eq!((retry.max_attempts, retry.delay_ms), (2, 0));
        assert!(resources.is_empty() && sources.is_empty());
        let Policy { host, security, ask, runtime_type, workspace_access, .. } = Policy::default();
        assert_eq!(host.as_str(), "sandbox");
        assert_eq!((security.as_str(), ask.as_str()), ("allowlist", "off"));
        assert_eq!((runtime_type.as_str(), workspace_access.as_str()), ("gvisor", "rw"));
        assert!(Policy::default().network_enabled && !Policy::default().interactive);
    }

    #[test]
    fn a_blank_word_is_the_default() {
        let blank = Some("  ".to_owned());
        let given = PolicyPatch {
            host: blank.clone(),
            security: blank.clone(),
            ask: blank.clone(),
            runtime_type: blank.clone(),
            workspace_access: blank,
            resources: Some(Map::new()),
            retry: Some(RetryPatch::default()),
            ..PolicyPatch::default()
        };
        let merged = merge(&Policy::default(), &given, Source::Command).unwrap();
        assert_eq!(Policy { sources: Default::default(), ..merged }, Policy::default());
    }

    #[test]
    fn a_resource_is_read_as_a_whole_number_and_text_is_refused() {
        let resources = |value: Value| patch(|p| p.resources = value.as_object().cloned());
        let given = resources(json!({"cpu": 1_500.7, "memory": 2_147_483_648_u64}));
        let merged = merge(&Policy::default(), &given, Source::Command).unwrap();
        assert_eq!((merged.resource("cpu"), merged.resource("gpu")), (1_500, 0));
        assert_eq!(merged.resource("memory"), 2 << 30);
        assert_eq!(merged.resources["cpu"], 1_500.7, "it is kept as it came, for the class key");
        assert!(message(resources(json!({"cpu": "2000"}))).contains("allowed: a number"));
        assert!(message(resources(json!({"gpu": 9}))).contains("0 to 8"));
        assert!(message(resources(json!({"memory": -1}))).contains("policy.resources.memory"));
    }

    #[test]
    fn an_empty_policy_is_the_default_also_for_booleans() {
        let merged = merge(&Policy::default(), &PolicyPatch::default(), Source::Command).unwrap();
        assert_eq!(merged, Policy::default());
        assert!(merged.network_enabled);
    }

    #[test]
    fn each_given_field_is_taken_and_its_source_noted() {
        let given = patch(|p| {
            p.security = Some(" full ".into());
            p.network_enabled = Some(false);
            p.retry = Some(RetryPatch { max_attempts: Some(5), delay_ms: None });
        });
        let merged = merge(&Policy::default(), &given, Source::Command).unwrap();
        assert_eq!(merged.security, Security::Full);
        assert!(!merged.network_enabled);
        assert_eq!(merged.retry, super::super::Retry { max_attempts: 5, delay_ms: 0 });
        let noted: Vec<_> = merged.sources.keys().map(String::as_str).collect();
        assert_eq!(noted, ["network_enabled", "retry.max_attempts", "security"]);
    }

    #[test]
    fn a_wrong_value_names_field_value_and_what_is_allowed() {
        assert_eq!(
            message(patch(|p| p.security = Some("root".into()))),
            "policy.security: invalid security: \"root\"; allowed: deny, allowlist, full"
        );
        assert_eq!(
            message(patch(|p| p.host = Some("gateway".into()))),
            "policy.host: invalid host: \"gateway\"; allowed: sandbox"
        );
        assert_eq!(
            message(patch(|p| p.resources = json!({"cpu": 64_000}).as_object().cloned())),
            "policy.resources.cpu: invalid resources.cpu: 64000; \
             allowed: a number from 0 to 32000"
        );
        assert_eq!(
            message(patch(|p| {
                p.retry = Some(RetryPatch { max_attempts: Some(0), delay_ms: None });
            })),
            "policy.retry.max_attempts: invalid retry.max_attempts: 0; allowed: 1 to 100"
        );
    }
}

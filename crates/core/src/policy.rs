//! # Policy
//!
//! **What** How a run may be executed, as data (POL-1): the host, what it may run, whom to ask,
//! the runtime, the workspace, the network, resources and retries. [`merge`] lays what a command
//! asks for over the defaults (ACC-6) and says where each field came from (POL-3).
//!
//! **Invariants** A [`Policy`] is always valid: it is made by `merge` only.
//!
//! **Not here** Enforcing it (the worker), choosing a runtime that is there (`capacity`).

pub mod class_key;
mod merge;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::text::words;
pub use merge::{PolicyPatch, RetryPatch, merge};

words! {
    /// Where a run is executed.
    pub enum Host { Sandbox => "sandbox" }
}
words! {
    /// Which commands the agent may run.
    pub enum Security { Deny => "deny", Allowlist => "allowlist", Full => "full" }
}
words! {
    /// Which commands a person is asked about.
    pub enum Ask { Off => "off", OnMiss => "on-miss", Always => "always" }
}
words! {
    /// The isolation that the policy asks for.
    pub enum RuntimeType { Gvisor => "gvisor", Runc => "runc" }
}
words! {
    /// What the sandbox may do with the workspace's folder.
    pub enum WorkspaceAccess { None => "none", Ro => "ro", Rw => "rw" }
}
words! {
    /// Where a field of the effective policy came from.
    pub enum Source {
        Default => "default",
        Agent => "agent",
        Command => "command",
        Cap => "server_cap",
    }
}

/// The effective policy of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub host: Host,
    pub security: Security,
    pub ask: Ask,
    pub runtime_type: RuntimeType,
    pub workspace_access: WorkspaceAccess,
    pub network_enabled: bool,
    pub interactive: bool,
    /// `cpu` (millicores), `memory` (bytes), `gpu` (count): as given, since the class key
    /// formats the numbers as they came.
    pub resources: Map<String, Value>,
    pub retry: Retry,
    /// Field name to source, for the fields that are not the default.
    pub sources: std::collections::BTreeMap<String, Source>,
}

/// How often a run is tried, and how long after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    pub max_attempts: u32,
    pub delay_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { max_attempts: 2, delay_ms: 0 }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            host: Host::Sandbox,
            security: Security::Allowlist,
            ask: Ask::Off,
            runtime_type: RuntimeType::Gvisor,
            workspace_access: WorkspaceAccess::Rw,
            network_enabled: true,
            interactive: false,
            resources: Map::new(),
            retry: Retry::default(),
            sources: std::collections::BTreeMap::new(),
        }
    }
}

impl Policy {
    /// Rows leave the default policy out.
    pub fn is_default(&self) -> bool {
        *self == Policy::default()
    }

    /// A resource as a whole number; 0 when it is not set.
    pub fn resource(&self, name: &str) -> u64 {
        let value = self.resources.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        // The value was checked against its maximum, far below 2^53.
        value as u64
    }
}

//! # Agents
//!
//! **What** A configured agent of a workspace: its key, its name, its open config.
//!
//! **Invariants** `INV-AGENT-1`: a key names at most one agent of a workspace.

pub mod config;
pub mod manage;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::code::{Code, Rejection};
use crate::id::{AgentId, WorkspaceId};
use crate::limits;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    pub id: AgentId,
    pub workspace_id: WorkspaceId,
    pub agent_key: String,
    pub name: String,
    /// The known keys are checked when it is written; unknown ones are kept.
    pub config: Map<String, Value>,
    pub active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Agent {
    /// How many executions of one of its classes may be live (DSP-6).
    pub fn concurrency(&self) -> u32 {
        let configured = self.config.get("max_concurrency").and_then(Value::as_u64);
        match configured {
            Some(count) => count.min(u64::from(limits::CONCURRENCY_MAX)) as u32,
            None => limits::CONCURRENCY_DEFAULT,
        }
    }

    /// Refuses new work for an agent that is switched off or gone.
    pub(crate) fn works(&self) -> Result<(), Rejection> {
        if self.active {
            return Ok(());
        }
        let what = if self.deleted_at.is_some() { "was deleted" } else { "is not active" };
        let text = format!("the agent {:?} {what}", self.agent_key);
        Err(Rejection::field(Code::AgentInactive, "agent_id", text))
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.config.get(key).and_then(Value::as_str)
    }
}

//! # Workspaces
//!
//! **What** A tenant: everything else belongs to exactly one. It can be paused, has a share of the
//! workers beside the others, and may have a budget.
//!
//! **Invariants** `INV-WORKSPACE-1`: a key names at most one workspace.

pub mod manage;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::capacity::one;
use crate::id::WorkspaceId;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    pub id: WorkspaceId,
    /// Its name in every path of the API.
    pub key: String,
    /// Nothing of it is dispatched.
    pub paused: bool,
    /// Its share among workspaces (DSP-2).
    #[serde(default = "one")]
    pub weight: u32,
    /// What all its tasks may spend together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    pub created_at: Timestamp,
    #[serde(default)]
    pub updated_at: Timestamp,
}

impl Workspace {
    pub fn new(id: WorkspaceId, key: String, now: Timestamp) -> Self {
        Workspace {
            id,
            key,
            paused: false,
            weight: one(),
            budget: None,
            created_at: now,
            updated_at: now,
        }
    }
}

//! # Workspaces
//!
//! **What** A tenant: everything else belongs to exactly one.

use serde::{Deserialize, Serialize};

use crate::id::WorkspaceId;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    pub id: WorkspaceId,
    /// Its name in every path of the API.
    pub key: String,
    /// Nothing of it is dispatched.
    pub paused: bool,
    pub created_at: Timestamp,
}

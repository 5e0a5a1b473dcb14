//! Workspaces.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Budget, Object, Time};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Workspace {
    pub id: u64,
    /// Its name in every path.
    pub key: String,
    /// Nothing of it starts; what runs goes on.
    pub paused: bool,
    /// Its share among workspaces.
    pub weight: u32,
    /// What all its tasks may spend together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// A new workspace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWorkspace {
    /// Letters, digits, `.`, `_` and `-`; at most 128 bytes.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 128)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What is to change of a workspace; absent fields stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateWorkspace {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// 1 to 1 000.
    #[schema(minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// `null` takes it away.
    #[schema(value_type = Option<Budget>)]
    #[serde(default, with = "super::given", skip_serializing_if = "Option::is_none")]
    pub budget: Option<Option<Object>>,
}

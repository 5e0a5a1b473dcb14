//! Budgets, and what was spent of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::word::{self, schema};
use super::{Time, Usage};

/// What may be spent; an absent limit is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// US dollars, above 0.
    #[schema(maximum = 1000000000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_usd: Option<f64>,
    /// Input and output tokens together.
    #[schema(minimum = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    #[schema(minimum = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<u64>,
    /// How long it counts before it begins anew, in UTC; `total`, which never does, when absent.
    /// A task's own budget is always `total`.
    #[schema(value_type = Option<schema::Period>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<word::Period>,
}

/// A budget and what was spent of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BudgetStanding {
    /// `null`: there is none, and nothing is counted.
    #[schema(required = true)]
    pub budget: Option<Budget>,
    pub spent: Usage,
    /// Since when it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When it begins anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

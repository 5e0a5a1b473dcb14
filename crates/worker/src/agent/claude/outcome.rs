//! # The outcome of a turn
//!
//! **What** Gathers the `result` lines of one turn: a turn has several when the agent's
//! background work wakes it again.
//!
//! **Invariants** `is_error` decides, not `subtype`: the program reports failures of the model as
//! `success` with `is_error`. Usage is the sum of what each result adds; totals that the program
//! carries over from earlier processes are never counted twice.
//!
//! **Failure** Numbers that are missing or no numbers count as zero.
//!
//! **Not here** When the turn is over (`dialogue`), whether it is tried again (the server).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::agent::{Failure, TurnResult, Usage, record};

#[derive(Debug, Default)]
pub struct Outcome {
    pub result_count: u32,
    last: TurnResult,
    models: BTreeMap<String, ModelUsage>,
}

#[derive(Debug, Clone, Copy, Default)]
struct ModelUsage {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    cost_usd: f64,
}

impl Outcome {
    /// Take in one `result` line. `cost_before` is the total the process had reported before.
    pub fn add(&mut self, line: &Map<String, Value>, cost_before: Option<f64>) {
        self.result_count += 1;
        self.add_usage(line, cost_before);
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_error = line.get("is_error").and_then(Value::as_bool).unwrap_or(false);
        let subtype = text("subtype");
        let reason = match (subtype, text("terminal_reason")) {
            ("error_max_turns", _) => "max_turns",
            ("error_max_budget_usd", _) => "budget_exhausted",
            (_, "") if is_error => subtype,
            (_, "") => "completed",
            (_, reason) => reason,
        };
        let never_began = line.get("num_turns").and_then(Value::as_u64) == Some(0) && is_error;
        self.last = TurnResult {
            is_error,
            reason: reason.to_owned(),
            text: result_text(line),
            waiting_for_input: reason == "waiting_for_input",
            failure: if is_error { failure(line, reason) } else { Failure::None },
            // The budget is the process's: every further message would end the same.
            last: reason == "budget_exhausted" || never_began,
            ..TurnResult::default()
        };
    }

    fn add_usage(&mut self, line: &Map<String, Value>, cost_before: Option<f64>) {
        if let Some(Value::Object(models)) = line.get("model_usage_since_last_result") {
            for (model, usage) in models {
                self.models.entry(model.clone()).or_default().add(&ModelUsage {
                    input_tokens: count(usage, "inputTokens"),
                    output_tokens: count(usage, "outputTokens"),
                    cache_read_tokens: count(usage, "cacheReadInputTokens"),
                    cache_write_tokens: count(usage, "cacheCreationInputTokens"),
                    cost_usd: usage["costUSD"].as_f64().unwrap_or(0.0),
                });
            }
            return;
        }
        // Older programs: tokens of this result, and a total of the money spent.
        let usage = line.get("usage").unwrap_or(&Value::Null);
        let total = line.get("total_cost_usd").and_then(Value::as_f64);
        let cost = total.zip(cost_before).map_or(0.0, |(total, before)| total - before);
        let model = line.get("modelUsage").and_then(Value::as_object);
        let model = model.and_then(|models| models.keys().next()).map_or("", String::as_str);
        self.models.entry(model.to_owned()).or_default().add(&ModelUsage {
            input_tokens: count(usage, "input_tokens"),
            output_tokens: count(usage, "output_tokens"),
            cache_read_tokens: count(usage, "cache_read_input_tokens"),
            cache_write_tokens: count(usage, "cache_creation_input_tokens"),
            cost_usd: cost,
        });
    }

    /// The turn's result, still without the input it belongs to.
    pub fn finish(self) -> TurnResult {
        let mut sum = ModelUsage::default();
        let mut models = Map::new();
        for (model, usage) in self.models {
            sum.add(&usage);
            models.insert(
                model,
                json!({
                    "input_tokens": usage.input_tokens,
                    "output_tokens": usage.output_tokens,
                    "cache_read_tokens": usage.cache_read_tokens,
                    "cache_write_tokens": usage.cache_write_tokens,
                    "cost_micro_usd": usage.cost_micro_usd(),
                }),
            );
        }
        let usage = Usage {
            input_tokens: sum.input_tokens,
            output_tokens: sum.output_tokens,
            cache_read_tokens: sum.cache_read_tokens,
            cache_write_tokens: sum.cache_write_tokens,
            cost_micro_usd: sum.cost_micro_usd(),
            models: (!models.is_empty()).then_some(Value::Object(models)),
        };
        TurnResult { usage, ..self.last }
    }
}

impl ModelUsage {
    fn add(&mut self, other: &ModelUsage) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cache_read_tokens = self.cache_read_tokens.saturating_add(other.cache_read_tokens);
        self.cache_write_tokens = self.cache_write_tokens.saturating_add(other.cache_write_tokens);
        self.cost_usd += other.cost_usd.max(0.0);
    }

    /// Rounded; a float beyond the range of `u64` ends at its edge.
    fn cost_micro_usd(&self) -> u64 {
        (self.cost_usd * 1_000_000.0).round() as u64
    }
}

fn count(usage: &Value, key: &str) -> u64 {
    usage[key].as_u64().unwrap_or(0)
}

pub fn result_text(line: &Map<String, Value>) -> String {
    if let Some(text) = line.get("result").and_then(Value::as_str) {
        return record::safe(text);
    }
    let errors = line.get("errors").and_then(Value::as_array);
    let errors = errors.into_iter().flatten().filter_map(Value::as_str);
    // The program's notes to its own makers, as on every interrupt.
    let errors: Vec<&str> = errors.filter(|error| !error.starts_with("[ede_diagnostic]")).collect();
    let reason = line.get("terminal_reason").and_then(Value::as_str).unwrap_or_default();
    if errors.is_empty() && reason.starts_with("aborted") {
        return "the turn was interrupted".to_owned();
    }
    record::safe(&errors.join("\n"))
}

fn failure(line: &Map<String, Value>, reason: &str) -> Failure {
    match line.get("api_error_status").and_then(Value::as_u64) {
        // Not found is a model that does not exist or is not ours.
        Some(401..=404) => return Failure::Configuration,
        Some(408 | 409 | 425 | 429 | 500..) => return Failure::Overloaded,
        Some(400..500) => return Failure::Rejected,
        _ => {}
    }
    match reason {
        "budget_exhausted" => Failure::Budget,
        "max_turns"
        | "blocking_limit"
        | "image_error"
        | "malformed_tool_use_exhausted"
        | "prompt_too_long"
        | "structured_output_retry_exhausted" => Failure::Rejected,
        "api_error" => failure_without_status(line),
        _ => Failure::None,
    }
}

/// The endpoint gave no answer, or none that the program passes on.
fn failure_without_status(line: &Map<String, Value>) -> Failure {
    match line.get("api_error").and_then(Value::as_str).unwrap_or_default() {
        "account_on_hold"
        | "authentication_failed"
        | "billing_error"
        | "cloud_credential_error"
        | "model_not_found"
        | "model_requires_usage_credits"
        | "oauth_org_not_allowed"
        | "verification_required" => Failure::Configuration,
        "invalid_request" | "max_output_tokens" => Failure::Rejected,
        _ if result_text(line).contains("/login") => Failure::Configuration,
        // `connection_failed` and the like.
        _ => Failure::Overloaded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure_of(line: Value) -> Failure {
        let mut outcome = Outcome::default();
        outcome.add(line.as_object().expect("an object"), None);
        outcome.finish().failure
    }

    #[test]
    fn failures_are_classed_by_what_trying_again_would_do() {
        for (status, expected) in [
            (400, Failure::Rejected),
            (401, Failure::Configuration),
            (403, Failure::Configuration),
            (404, Failure::Configuration),
            (413, Failure::Rejected),
            (422, Failure::Rejected),
            (429, Failure::Overloaded),
            (500, Failure::Overloaded),
            (502, Failure::Overloaded),
            (503, Failure::Overloaded),
            (529, Failure::Overloaded),
        ] {
            let line = json!({
                "subtype": "success", "is_error": true, "terminal_reason": "api_error",
                "api_error_status": status, "result": "API Error",
            });
            assert_eq!(failure_of(line), expected, "{status}");
        }
        let refused = json!({
            "is_error": true, "terminal_reason": "api_error", "api_error_status": null,
            "api_error": "connection_failed", "result": "API Error: Connection refused",
        });
        assert_eq!(failure_of(refused), Failure::Overloaded);
        let no_key = json!({
            "is_error": true, "terminal_reason": "api_error",
            "result": "Not logged in · Please run /login",
        });
        assert_eq!(failure_of(no_key), Failure::Configuration);
        let no_credit = json!({
            "is_error": true, "terminal_reason": "api_error", "api_error": "billing_error",
        });
        assert_eq!(failure_of(no_credit), Failure::Configuration);
        let spent = json!({"is_error": true, "subtype": "error_max_budget_usd"});
        assert_eq!(failure_of(spent), Failure::Budget);
        let too_long = json!({"is_error": true, "terminal_reason": "prompt_too_long"});
        assert_eq!(failure_of(too_long), Failure::Rejected);
        let stopped = json!({
            "is_error": true, "subtype": "error_during_execution",
            "terminal_reason": "aborted_tools", "errors": ["stopped"],
        });
        assert_eq!(failure_of(stopped), Failure::None);
    }

    #[test]
    fn an_old_programs_cost_is_the_growth_of_its_total() {
        let line = json!({
            "is_error": false, "result": "ok", "total_cost_usd": 0.5,
            "usage": {"input_tokens": 3, "output_tokens": 2},
        });
        let line = line.as_object().expect("an object");
        let mut outcome = Outcome::default();
        outcome.add(line, Some(0.25));
        let usage = outcome.finish().usage;
        assert_eq!((usage.cost_micro_usd, usage.input_tokens), (250_000, 3));
        let mut outcome = Outcome::default();
        outcome.add(line, None);
        assert_eq!(outcome.finish().usage.cost_micro_usd, 0, "an unknown start is not charged");
    }
}

//! # What the running turn has used
//!
//! **What** Adds up the usage that the program's `assistant` lines name, while the turn runs.
//!
//! **Invariants** Each message of the model counts once, however many lines it is printed in. The
//! memory is bounded: of the last [`MESSAGES_MAX`] messages it is known that they were counted.
//!
//! **Failure** The lines name what the model had reported when they were printed: the output is
//! mostly missing. What counts in the end is the `result` line (`outcome`). Money is not known.
//!
//! **Not here** How often it is told (`execution`).

use std::collections::VecDeque;

use serde_json::{Map, Value};

use crate::agent::Usage;

/// Lines of several messages interleave only when agents below the agent work at the same time.
const MESSAGES_MAX: usize = 64;

#[derive(Debug, Default)]
pub struct Spending {
    total: Usage,
    messages: VecDeque<(String, Usage)>,
}

impl Spending {
    /// Take in one `assistant` line; the sum, if it has changed.
    pub fn add(&mut self, line: &Map<String, Value>) -> Option<Usage> {
        let message = line.get("message")?;
        let (id, usage) = (message["id"].as_str()?, message.get("usage")?);
        let count = |key: &str| usage[key].as_u64().unwrap_or(0);
        let usage = Usage {
            input_tokens: count("input_tokens"),
            output_tokens: count("output_tokens"),
            cache_read_tokens: count("cache_read_input_tokens"),
            cache_write_tokens: count("cache_creation_input_tokens"),
            ..Usage::default()
        };
        let before = self.total.clone();
        match self.messages.iter_mut().find(|(known, _)| known == id) {
            Some((_, counted)) => {
                let grown = grown(counted, &usage);
                add(&mut self.total, &grown);
                add(counted, &grown);
            }
            None => {
                add(&mut self.total, &usage);
                if self.messages.len() == MESSAGES_MAX {
                    self.messages.pop_front();
                }
                self.messages.push_back((id.to_owned(), usage));
            }
        }
        (self.total != before).then(|| self.total.clone())
    }
}

/// What a later line of the same message says beyond what was counted.
fn grown(counted: &Usage, usage: &Usage) -> Usage {
    let beyond = |new: u64, old: u64| new.saturating_sub(old);
    Usage {
        input_tokens: beyond(usage.input_tokens, counted.input_tokens),
        output_tokens: beyond(usage.output_tokens, counted.output_tokens),
        cache_read_tokens: beyond(usage.cache_read_tokens, counted.cache_read_tokens),
        cache_write_tokens: beyond(usage.cache_write_tokens, counted.cache_write_tokens),
        ..Usage::default()
    }
}

fn add(sum: &mut Usage, usage: &Usage) {
    sum.input_tokens = sum.input_tokens.saturating_add(usage.input_tokens);
    sum.output_tokens = sum.output_tokens.saturating_add(usage.output_tokens);
    sum.cache_read_tokens = sum.cache_read_tokens.saturating_add(usage.cache_read_tokens);
    sum.cache_write_tokens = sum.cache_write_tokens.saturating_add(usage.cache_write_tokens);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(id: &str, input_tokens: u64, output_tokens: u64) -> Map<String, Value> {
        let usage = json!({"input_tokens": input_tokens, "output_tokens": output_tokens});
        let line = json!({"message": {"id": id, "usage": usage}});
        line.as_object().expect("an object").clone()
    }

    #[test]
    fn a_message_counts_once_and_with_its_last_numbers() {
        let mut spending = Spending::default();
        let mut sum = |line| spending.add(&line).map(|sum| (sum.input_tokens, sum.output_tokens));
        assert_eq!(sum(line("a", 100, 1)), Some((100, 1)));
        assert_eq!(sum(line("a", 100, 1)), None, "its next block");
        assert_eq!(sum(line("b", 50, 1)), Some((150, 2)));
        assert_eq!(sum(line("a", 100, 20)), Some((150, 21)));
        assert_eq!(sum(Map::new()), None);
    }

    #[test]
    fn its_memory_is_bounded() {
        let mut spending = Spending::default();
        for number in 0..1_000 {
            spending.add(&line(&format!("m{number}"), 1, 0));
        }
        assert_eq!((spending.total.input_tokens, spending.messages.len()), (1_000, MESSAGES_MAX));
    }
}

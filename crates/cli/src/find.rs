//! Short ids: a task or run by the first or last characters of its id.
//!
//! **Invariants** A whole id costs no request. A part is looked for among the newest only, and
//! names something only if exactly one fits.

use hostler_wire::client::Client;
use hostler_wire::json::{ListRuns, ListTasks, RunId, TaskId};

use crate::fault::Fault;

/// The newest ones that a part of an id is looked for in: one page.
const NEWEST: u32 = 200;
/// Fewer characters would fit too easily.
const PART_MIN: usize = 4;

pub async fn task(client: &Client, text: &str) -> anyhow::Result<TaskId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    check("task", text)?;
    let newest = ListTasks { limit: Some(NEWEST), include_archived: Some(true), ..<_>::default() };
    let list = client.list_tasks(&newest).await?;
    let ids = list.tasks.into_iter().map(|task| task.id);
    one("task", text, ids)
}

pub async fn run(client: &Client, text: &str) -> anyhow::Result<RunId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    check("run", text)?;
    let newest = ListRuns { limit: Some(NEWEST), ..<_>::default() };
    let list = client.list_runs(&newest).await?;
    let ids = list.runs.into_iter().map(|run| run.id);
    one("run", text, ids)
}

fn check(what: &str, text: &str) -> Result<(), Fault> {
    let is_part = text.len() >= PART_MIN
        && text.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
    match is_part {
        true => Ok(()),
        false => Err(Fault::usage(format!(
            "{text:?} is not the id of a {what}, nor {PART_MIN} or more characters of one"
        ))),
    }
}

fn one<T: ToString>(what: &str, text: &str, ids: impl Iterator<Item = T>) -> anyhow::Result<T> {
    let part = text.to_ascii_lowercase();
    let fits = |id: &T| {
        let id = id.to_string();
        id.starts_with(&part) || id.ends_with(&part)
    };
    let mut found = ids.filter(fits);
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(Fault::not_found(format!(
            "none of the newest {NEWEST} {what}s has an id that begins or ends with {text}"
        ))
        .into()),
        (Some(one), Some(other)) => Err(Fault::usage(format!(
            "{text} is short for several {what}s, {} and {} among them",
            one.to_string(),
            other.to_string()
        ))
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<String, String> {
        let ids = ["0198-aaaa-11", "0198-bbbb-22", "0199-cccc-11"].map(str::to_owned);
        check("task", text).map_err(|fault| fault.detail)?;
        one("task", text, ids.into_iter()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_or_the_last_characters_name_one_or_nothing() {
        assert_eq!(found("bb-22").unwrap(), "0198-bbbb-22");
        assert_eq!(found("0199").unwrap(), "0199-cccc-11");
        assert!(found("0198").unwrap_err().contains("several"));
        assert!(found("ffff").unwrap_err().contains("none of the newest"));
        assert!(found("11").unwrap_err().contains("4 or more"));
        assert!(found("task-1").unwrap_err().contains("is not the id"));
    }
}

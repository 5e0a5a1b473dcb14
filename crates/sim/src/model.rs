//! # The model
//!
//! **What** What clients were told. Nothing more is known out there, so this is what the store is
//! compared with in the end.

use std::collections::BTreeMap;

use hostler_core::id::{InputId, RunId, TaskId};

#[derive(Debug, Default)]
pub struct Model {
    /// By idempotency key: what it was answered with.
    pub accepted: BTreeMap<String, (TaskId, InputId)>,
    /// Every task that was told of.
    pub tasks: Vec<TaskId>,
    /// Runs that were being stopped when a cancel of them was acknowledged.
    pub stopped_runs: Vec<(TaskId, RunId)>,
    pub agents: Vec<String>,
}

impl Model {
    /// Notes an answer; an error when the key was answered in another way before.
    pub fn accept(&mut self, key: &str, task: TaskId, input: InputId) -> Result<(), String> {
        if !self.tasks.contains(&task) {
            self.tasks.push(task);
        }
        match self.accepted.insert(key.to_owned(), (task, input)) {
            Some(before) if before != (task, input) => {
                Err(format!("the key {key} was answered with {before:?}, then {task} {input}"))
            }
            _ => Ok(()),
        }
    }
}

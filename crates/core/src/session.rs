//! # Sessions
//!
//! **What** The conversation that an agent's program can resume.
//!
//! **Invariants** `INV-RUN-1`: `live_run` names the one live run. `INV-SESSION-1`: `term` never
//! falls, and grows with every lease. `INV-SESSION-2`: of the tasks that wait for a session without
//! a live run one is ready.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, RunId, TaskId, WorkspaceId};

/// A session's name, as the caller gave it or a UUID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub String);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub workspace_id: WorkspaceId,
    pub id: SessionId,
    /// The task that each agent has for this session (ACC-5).
    pub tasks: Vec<(AgentId, TaskId)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_run: Option<RunId>,
    pub term: u64,
    /// An agent has taken a turn on it: it can be resumed.
    pub begun: bool,
    /// Queued tasks that are parked until the live run has ended.
    pub waiter_count: u32,
}

impl Session {
    pub fn new(workspace_id: WorkspaceId, id: SessionId) -> Self {
        let tasks = Vec::new();
        Session { workspace_id, id, tasks, live_run: None, term: 0, begun: false, waiter_count: 0 }
    }

    pub fn task_of(&self, agent: AgentId) -> Option<TaskId> {
        self.tasks.iter().find(|(owner, _)| *owner == agent).map(|(_, task)| *task)
    }

    /// The agent's task for this session is `task` from here on.
    pub fn set_task(&mut self, agent: AgentId, task: TaskId) {
        match self.tasks.iter_mut().find(|(owner, _)| *owner == agent) {
            Some(entry) => entry.1 = task,
            None => self.tasks.push((agent, task)),
        }
    }
}

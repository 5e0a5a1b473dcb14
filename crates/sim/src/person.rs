//! # A person who looks after things
//!
//! **What** In a healed world somebody sees to what only a person ends: paused workspaces, spent
//! budgets, degraded classes, agents whose pool has no worker any more, schedules that fire for
//! ever. Often at once, now and then only after a while in which the engine is left alone.

use hostler_core::agent::manage::UpdateAgent;
use hostler_core::capacity::Health;
use hostler_core::command::Command;
use hostler_core::key::Row;
use hostler_core::schedule::manage::UpdateSchedule;
use hostler_core::workspace::manage::UpdateWorkspace;
use serde_json::json;

use crate::client::Kind;
use crate::world::{Event, World};

/// How often the person looks.
const EVERY: i64 = 40_000;

impl World {
    pub fn plan_tending(&mut self) {
        let late = self.dice.chance(2_000);
        let after = if late { self.dice.range(30_000, 130_000) } else { self.dice.range(0, 3_000) };
        self.at(after, Event::Tend);
    }

    pub fn tend(&mut self) {
        let mut wanted = Vec::new();
        self.disk.memory.each(|_, _, row| wanted.extend(remedy(row)));
        for command in wanted {
            self.order(0, Kind::Other, command);
        }
        self.at(EVERY, Event::Tend);
    }
}

fn remedy(row: &Row) -> Option<Command> {
    match row {
        Row::Workspace(row) if row.paused || row.budget.is_some() => {
            let update = UpdateWorkspace { paused: Some(false), weight: None, budget: Some(None) };
            Some(Command::UpdateWorkspace { workspace: row.id, update: Box::new(update) })
        }
        Row::Agent(row)
            if row.deleted_at.is_none() && (row.budget().is_some() || row.pool() != "default") =>
        {
            let config = json!({ "budget": null, "pool": "default" }).as_object().cloned();
            let update = Box::new(UpdateAgent { config, ..UpdateAgent::default() });
            let (workspace, agent) = (row.workspace_id, row.id.to_string());
            Some(Command::UpdateAgent { workspace, agent, update })
        }
        Row::Instance(row) if row.status == Health::Degraded => {
            let (workspace, key) = (row.workspace_id, row.key.clone());
            Some(Command::ResetInstance { workspace, key })
        }
        Row::Schedule(row) if row.active => {
            let update = UpdateSchedule { active: Some(false), ..UpdateSchedule::default() };
            let (workspace, id) = (row.workspace_id, row.id);
            Some(Command::UpdateSchedule { workspace, id, update: Box::new(update) })
        }
        _ => None,
    }
}

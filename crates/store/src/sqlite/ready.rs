//! What the search for ready work looks up: one index for each priority, and that of ready tasks.
//!
//! **Cost** Each look is one seek, or one seek and as many steps as it answers names.

use hostler_core::capacity::needs::Room;
use hostler_core::capacity::ready::{self, Class, Look, Ready};
use hostler_core::id::{TaskId, WorkspaceId};
use hostler_core::task::Priority;
use rusqlite::{Connection, OptionalExtension, params};

use super::find::{bounded, id};

/// The looks at the classes of one priority.
struct Tier {
    workspace: &'static str,
    needs: &'static str,
    classes: &'static str,
}

macro_rules! tier {
    ($ready:literal) => {
        Tier {
            workspace: concat!(
                "SELECT workspace_id FROM instances INDEXED BY instances_",
                $ready,
                " WHERE ",
                $ready,
                " = 1 AND workspace_id > ?1 ORDER BY workspace_id LIMIT 1"
            ),
            needs: concat!(
                "SELECT needs FROM instances INDEXED BY instances_",
                $ready,
                " WHERE ",
                $ready,
                " = 1 AND workspace_id = ?1 AND needs > ?2 ORDER BY needs LIMIT 1"
            ),
            classes: concat!(
                "SELECT pass, key, room, turn, weight FROM instances INDEXED BY instances_",
                $ready,
                " WHERE ",
                $ready,
                " = 1 AND workspace_id = ?1 AND needs = ?2 ORDER BY pass, key LIMIT ?3"
            ),
        }
    };
}

const URGENT: Tier = tier!("ready_urgent");
const HIGH: Tier = tier!("ready_high");
const NORMAL: Tier = tier!("ready_normal");
const LOW: Tier = tier!("ready_low");

fn tier(priority: Priority) -> &'static Tier {
    match priority {
        Priority::Urgent => &URGENT,
        Priority::High => &HIGH,
        Priority::Normal => &NORMAL,
        Priority::Low => &LOW,
    }
}

const WEIGHT: &str = "SELECT weight FROM workspaces WHERE id = ?1 AND paused = 0";

const TASKS: &str = "SELECT id FROM tasks INDEXED BY tasks_ready
    WHERE ready = 1 AND instance_key = ?1 AND priority = ?2
    ORDER BY queued_at, id LIMIT ?3 OFFSET ?4";

pub fn search(
    connection: &Connection,
    rooms: &[Room],
    limit: usize,
    after: WorkspaceId,
) -> rusqlite::Result<Ready> {
    ready::search(&mut Looks(connection), rooms, limit, after)
}

struct Looks<'c>(&'c Connection);

impl Look for Looks<'_> {
    type Error = rusqlite::Error;

    fn workspace(
        &mut self,
        priority: Priority,
        after: Option<WorkspaceId>,
    ) -> rusqlite::Result<Option<WorkspaceId>> {
        let after = after.map_or(-1, |after| after.0.cast_signed());
        let mut statement = self.0.prepare_cached(tier(priority).workspace)?;
        let found: Option<i64> = statement.query_row([after], |row| row.get(0)).optional()?;
        Ok(found.map(|id| WorkspaceId(id.cast_unsigned())))
    }

    fn weight(&mut self, workspace: WorkspaceId) -> rusqlite::Result<Option<u32>> {
        let mut statement = self.0.prepare_cached(WEIGHT)?;
        statement.query_row([workspace.0.cast_signed()], |row| row.get(0)).optional()
    }

    fn needs(
        &mut self,
        priority: Priority,
        workspace: WorkspaceId,
        after: &str,
    ) -> rusqlite::Result<Option<String>> {
        let mut statement = self.0.prepare_cached(tier(priority).needs)?;
        let after = params![workspace.0.cast_signed(), after];
        statement.query_row(after, |row| row.get(0)).optional()
    }

    fn classes(
        &mut self,
        priority: Priority,
        workspace: WorkspaceId,
        needs: &str,
        count: usize,
    ) -> rusqlite::Result<Vec<Class>> {
        let mut statement = self.0.prepare_cached(tier(priority).classes)?;
        let of = params![workspace.0.cast_signed(), needs, bounded(count)];
        let classes = statement.query_map(of, |row| {
            let pass: i64 = row.get(0)?;
            let (key, room, left, weight) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            Ok(Class { pass: pass.cast_unsigned(), key, room, left, weight })
        })?;
        classes.collect()
    }

    fn tasks(
        &mut self,
        key: &str,
        priority: Priority,
        offset: usize,
        count: usize,
    ) -> rusqlite::Result<Vec<TaskId>> {
        let mut statement = self.0.prepare_cached(TASKS)?;
        let of = params![key, priority as i64, bounded(count), bounded(offset)];
        let tasks = statement.query_map(of, |row| Ok(TaskId(id(row, 0)?)))?;
        tasks.collect()
    }
}

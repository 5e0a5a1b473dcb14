//! What the search for ready work looks up: one index for each priority, and that of ready tasks.
//!
//! **Cost** Each look is one seek, or one seek and as many steps as it answers names.

use hostler_core::capacity::needs::Room;
use hostler_core::capacity::ready::{self, Class, Look, Ready};
use hostler_core::id::{TaskId, WorkspaceId};
use hostler_core::task::Priority;
use hostler_core::time::Timestamp;
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
                "SELECT pass, created_at, key, room, turn, weight ",
                "FROM instances INDEXED BY instances_",
                $ready,
                " WHERE ",
                $ready,
                " = 1 AND workspace_id = ?1 AND needs = ?2 ORDER BY pass, created_at, key LIMIT ?3"
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
            Ok(Class {
                pass: pass.cast_unsigned(),
                created_at: Timestamp(row.get(1)?),
                key: row.get(2)?,
                room: row.get(3)?,
                left: row.get(4)?,
                weight: row.get(5)?,
            })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(connection: &Connection, sql: &str) -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
        let nothing = rusqlite::params_from_iter(nothing);
        let steps = statement.query_map(nothing, |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    }

    /// Nothing is passed over, sorted, or read from the table.
    #[test]
    fn each_look_is_one_seek_in_an_index_of_what_is_ready() {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::migrate::migrate(&mut connection).unwrap();
        for priority in Priority::ALL {
            let Tier { workspace, needs, classes } = tier(*priority);
            let index = format!("SEARCH instances USING COVERING INDEX instances_ready_{priority}");
            assert_eq!(plan(&connection, workspace), format!("{index} (workspace_id>?)"));
            let seek = format!("{index} (workspace_id=? AND needs>?)");
            assert_eq!(plan(&connection, needs), seek);
            let seek = format!("{index} (workspace_id=? AND needs=?)");
            assert_eq!(plan(&connection, classes), seek);
        }
        let tasks = "SEARCH tasks USING COVERING INDEX tasks_ready (instance_key=? AND priority=?)";
        assert_eq!(plan(&connection, TASKS), tasks);
    }
}

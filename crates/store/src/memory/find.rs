//! The searches of the engine over the index of names.

use std::convert::Infallible;

use hostler_core::batch::{Due, Find, Found};
use hostler_core::capacity::ready::{self, Class, Look};
use hostler_core::id::{AttemptId, ScheduleId, TaskId, WorkspaceId};
use hostler_core::key::{Key, Row};
use hostler_core::limits;
use hostler_core::task::Priority;
use hostler_core::time::Timestamp;
use uuid::Uuid;

use super::{Entry, State};

const FIRST_TASK: TaskId = TaskId(Uuid::nil());

pub fn find(state: &State, find: &Find) -> Found {
    match find {
        Find::Ready { rooms, limit, after } => {
            let Ok(found) = ready::search(&mut Looks(state), rooms, *limit, *after);
            Found::Ready(found)
        }
        Find::Due { now, limit } => due(state, *now, *limit),
        Find::Leases { worker } => {
            let start = Entry::Lease(worker.clone(), AttemptId(Uuid::nil()));
            let leases = state.index.range(start..).map_while(|entry| match entry {
                Entry::Lease(owner, id) if owner == worker => Some(*id),
                _ => None,
            });
            Found::Leases(leases.collect())
        }
        Find::Idle { instance } => {
            let first = AttemptId(Uuid::nil());
            let start = Entry::Idle(instance.clone(), Timestamp(i64::MIN), first);
            let idle = state.index.range(start..).map_while(|entry| match entry {
                Entry::Idle(of, _, id) if of == instance => Some(*id),
                _ => None,
            });
            Found::Leases(idle.collect())
        }
        Find::Classes { agent } => {
            let start = Entry::ClassOf(*agent, Timestamp(i64::MIN), String::new());
            let classes = state.index.range(start..).map_while(|entry| match entry {
                Entry::ClassOf(of, _, key) if of == agent => Some(key.clone()),
                _ => None,
            });
            Found::Classes(classes.take(limits::CLASSES_MAX).collect())
        }
        Find::Held { workspace } => {
            let start = Entry::Held(*workspace, String::new());
            let held = state.index.range(start..).map_while(|entry| match entry {
                Entry::Held(of, key) if of == workspace => Some(key.clone()),
                _ => None,
            });
            Found::Classes(held.take(limits::CLASSES_MAX).collect())
        }
        Find::Workspaces => {
            let first = Key::Workspace(WorkspaceId(0));
            let rows = state.rows.range(first..).map_while(|(_, (_, row))| match row {
                Row::Workspace(workspace) => Some((workspace.id, workspace.key.clone())),
                _ => None,
            });
            Found::Workspaces(rows.collect())
        }
        Find::Waiters { workspace, session } => {
            let start = Entry::Waiter(*workspace, session.clone(), None, FIRST_TASK);
            let waiters = state.index.range(start..).map_while(|entry| match entry {
                Entry::Waiter(of, on, _, id) if of == workspace && on == session => Some(*id),
                _ => None,
            });
            Found::Waiters(waiters.take(limits::WAITERS_MAX).collect())
        }
        Find::Schedules { agent, limit } => {
            let start = Entry::ScheduleOf(*agent, ScheduleId(Uuid::nil()));
            let schedules = state.index.range(start..).map_while(|entry| match entry {
                Entry::ScheduleOf(of, id) if of == agent => Some(*id),
                _ => None,
            });
            Found::Schedules(schedules.take(*limit).collect())
        }
        Find::Rested { until, limit } => {
            let start = Entry::Rested(Timestamp(i64::MIN), FIRST_TASK);
            let rested = state.index.range(start..).map_while(|entry| match entry {
                Entry::Rested(at, id) if at <= until => Some(*id),
                _ => None,
            });
            Found::Rested(rested.take(*limit).collect())
        }
    }
}

/// What the search for ready work looks up.
struct Looks<'s>(&'s State);

impl<'s> Looks<'s> {
    /// The entries of ready classes from this one on.
    fn from(&self, start: Entry) -> impl Iterator<Item = ReadyClass<'s>> + use<'s> {
        self.0.index.range(start..).map_while(|entry| match entry {
            Entry::ReadyClass(priority, workspace, needs, _, _, key) => {
                Some((*priority, *workspace, needs, key))
            }
            _ => None,
        })
    }
}

type ReadyClass<'s> = (Priority, WorkspaceId, &'s String, &'s String);

/// Where the classes of a workspace with these needs begin.
fn first(priority: Priority, workspace: WorkspaceId, needs: &str) -> Entry {
    Entry::ReadyClass(priority, workspace, needs.to_owned(), 0, Timestamp(i64::MIN), String::new())
}

impl Look for Looks<'_> {
    type Error = Infallible;

    fn workspace(
        &mut self,
        priority: Priority,
        after: Option<WorkspaceId>,
    ) -> Result<Option<WorkspaceId>, Infallible> {
        let least = after.map_or(0, |after| after.0.saturating_add(1));
        let mut found = self.from(first(priority, WorkspaceId(least), ""));
        Ok(found.next().filter(|class| class.0 == priority).map(|class| class.1))
    }

    fn weight(&mut self, workspace: WorkspaceId) -> Result<Option<u32>, Infallible> {
        Ok(match self.0.rows.get(&Key::Workspace(workspace)) {
            Some((_, Row::Workspace(row))) if !row.paused => Some(row.weight),
            _ => None,
        })
    }

    fn needs(
        &mut self,
        priority: Priority,
        workspace: WorkspaceId,
        after: &str,
    ) -> Result<Option<String>, Infallible> {
        // The first text after another one is the same with the least character behind it.
        let mut found = self.from(first(priority, workspace, &format!("{after}\0")));
        let next = found.next().filter(|class| (class.0, class.1) == (priority, workspace));
        Ok(next.map(|class| class.2.clone()))
    }

    fn classes(
        &mut self,
        priority: Priority,
        workspace: WorkspaceId,
        needs: &str,
        count: usize,
    ) -> Result<Vec<Class>, Infallible> {
        let found = self.from(first(priority, workspace, needs));
        let found = found.take_while(|class| {
            (class.0, class.1, class.2.as_str()) == (priority, workspace, needs)
        });
        let class = |(_, _, _, key): ReadyClass<'_>| {
            let row = self.0.rows.get(&Key::Instance(key.clone()));
            let Some((_, Row::Instance(instance))) = row else { return None };
            Some(Class {
                pass: instance.pass,
                created_at: instance.created_at,
                key: key.clone(),
                room: instance.room(),
                left: instance.turn_left(),
                weight: instance.weight,
            })
        };
        Ok(found.take(count).filter_map(class).collect())
    }

    fn tasks(
        &mut self,
        key: &str,
        priority: Priority,
        offset: usize,
        count: usize,
    ) -> Result<Vec<TaskId>, Infallible> {
        let start = Entry::ReadyTask(key.to_owned(), priority, None, FIRST_TASK);
        let tasks = self.0.index.range(start..).map_while(|entry| match entry {
            Entry::ReadyTask(of, at, _, id) if of == key && *at == priority => Some(*id),
            _ => None,
        });
        Ok(tasks.skip(offset).take(count).collect())
    }
}

fn due(state: &State, now: Timestamp, limit: usize) -> Found {
    let mut due = Vec::new();
    let start = Entry::Due(Timestamp(i64::MIN), Due::Task(FIRST_TASK));
    let timed = state.index.range(start..).map_while(|entry| match entry {
        Entry::Due(at, one) => Some((*at, one)),
        _ => None,
    });
    for (at, one) in timed {
        if at > now || due.len() == limit {
            return Found::Due { due, next: Some(at) };
        }
        due.push(one.clone());
    }
    Found::Due { due, next: None }
}

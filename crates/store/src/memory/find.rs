//! The searches of the engine over the index of names.

use std::iter::Peekable;

use hostler_core::batch::{Due, Find, Found};
use hostler_core::id::{AttemptId, ScheduleId, TaskId, WorkspaceId};
use hostler_core::key::{Key, Row};
use hostler_core::limits;
use hostler_core::policy::RuntimeType;
use hostler_core::task::Priority;
use hostler_core::time::Timestamp;
use uuid::Uuid;

use super::{Entry, State};

const FIRST_TASK: TaskId = TaskId(Uuid::nil());

pub fn find(state: &State, find: &Find) -> Found {
    match find {
        Find::Ready { runtime_types, limit } => Found::Ready(ready(state, runtime_types, *limit)),
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

fn ready(state: &State, runtime_types: &[RuntimeType], limit: usize) -> Vec<TaskId> {
    let mut instances: Vec<_> = RuntimeType::ALL
        .iter()
        .filter(|kind| runtime_types.contains(kind))
        .map(|kind| ready_instances(state, *kind).peekable())
        .collect();
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(key) = next_instance(&mut instances)
    {
        let Some((_, Row::Instance(instance))) = state.rows.get(&Key::Instance(key.clone())) else {
            continue;
        };
        if is_paused(state, instance.workspace_id) {
            continue;
        }
        let start = Entry::ReadyTask(key.clone(), Priority::Urgent, None, FIRST_TASK);
        let heads = state.index.range(start..).map_while(|entry| match entry {
            Entry::ReadyTask(of, _, _, id) if of == key => Some(*id),
            _ => None,
        });
        let room = instance.room() as usize;
        found.extend(heads.take(room.min(limit - found.len())));
    }
    found
}

/// The ready instances of one runtime type by `pass`, then by key.
fn ready_instances(
    state: &State,
    kind: RuntimeType,
) -> impl Iterator<Item = (u64, &String)> + use<'_> {
    let start = Entry::ReadyInstance(kind, 0, String::new());
    state.index.range(start..).map_while(move |entry| match entry {
        Entry::ReadyInstance(of, pass, key) if *of == kind => Some((*pass, key)),
        _ => None,
    })
}

/// Takes the first of what the iterators come to next.
fn next_instance<'s, I>(instances: &mut [Peekable<I>]) -> Option<&'s String>
where
    I: Iterator<Item = (u64, &'s String)>,
{
    let nexts = instances.iter_mut().enumerate();
    let nexts = nexts.filter_map(|(index, rest)| rest.peek().map(|next| (*next, index)));
    let (_, index) = nexts.min()?;
    instances[index].next().map(|(_, key)| key)
}

fn is_paused(state: &State, id: WorkspaceId) -> bool {
    let row = state.rows.get(&Key::Workspace(id));
    matches!(row, Some((_, Row::Workspace(workspace))) if workspace.paused)
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

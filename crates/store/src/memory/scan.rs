//! The lists, by walking over rows.

use std::ops::Bound;

use hostler_core::id::{
    AgentId, AttemptId, InputId, RunId, ScheduleId, TaskId, WorkerId, WorkspaceId,
};
use hostler_core::key::{Key, Row};
use hostler_core::run::Run;
use hostler_core::task::Task;
use hostler_core::time::Timestamp;
use uuid::Uuid;

use super::{Entry, State};
use crate::query::{Page, Query, RunFilter, TaskFilter};

pub fn scan(state: &State, query: &Query) -> Page {
    match query {
        Query::Agents { workspace } => agents(state, *workspace),
        Query::Tasks { workspace, filter, after, limit } => {
            let first = Key::Task(TaskId(Uuid::nil()));
            let end = after.map(|id| Key::Task(TaskId(id)));
            let rows = newest(state, first, end, Key::Task(TaskId(Uuid::max())));
            page(rows.filter(|row| is_task(row, *workspace, filter)), *limit)
        }
        Query::Runs { workspace, filter, after, limit } => {
            let first = Key::Run(RunId(Uuid::nil()));
            let end = after.map(|id| Key::Run(RunId(id)));
            let rows = newest(state, first, end, Key::Run(RunId(Uuid::max())));
            page(rows.filter(|row| is_run(row, *workspace, filter)), *limit)
        }
        Query::Attempts { run } => {
            let start = Entry::AttemptOf(*run, 0, AttemptId(Uuid::nil()));
            let ids = state.index.range(start..).map_while(|entry| match entry {
                Entry::AttemptOf(of, _, id) if of == run => Some(*id),
                _ => None,
            });
            page(ids.filter_map(|id| row(state, &Key::Attempt(id))), usize::MAX)
        }
        Query::Snapshots { run, after_seq, limit } => {
            let after = Bound::Excluded(Key::Snapshot(*run, *after_seq));
            let last = Bound::Included(Key::Snapshot(*run, u32::MAX));
            page(state.rows.range((after, last)).map(|(_, (_, row))| row), *limit)
        }
        Query::Inputs { task, after, limit } => {
            let after = match after {
                None => 0,
                Some(id) if is_input_of(state, *id, *task) => state.arrived[id],
                Some(_) => u64::MAX,
            };
            let first = Bound::Excluded((*task, after));
            let inputs = state.arrivals.range((first, Bound::Included((*task, u64::MAX))));
            let ids = inputs.map(|(_, id)| *id);
            page(ids.filter_map(|id: InputId| row(state, &Key::Input(id))), *limit)
        }
        Query::Schedules { workspace, agent, after, limit } => {
            let first = Key::Schedule(ScheduleId(Uuid::nil()));
            let end = after.map(|id| Key::Schedule(ScheduleId(id)));
            let rows = newest(state, first, end, Key::Schedule(ScheduleId(Uuid::max())));
            page(rows.filter(|row| is_schedule(row, *workspace, *agent)), *limit)
        }
        Query::Missed { schedule, before, limit } => {
            let end = before.map(|seq| Key::Missed(*schedule, seq));
            let last = Key::Missed(*schedule, u32::MAX);
            page(newest(state, Key::Missed(*schedule, 0), end, last), *limit)
        }
        Query::Instances { workspace, after, limit } => {
            let class =
                |made, key: &str| Entry::ClassIn(*workspace, Timestamp(made), key.to_owned());
            let end = match after {
                None => class(i64::MAX, ""),
                Some(key) => match row(state, &Key::Instance(key.clone())) {
                    Some(Row::Instance(row)) if row.workspace_id == *workspace => {
                        class(row.created_at.0, key)
                    }
                    _ => class(i64::MIN, ""),
                },
            };
            let classes = state.index.range(class(i64::MIN, "")..end).rev();
            let keys = classes.filter_map(|entry| match entry {
                Entry::ClassIn(_, _, key) => Some(key.clone()),
                _ => None,
            });
            page(keys.filter_map(|key| row(state, &Key::Instance(key))), *limit)
        }
        Query::Workers { after, limit } => {
            let after = after.clone().unwrap_or(WorkerId(String::new()));
            let rows = from(state, Key::Worker(after));
            page(rows.take_while(|row| matches!(row, Row::Worker(_))), *limit)
        }
        Query::Workspaces { after, limit } => {
            let rows = from(state, Key::Workspace(after.unwrap_or(WorkspaceId(0))));
            page(rows.take_while(|row| matches!(row, Row::Workspace(_))), *limit)
        }
    }
}

fn agents(state: &State, workspace: WorkspaceId) -> Page {
    let rows = state.rows.values().filter_map(|(_, row)| match row {
        Row::Agent(agent) if agent.workspace_id == workspace && agent.deleted_at.is_none() => {
            Some(agent)
        }
        _ => None,
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| (&a.agent_key, a.id).cmp(&(&b.agent_key, b.id)));
    Page { rows: rows.into_iter().cloned().map(Row::Agent).collect(), has_more: false }
}

fn is_input_of(state: &State, id: InputId, task: TaskId) -> bool {
    matches!(row(state, &Key::Input(id)), Some(Row::Input(input)) if input.task_id == task)
}

fn row<'s>(state: &'s State, key: &Key) -> Option<&'s Row> {
    state.rows.get(key).map(|(_, row)| row)
}

/// Rows from `first` to before `end`, or to `last` when there is no end; the last one first.
fn newest<'s>(
    state: &'s State,
    first: Key,
    end: Option<Key>,
    last: Key,
) -> impl Iterator<Item = &'s Row> + use<'s> {
    let end = end.map_or(Bound::Included(last), Bound::Excluded);
    state.rows.range((Bound::Included(first), end)).rev().map(|(_, (_, row))| row)
}

/// The rows after a key.
fn from(state: &State, after: Key) -> impl Iterator<Item = &Row> {
    state.rows.range((Bound::Excluded(after), Bound::Unbounded)).map(|(_, (_, row))| row)
}

fn page<'s>(mut rows: impl Iterator<Item = &'s Row>, limit: usize) -> Page {
    let taken = rows.by_ref().take(limit).cloned().collect();
    Page { rows: taken, has_more: rows.next().is_some() }
}

fn is_task(row: &Row, workspace: WorkspaceId, filter: &TaskFilter) -> bool {
    let Row::Task(task) = row else { return false };
    let Task { agent_id, session_id, state, created_at, archived_at, .. } = task.as_ref();
    task.workspace_id == workspace
        && filter.agent.is_none_or(|agent| agent == *agent_id)
        && filter.session.as_ref().is_none_or(|session| session == session_id)
        && (filter.states.is_empty() || filter.states.contains(state))
        && is_within(*created_at, filter.created_after, filter.created_before)
        && (filter.include_archived || archived_at.is_none())
}

fn is_run(row: &Row, workspace: WorkspaceId, filter: &RunFilter) -> bool {
    let Row::Run(run) = row else { return false };
    let Run { agent_id, origin_task_id, session_id, status, created_at, .. } = run.as_ref();
    run.workspace_id == workspace
        && filter.agent.is_none_or(|agent| agent == *agent_id)
        && filter.task.is_none_or(|task| task == *origin_task_id)
        && filter.session.as_ref().is_none_or(|session| session == session_id)
        && (filter.statuses.is_empty() || filter.statuses.contains(status))
        && is_within(*created_at, filter.created_after, filter.created_before)
}

fn is_schedule(row: &Row, workspace: WorkspaceId, agent: Option<AgentId>) -> bool {
    let Row::Schedule(schedule) = row else { return false };
    schedule.workspace_id == workspace
        && schedule.deleted_at.is_none()
        && agent.is_none_or(|agent| agent == schedule.agent_id)
}

/// Both ends belong to it.
fn is_within(at: Timestamp, after: Option<Timestamp>, before: Option<Timestamp>) -> bool {
    after.is_none_or(|after| at >= after) && before.is_none_or(|before| at <= before)
}

//! The lists of the transports.

use hostler_core::id::WorkspaceId;
use hostler_core::key::{Key, Row};
use hostler_core::run;
use hostler_core::task::{self, Task};
use hostler_core::time::Timestamp;
use uuid::Uuid;

use super::rows::*;
use super::{commit, page};
use crate::Store;
use crate::query::{Page, Query, RunFilter, TaskFilter};

const HOME: WorkspaceId = WorkspaceId::DEFAULT;

fn put_tasks(store: &dyn Store, tasks: &[Task]) {
    commit(store, tasks.iter().map(|task| put_task(None, task)).collect());
}

fn tasks(store: &dyn Store, filter: TaskFilter) -> Vec<Uuid> {
    let list = Query::Tasks { workspace: HOME, filter, after: None, limit: 100 };
    let page = page(store, list);
    assert!(!page.has_more);
    ids(&page)
}

fn runs(store: &dyn Store, filter: RunFilter) -> Vec<Uuid> {
    let list = Query::Runs { workspace: HOME, filter, after: None, limit: 100 };
    ids(&page(store, list))
}

fn ids(page: &Page) -> Vec<Uuid> {
    let id = |row: &Row| match row {
        Row::Agent(row) => row.id.0,
        Row::Task(row) => row.id.0,
        Row::Input(row) => row.id.0,
        Row::Run(row) => row.id.0,
        Row::Attempt(row) => row.id.0,
        Row::Schedule(row) => row.id.0,
        other => panic!("it has no id: {other:?}"),
    };
    page.rows.iter().map(id).collect()
}

fn task_ids(numbers: &[u64]) -> Vec<Uuid> {
    numbers.iter().map(|number| task_id(*number).0).collect()
}

pub fn tasks_come_newest_first_in_pages_without_holes(store: &dyn Store) {
    let mut all: Vec<Task> = (1..=7).map(task).collect();
    for (task, state) in all.iter_mut().zip(task::State::ALL) {
        task.state = *state;
    }
    put_tasks(store, &all);
    let (mut after, mut seen, mut pages) = (None, Vec::new(), Vec::new());
    while pages.last() != Some(&false) {
        let filter = TaskFilter::default();
        let page = page(store, Query::Tasks { workspace: HOME, filter, after, limit: 3 });
        seen.extend(ids(&page));
        after = seen.last().copied();
        pages.push(page.has_more);
        // What is inserted while somebody pages neither moves nor repeats what follows.
        let newer = 100 + pages.len() as u64;
        put_tasks(store, &[task(newer)]);
    }
    assert_eq!(seen, task_ids(&[7, 6, 5, 4, 3, 2, 1]));
    assert_eq!(pages, [true, true, false]);
    let all = Query::Tasks { workspace: HOME, filter: TaskFilter::default(), after, limit: 3 };
    assert_eq!(page(store, all), Page::default());
}

pub fn tasks_are_filtered_by_everything_together(store: &dyn Store) {
    let mut all: Vec<Task> = (1..=8).map(task).collect();
    for task in &mut all[..6] {
        task.agent_id = agent_id(2);
    }
    all[0].session_id = session_id(5);
    all[1].state = task::State::Running;
    all[2].state = task::State::Done;
    put_tasks(store, &all);
    let agent = Some(agent_id(2));
    let of_agent = TaskFilter { agent, ..TaskFilter::default() };
    assert_eq!(tasks(store, of_agent.clone()), task_ids(&[6, 5, 4, 3, 2, 1]));
    let session = Some(session_id(5));
    assert_eq!(tasks(store, TaskFilter { session, ..of_agent.clone() }), task_ids(&[5, 1]));
    let states = vec![task::State::Done, task::State::Running, task::State::Done];
    assert_eq!(tasks(store, TaskFilter { states, ..of_agent.clone() }), task_ids(&[3, 2]));
    let (created_after, created_before) = (Some(all[3].created_at), Some(all[6].created_at));
    let within = TaskFilter { created_after, created_before, ..TaskFilter::default() };
    assert_eq!(tasks(store, within), task_ids(&[7, 6, 5, 4]));
    let both = TaskFilter { created_after, created_before, ..of_agent };
    assert_eq!(tasks(store, both.clone()), task_ids(&[6, 5, 4]));
    assert_eq!(tasks(store, TaskFilter { agent: Some(agent_id(9)), ..both }), task_ids(&[]));
}

pub fn archived_tasks_are_left_out_unless_asked_for(store: &dyn Store) {
    let mut all: Vec<Task> = (1..=4).map(task).collect();
    put_tasks(store, &all);
    for index in [1, 3] {
        all[index].archived_at = Some(Timestamp(5));
        commit(store, vec![put_task(Some(1), &all[index])]);
    }
    assert_eq!(tasks(store, TaskFilter::default()), task_ids(&[3, 1]));
    let include = TaskFilter { include_archived: true, ..TaskFilter::default() };
    assert_eq!(tasks(store, include.clone()), task_ids(&[4, 3, 2, 1]));
    let cut = Query::Tasks { workspace: HOME, filter: include, after: None, limit: 2 };
    let cut = page(store, cut);
    assert_eq!((ids(&cut), cut.has_more), (task_ids(&[4, 3]), true));
}

pub fn a_state_that_changed_is_listed_under_the_new_one(store: &dyn Store) {
    let of = |state| TaskFilter { states: vec![state], ..TaskFilter::default() };
    let mut one = task(1);
    put_tasks(store, &[one.clone(), task(2)]);
    one.state = task::State::Running;
    commit(store, vec![put_task(Some(1), &one)]);
    assert_eq!(tasks(store, of(task::State::Queued)), task_ids(&[2]));
    assert_eq!(tasks(store, of(task::State::Running)), task_ids(&[1]));
    commit(store, vec![remove(Key::Task(one.id), Some(2))]);
    assert_eq!(tasks(store, of(task::State::Running)), task_ids(&[]));
}

pub fn lists_keep_workspaces_apart(store: &dyn Store) {
    let mut all: Vec<Task> = (1..=4).map(task).collect();
    for task in &mut all[1..3] {
        task.workspace_id = WorkspaceId(2);
    }
    put_tasks(store, &all);
    let runs_of = |task: &Task| put_run(None, &run(task.created_at.0.cast_unsigned(), task));
    commit(store, all.iter().map(runs_of).collect());
    assert_eq!(tasks(store, TaskFilter::default()), task_ids(&[4, 1]));
    assert_eq!(runs(store, RunFilter::default()).len(), 2);
    let other = RunFilter { task: Some(task_id(2)), ..RunFilter::default() };
    assert_eq!(runs(store, other), task_ids(&[]));
}

pub fn runs_are_filtered_by_task_and_status(store: &dyn Store) {
    let mut all: Vec<_> = (1..=6).map(|number| run(number, &task(1 + number % 2))).collect();
    for run in &mut all[..3] {
        run.status = run::Status::Ok;
        run.ended_at = Some(Timestamp(9));
    }
    all[5].agent_id = agent_id(4);
    commit(store, all.iter().map(|run| put_run(None, run)).collect());
    let run_ids =
        |numbers: &[u64]| -> Vec<Uuid> { numbers.iter().map(|number| run_id(*number).0).collect() };
    assert_eq!(runs(store, RunFilter::default()), run_ids(&[6, 5, 4, 3, 2, 1]));
    let of_task = RunFilter { task: Some(task_id(1)), ..RunFilter::default() };
    assert_eq!(runs(store, of_task.clone()), run_ids(&[6, 4, 2]));
    let statuses = vec![run::Status::Accepted];
    let live = RunFilter { statuses: statuses.clone(), ..of_task };
    assert_eq!(runs(store, live), run_ids(&[6, 4]));
    let live = RunFilter { statuses, ..RunFilter::default() };
    assert_eq!(runs(store, live.clone()), run_ids(&[6, 5, 4]));
    let agent = Some(agent_id(4));
    assert_eq!(runs(store, RunFilter { agent, ..live }), run_ids(&[6]));
    let session = Some(session_id(2));
    let of_session = RunFilter { session, ..RunFilter::default() };
    assert_eq!(runs(store, of_session), run_ids(&[5, 3, 1]));
    let until = Some(task(1).created_at);
    let early = RunFilter { created_before: until, created_after: until, ..RunFilter::default() };
    assert_eq!(runs(store, early), run_ids(&[6, 4, 2]));
    let filter = RunFilter { task: Some(task_id(1)), ..RunFilter::default() };
    let after = Some(run_id(6).0);
    let second = Query::Runs { workspace: HOME, filter, after, limit: 1 };
    let second = page(store, second);
    assert_eq!((ids(&second), second.has_more), (run_ids(&[4]), true));
}

pub fn attempts_come_by_number(store: &dyn Store) {
    let run = run(1, &task(1));
    let mut all = [1, 2, 3].map(|number| attempt(number, &run));
    (all[0].attempt_no, all[1].attempt_no) = (2, 1);
    all[2].run_id = run_id(2);
    commit(store, all.map(|row| put(None, Row::Attempt(row))).into());
    let page = page(store, Query::Attempts { run: run.id });
    assert_eq!(ids(&page), [2, 1].map(|number| attempt_id(number).0));
    assert!(!page.has_more);
}

pub fn snapshots_come_after_a_number(store: &dyn Store) {
    let all = (1..=5).map(|seq| snapshot(run_id(1), seq, run::Status::Running));
    let other = snapshot(run_id(2), 3, run::Status::Ok);
    let all = all.chain([other]).map(|row| put(None, Row::Snapshot(row)));
    commit(store, all.collect());
    let list = |after_seq, limit| {
        let page = page(store, Query::Snapshots { run: run_id(1), after_seq, limit });
        let seq = |row: &Row| match row {
            Row::Snapshot(row) => row.seq,
            other => panic!("asked for snapshots, got {other:?}"),
        };
        (page.rows.iter().map(seq).collect::<Vec<_>>(), page.has_more)
    };
    assert_eq!(list(0, 10), (vec![1, 2, 3, 4, 5], false));
    assert_eq!(list(2, 2), (vec![3, 4], true));
    assert_eq!(list(3, 2), (vec![4, 5], false));
    assert_eq!(list(u32::MAX, 2), (vec![], false));
}

pub fn inputs_come_in_the_order_of_their_coming(store: &dyn Store) {
    let inputs = [(3, 1), (1, 1), (9, 2), (2, 1)];
    for (number, task) in inputs {
        commit(store, vec![put(None, Row::Input(input(number, task_id(task))))]);
    }
    // An update keeps its place.
    commit(store, vec![put(Some(1), Row::Input(input(3, task_id(1))))]);
    let list = |limit| {
        let page = page(store, Query::Inputs { task: task_id(1), after: None, limit });
        (ids(&page), page.has_more)
    };
    let expected = |numbers: &[u64]| -> Vec<Uuid> {
        numbers.iter().map(|number| input_id(*number).0).collect()
    };
    assert_eq!(list(10), (expected(&[3, 1, 2]), false));
    assert_eq!(list(2), (expected(&[3, 1]), true));
    commit(store, vec![remove(Key::Input(input_id(3)), Some(2))]);
    commit(store, vec![put(None, Row::Input(input(3, task_id(1))))]);
    assert_eq!(list(3), (expected(&[1, 2, 3]), false));
}

pub fn inputs_come_in_pages_without_holes(store: &dyn Store) {
    for (number, task) in [(3, 1), (1, 1), (9, 2), (2, 1), (4, 1)] {
        commit(store, vec![put(None, Row::Input(input(number, task_id(task))))]);
    }
    let after = |number: Option<u64>| {
        let after = number.map(input_id);
        let page = page(store, Query::Inputs { task: task_id(1), after, limit: 2 });
        (ids(&page), page.has_more)
    };
    let expected = |numbers: &[u64]| -> Vec<Uuid> {
        numbers.iter().map(|number| input_id(*number).0).collect()
    };
    assert_eq!(after(None), (expected(&[3, 1]), true));
    assert_eq!(after(Some(1)), (expected(&[2, 4]), false));
    assert_eq!(after(Some(3)), (expected(&[1, 2]), true));
    assert_eq!(after(Some(4)), (vec![], false));
    // Of another task, and of none.
    assert_eq!(after(Some(9)), (vec![], false));
    assert_eq!(after(Some(77)), (vec![], false));
}

pub fn agents_come_by_key_without_deleted_ones(store: &dyn Store) {
    let mut all = [1, 2, 3, 4].map(agent);
    all[0].agent_key = "zebra".into();
    all[1].agent_key = "Ärger".into();
    all[3].workspace_id = WorkspaceId(2);
    commit(store, all.clone().map(|row| put(None, Row::Agent(row))).into());
    let list = || ids(&page(store, Query::Agents { workspace: HOME }));
    assert_eq!(list(), [3, 1, 2].map(|number| agent_id(number).0));
    all[0].deleted_at = Some(Timestamp(1));
    commit(store, vec![put(Some(1), Row::Agent(all[0].clone()))]);
    assert_eq!(list(), [3, 2].map(|number| agent_id(number).0));
}

pub fn schedules_come_newest_first_without_deleted_ones(store: &dyn Store) {
    let mut all = [1, 2, 3, 4, 5].map(schedule);
    all[1].agent_id = agent_id(2);
    all[2].workspace_id = WorkspaceId(2);
    commit(store, all.clone().map(|row| put(None, Row::Schedule(Box::new(row)))).into());
    let list = |agent: Option<u64>, after: Option<u64>, limit| {
        let (agent, after) = (agent.map(agent_id), after.map(|number| schedule_id(number).0));
        let page = page(store, Query::Schedules { workspace: HOME, agent, after, limit });
        (ids(&page), page.has_more)
    };
    let of = |numbers: &[u64]| -> Vec<Uuid> {
        numbers.iter().map(|number| schedule_id(*number).0).collect()
    };
    assert_eq!(list(None, None, 10), (of(&[5, 4, 2, 1]), false));
    assert_eq!(list(None, None, 2), (of(&[5, 4]), true));
    assert_eq!(list(None, Some(4), 2), (of(&[2, 1]), false));
    assert_eq!(list(Some(1), None, 2), (of(&[5, 4]), true));
    assert_eq!(list(Some(1), Some(4), 2), (of(&[1]), false));
    assert_eq!(list(Some(2), None, 2), (of(&[2]), false));
    all[3].deleted_at = Some(Timestamp(1));
    commit(store, vec![put(Some(1), Row::Schedule(Box::new(all[3].clone())))]);
    assert_eq!(list(None, None, 10), (of(&[5, 2, 1]), false));
    assert_eq!(list(Some(1), None, 10), (of(&[5, 1]), false));
}

pub fn missed_ticks_come_with_the_last_range_first(store: &dyn Store) {
    let mut all: Vec<_> = (1..=4).map(|seq| missed(1, seq)).collect();
    all.push(missed(2, 3));
    commit(store, all.iter().map(|row| put(None, Row::Missed(row.clone()))).collect());
    let grown = hostler_core::schedule::Missed { count: 9, ..missed(1, 4) };
    commit(store, vec![put(Some(1), Row::Missed(grown.clone()))]);
    let list = |before, limit| {
        let query = Query::Missed { schedule: schedule_id(1), before, limit };
        let page = page(store, query);
        let seq = |row: &Row| match row {
            Row::Missed(row) => row.seq,
            other => panic!("asked for missed ticks, got {other:?}"),
        };
        (page.rows.iter().map(seq).collect::<Vec<_>>(), page.has_more)
    };
    assert_eq!(list(None, 10), (vec![4, 3, 2, 1], false));
    assert_eq!(list(None, 2), (vec![4, 3], true));
    assert_eq!(list(Some(3), 2), (vec![2, 1], false));
    assert_eq!(list(Some(1), 2), (vec![], false));
    let first = page(store, Query::Missed { schedule: schedule_id(1), before: None, limit: 1 });
    assert_eq!(first.rows, [Row::Missed(grown)]);
}

pub fn instances_workers_and_workspaces_are_listed(store: &dyn Store) {
    let mut instances = [2, 1, 4, 3].map(instance);
    instances[3].workspace_id = WorkspaceId(2);
    let workers = [worker(2, Some(1)), worker(1, None)];
    commit(store, instances.clone().map(|row| put(None, Row::Instance(row))).into());
    commit(store, workers.clone().map(|row| put(None, Row::Worker(row))).into());
    commit(store, [3, 2].map(|id| put(None, Row::Workspace(workspace(id)))).into());
    let [two, one, four, _] = instances.map(Row::Instance);
    let classes = |after: Option<u64>, limit| {
        let after = after.map(instance_key);
        page(store, Query::Instances { workspace: HOME, after, limit })
    };
    let all = vec![one.clone(), four.clone(), two.clone()];
    assert_eq!(classes(None, 3), Page { rows: all, has_more: false });
    assert_eq!(classes(None, 1), Page { rows: vec![one], has_more: true });
    assert_eq!(classes(Some(1), 1), Page { rows: vec![four], has_more: true });
    assert_eq!(classes(Some(4), 9), Page { rows: vec![two], has_more: false });
    assert_eq!(classes(Some(2), 9), Page::default());
    assert_eq!(classes(Some(3), 9), Page::default(), "of another workspace");
    assert_eq!(classes(Some(5), 9), Page::default(), "there is none");
    let [two, one] = workers.map(Row::Worker);
    let listed = |after: Option<u64>, limit| {
        page(store, Query::Workers { after: after.map(worker_id), limit })
    };
    assert_eq!(listed(None, 9).rows, [one.clone(), two.clone()]);
    assert_eq!(listed(None, 1), Page { rows: vec![one], has_more: true });
    assert_eq!(listed(Some(1), 1), Page { rows: vec![two], has_more: false });
    let spaces = |after: Option<u64>, limit| {
        page(store, Query::Workspaces { after: after.map(WorkspaceId), limit })
    };
    assert_eq!(spaces(None, 9).rows.len(), 3);
    assert_eq!(spaces(Some(1), 9).rows, [2, 3].map(|id| Row::Workspace(workspace(id))));
    let second = Page { rows: vec![Row::Workspace(workspace(2))], has_more: true };
    assert_eq!(spaces(Some(1), 1), second);
}

pub fn a_limit_of_zero_still_says_whether_there_is_more(store: &dyn Store) {
    let none = || {
        page(
            store,
            Query::Tasks { workspace: HOME, filter: TaskFilter::default(), after: None, limit: 0 },
        )
    };
    assert_eq!(none(), Page::default());
    put_tasks(store, &[task(1)]);
    assert_eq!(none(), Page { rows: Vec::new(), has_more: true });
}

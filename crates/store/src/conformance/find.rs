//! The searches of the engine.

use hostler_core::batch::{Due, Find, Found};
use hostler_core::capacity::needs::Room;
use hostler_core::capacity::ready::Ready;
use hostler_core::capacity::{Health, Instance};
use hostler_core::id::{TaskId, WorkspaceId};
use hostler_core::key::{Key, Row};
use hostler_core::limits;
use hostler_core::policy::RuntimeType;
use hostler_core::task::{Parked, Priority, State, Task};
use hostler_core::time::Timestamp;

use super::rows::*;
use super::{commit, found};
use crate::Store;

/// Ready tasks for a worker that has everything.
fn ready(store: &dyn Store, limit: usize) -> Vec<TaskId> {
    ready_for(store, &[room()], limit)
}

fn ready_for(store: &dyn Store, rooms: &[Room], limit: usize) -> Vec<TaskId> {
    let found = search(store, rooms, limit, 0);
    found.candidates.iter().map(|candidate| candidate.task).collect()
}

fn search(store: &dyn Store, rooms: &[Room], limit: usize, after: u64) -> Ready {
    let find = Find::Ready { rooms: rooms.to_vec(), limit, after: WorkspaceId(after) };
    match found(store, find) {
        Found::Ready(ready) => ready,
        other => panic!("asked for ready work, got {other:?}"),
    }
}

fn due(store: &dyn Store, now: i64, limit: usize) -> Found {
    found(store, Find::Due { now: Timestamp(now), limit })
}

fn on(instance: u64, task: Task) -> Task {
    Task { instance_key: instance_key(instance), ..task }
}

/// With the counts that the tasks give it.
fn counted(mut instance: Instance, tasks: &[Task]) -> Instance {
    for task in tasks.iter().filter(|task| task.instance_key == instance.key) {
        if task.state == State::Queued {
            instance.queued += 1;
            match task.parked {
                Some(_) => instance.parked += 1,
                None => instance.ready[task.priority as usize] += 1,
            }
        }
    }
    instance
}

fn put_all(store: &dyn Store, instances: &[Instance], tasks: &[Task]) {
    let instances = instances.iter().map(|row| counted(row.clone(), tasks));
    let instances = instances.map(|row| put(None, Row::Instance(row)));
    commit(store, instances.chain(tasks.iter().map(|task| put_task(None, task))).collect());
}

pub fn ready_work_comes_by_priority_then_turn_then_time(store: &dyn Store) {
    let mut instances = [instance(1), instance(2)];
    (instances[0].pass, instances[0].concurrency, instances[1].pass) = (9, 10, 3);
    let mut tasks: Vec<Task> = (1..=4).map(|number| on(1, task(number))).collect();
    (tasks[0].priority, tasks[3].priority) = (Priority::Low, Priority::Urgent);
    tasks[1].queued_at = Some(Timestamp(i64::MAX));
    tasks.push(on(2, task(5)));
    put_all(store, &instances, &tasks);
    assert_eq!(ready(store, 100), [4, 5, 3, 2, 1].map(task_id));
    // What would start after others that fill every place is not looked for.
    assert_eq!(ready(store, 1), [task_id(4)]);
    assert_eq!(ready(store, 2), [4, 5, 3].map(task_id));
}

pub fn classes_take_turns_by_their_weight(store: &dyn Store) {
    let mut instances = [instance(1), instance(2), instance(3)];
    for one in &mut instances {
        one.concurrency = 10;
    }
    (instances[0].weight, instances[2].weight, instances[2].served) = (2, 3, 2);
    let mut tasks: Vec<Task> = (1..=5).map(|number| on(1, task(number))).collect();
    tasks.extend((6..=8).map(|number| on(2, task(number))));
    tasks.extend((9..=13).map(|number| on(3, task(number))));
    put_all(store, &instances, &tasks);
    // The third is in its turn, and has one claim left of it.
    let turns = [1, 2, 6, 9, 3, 4, 7, 10, 11, 12, 5, 8, 13];
    assert_eq!(ready(store, 100), turns.map(task_id));
    assert_eq!(ready(store, 7), turns.map(task_id)[..7]);
}

pub fn an_instance_gives_no_more_than_it_has_room_for(store: &dyn Store) {
    let mut one = instance(1);
    (one.concurrency, one.pending, one.running, one.stopping) = (5, 1, 1, 1);
    let mut tasks: Vec<Task> = (1..=5).map(|number| on(1, task(number))).collect();
    tasks[3].priority = Priority::High;
    put_all(store, &[one.clone()], &tasks);
    assert_eq!(ready(store, 100), [4, 1].map(task_id), "in all tiers together");
    one.stopping = 3;
    commit(store, vec![put(Some(1), Row::Instance(counted(one, &tasks)))]);
    assert_eq!(ready(store, 100), []);
}

pub fn an_instance_that_is_not_ready_gives_nothing(store: &dyn Store) {
    let mut waits = task(1);
    waits.parked = Some(Parked::Session);
    let mut degraded = instance(2);
    (degraded.status, degraded.probe_at) = (Health::Degraded, Some(Timestamp(9)));
    let mut held = instance(3);
    (held.held_until, held.held_by) = (Some(Timestamp(9)), Some("it is spent".into()));
    let tasks = [on(1, waits), on(2, task(2)), on(3, task(3))];
    put_all(store, &[instance(1), degraded.clone(), held.clone()], &tasks);
    assert_eq!(ready(store, 100), []);
    degraded.probe_at = None;
    commit(store, vec![put(Some(1), Row::Instance(counted(degraded, &tasks)))]);
    assert_eq!(ready(store, 100), [task_id(2)], "one of it is tried");
    (held.held_until, held.held_by) = (None, None);
    commit(store, vec![put(Some(1), Row::Instance(counted(held, &tasks)))]);
    assert_eq!(ready(store, 100), [2, 3].map(task_id));
    commit(store, vec![remove(Key::Instance(instance_key(2)), Some(2))]);
    assert_eq!(ready(store, 100), [task_id(3)]);
}

pub fn a_paused_workspace_gives_nothing(store: &dyn Store) {
    let mut second = workspace(2);
    (second.paused, second.weight) = (true, 7);
    let mut instances = [instance(1), instance(2)];
    instances[0].workspace_id = second.id;
    commit(store, vec![put(None, Row::Workspace(second.clone()))]);
    put_all(store, &instances, &[on(1, task(1)), on(2, task(2))]);
    assert_eq!(ready(store, 100), [task_id(2)]);
    second.paused = false;
    commit(store, vec![put(Some(1), Row::Workspace(second))]);
    let found = search(store, &[room()], 100, 0);
    let shown = found.candidates.iter().map(|one| (one.task, one.workspace.0, one.weight));
    assert_eq!(shown.collect::<Vec<_>>(), [(task_id(2), 1, 1), (task_id(1), 2, 7)]);
}

pub fn what_fits_no_room_is_not_found(store: &dyn Store) {
    let mut instances: Vec<_> = (1..=5).map(instance).collect();
    instances[1].needs.runtime_type = RuntimeType::Runc;
    instances[2].needs.pool = "gpu".into();
    instances[3].needs.labels.insert("zone".into(), "ü".into());
    instances[4].needs.resources.memory_bytes = 100;
    // Of one pass, the age decides.
    instances[3].created_at = Timestamp(99);
    (instances[2].pass, instances[3].pass) = (4, 4);
    let tasks: Vec<Task> = (1..=5).map(|number| on(number, task(number))).collect();
    put_all(store, &instances, &tasks);
    let small = Room { memory_bytes: Some(99), ..room() };
    assert_eq!(ready_for(store, std::slice::from_ref(&small), 100), [1, 2].map(task_id));
    let large = Room { memory_bytes: Some(100), ..room() };
    assert_eq!(ready_for(store, &[large], 100), [1, 2, 5].map(task_id));
    let mut labelled = small.clone();
    labelled.labels.insert("zone".into(), "ü".into());
    labelled.labels.insert("disk".into(), "ssd".into());
    let others = [small.clone(), labelled, Room { pool: "gpu".into(), ..small.clone() }];
    assert_eq!(ready_for(store, &others, 100), [1, 2, 3, 4].map(task_id));
    let gvisor = Room { runtime_types: vec![RuntimeType::Gvisor], ..small };
    assert_eq!(ready_for(store, &[gvisor.clone(), gvisor], 100), [task_id(1)]);
    assert_eq!(ready_for(store, &[], 100), []);
}

/// As many workspaces as these, each with a class of its own and two tasks.
fn many_workspaces(store: &dyn Store, count: u64) {
    let workspaces = (2..=count).map(|number| put(None, Row::Workspace(workspace(number))));
    commit(store, workspaces.collect());
    let home = |number: u64| WorkspaceId(number);
    let instances = (1..=count)
        .map(|number| Instance { workspace_id: home(number), ..instance(number) })
        .collect::<Vec<_>>();
    let tasks = (1..=2 * count)
        .map(|number| Task { workspace_id: home(1 + (number - 1) / 2), ..task(number) })
        .map(|task| on(task.workspace_id.0, task))
        .collect::<Vec<_>>();
    put_all(store, &instances, &tasks);
}

pub fn a_search_goes_on_after_the_workspaces_that_it_visited(store: &dyn Store) {
    let most = limits::READY_WORKSPACES as u64;
    many_workspaces(store, most + 2);
    let first = search(store, &[room()], 1, 0);
    let workspaces = first.candidates.iter().map(|one| one.workspace.0).collect::<Vec<_>>();
    assert_eq!(workspaces, (1..=most).collect::<Vec<_>>());
    assert_eq!(first.last, Some(WorkspaceId(most)));
    let next = search(store, &[room()], 1, most);
    let workspaces = next.candidates.iter().map(|one| one.workspace.0).collect::<Vec<_>>();
    let around: Vec<u64> = (most + 1..=most + 2).chain(1..=most - 2).collect();
    assert_eq!((workspaces, next.last), (around, Some(WorkspaceId(most - 2))));
    let all = search(store, &[room()], 1_000, 5);
    assert_eq!((all.candidates.len() as u64, all.last), (2 * (most + 2), None));
}

pub fn the_limit_cuts_ready_work(store: &dyn Store) {
    let instances: Vec<_> = (1..=3).map(instance).collect();
    let tasks: Vec<Task> = (1..=6).map(|number| on(1 + (number - 1) / 2, task(number))).collect();
    put_all(store, &instances, &tasks);
    assert_eq!(ready(store, 4), [1, 3, 5, 2].map(task_id));
    assert_eq!(ready(store, 0), []);
}

pub fn a_parked_or_claimed_task_is_not_ready(store: &dyn Store) {
    let mut one = instance(1);
    one.concurrency = 10;
    let mut tasks: Vec<Task> = (1..=3).map(|number| on(1, task(number))).collect();
    put_all(store, &[one], &tasks);
    tasks[0].state = State::Running;
    tasks[1].parked = Some(Parked::Session);
    commit(store, vec![put_task(Some(1), &tasks[0]), put_task(Some(1), &tasks[1])]);
    assert_eq!(ready(store, 100), [task_id(3)]);
    tasks[1].parked = None;
    tasks[1].instance_key = instance_key(7);
    commit(store, vec![put_task(Some(2), &tasks[1]), remove(Key::Task(task_id(3)), Some(1))]);
    assert_eq!(ready(store, 100), []);
    commit(store, vec![put(None, Row::Instance(counted(instance(7), &tasks)))]);
    assert_eq!(ready(store, 100), [task_id(2)]);
}

pub fn classes_are_found_by_their_agent(store: &dyn Store) {
    let mut instances = [3, 1, 2].map(instance);
    instances[2].agent_id = agent_id(2);
    commit(store, instances.map(|row| put(None, Row::Instance(row))).into());
    let of = |number| found(store, Find::Classes { agent: agent_id(number) });
    assert_eq!(of(1), Found::Classes([1, 3].map(instance_key).into()));
    assert_eq!(of(2), Found::Classes(vec![instance_key(2)]));
    assert_eq!(of(3), Found::Classes(vec![]));
}

pub fn held_classes_are_found_by_their_workspace(store: &dyn Store) {
    let mut instances = [3, 1, 2, 4].map(instance);
    for one in &mut instances[..3] {
        one.held_until = Some(Timestamp(9));
    }
    instances[1].workspace_id = WorkspaceId(2);
    commit(store, instances.clone().map(|row| put(None, Row::Instance(row))).into());
    let of = |number| found(store, Find::Held { workspace: WorkspaceId(number) });
    assert_eq!(of(1), Found::Classes([2, 3].map(instance_key).into()));
    assert_eq!(of(2), Found::Classes(vec![instance_key(1)]));
    let mut open = instances[0].clone();
    open.held_until = None;
    commit(store, vec![put(Some(1), Row::Instance(open))]);
    assert_eq!(of(1), Found::Classes(vec![instance_key(2)]));
}

pub fn workspaces_are_found_by_their_number(store: &dyn Store) {
    let more = [workspace(12), workspace(3)].map(|row| put(None, Row::Workspace(row)));
    commit(store, more.into());
    let all = [(1, "default"), (3, "space-3"), (12, "space-12")];
    let all = all.map(|(id, key)| (WorkspaceId(id), key.to_owned()));
    assert_eq!(found(store, Find::Workspaces), Found::Workspaces(all.into()));
}

/// Parked until a time.
fn timed(number: u64, at: i64) -> Task {
    let (parked, wake_at) = (Some(Parked::Timer), Some(Timestamp(at)));
    Task { parked, wake_at, ..task(number) }
}

/// What is due, and when the next one is.
fn found_due(due: Vec<Due>, next: Option<i64>) -> Found {
    Found::Due { due, next: next.map(Timestamp) }
}

fn due_task(number: u64) -> Due {
    Due::Task(task_id(number))
}

fn due_worker(number: u64, renewal: u64) -> Due {
    Due::Worker(worker_id(number), renewal)
}

pub fn what_is_due_comes_by_time_and_says_when_the_next_is(store: &dyn Store) {
    assert_eq!(due(store, i64::MAX, 10), found_due(vec![], None));
    put_all(store, &[], &[timed(1, 300), timed(2, 100), timed(3, 200), task(4)]);
    let workers = [worker(1, Some(200)), worker(2, None), worker(3, Some(50))];
    commit(store, workers.map(|row| put(None, Row::Worker(row))).into());
    assert_eq!(due(store, 49, 10), found_due(vec![], Some(50)));
    let expected = vec![due_worker(3, 3), due_task(2), due_task(3), due_worker(1, 3)];
    assert_eq!(due(store, 200, 10), found_due(expected, Some(300)));
    let renewed = hostler_core::worker::Worker { renewal: 4, ..worker(3, Some(400)) };
    commit(store, vec![put(Some(1), Row::Worker(renewed))]);
    let expected = vec![due_task(2), due_task(3), due_worker(1, 3), due_task(1), due_worker(3, 4)];
    assert_eq!(due(store, 400, 10), found_due(expected, None));
}

pub fn the_limit_cuts_what_is_due_and_next_says_so(store: &dyn Store) {
    put_all(store, &[], &[timed(1, 10), timed(2, 20), timed(3, 30)]);
    let workers = [worker(1, Some(20)), worker(2, Some(20))];
    commit(store, workers.map(|row| put(None, Row::Worker(row))).into());
    let two = vec![due_task(1), due_task(2)];
    assert_eq!(due(store, 100, 2), found_due(two.clone(), Some(20)));
    let three = [two, vec![due_worker(1, 3)]].concat();
    assert_eq!(due(store, 100, 3), found_due(three, Some(20)));
    assert_eq!(due(store, 100, 0), found_due(vec![], Some(10)));
}

pub fn kinds_that_are_due_at_one_time_have_an_order(store: &dyn Store) {
    let run = run(1, &task(1));
    let mut idle = lease(&attempt(1, &run), &run);
    idle.idle_until = Some(Timestamp(10));
    let mut class = instance(1);
    class.held_until = Some(Timestamp(10));
    let mut daily = schedule(1);
    daily.fire_at = Some(Timestamp(10));
    let rows = vec![
        put(None, Row::Worker(worker(1, Some(10)))),
        put(None, Row::Schedule(Box::new(daily.clone()))),
        put(None, Row::Instance(class)),
        put(None, Row::Lease(idle)),
        put_task(None, &timed(1, 10)),
    ];
    commit(store, rows);
    let all = vec![
        due_task(1),
        Due::Lease(attempt_id(1)),
        Due::Instance(instance_key(1)),
        Due::Schedule(daily.id),
        due_worker(1, 3),
    ];
    assert_eq!(due(store, 10, 10), found_due(all, None));
    daily.fire_at = None;
    commit(store, vec![put(Some(1), Row::Schedule(Box::new(daily)))]);
    assert_eq!(due(store, 9, 10), found_due(vec![], Some(10)));
}

pub fn idle_leases_are_found_by_their_class(store: &dyn Store) {
    let run = run(1, &task(1));
    let mut leases = [1, 2, 3].map(|number| lease(&attempt(number, &run), &run));
    leases[0].idle_until = Some(Timestamp(30));
    leases[2].idle_until = Some(Timestamp(20));
    commit(store, leases.map(|row| put(None, Row::Lease(row))).into());
    let of = |number| found(store, Find::Idle { instance: instance_key(number) });
    assert_eq!(of(1), Found::Leases([3, 1].map(attempt_id).into()));
    assert_eq!(of(2), Found::Leases(vec![]));
}

pub fn a_task_that_is_no_longer_queued_is_not_due(store: &dyn Store) {
    let mut cancelled = timed(1, 10);
    let mut waiter = task(2);
    waiter.parked = Some(Parked::Session);
    put_all(store, &[], &[cancelled.clone(), waiter.clone()]);
    cancelled.state = State::Cancelled;
    waiter.state = State::Cancelled;
    commit(store, vec![put_task(Some(1), &cancelled), put_task(Some(1), &waiter)]);
    assert_eq!(due(store, i64::MAX, 10), found_due(vec![], None));
    assert_eq!(waiters(store, &waiter), []);
}

pub fn leases_are_found_by_their_worker(store: &dyn Store) {
    let run = run(1, &task(1));
    let mut leases = [3, 1, 2].map(|number| lease(&attempt(number, &run), &run));
    leases[2].worker_id = worker_id(2);
    commit(store, leases.map(|row| put(None, Row::Lease(row))).into());
    let of = |number| found(store, Find::Leases { worker: worker_id(number) });
    assert_eq!(of(1), Found::Leases([1, 3].map(attempt_id).into()));
    assert_eq!(of(2), Found::Leases(vec![attempt_id(2)]));
    commit(store, vec![remove(Key::Lease(attempt_id(1)), Some(1))]);
    assert_eq!(of(1), Found::Leases(vec![attempt_id(3)]));
    assert_eq!(of(9), Found::Leases(vec![]));
}

fn waiters(store: &dyn Store, of: &Task) -> Vec<TaskId> {
    let session = of.session_id.clone();
    match found(store, Find::Waiters { workspace: of.workspace_id, session }) {
        Found::Waiters(tasks) => tasks,
        other => panic!("asked for waiters, got {other:?}"),
    }
}

/// Parked on session 1.
fn waiter(number: u64, queued_at: i64) -> Task {
    let (parked, queued_at) = (Some(Parked::Session), Some(Timestamp(queued_at)));
    Task { parked, queued_at, session_id: session_id(1), ..task(number) }
}

pub fn waiters_come_in_the_order_of_queueing(store: &dyn Store) {
    let mut tasks = vec![waiter(1, 30), waiter(2, 10), waiter(3, 10), waiter(4, 5), waiter(5, 1)];
    tasks[3].session_id = session_id(2);
    tasks[4].workspace_id = WorkspaceId(2);
    let mut timer = timed(6, 10);
    timer.session_id = session_id(1);
    tasks.push(timer);
    put_all(store, &[], &tasks);
    assert_eq!(waiters(store, &tasks[0]), [2, 3, 1].map(task_id));
    assert_eq!(waiters(store, &tasks[3]), [task_id(4)]);
    assert_eq!(waiters(store, &tasks[4]), [task_id(5)]);
    assert_eq!(waiters(store, &task(9)), []);
}

pub fn waiters_are_bounded(store: &dyn Store) {
    let count = limits::WAITERS_MAX as u64 + 3;
    let tasks: Vec<Task> = (1..=count).map(|number| waiter(number, 1)).collect();
    put_all(store, &[], &tasks);
    let expected: Vec<TaskId> = (1..=limits::WAITERS_MAX as u64).map(task_id).collect();
    assert_eq!(waiters(store, &tasks[0]), expected);
}

pub fn schedules_are_found_by_their_agent(store: &dyn Store) {
    let mut all = [3, 1, 2, 4].map(schedule);
    all[2].agent_id = agent_id(2);
    commit(store, all.clone().map(|row| put(None, Row::Schedule(Box::new(row)))).into());
    let of = |agent, limit| found(store, Find::Schedules { agent: agent_id(agent), limit });
    let ids = |numbers: &[u64]| {
        Found::Schedules(numbers.iter().map(|number| schedule_id(*number)).collect())
    };
    assert_eq!(of(1, 10), ids(&[1, 3, 4]));
    assert_eq!(of(1, 2), ids(&[1, 3]));
    assert_eq!(of(2, 10), ids(&[2]));
    all[0].deleted_at = Some(Timestamp(1));
    commit(store, vec![put(Some(1), Row::Schedule(Box::new(all[0].clone())))]);
    assert_eq!(of(1, 10), ids(&[1, 4]));
    assert_eq!(of(9, 10), ids(&[]));
}

pub fn tasks_that_rest_come_by_the_time_of_their_rest(store: &dyn Store) {
    let rested = |number, at| {
        let (state, rested_at) = (State::Done, Some(Timestamp(at)));
        Task { state, rested_at, ..task(number) }
    };
    let mut tasks = vec![rested(1, 30), rested(2, 10), rested(3, 10), rested(4, 40), task(5)];
    // One that moved on is not found, whatever its row says.
    tasks[4].rested_at = Some(Timestamp(1));
    tasks.push(Task { rested_at: None, ..rested(6, 1) });
    put_all(store, &[], &tasks);
    let until = |at, limit| match found(store, Find::Rested { until: Timestamp(at), limit }) {
        Found::Rested(tasks) => tasks,
        other => panic!("asked for tasks that rest, got {other:?}"),
    };
    assert_eq!(until(9, 10), []);
    assert_eq!(until(10, 10), [2, 3].map(task_id));
    assert_eq!(until(30, 10), [2, 3, 1].map(task_id));
    assert_eq!(until(i64::MAX, 2), [2, 3].map(task_id));
    assert_eq!(until(i64::MAX, 0), []);
    tasks[1].rested_at = None;
    commit(store, vec![put_task(Some(1), &tasks[1])]);
    assert_eq!(until(i64::MAX, 10), [3, 1, 4].map(task_id));
}

//! The searches of the engine.

use hostler_core::batch::{Due, Find, Found};
use hostler_core::capacity::Instance;
use hostler_core::id::{TaskId, WorkspaceId};
use hostler_core::key::{Key, Row};
use hostler_core::limits;
use hostler_core::policy::RuntimeType;
use hostler_core::task::{Parked, Priority, State, Task};
use hostler_core::time::Timestamp;

use super::rows::*;
use super::{commit, found};
use crate::Store;

/// Ready tasks for all runtime types.
fn ready(store: &dyn Store, limit: usize) -> Vec<TaskId> {
    ready_for(store, RuntimeType::ALL, limit)
}

fn ready_for(store: &dyn Store, types: &[RuntimeType], limit: usize) -> Vec<TaskId> {
    match found(store, Find::Ready { runtime_types: types.to_vec(), limit }) {
        Found::Ready(tasks) => tasks,
        other => panic!("asked for ready work, got {other:?}"),
    }
}

fn due(store: &dyn Store, now: i64, limit: usize) -> Found {
    found(store, Find::Due { now: Timestamp(now), limit })
}

fn with_queued(number: u64, queued: u32) -> Instance {
    Instance { queued, ..instance(number) }
}

fn on(instance: u64, task: Task) -> Task {
    Task { instance_key: instance_key(instance), ..task }
}

fn put_all(store: &dyn Store, instances: &[Instance], tasks: &[Task]) {
    let instances = instances.iter().map(|row| put(None, Row::Instance(row.clone())));
    commit(store, instances.chain(tasks.iter().map(|task| put_task(None, task))).collect());
}

pub fn ready_work_comes_by_pass_then_priority_then_time(store: &dyn Store) {
    let mut instances = [with_queued(1, 4), with_queued(2, 1)];
    (instances[0].pass, instances[0].concurrency, instances[1].pass) = (9, 10, 3);
    let mut tasks: Vec<Task> = (1..=4).map(|number| on(1, task(number))).collect();
    (tasks[0].priority, tasks[3].priority) = (Priority::Low, Priority::Urgent);
    tasks[1].queued_at = Some(Timestamp(i64::MAX));
    tasks.push(on(2, task(5)));
    put_all(store, &instances, &tasks);
    assert_eq!(ready(store, 100), [5, 4, 3, 2, 1].map(task_id));
}

pub fn an_instance_gives_no_more_than_it_has_room_for(store: &dyn Store) {
    let mut one = with_queued(1, 5);
    (one.concurrency, one.pending, one.running, one.stopping) = (5, 1, 1, 1);
    let tasks: Vec<Task> = (1..=5).map(|number| on(1, task(number))).collect();
    put_all(store, &[one.clone()], &tasks);
    assert_eq!(ready(store, 100), [1, 2].map(task_id));
    one.stopping = 3;
    commit(store, vec![put(Some(1), Row::Instance(one))]);
    assert_eq!(ready(store, 100), []);
}

pub fn an_instance_that_is_not_ready_gives_nothing(store: &dyn Store) {
    let mut all_parked = with_queued(1, 1);
    all_parked.parked = 1;
    let mut degraded = with_queued(2, 1);
    degraded.status = hostler_core::capacity::Health::Degraded;
    put_all(store, &[all_parked, degraded], &[on(1, task(1)), on(2, task(2))]);
    assert_eq!(ready(store, 100), []);
    commit(store, vec![remove(Key::Instance(instance_key(2)), Some(1))]);
    commit(store, vec![put(None, Row::Instance(with_queued(2, 1)))]);
    assert_eq!(ready(store, 100), [task_id(2)]);
}

pub fn a_paused_workspace_gives_nothing(store: &dyn Store) {
    let mut second = workspace(2);
    second.paused = true;
    let mut instances = [with_queued(1, 1), with_queued(2, 1)];
    instances[0].workspace_id = second.id;
    commit(store, vec![put(None, Row::Workspace(second.clone()))]);
    put_all(store, &instances, &[on(1, task(1)), on(2, task(2))]);
    assert_eq!(ready(store, 100), [task_id(2)]);
    second.paused = false;
    commit(store, vec![put(Some(1), Row::Workspace(second))]);
    assert_eq!(ready(store, 100), [1, 2].map(task_id));
}

pub fn runtime_types_are_merged_by_pass(store: &dyn Store) {
    let mut instances: Vec<_> = (1..=4).map(|number| with_queued(number, 1)).collect();
    instances[1].runtime_type = RuntimeType::Runc;
    instances[2].runtime_type = RuntimeType::Runc;
    // Of one pass, the key decides.
    (instances[2].pass, instances[3].pass) = (4, 4);
    let tasks: Vec<Task> = (1..=4).map(|number| on(number, task(number))).collect();
    put_all(store, &instances, &tasks);
    assert_eq!(ready(store, 100), [1, 2, 3, 4].map(task_id));
    assert_eq!(ready_for(store, &[RuntimeType::Runc], 100), [2, 3].map(task_id));
    let twice = [RuntimeType::Gvisor, RuntimeType::Gvisor];
    assert_eq!(ready_for(store, &twice, 100), [1, 4].map(task_id));
    assert_eq!(ready_for(store, &[], 100), []);
}

pub fn the_limit_cuts_ready_work(store: &dyn Store) {
    let instances: Vec<_> = (1..=3).map(|number| with_queued(number, 2)).collect();
    let tasks: Vec<Task> = (1..=6).map(|number| on(1 + (number - 1) / 2, task(number))).collect();
    put_all(store, &instances, &tasks);
    assert_eq!(ready(store, 3), [1, 2, 3].map(task_id));
    assert_eq!(ready(store, 0), []);
}

pub fn a_parked_or_claimed_task_is_not_ready(store: &dyn Store) {
    let mut one = with_queued(1, 3);
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
    commit(store, vec![put(None, Row::Instance(with_queued(7, 1)))]);
    assert_eq!(ready(store, 100), [task_id(2)]);
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

//! Guards, versions, and all or nothing.

use hostler_core::attempt;
use hostler_core::batch::{Batch, Committed};
use hostler_core::id::WorkspaceId;
use hostler_core::key::{Key, Row};
use hostler_core::run;

use super::rows::*;
use super::{commit, load, try_commit, version};
use crate::{Error, Store};

pub fn a_new_row_has_version_one_and_each_write_adds_one(store: &dyn Store) {
    let mut task = task(1);
    let key = Key::Task(task.id);
    assert_eq!(load(store, &key), None);
    commit(store, vec![put_task(None, &task)]);
    assert_eq!(version(store, &key), Some(1));
    task.error = Some("once".into());
    commit(store, vec![put_task(Some(1), &task)]);
    task.error = Some("twice".into());
    commit(store, vec![put_task(Some(2), &task)]);
    assert_eq!(load(store, &key), Some((3, Row::Task(Box::new(task)))));
}

pub fn every_kind_of_row_comes_back_as_it_was_written(store: &dyn Store) {
    let mut task = task(1);
    task.error = Some("quotes \" and \\, a line\nbreak, a nul \0 and ☃".into());
    let run = run(1, &task);
    let attempt = attempt(1, &run);
    let writes = vec![
        put(None, Row::Workspace(workspace(2))),
        put(None, Row::Agent(agent(1))),
        put_at(Key::AgentKey(WorkspaceId(1), "agent-1".into()), None, Row::AgentKey(agent_id(1))),
        put_task(None, &task),
        put(None, Row::Input(input(1, task.id))),
        put_run(None, &run),
        put(None, Row::Lease(lease(&attempt, &run))),
        put(None, Row::Attempt(attempt)),
        put(None, Row::Session(session(&task))),
        put(None, Row::Instance(instance(1))),
        put(None, Row::Worker(worker(1, Some(99)))),
        put_at(
            Key::Receipt(WorkspaceId(1), agent_id(1), "key ☃".into()),
            None,
            Row::Receipt(receipt(task.id, input_id(1))),
        ),
        put(None, Row::Snapshot(snapshot(run.id, 1, run.status))),
        put(None, Row::Schedule(Box::new(schedule(1)))),
        put(None, Row::Missed(missed(1, 1))),
    ];
    commit(store, writes.clone());
    for write in &writes {
        assert_eq!(load(store, &write.key), write.row.as_deref().cloned().map(|row| (1, row)));
    }
    // Each kind is updated and removed under its guard, too.
    let update = |write: &hostler_core::batch::Write| {
        put_at(write.key.clone(), Some(1), write.row.as_deref().cloned().expect("it was written"))
    };
    commit(store, writes.iter().map(update).collect());
    for write in &writes {
        assert_eq!(load(store, &write.key), write.row.as_deref().cloned().map(|row| (2, row)));
    }
    commit(store, writes.iter().map(|write| remove(write.key.clone(), Some(2))).collect());
    assert!(writes.iter().all(|write| load(store, &write.key).is_none()));
}

pub fn a_failed_guard_writes_nothing_of_the_batch(store: &dyn Store) {
    commit(store, vec![put_task(None, &task(1))]);
    let batch = Batch {
        writes: vec![
            put_task(None, &task(2)),
            put(None, Row::Worker(worker(1, None))),
            put_task(Some(2), &task(1)),
        ],
        appends: vec![append(1, vec![line("lost")])],
        ..Batch::default()
    };
    assert!(matches!(store.commit(&batch), Err(Error::Conflict)));
    assert_eq!(version(store, &Key::Task(task_id(1))), Some(1));
    assert_eq!(load(store, &Key::Task(task_id(2))), None);
    assert_eq!(load(store, &Key::Worker(worker_id(1))), None);
}

pub fn an_insert_of_a_row_that_is_there_conflicts(store: &dyn Store) {
    let task = task(1);
    let key = Key::Receipt(task.workspace_id, task.agent_id, "key".into());
    let first = Row::Receipt(receipt(task.id, input_id(1)));
    let second = Row::Receipt(receipt(task_id(2), input_id(2)));
    commit(store, vec![put_task(None, &task), put_at(key.clone(), None, first.clone())]);
    for write in [put_at(key.clone(), None, second), put_task(None, &task)] {
        assert!(matches!(try_commit(store, vec![write]), Err(Error::Conflict)));
    }
    assert_eq!(load(store, &key), Some((1, first)));
}

pub fn an_update_or_removal_of_a_missing_row_conflicts(store: &dyn Store) {
    let missing = [put_task(Some(1), &task(1)), remove(Key::Task(task_id(1)), Some(1))];
    for write in missing {
        assert!(matches!(try_commit(store, vec![write]), Err(Error::Conflict)));
    }
}

pub fn a_removed_row_is_gone_and_begins_again_at_one(store: &dyn Store) {
    let key = Key::Session(WorkspaceId(1), session_id(1));
    let row = Row::Session(session(&task(1)));
    commit(store, vec![put(None, row.clone())]);
    commit(store, vec![put(Some(1), row.clone())]);
    let stale = try_commit(store, vec![remove(key.clone(), Some(1))]);
    assert!(matches!(stale, Err(Error::Conflict)));
    commit(store, vec![remove(key.clone(), Some(2))]);
    assert_eq!(load(store, &key), None);
    commit(store, vec![put(None, row)]);
    assert_eq!(version(store, &key), Some(1));
}

pub fn a_write_that_only_guards_writes_nothing(store: &dyn Store) {
    let key = Key::Agent(agent_id(1));
    commit(store, vec![remove(key.clone(), None)]);
    assert_eq!(load(store, &key), None);
    commit(store, vec![put(None, Row::Agent(agent(1)))]);
    let batch = vec![remove(key, None), put_task(None, &task(1))];
    assert!(matches!(try_commit(store, batch), Err(Error::Conflict)));
    assert_eq!(load(store, &Key::Task(task_id(1))), None);
}

pub fn two_writes_to_one_row_follow_each_other(store: &dyn Store) {
    let (mut one, key) = (task(1), Key::Task(task_id(1)));
    let first = put_task(None, &one);
    one.error = Some("again".into());
    commit(store, vec![first, put_task(None, &task(2)), put_task(Some(1), &one)]);
    assert_eq!(load(store, &key), Some((2, Row::Task(Box::new(one.clone())))));
    let removed = vec![remove(key.clone(), Some(2)), put_task(None, &one)];
    commit(store, removed);
    assert_eq!(version(store, &key), Some(1));
}

pub fn a_batch_may_be_empty(store: &dyn Store) {
    assert_eq!(commit(store, Vec::new()), Committed::default());
}

pub fn a_row_that_breaks_a_relation_writes_nothing(store: &dyn Store) {
    let mut ready = task(1);
    ready.queued_at = None;
    let mut ended = run(1, &task(1));
    ended.status = run::Status::Ok;
    let mut failed = attempt(1, &run(1, &task(1)));
    failed.status = attempt::Status::Error;
    let broken = [put_task(None, &ready), put_run(None, &ended), put(None, Row::Attempt(failed))];
    for write in broken {
        let key = write.key.clone();
        let refused = try_commit(store, vec![put_task(None, &task(2)), write]);
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        assert_eq!(load(store, &key), None);
        assert_eq!(load(store, &Key::Task(task_id(2))), None);
    }
}

pub fn loading_keeps_the_order_of_keys(store: &dyn Store) {
    commit(store, vec![put_task(None, &task(1)), put(None, Row::Agent(agent(1)))]);
    let keys = [
        Key::Task(task_id(2)),
        Key::Task(task_id(1)),
        Key::Agent(agent_id(1)),
        Key::Task(task_id(1)),
    ];
    let loaded = store.load(&keys).expect("the keys load");
    let names: Vec<_> = loaded.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(names, keys);
    let there: Vec<_> = loaded.iter().map(|(_, row)| row.is_some()).collect();
    assert_eq!(there, [false, true, true, true]);
}

pub fn migrating_again_changes_nothing(store: &dyn Store) {
    let key = Key::Workspace(WorkspaceId::DEFAULT);
    let Some((1, Row::Workspace(mut first))) = load(store, &key) else {
        panic!("the workspace `default` is there from the start");
    };
    assert_eq!(first.key, "default");
    first.paused = true;
    commit(store, vec![put(Some(1), Row::Workspace(first.clone()))]);
    store.migrate().expect("a store is migrated at every start");
    assert_eq!(load(store, &key), Some((2, Row::Workspace(first))));
}

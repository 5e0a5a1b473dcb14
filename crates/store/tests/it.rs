//! Every case of the suite against every keeper, and what a file has of its own: it is opened
//! again, by one server at a time, after a crash, on a full disk, with an older or newer schema.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hostler_core::batch::{Batch, Find, Found};
use hostler_core::id::WorkspaceId;
use hostler_core::key::{Key, Row};
use hostler_core::stream::Trim;
use hostler_core::time::Timestamp;
use hostler_store::conformance::{differential, rows};
use hostler_store::memory::Memory;
use hostler_store::sqlite::Sqlite;
use hostler_store::{Error, LogRange, Query, Store};

fn memory() -> Memory {
    let store = Memory::new();
    store.migrate().expect("a new store is migrated");
    store
}

/// A new file, and the folder that it goes away with.
fn sqlite() -> (Sqlite, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder for the file");
    (open(&folder.path().join("store.db")), folder)
}

fn open(path: &Path) -> Sqlite {
    let store = Sqlite::open(path).expect("the file is opened");
    store.migrate().expect("the file is migrated");
    store
}

macro_rules! tests_of_memory {
    ($($module:ident { $($name:ident)* })*) => {
        mod in_memory { $(mod $module { $(
            #[test]
            fn $name() {
                hostler_store::conformance::$module::$name(&crate::memory());
            }
        )* })* }
    };
}
hostler_store::each_case!(tests_of_memory);

macro_rules! tests_of_sqlite {
    ($($module:ident { $($name:ident)* })*) => {
        mod in_sqlite { $(mod $module { $(
            #[test]
            fn $name() {
                let (store, _folder) = crate::sqlite();
                hostler_store::conformance::$module::$name(&store);
            }
        )* })* }
    };
}
hostler_store::each_case!(tests_of_sqlite);

macro_rules! tests_of_both {
    ($($name:ident $seed:literal)*) => {
        mod random_batches_leave_both_keepers_alike { $(
            #[test]
            fn $name() {
                let (store, _folder) = crate::sqlite();
                crate::differential::run(&crate::memory(), &store, $seed, 400);
            }
        )* }
    };
}
tests_of_both!(with_seed_1 1 with_seed_2 2 with_seed_3 3 with_seed_4 4);

/// Task and first record of this number.
fn batch(number: u64) -> Batch {
    let writes = vec![rows::put_task(None, &rows::task(number))];
    let appends = vec![rows::append(number, vec![rows::event("task.accepted")])];
    Batch { writes, appends, ..Batch::default() }
}

fn is_there(store: &dyn Store, number: u64) -> bool {
    let task = rows::task_id(number);
    let row = store.load(&[Key::Task(task)]).expect("the task loads").remove(0).1;
    let records = store
        .read(&LogRange { task, after: 0, limit: 10, bytes: 1_000 })
        .expect("the stream is read");
    assert_eq!(row.is_some(), records.len() == 1, "a batch is all or nothing");
    row.is_some()
}

#[test]
fn a_file_that_is_opened_again_has_everything() {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("store.db");
    let store = open(&path);
    for number in 1..=20 {
        store.commit(&batch(number)).expect("the batch is committed");
    }
    let instance = rows::instance(1);
    let task = rows::task(1);
    let ready = hostler_core::capacity::Instance { queued: 1, ready: [0, 0, 1, 0], ..instance };
    let instance = rows::put(None, Row::Instance(ready));
    store.commit(&Batch { writes: vec![instance], ..Batch::default() }).expect("it is committed");
    drop(store);
    let store = open(&path);
    assert!((1..=20).all(|number| is_there(&store, number)));
    let find = Find::Ready { rooms: vec![rows::room()], limit: 10, after: WorkspaceId(0) };
    let Found::Ready(found) = store.find(&find).expect("it is searched") else {
        panic!("asked for ready work")
    };
    assert_eq!(found.candidates[0].task, task.id);
    let again = store.commit(&batch(20));
    assert!(matches!(again, Err(Error::Conflict)));
}

#[test]
fn a_second_server_is_kept_out_of_the_file() {
    let (store, folder) = sqlite();
    let path = folder.path().join("store.db");
    let Err(Error::Unavailable(reason)) = Sqlite::open(&path) else {
        panic!("two servers hold one file");
    };
    assert!(reason.to_string().contains("another server"), "{reason}");
    drop(store);
    open(&path);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("store.db");
    drop(open(&path));
    let raw = rusqlite::Connection::open(&path).expect("the file is opened");
    raw.pragma_update(None, "user_version", 1_000).expect("the schema is set");
    drop(raw);
    let store = Sqlite::open(&path).expect("the file is opened");
    let Err(Error::Unavailable(reason)) = store.migrate() else {
        panic!("a newer schema was taken");
    };
    assert!(reason.to_string().contains("schema 1000"), "{reason}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("store.db");
    std::fs::write(&path, "no database at all, but longer than its header ".repeat(99))
        .expect("the file is written");
    assert!(matches!(Sqlite::open(&path).map(drop), Err(Error::Unavailable(_))));
}

#[test]
fn a_body_that_cannot_be_read_is_corrupt() {
    let (store, folder) = sqlite();
    store.commit(&batch(1)).expect("the batch is committed");
    let raw = rusqlite::Connection::open(folder.path().join("store.db")).expect("it is opened");
    raw.execute_batch("UPDATE tasks SET body = '{'; UPDATE log SET body = '[{}]'")
        .expect("the bodies are spoiled");
    let task = rows::task_id(1);
    let loaded = store.load(&[Key::Task(task)]);
    assert!(matches!(loaded, Err(Error::Corrupt(_))));
    let read = store.read(&LogRange { task, after: 0, limit: 1, bytes: 1_000 });
    assert!(matches!(read, Err(Error::Corrupt(_))));
    let filter = hostler_store::query::TaskFilter::default();
    let list = Query::Tasks { workspace: WorkspaceId::DEFAULT, filter, after: None, limit: 1 };
    assert!(matches!(store.scan(&list), Err(Error::Corrupt(_))));
}

#[test]
fn a_disk_that_is_full_has_written_nothing() {
    let (store, folder) = sqlite();
    // Far fewer pages than there are: the file cannot grow at all.
    store.limit_pages(1).expect("the limit is set");
    fill(&store);
    drop(store);
    fill_again(&open(&folder.path().join("store.db")));
}

/// Commits until the disk is full; what failed is not there and all else is.
fn fill(store: &Sqlite) {
    let mut number = 0;
    let error = loop {
        number += 1;
        if let Err(error) = store.commit(&large(number)) {
            break error;
        }
    };
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(!is_there(store, number), "nothing of the batch was written");
    assert!((1..number).all(|number| is_there(store, number)));
    let again = store.commit(&large(number));
    assert!(matches!(again, Err(Error::Unavailable(_))), "{again:?}");
    assert!(!is_there(store, number));
    println!("the disk was full at batch {number}");
}

/// The disk is no longer full.
fn fill_again(store: &Sqlite) {
    let first_missing = (1..).find(|number| !is_there(store, *number)).expect("one is missing");
    store.commit(&large(first_missing)).expect("there is room");
    assert!(is_there(store, first_missing));
}

fn large(number: u64) -> Batch {
    let mut batch = batch(number);
    let mut input = rows::input(number, rows::task_id(number));
    input.message = "m".repeat(40_000);
    batch.writes.push(rows::put(None, Row::Input(input)));
    batch
}

const MIB: u64 = 1 << 20;

fn file_bytes(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}

#[test]
fn the_log_is_copied_into_the_file_and_stays_short() {
    let (store, folder) = sqlite();
    let path = folder.path().join("store.db");
    let log = folder.path().join("store.db-wal");
    let mut number = 0;
    while file_bytes(&log) < 17 * MIB {
        number += 1;
        store.commit(&large(number)).expect("it is committed");
    }
    // Without a word more it comes into the file; in the log a page stands once for each commit.
    let end = Instant::now() + Duration::from_secs(20);
    while file_bytes(&path) < 5 * MIB {
        assert!(Instant::now() < end, "{} bytes", file_bytes(&path));
        std::thread::yield_now();
    }
    for _ in 0..3_000 {
        number += 1;
        store.commit(&large(number)).expect("it is committed");
    }
    assert!(file_bytes(&path) > 100 * MIB, "{} bytes", file_bytes(&path));
    assert!(file_bytes(&log) < 66 * MIB, "{} bytes", file_bytes(&log));
    assert!(is_there(&store, number));
}

/// A folder with its own small disk, as root only; it is taken off again at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().expect("a folder for the disk");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path());
        let status = mount.stderr(Stdio::null()).status().ok()?;
        status.success().then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[test]
fn a_disk_that_is_full_at_the_commit_has_written_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: mounting a small disk takes root");
        return;
    };
    let path = disk.0.path().join("store.db");
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![0; 300_000]).expect("the ballast is written");
    let store = open(&path);
    fill(&store);
    drop(store);
    std::fs::remove_file(&ballast).expect("the ballast is removed");
    fill_again(&open(&path));
}

const CRASH: &str = "HOSTLER_STORE_CRASH_FILE";

/// Runs itself as the process that is killed: that one commits and says so, until it is gone.
#[test]
fn what_was_acknowledged_is_there_after_kill_9() {
    if let Some(path) = std::env::var_os(CRASH) {
        return commit_until_killed(Path::new(&path));
    }
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("store.db");
    for rounds in 1..=3 {
        let mut child = Command::new(std::env::current_exe().expect("the test knows its file"))
            .args(["what_was_acknowledged_is_there_after_kill_9", "--exact", "--nocapture"])
            .env(CRASH, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the child is started");
        let output = BufReader::new(child.stdout.take().expect("its output is read"));
        let mut acknowledged = Vec::new();
        for text in output.lines() {
            let text = text.expect("a line is read");
            let Some(number) = text.strip_prefix("committed ") else { continue };
            acknowledged.push(number.parse().expect("a number"));
            if acknowledged.len() == 40 {
                // What it says from here on is read too, until the pipe ends with it.
                child.kill().expect("the child is killed");
            }
        }
        let status = child.wait().expect("the child is gone");
        assert!(!status.success() && acknowledged.len() >= 40, "{status}: {acknowledged:?}");
        let store = open(&path);
        let missing = acknowledged.iter().find(|number| !is_there(&store, **number));
        assert_eq!(missing, None, "in round {rounds} of {acknowledged:?}");
        let last = acknowledged.last().expect("some were acknowledged");
        let written = if is_there(&store, last + 1) { last + 1 } else { *last };
        assert!(is_grown(&store, written), "in round {rounds} of {acknowledged:?}");
    }
}

/// A stream that grows by three records with each batch and keeps five.
const GROWING: u64 = 1_000_000;

fn growing(number: u64) -> Batch {
    let mut batch = batch(number);
    batch.appends.push(rows::append(GROWING, vec![rows::event("grown"); 3]));
    let to_seq = (3 * number).saturating_sub(5);
    batch.trims.push(Trim { task_id: rows::task_id(GROWING), to_seq, at: Timestamp(50) });
    batch
}

/// The stream ends where the last batch left it, and is trimmed as that batch said.
fn is_grown(store: &dyn Store, batches: u64) -> bool {
    let range = LogRange { task: rows::task_id(GROWING), after: 0, limit: 100, bytes: usize::MAX };
    let records = store.read(&range).expect("the stream is read");
    let seqs: Vec<u64> = records.iter().map(|one| one.seq).collect();
    let end = 3 * batches;
    seqs == [vec![1], (end - 4..=end).collect()].concat()
        && records[0].record == rows::gap(1, end - 5)
}

fn commit_until_killed(path: &Path) {
    let store = open(path);
    let first = (1..).find(|number| !is_there(&store, *number)).expect("one is missing");
    let mut output = std::io::stdout().lock();
    for number in first.. {
        store.commit(&growing(number)).expect("the batch is committed");
        // On a line of its own, whatever the harness has said.
        write!(output, "\ncommitted {number}\n").expect("the parent reads");
        output.flush().expect("the parent reads");
    }
}

#[test]
fn tasks_that_rested_before_the_third_schema_are_found() {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("store.db");
    let raw = rusqlite::Connection::open(&path).expect("the file is made");
    raw.execute_batch(SCHEMA_1).expect("the text is a database");
    raw.execute_batch(
        "UPDATE tasks SET state = 'done', ready = 0, due_at = NULL, waiter = 0,
            body = json_set(body, '$.state', 'done', '$.updated_at', 77)",
    )
    .expect("the task rests");
    drop(raw);
    let store = open(&path);
    let until = |at| store.find(&Find::Rested { until: Timestamp(at), limit: 10 });
    assert_eq!(until(76).expect("it is searched"), Found::Rested(vec![]));
    let task = rows::task_id(1);
    assert_eq!(until(77).expect("it is searched"), Found::Rested(vec![task]));
    let loaded = store.load(&[Key::Task(task)]).expect("the task loads").remove(0).1;
    let Some((_, Row::Task(task))) = loaded else { panic!("no task") };
    assert_eq!(task.rested_at, Some(Timestamp(77)));
}

/// A database as the first schema had it, with a row of every kind.
const SCHEMA_1: &str = include_str!("schema_1.sql");

#[test]
fn a_database_of_schema_1_is_read() {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("store.db");
    let raw = rusqlite::Connection::open(&path).expect("the file is made");
    raw.execute_batch(SCHEMA_1).expect("the text is a database");
    drop(raw);
    let store = open(&path);
    let keys = [
        Key::Workspace(WorkspaceId::DEFAULT),
        Key::Agent(rows::agent_id(1)),
        Key::AgentKey(WorkspaceId::DEFAULT, "agent-1".into()),
        Key::Task(rows::task_id(1)),
        Key::Input(rows::input_id(1)),
        Key::Run(rows::run_id(1)),
        Key::Attempt(rows::attempt_id(1)),
        Key::Lease(rows::attempt_id(1)),
        Key::Session(WorkspaceId::DEFAULT, rows::session_id(1)),
        Key::Instance(rows::instance_key(1)),
        Key::Worker(rows::worker_id(1)),
        Key::Receipt(WorkspaceId::DEFAULT, rows::agent_id(1), "key".into()),
        Key::Snapshot(rows::run_id(1), 1),
    ];
    let loaded = store.load(&keys).expect("every row is read: new fields have a default");
    for (key, row) in loaded {
        assert!(row.is_some(), "{key:?} is missing");
    }
    assert!(is_there(&store, 1));
    store.commit(&batch(2)).expect("it is written to");
    // What is ready is counted by priority, and found.
    let find = Find::Ready { rooms: vec![rows::room()], limit: 10, after: WorkspaceId(0) };
    let Found::Ready(found) = store.find(&find).expect("it is searched") else {
        panic!("asked for ready work")
    };
    let ready: Vec<_> = found.candidates.iter().map(|one| one.task).collect();
    let row = store.load(&[Key::Instance(rows::instance_key(1))]).expect("it loads").remove(0).1;
    let Some((_, Row::Instance(instance))) = row else { panic!("there is an instance") };
    assert_eq!(instance.ready, [0, 0, 1, 0]);
    assert_eq!(instance.needs, hostler_core::capacity::Needs::default());
    assert_eq!(ready, [rows::task_id(1)]);
    let of_agent = store.find(&Find::Classes { agent: rows::agent_id(1) }).expect("it searches");
    assert_eq!(of_agent, Found::Classes(vec![rows::instance_key(1)]));
}

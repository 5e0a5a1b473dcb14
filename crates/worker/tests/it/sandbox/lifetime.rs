//! How sandboxes end, and that all of each does.
//!
//! Some tests need a worker that is killed: they run this binary again with one test and a
//! variable that says what the worker is to do.

use hostler_worker::sandbox::Guardian;

use super::super::guardian;
use super::*;

/// What the re-run test binary is to be: `<runtime> <scratch root> <script>`, by line.
const WORKER: &str = "HOSTLER_TEST_SANDBOX_WORKER";

/// Daemons that ignore what can be ignored, in sessions of their own, marked by an argument.
fn daemons(mark: &str) -> String {
    format!(
        "for i in 1 2 3; do (setsid sh -c 'trap \"\" TERM HUP INT; echo daemon; \
         while :; do sleep 0.1; done' {mark} &) ; done; "
    )
}

#[test]
fn daemons_are_gone_after_a_kill_and_after_the_programs_own_end() {
    for_each(async |runtime| {
        let room = Room::new();
        let mark = format!("{}-daemons", room.folder.path().display());
        let script = format!("{} sleep 1000", daemons(&mark));
        let mut sandbox = runtime.start(room.shell(&script)).await.expect("started");
        let mut seen = String::new();
        while seen.matches("daemon").count() < 3 {
            seen.push_str(&read_until(&mut sandbox, "\n").await);
        }
        assert!(processes_with(&mark).len() > 3);
        sandbox.kill();
        assert_eq!(sandbox.wait().await, Exit::Signal(9));
        assert_eq!(processes_with(&mark), [] as [i32; 0]);

        // The program ends by itself once it has seen its daemons start.
        let script = format!(
            "mkfifo f; {{ {} }} > f & n=0; while read -r l; do n=$((n+1)); \
             [ $n = 3 ] && exit 5; done < f",
            daemons(&mark)
        );
        let mut sandbox = runtime.start(room.shell(&script)).await.expect("started");
        assert_eq!(sandbox.wait().await, Exit::Code(5));
        assert_eq!(processes_with(&mark), [] as [i32; 0]);
        assert_eq!(sandbox.survivors(), [] as [i32; 0]);
    });
}

#[test]
fn a_dropped_sandbox_is_killed() {
    for_each(async |runtime| {
        let room = Room::new();
        let mark = format!("{}-dropped", room.folder.path().display());
        let script = format!("{} echo ready; sleep 1000", daemons(&mark));
        let mut sandbox = runtime.start(room.shell(&script)).await.expect("started");
        read_until(&mut sandbox, "ready").await;
        assert!(!processes_with(&mark).is_empty());
        drop(sandbox);
        let scratch = room.scratch_root().join("one");
        eventually("all is gone", || processes_with(&mark).is_empty() && !scratch.exists());
    });
}

#[test]
fn a_start_nobody_waits_for_any_more_leaves_nothing() {
    for_each(async |runtime| {
        let room = Room::new();
        let mark = format!("{}-abandoned", room.folder.path().display());
        let script = format!(": {mark}; sleep 1000");
        let scratch = room.scratch_root().join("one");
        {
            let mut start = runtime.start(room.shell(&script));
            let now = tokio::time::timeout(Duration::ZERO, &mut start).await;
            assert!(now.is_err(), "a start takes some time");
        }
        eventually("begun", || scratch.exists() || !processes_with(&mark).is_empty());
        eventually("all is gone", || !scratch.exists() && processes_with(&mark).is_empty());
    });
}

/// Not a test by itself: the worker that the tests below kill.
#[test]
fn the_worker_to_be_killed() {
    let Ok(order) = std::env::var(WORKER) else { return };
    let mut order = order.splitn(3, '\n');
    let mut next = || order.next().expect("three lines").to_owned();
    let (name, root, script) = (next(), PathBuf::from(next()), next());
    let runtime = runtimes().into_iter().find(|one| one.name() == name).expect("a runtime");
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
    executor.expect("a runtime").block_on(async {
        let guardian = Guardian::start(guardian::program()).expect("a guardian");
        guardian.renew(i64::MAX);
        let spec = Spec {
            id: "one".to_owned(),
            argv: vec!["sh".to_owned(), "-c".to_owned(), script],
            env: Vec::new(),
            cwd: "/workspace".to_owned(),
            workspace: Workspace::None,
            binds: Vec::new(),
            limits: Limits {
                cpu_millis: 1000,
                memory_bytes: 256 << 20,
                pids: 64,
                tmp_bytes: 1 << 20,
            },
            model_socket: None,
            scratch: root.join("one"),
            guardian: Some(guardian),
        };
        let mut sandbox = runtime.start(spec).await.expect("started");
        sandbox.wait().await;
    });
}

fn worker(runtime: &dyn Runtime, root: &Path, script: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    let order = format!("{}\n{}\n{script}", runtime.name(), root.display());
    // The path without this binary's name, as tests are named.
    let (_, module) = module_path!().split_once("::").expect("a module of the test binary");
    command
        .args(["--exact", &format!("{module}::the_worker_to_be_killed"), "--nocapture"])
        .env(WORKER, order)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

#[test]
fn a_killed_worker_takes_its_sandboxes_with_it() {
    for_each(async |runtime| {
        let room = Room::new();
        let mark = format!("{}-orphans", room.folder.path().display());
        let script = format!("{} sleep 1000", daemons(&mark));
        let mut worker = worker(runtime, &room.scratch_root(), &script).spawn().expect("spawned");
        eventually("the sandbox runs", || processes_with(&mark).len() > 4);
        worker.kill().expect("killed");
        worker.wait().expect("waited for");
        eventually("all is gone", || processes_with(&mark).is_empty());
        let root = room.scratch_root().display().to_string();
        eventually("the runtime is gone", || processes_with(&root).is_empty());
        // What is not a process stays for the sweep.
        assert!(room.scratch_root().join("one").is_dir());
        sweep(&room.scratch_root());
        assert!(!room.scratch_root().join("one").exists());
    });
}

#[test]
fn a_worker_killed_at_any_moment_of_a_start_leaves_no_process() {
    for_each(async |runtime| {
        for delay_ms in (0..120).step_by(12) {
            let room = Room::new();
            let root = room.scratch_root();
            let mark = format!("{}-early", room.folder.path().display());
            let script = format!(": {mark}; {} sleep 1000", daemons(&mark));
            let mut worker = worker(runtime, &root, &script).spawn().expect("spawned");
            eventually("a start has begun", || root.join("one").exists());
            std::thread::sleep(Duration::from_millis(delay_ms));
            worker.kill().expect("killed");
            worker.wait().expect("waited for");
            let root = root.display().to_string();
            eventually("all is gone", || {
                processes_with(&mark).is_empty() && processes_with(&root).is_empty()
            });
        }
    });
}

#[test]
fn sweeping_ends_and_removes_what_a_worker_and_its_guardian_left() {
    for_each(async |runtime| {
        let room = Room::new();
        let root = room.scratch_root();
        let mark = format!("{}-swept", room.folder.path().display());
        let script = format!("{} sleep 1000", daemons(&mark));
        let mut worker = worker(runtime, &root, &script).spawn().expect("spawned");
        eventually("the sandbox runs", || processes_with(&mark).len() > 4);
        // As a power cut for both would: the guardian first, by a worker that cannot replace it.
        let worker_pid = i32::try_from(worker.id()).expect("a pid");
        guardian::signal(worker_pid, "STOP");
        let guardian_pid = guardian::of(worker_pid).expect("it has one");
        guardian::signal(guardian_pid, "KILL");
        worker.kill().expect("killed");
        worker.wait().expect("waited for");
        let cgroups = cgroups_of(&root);
        println!("left by {}: {} processes", runtime.name(), processes_with(&mark).len());
        // Processes are found by their mounts alone, as where there is no cgroup.
        let record = fs::read(root.join("cgroups")).expect("a record");
        fs::remove_file(root.join("cgroups")).expect("removed");
        sweep(&root);
        eventually("all is gone", || processes_with(&mark).is_empty());
        fs::write(root.join("cgroups"), record).expect("written");
        sweep(&root);
        assert!(cgroups.iter().all(|folder| !folder.exists()), "{cgroups:?}");
        assert_eq!(fs::read_dir(&root).expect("there").count(), 0);
        // And the next sandbox of the same name starts.
        assert_eq!(run(runtime, room.spec(&["true"])).await.exit, Exit::Code(0));
    });
}

#[test]
fn bubblewrap_needs_no_root() {
    let own = fs::metadata("/proc/self").expect("there").uid();
    if own != 0 {
        println!("skipped: the other tests run without root already");
        return;
    }
    for_each(async |runtime| {
        if runtime.name() != "bubblewrap" {
            return;
        }
        let room = Room::new();
        let user = 54321;
        fs::set_permissions(room.folder.path(), fs::Permissions::from_mode(0o755)).expect("set");
        // A copy, since folders above the build's may be root's alone.
        let binary = room.folder.path().join("worker");
        fs::copy(std::env::current_exe().expect("this binary"), &binary).expect("copied");
        let root = room.scratch_root();
        fs::create_dir(&root).expect("a folder");
        std::os::unix::fs::chown(&root, Some(user), Some(user)).expect("chowned");
        let mark = format!("{}-user", room.folder.path().display());
        let script = format!("{} sleep 1000", daemons(&mark));
        let made = worker(runtime, &root, &script);
        let mut command = Command::new(&binary);
        command.args(made.get_args()).uid(user).gid(user).current_dir("/");
        command.env_clear().envs(made.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut worker = command.stdout(Stdio::null()).spawn().expect("spawned");
        eventually("the sandbox runs", || processes_with(&mark).len() > 4);
        worker.kill().expect("killed");
        worker.wait().expect("waited for");
        eventually("all is gone", || processes_with(&mark).is_empty());
    });
}

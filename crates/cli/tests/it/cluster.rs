//! A server and two workers, each a process of its own, and what they say of a task.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use hostler_wire::json::word::RunStatus;
use hostler_wire::json::{AttemptList, Run, RunList};

use super::host::{Host, Process, until};

pub struct Cluster {
    _server: Process,
    workers: Vec<(Process, PathBuf)>,
}

impl Cluster {
    pub fn start(host: &mut Host) -> Cluster {
        // Free now; taken again at once.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        host.set("HOSTLER_TOKEN", "the-token-of-this-cluster");
        let listen = format!("127.0.0.1:{port}");
        let server = ["server", "--listen", &listen, "--fallback-runtime", "bubblewrap"];
        let server = host.start(&mut host.command(server));
        host.set("HOSTLER_URL", &url);
        let answers = || (host.run(["workers", "list"]).code == Some(0)).then_some(());
        until("the server answers", answers);
        let workers = ["one", "two"].map(|name| worker(host, &url, name));
        Cluster { _server: server, workers: workers.into() }
    }

    /// The worker of this id.
    pub fn take(&mut self, worker_id: &str) -> Process {
        let id = |dir: &PathBuf| fs::read_to_string(dir.join("worker-id")).unwrap_or_default();
        let index = self.workers.iter().position(|(_, dir)| id(dir).trim() == worker_id);
        self.workers.swap_remove(index.expect("one of them")).0
    }
}

fn worker(host: &Host, url: &str, name: &str) -> (Process, PathBuf) {
    let (dir, work) = (host.path(name), host.work());
    let words = ["worker", "--server", url, "--data-dir", dir.to_str().unwrap()];
    let words = [&words[..], &["--allow-dir", work.to_str().unwrap()]].concat();
    (host.start(&mut host.command(words)), dir)
}

/// The runs of a task, of which at most one may be live.
pub fn runs(host: &Host, task: &str) -> Vec<Run> {
    let list: RunList = host.ask(&["runs", "list", "--task", task]);
    let is_live = |run: &&Run| matches!(run.status, RunStatus::Accepted | RunStatus::Running);
    assert!(list.runs.iter().filter(is_live).count() <= 1, "{:?}", list.runs);
    list.runs
}

pub fn attempts(host: &Host, run: &Run) -> AttemptList {
    host.ask(&["runs", "attempts", &run.id.to_string()])
}

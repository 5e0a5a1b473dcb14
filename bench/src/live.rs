//! Tasks from their accept to their end, with a worker in a process of its own.

use std::process::Stdio;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::Fault;
use crate::accept;
use crate::client::{Client, Target};

/// Executions of the worker at a time. Assignments that wait for its connection are bounded by
/// the server at 1 024; this stays below.
const WINDOW: u64 = 512;

/// The worker's process, and what it prints.
pub struct Worker {
    pub child: Child,
    pub lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts one, and waits until the server has welcomed it.
    pub async fn start(target: &Target, arguments: &[&str]) -> Result<Worker, Fault> {
        let (command, rest) = arguments.split_first().ok_or("no command")?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(command)
            .arg(&target.address)
            .args(rest)
            .env("HOSTLER_TOKEN", &target.token)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let out = child.stdout.take().ok_or("the worker has no output")?;
        let mut lines = BufReader::new(out).lines();
        match lines.next_line().await?.as_deref() {
            Some("READY") => Ok(Worker { child, lines }),
            _ => Err("the worker did not begin".into()),
        }
    }
}

pub async fn live(target: Target, tasks: u64, clients: usize) -> Result<(), Fault> {
    Client::connect(&target).await?.make_agent().await?;
    let (window, until) = (WINDOW.to_string(), tasks.to_string());
    let mut worker = Worker::start(&target, &["worker", &window, &until]).await?;
    let begun = Instant::now();
    accept::pool(&target, tasks, clients).await?;
    let accepted = begun.elapsed();
    let ended = worker.child.wait().await?;
    let all = begun.elapsed();
    if !ended.success() {
        return Err("the worker failed".into());
    }
    let per_s = |time: std::time::Duration| tasks as f64 / time.as_secs_f64();
    println!("RESULT accept_per_s={:.0} per_s={:.0}", per_s(accepted), per_s(all));
    Ok(())
}

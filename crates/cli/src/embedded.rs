//! A server and a worker in this process.
//!
//! **What** What `hostler dev` is, and what `hostler run` starts where no server runs. The worker
//! connects to the server's port like any other.
//!
//! **Invariants** The note that lets other commands find the server is written when the server
//! answers and removed before it stops. One process at a time uses a data directory: the store
//! refuses the second.
//!
//! **Failure** If either of the two ends by itself, [`Local::ended`] says why; the other is then
//! stopped with it.
//!
//! **Not here** What the terminal shows of it (`cmd::dev`).

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use hostler_server::{Retention, Server};
use hostler_wire::client::Client;
use hostler_worker::config::{self as worker, Dirs};
use hostler_worker::sandbox;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::home::{self, Note};

/// The runtime for development where no worker offers the one that is asked for (POL-4).
pub const FALLBACK_RUNTIME: &str = "bubblewrap";
/// A worker without drain stops what it runs within its fence; a stuck one is left to the kernel,
/// which ends its sandboxes with the process.
const WORKER_STOP_MAX: Duration = Duration::from_secs(5);
/// The server's own limit for open connections, and some.
const SERVER_STOP_MAX: Duration = Duration::from_secs(7);
/// A server that listens answers within this, on the slowest of disks.
const READY_MAX: Duration = Duration::from_secs(20);
const READY_AGAIN: Duration = Duration::from_millis(20);

pub struct Setup {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    /// Given, or else the one kept in the data directory.
    pub token: Option<String>,
    pub slots: Option<u32>,
    pub retention: Retention,
    /// It belongs to a `hostler run`.
    pub embedded: bool,
}

/// The two of them, running.
pub struct Local {
    pub token: String,
    pub note: Note,
    pub data_dir: PathBuf,
    stop_server: CancellationToken,
    stop_worker: CancellationToken,
    server: JoinHandle<anyhow::Result<()>>,
    worker: JoinHandle<anyhow::Result<()>>,
}

impl Local {
    pub async fn start(setup: Setup) -> anyhow::Result<Local> {
        let Setup { listen, data_dir, token, slots, retention, embedded } = setup;
        home::make(&data_dir)?;
        let is_kept = token.is_none();
        let token = match token {
            Some(token) => token,
            None => home::token(&data_dir)?,
        };
        let config = hostler_server::Config {
            listen,
            data_dir: data_dir.clone(),
            database: None,
            token: token.clone(),
            fallback_runtime: Some(FALLBACK_RUNTIME.to_owned()),
            retention,
        };
        let server = Server::open(config).await?;
        let url = format!("http://{}", server.address());
        let mut config = worker_config(&url, &token, &data_dir)?;
        config.slots = slots.unwrap_or(config.slots);
        // The server's users are this machine's: they could read these folders anyway.
        config.dirs = Dirs::Any;
        let (stop_server, stop_worker) = (CancellationToken::new(), CancellationToken::new());
        let stop = stop_server.clone();
        let server = tokio::spawn(async move { Ok(server.run(stop).await?) });
        let stop = stop_worker.clone();
        let worker = tokio::spawn(async move { Ok(hostler_worker::run(config, stop).await?) });
        let token_file = is_kept.then(|| home::token_file(&data_dir));
        let note = Note { url, pid: std::process::id(), token_file, embedded };
        let mut local = Local { token, note, data_dir, stop_server, stop_worker, server, worker };
        match local.ready().await {
            Ok(()) => Ok(local),
            Err(error) => {
                local.stop().await;
                Err(error)
            }
        }
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let client = self.client("default")?;
        let deadline = Instant::now() + READY_MAX;
        while let Err(error) = client.healthz().await {
            if Instant::now() > deadline {
                return Err(error).context("the server does not answer");
            }
            tokio::select! {
                ended = &mut self.server => return Err(why("server", ended)),
                () = tokio::time::sleep(READY_AGAIN) => {}
            }
        }
        self.note.write(&self.data_dir)
    }

    pub fn client(&self, workspace: &str) -> anyhow::Result<Client> {
        Ok(Client::new(&self.note.url, Some(&self.token), workspace)?)
    }

    /// Resolves when one of the two has ended by itself.
    pub async fn ended(&mut self) -> anyhow::Error {
        tokio::select! {
            ended = &mut self.server => why("server", ended),
            ended = &mut self.worker => why("worker", ended),
        }
    }

    /// Ends the worker, so that its sandboxes are gone and reported, then the server.
    pub async fn stop(mut self) {
        self.note.remove(&self.data_dir);
        self.stop_worker.cancel();
        if !self.worker.is_finished() {
            let _ = tokio::time::timeout(WORKER_STOP_MAX, &mut self.worker).await;
        }
        self.stop_server.cancel();
        if !self.server.is_finished() {
            let _ = tokio::time::timeout(SERVER_STOP_MAX, &mut self.server).await;
        }
    }
}

/// A worker's config with what this process knows.
pub fn worker_config(
    url: &str,
    token: &str,
    data_dir: &std::path::Path,
) -> anyhow::Result<worker::Config> {
    let id = worker::worker_id(data_dir).context("the worker's data directory cannot be used")?;
    // This very program, also when another one has taken its place on the disk.
    let guardian = ["/proc/self/exe", sandbox::GUARDIAN].map(OsString::from).to_vec();
    let mut config = worker::Config::new(url, token, &id, data_dir, guardian);
    config.hostler_bin = std::env::current_exe().ok();
    Ok(config)
}

fn why(who: &str, ended: Result<anyhow::Result<()>, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok(Ok(())) => anyhow!("the {who} has ended"),
        Ok(Err(error)) => error.context(format!("the {who} has ended")),
        Err(error) => anyhow!(error).context(format!("the {who} has ended")),
    }
}

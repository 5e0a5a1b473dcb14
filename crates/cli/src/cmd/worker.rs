//! `hostler worker`: carries out what a server has to be done, until it is told to stop.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use hostler_wire::status::Exit;
use hostler_worker::config::Dirs;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::args::{Global, WorkerArgs};
use crate::connect::given;
use crate::embedded::worker_config;
use crate::fault::Fault;
use crate::home;
use crate::keyboard::Stops;

pub async fn worker(global: &Global, args: WorkerArgs) -> anyhow::Result<Exit> {
    let Some(server) = given(&args.server).or_else(|| given(&global.url)) else {
        return Err(Fault::usage("which server? give --server URL, or set HOSTLER_URL").into());
    };
    let Some(token) = given(&global.token) else {
        return Err(Fault::usage("a worker needs the server's token in HOSTLER_TOKEN").into());
    };
    // Beside a server on the same machine, each keeps its own.
    let data_dir = match &global.data_dir {
        Some(dir) => home::data_dir(Some(dir))?,
        None => home::data_dir(None)?.join("worker"),
    };
    home::make(&data_dir)?;
    let mut config = worker_config(&server, &token, &data_dir)?;
    config.slots = args.slots.unwrap_or(config.slots);
    config.drain = Duration::from_secs(args.drain);
    config.pool = args.pool;
    config.labels = args.labels.into_iter().collect();
    config.dirs = dirs(args.dirs)?;
    config.watchdog = true;
    info!(id = config.worker_id, %server, data_dir = %data_dir.display(), "the worker starts");
    let mut stops = Stops::listen()?;
    let stop = CancellationToken::new();
    let mut working = tokio::spawn(hostler_worker::run(config, stop.clone()));
    tokio::select! {
        ended = &mut working => ended??,
        _ = stops.next() => {
            info!("stopping; a second signal ends at once");
            stop.cancel();
            tokio::select! {
                ended = &mut working => ended??,
                _ = stops.next() => {}
            }
        }
    }
    Ok(Exit::Ok)
}

fn dirs(given: Vec<PathBuf>) -> anyhow::Result<Dirs> {
    if given.is_empty() {
        return Ok(Dirs::None);
    }
    let full = |dir: PathBuf| {
        dir.canonicalize().with_context(|| format!("the folder {} of --allow-dir", dir.display()))
    };
    Ok(Dirs::Under(given.into_iter().map(full).collect::<Result<_, _>>()?))
}

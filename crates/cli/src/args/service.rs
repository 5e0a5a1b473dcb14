//! What stays until it is stopped.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use hostler_server::Retention;

/// The address without any other; on loopback, since `dev` is for one machine.
const LISTEN: &str = "127.0.0.1:7700";

#[derive(Debug, Args)]
pub struct DevArgs {
    /// An address of this machine's loopback; port 0 takes a free one.
    #[arg(long, env = "HOSTLER_LISTEN", default_value = LISTEN, value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// How many agents run at a time [default: four a core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub slots: Option<u32>,
    #[command(flatten)]
    pub retention: RetentionArgs,
}

/// How much of each task's stream is kept; a gap stands for what is gone.
#[derive(Clone, Debug, Args)]
pub struct RetentionArgs {
    /// Records of one stream; 0 keeps all [default: 1000000].
    #[arg(long, env = "HOSTLER_STREAM_RECORDS_MAX", value_name = "N")]
    pub stream_records_max: Option<u64>,
    /// Days after which a task that has come to rest loses its stream; 0 keeps it [default: 30].
    #[arg(long, env = "HOSTLER_STREAM_DAYS", value_name = "N")]
    pub stream_days: Option<u32>,
}

impl RetentionArgs {
    pub fn retention(&self) -> Retention {
        let default = Retention::default();
        Retention {
            records_max_per_task: self.stream_records_max.unwrap_or(default.records_max_per_task),
            days_after_rest: self.stream_days.unwrap_or(default.days_after_rest),
        }
    }
}

#[derive(Debug, Args)]
pub struct ServerArgs {
    #[arg(long, env = "HOSTLER_LISTEN", default_value = LISTEN, value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Where everything is kept: `sqlite:PATH` [default: hostler.db in the data directory].
    #[arg(long, env = "HOSTLER_STORE", value_name = "STORE", value_parser = store)]
    pub store: Option<PathBuf>,
    /// The runtime for tasks whose own no worker offers, such as `bubblewrap`; without it they
    /// wait.
    #[arg(long, value_name = "RUNTIME")]
    pub fallback_runtime: Option<String>,
    #[command(flatten)]
    pub retention: RetentionArgs,
}

#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// The server's address [default: HOSTLER_URL].
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// How many agents run at a time [default: four a core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub slots: Option<u32>,
    /// How long what runs may go on after the first signal; then it is stopped, and done again by
    /// another worker.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub drain: u64,
    /// The named set of workers that it belongs to.
    #[arg(long, default_value = "default")]
    pub pool: String,
    /// What else is to be known of it; may be given again.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// A folder that tasks may name, with all below it; may be given again.
    #[arg(long = "allow-dir", value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
}

fn store(text: &str) -> Result<PathBuf, String> {
    match text.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err("a store is sqlite:PATH; no other kind is built in".to_owned()),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("a label is KEY=VALUE".to_owned()),
    }
}

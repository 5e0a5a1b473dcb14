//! How a server is set up. Names of the environment are the fixed ones (spec 12).

use std::net::SocketAddr;
use std::path::PathBuf;

pub use hostler_core::retention::Retention;

/// What one server process needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    /// Where the embedded store and everything else of this server is kept.
    pub data_dir: PathBuf,
    /// The embedded store's file, when it is not `hostler.db` in the data directory.
    pub database: Option<PathBuf>,
    /// Accepted as an admin token.
    pub token: String,
    /// The runtime for development where no worker offers the one that is asked for (POL-4).
    pub fallback_runtime: Option<String>,
    /// How much of each stream is kept: `HOSTLER_STREAM_RECORDS_MAX`, `HOSTLER_STREAM_DAYS`.
    pub retention: Retention,
}

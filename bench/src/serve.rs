//! The server that is measured: the one that `hostler server` runs, opened by the same call.

use std::path::PathBuf;

use hostler_server::{Config, Retention, Server};
use tokio_util::sync::CancellationToken;

use crate::Fault;
use crate::client::Target;

/// Serves until it is killed.
pub async fn serve(target: Target, folder: PathBuf) -> Result<(), Fault> {
    let config = Config {
        listen: target.address.parse()?,
        data_dir: folder,
        database: None,
        token: target.token,
        fallback_runtime: None,
        retention: Retention::default(),
    };
    let server = Server::open(config).await?;
    println!("READY {}", server.address());
    server.run(CancellationToken::new()).await?;
    Ok(())
}

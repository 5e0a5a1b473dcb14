//! `hostler server`: the server alone, until it is told to stop.

use hostler_server::Server;
use hostler_wire::status::Exit;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::args::{Global, ServerArgs};
use crate::connect::given;
use crate::fault::Fault;
use crate::home;
use crate::keyboard::Stops;

pub async fn server(global: &Global, args: ServerArgs) -> anyhow::Result<Exit> {
    let Some(token) = given(&global.token) else {
        let text = "a server needs a token: set HOSTLER_TOKEN to a long random text, and give the \
                    same to its workers and clients";
        return Err(Fault::usage(text).into());
    };
    let data_dir = home::data_dir(global.data_dir.as_deref())?;
    home::make(&data_dir)?;
    let config = hostler_server::Config {
        listen: args.listen,
        data_dir: data_dir.clone(),
        database: args.store,
        token,
        fallback_runtime: args.fallback_runtime,
        retention: args.retention.retention(),
    };
    let mut stops = Stops::listen()?;
    let server = Server::open(config).await?;
    info!(address = %server.address(), data_dir = %data_dir.display(), "the server listens");
    let stop = CancellationToken::new();
    let mut serving = tokio::spawn(server.run(stop.clone()));
    tokio::select! {
        ended = &mut serving => ended??,
        _ = stops.next() => {
            info!("stopping; a second signal ends at once");
            stop.cancel();
            tokio::select! {
                ended = &mut serving => ended??,
                _ = stops.next() => {}
            }
        }
    }
    Ok(Exit::Ok)
}

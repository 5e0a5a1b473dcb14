//! # Hostler's server
//!
//! **What** It waits and translates: HTTP and gRPC on one port, the driver that carries the
//! engine's outputs to the store, and the end of all of it.
//!
//! **Failure** Whatever was answered survives a `kill -9`; whatever was not may be asked again.
//!
//! **Not here** Rules (`core`), SQL (`store`), shapes of JSON (`wire`), executions (`worker`).
#![forbid(unsafe_code)]

mod clock;
pub mod config;
mod depth;
mod driver;
mod grpc;
mod http;
mod tails;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use hostler_core::engine;
use hostler_store::Store;
use hostler_store::sqlite::Sqlite;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::{Config, Retention};
pub use http::openapi;

/// How long open connections have to end after a stop was asked for.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Why a server did not start or did not go on.
#[derive(Debug)]
pub enum Error {
    DataDir(io::Error),
    Store(hostler_store::Error),
    Listen(SocketAddr, io::Error),
    Serve(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::DataDir(_) => f.write_str("the data directory cannot be used"),
            Error::Store(_) => f.write_str("the store cannot be opened"),
            Error::Listen(address, _) => write!(f, "cannot listen on {address}"),
            Error::Serve(_) => f.write_str("the server cannot go on"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::DataDir(source) | Error::Listen(_, source) | Error::Serve(source) => {
                Some(source)
            }
            Error::Store(source) => Some(source),
        }
    }
}

/// A server that listens; it serves when it is run.
pub struct Server {
    config: Config,
    store: Arc<dyn Store>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Opens the store and the port, so that a fault is told before anything begins.
    pub async fn open(config: Config) -> Result<Server, Error> {
        std::fs::create_dir_all(&config.data_dir).map_err(Error::DataDir)?;
        let in_data_dir = || config.data_dir.join("hostler.db");
        let database = config.database.clone().unwrap_or_else(in_data_dir);
        let store = Sqlite::open(&database).map_err(Error::Store)?;
        store.migrate().map_err(Error::Store)?;
        let listener = TcpListener::bind(config.listen).await;
        let listener = listener.map_err(|error| Error::Listen(config.listen, error))?;
        let address = listener.local_addr().map_err(Error::Serve)?;
        Ok(Server { config, store: Arc::new(store), listener, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled, then ends what is open and returns.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let Server { config, store, listener, address: _ } = self;
        let tails = Arc::new(tails::Tails::default());
        let (fallback_runtime, retention) = (config.fallback_runtime.clone(), config.retention);
        let engine = engine::Config { fallback_runtime, retention };
        let (handle, thread) =
            driver::start(store.clone(), tails.clone(), engine).map_err(Error::Serve)?;
        let token = http::TokenHash::of(&config.token);
        let fallback = config.fallback_runtime;
        let app = http::App::new(handle.clone(), store, tails, token, fallback, stop.clone());
        let workers = grpc::service(handle.clone(), token, stop.clone());
        let routes = tonic::service::Routes::new(workers);
        let grpc = routes.into_axum_router().reset_fallback();
        let service = http::router(app).merge(grpc);
        let listener = listener.tap_io(|stream| {
            // Small frames must not wait for more to come.
            let _ = stream.set_nodelay(true);
        });
        let serving = axum::serve(listener, service);
        let serving = serving.with_graceful_shutdown(stop.clone().cancelled_owned());
        let serving = std::future::IntoFuture::into_future(serving);
        let drained = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN_MAX).await;
        };
        let served = tokio::select! {
            served = serving => served.map_err(Error::Serve),
            () = drained => Ok(()),
        };
        handle.stop();
        let ended = tokio::task::spawn_blocking(move || thread.join()).await;
        debug_assert!(ended.is_ok());
        served
    }
}

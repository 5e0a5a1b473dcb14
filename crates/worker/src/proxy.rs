//! # The model proxy
//!
//! **What** One per sandbox: a unix socket on which the agent speaks HTTP/1.1 to what it takes
//! for its model provider. Each request goes to the one upstream the worker was given, with the
//! worker's credential in place of whatever the agent sent. Bodies stream both ways, so that
//! server-sent events arrive as they are made.
//!
//! **Invariants** The credential never enters the sandbox, in either direction. No request goes
//! anywhere but to the upstream, whatever its host or target says; CONNECT is refused, and a
//! redirect is handed to the agent, not followed.
//!
//! **Failure** An upstream that cannot be reached is a 502, and every error made here has the
//! provider's shape: `{"type":"error","error":{"type":"…","message":"…"}}`. A body that ends
//! early upstream ends the connection to the agent early too.
//!
//! **Not here** Where the credential comes from (the worker's environment), who may use it.

mod exchange;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use self::exchange::Exchange;

/// An agent with a few tools at once uses a handful; the rest waits in the socket's queue.
const CONNECTIONS_MAX: usize = 64;
/// What the largest provider takes is half of it.
pub(crate) const BODY_BYTES_MAX: usize = 64 << 20;
/// A request's head is written in one go.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Where requests go.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// `https://api.anthropic.com`, or an address with a path of its own that is put before the
    /// request's.
    pub base_url: String,
    pub credential: Credential,
}

/// The header that proves the worker to the upstream.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Header { name: String, value: String },
    None,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Credential::Header { name, .. } => {
                f.debug_struct("Header").field("name", name).finish_non_exhaustive()
            }
            Credential::None => f.write_str("None"),
        }
    }
}

/// A listening proxy. Dropping it ends its connections and removes the socket.
#[derive(Debug)]
pub struct ModelProxy {
    socket: PathBuf,
    server: JoinHandle<()>,
}

impl ModelProxy {
    /// Listens on `socket`, in place of one that an earlier worker left. To be called within a
    /// tokio runtime.
    pub fn start(upstream: Upstream, socket: PathBuf) -> io::Result<ModelProxy> {
        let exchange = Arc::new(Exchange::new(&upstream)?);
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&socket)?;
        // Sandboxes run as the worker's own user; nobody else may spend its credential.
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
        let server = tokio::spawn(serve(listener, exchange));
        Ok(ModelProxy { socket, server })
    }

    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }
}

impl Drop for ModelProxy {
    fn drop(&mut self) {
        // The connections are in a set that the server's task owns, and end with it.
        self.server.abort();
        let _ = fs::remove_file(&self.socket);
    }
}

async fn serve(listener: UnixListener, exchange: Arc<Exchange>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let place = places.clone().acquire_owned().await.expect("never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let exchange = exchange.clone();
                connections.spawn(async move {
                    converse(stream, exchange).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely; the agent's next attempt waits in the queue.
                tracing::warn!(%error, "model proxy: accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, exchange: Arc<Exchange>) {
    let service = service_fn(move |request| {
        let exchange = exchange.clone();
        async move { Ok::<_, std::convert::Infallible>(exchange.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "model proxy: connection ended");
    }
}

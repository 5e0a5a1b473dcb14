//! # The link to the server
//!
//! **What** One gRPC stream: how it is opened, what goes out over it in which order, and how long
//! to wait before the next try. [`Connection`] is one stream; it is made anew, never repaired.
//!
//! **Invariants** Frames of control (heartbeats, reports, offers) go out before logs. A stream's
//! first frame is its hello. The transport asks for the next frame when it has room, so what
//! waits is gathered into few large frames.
//!
//! **Failure** [`LinkError`] says what a failed try means for the worker: try again, begin anew
//! as another incarnation, or give up.
//!
//! **Not here** What the frames say (`driver`), what is sent again (`driver::outbox`, `spool`).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use hostler_core::limits;
use hostler_wire::v1::worker_service_client::WorkerServiceClient;
use hostler_wire::v1::{
    Hello, LogBatch, LogChunk, ServerFrame, Welcome, WorkerFrame, server_frame, worker_frame,
};
use tokio::sync::mpsc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use crate::spool::CHUNK_BYTES;

/// Frames of control that wait for the transport: a report, a heartbeat and an offer, twice over.
/// What finds no place waits in the driver's own state, where it is merged.
const CONTROL_QUEUE: usize = 6;
/// Chunks that wait for the transport: two full batches.
const CHUNK_QUEUE: usize = 2 * limits::BATCH_CHUNKS_MAX;
/// A batch is closed by the chunk that reaches this, and stays below what a server takes (4 MiB).
const BATCH_BYTES_MAX: usize = 1 << 20;
const FRAME_BYTES_MAX: usize = 32 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(2);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(4);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

const _: () = assert!(CHUNK_BYTES <= BATCH_BYTES_MAX);

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum LinkError {
    /// The server cannot be reached, or went away: try again.
    Unreachable(String),
    /// The server does not know this incarnation (any more).
    Unknown(String),
    /// The server will not have this worker: the token, the id, the protocol.
    Refused(String),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Unreachable(text) | LinkError::Unknown(text) | LinkError::Refused(text) => {
                f.write_str(text)
            }
        }
    }
}

impl From<Status> for LinkError {
    fn from(status: Status) -> Self {
        let text = format!("{:?}: {}", status.code(), status.message());
        match status.code() {
            Code::NotFound | Code::FailedPrecondition => LinkError::Unknown(text),
            Code::Unauthenticated
            | Code::PermissionDenied
            | Code::InvalidArgument
            | Code::Unimplemented => LinkError::Refused(text),
            _ => LinkError::Unreachable(text),
        }
    }
}

/// Where the server is, and what proves us to it.
#[derive(Clone)]
pub(crate) struct Address {
    endpoint: Endpoint,
    authorization: MetadataValue<Ascii>,
}

impl Address {
    pub(crate) fn new(server: &str, token: &str) -> Result<Address, String> {
        let endpoint = Endpoint::from_shared(server.to_owned())
            .map_err(|_| format!("`{server}` is not like http://host:port"))?;
        if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().host().is_none() {
            return Err(format!("`{server}` is not like http://host:port"));
        }
        let mut authorization: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .map_err(|_| "the token holds characters that a header cannot".to_owned())?;
        authorization.set_sensitive(true);
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        Ok(Address { endpoint, authorization })
    }

    pub(crate) async fn reach(&self) -> Result<Channel, LinkError> {
        let connected = self.endpoint.connect().await;
        connected.map_err(|error| LinkError::Unreachable(chain(&error)))
    }

    /// Opens the stream with `hello` as its first frame.
    pub(crate) async fn open(
        &self,
        channel: Channel,
        hello: Hello,
    ) -> Result<(Connection, Welcome), LinkError> {
        let opened = tokio::time::timeout(WELCOME_TIMEOUT, self.greet(channel, hello)).await;
        let silence = || LinkError::Unreachable("the server sent no welcome".to_owned());
        opened.unwrap_or_else(|_| Err(silence()))
    }

    async fn greet(
        &self,
        channel: Channel,
        hello: Hello,
    ) -> Result<(Connection, Welcome), LinkError> {
        let (control, control_receiver) = mpsc::channel(CONTROL_QUEUE);
        let (chunks, chunk_receiver) = mpsc::channel(CHUNK_QUEUE);
        let first = frame(worker_frame::Body::Hello(hello));
        let _ = control.try_send(first);
        let outgoing = Outgoing { control: control_receiver, chunks: chunk_receiver };
        let mut request = Request::new(outgoing);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        let mut client =
            WorkerServiceClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX);
        let mut incoming = client.connect(request).await?.into_inner();
        let body = incoming.message().await?.and_then(|frame| frame.body);
        match body {
            Some(server_frame::Body::Welcome(welcome)) => {
                Ok((Connection { control, chunks, incoming }, welcome))
            }
            Some(_) => Err(LinkError::Refused("the server did not begin with a welcome".into())),
            None => Err(LinkError::Unreachable("the server ended the stream".into())),
        }
    }
}

/// One stream.
pub(crate) struct Connection {
    pub(crate) control: mpsc::Sender<WorkerFrame>,
    pub(crate) chunks: mpsc::Sender<LogChunk>,
    incoming: Streaming<ServerFrame>,
}

impl Connection {
    /// The next frame. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<server_frame::Body, LinkError> {
        loop {
            match self.incoming.message().await? {
                Some(ServerFrame { body: Some(body) }) => return Ok(body),
                // A frame of a later version of the protocol.
                Some(ServerFrame { body: None }) => {}
                None => {
                    let text = "the server ended the stream".to_owned();
                    return Err(LinkError::Unreachable(text));
                }
            }
        }
    }
}

pub(crate) fn frame(body: worker_frame::Body) -> WorkerFrame {
    WorkerFrame { body: Some(body) }
}

/// What the transport takes its frames from.
struct Outgoing {
    control: mpsc::Receiver<WorkerFrame>,
    chunks: mpsc::Receiver<LogChunk>,
}

impl Stream for Outgoing {
    type Item = WorkerFrame;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WorkerFrame>> {
        let this = self.get_mut();
        // The driver lets go of its end when the connection is over.
        match this.control.poll_recv(context) {
            Poll::Ready(next) => return Poll::Ready(next),
            Poll::Pending => {}
        }
        let mut chunks = Vec::new();
        let mut bytes = 0;
        while chunks.len() < limits::BATCH_CHUNKS_MAX && bytes < BATCH_BYTES_MAX {
            match this.chunks.poll_recv(context) {
                Poll::Ready(Some(chunk)) => {
                    bytes += size(&chunk);
                    chunks.push(chunk);
                }
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        if chunks.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Some(frame(worker_frame::Body::Logs(LogBatch { chunks }))))
    }
}

fn size(chunk: &LogChunk) -> usize {
    chunk.records.iter().map(|record| record.data.len() + record.metadata_json.len()).sum()
}

/// How long to wait before the next try: doubled each time, and spread so that the workers of a
/// server that came back do not all come at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn next(&mut self) -> Duration {
        let full = BACKOFF_MIN.saturating_mul(1 << self.failures.min(10)).min(BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
        // Without entropy there is no spread, which is no reason to stop.
        let chance = getrandom::u32().unwrap_or(u32::MAX);
        full.mul_f64(0.5 + 0.5 * f64::from(chance) / f64::from(u32::MAX))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_grows_within_its_bounds() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..100).map(|_| backoff.next()).collect();
        assert!(waits[0] >= BACKOFF_MIN / 2 && waits[0] <= BACKOFF_MIN);
        assert!(waits[99] >= BACKOFF_MAX / 2);
        assert!(waits.iter().all(|wait| *wait <= BACKOFF_MAX));
        backoff.reset();
        assert!(backoff.next() <= BACKOFF_MIN);
    }

    #[test]
    fn addresses_are_http_with_a_host() {
        for good in ["http://127.0.0.1:8080", "http://server:1"] {
            assert!(Address::new(good, "t").is_ok(), "{good}");
        }
        for bad in ["", "server:1", "https://server:1", "ftp://x", "http://"] {
            assert!(Address::new(bad, "t").is_err(), "{bad}");
        }
        assert!(Address::new("http://server:1", "a\nb").is_err());
    }
}

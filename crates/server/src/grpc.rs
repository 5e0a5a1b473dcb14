//! # The worker protocol
//!
//! **What** One stream per worker (`proto/v1/worker.proto`). Frames become commands of the engine
//! in the order of their coming; answers and pushes go back over the same stream.
//!
//! **Invariants** An answer is sent after its command is durable. A connection holds no state that
//! the next one could miss: what it forgets comes again with the worker's heartbeats.
//!
//! **Failure** A frame that cannot be read ends the connection with its reason. A worker that does
//! not read its answers is not read from (`ANSWERS_MAX`).
//!
//! **Not here** Leases, fencing, what is lost (`core::worker`).

mod translate;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::Stream;
use hostler_core::command::{Answer, Command};
use hostler_core::engine::{Connected, Link, Push, PushKind, Refused};
use hostler_core::id::WorkerId;
use hostler_core::limits;
use hostler_core::run::start::Writer;
use hostler_core::worker::append::ChunkAck;
use hostler_core::worker::hello::{Hello, Orders};
use hostler_wire::v1;
use hostler_wire::v1::server_frame::Body as ServerBody;
use hostler_wire::v1::worker_frame::Body as WorkerBody;
use hostler_wire::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::driver::Handle;
use crate::http::TokenHash;

/// Frames of one worker whose answers are outstanding: enough to keep a round full, few enough
/// that a worker that does not read is noticed at once.
const ANSWERS_MAX: usize = 256;
/// A whole batch of log chunks, or the largest input (ACC-8), with its framing. The worker reads
/// frames of the same size.
const FRAME_BYTES_MAX: usize = 32 << 20;

const _: () = assert!(
    limits::MESSAGE_BYTES_MAX + limits::ATTACHMENTS_BYTES_MAX + limits::CONFIG_BYTES_MAX
        < FRAME_BYTES_MAX / 2,
    "an assignment fits a frame"
);

pub type Service = WorkerServiceServer<Workers>;

pub struct Workers {
    handle: Handle,
    token: TokenHash,
    links: Arc<AtomicU64>,
    stopping: CancellationToken,
}

/// The service, to be put beside the HTTP routes.
pub fn service(handle: Handle, token: TokenHash, stopping: CancellationToken) -> Service {
    let links = Arc::new(AtomicU64::new(1));
    WorkerServiceServer::new(Workers { handle, token, links, stopping })
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .max_encoding_message_size(FRAME_BYTES_MAX)
}

type Frames = Pin<Box<dyn Stream<Item = Result<v1::ServerFrame, Status>> + Send>>;

#[tonic::async_trait]
impl WorkerService for Workers {
    type ConnectStream = Frames;

    async fn connect(
        &self,
        request: Request<Streaming<v1::WorkerFrame>>,
    ) -> Result<Response<Frames>, Status> {
        if let Err(why) = self.token.admits(request.metadata().as_ref()) {
            return Err(Status::unauthenticated(why));
        }
        let mut incoming = request.into_inner();
        let hello = match incoming.message().await?.and_then(|frame| frame.body) {
            Some(WorkerBody::Hello(hello)) => translate::hello(hello)?,
            _ => return Err(Status::invalid_argument("the first frame is not `hello`")),
        };
        let link = self.links.fetch_add(1, Ordering::Relaxed);
        let worker = hello.writer.worker_id.clone();
        let connected = Connected {
            link,
            incarnation: hello.writer.incarnation,
            offer: hello.offer.clone(),
            offered: 0,
            given: 0,
        };
        let pushes = self.handle.connected(worker.clone(), connected);
        let gone = Gone { handle: self.handle.clone(), worker, link };
        let welcome = welcome(&self.handle, &hello).await?;
        tracing::info!(worker = %hello.writer.worker_id, link, "a worker has connected");
        let (frames, outgoing) = mpsc::channel(ANSWERS_MAX);
        let (answers, answered) = mpsc::channel(ANSWERS_MAX);
        // The channel is empty and bounded far above one.
        let _ = frames.try_send(Ok(frame(ServerBody::Welcome(welcome))));
        let writer = Outgoing { frames, stopping: self.stopping.clone() };
        tokio::spawn(writer.run(answered, pushes));
        let reader = Incoming { handle: self.handle.clone(), writer: hello.writer, link, answers };
        tokio::spawn(async move {
            let _gone = gone;
            reader.run(incoming).await;
        });
        let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
        Ok(Response::new(Box::pin(outgoing)))
    }
}

/// Tells the engine when the connection is over, however it ends.
struct Gone {
    handle: Handle,
    worker: WorkerId,
    link: Link,
}

impl Drop for Gone {
    fn drop(&mut self) {
        tracing::info!(worker = %self.worker, link = self.link, "a worker's connection has ended");
        self.handle.disconnected(self.worker.clone(), self.link);
    }
}

async fn welcome(handle: &Handle, hello: &Hello) -> Result<v1::Welcome, Status> {
    let answer = handle.ask(Command::Hello(Box::new(hello.clone()))).await;
    let Orders { lost, cancel } = match answer.map_err(status)? {
        Answer::Orders(orders) => orders,
        other => unreachable!("a command is answered in kind: {other:?}"),
    };
    Ok(v1::Welcome {
        lease_ms: limits::LEASE.0 as u64,
        heartbeat_ms: limits::HEARTBEAT.0 as u64,
        fence_ms: limits::FENCE.0 as u64,
        lost: translate::ids(lost),
        cancel: translate::ids(cancel),
    })
}

fn status(refused: Refused) -> Status {
    match refused {
        Refused::Rejected(rejection) => {
            Status::new(hostler_wire::status::grpc(rejection.code), rejection.message)
        }
        Refused::Unavailable | Refused::Unknown => Status::unavailable("the store cannot be used"),
    }
}

fn frame(body: ServerBody) -> v1::ServerFrame {
    v1::ServerFrame { body: Some(body) }
}

/// A question that the engine is working on, and what its answer becomes.
enum Pending {
    Beat { sent_at_ms: u64, answer: oneshot::Receiver<Result<Answer, Refused>> },
    Report { number: u64, ids: Vec<String>, answer: oneshot::Receiver<Result<Answer, Refused>> },
    Logs { answer: oneshot::Receiver<Result<Answer, Refused>> },
    Failed(Status),
}

/// Frames from the worker to the engine.
struct Incoming {
    handle: Handle,
    writer: Writer,
    link: Link,
    answers: mpsc::Sender<Pending>,
}

impl Incoming {
    async fn run(self, mut frames: Streaming<v1::WorkerFrame>) {
        while let Ok(Some(frame)) = frames.message().await {
            let pending = match frame.body.map(|body| self.take(body)) {
                Some(Ok(Some(pending))) => pending,
                Some(Ok(None)) => continue,
                Some(Err(status)) => Pending::Failed(status),
                None => Pending::Failed(Status::invalid_argument("a frame without a body")),
            };
            let over = matches!(pending, Pending::Failed(_));
            // Waits while the worker does not read its answers.
            if self.answers.send(pending).await.is_err() || over {
                return;
            }
        }
    }

    fn take(&self, body: WorkerBody) -> Result<Option<Pending>, Status> {
        match body {
            WorkerBody::Hello(_) => Err(Status::invalid_argument("`hello` comes once")),
            WorkerBody::Heartbeat(beat) => {
                let command = translate::beat(self.writer.clone(), &beat)?;
                let answer = self.handle.ask_later(command);
                Ok(Some(Pending::Beat { sent_at_ms: beat.sent_at_ms, answer }))
            }
            WorkerBody::Offer(offer) => {
                let worker = self.writer.worker_id.clone();
                self.handle.offered(worker, self.link, offer.total);
                Ok(None)
            }
            WorkerBody::Report(report) => {
                let number = report.number;
                let ids = report.events.iter().map(|event| event.attempt_id.clone()).collect();
                let command = translate::report(self.writer.clone(), report)?;
                Ok(Some(Pending::Report { number, ids, answer: self.handle.ask_later(command) }))
            }
            WorkerBody::Logs(batch) => {
                let command = translate::logs(self.writer.clone(), batch)?;
                Ok(Some(Pending::Logs { answer: self.handle.ask_later(command) }))
            }
            WorkerBody::Goodbye(v1::Goodbye {}) => {
                drop(self.handle.ask_later(Command::Goodbye(self.writer.clone())));
                Ok(None)
            }
        }
    }
}

/// Answers in their order, and pushes as they come, to the worker.
struct Outgoing {
    frames: mpsc::Sender<Result<v1::ServerFrame, Status>>,
    stopping: CancellationToken,
}

impl Outgoing {
    async fn run(self, mut answers: mpsc::Receiver<Pending>, mut pushes: mpsc::Receiver<Push>) {
        loop {
            let sent = tokio::select! {
                pending = answers.recv() => match pending {
                    Some(pending) => self.send(answer(pending).await).await,
                    None => return,
                },
                push = pushes.recv() => match push {
                    Some(push) => self.send(Ok(pushed(push))).await,
                    // The engine has a newer connection of this worker.
                    None => return,
                },
                () = self.stopping.cancelled() => {
                    let lease_ms = limits::LEASE.0 as u64;
                    self.send(Ok(ServerBody::Drain(v1::Drain { lease_ms }))).await;
                    return;
                }
            };
            if !sent {
                return;
            }
        }
    }

    async fn send(&self, body: Result<ServerBody, Status>) -> bool {
        let over = body.is_err();
        self.frames.send(body.map(frame)).await.is_ok() && !over
    }
}

/// One push as a frame.
fn pushed(push: Push) -> ServerBody {
    match push.what {
        PushKind::Cancel(id) => {
            ServerBody::Cancel(v1::Cancel { attempt_ids: vec![id.to_string()] })
        }
        PushKind::Assign(assignment) => {
            let assignments = vec![translate::assignment(*assignment)];
            ServerBody::Assign(v1::Assign { assignments })
        }
        PushKind::Give { attempt_id, term, steer, input } => {
            let (attempt_id, input) = (attempt_id.to_string(), Some(translate::turn_input(*input)));
            let inputs = vec![v1::Given { attempt_id, term, steer, input }];
            ServerBody::Give(v1::Give { inputs })
        }
        PushKind::Interrupt { attempt_id, input_id } => {
            let attempt_ids = vec![attempt_id.to_string()];
            let input_ids = vec![input_id.to_string()];
            ServerBody::Interrupt(v1::Interrupt { attempt_ids, input_ids })
        }
        PushKind::Close(id) => ServerBody::Close(v1::Close { attempt_ids: vec![id.to_string()] }),
    }
}

async fn answer(pending: Pending) -> Result<ServerBody, Status> {
    let gone = || Status::unavailable("the server stops");
    match pending {
        Pending::Failed(status) => Err(status),
        Pending::Beat { sent_at_ms, answer } => {
            match answer.await.map_err(|_| gone())?.map_err(status)? {
                Answer::Orders(Orders { lost, cancel }) => {
                    let (lost, cancel) = (translate::ids(lost), translate::ids(cancel));
                    Ok(ServerBody::HeartbeatAck(v1::HeartbeatAck { sent_at_ms, lost, cancel }))
                }
                Answer::UnknownWorker => Err(Status::failed_precondition(
                    "this incarnation of the worker is not known any more",
                )),
                other => unreachable!("a command is answered in kind: {other:?}"),
            }
        }
        Pending::Report { number, ids, answer } => {
            match answer.await.map_err(|_| gone())?.map_err(status)? {
                Answer::Verdicts(verdicts) => {
                    let events = ids.into_iter().zip(verdicts);
                    let events = events.map(|(id, verdict)| translate::verdict(id, verdict));
                    let events = events.collect();
                    Ok(ServerBody::ReportAck(v1::ReportAck { number, events }))
                }
                other => unreachable!("a command is answered in kind: {other:?}"),
            }
        }
        Pending::Logs { answer } => match answer.await.map_err(|_| gone())?.map_err(status)? {
            Answer::ChunkAcks(acks) => {
                let chunk = |ack: ChunkAck| v1::LogChunkAck {
                    attempt_id: ack.attempt_id.to_string(),
                    next_number: ack.next_number,
                    fenced: ack.fenced,
                };
                let chunks = acks.into_iter().map(chunk).collect();
                Ok(ServerBody::LogAck(v1::LogAck { chunks }))
            }
            other => unreachable!("a command is answered in kind: {other:?}"),
        },
    }
}

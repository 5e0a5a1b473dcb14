//! # The worker whose work is nothing
//!
//! **What** It speaks the worker protocol as a worker does (hello, offers, heartbeats, reports)
//! and ends each execution the moment it has it: started, turn started, turn ended, ended, in
//! one report with whatever else has come meanwhile.
//!
//! **Not here** Sandboxes, agents, logs, reconnecting: a connection that ends is an error.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt;
use hostler_wire::v1::server_frame::Body as ServerBody;
use hostler_wire::v1::worker_frame::Body as WorkerBody;
use hostler_wire::v1::worker_service_client::WorkerServiceClient;
use hostler_wire::v1::{self, event_ack::Verdict, execution_event::Event};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Request, Streaming};

use crate::Fault;
use crate::client::Target;
use crate::sample::wall_ns;

/// Frames that go into one report at most.
const GATHERED_MAX: usize = 128;
/// Events of one execution.
const EVENTS: usize = 4;
/// Executions in one report at most: a server takes up to 256 events.
const REPORTED_MAX: usize = 256 / EVENTS;
const HEARTBEAT: Duration = Duration::from_secs(2);

/// One connection of a worker.
pub struct Link {
    frames: mpsc::Sender<v1::WorkerFrame>,
    pub incoming: Streaming<v1::ServerFrame>,
}

impl Link {
    /// Connects and says hello; the welcome has come when it returns.
    pub async fn connect(target: &Target) -> Result<Link, Fault> {
        let endpoint = Endpoint::from_shared(format!("http://{}", target.address))?;
        let channel = endpoint.tcp_nodelay(true).connect().await?;
        let (frames, outgoing) = mpsc::channel(64);
        let link_frames = frames.clone();
        let incarnation = uuid::Builder::from_random_bytes(random_bytes()).into_uuid();
        let hello = v1::Hello {
            worker_id: "bench".to_owned(),
            incarnation: incarnation.to_string(),
            pool: "default".to_owned(),
            runtimes: vec!["gvisor".to_owned(), "bubblewrap".to_owned()],
            runners: vec!["scripted".to_owned()],
            cpu_millis: 1_000_000,
            memory_bytes: 1 << 40,
            version: "bench".to_owned(),
            ..v1::Hello::default()
        };
        frames.send(frame(WorkerBody::Hello(hello))).await?;
        let mut request = Request::new(ReceiverStream::new(outgoing));
        let token = format!("Bearer {}", target.token).parse()?;
        request.metadata_mut().insert("authorization", token);
        let mut client = WorkerServiceClient::new(channel);
        let mut incoming = client.connect(request).await?.into_inner();
        match incoming.message().await?.and_then(|frame| frame.body) {
            Some(ServerBody::Welcome(_)) => Ok(Link { frames: link_frames, incoming }),
            other => Err(format!("instead of a welcome came {other:?}").into()),
        }
    }

    pub async fn send(&self, body: WorkerBody) -> Result<(), Fault> {
        Ok(self.frames.send(frame(body)).await?)
    }
}

/// Std's hasher keys are the system's entropy; no more is needed to tell processes apart.
fn random_bytes() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let half = || RandomState::new().hash_one(wall_ns()).to_le_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&half());
    bytes[8..].copy_from_slice(&half());
    bytes
}

fn frame(body: WorkerBody) -> v1::WorkerFrame {
    v1::WorkerFrame { body: Some(body) }
}

/// What a worker holds, and what it has done.
#[derive(Default)]
pub struct Work {
    /// Executions whose end is not acknowledged, with their terms.
    held: HashMap<String, u64>,
    /// Executions whose end is acknowledged: an assignment that a heartbeat brought again may
    /// come after it.
    ended: HashSet<String>,
    reports: u64,
    pub done: u64,
    /// Assignments that wait for the next report.
    waiting: Vec<v1::Assignment>,
}

impl Work {
    /// Takes an assignment that is new here.
    pub fn take(&mut self, assignment: v1::Assignment) -> bool {
        let id = &assignment.attempt_id;
        let known =
            self.ended.contains(id) || self.held.insert(id.clone(), assignment.term).is_some();
        if !known {
            self.waiting.push(assignment);
        }
        !known
    }

    /// A report of what was taken since the last one, the oldest first.
    pub fn report(&mut self) -> Option<WorkerBody> {
        if self.waiting.is_empty() {
            return None;
        }
        self.reports += 1;
        let count = self.waiting.len().min(REPORTED_MAX);
        let events = self.waiting.drain(..count).flat_map(whole_life).collect();
        Some(WorkerBody::Report(v1::Report { number: self.reports, events }))
    }

    pub fn acknowledged(&mut self, ack: v1::ReportAck) -> Result<(), Fault> {
        for events in ack.events.chunks(EVENTS) {
            let last = events.last().ok_or("an empty acknowledgement")?;
            if last.verdict() != Verdict::Accepted {
                return Err(format!("a report was answered {:?}", last.verdict()).into());
            }
            if self.held.remove(&last.attempt_id).is_some() {
                self.ended.insert(last.attempt_id.clone());
                self.done += 1;
            }
        }
        Ok(())
    }

    pub fn heartbeat(&self) -> WorkerBody {
        let held = self.held.iter().map(|(attempt_id, term)| v1::Held {
            attempt_id: attempt_id.clone(),
            term: *term,
            ..v1::Held::default()
        });
        let sent_at_ms = wall_ns() / 1_000_000;
        WorkerBody::Heartbeat(v1::Heartbeat { sent_at_ms, held: held.collect() })
    }
}

fn whole_life(assignment: v1::Assignment) -> [v1::ExecutionEvent; EVENTS] {
    let v1::Assignment { attempt_id, term, runtime, input, .. } = assignment;
    let input_id = input.unwrap_or_default().input_id;
    let one =
        |event| v1::ExecutionEvent { attempt_id: attempt_id.clone(), term, event: Some(event) };
    let started = v1::Started { runtime, ..v1::Started::default() };
    let turn_ended = v1::TurnEnded {
        input_id: input_id.clone(),
        reason: "completed".to_owned(),
        text: "done".to_owned(),
        last: true,
        ..v1::TurnEnded::default()
    };
    let ended = v1::Ended {
        cause: v1::ended::Cause::Exited.into(),
        exit_code: Some(0),
        ..v1::Ended::default()
    };
    [
        one(Event::Started(started)),
        one(Event::TurnStarted(v1::TurnStarted { input_id })),
        one(Event::TurnEnded(turn_ended)),
        one(Event::Ended(ended)),
    ]
}

/// Works with `window` executions at a time until `until` are done (0: for ever). With `watch` it
/// prints the first word of each message and when it came.
pub async fn work(target: Target, window: u64, until: u64, watch: bool) -> Result<(), Fault> {
    let mut link = Link::connect(&target).await?;
    let mut work = Work::default();
    link.send(WorkerBody::Offer(v1::Offer { total: window })).await?;
    println!("READY");
    let mut beats = tokio::time::interval(HEARTBEAT);
    loop {
        let frames = tokio::select! {
            frames = gather(&mut link.incoming) => frames?,
            _ = beats.tick() => {
                link.send(work.heartbeat()).await?;
                continue;
            }
        };
        let done = work.done;
        for body in frames {
            take(&mut work, body, watch)?;
        }
        if until > 0 && work.done >= until {
            return Ok(());
        }
        while let Some(report) = work.report() {
            link.send(report).await?;
        }
        if work.done > done {
            link.send(WorkerBody::Offer(v1::Offer { total: work.done + window })).await?;
        }
    }
}

/// The next frame, and those that are there already.
async fn gather(incoming: &mut Streaming<v1::ServerFrame>) -> Result<Vec<ServerBody>, Fault> {
    let mut chunks = incoming.ready_chunks(GATHERED_MAX);
    let frames = chunks.next().await.ok_or("the server ended the connection")?;
    frames.into_iter().map(|frame| Ok(frame?.body.ok_or("a frame without a body")?)).collect()
}

fn take(work: &mut Work, body: ServerBody, watch: bool) -> Result<(), Fault> {
    match body {
        ServerBody::Assign(assign) => {
            let at = wall_ns();
            for assignment in assign.assignments {
                let message = assignment.input.as_ref().map(|input| input.message.as_str());
                let key = message.and_then(|text| text.split(' ').next()).unwrap_or_default();
                let key = key.to_owned();
                if work.take(assignment) && watch {
                    println!("A {key} {at}");
                }
            }
        }
        ServerBody::ReportAck(ack) => work.acknowledged(ack)?,
        ServerBody::Drain(_) => return Err("the server stops".into()),
        _ => {}
    }
    Ok(())
}

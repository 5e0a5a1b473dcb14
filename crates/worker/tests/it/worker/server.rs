//! A server that answers as the real one does, with everything in memory and in the test's hand.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::Stream;
use hostler_wire::v1::event_ack::Verdict;
use hostler_wire::v1::server_frame::Body as Told;
use hostler_wire::v1::worker_frame::Body as Said;
use hostler_wire::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use hostler_wire::v1::{
    Assign, Assignment, Cancel, Close, Ended, EventAck, ExecutionEvent, Give, Given, Heartbeat,
    HeartbeatAck, Hello, Interrupt, LogAck, LogBatch, LogChunkAck, LogRecord, Report, ReportAck,
    ServerFrame, TurnEnded, TurnInput, Welcome, WorkerFrame, execution_event,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// Long for a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Frames that wait to be read by the worker; a test tells it a handful.
const FRAMES: usize = 1_024;

type Frames = mpsc::Sender<Result<ServerFrame, Status>>;

/// What the server was told, and how it is to answer.
#[derive(Default)]
pub struct State {
    pub hellos: Vec<Hello>,
    pub tokens: Vec<String>,
    pub heartbeats: u64,
    pub offered: u64,
    pub given: u64,
    pub goodbyes: u64,
    /// Each once, in the order of their reports.
    pub events: Vec<ExecutionEvent>,
    pub repeated_reports: u64,
    pub logs: BTreeMap<String, Vec<LogRecord>>,
    pub repeated_chunks: u64,
    /// Messages for the turns after the first.
    pub inbox: VecDeque<TurnInput>,
    /// A turn's end is answered with a wait instead of a close.
    pub keeps: bool,
    pub last_heartbeat: Heartbeat,
    /// No heartbeat is answered.
    pub silent: bool,
    /// No log is acknowledged.
    pub holds_logs: bool,
    /// The next heartbeat is answered like this.
    pub forgets: bool,
    chunks: BTreeMap<String, u64>,
    reports: Vec<u64>,
    waiting: VecDeque<Assignment>,
    frames: Option<Frames>,
    connections: Vec<JoinHandle<()>>,
}

impl State {
    pub fn of<'a>(
        &'a self,
        attempt_id: &'a str,
    ) -> impl Iterator<Item = &'a execution_event::Event> {
        let events = self.events.iter().filter(move |event| event.attempt_id == attempt_id);
        events.filter_map(|event| event.event.as_ref())
    }

    pub fn names(&self, attempt_id: &str) -> Vec<&'static str> {
        let name = |event: &execution_event::Event| match event {
            execution_event::Event::Started(_) => "started",
            execution_event::Event::TurnStarted(_) => "turn_started",
            execution_event::Event::TurnEnded(_) => "turn_ended",
            execution_event::Event::Ended(_) => "ended",
            execution_event::Event::Injected(_) => "injected",
            execution_event::Event::Returned(_) => "returned",
            execution_event::Event::Spent(_) => "spent",
        };
        self.of(attempt_id).map(name).collect()
    }

    /// What became of an input, in its order.
    pub fn fate(&self, attempt_id: &str, input_id: &str) -> Vec<&'static str> {
        let fate = self.of(attempt_id).filter_map(|event| {
            let (of, name) = match event {
                execution_event::Event::TurnStarted(event) => (&event.input_id, "turn_started"),
                execution_event::Event::TurnEnded(event) => (&event.input_id, "turn_ended"),
                execution_event::Event::Injected(event) => (&event.input_id, "injected"),
                execution_event::Event::Returned(event) => (&event.input_id, "returned"),
                execution_event::Event::Started(_)
                | execution_event::Event::Ended(_)
                | execution_event::Event::Spent(_) => return None,
            };
            (of == input_id).then_some(name)
        });
        fate.collect()
    }

    /// What the last heartbeat said to be held of an execution.
    pub fn held(&self, attempt_id: &str) -> Vec<String> {
        let mut held = self.last_heartbeat.held.iter();
        let found = held.find(|held| held.attempt_id == attempt_id);
        found.map(|held| held.inputs.clone()).unwrap_or_default()
    }

    pub fn turns(&self, attempt_id: &str) -> Vec<TurnEnded> {
        let turns = self.of(attempt_id).filter_map(|event| match event {
            execution_event::Event::TurnEnded(turn) => Some(turn.clone()),
            _ => None,
        });
        turns.collect()
    }

    pub fn ended(&self, attempt_id: &str) -> Option<Ended> {
        self.of(attempt_id).find_map(|event| match event {
            execution_event::Event::Ended(ended) => Some(ended.clone()),
            _ => None,
        })
    }

    /// The texts that came on a stream.
    pub fn texts(&self, attempt_id: &str, stream: &str) -> Vec<String> {
        let records = self.logs.get(attempt_id).into_iter().flatten();
        let own = records.filter(|record| record.stream == stream);
        own.map(|record| record.data.clone()).collect()
    }

    /// Chunks that were stored.
    pub fn chunks_of(&self, attempt_id: &str) -> u64 {
        self.chunks.get(attempt_id).copied().unwrap_or(0)
    }

    fn tell(&self, body: Told) {
        if let Some(frames) = &self.frames {
            let _ = frames.try_send(Ok(ServerFrame { body: Some(body) }));
        }
    }

    fn assign_what_waits(&mut self) {
        while self.given < self.offered
            && let Some(assignment) = self.waiting.pop_front()
        {
            self.given += 1;
            self.tell(Told::Assign(Assign { assignments: vec![assignment] }));
        }
    }

    fn take(&mut self, body: Said) {
        match body {
            Said::Hello(_) => panic!("a second hello over one connection"),
            Said::Heartbeat(beat) => {
                self.heartbeats += 1;
                self.last_heartbeat = beat.clone();
                if std::mem::take(&mut self.forgets) {
                    if let Some(frames) = self.frames.take() {
                        let status = Status::failed_precondition("not known any more");
                        let _ = frames.try_send(Err(status));
                    }
                } else if !self.silent {
                    let ack = HeartbeatAck { sent_at_ms: beat.sent_at_ms, ..Default::default() };
                    self.tell(Told::HeartbeatAck(ack));
                }
            }
            Said::Offer(offer) => {
                let all_back = offer.total == 0;
                assert!(all_back || offer.total >= self.offered, "part of an offer taken back");
                self.offered = offer.total;
                self.assign_what_waits();
            }
            Said::Report(report) => self.report(report),
            Said::Logs(batch) => self.log(batch),
            Said::Goodbye(_) => self.goodbyes += 1,
        }
    }

    fn report(&mut self, report: Report) {
        let is_new = !self.reports.contains(&report.number);
        self.repeated_reports += u64::from(!is_new);
        let mut acks = Vec::new();
        for event in report.events {
            let mut ack = EventAck {
                attempt_id: event.attempt_id.clone(),
                verdict: Verdict::Accepted.into(),
                input: None,
            };
            if matches!(event.event, Some(execution_event::Event::TurnEnded(_))) {
                ack.input = self.inbox.pop_front();
                ack.verdict = match ack.input {
                    Some(_) => Verdict::Next.into(),
                    None if self.keeps => Verdict::Wait.into(),
                    None => Verdict::Close.into(),
                };
            }
            if is_new {
                self.events.push(event);
            }
            acks.push(ack);
        }
        self.reports.push(report.number);
        self.tell(Told::ReportAck(ReportAck { number: report.number, events: acks }));
    }

    fn log(&mut self, batch: LogBatch) {
        if self.holds_logs {
            return;
        }
        let mut acks = Vec::new();
        for chunk in batch.chunks {
            let next = self.chunks.entry(chunk.attempt_id.clone()).or_default();
            if chunk.number == *next {
                *next += 1;
                self.logs.entry(chunk.attempt_id.clone()).or_default().extend(chunk.records);
            } else {
                self.repeated_chunks += 1;
            }
            let (attempt_id, next_number) = (chunk.attempt_id, *next);
            acks.push(LogChunkAck { attempt_id, next_number, fenced: false });
        }
        self.tell(Told::LogAck(LogAck { chunks: acks }));
    }
}

#[derive(Clone)]
pub struct FakeServer {
    pub url: String,
    pub welcome: Welcome,
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<()>>,
}

impl FakeServer {
    pub async fn start(welcome: Welcome) -> FakeServer {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("an address"));
        let incoming = incoming.expect("a port");
        let url = format!("http://{}", incoming.local_addr().expect("an address"));
        let (changed, _) = watch::channel(());
        let (state, changed) = (Arc::default(), Arc::new(changed));
        let server = FakeServer { url, welcome, state, changed };
        let service = WorkerServiceServer::new(server.clone()).max_decoding_message_size(4 << 20);
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        server
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds it")
    }

    /// Waits for something to be seen.
    pub async fn until<T>(&self, what: &str, seen: impl Fn(&State) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = seen(&self.state()) {
                    return found;
                }
                changes.changed().await.expect("the server lives");
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => {
                let state = self.state();
                panic!("never seen: {what}; hellos {:?}, events {:?}", state.hellos, state.events)
            }
        }
    }

    pub async fn ended(&self, attempt_id: &str) -> Ended {
        self.until("the end", |state| state.ended(attempt_id)).await
    }

    /// Waits for the worker to have printed this.
    pub async fn printed(&self, attempt_id: &str, text: &str) {
        let is_there = |state: &State| {
            state.texts(attempt_id, "stdout").iter().any(|line| line.contains(text)).then_some(())
        };
        self.until(text, is_there).await;
    }

    /// Assigned as soon as the worker offers to take it.
    pub fn assign(&self, assignment: Assignment) {
        let mut state = self.state();
        state.waiting.push_back(assignment);
        state.assign_what_waits();
    }

    /// Without asking how many the worker takes.
    pub fn push(&self, assignment: Assignment) {
        let assign = Assign { assignments: vec![assignment] };
        self.state().tell(Told::Assign(assign));
    }

    pub fn cancel(&self, attempt_id: &str) {
        self.state().tell(Told::Cancel(Cancel { attempt_ids: vec![attempt_id.to_owned()] }));
    }

    pub fn give(&self, attempt_id: &str, steer: bool, input: TurnInput) {
        let attempt_id = attempt_id.to_owned();
        let given = Given { attempt_id, term: 7, steer, input: Some(input) };
        self.state().tell(Told::Give(Give { inputs: vec![given] }));
    }

    pub fn interrupt(&self, attempt_id: &str, turn: &str) {
        let (attempt_ids, input_ids) = (vec![attempt_id.to_owned()], vec![turn.to_owned()]);
        self.state().tell(Told::Interrupt(Interrupt { attempt_ids, input_ids }));
    }

    pub fn close(&self, attempt_id: &str) {
        self.state().tell(Told::Close(Close { attempt_ids: vec![attempt_id.to_owned()] }));
    }

    /// Waits for what becomes of an input.
    pub async fn fate(&self, attempt_id: &str, input_id: &str, expected: &[&str]) {
        let is_so = |state: &State| (state.fate(attempt_id, input_id) == expected).then_some(());
        self.until(&format!("{expected:?} of {input_id}"), is_so).await;
    }

    /// Cuts the connection without a word.
    pub fn cut(&self) {
        let mut state = self.state();
        state.frames = None;
        state.connections.drain(..).for_each(|connection| connection.abort());
    }
}

#[tonic::async_trait]
impl WorkerService for FakeServer {
    type ConnectStream = Pin<Box<dyn Stream<Item = Result<ServerFrame, Status>> + Send>>;

    async fn connect(
        &self,
        request: Request<Streaming<WorkerFrame>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let token = request.metadata().get("authorization").cloned();
        let token = token.and_then(|token| token.to_str().ok().map(str::to_owned));
        let token = token.unwrap_or_default();
        if token == "Bearer wrong" {
            return Err(Status::unauthenticated("that is not the token"));
        }
        let mut incoming = request.into_inner();
        let first = incoming.message().await?.and_then(|frame| frame.body);
        let Some(Said::Hello(hello)) = first else { panic!("the first frame is no hello") };
        let (frames, mut outgoing) = mpsc::channel(FRAMES);
        let stream = async_stream(move |context| outgoing.poll_recv(context));
        {
            let mut state = self.state();
            state.frames = Some(frames);
            (state.offered, state.given) = (0, 0);
            state.hellos.push(hello);
            state.tokens.push(token);
            state.tell(Told::Welcome(self.welcome.clone()));
        }
        self.changed.send_replace(());
        let server = self.clone();
        let reader = tokio::spawn(async move {
            while let Ok(Some(frame)) = incoming.message().await {
                if let Some(body) = frame.body {
                    server.state().take(body);
                    server.changed.send_replace(());
                }
            }
        });
        self.state().connections.push(reader);
        Ok(Response::new(Box::pin(stream)))
    }
}

fn async_stream<T>(
    poll: impl FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<T>>,
) -> impl Stream<Item = T> {
    futures_util::stream::poll_fn(poll)
}

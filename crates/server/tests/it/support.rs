//! A server of one's own, a client for it, and a worker that speaks the real protocol and runs
//! nothing.

use std::collections::VecDeque;
use std::sync::Once;
use std::time::{Duration, Instant};

use hostler_server::config::Retention;
use hostler_server::{Config, Server};
use hostler_wire::v1;
use hostler_wire::v1::server_frame::Body as ServerBody;
use hostler_wire::v1::worker_frame::Body as WorkerBody;
use hostler_wire::v1::worker_service_client::WorkerServiceClient;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

pub const TOKEN: &str = "a-token-of-the-test";

/// What is polled for must come within this; it comes in milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(20);

static TLS: Once = Once::new();

pub struct TestServer {
    pub url: String,
    client: reqwest::Client,
    stop: CancellationToken,
    running: Option<tokio::task::JoinHandle<()>>,
    dir: tempfile::TempDir,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::keeping(Retention::default()).await
    }

    /// A server that keeps only so much of streams.
    pub async fn keeping(retention: Retention) -> Self {
        Self::on(tempfile::tempdir().expect("a folder of one's own"), retention).await
    }

    async fn on(dir: tempfile::TempDir, retention: Retention) -> Self {
        TLS.call_once(|| {
            let provider = rustls::crypto::ring::default_provider();
            provider.install_default().expect("installed once");
        });
        let config = Config {
            listen: "127.0.0.1:0".parse().expect("an address"),
            data_dir: dir.path().to_owned(),
            database: None,
            token: TOKEN.to_owned(),
            fallback_runtime: Some("bubblewrap".to_owned()),
            retention,
        };
        let server = Server::open(config).await.expect("the server opens");
        let url = format!("http://{}", server.address());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let running = tokio::spawn(async move {
            server.run(stopped).await.expect("the server runs to its end");
        });
        let client = reqwest::Client::new();
        TestServer { url, client, stop, running: Some(running), dir }
    }

    /// Stops it gracefully and starts another on the same folder.
    pub async fn restart(mut self) -> Self {
        self.stop.cancel();
        self.running.take().expect("it runs").await.expect("it ends well");
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a folder"));
        Self::on(dir, Retention::default()).await
    }

    pub fn path(&self, path: &str) -> String {
        format!("{}/api/v1/workspaces/default{path}", self.url)
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.path(path)).bearer_auth(TOKEN)
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.request(Method::GET, path).send().await.expect("an answer")).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        read(self.request(Method::POST, path).json(&body).send().await.expect("an answer")).await
    }

    /// Makes an agent that a test worker can run.
    pub async fn agent(&self, key: &str) -> Value {
        let config = json!({ "runner": "scripted", "max_concurrency": 4 });
        let body = json!({ "agent_key": key, "name": key, "config": config });
        let (status, agent) = self.post("/agents", body).await;
        assert_eq!(status, StatusCode::CREATED, "{agent}");
        agent
    }

    /// The task once it is in this state.
    pub async fn task_in_state(&self, id: &str, state: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let (_, task) = self.get(&format!("/tasks/{id}")).await;
            if task["state"] == state {
                return task;
            }
            assert!(Instant::now() < end, "the task is not {state}: {task}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn task_count(&self) -> usize {
        let (_, page) = self.get("/tasks").await;
        page["tasks"].as_array().expect("a list").len()
    }
}

pub async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.expect("a body");
    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, value)
}

/// A worker that takes assignments and reports what the test tells it to.
pub struct TestWorker {
    frames: mpsc::Sender<v1::WorkerFrame>,
    incoming: tonic::Streaming<v1::ServerFrame>,
    assigned: VecDeque<v1::Assignment>,
    reports: u64,
}

impl TestWorker {
    pub async fn connect(server: &TestServer, id: &str, slots: u64) -> Self {
        let incarnation = uuid::Uuid::from_u128(1).to_string();
        Self::connect_as(server, id, &incarnation, slots).await
    }

    /// The same process on a new connection, with an execution that it still has.
    pub async fn reconnect(server: &TestServer, id: &str, holds: &v1::Assignment) -> Self {
        let incarnation = uuid::Uuid::from_u128(1).to_string();
        let held =
            v1::Held { attempt_id: holds.attempt_id.clone(), term: holds.term, inputs: Vec::new() };
        Self::hello(server, id, &incarnation, vec![held], 0).await
    }

    pub async fn connect_as(server: &TestServer, id: &str, incarnation: &str, slots: u64) -> Self {
        Self::hello(server, id, incarnation, Vec::new(), slots).await
    }

    async fn hello(
        server: &TestServer,
        id: &str,
        incarnation: &str,
        held: Vec<v1::Held>,
        slots: u64,
    ) -> Self {
        let channel = Channel::from_shared(server.url.clone()).expect("a URL");
        let channel = channel.connect().await.expect("a connection");
        let mut client = WorkerServiceClient::new(channel).max_decoding_message_size(32 << 20);
        let (frames, outgoing) = mpsc::channel(64);
        let hello = v1::Hello {
            worker_id: id.to_owned(),
            incarnation: incarnation.to_owned(),
            runtimes: vec!["bubblewrap".to_owned()],
            runners: vec!["scripted".to_owned()],
            held,
            ..v1::Hello::default()
        };
        frames.send(frame(WorkerBody::Hello(hello))).await.expect("room");
        let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
        let mut request = tonic::Request::new(outgoing);
        let bearer = format!("Bearer {TOKEN}").parse().expect("a header");
        request.metadata_mut().insert("authorization", bearer);
        let mut incoming = client.connect(request).await.expect("it is let in").into_inner();
        let first = incoming.message().await.expect("a frame").expect("a frame").body;
        assert!(matches!(first, Some(ServerBody::Welcome(_))), "{first:?}");
        let mut worker = TestWorker { frames, incoming, assigned: VecDeque::new(), reports: 0 };
        worker.offer(slots).await;
        worker
    }

    pub async fn offer(&mut self, total: u64) {
        self.send(WorkerBody::Offer(v1::Offer { total })).await;
    }

    pub async fn send(&mut self, body: WorkerBody) {
        self.frames.send(frame(body)).await.expect("the connection is open");
    }

    pub async fn next(&mut self) -> ServerBody {
        let message = tokio::time::timeout(PATIENCE, self.incoming.message()).await;
        message.expect("in time").expect("a frame").expect("a frame").body.expect("a body")
    }

    /// The next assignment.
    pub async fn assignment(&mut self) -> v1::Assignment {
        loop {
            if let Some(assignment) = self.assigned.pop_front() {
                return assignment;
            }
            if let ServerBody::Assign(assign) = self.next().await {
                self.assigned.extend(assign.assignments);
            }
        }
    }

    /// Reports events of an execution and returns the verdicts.
    pub async fn report(
        &mut self,
        assignment: &v1::Assignment,
        events: Vec<v1::execution_event::Event>,
    ) -> Vec<v1::EventAck> {
        self.reports += 1;
        let one = |event| v1::ExecutionEvent {
            attempt_id: assignment.attempt_id.clone(),
            term: assignment.term,
            event: Some(event),
        };
        let events = events.into_iter().map(one).collect();
        self.send(WorkerBody::Report(v1::Report { number: self.reports, events })).await;
        loop {
            match self.next().await {
                ServerBody::ReportAck(ack) if ack.number == self.reports => return ack.events,
                ServerBody::Assign(assign) => self.assigned.extend(assign.assignments),
                _ => {}
            }
        }
    }

    /// Sends one chunk of log lines and returns what is expected next.
    pub async fn log(
        &mut self,
        assignment: &v1::Assignment,
        number: u64,
        lines: &[&str],
    ) -> v1::LogChunkAck {
        self.log_on(assignment, number, "stdout", lines).await
    }

    /// The same on a named channel.
    pub async fn log_on(
        &mut self,
        assignment: &v1::Assignment,
        number: u64,
        stream: &str,
        lines: &[&str],
    ) -> v1::LogChunkAck {
        let record = |line: &&str| v1::LogRecord {
            ts_ms: 1,
            stream: stream.to_owned(),
            data: (*line).to_owned(),
            chunk_type: "text".to_owned(),
            metadata_json: String::new(),
        };
        let chunk = v1::LogChunk {
            attempt_id: assignment.attempt_id.clone(),
            term: assignment.term,
            number,
            records: lines.iter().map(record).collect(),
        };
        self.send(WorkerBody::Logs(v1::LogBatch { chunks: vec![chunk] })).await;
        loop {
            match self.next().await {
                ServerBody::LogAck(mut ack) => return ack.chunks.remove(0),
                ServerBody::Assign(assign) => self.assigned.extend(assign.assignments),
                _ => {}
            }
        }
    }
}

fn frame(body: WorkerBody) -> v1::WorkerFrame {
    v1::WorkerFrame { body: Some(body) }
}

pub fn started() -> v1::execution_event::Event {
    v1::execution_event::Event::Started(v1::Started {
        runtime: "bubblewrap".to_owned(),
        provider: "scripted".to_owned(),
        model: String::new(),
        can_steer: true,
        can_interrupt: true,
        keeps: true,
    })
}

pub fn turn_started(input_id: &str) -> v1::execution_event::Event {
    v1::execution_event::Event::TurnStarted(v1::TurnStarted { input_id: input_id.to_owned() })
}

pub fn turn_ended(input_id: &str, text: &str) -> v1::execution_event::Event {
    v1::execution_event::Event::TurnEnded(v1::TurnEnded {
        input_id: input_id.to_owned(),
        reason: "completed".to_owned(),
        text: text.to_owned(),
        usage: Some(v1::Usage { input_tokens: 100, output_tokens: 20, ..v1::Usage::default() }),
        ..v1::TurnEnded::default()
    })
}

pub fn ended(cause: v1::ended::Cause) -> v1::execution_event::Event {
    v1::execution_event::Event::Ended(v1::Ended { cause: cause.into(), ..v1::Ended::default() })
}

pub fn input_of(assignment: &v1::Assignment) -> String {
    assignment.input.as_ref().expect("an assignment has an input").input_id.clone()
}

/// A task whose run has begun on a worker, with nothing said yet.
pub struct Running {
    pub id: String,
    pub worker: TestWorker,
    pub assignment: v1::Assignment,
}

impl Running {
    pub async fn begin(server: &TestServer) -> Running {
        server.agent("coder").await;
        let body = json!({ "agent_id": "coder", "message": "do it" });
        let (_, answer) = server.post("/tasks", body).await;
        let id = answer["task"]["id"].as_str().expect("an id").to_owned();
        let mut worker = TestWorker::connect(server, "w1", 1).await;
        let assignment = worker.assignment().await;
        let input = input_of(&assignment);
        worker.report(&assignment, vec![started(), turn_started(&input)]).await;
        Running { id, worker, assignment }
    }

    /// Also renews the worker's lease: some tests take longer than it on a busy machine.
    pub async fn log(&mut self, number: u64, lines: &[&str]) {
        let (attempt_id, term) = (self.assignment.attempt_id.clone(), self.assignment.term);
        let held = vec![v1::Held { attempt_id, term, inputs: Vec::new() }];
        let beat = v1::Heartbeat { held, ..v1::Heartbeat::default() };
        self.worker.send(WorkerBody::Heartbeat(beat)).await;
        let ack = self.worker.log(&self.assignment, number, lines).await;
        assert_eq!(ack.next_number, number + 1);
    }

    pub async fn end(&mut self) {
        let input = input_of(&self.assignment);
        let events = vec![turn_ended(&input, "x"), ended(v1::ended::Cause::Closed)];
        self.worker.report(&self.assignment, events).await;
    }
}

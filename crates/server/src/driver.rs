//! # The driver
//!
//! **What** The only thing that waits: one thread that owns the engine, carries its outputs to
//! the store and to whoever asked, and brings the answers back. The only reader of clock and
//! entropy.
//!
//! **Invariants** The order of everything that happens to the engine is the order of this thread.
//! Nothing is answered or pushed before the commit that carries it has returned.
//!
//! **Failure** A store that fails is told to the engine, which decides what is answered. A bug in
//! the engine (an assertion) ends the thread, and with it the process: crash, never corrupt.
//!
//! **Not here** Any rule. Transports use [`Handle`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use hostler_core::command::{Answer, Command};
use hostler_core::engine::{
    self, Connected, Engine, Input, Link, Output, Push, Refused, StoreFailure, Ticket,
};
use hostler_core::id::WorkerId;
use hostler_store::{self as store, Store};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::clock::{Clock, Entropy};
use crate::tails::Tails;

/// Questions that may wait for the engine at a time: some eight full rounds.
const ASKS_MAX: usize = 4_096;
/// Pushes that may wait for one worker's connection; more are dropped, and its heartbeats bring
/// them again.
pub const PUSHES_MAX: usize = 1_024;

enum Message {
    Ask { command: Command, reply: oneshot::Sender<Result<Answer, Refused>> },
    Connected { worker: WorkerId, connected: Connected, pushes: mpsc::Sender<Push> },
    Disconnected { worker: WorkerId, link: Link },
    Offered { worker: WorkerId, link: Link, total: u64 },
    Stop,
}

/// How transports reach the engine. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    messages: Sender<Message>,
    places: Arc<Semaphore>,
}

impl Handle {
    /// Asks, and waits for the durable answer.
    pub async fn ask(&self, command: Command) -> Result<Answer, Refused> {
        let Ok(_place) = self.places.acquire().await else { return Err(Refused::Unavailable) };
        let (reply, answer) = oneshot::channel();
        if self.messages.send(Message::Ask { command, reply }).is_err() {
            return Err(Refused::Unavailable);
        }
        answer.await.unwrap_or(Err(Refused::Unknown))
    }

    /// Asks without waiting: the answer is there when it is. The caller bounds how many it has.
    pub fn ask_later(&self, command: Command) -> oneshot::Receiver<Result<Answer, Refused>> {
        let (reply, answer) = oneshot::channel();
        // A driver that is gone drops the reply, which the receiver sees.
        let _ = self.messages.send(Message::Ask { command, reply });
        answer
    }

    pub fn connected(&self, worker: WorkerId, connected: Connected) -> mpsc::Receiver<Push> {
        let (pushes, receiver) = mpsc::channel(PUSHES_MAX);
        let _ = self.messages.send(Message::Connected { worker, connected, pushes });
        receiver
    }

    pub fn disconnected(&self, worker: WorkerId, link: Link) {
        let _ = self.messages.send(Message::Disconnected { worker, link });
    }

    pub fn offered(&self, worker: WorkerId, link: Link, total: u64) {
        let _ = self.messages.send(Message::Offered { worker, link, total });
    }

    /// Ends the driver after what it has been asked so far.
    pub fn stop(&self) {
        let _ = self.messages.send(Message::Stop);
    }
}

/// Starts the driver's thread.
pub fn start(
    store: Arc<dyn Store>,
    tails: Arc<Tails>,
    config: engine::Config,
) -> std::io::Result<(Handle, JoinHandle<()>)> {
    let (messages, receiver) = channel();
    let handle = Handle { messages, places: Arc::new(Semaphore::new(ASKS_MAX)) };
    let clock = Clock::start();
    let mut entropy = Entropy::new();
    let engine = Engine::new(config, clock.now(), entropy.seed());
    let mut driver = Driver {
        engine,
        store,
        tails,
        clock,
        entropy,
        receiver,
        replies: HashMap::new(),
        links: HashMap::new(),
        last_ticket: 0,
        stopping: false,
    };
    let thread = std::thread::Builder::new().name("driver".to_owned()).spawn(move || {
        // The engine's assertions guard what is stored: after one, nothing more may be written.
        let abort = AbortOnPanic;
        driver.run();
        std::mem::forget(abort);
    })?;
    Ok((handle, thread))
}

struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        tracing::error!("the engine found a bug in itself; the process ends before it can write");
        std::process::abort();
    }
}

struct Driver {
    engine: Engine,
    store: Arc<dyn Store>,
    tails: Arc<Tails>,
    clock: Clock,
    entropy: Entropy,
    receiver: Receiver<Message>,
    replies: HashMap<Ticket, oneshot::Sender<Result<Answer, Refused>>>,
    links: HashMap<Link, mpsc::Sender<Push>>,
    last_ticket: Ticket,
    stopping: bool,
}

impl Driver {
    fn run(&mut self) {
        loop {
            while let Ok(message) = self.receiver.try_recv() {
                self.take(message);
            }
            let wait_until = loop {
                match self.engine.poll() {
                    Output::WaitUntil(at) => break at,
                    output => self.carry_out(output),
                }
            };
            if self.stopping {
                return;
            }
            let wait = (wait_until - self.clock.now()).0.clamp(0, 3_600_000);
            match self.receiver.recv_timeout(Duration::from_millis(wait as u64)) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => self.handle(Input::Tick),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.engine.handle(input, self.clock.now());
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Ask { command, reply } => {
                self.last_ticket += 1;
                let (ticket, seed) = (self.last_ticket, self.entropy.seed());
                self.replies.insert(ticket, reply);
                self.handle(Input::Ask { ticket, command, seed });
            }
            Message::Connected { worker, connected, pushes } => {
                self.links.insert(connected.link, pushes);
                self.handle(Input::Connected { worker, connected });
            }
            Message::Disconnected { worker, link } => {
                self.links.remove(&link);
                self.handle(Input::Disconnected { worker, link });
            }
            Message::Offered { worker, link, total } => {
                self.handle(Input::Offered { worker, link, total });
            }
            Message::Stop => self.stopping = true,
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Load(keys) => {
                let answer = self.store.load(&keys).map(Input::Loaded);
                self.answered(answer);
            }
            Output::Find(find) => {
                let answer = self.store.find(&find).map(|found| Input::Found(find, found));
                self.answered(answer);
            }
            Output::Commit(batch) => {
                let answer = self.store.commit(&batch).map(Input::Committed);
                // What came while the commit was on its way is decided in the next round.
                while let Ok(message) = self.receiver.try_recv() {
                    self.take(message);
                }
                self.answered(answer);
            }
            Output::Reply(ticket, result) => {
                if let Some(reply) = self.replies.remove(&ticket) {
                    // Whoever asked may have gone; what was decided stands.
                    let _ = reply.send(result);
                }
            }
            Output::Push(link, push) => {
                if let Some(pushes) = self.links.get(&link)
                    && pushes.try_send(push).is_err()
                {
                    tracing::debug!(link, "a push was dropped; the worker's heartbeat brings it");
                }
            }
            Output::Appended(task, last_seq) => self.tails.grown(task, last_seq),
            Output::WaitUntil(_) => unreachable!("the loop ends on it"),
        }
    }

    fn answered(&mut self, answer: Result<Input, store::Error>) {
        let input = answer.unwrap_or_else(|error| {
            let failure = match &error {
                store::Error::Conflict => StoreFailure::Conflict,
                store::Error::Unavailable(_) | store::Error::Corrupt(_) => {
                    StoreFailure::Unavailable
                }
                store::Error::Unknown(_) => StoreFailure::Unknown,
            };
            if failure != StoreFailure::Conflict {
                tracing::error!(error = chain(&error), "the store failed");
            }
            Input::Failed(failure)
        });
        self.handle(input);
    }
}

/// An error with its sources, for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

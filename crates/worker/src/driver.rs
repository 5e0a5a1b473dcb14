//! # The driver
//!
//! **What** The one loop of a worker. It takes what happens one after the other - frames of the
//! server, events of the executions, time, the wish to stop - and so puts it into one order.
//! Executions do the work in tasks of their own; they share nothing but this.
//!
//! **States** connecting (with what is held), serving, fenced (the lease is over: everything is
//! killed, then a new incarnation begins), draining and stopping (no more is offered).
//!
//! **Invariants** The loop never waits for an execution nor for the transport: an order that finds
//! no place in an execution's queue is a bug and ends that execution; a frame that finds no place
//! is made when there is one. Nothing is started when the fence is due. A new incarnation says
//! hello when nothing is left of the old one, and not before. The guardian knows of a lease before
//! anything is started under it, and nothing is taken while there is no guardian.
//!
//! **Failure** A silent or unreachable server: executions go on, reports and logs are kept, until
//! the fence. Credit counts what came over the connection; an assignment that got lost with an
//! earlier one and comes again can take the worker one above its slots.
//!
//! **Not here** Sandboxes and agents (`execution`), the stream (`link`), the rules (the server).

mod frames;
mod outbox;
mod roster;
mod stop;
pub(crate) mod watchdog;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use hostler_core::supervisor::Fence;
use hostler_core::time::{Span, Timestamp};
use hostler_wire::v1::{self, Welcome, server_frame, worker_frame};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use uuid::Uuid;

use self::outbox::Outbox;
use self::roster::Roster;
use self::stop::Stopping;
use self::watchdog::Watch;
use crate::Error;
use crate::clock::Clock;
use crate::execution::{Event, Order};
use crate::link::{Address, Backoff, Connection, LinkError, frame};
use crate::spool::shipper::Uplink;
use crate::tools::Tools;

/// Events of all executions that wait for the loop: enough to keep it busy for a moment; more
/// would only hide that it is slow.
const EVENTS_QUEUE: usize = 256;
/// Without a welcome that says otherwise.
const HEARTBEAT_MIN: Span = Span::millis(50);

/// What happens next.
enum Happened {
    Event(String, Event),
    Ended(Result<String, JoinError>),
    Frame(Result<server_frame::Body, LinkError>),
    Reached(Result<Channel, LinkError>),
    Opened(Box<Result<(Connection, Welcome), LinkError>>),
    Shutdown,
    /// Time has passed, or there is room for a frame.
    Moved,
}

/// How the worker stands with its server.
enum Link {
    /// Until the time given.
    Waiting(Timestamp),
    Reaching(BoxFuture<'static, Result<Channel, LinkError>>),
    Opening {
        sent_at: Timestamp,
        opening: BoxFuture<'static, Result<(Connection, Welcome), LinkError>>,
    },
    Open(Box<Open>),
}

/// A connection, and what is counted over it.
struct Open {
    connection: Connection,
    /// Assigned over this connection in all.
    received: u64,
    /// Offered over this connection in all.
    offered: u64,
    heartbeat: Span,
    heartbeat_at: Timestamp,
}

pub(crate) struct Driver {
    tools: Arc<Tools>,
    clock: Clock,
    address: Address,
    incarnation: Uuid,
    /// `None`: never welcomed as this incarnation.
    fence: Option<Fence>,
    /// Until when the guardian lets run what is held.
    granted: Option<Timestamp>,
    /// Whether there is a guardian.
    guarded: watch::Receiver<bool>,
    /// The lease is over; waiting for the last execution to be gone.
    fenced: bool,
    was_welcomed: bool,
    link: Link,
    backoff: Backoff,
    outbox: Outbox,
    roster: Roster,
    events: mpsc::Receiver<(String, Event)>,
    uplinks: watch::Sender<Option<Uplink>>,
    stopping: Stopping,
    shutdown: CancellationToken,
    watch: Arc<Watch>,
}

impl Driver {
    pub(crate) fn new(
        tools: Arc<Tools>,
        clock: Clock,
        address: Address,
        watch: Arc<Watch>,
        shutdown: CancellationToken,
    ) -> Driver {
        let (event_sender, events) = mpsc::channel(EVENTS_QUEUE);
        let (uplinks, uplink) = watch::channel(None);
        let roster = Roster::new(tools.clone(), clock.clone(), event_sender, uplink);
        let guarded = tools.guardian.is_up();
        let incarnation = next_incarnation(Uuid::nil());
        Driver {
            link: Link::Waiting(clock.now()),
            tools,
            clock,
            address,
            incarnation,
            fence: None,
            granted: None,
            guarded,
            fenced: false,
            was_welcomed: false,
            backoff: Backoff::default(),
            outbox: Outbox::default(),
            roster,
            events,
            uplinks,
            stopping: Stopping::No,
            shutdown,
            watch,
        }
    }

    /// Until the worker has stopped, or cannot work at all.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        loop {
            match self.next().await {
                Happened::Event(attempt_id, event) => self.event(&attempt_id, event),
                Happened::Ended(ended) => self.task_ended(ended),
                Happened::Frame(Ok(body)) => self.frame(body),
                Happened::Frame(Err(error)) => self.disconnected(error)?,
                Happened::Reached(Ok(channel)) => self.open(channel),
                Happened::Reached(Err(error)) => self.disconnected(error)?,
                Happened::Opened(opened) => match *opened {
                    Ok((connection, welcome)) => self.welcomed(connection, welcome),
                    Err(error) => self.disconnected(error)?,
                },
                Happened::Shutdown => self.begin_to_stop(),
                Happened::Moved => {}
            }
            self.watch_the_time();
            if self.has_stopped() {
                self.say_goodbye().await;
                return Ok(());
            }
            self.send();
        }
    }

    async fn next(&mut self) -> Happened {
        let due = self.next_due();
        let wake_at = due.map(|at| self.clock.instant(at));
        let has_frames = self.has_frames();
        let is_asked = matches!(self.stopping, Stopping::No);
        tokio::select! {
            // Time first: a fence that is due comes before the acknowledgements that wait.
            biased;
            () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {
                Happened::Moved
            }
            () = self.shutdown.cancelled(), if is_asked => Happened::Shutdown,
            // It goes with the tools, not before.
            Ok(()) = self.guarded.changed() => Happened::Moved,
            happened = self.link.next(has_frames) => happened,
            Some((attempt_id, event)) = self.events.recv() => Happened::Event(attempt_id, event),
            Some(ended) = self.roster.next_ended() => Happened::Ended(ended),
        }
    }

    /// When the loop has something to do though nothing happens.
    fn next_due(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        let heartbeat = match &self.link {
            // One that found no place goes out when there is one.
            Link::Open(open) => Some(open.heartbeat_at).filter(|at| *at > now),
            Link::Waiting(_) if self.fenced && !self.roster.is_empty() => None,
            Link::Waiting(until) => Some(*until),
            Link::Reaching(_) | Link::Opening { .. } => None,
        };
        let fence = self.fence.as_ref().map(Fence::stop_at);
        [heartbeat, fence, self.stopping.due()].into_iter().flatten().min()
    }

    fn watch_the_time(&mut self) {
        let now = self.clock.look();
        if self.fence.as_ref().is_some_and(|fence| fence.is_due(now)) {
            self.begin_anew("no heartbeat was acknowledged in time");
        }
        let kill_at = self.fence.as_ref().map(Fence::kill_at);
        if let Some(kill_at) = kill_at.filter(|at| self.granted != Some(*at)) {
            self.granted = Some(kill_at);
            self.tools.guardian.renew(self.clock.since_boot_ms(kill_at));
        }
        if self.stopping.is_drained(now) {
            self.stop_all();
        }
        let held = self.roster.len();
        self.watch.set(self.fence.as_ref().filter(|_| held > 0).map(Fence::stop_at));
        let nothing_is_left = !self.fenced || self.roster.is_empty();
        if let Link::Waiting(until) = self.link
            && nothing_is_left
            && now >= until
            && !self.stopping.is_done_without_server(self.roster.is_empty())
        {
            self.fenced = false;
            let address = self.address.clone();
            self.link = Link::Reaching(Box::pin(async move { address.reach().await }));
        }
    }

    fn open(&mut self, channel: Channel) {
        let held = self.roster.held();
        let hello = self.tools.hello(&self.incarnation.to_string(), held);
        let address = self.address.clone();
        let opening = Box::pin(async move { address.open(channel, hello).await });
        self.link = Link::Opening { sent_at: self.clock.look(), opening };
    }

    fn welcomed(&mut self, connection: Connection, welcome: Welcome) {
        let Link::Opening { sent_at, .. } = self.link else { return };
        let (lease, margin) = (span(welcome.lease_ms), span(welcome.fence_ms));
        match &mut self.fence {
            Some(fence) => fence.welcomed(sent_at, lease, margin),
            None => self.fence = Some(Fence::new(sent_at, lease, margin)),
        }
        let heartbeat = span(welcome.heartbeat_ms).max(HEARTBEAT_MIN);
        tracing::info!(server = self.tools.config.server, "connected");
        self.was_welcomed = true;
        self.backoff.reset();
        self.outbox.rewind();
        self.uplinks.send_replace(Some(Uplink { chunks: connection.chunks.clone() }));
        self.link = Link::Open(Box::new(Open {
            connection,
            received: 0,
            offered: 0,
            heartbeat,
            heartbeat_at: self.clock.now() + heartbeat,
        }));
        self.orders(welcome.lost, welcome.cancel);
    }

    /// The connection is over, or could not be made. What is held goes on.
    fn disconnected(&mut self, error: LinkError) -> Result<(), Error> {
        let was_open = matches!(self.link, Link::Open(_));
        self.uplinks.send_replace(None);
        self.outbox.rewind();
        let wait = self.backoff.next();
        let wait = Span::millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        self.link = Link::Waiting(self.clock.now() + wait);
        match error {
            LinkError::Refused(text) if !self.was_welcomed => return Err(Error::Refused(text)),
            LinkError::Unknown(text) => {
                tracing::warn!(error = text, "the server does not know this worker");
                self.begin_anew("the server does not know this worker");
            }
            error if was_open => tracing::warn!(%error, "the connection is lost"),
            error => tracing::debug!(%error, "not connected"),
        }
        Ok(())
    }

    /// The lease is over: nothing of it may go on, and nothing of it counts.
    fn begin_anew(&mut self, why: &str) {
        if !self.roster.is_empty() {
            tracing::error!(why, held = self.roster.len(), "everything is stopped");
        }
        self.uplinks.send_replace(None);
        self.link = Link::Waiting(match self.link {
            Link::Waiting(until) => until,
            _ => self.clock.now(),
        });
        self.fence = None;
        self.fenced = true;
        self.roster.lose_all();
        self.outbox.clear();
        self.incarnation = next_incarnation(self.incarnation);
    }

    fn event(&mut self, attempt_id: &str, event: Event) {
        let Some(term) = self.roster.term(attempt_id) else { return };
        let (events, ended) = match event {
            Event::Report(events) => (events, false),
            Event::Ended(events) => (events, true),
            Event::Gone => {
                self.roster.remove(attempt_id);
                return;
            }
        };
        if self.roster.is_lost(attempt_id) {
            if ended {
                self.roster.remove(attempt_id);
            }
            return;
        }
        if ended {
            self.roster.ended(attempt_id);
        }
        for event in events {
            self.outbox.push(crate::execution::reported(attempt_id, term, event));
        }
    }

    /// An execution's task is over. If by a bug, its end has to be told in its place.
    fn task_ended(&mut self, ended: Result<String, JoinError>) {
        let Err(error) = ended else { return };
        let Some(attempt_id) = self.roster.task_of(error.id()) else { return };
        tracing::error!(attempt_id, %error, "an execution's task panicked");
        if let Some(spool) = self.roster.spool(&attempt_id) {
            spool.fence();
        }
        let ended = v1::Ended {
            cause: v1::ended::Cause::Crashed.into(),
            exit_code: None,
            error: "a bug of the worker ended it".to_owned(),
            log_chunks: 0,
        };
        let ended = v1::execution_event::Event::Ended(ended);
        self.event(&attempt_id, Event::Ended(vec![ended]));
    }

    /// What the server says about what is held.
    fn orders(&mut self, lost: Vec<String>, cancel: Vec<String>) {
        for attempt_id in lost {
            self.lose(&attempt_id);
        }
        for attempt_id in cancel {
            self.roster.order(&attempt_id, Order::Cancel);
        }
    }

    fn lose(&mut self, attempt_id: &str) {
        self.outbox.forget(attempt_id);
        self.roster.lose(attempt_id);
    }
}

impl Link {
    async fn next(&mut self, has_frames: bool) -> Happened {
        match self {
            Link::Waiting(_) => std::future::pending().await,
            Link::Reaching(reaching) => Happened::Reached(reaching.await),
            Link::Opening { opening, .. } => Happened::Opened(Box::new(opening.await)),
            Link::Open(open) => {
                let Open { connection, .. } = open.as_mut();
                let control = connection.control.clone();
                tokio::select! {
                    body = connection.next() => Happened::Frame(body),
                    // A closed one is seen by the other branch.
                    Ok(_) = control.reserve(), if has_frames => Happened::Moved,
                }
            }
        }
    }
}

impl Open {
    /// Takes the frame if there is a place for it.
    fn offer_frame(&self, body: worker_frame::Body) -> bool {
        self.connection.control.try_send(frame(body)).is_ok()
    }

    fn has_place(&self) -> bool {
        self.connection.control.capacity() > 0
    }
}

/// Random; where the machine gives no entropy, at least another one.
fn next_incarnation(last: Uuid) -> Uuid {
    let mut bytes = last.as_u128().wrapping_add(1).to_be_bytes();
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "no entropy for an incarnation's id");
    }
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn span(ms: u64) -> Span {
    Span(i64::try_from(ms).unwrap_or(i64::MAX))
}

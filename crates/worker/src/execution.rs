//! # Executions
//!
//! **What** One task for each: it prepares the folders, starts the sandbox, speaks with the agent
//! through its dialogue, and ends with the proof that nothing is left. The driver gives it
//! [`Order`]s over a channel of its own and gets [`Event`]s over one that all share.
//!
//! **States** preparing, starting, talking (`talk`, with the ladder of `core::supervisor`),
//! checking (`check`, where the config has one and the work is done), draining (the server has not
//! got all of the log yet), ended.
//!
//! **Invariants** `Ended` is reported when the sandbox has proven that nothing is left and the
//! server has all log chunks. A lost execution reports nothing more but that it is gone. An order
//! is obeyed in every state, also while the sandbox starts.
//!
//! **Failure** What cannot run here ends as refused, what the machine failed at as a failure of
//! the sandbox, each with its reason in words.
//!
//! **Not here** What an end means for the run (the server), leases (`driver`).

mod check;
mod input;
pub(crate) mod inputs;
mod lines;
mod model;
mod prepare;
mod report;
mod talk;

use std::sync::Arc;

use hostler_core::time::{Span, Timestamp};
use hostler_wire::v1::ended::Cause;
use hostler_wire::v1::{self, Assignment, Ended, ExecutionEvent, execution_event};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use self::inputs::{HELD_MAX, Inputs};
use self::prepare::Prepared;
pub(crate) use self::prepare::turn_input;
use self::talk::Talk;
use crate::agent::TurnInput;
use crate::clock::Clock;
use crate::sandbox::{Sandbox, StartError};
use crate::spool::Spool;
use crate::tools::Tools;

/// What the driver tells an execution.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    Cancel,
    /// The worker itself stops.
    Stop,
    /// It is no longer this worker's: kill it and report nothing.
    Lost,
    /// The server could make no sense of a report: kill it and report its end.
    Illegal,
    /// Answers to a turn's end.
    Next(TurnInput),
    Wait,
    /// No turn follows; also after `Wait`.
    Close,
    /// A message into the running turn, or after `Wait` the next turn.
    Give {
        steer: bool,
        input: TurnInput,
    },
    /// Stop this turn; the process stays.
    Interrupt {
        turn: String,
    },
}

/// Each of the first four orders is given once, and a turn's end has one answer: of two turns,
/// when a steer began the second.
pub(crate) const ORDERS_RESERVED: usize = 16;
/// What the server repeats until it is taken finds a place only where these are left free.
pub(crate) const ORDERS_QUEUE: usize = ORDERS_RESERVED + 2 * HELD_MAX;

/// What an execution tells the driver.
#[derive(Debug)]
pub(crate) enum Event {
    Report(Vec<execution_event::Event>),
    /// The last report: nothing is left of it here.
    Ended(Vec<execution_event::Event>),
    /// Nothing is left, and nothing is to be reported.
    Gone,
}

/// Why an execution is stopped from outside. The first reason counts, but for a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    Cancelled,
    TimedOut,
    Worker,
    /// Its turn did not end though it was interrupted.
    Uninterrupted,
    Illegal,
    Lost,
}

/// How an execution ended.
#[derive(Debug, Default)]
struct End {
    cause: Cause,
    exit_code: Option<i32>,
    error: String,
    /// The last things the agent said, to be reported with the end.
    events: Vec<execution_event::Event>,
    /// It ended well after a turn without an error: what a `check` is for.
    work_is_done: bool,
}

impl End {
    fn new(cause: Cause, error: impl Into<String>) -> End {
        End { cause, error: error.into(), ..End::default() }
    }
}

pub(crate) struct Execution {
    pub(crate) assignment: Assignment,
    pub(crate) tools: Arc<Tools>,
    pub(crate) clock: Clock,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) events: mpsc::Sender<(String, Event)>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) inputs: Arc<Inputs>,
    /// Orders for the agent that came before it was there.
    pub(crate) early: Vec<Order>,
}

impl Execution {
    /// Carries it out; resolves with the attempt's id.
    pub(crate) async fn run(mut self) -> String {
        let mut control = Control::new(&self.assignment, self.clock.clone());
        let end = self.carry_out(&mut control).await;
        self.spool.close();
        let drained = self.spool.drained().await;
        let event =
            match drained {
                Some(log_chunks) if control.stopped != Some(Stopped::Lost) => {
                    let mut events = end.events;
                    let returned = self.inputs.return_steers().into_iter();
                    events.extend(returned.map(|input_id| {
                        execution_event::Event::Returned(v1::Returned { input_id })
                    }));
                    events.push(execution_event::Event::Ended(Ended {
                        cause: end.cause.into(),
                        exit_code: end.exit_code,
                        error: end.error,
                        log_chunks,
                    }));
                    Event::Ended(events)
                }
                _ => Event::Gone,
            };
        let attempt_id = self.assignment.attempt_id;
        // The driver goes last, so somebody listens.
        let _ = self.events.send((attempt_id.clone(), event)).await;
        attempt_id
    }

    async fn carry_out(&mut self, control: &mut Control) -> End {
        let (assignment, tools) = (self.assignment.clone(), self.tools.clone());
        let prepared = tokio::task::spawn_blocking(move || prepare::prepare(&assignment, &tools));
        let prepared = match prepared.await {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(end)) => return end,
            Err(error) => return End::new(Cause::SandboxFailed, error.to_string()),
        };
        while let Ok(order) = self.orders.try_recv() {
            self.note(control, order);
        }
        if let Some(end) = control.end_before_start() {
            return end;
        }
        let model = match &prepared.spec.model_socket {
            Some(socket) => match model::start(socket) {
                Ok(proxy) => Some(proxy),
                Err(error) => {
                    let text = format!("the model proxy could not be started: {error}");
                    return End::new(Cause::SandboxFailed, text);
                }
            },
            None => None,
        };
        let (runtime, check) = (prepared.runtime.clone(), prepared.check.clone());
        let end = self.start_and_talk(control, prepared).await;
        drop(model);
        match check {
            Some(spec) if end.work_is_done => check::run(self, control, &*runtime, spec, end).await,
            Some(_) | None => end,
        }
    }

    /// Before the agent is there, its orders wait for it.
    fn note(&mut self, control: &mut Control, order: Order) {
        control.note(&order);
        let is_interrupt = |early: &Order| matches!(early, Order::Interrupt { .. });
        match order {
            Order::Interrupt { .. } if self.early.iter().any(is_interrupt) => {}
            Order::Give { .. } | Order::Interrupt { .. } | Order::Close => self.early.push(order),
            Order::Cancel
            | Order::Stop
            | Order::Lost
            | Order::Illegal
            | Order::Next(_)
            | Order::Wait => {}
        }
    }

    async fn start_and_talk(&mut self, control: &mut Control, prepared: Prepared) -> End {
        let Prepared { dialogue, first, runtime, spec, identity, .. } = prepared;
        let memory_bytes = spec.limits.memory_bytes;
        let mut sandbox = match self.start(control, runtime.start(spec)).await {
            Ok(sandbox) => sandbox,
            Err(error) => {
                let failed = match error {
                    StartError::NoProgram(_) | StartError::Invalid(_) => Cause::Refused,
                    StartError::Unavailable(_) | StartError::Failed(_) => Cause::SandboxFailed,
                };
                let end = control.end_before_start();
                return end.unwrap_or_else(|| End::new(failed, error.to_string()));
            }
        };
        if let Some(end) = control.end_before_start() {
            // Nothing was said to it yet: there is nothing to be gentle about.
            sandbox.kill();
            sandbox.wait().await;
            return end;
        }
        let talk = Talk::new(self, control, dialogue, sandbox, identity);
        match talk {
            Ok(talk) => talk.until_the_end(first, memory_bytes).await,
            Err(failed) => {
                let (mut sandbox, error) = *failed;
                sandbox.kill();
                sandbox.wait().await;
                End::new(Cause::SandboxFailed, format!("pipes: {error}"))
            }
        }
    }

    /// Waits for the start to its end, whatever is ordered meanwhile: what has started can be
    /// stopped for certain, what is about to start cannot.
    async fn start(
        &mut self,
        control: &mut Control,
        start: impl Future<Output = Result<Sandbox, StartError>>,
    ) -> Result<Sandbox, StartError> {
        let mut start = std::pin::pin!(start);
        let mut listening = true;
        loop {
            let deadline = control.work_deadline().map(|at| self.clock.instant(at));
            tokio::select! {
                started = &mut start => return started,
                order = self.orders.recv(), if listening => match order {
                    Some(order) => self.note(control, order),
                    None => {
                        control.stop(Stopped::Lost);
                        listening = false;
                    }
                },
                () = sleep_until(deadline.unwrap_or_else(tokio::time::Instant::now)),
                    if deadline.is_some() => control.stop(Stopped::TimedOut),
            }
        }
    }
}

/// Why and when an execution is stopped from outside.
#[derive(Debug)]
struct Control {
    stopped: Option<Stopped>,
    clock: Clock,
    /// `None`: no limit.
    limit: Option<Span>,
    worked: Span,
    /// Since when it works; `None` while it waits for what comes next.
    since: Option<Timestamp>,
}

impl Control {
    fn new(assignment: &Assignment, clock: Clock) -> Control {
        let limit = i64::try_from(assignment.timeout_ms).ok().filter(|limit| *limit > 0);
        let since = Some(clock.now());
        Control { stopped: None, clock, limit: limit.map(Span), worked: Span(0), since }
    }

    fn stop(&mut self, why: Stopped) {
        if self.stopped.is_none() || why == Stopped::Lost {
            self.stopped = Some(why);
        }
    }

    fn note(&mut self, order: &Order) {
        match order {
            Order::Cancel => self.stop(Stopped::Cancelled),
            Order::Stop => self.stop(Stopped::Worker),
            Order::Lost => self.stop(Stopped::Lost),
            Order::Illegal => self.stop(Stopped::Illegal),
            // Answers to a turn's end, which cannot have come yet or are too late; and what is
            // for the agent alone.
            Order::Next(_)
            | Order::Wait
            | Order::Close
            | Order::Give { .. }
            | Order::Interrupt { .. } => {}
        }
    }

    /// Only working time counts (RUN-4).
    fn pause(&mut self) {
        if let Some(since) = self.since.take() {
            self.worked = self.worked_until(since);
        }
    }

    fn resume(&mut self) {
        self.since.get_or_insert(self.clock.now());
    }

    fn worked_until(&self, since: Timestamp) -> Span {
        Span(self.worked.0 + (self.clock.now() - since).0)
    }

    fn work_deadline(&self) -> Option<Timestamp> {
        if self.stopped.is_some() {
            return None;
        }
        Some(self.since? + Span(self.limit?.0 - self.worked.0))
    }

    fn end_before_start(&self) -> Option<End> {
        self.stopped.map(|why| self.end(why))
    }

    fn end(&self, why: Stopped) -> End {
        match why {
            Stopped::Cancelled => End::new(Cause::Cancelled, ""),
            Stopped::Worker => End::new(Cause::Cancelled, "stopped by its worker, which stops"),
            Stopped::Uninterrupted => {
                let text = format!(
                    "stopped by its worker: it was interrupted, and its turn did not end within \
                     {} s",
                    talk::INTERRUPT_GRACE.0 / 1_000
                );
                End::new(Cause::Cancelled, text)
            }
            Stopped::Illegal => {
                let text = "the server refused a report of it as out of order";
                End::new(Cause::Crashed, text)
            }
            Stopped::TimedOut => {
                let limit_ms = self.limit.map_or(0, |limit| limit.0);
                let text = format!("the run's timeout_ms of {limit_ms} has passed");
                End::new(Cause::TimedOut, text)
            }
            Stopped::Lost => End::new(Cause::Unspecified, ""),
        }
    }
}

/// The event of an execution as it is reported.
pub(crate) fn reported(
    attempt_id: &str,
    term: u64,
    event: execution_event::Event,
) -> ExecutionEvent {
    ExecutionEvent { attempt_id: attempt_id.to_owned(), term, event: Some(event) }
}

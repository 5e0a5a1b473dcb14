//! Speaking with the agent's process, from its start to the proof that nothing is left.
//!
//! **What** One loop that takes whatever happens next - an order, output, room, time, the exit -
//! and carries out what the dialogue and the ladder make of it.
//!
//! **Invariants** Nothing here waits for the agent but the loop itself: input is queued, output
//! is read only while the log has room. After a stop the agent's word about its turn counts only
//! where it can: not after a timeout, and not a failure that the stop itself caused.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use hostler_core::supervisor::ladder::{self, Ladder};
use hostler_core::time::Timestamp;
use hostler_wire::v1::ended::Cause;
use hostler_wire::v1::execution_event::Event as Reported;
use hostler_wire::v1::{self, LogRecord};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until};

use super::input::Input;
use super::lines::Lines;
use super::{Control, End, Event, Execution, Order, Stopped};
use crate::agent::{Action, Dialogue, Exit, Failure, Log, TurnInput, TurnResult};
use crate::clock::wall_ms;
use crate::sandbox::Sandbox;

/// What is in the pipes when nothing is left of the sandbox is read at once; this is for a pipe
/// that somebody else holds open against all expectation.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// What happens next.
enum Happened {
    Order(Option<Order>),
    Stdout(Vec<String>),
    Stderr(Vec<String>),
    Exited(Exit),
    /// Something may go on: input was written, the log has room, time has passed.
    Moved,
}

pub(super) struct Talk<'a> {
    execution: &'a mut Execution,
    control: &'a mut Control,
    dialogue: Box<dyn Dialogue>,
    sandbox: Sandbox,
    identity: v1::Started,
    input: Input,
    stdout: Lines<pipe::Receiver>,
    stderr: Lines<pipe::Receiver>,
    ladder: Ladder,
    exit: Option<(Exit, Instant)>,
    /// The server's answer to a turn's end is on its way.
    awaits_answer: bool,
    /// The server's answer, where it was a further turn, not yet taken by the agent.
    given: Option<String>,
    /// The server's answer was that no turn follows.
    was_closed: bool,
    listens: bool,
    last_events: Vec<Reported>,
}

impl<'a> Talk<'a> {
    pub(super) fn new(
        execution: &'a mut Execution,
        control: &'a mut Control,
        dialogue: Box<dyn Dialogue>,
        mut sandbox: Sandbox,
        identity: v1::Started,
    ) -> Result<Talk<'a>, Box<(Sandbox, io::Error)>> {
        // Doubles, since waiting for the exit borrows the sandbox as a whole.
        let (stdout, stderr) = match (double(&sandbox.stdout), double(&sandbox.stderr)) {
            (Ok(stdout), Ok(stderr)) => (stdout, stderr),
            (Err(error), _) | (_, Err(error)) => {
                return Err(Box::new((sandbox, error)));
            }
        };
        Ok(Talk {
            input: Input::new(sandbox.stdin.take()),
            execution,
            control,
            dialogue,
            sandbox,
            identity,
            stdout: Lines::new(stdout),
            stderr: Lines::new(stderr),
            ladder: Ladder::default(),
            exit: None,
            awaits_answer: false,
            given: None,
            was_closed: false,
            listens: true,
            last_events: Vec::new(),
        })
    }

    pub(super) async fn until_the_end(mut self, first: TurnInput, memory_bytes: u64) -> End {
        self.report(Reported::Started(self.identity.clone())).await;
        let begun = self.dialogue.begin();
        self.carry_out(begun).await;
        self.give(&first).await;
        while !self.is_over() {
            match self.next().await {
                Happened::Order(order) => self.obey(order).await,
                Happened::Stdout(lines) => {
                    for line in lines {
                        let actions = self.dialogue.stdout(&line);
                        self.carry_out(actions).await;
                    }
                }
                Happened::Stderr(lines) => {
                    for line in lines {
                        let actions = self.dialogue.stderr(&line);
                        self.carry_out(actions).await;
                    }
                }
                Happened::Exited(exit) => {
                    self.ladder.handle(ladder::Event::Vanish, self.execution.clock.now());
                    self.exit = Some((exit, Instant::now()));
                }
                Happened::Moved => {}
            }
            self.watch_the_time().await;
        }
        let exit = self.exit.map_or(Exit::Signal(0), |(exit, _)| exit);
        let actions = self.dialogue.exited(exit);
        self.carry_out(actions).await;
        self.end(exit, memory_bytes)
    }

    fn is_over(&self) -> bool {
        let read = self.stdout.has_ended() && self.stderr.has_ended();
        self.exit.is_some_and(|(_, at)| read || at.elapsed() >= LAST_OUTPUT)
    }

    async fn next(&mut self) -> Happened {
        let deadline = self.deadline();
        let spool = &self.execution.spool;
        let has_room = spool.has_room();
        // What nothing is left of is read to its end: the pipes hold little.
        let reads = self.exit.is_some() || (has_room && self.input.has_room());
        let out = reads && !self.stdout.has_ended();
        let error = reads && !self.stderr.has_ended();
        let has_exited = self.exit.is_some();
        tokio::select! {
            order = self.execution.orders.recv(), if self.listens => Happened::Order(order),
            lines = self.stdout.read(), if out => Happened::Stdout(lines),
            lines = self.stderr.read(), if error => Happened::Stderr(lines),
            exit = self.sandbox.wait(), if !has_exited => Happened::Exited(exit),
            () = self.input.write(), if self.input.is_waiting() => Happened::Moved,
            () = spool.room(), if !has_room => Happened::Moved,
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                Happened::Moved
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if let Some((_, at)) = self.exit {
            return Some(at + LAST_OUTPUT);
        }
        let due: Option<Timestamp> =
            [self.ladder.deadline(), self.control.work_deadline()].into_iter().flatten().min();
        due.map(|at| self.execution.clock.instant(at))
    }

    async fn watch_the_time(&mut self) {
        if self.exit.is_some() {
            return;
        }
        let now = self.execution.clock.now();
        if self.control.work_deadline().is_some_and(|deadline| now >= deadline) {
            self.control.stop(Stopped::TimedOut);
            self.climb(ladder::Event::Stop).await;
        }
        self.climb(ladder::Event::Overdue).await;
    }

    async fn obey(&mut self, order: Option<Order>) {
        let Some(order) = order else {
            // The driver is gone; so is whoever could report.
            self.listens = false;
            self.control.stop(Stopped::Lost);
            return self.climb(ladder::Event::Kill).await;
        };
        self.control.note(&order);
        match order {
            Order::Cancel | Order::Stop => self.climb(ladder::Event::Stop).await,
            Order::Lost | Order::Illegal => self.climb(ladder::Event::Kill).await,
            Order::Close => {
                self.awaits_answer = false;
                self.was_closed = true;
                self.climb(ladder::Event::Close).await;
            }
            Order::Next(input) => {
                self.awaits_answer = false;
                self.given = Some(input.input_id.clone());
                if self.exit.is_none() && self.control.stopped.is_none() {
                    self.give(&input).await;
                }
            }
        }
    }

    async fn give(&mut self, input: &TurnInput) {
        self.control.resume();
        let actions = self.dialogue.turn(input);
        self.carry_out(actions).await;
    }

    /// Tells the ladder, and does what it says.
    async fn climb(&mut self, event: ladder::Event) {
        let now = self.execution.clock.now();
        match self.ladder.handle(event, now) {
            None => {}
            Some(ladder::Action::Close) => {
                let actions = self.dialogue.close();
                self.carry_out(actions).await;
            }
            Some(ladder::Action::Interrupt) => {
                let interrupts = self.dialogue.interrupt();
                let is_gentle = !interrupts.is_empty();
                self.carry_out(interrupts).await;
                let actions = self.dialogue.close();
                self.carry_out(actions).await;
                let deadline = self.ladder.deadline().filter(|_| !is_gentle);
                if let Some(deadline) = deadline {
                    // An agent that knows no interrupt has nothing to be waited for.
                    let action = self.ladder.handle(ladder::Event::Overdue, deadline);
                    debug_assert_eq!(action, Some(ladder::Action::Terminate));
                    self.sandbox.terminate();
                }
            }
            Some(ladder::Action::Terminate) => self.sandbox.terminate(),
            Some(ladder::Action::Kill) => self.sandbox.kill(),
        }
    }

    async fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Write(mut line) => {
                    line.push('\n');
                    self.input.push(line.into_bytes());
                }
                Action::WriteRaw(bytes) => self.input.push(bytes),
                Action::CloseInput => self.input.close(),
                Action::Identified { provider, model } => {
                    let before = self.identity.clone();
                    self.identity.provider = provider;
                    self.identity.model = model;
                    if before != self.identity {
                        self.report(Reported::Started(self.identity.clone())).await;
                    }
                }
                Action::Log(log) => self.execution.spool.push(record(log)),
                Action::TurnStarted { input_id } => {
                    if self.given.as_ref() == Some(&input_id) {
                        self.given = None;
                    }
                    self.report(Reported::TurnStarted(v1::TurnStarted { input_id })).await;
                }
                Action::TurnEnded(result) => self.turn_ended(result).await,
            }
        }
    }

    async fn turn_ended(&mut self, result: TurnResult) {
        let counts = match self.control.stopped {
            None | Some(Stopped::Cancelled) => true,
            Some(Stopped::Worker) => !result.is_error,
            Some(Stopped::TimedOut | Stopped::Illegal | Stopped::Lost) => false,
        };
        if !counts {
            return;
        }
        self.control.pause();
        if self.given.as_ref() == Some(&result.input_id) {
            self.given = None;
        }
        self.awaits_answer = !result.last;
        self.report(Reported::TurnEnded(turn_ended(result))).await;
    }

    /// After the exit, what there is to say goes with the end: one report instead of two.
    async fn report(&mut self, event: Reported) {
        if self.exit.is_some() {
            self.last_events.push(event);
            return;
        }
        let attempt_id = self.execution.assignment.attempt_id.clone();
        // The driver takes events at any time; if it is gone, the orders say so next.
        let _ = self.execution.events.send((attempt_id, Event::Report(vec![event]))).await;
    }

    fn end(mut self, exit: Exit, memory_bytes: u64) -> End {
        let events = std::mem::take(&mut self.last_events);
        let exit_code = match exit {
            Exit::Code(code) => Some(code),
            Exit::Signal(_) => None,
        };
        let end = match (self.control.stopped, exit) {
            (Some(why), _) => self.control.end(why),
            (None, Exit::Signal(_)) if self.sandbox.out_of_memory() => {
                let limit = memory_bytes >> 20;
                let text = format!("killed: it needed more than its {limit} MiB of memory");
                End::new(Cause::Crashed, text)
            }
            (None, _) if self.was_closed => End::new(Cause::Closed, ""),
            (None, Exit::Signal(signal)) => {
                End::new(Cause::Crashed, format!("killed by signal {signal}"))
            }
            // It may have been given a turn that it did not live to take.
            (None, Exit::Code(0)) if self.awaits_answer || self.given.is_some() => {
                let text = "the agent's process ended before it took its next message";
                End::new(Cause::Crashed, text)
            }
            (None, Exit::Code(_)) => End::new(Cause::Exited, ""),
        };
        End { exit_code, events, ..end }
    }
}

fn double(pipe: &pipe::Receiver) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(pipe.as_fd().try_clone_to_owned()?)
}

fn record(log: Log) -> LogRecord {
    let metadata = log.metadata.map(serde_json::Value::Object);
    LogRecord {
        ts_ms: wall_ms(),
        stream: log.stream.to_owned(),
        data: log.data,
        chunk_type: log.chunk_type,
        metadata_json: metadata.map(|value| value.to_string()).unwrap_or_default(),
    }
}

fn turn_ended(result: TurnResult) -> v1::TurnEnded {
    let failure = match result.failure {
        Failure::None => "",
        Failure::Rejected => "rejected",
        Failure::Overloaded => "overloaded",
        Failure::Configuration => "configuration",
    };
    let usage = result.usage;
    v1::TurnEnded {
        input_id: result.input_id,
        is_error: result.is_error,
        reason: result.reason,
        text: result.text,
        waiting_for_input: result.waiting_for_input,
        usage: Some(v1::Usage {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            cost_micro_usd: usage.cost_micro_usd,
            models_json: usage.models.map(|models| models.to_string()).unwrap_or_default(),
        }),
        failure: failure.to_owned(),
        last: result.last,
    }
}

//! Speaking with the agent's process, from its start to the proof that nothing is left.
//!
//! **What** One loop that takes whatever happens next - an order, output, room, time, the exit -
//! and carries out what the dialogue and the ladder make of it.
//!
//! **Invariants** Nothing here waits for the agent but the loop itself: input is queued, output
//! is read only while the log has room. After a stop the agent's word about its turn counts only
//! where it can: not after a timeout, and not a failure that the stop itself caused. Time counts
//! while a turn runs, whoever began it: the server, or a steer that came after the end.
//!
//! **Failure** A turn that was interrupted and has not ended after [`INTERRUPT_GRACE`] is stopped
//! with its process, at once where the agent knows no interrupt.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use hostler_core::run::start::NOT_TAKEN;
use hostler_core::supervisor::ladder::{self, Ladder};
use hostler_core::time::{Span, Timestamp};
use hostler_wire::v1;
use hostler_wire::v1::ended::Cause;
use hostler_wire::v1::execution_event::Event as Reported;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until};

use super::input::Input;
use super::inputs::Standing;
use super::lines::Lines;
use super::{Control, End, Event, Execution, Order, Stopped, report};
use crate::agent::{Action, Dialogue, Exit, TEXT_LINE_BYTES_MAX, TurnInput, TurnResult, Usage};
use crate::sandbox::Sandbox;

/// What is in the pipes when nothing is left of the sandbox is read at once; this is for a pipe
/// that somebody else holds open against all expectation.
pub(super) const LAST_OUTPUT: Duration = Duration::from_secs(2);
/// How long an interrupted turn may take to end. Claude Code answers within a tenth of a second
/// and ends its turn when the tool that runs is gone.
pub(super) const INTERRUPT_GRACE: Span = Span::seconds(10);
/// Between two reports of what a turn has used: budgets are watched by it.
const SPENT_INTERVAL: Span = Span::seconds(2);

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
    /// Ends of turns whose answer is on its way: two, when a steer began the second turn.
    answers_due: u32,
    /// A further turn, not yet taken by the agent.
    given: Option<String>,
    /// The turn was interrupted, and is to have ended by then.
    interrupt_due: Option<Timestamp>,
    /// What the turn has used, not yet reported.
    spent: Option<Usage>,
    spent_at: Option<Timestamp>,
    /// The last turn ended with its work done.
    last_is_done: bool,
    /// The server's answer was that no turn follows.
    was_closed: bool,
    listens: bool,
    /// What is said only when the server has the log up to there: the end of a turn comes after
    /// what the agent said in it, and what follows comes after the end.
    held_back: VecDeque<(u64, Reported)>,
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
        let stdout = Lines::new(stdout, dialogue.line_bytes_max());
        Ok(Talk {
            input: Input::new(sandbox.stdin.take()),
            execution,
            control,
            dialogue,
            sandbox,
            identity,
            stdout,
            stderr: Lines::new(stderr, TEXT_LINE_BYTES_MAX),
            ladder: Ladder::default(),
            exit: None,
            answers_due: 0,
            given: None,
            interrupt_due: None,
            spent: None,
            spent_at: None,
            last_is_done: false,
            was_closed: false,
            listens: true,
            held_back: VecDeque::new(),
            last_events: Vec::new(),
        })
    }

    pub(super) async fn until_the_end(mut self, first: TurnInput, memory_bytes: u64) -> End {
        self.report(Reported::Started(self.identity.clone())).await;
        let begun = self.dialogue.begin();
        self.carry_out(begun).await;
        self.give(&first).await;
        for order in std::mem::take(&mut self.execution.early) {
            self.obey(Some(order)).await;
        }
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
            self.say_what_is_due().await;
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
            () = spool.moved(), if !has_room || !self.held_back.is_empty() => Happened::Moved,
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                Happened::Moved
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if let Some((_, at)) = self.exit {
            return Some(at + LAST_OUTPUT);
        }
        let spent_due = self.spent.as_ref().and(self.spent_at).map(|at| at + SPENT_INTERVAL);
        let due =
            [self.ladder.deadline(), self.control.work_deadline(), self.interrupt_due, spent_due];
        let due: Option<Timestamp> = due.into_iter().flatten().min();
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
        if self.interrupt_due.is_some_and(|due| now >= due) {
            self.stop_uninterrupted().await;
        }
        if self.spent_at.is_none_or(|at| now >= at + SPENT_INTERVAL) {
            self.report_spent(now).await;
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
                self.answers_due = self.answers_due.saturating_sub(1);
                self.was_closed = true;
                self.climb(ladder::Event::Close).await;
            }
            Order::Next(input) => {
                self.answers_due = self.answers_due.saturating_sub(1);
                self.next_turn(&input).await;
            }
            Order::Wait => self.answers_due = self.answers_due.saturating_sub(1),
            Order::Give { steer: false, input } => self.next_turn(&input).await,
            Order::Give { steer: true, input } => {
                // What is not taken any more is returned with the end.
                if self.takes_more() {
                    self.execution.inputs.set(&input.input_id, Standing::Written);
                    let actions = self.dialogue.steer(&input);
                    self.carry_out(actions).await;
                }
            }
            Order::Interrupt { turn } => self.interrupt(&turn).await,
        }
    }

    fn takes_more(&self) -> bool {
        self.exit.is_none() && self.control.stopped.is_none() && !self.was_closed
    }

    async fn next_turn(&mut self, input: &TurnInput) {
        let inputs = &self.execution.inputs;
        match inputs.standing(&input.input_id) {
            // It was a steer, and began its turn by itself before the server's answer came.
            Some(Standing::Running) => return inputs.promote(&input.input_id),
            Some(Standing::Ended | Standing::NotTaken) => return,
            Some(Standing::Injected) => return self.skipped(input).await,
            Some(Standing::Returned) => inputs.set(&input.input_id, Standing::Given),
            Some(Standing::Given | Standing::Written) | None => {}
        }
        inputs.promote(&input.input_id);
        self.given = Some(input.input_id.clone());
        if self.takes_more() {
            self.give(input).await;
        }
    }

    /// The agent's conversation held the steer already; the server had not heard of it.
    async fn skipped(&mut self, input: &TurnInput) {
        let result = TurnResult {
            input_id: input.input_id.clone(),
            is_error: true,
            reason: "skipped".to_owned(),
            text: "the agent skipped the message, which it had been given before".to_owned(),
            ..TurnResult::default()
        };
        self.turn_ended(result).await;
    }

    async fn give(&mut self, input: &TurnInput) {
        self.control.resume();
        self.execution.inputs.set(&input.input_id, Standing::Written);
        let actions = self.dialogue.turn(input);
        self.carry_out(actions).await;
    }

    /// Stops the turn if it is the one that was meant: the word may have been overtaken.
    async fn interrupt(&mut self, meant: &str) {
        let is_meant = self.execution.inputs.turn().is_some_and(|turn| turn == meant);
        if !is_meant || !self.takes_more() || self.interrupt_due.is_some() {
            return;
        }
        let actions = self.dialogue.interrupt();
        let is_known = !actions.is_empty();
        self.interrupt_due = Some(self.execution.clock.now() + INTERRUPT_GRACE);
        self.carry_out(actions).await;
        if !is_known {
            self.stop_uninterrupted().await;
        }
    }

    async fn stop_uninterrupted(&mut self) {
        self.interrupt_due = None;
        self.control.stop(Stopped::Uninterrupted);
        self.climb(ladder::Event::Stop).await;
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
                Action::Log(log) => self.execution.spool.push(report::record(log)),
                Action::TurnStarted { input_id } => {
                    if self.given.as_ref() == Some(&input_id) {
                        self.given = None;
                    }
                    self.control.resume();
                    self.execution.inputs.set(&input_id, Standing::Running);
                    self.report(Reported::TurnStarted(v1::TurnStarted { input_id })).await;
                }
                Action::TurnEnded(result) => self.turn_ended(result).await,
                Action::Injected { input_id } => {
                    self.execution.inputs.set(&input_id, Standing::Injected);
                    self.report(Reported::Injected(v1::Injected { input_id })).await;
                }
                Action::Returned { input_id } => {
                    self.execution.inputs.set(&input_id, Standing::Returned);
                    self.report(Reported::Returned(v1::Returned { input_id })).await;
                }
                // Reported when it is time.
                Action::Spent(usage) => self.spent = Some(usage),
            }
        }
    }

    async fn report_spent(&mut self, now: Timestamp) {
        let Some(usage) = self.spent.take() else { return };
        let Some(input_id) = self.execution.inputs.running() else { return };
        self.spent_at = Some(now);
        let usage = Some(report::usage(usage));
        self.report(Reported::Spent(v1::Spent { input_id, usage })).await;
    }

    async fn turn_ended(&mut self, result: TurnResult) {
        self.spent = None;
        self.interrupt_due = None;
        let counts = match self.control.stopped {
            None | Some(Stopped::Cancelled | Stopped::Uninterrupted) => true,
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
        let standing = match self.execution.inputs.standing(&result.input_id) {
            Some(Standing::Given | Standing::Written) if result.reason == NOT_TAKEN => {
                Standing::NotTaken
            }
            _ => Standing::Ended,
        };
        self.execution.inputs.set(&result.input_id, standing);
        self.answers_due += u32::from(!result.last);
        self.last_is_done = !result.is_error && !result.waiting_for_input;
        let end = Reported::TurnEnded(report::turn_ended(result));
        let told = self.execution.spool.flush();
        self.held_back.push_back((told, end));
        self.say_what_is_due().await;
    }

    /// After the exit, what there is to say goes with the end: one report instead of two.
    async fn report(&mut self, event: Reported) {
        if self.exit.is_some() {
            self.last_events.extend(self.held_back.drain(..).map(|(_, event)| event));
            self.last_events.push(event);
        } else if self.held_back.is_empty() {
            self.say(event).await;
        } else {
            self.held_back.push_back((0, event));
        }
    }

    /// Reports what was held back, as far as the server has the log before it.
    async fn say_what_is_due(&mut self) {
        if self.exit.is_some() {
            self.last_events.extend(self.held_back.drain(..).map(|(_, event)| event));
            return;
        }
        let spool = self.execution.spool.clone();
        while self.held_back.front().is_some_and(|(told, _)| spool.has_all(*told))
            && let Some((_, event)) = self.held_back.pop_front()
        {
            self.say(event).await;
        }
    }

    async fn say(&mut self, event: Reported) {
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
            (None, Exit::Code(0)) if self.answers_due > 0 || self.given.is_some() => {
                let text = "the agent's process ended before it took its next message";
                End::new(Cause::Crashed, text)
            }
            (None, Exit::Code(_)) => End::new(Cause::Exited, ""),
        };
        let ends_well =
            end.cause == Cause::Closed || (end.cause == Cause::Exited && exit == Exit::Code(0));
        End { exit_code, events, work_is_done: ends_well && self.last_is_done, ..end }
    }
}

pub(super) fn double(pipe: &pipe::Receiver) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(pipe.as_fd().try_clone_to_owned()?)
}

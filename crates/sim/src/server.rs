//! # Servers
//!
//! **What** A node: an engine, and the loop that drives it as `hostler-server`'s driver does. It
//! carries outputs to the disk and to whoever asked, each at a time that chance decides.
//!
//! **Failure** It may die before any output; what it had sent to the store then arrives at once,
//! later or never. It comes back with a fresh engine and another clock.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::batch::{Batch, Committed, Find};
use hostler_core::command::{Answer, Command};
use hostler_core::engine::{
    Config, Connected, Engine, Input, Link, Output, Push, PushKind, Refused, StoreFailure, Ticket,
};
use hostler_core::id::WorkerId;
use hostler_core::key::{Key, Row};
use hostler_core::run::start::Writer;
use hostler_core::time::Timestamp;
use hostler_core::worker::beat::Beat;
use hostler_core::worker::hello::Hello;
use hostler_store::Error;

use crate::mutant::Mutant;
use crate::network::{Down, HELLO_MAX, Up};
use crate::world::{Event, START, World};

pub struct Server {
    pub life: u64,
    pub engine: Option<Engine>,
    /// Its clock is true time and this, for as long as it lives.
    skew: i64,
    /// It died for good.
    pub retired: bool,
    pub asked: BTreeMap<Ticket, Asker>,
    last_ticket: Ticket,
    pending: Option<Pending>,
    last_number: u64,
    tick_at: Option<i64>,
    links: BTreeSet<Link>,
    /// Hellos that are not answered yet.
    hellos: BTreeSet<Link>,
}

struct Pending {
    number: u64,
    call: Call,
    is_applied: bool,
    answer: Option<Input>,
}

enum Call {
    Load(Vec<Key>),
    Find(Find),
    Commit(Batch),
}

/// Who waits for a reply.
#[derive(Clone, Debug)]
pub enum Asker {
    Client { client: usize, op: u64 },
    Hello { link: Link, sent_at: i64 },
    Beat { link: Link, sent_at: i64 },
    Report { link: Link, numbers: Vec<u64> },
    Logs { link: Link },
    Nobody,
}

impl Server {
    pub fn down() -> Self {
        Server {
            life: 0,
            engine: None,
            skew: 0,
            retired: false,
            asked: BTreeMap::new(),
            last_ticket: 0,
            pending: None,
            last_number: 0,
            tick_at: None,
            links: BTreeSet::new(),
            hellos: BTreeSet::new(),
        }
    }

    /// It will be there again.
    pub fn is_away(&self) -> bool {
        self.engine.is_none() && !self.retired
    }

    /// It owes nobody an answer.
    pub fn is_idle(&self) -> bool {
        self.engine.is_none() || self.asked.is_empty()
    }

    fn forget(&mut self) {
        let kept = Server { life: self.life + 1, retired: self.retired, ..Server::down() };
        *self = kept;
    }
}

impl World {
    pub fn restart(&mut self, index: usize) {
        if self.servers[index].retired || self.servers[index].engine.is_some() {
            return;
        }
        let skew = match self.dice.below(4) {
            0 => self.dice.range(-30_000, 30_000),
            _ => self.dice.range(-300, 300),
        };
        let seed = self.dice.bits();
        let is_shared = self.is_shared();
        let retention = self.retention;
        let server = &mut self.servers[index];
        server.forget();
        server.skew = START + skew;
        let config = Config { retention, ..Config::default() };
        let engine = Engine::new(config, Timestamp(self.now + server.skew), seed);
        server.engine = Some(if is_shared { engine.on_shared_store() } else { engine });
        self.say(format_args!("server {index} starts, its clock {skew} ms off"));
        self.drain(index);
    }

    /// The server dies here and now.
    pub fn crash(&mut self, index: usize) {
        let pending = self.servers[index].pending.take();
        let links = std::mem::take(&mut self.servers[index].links);
        self.servers[index].forget();
        self.say(format_args!("server {index} dies"));
        if let Some(Pending { call: Call::Commit(batch), is_applied: false, .. }) = pending
            && self.dice.chance(5_000)
        {
            // A store of its own is dead when the server starts again; a shared one is not.
            let after = if self.is_shared() { self.dice.range(0, 2_500) } else { 0 };
            self.at(after, Event::Zombie(Box::new(batch)));
        }
        for link in links {
            self.cut(link);
        }
        // Now and then minutes pass before somebody starts it again.
        let is_long = !self.is_shared() && self.habits.schedules && self.dice.chance(600);
        let after =
            if is_long { self.dice.range(60_000, 150_000) } else { self.dice.range(1, 4_000) };
        self.at(after, Event::Restart(index));
    }

    /// Its clock goes on by so much at once.
    pub fn skip(&mut self, index: usize, span: i64) {
        self.servers[index].skew += span;
        self.input(index, Input::Tick);
    }

    pub fn zombie(&mut self, batch: &Batch) {
        let done = self.disk.commit(batch, &mut self.check).is_ok();
        self.say(format_args!("a dead server's batch arrives: {done}"));
    }

    pub fn input(&mut self, index: usize, input: Input) {
        let now = self.now;
        let server = &mut self.servers[index];
        if let Some(engine) = &mut server.engine {
            engine.handle(input, Timestamp(now + server.skew));
            self.drain(index);
        }
    }

    /// Carries out outputs until the engine waits; it may die before each of them.
    fn drain(&mut self, index: usize) {
        loop {
            let Some(engine) = &mut self.servers[index].engine else { return };
            let output = engine.poll();
            if let Output::WaitUntil(at) = output {
                self.tick_later(index, at);
                return;
            }
            if self.dice.chance(self.faults.crash) {
                self.crash(index);
                return;
            }
            self.carry_out(index, output);
        }
    }

    fn tick_later(&mut self, index: usize, at: Timestamp) {
        let server = &mut self.servers[index];
        if at == Timestamp::MAX {
            return;
        }
        let at = at.0.saturating_sub(server.skew).max(self.now);
        if server.tick_at.is_none_or(|planned| at < planned) {
            server.tick_at = Some(at);
            let life = server.life;
            self.at(at - self.now, Event::Tick { server: index, life, at });
        }
    }

    pub fn tick(&mut self, index: usize, life: u64, at: i64) {
        let server = &mut self.servers[index];
        if server.life == life && server.tick_at == Some(at) {
            server.tick_at = None;
            self.input(index, Input::Tick);
        }
    }

    fn carry_out(&mut self, index: usize, output: Output) {
        match output {
            Output::Load(keys) => self.call(index, Call::Load(keys)),
            Output::Find(find) => self.call(index, Call::Find(find)),
            Output::Commit(batch) => self.call(index, Call::Commit(batch)),
            Output::Reply(ticket, result) => self.reply(index, ticket, result),
            Output::Push(link, push) => self.push(link, push),
            Output::Appended(task, seq) => {
                self.say(format_args!("server {index}: {task} has grown to {seq}"));
            }
            Output::WaitUntil(_) => unreachable!("the loop ends on it"),
        }
    }

    fn call(&mut self, index: usize, call: Call) {
        let server = &mut self.servers[index];
        assert!(server.pending.is_none(), "one call of the store at a time");
        server.last_number += 1;
        let (number, life) = (server.last_number, server.life);
        server.pending = Some(Pending { number, call, is_applied: false, answer: None });
        let after = self.faults.latency(&mut self.dice);
        self.at(after, Event::Apply { server: index, life, number });
    }

    /// The store does what it was asked, unless it fails; the answer is on its way.
    pub fn apply(&mut self, index: usize, life: u64, number: u64) {
        if self.servers[index].life != life {
            return;
        }
        let Some(mut pending) = self.servers[index].pending.take() else { return };
        let answer = if self.dice.chance(self.faults.unavailable) {
            Input::Failed(StoreFailure::Unavailable)
        } else {
            self.ask_store(&pending.call)
        };
        pending.is_applied = true;
        if let Input::Failed(failure) = &answer {
            self.log.line(self.now, format_args!("server {index}: the store says {failure:?}"));
        }
        pending.answer = Some(answer);
        self.servers[index].pending = Some(pending);
        let after = self.faults.latency(&mut self.dice);
        self.at(after, Event::Answered { server: index, life, number });
    }

    fn ask_store(&mut self, call: &Call) -> Input {
        let failed = |error: Error| {
            Input::Failed(match error {
                Error::Conflict => StoreFailure::Conflict,
                Error::Unavailable(_) | Error::Corrupt(_) => StoreFailure::Unavailable,
                Error::Unknown(_) => StoreFailure::Unknown,
            })
        };
        match call {
            Call::Load(keys) => self.disk.load(keys).map_or_else(failed, Input::Loaded),
            Call::Find(find) => {
                let found = self.disk.find(find);
                found.map_or_else(failed, |found| Input::Found(find.clone(), found))
            }
            Call::Commit(batch) => {
                if self.mutant == Some(Mutant::ReplyComesBeforeCommit) {
                    self.at(3, Event::Zombie(Box::new(batch.clone())));
                    let last_seqs = vec![1; batch.appends.len()];
                    let trims_done = vec![true; batch.trims.len()];
                    return Input::Committed(Committed { last_seqs, trims_done });
                }
                let unknown = self.dice.chance(self.faults.unknown);
                if unknown && self.dice.chance(5_000) {
                    return Input::Failed(StoreFailure::Unknown);
                }
                let done = self.disk.commit(batch, &mut self.check);
                match done {
                    Ok(_) if unknown => Input::Failed(StoreFailure::Unknown),
                    done => done.map_or_else(failed, Input::Committed),
                }
            }
        }
    }

    pub fn answered(&mut self, index: usize, life: u64, number: u64) {
        let server = &mut self.servers[index];
        if server.life != life || server.pending.as_ref().is_none_or(|one| one.number != number) {
            return;
        }
        let answer = server.pending.take().and_then(|pending| pending.answer);
        let answer = answer.expect("an answer comes after the call was carried out");
        self.say(format_args!("server {index} has answer {number}"));
        self.input(index, answer);
    }

    pub fn ask(&mut self, index: usize, asker: Asker, mut command: Command) {
        if let Command::Submit { submit, .. } = &mut command
            && self.mutant == Some(Mutant::WrongRunIsAccepted)
        {
            submit.expected_run_id = None;
        }
        let server = &mut self.servers[index];
        server.last_ticket += 1;
        let ticket = server.last_ticket;
        server.asked.insert(ticket, asker);
        let seed = self.dice.bits();
        self.input(index, Input::Ask { ticket, command, seed });
    }

    fn reply(&mut self, index: usize, ticket: Ticket, result: Result<Answer, Refused>) {
        if self.mutant == Some(Mutant::ReplyIsLost) && self.dice.chance(1_000) {
            return;
        }
        let Some(asker) = self.servers[index].asked.remove(&ticket) else {
            let text = format!("INV-ENGINE-2: ticket {ticket} of server {index} answered twice");
            self.fail("reply", text);
            return;
        };
        if let Ok(answer) = &result {
            self.check.durable(answer, &asker, &self.disk);
        }
        self.say(format_args!("server {index} answers {asker:?}: {}", shown(&result)));
        match asker {
            Asker::Client { client, op } => self.reply_to_client(client, op, result),
            Asker::Nobody => {}
            Asker::Hello { link, sent_at } => {
                self.servers[index].hellos.remove(&link);
                match result {
                    Ok(Answer::Orders(orders)) => {
                        self.send_down(link, Down::Welcome { sent_at, orders });
                    }
                    _ => self.hang_up(index, link),
                }
            }
            Asker::Beat { link, sent_at } => match result {
                Ok(Answer::Orders(orders)) => {
                    self.send_down(link, Down::BeatAck { sent_at, orders });
                }
                Ok(Answer::UnknownWorker) => self.send_down(link, Down::UnknownWorker),
                _ => self.hang_up(index, link),
            },
            Asker::Report { link, numbers } => match result {
                Ok(Answer::Verdicts(verdicts)) => {
                    self.send_down(link, Down::ReportAck { numbers, verdicts });
                }
                _ => self.hang_up(index, link),
            },
            Asker::Logs { link } => match result {
                Ok(Answer::ChunkAcks(acks)) => self.send_down(link, Down::LogAck { acks }),
                _ => self.hang_up(index, link),
            },
        }
        if self.mutant == Some(Mutant::ReplyTwice) && self.dice.chance(500) {
            self.reply(index, ticket, Err(Refused::Unavailable));
        }
    }

    fn push(&mut self, link: Link, push: Push) {
        self.say(format_args!("link {link} push {}", pushed(&push)));
        let is_said_again = !matches!(push.what, PushKind::Assign(_));
        if is_said_again && self.dice.chance(self.faults.lose_push) {
            return;
        }
        if self.mutant.is_some_and(|mutant| mutant.loses(&push.what)) {
            return;
        }
        match push.what {
            PushKind::Assign(mut assignment) => {
                if let Some(mutant) = self.mutant {
                    mutant.spoil_assignment(&mut assignment, &self.disk.memory);
                }
                self.send_down(link, Down::Assign(assignment));
            }
            PushKind::Cancel(attempt) => self.send_down(link, Down::Cancel(attempt)),
            PushKind::Give { attempt_id: attempt, term, steer, input } => {
                self.send_down(link, Down::Give { attempt, term, steer, input });
            }
            PushKind::Interrupt { attempt_id: attempt, input_id: turn } => {
                self.send_down(link, Down::Interrupt { attempt, turn });
            }
            PushKind::Close(attempt) => self.send_down(link, Down::Close(attempt)),
        }
    }

    /// What a worker asked could not be done: it is to connect again and send it again.
    fn hang_up(&mut self, index: usize, link: Link) {
        self.cut(link);
        self.server_lost_link(index, link);
    }

    pub fn server_lost_link(&mut self, index: usize, link: Link) {
        let Some(connection) = self.connections.get(&link) else { return };
        if connection.server_life != self.servers[index].life {
            return;
        }
        let worker = self.workers[connection.worker].id.clone();
        if self.servers[index].links.remove(&link) {
            self.input(index, Input::Disconnected { worker, link });
        }
    }

    /// A hello was not decided in time. Where the store is shared its server must not decide it
    /// any more, and the only sure way is to end.
    pub fn hello_late(&mut self, index: usize, life: u64, link: Link) {
        let server = &self.servers[index];
        if server.life == life && server.hellos.contains(&link) {
            self.crash(index);
        }
    }

    pub fn server_frame(&mut self, index: usize, link: Link, frame: Up) {
        let connection = &self.connections[&link];
        let worker_id: WorkerId = self.workers[connection.worker].id.clone();
        let incarnation = connection.incarnation;
        let writer = Writer { worker_id: worker_id.clone(), incarnation };
        match frame {
            Up::Hello { incarnation, offer, held, sent_at } => {
                self.servers[index].links.insert(link);
                if self.is_shared() {
                    self.servers[index].hellos.insert(link);
                    let life = self.servers[index].life;
                    self.at(HELLO_MAX, Event::HelloLate { server: index, life, link });
                }
                let offer_here = offer.clone();
                let connected =
                    Connected { link, incarnation, offer: offer_here, offered: 0, given: 0 };
                self.input(index, Input::Connected { worker: worker_id, connected });
                if self.servers[index].engine.is_some() {
                    let hello = Hello { writer, offer, held };
                    let command = Command::Hello(Box::new(hello));
                    self.ask(index, Asker::Hello { link, sent_at }, command);
                }
            }
            Up::Beat { sent_at, held } => {
                self.hasty(index, &worker_id);
                let command = Command::Beat(Box::new(Beat { writer, held }));
                self.ask(index, Asker::Beat { link, sent_at }, command);
            }
            Up::Offer { total } => {
                self.input(index, Input::Offered { worker: worker_id, link, total });
            }
            Up::Report { numbers, events }
                if self.mutant == Some(Mutant::ReportsOvertake) && self.dice.chance(1_000) =>
            {
                let frame = Box::new(Up::Report { numbers, events });
                self.at(400, Event::Up { link, frame });
            }
            Up::Report { numbers, events } => {
                let command = Command::Report { writer, events };
                self.ask(index, Asker::Report { link, numbers }, command);
            }
            Up::Goodbye => {
                self.ask(index, Asker::Nobody, Command::Goodbye(writer));
                self.server_lost_link(index, link);
            }
            Up::Logs { chunks } => {
                self.ask(index, Asker::Logs { link }, Command::Append { writer, chunks });
            }
        }
    }

    /// The mutant that gives a worker up although it renews.
    fn hasty(&mut self, index: usize, worker: &WorkerId) {
        if self.mutant != Some(Mutant::LeaseEndsEarly) || !self.dice.chance(2_000) {
            return;
        }
        if let Some(Row::Worker(row)) = self.disk.row(Key::Worker(worker.clone())) {
            let command = Command::Expire { worker: worker.clone(), renewal: row.renewal };
            self.ask(index, Asker::Nobody, command);
        }
    }
}

fn shown(result: &Result<Answer, Refused>) -> String {
    match result {
        Ok(Answer::Accepted(accepted)) => {
            let hit = accepted.idempotent_hit;
            format!("accepted {} input {} hit {hit}", accepted.task.id, accepted.input.id)
        }
        Ok(Answer::Cancelled(cancelled)) => {
            format!("cancelled {} settled {}", cancelled.task.id, cancelled.settled)
        }
        Ok(Answer::Task(task)) => format!("task {} {}", task.id, task.state),
        Ok(Answer::Agent(agent)) => format!("agent {}", agent.agent_key),
        Ok(Answer::Verdicts(verdicts)) => {
            let words: Vec<&str> = verdicts.iter().map(crate::execution::verdict_word).collect();
            words.join(" ")
        }
        Ok(other) => format!("{other:?}"),
        Err(Refused::Rejected(rejection)) => format!("no: {}", rejection.code),
        Err(other) => format!("{other:?}"),
    }
}

fn pushed(push: &Push) -> String {
    match &push.what {
        PushKind::Assign(assignment) => {
            let lease = &assignment.lease;
            format!("assign {} of {} term {}", lease.attempt_id, lease.task_id, lease.term)
        }
        PushKind::Cancel(attempt) => format!("cancel {attempt}"),
        PushKind::Give { attempt_id, steer, input, .. } => {
            format!("give {attempt_id} {} steer {steer}", input.id)
        }
        PushKind::Interrupt { attempt_id, input_id } => {
            format!("interrupt {attempt_id} in {input_id}")
        }
        PushKind::Close(attempt) => format!("close {attempt}"),
    }
}

//! # Clients
//!
//! **What** People and programs that send commands: each command is repeated, to any server, until
//! there is a definite answer. What they are told goes into the model.
//!
//! **Invariants** A command with an idempotency key is repeated with the same key and body. One
//! without (a cancel, a change of an agent) may be carried out more than once.

use std::collections::BTreeMap;

use hostler_core::code::Code;
use hostler_core::command::{Answer, Command};
use hostler_core::engine::Refused;
use hostler_core::id::{InputId, RunId, ScheduleId, TaskId, WorkspaceId};

use crate::dice::Dice;
use crate::server::Asker;
use crate::workload;
use crate::world::{Event, World};

/// Commands of one client, as far as the time of trouble lasts.
const ACTS_MIN: i64 = 20;
const ACTS_MAX: i64 = 60;

pub struct Client {
    pub ops: BTreeMap<u64, Op>,
    pub last_op: u64,
    pub acts_left: u64,
    /// Tasks that it was told of.
    pub tasks: Vec<TaskId>,
    pub inputs: Vec<InputId>,
    /// Runs that it has seen.
    pub runs: Vec<RunId>,
    pub schedules: Vec<ScheduleId>,
    pub workspace: WorkspaceId,
}

/// A command that has no definite answer yet.
pub struct Op {
    pub command: Command,
    pub kind: Kind,
    tries: u32,
    /// There is a definite answer; a doubled request may still be on its way.
    pub is_answered: bool,
}

#[derive(Clone, Debug)]
pub enum Kind {
    /// Of a key: its answers are all the same.
    Keyed(String),
    /// A key that was answered before, with another body.
    Reused(String),
    Other,
}

impl Client {
    pub fn new(dice: &mut Dice) -> Self {
        Client {
            ops: BTreeMap::new(),
            last_op: 0,
            acts_left: dice.range(ACTS_MIN, ACTS_MAX) as u64,
            tasks: Vec::new(),
            inputs: Vec::new(),
            runs: Vec::new(),
            schedules: Vec::new(),
            workspace: WorkspaceId::DEFAULT,
        }
    }
}

impl World {
    /// Does the next thing, and plans the one after.
    pub fn act(&mut self, index: usize) {
        if self.healed || self.clients[index].acts_left == 0 {
            return;
        }
        self.clients[index].acts_left -= 1;
        let (kind, command) = workload::next(self, index);
        if let (Kind::Keyed(key), Command::Submit { submit, .. }) = (&kind, &command)
            && let Some(run) = submit.expected_run_id
        {
            self.check.input.expected.insert(key.clone(), run);
        }
        self.order(index, kind, command);
        let after = self.dice.range(20, 700);
        self.at(after, Event::Act(index));
    }

    /// Begins a command of the client.
    pub fn order(&mut self, index: usize, kind: Kind, command: Command) {
        if let Command::ResetInstance { key, .. } = &command {
            self.check.health.touched.insert(key.clone());
        }
        let client = &mut self.clients[index];
        client.last_op += 1;
        let op = client.last_op;
        self.say(format_args!("client {index} op {op} {}", workload::shown(&command)));
        self.clients[index].ops.insert(op, Op { command, kind, tries: 0, is_answered: false });
        self.send(index, op);
    }

    /// Sends a command, once more if need be; the network may lose or double it.
    fn send(&mut self, index: usize, op: u64) {
        let server = self.dice.below(self.servers.len() as u64) as usize;
        let Some(pending) = self.clients[index].ops.get_mut(&op) else { return };
        pending.tries += 1;
        let tries = pending.tries;
        let copies = 1 + u64::from(self.dice.chance(self.faults.double));
        for _ in 0..copies {
            if !self.dice.chance(self.faults.lose) {
                let after = self.faults.delay(&mut self.dice);
                self.at(after, Event::Request { server, client: index, op });
            }
        }
        let patience = self.dice.range(1_500, 4_000);
        self.at(patience, Event::Patience { client: index, op, tries });
    }

    pub fn impatient(&mut self, index: usize, op: u64, tries: u32) {
        let pending = self.clients[index].ops.get(&op);
        if pending.is_some_and(|one| one.tries == tries && !one.is_answered) {
            self.send(index, op);
        }
    }

    /// A request arrives. A server that is down answers nothing.
    pub fn request(&mut self, server: usize, client: usize, op: u64) {
        if self.servers[server].engine.is_none() {
            return;
        }
        if let Some(pending) = self.clients[client].ops.get(&op) {
            let command = pending.command.clone();
            self.ask(server, Asker::Client { client, op }, command);
        }
    }

    pub fn reply_to_client(&mut self, client: usize, op: u64, result: Result<Answer, Refused>) {
        // What was promised counts from here on, whether or not it arrives.
        self.promised(client, op, &result);
        let copies = 1 + u64::from(self.dice.chance(self.faults.double));
        for _ in 0..copies {
            if !self.dice.chance(self.faults.lose) {
                let after = self.faults.delay(&mut self.dice);
                let result = Box::new(result.clone());
                self.at(after, Event::Reply { client, op, result });
            }
        }
    }

    fn promised(&mut self, client: usize, op: u64, result: &Result<Answer, Refused>) {
        let kind = self.clients[client].ops.get(&op).map(|pending| pending.kind.clone());
        match (kind, result) {
            (Some(Kind::Keyed(key)), Ok(Answer::Accepted(accepted))) => {
                let (task, input) = (accepted.task.id, accepted.input.id);
                if let Err(text) = self.model.accept(&key, task, input) {
                    self.fail("once", text);
                }
            }
            // Of several servers one may have read before another accepted, and say so later.
            (Some(Kind::Keyed(key)), Err(Refused::Rejected(rejection)))
                if self.model.accepted.contains_key(&key)
                    && (!self.is_shared() || rejection.code == Code::IdempotencyConflict)
                    && rejection.code != Code::AgentNotFound
                    && rejection.code != Code::TaskNotFound
                    && rejection.code != Code::ScheduleNotFound =>
            {
                let text = format!("the key {key} was accepted, then refused: {rejection:?}");
                self.fail("once", text);
            }
            (Some(Kind::Reused(key)), Ok(Answer::Accepted(_))) => {
                let text = format!("the key {key} was accepted with two bodies");
                self.fail("once", text);
            }
            (_, Ok(Answer::Cancelled(cancelled))) if !cancelled.settled => {
                let task = &cancelled.task;
                let run = task.target_run_id;
                self.model.stopped_runs.extend(run.map(|run| (task.id, run)));
            }
            (_, Ok(Answer::Accepted(accepted))) => self.model.tasks.push(accepted.task.id),
            _ => {}
        }
    }

    pub fn replied(&mut self, index: usize, op: u64, result: Result<Answer, Refused>) {
        let Some(pending) = self.clients[index].ops.get(&op) else { return };
        if pending.is_answered {
            return;
        }
        let tries = pending.tries;
        match result {
            Err(Refused::Unavailable | Refused::Unknown) => {
                let after = self.dice.range(20, 500);
                self.at(after, Event::Patience { client: index, op, tries });
                return;
            }
            Ok(Answer::Accepted(accepted)) => {
                let client = &mut self.clients[index];
                if !client.tasks.contains(&accepted.task.id) {
                    client.tasks.push(accepted.task.id);
                }
                client.inputs.push(accepted.input.id);
            }
            Ok(Answer::Schedule(schedule)) => {
                let known = &mut self.clients[index].schedules;
                if !known.contains(&schedule.id) {
                    known.push(schedule.id);
                }
            }
            _ => {}
        }
        if let Some(pending) = self.clients[index].ops.get_mut(&op) {
            pending.is_answered = true;
        }
    }
}

//! # The world
//!
//! **What** True time, the queue of events, and everyone in it. A seed decides how many servers,
//! workers and clients there are, what goes wrong and when. First comes a time of trouble; then
//! the world is healed, and everything that was accepted must come to rest.
//!
//! **Invariants** One thread, one queue ordered by (time, order of making), one source of chance:
//! so the same seed gives the same log.

use std::collections::BTreeMap;

use hostler_core::batch::Batch;
use hostler_core::command::Answer;
use hostler_core::engine::{Link, Refused};
use hostler_core::id::AttemptId;
use hostler_core::retention::Retention;

use crate::check::Check;
use crate::client::Client;
use crate::dice::Dice;
use crate::disk::Disk;
use crate::fault::Faults;
use crate::log::Log;
use crate::model::Model;
use crate::mutant::Mutant;
use crate::network::{Connection, Down, Up};
use crate::server::Server;
use crate::worker::Worker;
use crate::workload::Habits;

/// True time at the start of every world: a date, so that ids and timestamps look like such.
///
/// Ten seconds before a minute, so that schedules have a tick in most worlds.
pub const START: i64 = 1_760_000_030_000;
/// How long a healed world may take to come to rest: a dead worker and server with clocks apart,
/// attempts with delays, processes that are kept on a worker with one place, and every client's
/// retries fit in several times over.
pub const REST_MAX: i64 = 800_000;

#[derive(Debug)]
pub enum Event {
    /// The store carries out what a server asked.
    Apply {
        server: usize,
        life: u64,
        number: u64,
    },
    /// The store's answer is there.
    Answered {
        server: usize,
        life: u64,
        number: u64,
    },
    Tick {
        server: usize,
        life: u64,
        at: i64,
    },
    /// What a dead server had sent to the store arrives there.
    Zombie(Box<Batch>),
    Restart(usize),
    Request {
        server: usize,
        client: usize,
        op: u64,
    },
    Reply {
        client: usize,
        op: u64,
        result: Box<Result<Answer, Refused>>,
    },
    Act(usize),
    Patience {
        client: usize,
        op: u64,
        tries: u32,
    },
    Up {
        link: Link,
        frame: Box<Up>,
    },
    Down {
        link: Link,
        frame: Box<Down>,
    },
    CutSeen {
        link: Link,
        by_worker: bool,
    },
    HelloLate {
        server: usize,
        life: u64,
        link: Link,
    },
    Wake {
        worker: usize,
        life: u64,
    },
    Revive(usize),
    Guardian {
        worker: usize,
        life: u64,
    },
    Thaw {
        worker: usize,
        life: u64,
    },
    /// The next thing that an execution does.
    Step {
        worker: usize,
        life: u64,
        attempt: AttemptId,
        number: u64,
    },
    /// What a worker began to kill is gone.
    Gone {
        worker: usize,
        attempt: AttemptId,
    },
    Heal,
    /// A person looks after a healed world.
    Tend,
    /// A day and more goes by at once.
    Day,
}

pub struct World {
    pub seed: u64,
    pub now: i64,
    pub dice: Dice,
    pub faults: Faults,
    pub healed: bool,
    pub mutant: Option<Mutant>,
    pub log: Log,
    pub disk: Disk,
    pub check: Check,
    pub model: Model,
    pub servers: Vec<Server>,
    pub workers: Vec<Worker>,
    pub retention: Retention,
    pub habits: Habits,
    pub clients: Vec<Client>,
    pub connections: BTreeMap<Link, Connection>,
    pub last_link: Link,
    queue: BTreeMap<(i64, u64), Event>,
    event_count: u64,
    steps_max: u64,
    day_began: Option<i64>,
}

/// What became of one seed.
#[derive(Debug)]
pub struct Report {
    pub seed: u64,
    pub hash: u64,
    pub steps: u64,
    /// What clients asked for; repetitions do not count.
    pub commands: u64,
    pub violation: Option<String>,
    pub lines: Vec<String>,
    pub tally: crate::check::Tally,
}

impl World {
    pub fn new(seed: u64, mutant: Option<Mutant>, steps_max: u64, keep_log: bool) -> World {
        let mut dice = Dice::new(seed ^ 0x005E_ED0F_A110_0DD5);
        let server_count = *dice.pick(&[1, 1, 2, 2, 3]);
        let faults = match mutant {
            Some(mutant) => mutant.faults(&mut dice),
            None => Faults::drawn(&mut dice),
        };
        let mut world = World {
            seed,
            now: 0,
            faults,
            healed: false,
            mutant,
            log: Log::new(keep_log),
            disk: Disk::new(mutant),
            check: Check::default(),
            model: Model::default(),
            servers: Vec::new(),
            workers: Vec::new(),
            retention: Retention::default(),
            habits: Habits::default(),
            clients: Vec::new(),
            connections: BTreeMap::new(),
            last_link: 0,
            queue: BTreeMap::new(),
            event_count: 0,
            steps_max,
            day_began: None,
            dice,
        };
        world.populate(server_count);
        world
    }

    fn populate(&mut self, server_count: usize) {
        self.servers.resize_with(server_count, Server::down);
        self.check.set_shared(server_count > 1);
        self.habits = Habits::drawn(&mut self.dice);
        if self.dice.chance(2_500) {
            let days_after_rest = u32::from(self.dice.chance(5_000));
            let records_max_per_task = self.dice.range(5, 25) as u64;
            self.retention = Retention { records_max_per_task, days_after_rest };
        }
        self.check.order.retention = self.retention;
        self.check.pause.tolerance = match (server_count, self.faults.slow) {
            (1, _) => 0,
            (_, 0) => 4_000,
            _ => 40_000,
        };
        for index in 0..server_count {
            self.restart(index);
        }
        let worker_count = self.dice.range(1, 3) as usize;
        for index in 0..worker_count {
            self.workers.push(Worker::new(index, &mut self.dice));
            let after = self.dice.range(0, 3_000);
            self.at(after, Event::Revive(index));
        }
        let client_count = self.dice.range(1, 3) as usize;
        for index in 0..client_count {
            self.clients.push(Client::new(&mut self.dice));
            let after = self.dice.range(0, 500);
            self.at(after, Event::Act(index));
        }
        let trouble = self.dice.range(6_000, 25_000);
        self.at(trouble, Event::Heal);
        let faults = self.faults.clone();
        self.say(format_args!(
            "world of {server_count} servers, {worker_count} workers, {client_count} clients, \
             {faults:?}"
        ));
    }

    /// Is the store shared, so that rows change under a server?
    pub fn is_shared(&self) -> bool {
        self.servers.len() > 1
    }

    /// Puts an event so many milliseconds ahead.
    pub fn at(&mut self, after: i64, event: Event) {
        self.event_count += 1;
        self.queue.insert((self.now + after.max(0), self.event_count), event);
    }

    pub fn say(&mut self, text: std::fmt::Arguments<'_>) {
        self.log.line(self.now, text);
    }

    /// A checker's or the model's "no": the world ends here.
    pub fn fail(&mut self, checker: &'static str, text: String) {
        self.check.fail(checker, text);
    }

    pub fn run(mut self) -> Report {
        let mut steps = 0;
        let mut heal_at = None;
        while let Some(((time, _), event)) = self.queue.pop_first() {
            self.now = time;
            self.check.set_now(time);
            // What a server was to do while it is away may be late by as much.
            if self.healed && self.servers.iter().any(Server::is_away) {
                self.check.healed_at = Some(time);
            }
            steps += 1;
            if matches!(event, Event::Heal) {
                heal_at = Some(time);
                self.check.healed_at = heal_at;
            }
            self.happen(event);
            self.check.listen();
            if self.check.broken.is_some() {
                break;
            }
            let Some(healed) = heal_at else {
                continue;
            };
            if steps % 16 == 0 && self.is_at_rest() {
                if self.check.broken.is_none() && self.awaits_a_day() {
                    continue;
                }
                self.final_check();
                break;
            }
            if time > healed + REST_MAX || steps > self.steps_max {
                self.blame_unrest();
                break;
            }
        }
        if let Some(violation) = self.check.broken.clone() {
            self.say(format_args!("BROKEN {violation}"));
        }
        Report {
            seed: self.seed,
            hash: self.log.hash(),
            steps,
            commands: self.clients.iter().map(|client| client.last_op).sum(),
            violation: self.check.broken.clone(),
            lines: self.log.lines().to_vec(),
            tally: self.check.tally.clone(),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Apply { server, life, number } => self.apply(server, life, number),
            Event::Answered { server, life, number } => self.answered(server, life, number),
            Event::Tick { server, life, at } => self.tick(server, life, at),
            Event::Zombie(batch) => self.zombie(&batch),
            Event::Restart(server) => self.restart(server),
            Event::Request { server, client, op } => self.request(server, client, op),
            Event::Reply { client, op, result } => self.replied(client, op, *result),
            Event::Act(client) => self.act(client),
            Event::Patience { client, op, tries } => self.impatient(client, op, tries),
            Event::Up { link, frame } => self.frame_up(link, *frame),
            Event::Down { link, frame } => self.frame_down(link, frame),
            Event::CutSeen { link, by_worker } => self.cut_seen(link, by_worker),
            Event::HelloLate { server, life, link } => self.hello_late(server, life, link),
            Event::Wake { worker, life } => self.wake(worker, life),
            Event::Revive(worker) => self.revive(worker),
            Event::Thaw { worker, life } => self.thaw(worker, life),
            Event::Guardian { worker, life } => self.guardian(worker, life),
            Event::Step { worker, life, attempt, number } => {
                self.step(worker, life, attempt, number);
            }
            Event::Gone { worker, attempt } => {
                let now = self.now;
                self.check.lease.close(worker, attempt, now);
            }
            Event::Heal => self.heal(),
            Event::Tend => self.tend(),
            Event::Day => self.day(),
        }
    }

    /// A world that keeps streams for a day only is looked at once more when that is over.
    fn awaits_a_day(&mut self) -> bool {
        if self.retention.days_after_rest == 0 || self.retention == Retention::default() {
            return false;
        }
        if self.day_began.is_none() {
            self.final_check();
            self.day_began = Some(self.now);
            self.at(0, Event::Day);
            return true;
        }
        !self.check.order.rested.is_empty()
    }

    fn day(&mut self) {
        self.check.order.day_is_over = true;
        for index in 0..self.servers.len() {
            self.skip(index, 25 * 3_600_000);
        }
    }

    /// The end of all trouble. What is dead for good stays dead, as long as another one lives.
    fn heal(&mut self) {
        self.say(format_args!("heal"));
        self.healed = true;
        self.faults = Faults::default();
        self.plan_tending();
        for index in 0..self.servers.len() {
            let others_live = index > 0;
            if self.servers[index].engine.is_some() {
                // A server whose machine is taken away.
                if others_live && self.dice.chance(1_500) {
                    self.crash(index);
                    self.servers[index].retired = true;
                }
            } else if others_live && self.dice.chance(3_000) {
                self.servers[index].retired = true;
            }
        }
        for index in 0..self.workers.len() {
            // The first worker offers every runtime, and lives.
            if index > 0 && self.workers[index].is_up && self.dice.chance(1_500) {
                self.kill(index);
            }
            let is_needed = self.workers[index].has_pool();
            if index > 0 && !is_needed && !self.workers[index].is_up && self.dice.chance(5_000) {
                self.workers[index].retired = true;
            }
            self.workers[index].unreachable_until = 0;
        }
    }
}

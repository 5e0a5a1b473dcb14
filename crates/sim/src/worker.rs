//! # Workers
//!
//! **What** A model of a worker that obeys `worker.proto` and `core::lease`: one incarnation after
//! the other, a lease counted from the sending of the last acknowledged heartbeat, reports and
//! chunks kept until they are acknowledged, assignments taken once by their attempt's id.
//!
//! **Invariants** It stops what it runs before its lease is over, and only then is somebody new.
//! What it lists as held is everything whose end is not acknowledged.
//!
//! **Failure** It can be killed, stand still, be cut off, and repeat what it has sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hostler_core::engine::Link;
use hostler_core::id::{AttemptId, IncarnationId, WorkerId};
use hostler_core::limits;
use hostler_core::run::start::Event as Happened;
use hostler_core::worker::Offer;
use hostler_core::worker::hello::{Held, Orders};
use uuid::Uuid;

use crate::dice::Dice;
use crate::execution::Execution;
use crate::mutant::Mutant;
use crate::network::{Down, HELLO_MAX, Up};
use crate::workload;
use crate::world::{Event, World};

/// How often a worker looks at its clock.
const GLANCE: i64 = 200;
/// Silence after which it takes its connection for dead.
const SILENCE_MAX: i64 = 4_500;

pub struct Worker {
    pub index: usize,
    pub id: WorkerId,
    pub life: u64,
    pub is_up: bool,
    pub retired: bool,
    pub incarnation: IncarnationId,
    pub frozen_until: Option<i64>,
    /// Its process alone stands still: what it runs goes on, in its guardian's charge.
    agents_go_on: bool,
    pub unreachable_until: i64,
    pub slots: u64,
    offer: Offer,
    /// Its lease is over at this time; 0: it has none yet.
    lease_end: i64,
    pub link: Option<Line>,
    connect_at: i64,
    /// A hello that may still be decided somewhere.
    hello_open_until: i64,
    pub executions: BTreeMap<AttemptId, Execution>,
    /// Every attempt that this incarnation was given.
    pub seen: BTreeSet<AttemptId>,
    /// Not acknowledged, in their order.
    pub reports: VecDeque<(u64, Happened)>,
    pub last_report: u64,
}

/// A worker's side of its connection.
pub struct Line {
    pub link: Link,
    pub welcomed: bool,
    heard_at: i64,
    beat_at: i64,
    /// Assignments that came over it.
    received: u64,
    offered: u64,
}

impl Worker {
    pub fn new(index: usize, dice: &mut Dice) -> Self {
        let both = ["gvisor", "runc"].map(str::to_owned).to_vec();
        let runtimes = match index {
            0 => both.clone(),
            _ => dice.pick(&[both.clone(), both[..1].to_vec(), both[1..].to_vec()]).clone(),
        };
        // The first one lives and can do everything; the second may be the only one of its pool.
        let has_pool = index == 1 && dice.chance(4_000);
        let offer = Offer {
            pool: if has_pool { workload::POOL.to_owned() } else { String::new() },
            runtimes: if has_pool { both } else { runtimes },
            runners: vec!["scripted".to_owned()],
            cpu_millis: *dice.pick(&[0, 2_000, 4_000]),
            ..Offer::default()
        };
        Worker {
            index,
            id: WorkerId(format!("w{index}")),
            life: 0,
            is_up: false,
            retired: false,
            incarnation: IncarnationId(Uuid::nil()),
            frozen_until: None,
            agents_go_on: false,
            unreachable_until: 0,
            slots: dice.range(1, 3) as u64,
            offer,
            lease_end: 0,
            link: None,
            connect_at: 0,
            hello_open_until: 0,
            executions: BTreeMap::new(),
            seen: BTreeSet::new(),
            reports: VecDeque::new(),
            last_report: 0,
        }
    }

    fn held(&self) -> Vec<Held> {
        let executions = self.executions.iter();
        let held = executions.map(|(id, one)| Held {
            attempt_id: *id,
            term: one.term,
            inputs: one.messages.held(),
        });
        held.collect()
    }

    pub fn has_pool(&self) -> bool {
        !self.offer.pool.is_empty()
    }

    fn free(&self) -> u64 {
        self.slots.saturating_sub(self.executions.len() as u64)
    }

    /// Forgets everything that belonged to the incarnation before.
    fn renew(&mut self, incarnation: IncarnationId) {
        self.incarnation = incarnation;
        self.executions.clear();
        self.seen.clear();
        self.reports.clear();
        self.link = None;
        self.lease_end = 0;
    }
}

impl World {
    pub fn revive(&mut self, index: usize) {
        if self.workers[index].is_up || self.workers[index].retired {
            return;
        }
        let incarnation = IncarnationId(self.dice.uuid());
        let worker = &mut self.workers[index];
        worker.life += 1;
        worker.is_up = true;
        worker.frozen_until = None;
        worker.renew(incarnation);
        worker.connect_at = self.now;
        let life = worker.life;
        self.say(format_args!("worker {index} starts"));
        self.at(0, Event::Wake { worker: index, life });
    }

    /// The process and all that it runs are gone; a process that is asked to stop says goodbye.
    pub fn kill(&mut self, index: usize) {
        let says_goodbye = self.dice.chance(2_500);
        self.say(format_args!("worker {index} ends, saying goodbye: {says_goodbye}"));
        self.stop_all(index, 0);
        self.check.lease.close_all(index);
        let worker = &mut self.workers[index];
        worker.is_up = false;
        worker.life += 1;
        worker.frozen_until = None;
        match self.workers[index].link.take() {
            Some(line) if says_goodbye && line.welcomed => {
                self.send_up(line.link, Up::Offer { total: 0 });
                self.send_up(line.link, Up::Goodbye);
            }
            Some(line) => self.cut(line.link),
            None => {}
        }
        let after = self.dice.range(100, 15_000);
        self.at(after, Event::Revive(index));
    }

    /// Kills every sandbox; the last of it is gone after so long.
    fn stop_all(&mut self, index: usize, kill_max: i64) {
        let attempts: Vec<AttemptId> = self.workers[index].executions.keys().copied().collect();
        for attempt in attempts {
            let after = if kill_max > 0 { self.dice.range(0, kill_max) } else { 0 };
            self.stop_sandbox(index, attempt, after);
        }
    }

    /// The machine stands still, or the worker's process alone.
    fn freeze(&mut self, index: usize) {
        let span = self.dice.range(500, 15_000);
        let (now, agents_go_on) = (self.now, self.dice.chance(5_000));
        self.say(format_args!(
            "worker {index} stands still for {span} ms, its agents go on: {agents_go_on}"
        ));
        let worker = &mut self.workers[index];
        worker.frozen_until = Some(now + span);
        worker.agents_go_on = agents_go_on;
        let life = worker.life;
        let kill_at = worker.lease_end - limits::GUARDIAN.0;
        if agents_go_on {
            let after = (kill_at - now).max(0) + self.dice.range(0, limits::STOP_KILL.0);
            self.at(after, Event::Guardian { worker: index, life });
        } else {
            for (attempt, execution) in &worker.executions {
                if execution.is_alive {
                    self.check.lease.close(index, *attempt, now);
                }
            }
        }
        self.at(span, Event::Thaw { worker: index, life });
    }

    /// Kills what a worker that stands still cannot. One that went on meanwhile has renewed its
    /// lease, or has stopped everything itself.
    pub fn guardian(&mut self, index: usize, life: u64) {
        let worker = &self.workers[index];
        let stands_still = worker.frozen_until.is_some() && worker.agents_go_on;
        let is_due = self.now >= worker.lease_end - limits::GUARDIAN.0;
        let sleeps = self.mutant == Some(Mutant::GuardianSleeps);
        if worker.life == life && stands_still && is_due && !sleeps {
            self.say(format_args!("worker {index} is overtaken by its guardian"));
            self.stop_all(index, 0);
        }
    }

    pub fn thaw(&mut self, index: usize, life: u64) {
        if self.workers[index].life != life {
            return;
        }
        self.workers[index].frozen_until = None;
        self.say(format_args!("worker {index} goes on"));
        if self.workers[index].agents_go_on {
            if self.is_lease_over(index) {
                self.fence(index);
            }
        } else if self.is_lease_over(index) {
            // Nothing of it has moved yet: killed before any effect.
            for execution in self.workers[index].executions.values_mut() {
                execution.is_alive = false;
            }
            self.fence(index);
        } else {
            let alive = self.workers[index].executions.iter().filter(|(_, one)| one.is_alive);
            let alive: Vec<_> = alive.map(|(id, one)| (*id, one.session.clone())).collect();
            for (attempt, session) in alive {
                self.check.lease.open(index, attempt, session, self.now);
            }
        }
        let life = self.workers[index].life;
        self.at(0, Event::Wake { worker: index, life });
    }

    fn is_lease_over(&self, index: usize) -> bool {
        let worker = &self.workers[index];
        if self.mutant == Some(Mutant::FenceIsIgnored) {
            return false;
        }
        worker.lease_end != 0 && self.now >= worker.lease_end - limits::FENCE.0
    }

    /// The lease is about to end: everything stops, and the next hello is somebody new.
    fn fence(&mut self, index: usize) {
        self.say(format_args!("worker {index} fences itself"));
        let left = self.workers[index].lease_end - self.now;
        self.stop_all(index, (left - 1).max(0));
        if let Some(line) = self.workers[index].link.take() {
            self.cut(line.link);
        }
        let incarnation = IncarnationId(self.dice.uuid());
        let worker = &mut self.workers[index];
        let lease_end = worker.lease_end;
        worker.renew(incarnation);
        // It says hello when the last of what it ran is gone.
        worker.connect_at = self.now.max(lease_end);
    }

    pub fn wake(&mut self, index: usize, life: u64) {
        let worker = &self.workers[index];
        if worker.life != life || !worker.is_up || worker.frozen_until.is_some() {
            return;
        }
        if self.dice.chance(self.faults.kill) {
            self.kill(index);
            return;
        }
        if self.dice.chance(self.faults.freeze) {
            self.freeze(index);
            return;
        }
        if self.dice.chance(self.faults.partition) {
            self.workers[index].unreachable_until = self.now + self.dice.range(500, 14_000);
            if let Some(line) = &self.workers[index].link {
                let link = line.link;
                self.cut(link);
            }
        }
        if self.is_lease_over(index) {
            self.fence(index);
        }
        self.tend_line(index);
        self.at(GLANCE, Event::Wake { worker: index, life });
    }

    /// Connects, renews, and gives up a connection that has gone silent.
    fn tend_line(&mut self, index: usize) {
        let now = self.now;
        let worker = &mut self.workers[index];
        let Some(line) = &mut worker.link else {
            if now >= worker.connect_at.max(worker.unreachable_until).max(worker.hello_open_until) {
                self.say_hello(index);
            }
            return;
        };
        let link = line.link;
        if now - line.heard_at > SILENCE_MAX {
            self.cut(link);
            self.worker_lost_link(index, link);
        } else if line.welcomed && now >= line.beat_at {
            line.beat_at = now + limits::HEARTBEAT.0;
            let held = worker.held();
            self.send_up(link, Up::Beat { sent_at: now, held });
            if self.dice.chance(self.faults.repeat) {
                self.flush(index);
            }
        }
    }

    fn say_hello(&mut self, index: usize) {
        let up: Vec<usize> =
            (0..self.servers.len()).filter(|one| self.servers[*one].engine.is_some()).collect();
        if up.is_empty() {
            self.workers[index].connect_at = self.now + 300;
            return;
        }
        let server = *self.dice.pick(&up);
        let link = self.connect(index, server);
        let now = self.now;
        let is_shared = self.is_shared();
        let worker = &mut self.workers[index];
        worker.link = Some(Line {
            link,
            welcomed: false,
            heard_at: now,
            beat_at: now + limits::HEARTBEAT.0,
            received: 0,
            offered: 0,
        });
        if is_shared {
            // The longest way there, and the longest that it may take there.
            worker.hello_open_until = now + 1_500 + HELLO_MAX;
        }
        let hello = Up::Hello {
            incarnation: worker.incarnation,
            offer: worker.offer.clone(),
            held: worker.held(),
            sent_at: now,
        };
        self.say(format_args!("worker {index} says hello to server {server} over link {link}"));
        self.send_up(link, hello);
    }

    pub fn worker_lost_link(&mut self, index: usize, link: Link) {
        let worker = &mut self.workers[index];
        if worker.link.as_ref().is_some_and(|line| line.link == link) {
            worker.link = None;
            worker.connect_at = self.now + self.dice.range(1, 500);
        }
    }

    pub fn worker_frame(&mut self, index: usize, link: Link, frame: Down) {
        let now = self.now;
        let worker = &mut self.workers[index];
        let Some(line) = worker.link.as_mut().filter(|line| line.link == link) else { return };
        line.heard_at = now;
        if self.is_lease_over(index) {
            self.fence(index);
            return;
        }
        match frame {
            Down::Welcome { sent_at, orders } => {
                let worker = &mut self.workers[index];
                worker.lease_end = worker.lease_end.max(sent_at + limits::LEASE.0);
                worker.hello_open_until = 0;
                if let Some(line) = &mut worker.link {
                    line.welcomed = true;
                }
                self.obey(index, &orders);
                self.flush(index);
            }
            Down::BeatAck { sent_at, orders } => {
                let worker = &mut self.workers[index];
                worker.lease_end = worker.lease_end.max(sent_at + limits::LEASE.0);
                self.obey(index, &orders);
            }
            Down::UnknownWorker => {
                // The lease was given up: whatever runs here is somebody else's to run.
                self.fence(index);
                return;
            }
            Down::Assign(assignment) => {
                if let Some(line) = &mut self.workers[index].link {
                    line.received += 1;
                }
                self.take_assignment(index, *assignment);
            }
            Down::ReportAck { numbers, verdicts } => {
                self.report_acked(index, &numbers, &verdicts);
            }
            Down::LogAck { acks } => self.logs_acked(index, &acks),
            Down::Cancel(attempt) => self.cancel_execution(index, attempt),
            Down::Give { attempt, term, steer, input } => {
                let executions = &self.workers[index].executions;
                if executions.get(&attempt).is_some_and(|one| one.term == term) {
                    match steer {
                        true => self.steer_given(index, attempt, &input),
                        false => self.turn_pushed(index, attempt, &input),
                    }
                }
            }
            Down::Interrupt { attempt, turn } => self.interrupt_execution(index, attempt, turn),
            Down::Close(attempt) => self.close_execution(index, attempt),
        }
        self.offer_free(index);
    }

    fn obey(&mut self, index: usize, orders: &Orders) {
        for attempt in &orders.lost {
            self.lose_execution(index, *attempt);
        }
        for attempt in &orders.cancel {
            self.cancel_execution(index, *attempt);
        }
    }

    pub fn offer_free(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        let free = worker.free();
        let Some(line) = worker.link.as_mut().filter(|line| line.welcomed) else { return };
        let total = line.received + free;
        if total > line.offered {
            line.offered = total;
            let link = line.link;
            self.send_up(link, Up::Offer { total });
        }
    }
}

//! # The network between workers and servers
//!
//! **What** Connections: frames in their order in each direction, until the connection breaks. A
//! break loses what is on its way, and each side learns of it at its own time, or only by silence.

use hostler_core::capacity::claim::Assignment;
use hostler_core::engine::Link;
use hostler_core::id::{AttemptId, IncarnationId, InputId};
use hostler_core::input::Input;
use hostler_core::run::start::{Event as Happened, Verdict};
use hostler_core::worker::Offer;
use hostler_core::worker::append::{Chunk, ChunkAck};
use hostler_core::worker::hello::{Held, Orders};

use crate::world::{Event, World};

/// Within this a hello is decided, or its server gives itself up (see the crate's page).
pub const HELLO_MAX: i64 = 3_000;

#[derive(Debug)]
pub enum Up {
    Hello { incarnation: IncarnationId, offer: Offer, held: Vec<Held>, sent_at: i64 },
    Beat { sent_at: i64, held: Vec<Held> },
    Offer { total: u64 },
    Report { numbers: Vec<u64>, events: Vec<Happened> },
    Logs { chunks: Vec<Chunk> },
    Goodbye,
}

#[derive(Debug)]
pub enum Down {
    Welcome { sent_at: i64, orders: Orders },
    BeatAck { sent_at: i64, orders: Orders },
    UnknownWorker,
    Assign(Box<Assignment>),
    ReportAck { numbers: Vec<u64>, verdicts: Vec<Verdict> },
    LogAck { acks: Vec<ChunkAck> },
    Cancel(AttemptId),
    Give { attempt: AttemptId, term: u64, steer: bool, input: Box<Input> },
    Interrupt { attempt: AttemptId, turn: InputId },
    Close(AttemptId),
}

#[derive(Debug)]
pub struct Connection {
    pub worker: usize,
    pub worker_life: u64,
    pub server: usize,
    pub server_life: u64,
    pub incarnation: IncarnationId,
    /// Frames on their way and later ones are lost.
    pub is_cut: bool,
    last_up: i64,
    last_down: i64,
}

impl World {
    /// A worker's new connection to a server that is up.
    pub fn connect(&mut self, worker: usize, server: usize) -> Link {
        self.last_link += 1;
        let connection = Connection {
            worker,
            worker_life: self.workers[worker].life,
            server,
            server_life: self.servers[server].life,
            incarnation: self.workers[worker].incarnation,
            is_cut: false,
            last_up: self.now,
            last_down: self.now,
        };
        self.connections.insert(self.last_link, connection);
        self.last_link
    }

    pub fn send_up(&mut self, link: Link, frame: Up) {
        if self.dice.chance(self.faults.cut) {
            self.cut(link);
        }
        let delay = self.faults.delay(&mut self.dice);
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&link).filter(|one| !one.is_cut) else {
            return;
        };
        // First in, first out.
        connection.last_up = connection.last_up.max(now + delay);
        let after = connection.last_up - now;
        self.at(after, Event::Up { link, frame: Box::new(frame) });
    }

    pub fn send_down(&mut self, link: Link, frame: Down) {
        if self.dice.chance(self.faults.cut) {
            self.cut(link);
        }
        let delay = self.faults.delay(&mut self.dice);
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&link).filter(|one| !one.is_cut) else {
            return;
        };
        connection.last_down = connection.last_down.max(now + delay);
        let after = connection.last_down - now;
        self.at(after, Event::Down { link, frame: Box::new(frame) });
    }

    /// The connection breaks here and now; both sides learn of it later.
    pub fn cut(&mut self, link: Link) {
        let Some(connection) = self.connections.get_mut(&link).filter(|one| !one.is_cut) else {
            return;
        };
        connection.is_cut = true;
        self.say(format_args!("link {link} breaks"));
        for by_worker in [true, false] {
            let half_open = self.dice.chance(self.faults.half_open);
            let after =
                if half_open { self.dice.range(3_000, 12_000) } else { self.dice.range(1, 200) };
            self.at(after, Event::CutSeen { link, by_worker });
        }
    }

    pub fn cut_seen(&mut self, link: Link, by_worker: bool) {
        let Some(connection) = self.connections.get(&link) else { return };
        let (worker, server) = (connection.worker, connection.server);
        match by_worker {
            true => self.worker_lost_link(worker, link),
            false => self.server_lost_link(server, link),
        }
    }

    pub fn frame_up(&mut self, link: Link, frame: Up) {
        let Some(connection) = self.connections.get(&link).filter(|one| !one.is_cut) else {
            return;
        };
        let (server, life) = (connection.server, connection.server_life);
        if self.servers[server].life == life && self.servers[server].engine.is_some() {
            self.server_frame(server, link, frame);
        }
    }

    pub fn frame_down(&mut self, link: Link, frame: Box<Down>) {
        let Some(connection) = self.connections.get(&link).filter(|one| !one.is_cut) else {
            return;
        };
        let (worker, life) = (connection.worker, connection.worker_life);
        let Some(thaw_at) = self.workers[worker].frozen_until else {
            if self.workers[worker].life == life && self.workers[worker].is_up {
                self.worker_frame(worker, link, *frame);
            }
            return;
        };
        // A machine that stands still finds its frames when it goes on, in their order.
        self.at(thaw_at - self.now, Event::Down { link, frame });
    }
}

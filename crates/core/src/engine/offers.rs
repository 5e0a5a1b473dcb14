//! The workers that are connected to this server, and how many executions each may be given.
//!
//! **Invariants** It is a memory of this server only: nothing of it is durable, and losing it
//! costs a reconnect. A worker counts up what it offers over a connection; it may be given as
//! long as fewer were given over the same connection. Both ends count each assignment that is sent
//! there, also one that is sent again.

use std::collections::{BTreeMap, BTreeSet};

use crate::capacity::needs::Room;
use crate::id::{IncarnationId, WorkerId};
use crate::lease::Resources;
use crate::limits;
use crate::worker::Offer;

/// One connection of a worker.
pub type Link = u64;

#[derive(Clone, Debug, PartialEq)]
pub struct Connected {
    pub link: Link,
    pub incarnation: IncarnationId,
    pub offer: Offer,
    /// Offered over this connection in all.
    pub offered: u64,
    /// Given over this connection in all.
    pub given: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Offers {
    workers: BTreeMap<WorkerId, Connected>,
    /// Of these, the ones whose lease is over.
    unleased: BTreeSet<WorkerId>,
    /// What the rows of workers that are connected say is reserved, as last seen.
    reserved: BTreeMap<WorkerId, Resources>,
}

impl Offers {
    pub fn connect(&mut self, id: WorkerId, connected: Connected) {
        self.unleased.remove(&id);
        self.workers.insert(id, connected);
    }

    /// Forgets a worker; a newer connection of it stays.
    pub fn disconnect(&mut self, id: &WorkerId, link: Link) {
        if self.workers.get(id).is_some_and(|worker| worker.link == link) {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: &WorkerId) {
        self.workers.remove(id);
        self.unleased.remove(id);
    }

    /// The row of a worker was read or written.
    pub(crate) fn notice(&mut self, id: &WorkerId, reserved: Resources) {
        if self.reserved.get(id) != Some(&reserved) {
            self.reserved.insert(id.clone(), reserved);
        }
        if self.reserved.len() > 2 * self.workers.len() + NOTICED_MIN {
            let workers = &self.workers;
            self.reserved.retain(|id, _| workers.contains_key(id));
        }
    }

    pub fn reserved(&self, id: &WorkerId) -> Resources {
        self.reserved.get(id).copied().unwrap_or_default()
    }

    /// What the workers that can be given something have free, each room once.
    pub fn rooms(&self, fallback: Option<&str>) -> Vec<Room> {
        let free = self.connected().filter(|(_, worker)| worker.free() > 0);
        let rooms = free.map(|(id, worker)| Room::of(&worker.offer, self.reserved(id), fallback));
        rooms.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Forgets a connection of another start of the worker's process.
    pub fn forget_other(&mut self, id: &WorkerId, incarnation: IncarnationId) {
        if self.workers.get(id).is_some_and(|worker| worker.incarnation != incarnation) {
            self.remove(id);
        }
    }

    /// Whether the worker of a connection has a lease. Without one it is given nothing, and says
    /// hello again if it is there.
    pub(crate) fn set_leased(&mut self, id: &WorkerId, incarnation: IncarnationId, leased: bool) {
        match self.workers.get(id).is_some_and(|worker| worker.incarnation == incarnation) {
            true if leased => drop(self.unleased.remove(id)),
            true => drop(self.unleased.insert(id.clone())),
            false => {}
        }
    }

    pub fn offer(&mut self, id: &WorkerId, link: Link, total: u64) {
        if let Some(worker) = self.workers.get_mut(id)
            && worker.link == link
        {
            // It only grows, until a worker that stops takes all of it back.
            worker.offered = if total == 0 { 0 } else { worker.offered.max(total) };
        }
    }

    /// An assignment is sent over its connection.
    pub fn give(&mut self, id: &WorkerId) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.given += 1;
        }
    }

    /// The connection of this start of the worker's process.
    pub fn link_of(&self, id: &WorkerId, incarnation: IncarnationId) -> Option<Link> {
        let worker = self.workers.get(id).filter(|worker| worker.incarnation == incarnation);
        worker.map(|worker| worker.link)
    }

    pub fn free(&self, id: &WorkerId) -> u32 {
        self.workers.get(id).filter(|_| !self.unleased.contains(id)).map_or(0, Connected::free)
    }

    pub fn connected(&self) -> impl Iterator<Item = (&WorkerId, &Connected)> {
        self.workers.iter().filter(|(id, _)| !self.unleased.contains(*id))
    }

    /// Free executions of all workers.
    pub fn free_in_all(&self) -> usize {
        self.connected().map(|(_, worker)| worker.free() as usize).sum()
    }
}

/// Rows of workers that are remembered beyond those that are connected.
const NOTICED_MIN: usize = 64;

impl Connected {
    fn free(&self) -> u32 {
        let free = self.offered.saturating_sub(self.given);
        u32::try_from(free).unwrap_or(u32::MAX).min(limits::SLOTS_MAX)
    }
}

//! The executions a worker holds.
//!
//! **Invariants** An attempt is started at most once, also when its assignment comes again after
//! its end. What is lost is not said to be held. An order is given once. What the server repeats
//! until it is taken (messages, interrupts) never takes the place of the other orders.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use hostler_wire::v1::{Assignment, Held};
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use crate::agent::TurnInput;
use crate::clock::Clock;
use crate::execution::inputs::Inputs;
use crate::execution::{Event, Execution, ORDERS_QUEUE, ORDERS_RESERVED, Order};
use crate::spool::Spool;
use crate::spool::shipper::{Uplink, ship};
use crate::tools::Tools;

/// Attempts that ended and are settled with the server: an assignment that crossed the end on its
/// way is seconds old at most.
const REMEMBERED: usize = 1_024;

struct Entry {
    term: u64,
    orders: mpsc::Sender<Order>,
    spool: Arc<Spool>,
    inputs: Arc<Inputs>,
    cancelled: bool,
    stopped: bool,
    closed: bool,
    lost: bool,
    /// Nothing runs any more; its end is being reported.
    ended: bool,
}

pub(super) struct Roster {
    entries: BTreeMap<String, Entry>,
    settled: VecDeque<String>,
    tasks: JoinSet<String>,
    task_ids: HashMap<Id, String>,
    /// The spools' shippers; they end with their spools.
    shippers: JoinSet<()>,
    tools: Arc<Tools>,
    clock: Clock,
    events: mpsc::Sender<(String, Event)>,
    uplink: watch::Receiver<Option<Uplink>>,
}

impl Roster {
    pub(super) fn new(
        tools: Arc<Tools>,
        clock: Clock,
        events: mpsc::Sender<(String, Event)>,
        uplink: watch::Receiver<Option<Uplink>>,
    ) -> Roster {
        Roster {
            entries: BTreeMap::new(),
            settled: VecDeque::new(),
            tasks: JoinSet::new(),
            task_ids: HashMap::new(),
            shippers: JoinSet::new(),
            tools,
            clock,
            events,
            uplink,
        }
    }

    pub(super) fn start(&mut self, assignment: Assignment) {
        let (attempt_id, term) = (assignment.attempt_id.clone(), assignment.term);
        // The id comes from the server; as a file's name it is hashed like any other.
        let name = blake3::hash(attempt_id.as_bytes()).to_hex();
        let path = self.tools.config.spool_dir().join(format!("{}.log", &name.as_str()[..32]));
        let spool = Arc::new(Spool::new(&attempt_id, term, path));
        let (orders, order_receiver) = mpsc::channel(ORDERS_QUEUE);
        let inputs = Arc::new(Inputs::default());
        if let Some(first) = &assignment.input {
            inputs.take(&first.input_id, false);
        }
        while self.shippers.try_join_next().is_some() {}
        self.shippers.spawn(ship(spool.clone(), self.uplink.clone()));
        let execution = Execution {
            assignment,
            tools: self.tools.clone(),
            clock: self.clock.clone(),
            orders: order_receiver,
            events: self.events.clone(),
            spool: spool.clone(),
            inputs: inputs.clone(),
            early: Vec::new(),
        };
        let task = self.tasks.spawn(execution.run());
        self.task_ids.insert(task.id(), attempt_id.clone());
        let entry = Entry {
            term,
            orders,
            spool,
            inputs,
            cancelled: false,
            stopped: false,
            closed: false,
            lost: false,
            ended: false,
        };
        self.entries.insert(attempt_id, entry);
    }

    /// Held, or settled a moment ago.
    pub(super) fn is_known(&self, attempt_id: &str) -> bool {
        self.entries.contains_key(attempt_id) || self.settled.iter().any(|id| id == attempt_id)
    }

    pub(super) fn order(&mut self, attempt_id: &str, order: Order) {
        let Some(entry) = self.entries.get_mut(attempt_id) else { return };
        if !entry.ended && !entry.lost {
            entry.order(attempt_id, order);
        }
    }

    pub(super) fn order_all(&mut self, order: &Order) {
        for (attempt_id, entry) in &mut self.entries {
            if !entry.ended && !entry.lost {
                entry.order(attempt_id, order.clone());
            }
        }
    }

    /// A message of the server, which repeats it until it is said to be held.
    pub(super) fn give(&mut self, attempt_id: &str, term: u64, steer: bool, input: TurnInput) {
        let Some(entry) = self.entries.get_mut(attempt_id) else { return };
        let takes = entry.term == term && entry.takes_more();
        if takes && entry.inputs.take(&input.input_id, steer) {
            entry.order(attempt_id, Order::Give { steer, input });
        }
    }

    /// The server's answer to a turn's end.
    pub(super) fn next(&mut self, attempt_id: &str, input: TurnInput) {
        let Some(entry) = self.entries.get_mut(attempt_id) else { return };
        if !entry.ended && !entry.lost {
            entry.inputs.take(&input.input_id, false);
            entry.order(attempt_id, Order::Next(input));
        }
    }

    pub(super) fn interrupt(&mut self, attempt_id: &str, turn: String) {
        let Some(entry) = self.entries.get_mut(attempt_id) else { return };
        if entry.takes_more() {
            entry.order(attempt_id, Order::Interrupt { turn });
        }
    }

    /// The server knows that the message is done with.
    pub(super) fn settle_input(&mut self, attempt_id: &str, input_id: &str) {
        if let Some(entry) = self.entries.get(attempt_id) {
            entry.inputs.settle(input_id);
        }
    }

    /// It is no longer this worker's.
    pub(super) fn lose(&mut self, attempt_id: &str) {
        let Some(entry) = self.entries.get_mut(attempt_id) else { return };
        if entry.ended {
            self.finish(attempt_id);
        } else {
            entry.lose(attempt_id);
        }
    }

    pub(super) fn lose_all(&mut self) {
        self.entries.retain(|_, entry| !entry.ended);
        for (attempt_id, entry) in &mut self.entries {
            entry.lose(attempt_id);
        }
    }

    pub(super) fn ended(&mut self, attempt_id: &str) {
        if let Some(entry) = self.entries.get_mut(attempt_id) {
            entry.ended = true;
        }
    }

    /// Settled with the server.
    pub(super) fn finish(&mut self, attempt_id: &str) {
        if self.entries.remove(attempt_id).is_some() {
            if self.settled.len() == REMEMBERED {
                self.settled.pop_front();
            }
            self.settled.push_back(attempt_id.to_owned());
        }
    }

    pub(super) fn remove(&mut self, attempt_id: &str) {
        self.finish(attempt_id);
    }

    pub(super) fn term(&self, attempt_id: &str) -> Option<u64> {
        self.entries.get(attempt_id).map(|entry| entry.term)
    }

    pub(super) fn is_lost(&self, attempt_id: &str) -> bool {
        self.entries.get(attempt_id).is_some_and(|entry| entry.lost)
    }

    pub(super) fn spool(&self, attempt_id: &str) -> Option<&Arc<Spool>> {
        self.entries.get(attempt_id).map(|entry| &entry.spool)
    }

    pub(super) fn held(&self) -> Vec<Held> {
        let held = self.entries.iter().filter(|(_, entry)| !entry.lost);
        let held = held.map(|(attempt_id, entry)| Held {
            attempt_id: attempt_id.clone(),
            term: entry.term,
            inputs: entry.inputs.held(),
        });
        held.collect()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Those that take up a slot.
    pub(super) fn busy(&self) -> u64 {
        self.entries.values().filter(|entry| !entry.ended).count() as u64
    }

    /// `None` while there are no tasks.
    pub(super) async fn next_ended(&mut self) -> Option<Result<String, JoinError>> {
        let ended = self.tasks.join_next_with_id().await?;
        Some(ended.map(|(id, attempt_id)| {
            self.task_ids.remove(&id);
            attempt_id
        }))
    }

    /// The attempt whose task ended in a panic.
    pub(super) fn task_of(&mut self, id: Id) -> Option<String> {
        self.task_ids.remove(&id)
    }
}

impl Entry {
    fn takes_more(&self) -> bool {
        let running = !self.ended && !self.lost;
        running && self.orders.capacity() > ORDERS_RESERVED
    }

    fn order(&mut self, attempt_id: &str, order: Order) {
        let repeated = match order {
            Order::Cancel => std::mem::replace(&mut self.cancelled, true),
            Order::Stop | Order::Illegal => std::mem::replace(&mut self.stopped, true),
            Order::Close => std::mem::replace(&mut self.closed, true),
            Order::Lost
            | Order::Next(_)
            | Order::Wait
            | Order::Give { .. }
            | Order::Interrupt { .. } => false,
        };
        if !repeated && self.orders.try_send(order).is_err() {
            // Its task is on its way out, or it was answered more often than it asked.
            tracing::debug!(attempt_id, "an order found no place");
        }
    }

    fn lose(&mut self, attempt_id: &str) {
        if !std::mem::replace(&mut self.lost, true) {
            self.spool.fence();
            self.order(attempt_id, Order::Lost);
        }
    }
}

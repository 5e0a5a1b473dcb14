//! A worker connects: what it still holds, what is lost, what it has not got yet.

use super::{Offer, Status, Worker};
use crate::batch::{Find, Found};
use crate::capacity::claim;
use crate::code::{Code, Rejection};
use crate::engine::txn::{Decided, Txn};
use crate::engine::{Push, PushKind};
use crate::id::{AttemptId, InputId};
use crate::input::inbox;
use crate::lease::{self, Lease, Turn};
use crate::limits;
use crate::run::finish::finish;
use crate::run::outcome::Cause;
use crate::run::start::{Writer, held};
use crate::run::{idle, live};

#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    pub writer: Writer,
    pub offer: Offer,
    /// What still runs there.
    pub held: Vec<Held>,
}

/// An execution that a worker says it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub attempt_id: AttemptId,
    pub term: u64,
    /// The messages that it has got and that are not done with.
    pub inputs: Vec<InputId>,
}

/// What a worker is to do about what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// No longer its own: stop them, report nothing.
    pub lost: Vec<AttemptId>,
    /// Stop them, and report the end.
    pub cancel: Vec<AttemptId>,
}

pub(crate) fn decide(txn: &mut Txn<'_>, hello: &Hello) -> Decided<Orders> {
    let id = &hello.writer.worker_id;
    if id.0.is_empty() || id.0.len() > limits::AGENT_KEY_BYTES_MAX {
        let text = format!("a worker_id has 1 to {} bytes", limits::AGENT_KEY_BYTES_MAX);
        return Err(Rejection::field(Code::InvalidField, "worker_id", text).into());
    }
    let before = txn.worker(id.clone())?;
    for lease in txn.leases_of(id)? {
        let foreign = lease.incarnation != hello.writer.incarnation;
        let forgotten = !holds(&hello.held, &lease) && !matches!(lease.turn, Turn::Given(_));
        if foreign || forgotten {
            finish(txn, lease, &Cause::Lost, "its worker started anew")?;
        }
    }
    // What is lost has given back what it took.
    let reserved = txn.worker(id.clone())?.map(|worker| worker.reserved).unwrap_or_default();
    txn.put_worker(Worker {
        id: id.clone(),
        incarnation: hello.writer.incarnation,
        status: Status::Available,
        offer: hello.offer.clone(),
        until: Some(txn.now + limits::LEASE),
        renewal: before.as_ref().map_or(1, |worker| worker.renewal + 1),
        grant_count: before.as_ref().map_or(0, |worker| worker.grant_count),
        reserved,
        connected_at: txn.now,
        updated_at: txn.now,
    });
    orders(txn, &hello.writer, &hello.held)
}

fn holds(held: &[Held], lease: &Lease) -> bool {
    held.iter().any(|one| one.attempt_id == lease.attempt_id && one.term == lease.term)
}

/// Of what a worker holds: what is lost, and what is to be cancelled; what it has not heard of yet
/// is said again. What it has been given and does not hold is given again, with the cancel behind
/// it if there is one.
pub(crate) fn orders(txn: &mut Txn<'_>, writer: &Writer, holding: &[Held]) -> Decided<Orders> {
    let mut orders = Orders::default();
    for one in holding {
        match held(txn, writer, one.attempt_id, one.term)? {
            None => orders.lost.push(one.attempt_id),
            Some(lease) if lease.state == lease::State::Stopping => {
                orders.cancel.push(one.attempt_id);
            }
            Some(lease) => say_again(txn, &lease, &one.inputs)?,
        }
    }
    let find = Find::Leases { worker: writer.worker_id.clone() };
    let Found::Leases(ids) = txn.find(find)? else { unreachable!("a search is answered in kind") };
    for id in ids {
        let Some(lease) = txn.lease(id)? else { continue };
        if lease.incarnation != writer.incarnation || holds(holding, &lease) {
            continue;
        }
        // It may be on its way there: only the worker can say that nothing of it runs.
        let cancel = PushKind::Cancel(lease.attempt_id);
        let cancel = (lease.state == lease::State::Stopping).then(|| Push::to(&lease, cancel));
        if let Some(assignment) = claim::again(txn, lease)? {
            txn.push(Push::assign(assignment));
            txn.staged.pushes.extend(cancel);
        }
    }
    Ok(orders)
}

/// A push to a running execution may have been lost.
fn say_again(txn: &mut Txn<'_>, lease: &Lease, has: &[InputId]) -> Decided<()> {
    match lease.turn {
        Turn::Given(id) if lease.state == lease::State::Held && !has.contains(&id) => {
            let run = txn.known(txn.run(lease.run_id))?;
            let input = inbox::turn_of(txn, &run)?;
            idle::give(txn, lease, input, false);
        }
        Turn::Ended(..) => txn.push(Push::to(lease, PushKind::Close(lease.attempt_id))),
        Turn::Given(_) | Turn::Open(_) | Turn::Idle(..) => {}
    }
    for id in lease.steers.iter().filter(|id| !has.contains(id)) {
        let input = txn.known(txn.input(*id))?;
        idle::give(txn, lease, input, true);
    }
    if lease.interrupted && matches!(lease.turn, Turn::Open(_)) {
        live::say_interrupt(txn, lease);
    }
    Ok(())
}

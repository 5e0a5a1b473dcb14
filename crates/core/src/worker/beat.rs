//! A heartbeat: it renews the worker's lease, and with it every lease that the worker holds.

use super::Status;
use super::hello::{Held, Orders, orders};
use crate::engine::txn::{Decided, Txn};
use crate::limits;
use crate::run::start::Writer;

#[derive(Clone, Debug, PartialEq)]
pub struct Beat {
    pub writer: Writer,
    pub held: Vec<Held>,
}

/// `None`: the worker is not known (any more) and must say hello with a new incarnation.
pub(crate) fn decide(txn: &mut Txn<'_>, beat: &Beat) -> Decided<Option<Orders>> {
    let current = txn.worker(beat.writer.worker_id.clone())?.filter(|worker| {
        worker.incarnation == beat.writer.incarnation && worker.status != Status::Offline
    });
    let Some(mut worker) = current else { return Ok(None) };
    worker.until = worker.until.max(Some(txn.now + limits::LEASE));
    worker.renewal += 1;
    txn.put_worker(worker);
    orders(txn, &beat.writer, &beat.held).map(Some)
}

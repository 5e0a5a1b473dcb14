//! Why a queued task waits, as a code and in words (DSP-4). A pure reading of rows.

use crate::capacity::needs::{Lack, Room};
use crate::capacity::{Health, Instance};
use crate::engine::txn::{Decided, Txn};
use crate::lease::Resources;
use crate::session::Session;
use crate::task::{Parked, State, Task};
use crate::text::words;
use crate::time::Timestamp;
use crate::worker::Offer;
use crate::workspace::Workspace;

words! {
    pub enum WaitCode {
        WorkspacePaused => "workspace_paused",
        NotBefore => "not_before",
        SessionBusy => "session_busy",
        InstanceDegraded => "instance_degraded",
        InstanceFull => "instance_full",
        /// A budget is spent, and nothing is dispatched until there is more.
        Budget => "budget",
        NoWorker => "no_worker",
        /// Nothing holds it back: it is next in its class's queue.
        Queue => "queue",
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingOn {
    pub code: WaitCode,
    pub message: String,
}

/// What is known around a task when the question is asked.
pub struct Around<'a> {
    pub workspace: &'a Workspace,
    pub instance: &'a Instance,
    pub session: &'a Session,
    pub workers: &'a [Worker<'a>],
    pub fallback_runtime: Option<&'a str>,
}

/// A worker that is connected.
pub struct Worker<'a> {
    pub offer: &'a Offer,
    pub reserved: Resources,
    /// How many executions it would take; `None`: that is not known here.
    pub free: Option<u32>,
}

/// The same within a command, by this server's own connections.
pub(crate) fn of(txn: &Txn<'_>, task: &Task) -> Decided<Option<WaitingOn>> {
    if task.state != State::Queued {
        return Ok(None);
    }
    let connected = txn.offers.connected();
    let workers = connected.map(|(id, worker)| Worker {
        offer: &worker.offer,
        reserved: txn.offers.reserved(id),
        free: Some(txn.free_slots(id)),
    });
    let workers: Vec<Worker<'_>> = workers.collect();
    let session = txn.session(task.workspace_id, task.session_id.clone());
    let around = Around {
        workspace: &txn.known(txn.workspace(task.workspace_id))?,
        instance: &txn.known(txn.instance(task.instance_key.clone()))?,
        session: &txn.known(session)?,
        workers: &workers,
        fallback_runtime: txn.config.fallback_runtime.as_deref(),
    };
    Ok(waiting_on(task, &around))
}

/// `None` for a task that is not queued.
pub fn waiting_on(task: &Task, around: &Around<'_>) -> Option<WaitingOn> {
    if task.state != State::Queued {
        return None;
    }
    let (code, message) = reason(task, around);
    Some(WaitingOn { code, message })
}

fn reason(task: &Task, around: &Around<'_>) -> (WaitCode, String) {
    let instance = around.instance;
    if around.workspace.paused {
        let text = format!("the workspace {:?} is paused", around.workspace.key);
        return (WaitCode::WorkspacePaused, text);
    }
    if task.parked == Some(Parked::Quiet) {
        return (WaitCode::NotBefore, "more messages are being collected".to_owned());
    }
    if task.parked == Some(Parked::Timer) {
        let at = task.wake_at.map(|at| format!("; it is at {}", shown(at))).unwrap_or_default();
        return (WaitCode::NotBefore, format!("its next attempt is not due yet{at}"));
    }
    if let Some(live) = around.session.live_run
        && Some(live) != task.target_run_id
    {
        let text = format!("the session {:?} has the live run {live}", task.session_id.0);
        return (WaitCode::SessionBusy, text);
    }
    if instance.status == Health::Degraded && instance.room() == 0 {
        let next = match instance.probe_at {
            Some(at) => format!("one task of it is tried at {}", shown(at)),
            None => "one task of it is being tried".to_owned(),
        };
        let count = instance.failed_attempts;
        let text = format!("its class is degraded after {count} failures in a row; {next}");
        return (WaitCode::InstanceDegraded, text);
    }
    if instance.is_full() {
        let text = format!("its class runs {} of {}", instance.taken(), instance.concurrency);
        return (WaitCode::InstanceFull, text);
    }
    if let (Some(until), Some(by)) = (instance.held_until, &instance.held_by) {
        let text = format!("{by}; it is looked at again at {}", shown(until));
        return (WaitCode::Budget, text);
    }
    worker(instance, around)
}

/// Whether any worker could take it, and what is missing.
fn worker(instance: &Instance, around: &Around<'_>) -> (WaitCode, String) {
    let needs = &instance.needs;
    let fallback = around.fallback_runtime;
    let whole = |worker: &Worker<'_>| Room::of(worker.offer, Resources::default(), fallback);
    let lacks: Vec<Option<Lack>> =
        around.workers.iter().map(|worker| needs.lacks(&whole(worker))).collect();
    // Of the worker that comes closest.
    let missing = match lacks.iter().flatten().max() {
        _ if lacks.contains(&None) => None,
        None => Some("no worker is connected".to_owned()),
        Some(Lack::Resources) => {
            Some(format!("no connected worker has {}", needs.show(Lack::Resources)))
        }
        Some(Lack::Pool) => Some(format!("no connected worker is of {}", needs.show(Lack::Pool))),
        Some(lack) => Some(format!("no connected worker offers {}", needs.show(*lack))),
    };
    if let Some(text) = missing {
        return (WaitCode::NoWorker, text);
    }
    let is_free = |worker: &Worker<'_>| {
        worker.free != Some(0) && needs.fits(&Room::of(worker.offer, worker.reserved, fallback))
    };
    if !around.workers.iter().any(is_free) {
        return (WaitCode::NoWorker, "every worker that fits is full".to_owned());
    }
    (WaitCode::Queue, "nothing holds it back; it is taken in its turn".to_owned())
}

fn shown(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

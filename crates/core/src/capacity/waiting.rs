//! Why a queued task waits, as a code and in words (DSP-4). A pure reading of rows.

use crate::capacity::{Health, Instance, claim};
use crate::engine::txn::{Decided, Txn};
use crate::session::Session;
use crate::task::{Parked, State, Task};
use crate::text::words;
use crate::worker::Offer;
use crate::workspace::Workspace;

words! {
    pub enum WaitCode {
        WorkspacePaused => "workspace_paused",
        NotBefore => "not_before",
        SessionBusy => "session_busy",
        InstanceDegraded => "instance_degraded",
        InstanceFull => "instance_full",
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
    /// What the workers that are connected offer.
    pub offers: &'a [&'a Offer],
    pub fallback_runtime: Option<&'a str>,
}

/// The same within a command, by this server's own connections.
pub(crate) fn of(txn: &Txn<'_>, task: &Task) -> Decided<Option<WaitingOn>> {
    if task.state != State::Queued {
        return Ok(None);
    }
    let offers: Vec<&Offer> = txn.offers.connected().map(|(_, worker)| &worker.offer).collect();
    let session = txn.session(task.workspace_id, task.session_id.clone());
    let around = Around {
        workspace: &txn.known(txn.workspace(task.workspace_id))?,
        instance: &txn.known(txn.instance(task.instance_key.clone()))?,
        session: &txn.known(session)?,
        offers: &offers,
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
        return (WaitCode::NotBefore, "its next attempt is not due yet".to_owned());
    }
    if let Some(live) = around.session.live_run
        && Some(live) != task.target_run_id
    {
        let text = format!("the session {:?} has the live run {live}", task.session_id.0);
        return (WaitCode::SessionBusy, text);
    }
    if instance.status == Health::Degraded {
        let text = "its class failed too often and is degraded".to_owned();
        return (WaitCode::InstanceDegraded, text);
    }
    if instance.room() == 0 {
        let text = format!("its class runs {} of {}", taken(instance), instance.concurrency);
        return (WaitCode::InstanceFull, text);
    }
    if around.offers.is_empty() {
        return (WaitCode::NoWorker, "no worker is connected".to_owned());
    }
    let fallback = around.fallback_runtime;
    let fits = |offer: &Offer| claim::fit(offer, instance.runtime_type, fallback).is_some();
    if !around.offers.iter().any(|offer| fits(offer)) {
        let text = format!("no connected worker offers the runtime {}", instance.runtime_type);
        return (WaitCode::NoWorker, text);
    }
    (WaitCode::Queue, "nothing holds it back; it is taken in its turn".to_owned())
}

fn taken(instance: &Instance) -> u32 {
    instance.pending + instance.running + instance.stopping
}

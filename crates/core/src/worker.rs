//! # Workers
//!
//! **What** A process that carries out executions, and the lease under which it does.
//!
//! **Invariants** `INV-WORKER-1`: only the current incarnation writes; what an earlier one held is
//! lost when the new one says hello. `INV-WORKER-2`: `until` never falls for one incarnation.
//! `INV-WORKER-3`: `reserved` is the sum of what the worker's leases take.
//!
//! **Failure** A worker that is silent until `until` is lost: its leases expire in one batch.
//!
//! **Not here** The formula of the lease (`lease`), what it runs (`run`).

pub mod append;
pub mod beat;
pub mod hello;
pub mod lose;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{IncarnationId, WorkerId};
use crate::lease::Resources;
use crate::text::words;
use crate::time::Timestamp;

words! {
    pub enum Status { Available => "available", Draining => "draining", Offline => "offline" }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    pub id: WorkerId,
    pub incarnation: IncarnationId,
    pub status: Status,
    pub offer: Offer,
    /// The end of its leases unless it renews, by the clock of the server that renewed it: when
    /// to look, never the verdict (`lose`). `None` when it is offline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Grows with every renewal: what is watched instead of a clock.
    pub renewal: u64,
    /// Executions given to it in all; a claim is guarded by this row (`capacity::claim`).
    pub grant_count: u64,
    /// What its leases take of what it offers.
    #[serde(default, skip_serializing_if = "Resources::is_nothing")]
    pub reserved: Resources,
    pub connected_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What a worker has to offer (WRK-1).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offer {
    pub pool: String,
    /// Runtimes whose probe passed there: `gvisor`, `runc`, `bubblewrap`.
    pub runtimes: Vec<String>,
    pub runners: Vec<String>,
    pub cpu_millis: u32,
    pub memory_bytes: u64,
    pub gpus: u32,
    pub labels: BTreeMap<String, String>,
    pub version: String,
}

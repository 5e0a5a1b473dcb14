//! Cases of the engine: scripts in, traces out.

#[path = "it/accept.rs"]
mod accept;
#[path = "it/agents.rs"]
mod agents;
#[path = "it/cancel.rs"]
mod cancel;
#[path = "it/claim.rs"]
mod claim;
#[path = "it/clock_changes.rs"]
mod clock_changes;
#[path = "it/cron.rs"]
mod cron;
#[path = "it/inputs.rs"]
mod inputs;
#[path = "it/losses.rs"]
mod losses;
#[path = "it/machines.rs"]
mod machines;
#[path = "it/peer.rs"]
mod peer;
#[path = "it/peers.rs"]
mod peers;
#[path = "it/report.rs"]
mod report;
#[path = "it/runs.rs"]
mod runs;
#[path = "it/script.rs"]
mod script;
#[path = "it/sending.rs"]
mod sending;
#[path = "it/sessions.rs"]
mod sessions;
#[path = "it/steers.rs"]
mod steers;
#[path = "it/stores.rs"]
mod stores;
#[path = "it/trace.rs"]
mod trace;
#[path = "it/workers.rs"]
mod workers;

//! Cases of the engine: scripts in, traces out.

#[path = "it/accept.rs"]
mod accept;
#[path = "it/agents.rs"]
mod agents;
#[path = "it/budgets.rs"]
mod budgets;
#[path = "it/cancel.rs"]
mod cancel;
#[path = "it/claim.rs"]
mod claim;
#[path = "it/clock_changes.rs"]
mod clock_changes;
#[path = "it/cron.rs"]
mod cron;
#[path = "it/fair.rs"]
mod fair;
#[path = "it/fit.rs"]
mod fit;
#[path = "it/health.rs"]
mod health;
#[path = "it/inbox.rs"]
mod inbox;
#[path = "it/inputs.rs"]
mod inputs;
#[path = "it/losses.rs"]
mod losses;
#[path = "it/machines.rs"]
mod machines;
#[path = "it/manage.rs"]
mod manage;
#[path = "it/peer.rs"]
mod peer;
#[path = "it/peers.rs"]
mod peers;
#[path = "it/random.rs"]
mod random;
#[path = "it/report.rs"]
mod report;
#[path = "it/retention.rs"]
mod retention;
#[path = "it/runs.rs"]
mod runs;
#[path = "it/schedule_asks.rs"]
mod schedule_asks;
#[path = "it/schedule_overlap.rs"]
mod schedule_overlap;
#[path = "it/schedule_servers.rs"]
mod schedule_servers;
#[path = "it/schedules.rs"]
mod schedules;
#[path = "it/scheduling.rs"]
mod scheduling;
#[path = "it/script.rs"]
mod script;
#[path = "it/sending.rs"]
mod sending;
#[path = "it/sessions.rs"]
mod sessions;
#[path = "it/steering.rs"]
mod steering;
#[path = "it/steers.rs"]
mod steers;
#[path = "it/stores.rs"]
mod stores;
#[path = "it/trace.rs"]
mod trace;
#[path = "it/two_servers.rs"]
mod two_servers;
#[path = "it/waiting.rs"]
mod waiting;
#[path = "it/warm.rs"]
mod warm;
#[path = "it/workers.rs"]
mod workers;

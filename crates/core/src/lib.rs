//! # Hostler's core
//!
//! **What** Everything that decides, and nothing that waits. Read it in this order: `task`, `run`,
//! `attempt`, `lease`, `input`, `session` (the nouns and their machines), `policy`, `capacity`
//! (who may start), `worker`, `agent`, `stream`, `retention` (how much of it is kept), `schedule`
//! (when it fires); then `key` and `batch` (what a store is asked), `command` (what can be asked
//! of the engine) and `engine`.
//!
//! **Invariants** Each has a name, and the assertion, the simulation's check and the test cite it.
//!
//! | name | stands in |
//! |---|---|
//! | INV-AGENT-1 a key names at most one agent | `agent` |
//! | INV-ATTEMPT-1 an attempt that is not terminal has a lease, and only such a one | `attempt` |
//! | INV-BUDGET-1 a turn is charged once | `budget` |
//! | INV-CAP-1 leases of a class are counted and never above its concurrency | `capacity` |
//! | INV-CAP-2 queued, parked and ready tasks of a class are counted | `capacity` |
//! | INV-ENGINE-1 nothing is told before it is durable | `engine` |
//! | INV-ENGINE-2 every command gets exactly one reply | `engine` |
//! | INV-ENGINE-3 deciding is pure | `engine` |
//! | INV-INPUT-1 an input ends in exactly one outcome | `input` |
//! | INV-INPUT-2 an input is taken by at most one run | `input` |
//! | INV-KEEP-1 only what is over a stream's maximum or age is removed | `retention` |
//! | INV-KEEP-2 a task with `rested_at` rests and has a stream | `retention` |
//! | INV-LEASE-1 a write under an old term is refused | `lease` |
//! | INV-LEASE-2 a session has at most one lease | `lease` |
//! | INV-LEASE-3 a lease is counted under its state | `lease` |
//! | INV-RUN-1 at most one live run for each session | `run` |
//! | INV-RUN-2 a run is ok only after the agent's own word | `run` |
//! | INV-RUN-3 a terminal run never changes | `run` |
//! | INV-RUN-4 one snapshot for each change of status | `run` |
//! | INV-SCHEDULE-1 a tick fires once or is missed with a reason | `schedule` |
//! | INV-SCHEDULE-2 going on to the next tick and accepting the task are one batch | `schedule` |
//! | INV-SESSION-1 a session's term never falls | `session` |
//! | INV-STREAM-1 a stream's seq has no holes | `stream` |
//! | INV-STREAM-2 what was trimmed is stored as a gap | `stream` |
//! | INV-TASK-1 a queued task is counted in its instance | `task` |
//! | INV-TASK-2 a task's inbox holds its waiting inputs | `task` |
//! | INV-TASK-3 a running task has a live run | `task` |
//! | INV-WORKER-1 only the current incarnation writes | `worker` |
//! | INV-WORKER-2 a worker's lease never shrinks | `worker` |
//! | INV-WORKER-3 what a worker's leases take is reserved on it | `worker` |
//! | INV-WORKSPACE-1 a key names at most one workspace | `workspace` |
//!
//! **Not here** Clocks, randomness, threads, files, sockets, SQL, JSON of the API.
#![forbid(unsafe_code)]

pub mod agent;
pub mod attempt;
pub mod batch;
pub mod budget;
pub mod capacity;
pub mod code;
pub mod command;
pub mod engine;
pub mod id;
pub mod idempotency;
pub mod input;
pub mod key;
pub mod lease;
pub mod limits;
pub mod machine;
pub mod policy;
pub mod retention;
pub mod run;
pub mod schedule;
pub mod session;
pub mod stream;
pub mod supervisor;
pub mod task;
pub mod text;
pub mod time;
pub mod worker;
pub mod workspace;

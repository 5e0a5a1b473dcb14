//! # Simulation
//!
//! **What** A second driver of the engine, in a world that a seed decides: servers over one store,
//! workers, clients, a network and a clock, all in one thread and all of them faulty. Read it in
//! this order: `world`, `fault`, `disk`, `server`, `network`, `worker`, `execution`, `client`,
//! `workload`, `person`, `model`, `check`, `mutant`.
//!
//! **Invariants** The same seed gives the same log, line by line. Each checker cites the invariant
//! of `core` that it guards, and each is shown to fail by a [`mutant`].
//!
//! **Assumed** Clocks differ, and differ anew after a restart, but run at one rate. In a world with
//! several servers a worker whose hello was not answered waits for `network::HELLO_MAX` before it
//! says hello elsewhere, and a server that cannot decide a hello within it gives itself up: without
//! that, a hello that was left behind on one server can undo what another one has decided since.
//!
//! **Not here** tokio, sockets, the real clock, SQL.
#![forbid(unsafe_code)]

pub mod check;
pub mod client;
pub mod dice;
pub mod disk;
pub mod execution;
pub mod fault;
pub mod log;
pub mod model;
pub mod mutant;
pub mod network;
pub mod person;
pub mod runner;
pub mod server;
pub mod worker;
pub mod workload;
pub mod world;

//! # Supervision of executions
//!
//! **What** What a worker decides about the processes it runs, without the processes: [`ladder`]
//! says how one is stopped, [`fence`] when all of them must be.
//!
//! **Not here** Signals, sandboxes and clocks (`hostler-worker`), the lease's formula (`lease`).

pub mod fence;
pub mod ladder;

pub use fence::Fence;
pub use ladder::Ladder;

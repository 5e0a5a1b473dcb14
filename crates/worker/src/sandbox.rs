//! # Sandboxes
//!
//! **What** One file per isolation behind one trait. A [`Spec`] says what the process may see and
//! use; a [`Runtime`] starts it; a [`Sandbox`] is the running thing, killed as a whole.
//!
//! **Invariants** A sandbox dies with the worker. `kill` is final: when `wait` has returned,
//! no process of the sandbox is left, daemonised or not.
//!
//! **Failure** A probe or a start that fails says literally what the system said and what is
//! missing; nothing falls back silently to less isolation.
//!
//! **Not here** What runs inside (`agent`), which runtime a policy asks for (the server).

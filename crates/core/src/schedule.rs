//! # Schedule
//!
//! **What** When a schedule fires: [`cron`] is an expression and the days and times that it names,
//! [`next`] is a rule in a timezone and its moments.
//!
//! **Not here** Firing.

pub mod cron;
pub mod next;

//! The watchdog: a thread that sees when the worker's runtime is stalled beyond its fence.
//!
//! **What** The driver writes down when its fence is due; a thread of its own looks. If the fence
//! has been due for [`PATIENCE`], by the thread's own count, and the driver has not moved, the
//! process is ended: its sandboxes die with it, before the lease ends.
//!
//! **Invariants** It counts only time in which it ran itself, so that a process which was stopped
//! or starved as a whole gets the chance to see its fence when it goes on.

use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hostler_core::limits;
use hostler_core::time::Timestamp;

use crate::clock::Clock;

const LOOK: Duration = Duration::from_millis(100);
/// Looks in a row at which the fence is overdue.
const PATIENCE: u32 = 10;
const NEVER: i64 = i64::MAX;

const _: () = assert!(
    (LOOK.as_millis() as i64) * (PATIENCE as i64) + limits::STOP_KILL.0 < limits::FENCE.0,
    "the watchdog acts before the lease ends"
);

/// When everything must be stopped, as the driver last said.
#[derive(Debug)]
pub(crate) struct Watch(AtomicI64);

impl Watch {
    pub(crate) fn new() -> Arc<Watch> {
        Arc::new(Watch(AtomicI64::new(NEVER)))
    }

    /// `None`: nothing runs, or everything was stopped.
    pub(super) fn set(&self, stop_at: Option<Timestamp>) {
        self.0.store(stop_at.map_or(NEVER, |at| at.0), Ordering::Relaxed);
    }

    fn is_overdue(&self, now: Timestamp) -> bool {
        now.0 >= self.0.load(Ordering::Relaxed)
    }
}

/// Watches until the driver is gone.
pub(crate) fn start(watch: &Arc<Watch>, clock: Clock) -> std::io::Result<()> {
    let watch: Weak<Watch> = Arc::downgrade(watch);
    let thread = std::thread::Builder::new().name("worker-watchdog".to_owned());
    thread.spawn(move || {
        let mut overdue = 0;
        while let Some(watch) = watch.upgrade() {
            overdue = if watch.is_overdue(clock.now()) { overdue + 1 } else { 0 };
            if overdue >= PATIENCE {
                tracing::error!("the worker is stalled beyond its lease and ends itself");
                std::process::abort();
            }
            drop(watch);
            std::thread::sleep(LOOK);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_overdue_only_while_something_runs() {
        let watch = Watch::new();
        assert!(!watch.is_overdue(Timestamp(i64::MAX - 1)));
        watch.set(Some(Timestamp(5)));
        assert!(!watch.is_overdue(Timestamp(4)) && watch.is_overdue(Timestamp(5)));
        watch.set(None);
        assert!(!watch.is_overdue(Timestamp(6)));
    }
}

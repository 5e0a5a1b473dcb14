//! # The worker's clock
//!
//! **What** Time as the lease needs it: milliseconds that only go forward, that go on while the
//! machine is suspended, and that nobody can set.
//!
//! **Invariants** Between two looks at `/proc/uptime` it runs with the monotonic clock, which
//! stands still during a suspension; each look adds what was missed. So it never goes back.
//!
//! **Failure** Where `/proc/uptime` cannot be read, a suspension goes unnoticed; the server still
//! refuses what is written under the lost lease.
//!
//! **Not here** The time of day, which log records carry ([`wall_ms`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hostler_core::time::Timestamp;
use tokio::time::Instant;

/// `/proc/uptime` counts hundredths of a second, and reading it takes a moment.
const NOISE_MS: i64 = 250;

#[derive(Clone, Debug)]
pub(crate) struct Clock {
    start: Instant,
    uptime_at_start_ms: Option<i64>,
    suspended_ms: Arc<AtomicI64>,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock {
            start: Instant::now(),
            uptime_at_start_ms: uptime_ms(),
            suspended_ms: Arc::new(AtomicI64::new(0)),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let awake = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(awake.saturating_add(self.suspended_ms.load(Ordering::Relaxed)))
    }

    /// The time after a look for suspensions; for decisions about the lease.
    pub(crate) fn look(&self) -> Timestamp {
        if let (Some(start), Some(uptime)) = (self.uptime_at_start_ms, uptime_ms()) {
            let missed = uptime - start - self.now().0;
            if missed > NOISE_MS {
                self.suspended_ms.fetch_add(missed, Ordering::Relaxed);
            }
        }
        self.now()
    }

    /// `at` in the time since boot, which other processes read as well. A process that is stopped
    /// while it counts finds an earlier moment, never a later one.
    pub(crate) fn since_boot_ms(&self, at: Timestamp) -> i64 {
        let now_ms = boottime_ms();
        now_ms.saturating_add((at - self.look()).0)
    }

    /// The moment at which `at` comes, unless the machine is suspended before.
    pub(crate) fn instant(&self, at: Timestamp) -> Instant {
        let wait = (at - self.now()).0;
        Instant::now() + Duration::from_millis(u64::try_from(wait).unwrap_or(0))
    }
}

/// The time since boot, suspensions included.
pub(crate) fn boottime_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

fn uptime_ms() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let (seconds, rest) = text.split_once('.')?;
    let hundredths = rest.get(..2)?.parse::<i64>().ok()?;
    Some(seconds.parse::<i64>().ok()? * 1_000 + hundredths * 10)
}

/// Milliseconds since 1970, for people.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_does_not_jump_while_the_machine_is_awake() {
        let clock = Clock::start();
        for _ in 0..1_000 {
            let before = clock.now();
            let looked = clock.look();
            assert!(looked >= before);
            assert!((looked - before).0 < 1_000);
        }
    }
}

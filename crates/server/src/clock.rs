//! The server's clock and entropy: read by the driver and by nothing else.

use std::time::{SystemTime, UNIX_EPOCH};

use hostler_core::id::Seed;
use hostler_core::time::Timestamp;

/// Wall time at the start, moved on by the clock of the time since boot: it never goes back and
/// nobody can set it, as the engine's contract asks, and it goes on while the machine is suspended,
/// so that schedules are on time afterwards. A wall clock that is set anew counts from the next
/// start of the server.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started_at: Timestamp,
    started_ms: i64,
}

impl Clock {
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_at = Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(0));
        Clock { started_at, started_ms: since_boot_ms() }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp(self.started_at.0 + (since_boot_ms() - self.started_ms))
    }
}

fn since_boot_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

/// Entropy of the operating system, fetched for many commands at a time.
#[derive(Debug)]
pub struct Entropy {
    words: Vec<u64>,
}

impl Entropy {
    const WORDS: usize = 256;

    pub fn new() -> Self {
        Entropy { words: Vec::new() }
    }

    pub fn seed(&mut self) -> Seed {
        if self.words.is_empty() {
            let mut bytes = [0u8; Self::WORDS * 8];
            getrandom::fill(&mut bytes).expect("the operating system gives entropy");
            let words = bytes.chunks_exact(8);
            self.words.extend(
                words.map(|word| u64::from_le_bytes(word.try_into().expect("chunks of eight"))),
            );
        }
        self.words.pop().expect("it was just filled")
    }
}

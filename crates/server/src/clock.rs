//! The server's clock and entropy: read by the driver and by nothing else.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hostler_core::id::Seed;
use hostler_core::time::Timestamp;

/// Wall time at the start, moved on by the monotonic clock: it never goes back and never jumps,
/// as the engine's contract asks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started_at: Timestamp,
    started: Instant,
}

impl Clock {
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_at = Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(0));
        Clock { started_at, started: Instant::now() }
    }

    pub fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.started_at.0.saturating_add(passed))
    }
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

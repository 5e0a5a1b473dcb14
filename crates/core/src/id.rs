//! Typed identifiers, and where new ones come from.
//!
//! **What** Each noun has its own type over a UUID, so that a run's id cannot be passed for a
//! task's. New ids are UUIDv7: they sort by the time of their making, which keeps inserts at the
//! end of every index.
//!
//! **Invariants** `core` has no randomness of its own: [`Ids`] is made from a seed that came in
//! with the command. The same seed and time give the same ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    )*};
}

ids! {
    /// A configured agent.
    AgentId,
    /// A task.
    TaskId,
    /// One message for a task.
    InputId,
    /// A run.
    RunId,
    /// An attempt; also its execution's id.
    AttemptId,
    /// One start of a worker's process.
    IncarnationId,
    /// A schedule.
    ScheduleId,
}

/// A workspace's number: it is part of the class key, as in the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkspaceId(pub u64);

impl WorkspaceId {
    /// The workspace `default`, which exists from the start.
    pub const DEFAULT: WorkspaceId = WorkspaceId(1);
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A worker's own name, stable across its restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Entropy that came in with a command.
pub type Seed = u64;

/// Makes ids from a time and a seed.
#[derive(Debug, Clone)]
pub struct Ids {
    now: Timestamp,
    state: u64,
}

impl Ids {
    pub fn new(now: Timestamp, seed: Seed) -> Self {
        Ids { now, state: seed }
    }

    /// The next 64 bits (SplitMix64).
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn uuid(&mut self) -> Uuid {
        let mut tail = [0u8; 10];
        tail[..8].copy_from_slice(&self.bits().to_le_bytes());
        tail[8..].copy_from_slice(&self.bits().to_le_bytes()[..2]);
        let millis = u64::try_from(self.now.0).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_time_of_their_making() {
        let early = Ids::new(Timestamp(1_000), 99).uuid();
        let late = Ids::new(Timestamp(1_001), 1).uuid();
        assert!(early < late);
        assert_eq!(early.get_version_num(), 7);
    }

    #[test]
    fn the_same_seed_and_time_give_the_same_ids() {
        let mut one = Ids::new(Timestamp(5), 7);
        let mut two = Ids::new(Timestamp(5), 7);
        assert_eq!(one.uuid(), two.uuid());
        assert_ne!(one.uuid(), Ids::new(Timestamp(5), 7).uuid());
    }
}

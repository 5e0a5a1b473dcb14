//! Typed identifiers, and where new ones come from.
//!
//! **What** Each noun has its own type over a UUID, so that a run's id cannot be passed for a
//! task's. New ids are UUIDv7: they sort by the time of their making, which keeps inserts at the
//! end of every index.
//!
//! **Invariants** `core` has no randomness of its own: [`Ids`] is made from a seed that came in
//! with the command. The same seed, time and place give the same ids. Ids of one engine grow, also
//! within a millisecond, as long as it makes them for no more than 4 096 commands in one.

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

/// Makes ids from a time, a place among the commands of that millisecond, and a seed.
#[derive(Debug, Clone)]
pub struct Ids {
    now: Timestamp,
    place: u16,
    made: u8,
    state: u64,
}

impl Ids {
    /// Places that have an order; those after them share the last one.
    pub const PLACES: u16 = 1 << 12;

    pub fn new(now: Timestamp, seed: Seed) -> Self {
        Self::at(now, 0, seed)
    }

    pub fn at(now: Timestamp, place: u16, seed: Seed) -> Self {
        Ids { now, place: place.min(Self::PLACES - 1), made: 0, state: seed }
    }

    /// The next 64 bits (SplitMix64).
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A UUIDv7: milliseconds, then the place, then how many were made there, then chance.
    pub fn uuid(&mut self) -> Uuid {
        let mut tail = [0u8; 10];
        tail[..2].copy_from_slice(&self.place.to_be_bytes());
        tail[2..].copy_from_slice(&self.bits().to_le_bytes());
        // The two bits of the variant come first there.
        let made = self.made.min(MADE_MAX);
        tail[2] = made >> 2;
        tail[3] = (tail[3] & 0x3F) | (made << 6);
        self.made = made + 1;
        let millis = u64::try_from(self.now.0).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }
}

/// Ids of one command that have an order.
const MADE_MAX: u8 = u8::MAX - 1;

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
    fn ids_of_one_millisecond_sort_by_the_place_of_their_command_and_their_number() {
        let mut ids = Vec::new();
        for place in [0, 1, 7, 4_095, 9_000] {
            let mut one = Ids::at(Timestamp(5), place, u64::from(place) * 77);
            ids.extend((0..255).map(|_| one.uuid()));
            assert!(ids.iter().all(|id: &Uuid| id.get_version_num() == 7));
            assert!(ids.iter().all(|id| id.get_variant() == uuid::Variant::RFC4122));
        }
        ids.truncate(4 * 255);
        assert!(ids.is_sorted());
    }

    #[test]
    fn the_same_seed_and_time_give_the_same_ids() {
        let mut one = Ids::new(Timestamp(5), 7);
        let mut two = Ids::new(Timestamp(5), 7);
        assert_eq!(one.uuid(), two.uuid());
        assert_ne!(one.uuid(), Ids::new(Timestamp(5), 7).uuid());
    }
}

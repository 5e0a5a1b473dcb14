//! What a class needs of a worker, and what a worker has free (WRK-1).
//!
//! **What** [`Needs`] comes from the policy (runtime, resources) and the agent's config (pool,
//! labels); [`Room`] is what a connected worker has left. [`Needs::lacks`] is the whole of "fits".
//!
//! **Invariants** A worker that offers no cpu or no memory does not say how much it has: there is
//! no limit of it. No gpus offered means that there are none.
//!
//! **Not here** How many executions a worker takes (`engine::offers`), its agents' programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::lease::Resources;
use crate::limits;
use crate::policy::{Policy, RuntimeType};
use crate::text::words;
use crate::worker::Offer;

/// The pool of a worker, and of an agent, that names none.
pub const POOL_DEFAULT: &str = "default";

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Needs {
    pub runtime_type: RuntimeType,
    pub pool: String,
    /// A worker has all of them, and may have others.
    pub labels: BTreeMap<String, String>,
    /// What the policy names.
    pub resources: Resources,
}

impl Default for Needs {
    fn default() -> Self {
        Needs {
            runtime_type: RuntimeType::Gvisor,
            pool: POOL_DEFAULT.to_owned(),
            labels: BTreeMap::new(),
            resources: Resources::default(),
        }
    }
}

words! {
    /// What a worker is lacking, in the order in which it is looked at.
    pub enum Lack {
        Pool => "pool",
        Runtime => "runtime",
        Labels => "labels",
        Resources => "resources",
    }
}

/// What a connected worker has free.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Room {
    pub pool: String,
    /// What it could run, the server's fallback for development among it.
    pub runtime_types: Vec<RuntimeType>,
    pub labels: BTreeMap<String, String>,
    /// `None`: it does not say how much it has.
    pub cpu_millis: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub gpus: u64,
}

impl Needs {
    pub fn of(agent: &Agent, policy: &Policy) -> Self {
        Needs {
            runtime_type: policy.runtime_type,
            pool: agent.pool().to_owned(),
            labels: agent.labels(),
            resources: Resources {
                cpu_millis: policy.resource("cpu"),
                memory_bytes: policy.resource("memory"),
                gpus: policy.resource("gpu"),
            },
        }
    }

    /// One text for equal needs: what a keeper files classes under.
    pub fn signature(&self) -> String {
        serde_json::to_string(self).expect("words, texts and numbers are JSON")
    }

    /// What a signature stands for.
    pub fn read(signature: &str) -> Option<Self> {
        serde_json::from_str(signature).ok()
    }

    /// What the room is lacking first; `None`: it fits.
    pub fn lacks(&self, room: &Room) -> Option<Lack> {
        let has_label = |(name, value): (&String, &String)| room.labels.get(name) == Some(value);
        let within = |need: u64, free: Option<u64>| free.is_none_or(|free| need <= free);
        if self.pool != room.pool {
            Some(Lack::Pool)
        } else if !room.runtime_types.contains(&self.runtime_type) {
            Some(Lack::Runtime)
        } else if !self.labels.iter().all(has_label) {
            Some(Lack::Labels)
        } else if !within(self.resources.cpu_millis, room.cpu_millis)
            || !within(self.resources.memory_bytes, room.memory_bytes)
            || self.resources.gpus > room.gpus
        {
            Some(Lack::Resources)
        } else {
            None
        }
    }

    pub fn fits(&self, room: &Room) -> bool {
        self.lacks(room).is_none()
    }

    /// What is needed of this kind, in words.
    pub fn show(&self, lack: Lack) -> String {
        match lack {
            Lack::Pool => format!("the pool {:?}", self.pool),
            Lack::Runtime => format!("the runtime {}", self.runtime_type),
            Lack::Labels => {
                let pairs = self.labels.iter().map(|(name, value)| format!("{name}={value}"));
                format!("the labels {}", pairs.collect::<Vec<_>>().join(", "))
            }
            Lack::Resources => {
                let Resources { cpu_millis, memory_bytes, gpus } = self.resources;
                format!("cpu {cpu_millis}m, memory {memory_bytes} bytes and {gpus} gpus")
            }
        }
    }
}

impl Room {
    /// What is left of an offer besides what is reserved.
    pub fn of(offer: &Offer, reserved: Resources, fallback: Option<&str>) -> Self {
        let left =
            |offered: u64, reserved: u64| (offered > 0).then(|| offered.saturating_sub(reserved));
        let runs = |asked: &RuntimeType| super::claim::fit(offer, *asked, fallback).is_some();
        Room {
            pool: pool_of(&offer.pool).to_owned(),
            runtime_types: RuntimeType::ALL.iter().copied().filter(runs).collect(),
            labels: offer.labels.clone(),
            cpu_millis: left(u64::from(offer.cpu_millis), reserved.cpu_millis),
            memory_bytes: left(offer.memory_bytes, reserved.memory_bytes),
            gpus: u64::from(offer.gpus).saturating_sub(reserved.gpus),
        }
    }
}

impl Agent {
    /// Of which workers' pool its runs are.
    pub fn pool(&self) -> &str {
        pool_of(self.text("pool").unwrap_or_default())
    }

    /// What its workers are labelled with.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let given = self.config.get("labels").and_then(serde_json::Value::as_object);
        let pairs = given.into_iter().flatten().take(limits::LABELS_MAX);
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        pairs.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
    }
}

fn pool_of(given: &str) -> &str {
    if given.is_empty() { POOL_DEFAULT } else { given }
}

impl Resources {
    /// What is taken once `other` is taken as well.
    pub fn plus(self, other: Resources) -> Resources {
        Resources {
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            gpus: self.gpus.saturating_add(other.gpus),
        }
    }

    /// It is more than `other` of anything.
    pub fn exceeds(&self, other: Resources) -> bool {
        let Resources { cpu_millis, memory_bytes, gpus } = *self;
        cpu_millis > other.cpu_millis || memory_bytes > other.memory_bytes || gpus > other.gpus
    }

    /// What is taken once `other` is given back.
    pub fn minus(self, other: Resources) -> Resources {
        let less = |all: u64, part: u64| {
            all.checked_sub(part).expect("INV-WORKER-3: what is given back was reserved")
        };
        Resources {
            cpu_millis: less(self.cpu_millis, other.cpu_millis),
            memory_bytes: less(self.memory_bytes, other.memory_bytes),
            gpus: less(self.gpus, other.gpus),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Offer {
        Offer {
            runtimes: vec!["gvisor".to_owned()],
            cpu_millis: 4_000,
            memory_bytes: 8 << 30,
            labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
            ..Offer::default()
        }
    }

    fn free(reserved: Resources) -> Room {
        Room::of(&offer(), reserved, None)
    }

    #[test]
    fn what_is_lacking_is_named_in_order() {
        let nothing = Resources::default();
        let mut needs = Needs::default();
        assert_eq!(needs.lacks(&free(nothing)), None);
        needs.resources.gpus = 1;
        assert_eq!(needs.lacks(&free(nothing)), Some(Lack::Resources));
        needs.labels.insert("zone".to_owned(), "b".to_owned());
        assert_eq!(needs.lacks(&free(nothing)), Some(Lack::Labels));
        needs.runtime_type = RuntimeType::Runc;
        assert_eq!(needs.lacks(&free(nothing)), Some(Lack::Runtime));
        let room = Room::of(&offer(), nothing, Some("gvisor"));
        assert_eq!(needs.lacks(&room), Some(Lack::Labels), "the fallback counts");
        needs.pool = "gpu".to_owned();
        assert_eq!(needs.lacks(&free(nothing)), Some(Lack::Pool));
    }

    #[test]
    fn what_is_reserved_is_not_free_and_what_is_not_offered_has_no_limit() {
        let needs = |cpu_millis, memory_bytes| Needs {
            resources: Resources { cpu_millis, memory_bytes, gpus: 0 },
            ..Needs::default()
        };
        let reserved = Resources { cpu_millis: 3_000, memory_bytes: 0, gpus: 0 };
        assert!(needs(1_000, 8 << 30).fits(&free(reserved)));
        assert!(!needs(1_001, 0).fits(&free(reserved)));
        assert!(!needs(0, (8 << 30) + 1).fits(&free(reserved)));
        let unknown = Offer { cpu_millis: 0, memory_bytes: 0, ..offer() };
        assert!(needs(32_000, 128 << 30).fits(&Room::of(&unknown, reserved, None)));
    }

    #[test]
    fn a_signature_is_read_back() {
        let mut needs = Needs::default();
        needs.labels.insert("b".to_owned(), "2".to_owned());
        needs.labels.insert("a".to_owned(), "1".to_owned());
        assert_eq!(Needs::read(&needs.signature()), Some(needs));
    }
}

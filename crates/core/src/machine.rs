//! What every state machine shares: an illegal move is a bug of the caller, not a write.

use std::fmt;

/// A move that the table does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Illegal {
    pub machine: &'static str,
    pub state: &'static str,
    pub event: &'static str,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} that is {} cannot {}", self.machine, self.state, self.event)
    }
}

/// A machine as data: for `docs/STATES.md` and for the tests that enumerate every pair.
pub struct Table {
    pub machine: &'static str,
    pub states: Vec<&'static str>,
    /// (from, event, to), every legal move.
    pub moves: Vec<(&'static str, &'static str, &'static str)>,
}

/// Every machine of the engine, in reading order.
pub fn tables() -> Vec<Table> {
    vec![
        crate::task::state::table(),
        crate::run::state::table(),
        crate::attempt::state::table(),
        crate::lease::state::table(),
        crate::input::state::table(),
    ]
}

/// Builds the data form of a machine by asking its `next` about every pair.
macro_rules! table {
    ($machine:literal, $state:ty, $event:ty) => {
        /// This machine as data.
        pub fn table() -> $crate::machine::Table {
            let mut moves = Vec::new();
            for state in <$state>::ALL {
                for event in <$event>::ALL {
                    if let Ok(next) = state.next(*event) {
                        moves.push((state.as_str(), event.as_str(), next.as_str()));
                    }
                }
            }
            $crate::machine::Table {
                machine: $machine,
                states: <$state>::ALL.iter().map(|state| state.as_str()).collect(),
                moves,
            }
        }
    };
}
pub(crate) use table;

/// `Err` of a `next`, with the names filled in.
macro_rules! illegal {
    ($machine:literal, $state:expr, $event:expr) => {
        Err($crate::machine::Illegal {
            machine: $machine,
            state: $state.as_str(),
            event: $event.as_str(),
        })
    };
}
pub(crate) use illegal;

//! # Faults
//!
//! **What** How often which thing goes wrong in a world. The seed draws it, so that some worlds are
//! calm, some have one kind of trouble and some have all of it; after the heal there is none.

use crate::dice::Dice;

/// Chances are of ten thousand.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// A server dies before an output.
    pub crash: u32,
    /// The store refuses; nothing was written.
    pub unavailable: u32,
    /// The store does not say whether it has written.
    pub unknown: u32,
    /// A call of the store takes long.
    pub slow: u32,
    /// A message between a client and a server is lost, or comes twice.
    pub lose: u32,
    pub double: u32,
    /// A worker's connection breaks at a frame, and then is noticed late.
    pub cut: u32,
    pub half_open: u32,
    /// A worker's process is killed, or stands still, alone or with its machine, at one of its
    /// wake-ups.
    pub kill: u32,
    pub freeze: u32,
    /// A worker cannot reach anybody for a while.
    pub partition: u32,
    /// A message takes long.
    pub late: u32,
    /// A worker sends again what was not acknowledged yet.
    pub repeat: u32,
    /// What a server says to a running execution does not arrive, although the connection holds.
    pub lose_push: u32,
}

impl Faults {
    pub fn drawn(dice: &mut Dice) -> Faults {
        let mut faults = Faults::default();
        if dice.chance(1_200) {
            return faults;
        }
        let mut draw = |high: i64| if dice.chance(5_000) { dice.range(1, high) as u32 } else { 0 };
        faults.crash = draw(60);
        faults.unavailable = draw(400);
        faults.unknown = draw(400);
        faults.slow = draw(1_000);
        faults.lose = draw(1_500);
        faults.double = draw(1_500);
        faults.cut = draw(300);
        faults.half_open = draw(5_000);
        faults.kill = draw(120);
        faults.freeze = draw(120);
        faults.partition = draw(100);
        faults.late = draw(1_500);
        faults.repeat = draw(2_000);
        faults.lose_push = draw(2_500);
        faults
    }

    /// How long a message is on its way.
    pub fn delay(&self, dice: &mut Dice) -> i64 {
        if dice.chance(self.late) { dice.range(50, 1_500) } else { dice.range(1, 20) }
    }

    /// How long the store takes to carry something out, or to say that it has.
    pub fn latency(&self, dice: &mut Dice) -> i64 {
        // A store that is slow often is also slower than a worker's patience.
        let high = if self.slow > 500 { 4_000 } else { 900 };
        if dice.chance(self.slow) { dice.range(20, high) } else { dice.range(0, 4) }
    }
}

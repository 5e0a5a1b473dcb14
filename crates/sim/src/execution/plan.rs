//! What an agent is about to do: chance decides it when its turn begins.

use hostler_core::run::outcome::Failure;

use crate::dice::Dice;
use crate::mutant::Mutant;

/// How a turn comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    Done,
    Asks,
    /// Done, and the agent's process takes no further turn.
    Last,
    Fails(Option<Failure>),
    /// The process dies in mid-turn.
    Crashes,
    /// The process ends well and says nothing.
    Silent,
    /// It goes on until its time is up.
    Hangs,
    /// It goes on far longer than an interrupt may take.
    Stuck,
    NoSandbox,
    Refused,
    /// It takes the whole machine with it.
    KillsWorker,
}

/// What an agent makes of an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    Obeys,
    /// Its turn ends by itself before.
    Late,
    /// It must be stopped with its process.
    Never,
}

pub fn of_execution(dice: &mut Dice, mutant: Option<Mutant>) -> Plan {
    match dice.below(30) {
        0 => Plan::NoSandbox,
        1 => Plan::Refused,
        _ => of_turn(dice, mutant),
    }
}

pub fn of_turn(dice: &mut Dice, mutant: Option<Mutant>) -> Plan {
    let often = matches!(
        mutant,
        Some(Mutant::InterruptIsForgotten | Mutant::InterruptIsLost | Mutant::InterruptIsNotObeyed)
    );
    if dice.chance(if often { 600 } else { 20 }) {
        return Plan::Stuck;
    }
    match dice.below(24) {
        0..=3 => Plan::Asks,
        4 => Plan::Last,
        5 => Plan::Fails(None),
        6 => Plan::Fails(Some(Failure::Overloaded)),
        7 if dice.chance(5_000) => Plan::Fails(Some(Failure::Rejected)),
        8 => Plan::Crashes,
        9 if dice.chance(5_000) => Plan::Silent,
        10 => Plan::Hangs,
        _ => Plan::Done,
    }
}

pub fn interrupt(dice: &mut Dice) -> Interrupt {
    match dice.below(10) {
        0..=6 => Interrupt::Obeys,
        7 | 8 => Interrupt::Late,
        _ => Interrupt::Never,
    }
}

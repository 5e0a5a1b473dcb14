//! The health of a class: degrading after failures, healing after a while (INS-1, INS-2).

use crate::engine::txn::{Decided, Txn};
use crate::run::outcome::Outcome;

/// An attempt of the class has ended.
pub(crate) fn ended(_txn: &mut Txn<'_>, _key: &str, _outcome: &Outcome) -> Decided<()> {
    Ok(())
}

/// The time has come at which a class that was held back is looked at again.
pub(crate) fn reopen(_txn: &mut Txn<'_>, _key: &str) -> Decided<()> {
    Ok(())
}

//! The schema, and how a database of an earlier one is brought to it.

use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

use super::{unavailable, write};
use crate::{Error, first_workspace};
use hostler_core::batch::{Batch, Write};

/// In their order; the number of a database's last one is its `user_version`. A migration that
/// was released never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_rows.sql"),
    include_str!("migrations/0002_engine.sql"),
    include_str!("migrations/0003_retention.sql"),
];

const VERSION: &str = "PRAGMA user_version";

pub fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let known = MIGRATIONS.len();
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(unavailable)?;
    let found: i64 = transaction.query_row(VERSION, [], |row| row.get(0)).map_err(unavailable)?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(missing) = MIGRATIONS.get(found..) else {
        let reason = format!(
            "the database has schema {found} and this server knows schemas up to {known}: \
             use the newer server that wrote it"
        );
        return Err(Error::Unavailable(reason.into()));
    };
    for migration in missing {
        transaction.execute_batch(migration).map_err(unavailable)?;
    }
    if !missing.is_empty() {
        transaction.pragma_update(None, "user_version", known as i64).map_err(unavailable)?;
        transaction.commit().map_err(|error| Error::Unknown(error.into()))?;
    } else {
        drop(transaction);
    }
    let (key, row) = first_workspace();
    let first = Write { key, expect: None, row: Some(Arc::new(row)) };
    match write::commit(connection, &Batch { writes: vec![first], ..Batch::default() }) {
        // It is there already.
        Err(Error::Conflict) => Ok(()),
        written => written.map(drop),
    }
}

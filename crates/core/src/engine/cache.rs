//! Rows that were read or written lately, in two generations.
//!
//! **Invariants** It holds only rows as they were committed. A row that another server has
//! changed since fails the guard of the batch that was decided on it, and is forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use crate::key::{Key, Row, Version};
use crate::limits;

#[derive(Debug, Default)]
pub(crate) struct Cache {
    young: HashMap<Key, (Version, Arc<Row>)>,
    old: HashMap<Key, (Version, Arc<Row>)>,
}

impl Cache {
    pub fn get(&mut self, key: &Key) -> Option<&(Version, Arc<Row>)> {
        if !self.young.contains_key(key) {
            let entry = self.old.remove(key)?;
            self.put(key.clone(), entry.0, entry.1);
        }
        self.young.get(key)
    }

    pub fn put(&mut self, key: Key, version: Version, row: Arc<Row>) {
        if !is_kept(&row) {
            self.forget(&key);
            return;
        }
        if self.young.len() >= limits::CACHE_ROWS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, (version, row));
    }

    pub fn forget(&mut self, key: &Key) {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

/// Snapshots are written once and read by nobody; a large input would be worth a thousand rows.
fn is_kept(row: &Row) -> bool {
    match row {
        Row::Snapshot(_) => false,
        Row::Input(input) => {
            input.message.len() <= limits::TEXT_BYTES_MAX && input.attachments.is_empty()
        }
        _ => true,
    }
}

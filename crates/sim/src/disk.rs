//! # The disk
//!
//! **What** The store that all servers of a world share: the memory keeper, with the checkers
//! looking at every batch that it takes and the mutants spoiling what goes in and comes out.
//!
//! **Not here** Latency and failures: the server draws those around each call.

use hostler_core::batch::{Batch, Committed, Find, Found};
use hostler_core::id::{TaskId, WorkspaceId};
use hostler_core::key::{Key, Loaded, Row};
use hostler_core::stream::Body;
use hostler_store::memory::Memory;
use hostler_store::query::Sequenced;
use hostler_store::{Error, Store};

use crate::check::Check;
use crate::mutant::Mutant;

pub struct Disk {
    pub memory: Memory,
    pub mutant: Option<Mutant>,
    /// Rows as a mutant remembers them.
    pub kept: Vec<Loaded>,
    pub batch_count: u64,
}

impl Disk {
    pub fn new(mutant: Option<Mutant>) -> Self {
        let memory = Memory::new();
        memory.migrate().expect("the memory keeper takes its first row");
        Disk { memory, mutant, kept: Vec::new(), batch_count: 0 }
    }

    pub fn load(&self, keys: &[Key]) -> Result<Vec<Loaded>, Error> {
        let mut rows = self.memory.load(keys)?;
        if let Some(mutant) = self.mutant {
            mutant.spoil_loaded(&mut rows, &self.kept);
        }
        Ok(rows)
    }

    pub fn find(&self, find: &Find) -> Result<Found, Error> {
        let mut found = self.memory.find(find)?;
        if let Some(mutant) = self.mutant {
            mutant.spoil_found(find, &mut found, &self.memory);
        }
        Ok(found)
    }

    pub fn commit(&mut self, batch: &Batch, check: &mut Check) -> Result<Committed, Error> {
        let spoiled = match self.mutant {
            Some(mutant) => {
                let mut batch = batch.clone();
                if let Some(committed) = mutant.spoil_batch(self, &mut batch) {
                    return Ok(committed);
                }
                Some(batch)
            }
            None => None,
        };
        let batch = spoiled.as_ref().unwrap_or(batch);
        let keys: Vec<Key> = batch.writes.iter().map(|write| write.key.clone()).collect();
        let before = self.memory.load(&keys)?;
        let committed = self.memory.commit(batch)?;
        check.committed(batch, &before, self);
        Ok(committed)
    }

    pub fn is_paused(&self, id: WorkspaceId) -> bool {
        match self.row(Key::Workspace(id)) {
            Some(Row::Workspace(workspace)) => workspace.paused,
            _ => false,
        }
    }

    /// Every stream, as whoever reads it would see it.
    pub fn each_stream(&self, mut visit: impl FnMut(TaskId, &[Sequenced])) {
        let hides = self.mutant == Some(Mutant::TrimLeavesNoGap);
        let is_gap = |one: &Sequenced| matches!(one.record.body, Body::Gap { .. });
        self.memory.each_stream(|task, records| match records.split_first() {
            Some((first, others)) if hides && is_gap(first) => visit(task, others),
            _ => visit(task, records),
        });
    }

    /// The rows as they truly are.
    pub fn loaded(&self, keys: &[Key]) -> Vec<Loaded> {
        self.memory.load(keys).expect("the memory keeper always loads")
    }

    pub fn row(&self, key: Key) -> Option<Row> {
        let rows = self.loaded(&[key]);
        rows.into_iter().next().and_then(|(_, row)| row).map(|(_, row)| row)
    }
}

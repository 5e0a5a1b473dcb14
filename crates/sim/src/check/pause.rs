//! Nothing of a paused workspace is dispatched.

use std::collections::BTreeMap;

use hostler_core::id::WorkspaceId;
use hostler_core::key::Row;

use super::{Change, Verdict};

#[derive(Default)]
pub struct Pauses {
    /// Since when, by true time.
    paused: BTreeMap<WorkspaceId, i64>,
    /// How long a claim that was decided before may take: the rows that a rule only reads are not
    /// guarded, and another server may have read them.
    pub tolerance: i64,
    pub now: i64,
}

impl Pauses {
    pub fn committed(&mut self, changes: &[Change<'_>]) -> Verdict {
        for change in changes {
            if let (None, Some(Row::Lease(lease))) = (change.before, change.after)
                && let Some(since) = self.paused.get(&lease.workspace_id)
                && self.now >= since + self.tolerance
                && !is_changed(changes, lease.workspace_id)
            {
                let (id, workspace) = (lease.attempt_id, lease.workspace_id);
                return Err(format!("DSP-1: {id} was claimed while {workspace} is paused"));
            }
        }
        for change in changes {
            if let Some(Row::Workspace(row)) = change.after {
                match row.paused {
                    true => drop(self.paused.entry(row.id).or_insert(self.now)),
                    false => drop(self.paused.remove(&row.id)),
                }
            }
        }
        Ok(())
    }
}

fn is_changed(changes: &[Change<'_>], id: WorkspaceId) -> bool {
    changes.iter().any(|change| matches!(change.after, Some(Row::Workspace(row)) if row.id == id))
}

//! What the engine does by itself to keep streams within their bounds (`retention`).

use super::round::Work;
use super::{Engine, Output, Phase};
use crate::batch::Find;
use crate::command::Command;
use crate::id::TaskId;
use crate::limits;
use crate::stream::{Append, Record, Trim};

impl Engine {
    /// Begins a search for tasks that have rested long enough, now and then: not a part of any
    /// command's path.
    pub(super) fn seek_rested(&mut self) -> bool {
        if self.now < self.rested_at {
            return false;
        }
        self.rested_at = self.now + limits::REST_SEARCH;
        let Some(until) = self.config.retention.rested_until(self.now) else { return false };
        self.phase = Phase::SeekingRested;
        self.outputs.push_back(Output::Find(Find::Rested { until, limit: limits::RESTED_MAX }));
        true
    }

    pub(super) fn found_rested(&mut self, tasks: Vec<TaskId>) {
        if tasks.len() >= limits::RESTED_MAX {
            self.seek_rested_again();
        }
        for task in tasks {
            self.work_last(Command::Forget { task, emptied: false });
        }
        self.begin_commands();
    }

    fn seek_rested_again(&mut self) {
        self.rested_at = self.rested_at.min(self.now + limits::REST_SEARCH_AGAIN);
    }

    /// A stream that has grown too long is trimmed in one of the next rounds.
    pub(super) fn trim_what_has_grown(&mut self, appends: &[Append], last_seqs: &[u64]) {
        for (append, &last_seq) in appends.iter().zip(last_seqs) {
            let count = append.records.iter().map(Record::width).sum();
            if let Some(to_seq) = self.config.retention.overgrown(count, last_seq) {
                self.work_last(Command::Trim { task: append.task_id, to_seq });
            }
        }
    }

    /// A stream that is gone is noted; one that is too long for one commit is gone on with.
    pub(super) fn trimmed(&mut self, trims: &[Trim], done: &[bool]) {
        for (trim, &done) in trims.iter().zip(done) {
            let whole = trim.to_seq == u64::MAX;
            match (whole, done) {
                (true, true) => {
                    self.work_last(Command::Forget { task: trim.task_id, emptied: true });
                }
                (true, false) => self.seek_rested_again(),
                // The next step of its growth goes on.
                (false, _) => {}
            }
        }
    }

    fn work_last(&mut self, command: Command) {
        let seed = self.seeds.bits();
        self.inbox.push_back(Work { command, seed, ticket: None });
    }
}

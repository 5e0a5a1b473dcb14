//! Streams: each is the list of its records.

use hostler_core::id::TaskId;
use hostler_core::stream::{Append, Trim};

use super::State;
use crate::record::{self, Room};
use crate::{LogRange, Sequenced};

impl State {
    /// The last number of the stream after the append.
    pub fn append(&mut self, append: &Append) -> u64 {
        let mut last = self.end(append.task_id);
        if append.records.is_empty() {
            return last;
        }
        let records = self.streams.entry(append.task_id).or_default();
        for one in &append.records {
            let seq = last + 1;
            last += one.width();
            records.push(Sequenced { seq, record: record::place(one, seq) });
        }
        last
    }

    /// Whether the trim has come to its end.
    pub fn trim(&mut self, trim: &Trim) -> bool {
        let last = self.end(trim.task_id);
        let Some(records) = self.streams.get_mut(&trim.task_id) else { return true };
        let head = record::end_of_head(records.first().map(|first| &first.record));
        let Some(reach) = record::reach(trim, head, last) else { return true };
        let count = records.partition_point(|one| one.seq <= reach);
        let to_seq = record::end(&records[count - 1]);
        let gap = Sequenced { seq: 1, record: record::head(to_seq, trim.at) };
        records.splice(..count, [gap]);
        to_seq >= trim.to_seq.min(last)
    }

    pub fn read(&self, range: &LogRange) -> Vec<Sequenced> {
        let Some(records) = self.streams.get(&range.task) else { return Vec::new() };
        let start = records.partition_point(|one| record::end(one) <= range.after);
        let mut room = Room::of(range);
        records[start..].iter().take_while(|one| room.take(&one.record)).cloned().collect()
    }

    pub fn end(&self, task: TaskId) -> u64 {
        self.streams.get(&task).and_then(|records| records.last()).map_or(0, record::end)
    }
}

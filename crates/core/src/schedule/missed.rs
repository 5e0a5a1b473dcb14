//! The record of ticks that did not fire (SCH-4).

use super::{Missed, Schedule};
use crate::engine::txn::{Decided, Txn};
use crate::time::Timestamp;

pub(crate) const CATCHUP_WINDOW: &str = "catchup_window";
pub(crate) const OVERLAP: &str = "overlap";
pub(crate) const BUFFER_FULL: &str = "buffer_full";
pub(crate) const PAUSED: &str = "paused";

/// Ticks of one command that did not fire, in their order, as ranges of one reason each.
#[derive(Debug, Default)]
pub(crate) struct Ranges(Vec<Range>);

#[derive(Debug)]
struct Range {
    from: Timestamp,
    to: Timestamp,
    count: u64,
    reason: String,
}

impl Ranges {
    pub fn add(&mut self, tick: Timestamp, reason: &str) {
        match self.0.last_mut().filter(|last| last.reason == reason) {
            Some(last) => (last.to, last.count) = (tick, last.count + 1),
            None => {
                let reason = reason.to_owned();
                self.0.push(Range { from: tick, to: tick, count: 1, reason });
            }
        }
    }

    /// Writes them: the first one grows out of the last one that is stored, when nothing has fired
    /// since and the reason is the same.
    pub fn record(self, txn: &mut Txn<'_>, schedule: &mut Schedule) -> Decided<()> {
        for range in self.0 {
            let Range { from, to, count, reason } = range;
            schedule.missed_count += count;
            let last = match schedule.missed_grows {
                true => txn.missed(schedule.id, schedule.missed_seq)?,
                false => None,
            };
            let missed = match last.filter(|last| last.reason == reason) {
                Some(last) => Missed { to, count: last.count + count, at: txn.now, ..last },
                None => {
                    schedule.missed_seq += 1;
                    schedule.missed_grows = true;
                    let (schedule_id, seq, at) = (schedule.id, schedule.missed_seq, txn.now);
                    Missed { schedule_id, seq, from, to, count, reason, at }
                }
            };
            txn.put_missed(missed);
        }
        Ok(())
    }
}

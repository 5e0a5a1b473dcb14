//! # The spool
//!
//! **What** The log of one execution until the server has it: numbered chunks, at first in
//! memory, then in a file. What is printed is on its way within [`FLUSH`]; chunks are acknowledged
//! by number and sent again on every new connection. [`shipper`] carries them.
//!
//! **States** of a chunk: open (records are added), sealed (numbered, unchangeable), sent,
//! acknowledged (forgotten).
//!
//! **Invariants** Numbers have no holes and a number never changes its content. Pushing never
//! waits and never touches the disk. Memory holds at most [`MEMORY_BYTES_MAX`] and what one more
//! line gives; the file at most [`FILE_BYTES_MAX`] and one spill. When there is no room, the one
//! who reads the agent's output is to pause (STR-4): the agent waits, never the worker.
//!
//! **Failure** A disk that cannot be written leaves the memory's bound alone: the agent pauses
//! sooner. A chunk that cannot be read back is replaced by one that says so.
//!
//! **Not here** Order among executions, frames (`link`), redaction (the server). The file's room
//! comes back when everything in it is acknowledged, not before.

mod file;
pub mod shipper;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostler_core::limits::{CHUNK_BYTES_MAX, CHUNK_RECORDS_MAX};
use hostler_core::text::shortened;
use hostler_wire::v1::{LogChunk, LogRecord};
use tokio::sync::Notify;
use tokio::time::Instant;

use self::file::SpoolFile;

/// How long records gather before they are sent: live to a reader, batched to a server.
pub const FLUSH: Duration = Duration::from_millis(20);
/// A chunk with this much in it is sealed.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Sealed chunks in memory; more goes to the file.
pub const MEMORY_BYTES_MAX: usize = 1 << 20;
/// What one execution may have on disk.
pub const FILE_BYTES_MAX: u64 = 64 << 20;
/// A single record's text; the agents' records are smaller.
const RECORD_BYTES_MAX: usize = 512 << 10;
/// Sent and not acknowledged: enough to keep a connection busy over a long way.
const IN_FLIGHT_MAX: u64 = 8;
/// A chunk not acknowledged for so long over a live connection is sent again.
const RESEND: Duration = Duration::from_secs(10);
/// What a record costs beside its texts.
const RECORD_OVERHEAD: usize = 64;

const _: () = assert!(CHUNK_BYTES + RECORD_BYTES_MAX < CHUNK_BYTES_MAX);
const _: () = assert!(CHUNK_BYTES <= MEMORY_BYTES_MAX);

/// The spool of one execution. Shared by the one who pushes and the one who ships.
#[derive(Debug)]
pub struct Spool {
    attempt_id: String,
    term: u64,
    state: Mutex<State>,
    file: Mutex<SpoolFile>,
    /// For the shipper: there may be something to do.
    work: Notify,
    /// For the execution: there may be room, or an end.
    progress: Notify,
}

#[derive(Debug)]
struct State {
    open: Vec<LogRecord>,
    open_bytes: usize,
    opened_at: Instant,
    sealed: VecDeque<Sealed>,
    /// The number of the next chunk to be sealed.
    next_number: u64,
    /// The next number that the server expects.
    acknowledged: u64,
    /// The next number to be sent.
    unsent: u64,
    progress_at: Instant,
    memory_bytes: usize,
    file_bytes: u64,
    file_chunks: usize,
    file_failed: bool,
    closed: bool,
    fenced: bool,
}

#[derive(Debug)]
struct Sealed {
    number: u64,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Memory { records: Vec<LogRecord>, bytes: usize },
    File { offset: u64, length: usize },
}

/// What the shipper is to do.
#[derive(Debug, PartialEq)]
enum Step {
    Send(u64),
    Spill,
    /// Everything in the file is acknowledged.
    Empty,
    Wait(Option<Instant>),
    Done,
}

impl Spool {
    /// `path` is made when it is needed and removed at the end.
    pub fn new(attempt_id: &str, term: u64, path: PathBuf) -> Spool {
        let now = Instant::now();
        Spool {
            attempt_id: attempt_id.to_owned(),
            term,
            state: Mutex::new(State {
                open: Vec::new(),
                open_bytes: 0,
                opened_at: now,
                sealed: VecDeque::new(),
                next_number: 0,
                acknowledged: 0,
                unsent: 0,
                progress_at: now,
                memory_bytes: 0,
                file_bytes: 0,
                file_chunks: 0,
                file_failed: false,
                closed: false,
                fenced: false,
            }),
            file: Mutex::new(SpoolFile::new(path)),
            work: Notify::new(),
            progress: Notify::new(),
        }
    }

    /// Adds a record. Never waits; whether more should come, [`Spool::has_room`] says.
    pub fn push(&self, mut record: LogRecord) {
        if record.data.len() > RECORD_BYTES_MAX {
            record.data = shortened(&record.data, RECORD_BYTES_MAX).to_owned();
        }
        if record.metadata_json.len() > RECORD_BYTES_MAX - record.data.len() {
            // Half a JSON object is none.
            record.metadata_json = String::new();
        }
        let mut state = self.state();
        if state.closed || state.fenced {
            return;
        }
        if state.open.is_empty() {
            state.opened_at = Instant::now();
        }
        let bytes = record.data.len() + record.metadata_json.len() + RECORD_OVERHEAD;
        state.open_bytes += bytes;
        state.open.push(record);
        if state.open.len() >= CHUNK_RECORDS_MAX || state.open_bytes >= CHUNK_BYTES {
            state.seal();
        }
        drop(state);
        self.work.notify_one();
    }

    pub fn has_room(&self) -> bool {
        self.state().has_room()
    }

    /// Sends what is open, and says how far the log goes: `has_all` of it is true when the server
    /// has everything that was pushed before.
    pub fn flush(&self) -> u64 {
        let mut state = self.state();
        if !state.open.is_empty() {
            state.seal();
        }
        let next_number = state.next_number;
        drop(state);
        self.work.notify_one();
        next_number
    }

    /// The server has all chunks below a number, or takes nothing more.
    pub fn has_all(&self, below: u64) -> bool {
        let state = self.state();
        state.fenced || state.acknowledged >= below
    }

    /// Resolves when there may be room, or the server may have more of it. For one waiter.
    pub async fn moved(&self) {
        self.progress.notified().await;
    }

    /// No more records; what is open is sent at once.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        if !state.open.is_empty() {
            state.seal();
        }
        drop(state);
        self.work.notify_one();
    }

    /// The server takes nothing more of this execution: everything is forgotten.
    pub fn fence(&self) {
        let mut state = self.state();
        state.fenced = true;
        state.open.clear();
        state.sealed.clear();
        state.memory_bytes = 0;
        drop(state);
        self.work.notify_one();
        self.progress.notify_one();
    }

    /// The server has all chunks below `next_number`.
    pub fn acknowledge(&self, next_number: u64) {
        let mut state = self.state();
        state.acknowledge(next_number);
        drop(state);
        self.work.notify_one();
        self.progress.notify_one();
    }

    /// Resolves with the number of chunks when the server has all of a closed spool, or with
    /// `None` when it was fenced. For one waiter.
    pub async fn drained(&self) -> Option<u64> {
        loop {
            {
                let state = self.state();
                if state.fenced {
                    return None;
                }
                if state.is_drained() {
                    return Some(state.acknowledged);
                }
            }
            self.progress.notified().await;
        }
    }

    /// Bytes on disk, for those who watch the bound.
    pub fn file_bytes(&self) -> u64 {
        self.state().file_bytes
    }

    /// Bytes in memory, likewise.
    pub fn memory_bytes(&self) -> usize {
        let state = self.state();
        state.memory_bytes + state.open_bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds it can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, is_connected: bool, now: Instant) -> Step {
        self.state().step(is_connected, now)
    }

    /// A new connection: what is not acknowledged is sent again.
    fn rewind(&self) {
        let mut state = self.state();
        state.unsent = state.acknowledged;
        state.progress_at = Instant::now();
    }

    fn sent(&self, number: u64) {
        let mut state = self.state();
        if state.unsent == state.acknowledged {
            state.progress_at = Instant::now();
        }
        state.unsent = state.unsent.max(number + 1);
    }

    fn place(&self, number: u64) -> Option<Place> {
        let state = self.state();
        state.sealed.iter().find(|chunk| chunk.number == number).map(|chunk| chunk.place.clone())
    }

    fn chunk(&self, number: u64, records: Vec<LogRecord>) -> LogChunk {
        LogChunk { attempt_id: self.attempt_id.clone(), term: self.term, number, records }
    }
}

impl State {
    fn seal(&mut self) {
        let records = std::mem::take(&mut self.open);
        let bytes = std::mem::take(&mut self.open_bytes);
        self.memory_bytes += bytes;
        let place = Place::Memory { records, bytes };
        self.sealed.push_back(Sealed { number: self.next_number, place });
        self.next_number += 1;
    }

    fn has_room(&self) -> bool {
        self.fenced || self.memory_bytes < MEMORY_BYTES_MAX
    }

    fn is_drained(&self) -> bool {
        self.closed && self.open.is_empty() && self.sealed.is_empty()
    }

    fn acknowledge(&mut self, next_number: u64) {
        let next_number = next_number.min(self.next_number);
        if next_number <= self.acknowledged {
            return;
        }
        while self.sealed.front().is_some_and(|chunk| chunk.number < next_number) {
            match self.sealed.pop_front().map(|chunk| chunk.place) {
                Some(Place::Memory { bytes, .. }) => self.memory_bytes -= bytes,
                Some(Place::File { .. }) => self.file_chunks -= 1,
                None => {}
            }
        }
        self.acknowledged = next_number;
        self.unsent = self.unsent.max(next_number);
        self.progress_at = Instant::now();
    }

    fn step(&mut self, is_connected: bool, now: Instant) -> Step {
        if self.fenced || self.is_drained() {
            return Step::Done;
        }
        if self.file_bytes > 0 && self.file_chunks == 0 {
            return Step::Empty;
        }
        if self.spills() {
            return Step::Spill;
        }
        if !is_connected {
            return Step::Wait(None);
        }
        let outstanding = self.unsent > self.acknowledged;
        let resend_at = outstanding.then(|| self.progress_at + RESEND);
        if resend_at.is_some_and(|at| now >= at) {
            self.unsent = self.acknowledged;
            self.progress_at = now;
        }
        if self.unsent - self.acknowledged >= IN_FLIGHT_MAX {
            return Step::Wait(resend_at);
        }
        if self.unsent < self.next_number {
            return Step::Send(self.unsent);
        }
        if self.open.is_empty() {
            return Step::Wait(resend_at);
        }
        let flush_at = self.opened_at + FLUSH;
        if now < flush_at {
            return Step::Wait(Some(flush_at));
        }
        self.seal();
        Step::Send(self.unsent)
    }

    /// Half of the memory is left to what comes in while the disk is written.
    fn spills(&self) -> bool {
        self.memory_bytes >= MEMORY_BYTES_MAX / 2
            && !self.file_failed
            && self.file_bytes < FILE_BYTES_MAX
    }
}

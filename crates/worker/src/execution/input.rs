//! What waits to be written to a process's standard input.
//!
//! **What** A queue that takes at once and writes when the process reads.
//!
//! **Invariants** Pushing never waits. A process that does not read holds up nobody: its output
//! is not read either while more than [`WAITING_BYTES_MAX`] waits, so it can make nothing more
//! wait. Closing comes after what was pushed before it.
//!
//! **Failure** A pipe that was closed at the other end: what waits is dropped; the process's exit
//! tells the rest.

use std::collections::VecDeque;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

/// The largest turn (a message of 1 MiB, attachments of 10 MiB as JSON within JSON) fits.
pub(super) const WAITING_BYTES_MAX: usize = 32 << 20;

#[derive(Debug)]
pub(super) struct Input {
    pipe: Option<pipe::Sender>,
    waiting: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
    /// Of the first one.
    written: usize,
    closing: bool,
}

impl Input {
    pub(super) fn new(pipe: Option<pipe::Sender>) -> Input {
        Input { pipe, waiting: VecDeque::new(), waiting_bytes: 0, written: 0, closing: false }
    }

    pub(super) fn push(&mut self, bytes: Vec<u8>) {
        if self.pipe.is_some() && !self.closing && !bytes.is_empty() {
            self.waiting_bytes += bytes.len();
            self.waiting.push_back(bytes);
        }
    }

    pub(super) fn close(&mut self) {
        self.closing = true;
        self.close_if_written();
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting_bytes < WAITING_BYTES_MAX
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes some of what waits. May be dropped and called again.
    pub(super) async fn write(&mut self) {
        let (Some(pipe), Some(first)) = (&mut self.pipe, self.waiting.front()) else {
            return std::future::pending().await;
        };
        match pipe.write(&first[self.written..]).await {
            Ok(count) => {
                self.written += count;
                self.waiting_bytes -= count;
                if self.written == first.len() {
                    self.waiting.pop_front();
                    self.written = 0;
                }
                self.close_if_written();
            }
            Err(_) => {
                self.pipe = None;
                self.waiting.clear();
                self.waiting_bytes = 0;
                self.written = 0;
            }
        }
    }

    fn close_if_written(&mut self) {
        if self.closing && self.waiting.is_empty() {
            self.pipe = None;
        }
    }
}

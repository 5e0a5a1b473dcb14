//! How the write-ahead log comes into the file.
//!
//! **What** A thread with a connection of its own copies what was committed, beside the writer.
//! A log that is copied whole begins anew at the next commit. Without a pause the writer is always
//! ahead of the thread: at [`LOG_PAGES_MAX`] it copies the rest itself, and syncs the file.
//!
//! **Failure** A copy that fails, on a full disk for instance, is made up for by the next: until
//! then the log grows. Nothing depends on it but the log's length and how long it takes to read
//! after a crash.

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::unavailable;
use crate::Error;

/// So many pages are copied at once, 16 MiB: one that is written again and again is copied once.
const STEP_PAGES: i32 = 2 << 10;
/// 64 MiB, which a crash leaves to be read back in a moment.
const LOG_PAGES_MAX: i32 = 8 << 10;

const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Runs until the writer, which holds the other end of the channel, is closed.
pub struct Checkpoints(Option<JoinHandle<()>>);

impl Checkpoints {
    /// Begins to copy what the writer commits.
    pub fn start(path: &Path, writer: &mut Connection) -> Result<Checkpoints, Error> {
        let connection = Connection::open(path).map_err(unavailable)?;
        let (wake, woken) = sync_channel::<()>(1);
        let copy = move || {
            for () in woken {
                let _ = connection.query_row(COPY, [], |_| Ok(()));
            }
        };
        let thread = thread::Builder::new().name("checkpoints".to_owned()).spawn(copy);
        let thread = thread.map_err(|error| Error::Unavailable(error.into()))?;
        wake_with(writer, wake).map_err(unavailable)?;
        Ok(Checkpoints(Some(thread)))
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

/// In place of SQLite's own checkpoints. An error here would be one of a commit that has succeeded.
fn wake_with(writer: &mut Connection, wake: SyncSender<()>) -> rusqlite::Result<()> {
    let mut next = STEP_PAGES;
    writer.wal_hook(Some(move |log: &mut Wal, pages: i32| {
        if pages < next - STEP_PAGES {
            // The log has begun anew.
            next = STEP_PAGES;
        }
        if pages >= LOG_PAGES_MAX {
            let _ = log.checkpoint();
        } else if pages >= next {
            next = pages + STEP_PAGES;
            // A thread that is busy is woken for what came meanwhile, too.
            let _ = wake.try_send(());
        }
        Ok(())
    }))
}

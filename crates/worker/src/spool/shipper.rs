//! Carrying a spool's chunks: to the connection while there is one, to the file when memory is
//! short. A task of its own, so that a slow disk holds up neither the execution nor the worker.

use std::io;
use std::sync::{Arc, PoisonError};

use hostler_wire::v1::{LogChunk, LogRecord};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Place, Spool, Step};
use crate::clock::wall_ms;

/// Where chunks go: the current connection. A new one is a new value.
#[derive(Debug, Clone)]
pub struct Uplink {
    pub chunks: mpsc::Sender<LogChunk>,
}

/// Ends when the server has everything of a closed spool, when the spool is fenced, or when the
/// worker is gone.
pub async fn ship(spool: Arc<Spool>, mut uplinks: watch::Receiver<Option<Uplink>>) {
    let mut uplink = uplinks.borrow_and_update().clone();
    loop {
        match spool.step(uplink.is_some(), Instant::now()) {
            Step::Done => return,
            Step::Spill => on_disk(&spool, spill).await,
            Step::Empty => on_disk(&spool, empty).await,
            Step::Wait(until) => {
                let changed = tokio::select! {
                    () = spool.work.notified() => continue,
                    () = sleep(until) => continue,
                    changed = uplinks.changed() => changed,
                };
                if changed.is_err() {
                    return;
                }
                uplink = uplinks.borrow_and_update().clone();
                spool.rewind();
            }
            Step::Send(number) => {
                let Some(chunk) = load(&spool, number).await else { continue };
                let Some(to) = uplink.clone() else { continue };
                let changed = tokio::select! {
                    sent = to.chunks.send(chunk) => match sent {
                        Ok(()) => {
                            spool.sent(number);
                            continue;
                        }
                        Err(_) => uplinks.changed().await,
                    },
                    changed = uplinks.changed() => changed,
                };
                if changed.is_err() {
                    return;
                }
                uplink = uplinks.borrow_and_update().clone();
                spool.rewind();
            }
        }
    }
}

async fn sleep(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

async fn on_disk<T: Send + 'static>(spool: &Arc<Spool>, work: fn(&Spool) -> T) -> T {
    let spool = spool.clone();
    let done = tokio::task::spawn_blocking(move || work(&spool)).await;
    done.expect("work on the spool's file does not panic")
}

async fn load(spool: &Arc<Spool>, number: u64) -> Option<LogChunk> {
    match spool.place(number)? {
        Place::Memory { records, .. } => Some(spool.chunk(number, records)),
        Place::File { offset, length } => {
            let (reader, owner) = (spool.clone(), spool.clone());
            let read = tokio::task::spawn_blocking(move || {
                let mut file = reader.file.lock().unwrap_or_else(PoisonError::into_inner);
                file.read(offset, length)
            });
            let read = read.await.map_err(io::Error::other).and_then(|read| read);
            Some(read.unwrap_or_else(|error| lost(&owner, number, &error)))
        }
    }
}

/// The gap is said in its place, so that the numbers go on and a reader knows.
fn lost(spool: &Spool, number: u64, error: &io::Error) -> LogChunk {
    tracing::error!(attempt_id = spool.attempt_id, number, %error, "a spooled chunk is lost");
    let record = LogRecord {
        ts_ms: wall_ms(),
        stream: "stderr".to_owned(),
        data: format!("[hostler] part of the log was lost on the worker's disk: {error}"),
        chunk_type: "gap".to_owned(),
        metadata_json: String::new(),
    };
    spool.chunk(number, vec![record])
}

/// Puts all chunks in memory into the file.
fn spill(spool: &Spool) {
    let in_memory: Vec<(u64, Vec<LogRecord>)> = {
        let state = spool.state();
        let chunks = state.sealed.iter().filter_map(|chunk| match &chunk.place {
            Place::Memory { records, .. } => Some((chunk.number, records.clone())),
            Place::File { .. } => None,
        });
        chunks.collect()
    };
    let mut file = spool.file.lock().unwrap_or_else(PoisonError::into_inner);
    for (number, records) in in_memory {
        let written = file.append(&spool.chunk(number, records));
        let mut state = spool.state();
        state.file_bytes = file.length();
        match written {
            Ok((offset, length)) => {
                // It may have been acknowledged meanwhile.
                let found = state.sealed.iter_mut().find(|chunk| chunk.number == number);
                let Some(chunk) = found else { continue };
                let before = std::mem::replace(&mut chunk.place, Place::File { offset, length });
                if let Place::Memory { bytes, .. } = before {
                    state.memory_bytes -= bytes;
                }
                state.file_chunks += 1;
            }
            Err(error) => {
                state.file_failed = true;
                let attempt_id = &spool.attempt_id;
                tracing::warn!(attempt_id, %error, "the log cannot be spooled to disk");
                break;
            }
        }
    }
    drop(file);
    spool.progress.notify_one();
}

fn empty(spool: &Spool) {
    let mut file = spool.file.lock().unwrap_or_else(PoisonError::into_inner);
    let emptied = file.empty();
    let mut state = spool.state();
    state.file_bytes = 0;
    // Room on the disk may have come back.
    state.file_failed = emptied.is_err();
}

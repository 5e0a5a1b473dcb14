//! Who waits for a task's stream to grow.
//!
//! **Invariants** A reader is only told that there is more; it reads from the store at its own
//! pace. So a slow or dead reader holds up nobody, and costs one number (STR-2, STR-4). What the
//! readers at the end of a stream see next is read once: the first one reads it, the others wait
//! for it and take it over.
//!
//! **Cost** For each stream that is followed the page that was read last; nothing when its last
//! reader has gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use hostler_core::id::TaskId;
use tokio::sync::watch;

#[derive(Debug, Default)]
pub struct Tails {
    followed: Mutex<HashMap<TaskId, Arc<Tail>>>,
}

/// The end of a stream that somebody follows.
#[derive(Debug)]
struct Tail {
    last_seq: watch::Sender<u64>,
    /// What was read last.
    page: tokio::sync::Mutex<Option<Arc<Shown>>>,
}

/// Records of a stream as the text of server-sent events.
#[derive(Debug)]
pub struct Shown {
    /// All that stands above this cursor ...
    pub after: u64,
    /// ... and up to this one.
    pub end: u64,
    pub text: Bytes,
    /// For each event the cursor after it, and where its text ends.
    pub ends: Vec<(u64, usize)>,
    /// There was nothing after these.
    pub is_last: bool,
}

impl Shown {
    /// What a reader at this cursor has not seen; nothing is copied.
    pub fn above(&self, cursor: u64) -> Bytes {
        let seen = self.ends.partition_point(|(end, _)| *end <= cursor);
        let start = seen.checked_sub(1).map_or(0, |last| self.ends[last].1);
        self.text.slice(start..)
    }
}

impl Tails {
    pub fn follow(self: &Arc<Self>, task: TaskId) -> Follower {
        let mut followed = self.lock();
        let tail = followed.entry(task).or_insert_with(|| {
            Arc::new(Tail { last_seq: watch::channel(0).0, page: tokio::sync::Mutex::default() })
        });
        let (tail, last_seq) = (tail.clone(), tail.last_seq.subscribe());
        Follower { tails: self.clone(), task, tail, last_seq }
    }

    /// The task's stream has grown.
    pub fn grown(&self, task: TaskId, last_seq: u64) {
        if let Some(tail) = self.lock().get(&task) {
            tail.last_seq.send_replace(last_seq);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Arc<Tail>>> {
        self.followed.lock().expect("no holder of the lock panics")
    }
}

/// One who follows a stream, for as long as it lives.
#[derive(Debug)]
pub struct Follower {
    tails: Arc<Tails>,
    task: TaskId,
    tail: Arc<Tail>,
    last_seq: watch::Receiver<u64>,
}

impl Follower {
    /// When the stream has grown since this was last asked, or since it is followed.
    pub async fn grown(&mut self) {
        // The sender is in the tail that is held here.
        let _ = self.last_seq.changed().await;
    }

    /// When the stream is known to have grown beyond this.
    pub async fn grown_beyond(&mut self, seq: u64) {
        let _ = self.last_seq.wait_for(|last_seq| *last_seq > seq).await;
    }

    /// What stands above the cursor: what another reader has just read, or what `fetch` reads;
    /// and whether no other reader is further on.
    pub async fn share<E>(
        &self,
        after: u64,
        fetch: impl Future<Output = Result<Shown, E>>,
    ) -> Result<(Arc<Shown>, bool), E> {
        let mut last = self.tail.page.lock().await;
        if let Some(page) = last.as_ref().filter(|page| page.after <= after && after < page.end) {
            return Ok((page.clone(), true));
        }
        let page = Arc::new(fetch.await?);
        let is_first = last.as_ref().is_none_or(|last| page.end >= last.end);
        if is_first {
            *last = Some(page.clone());
        }
        Ok((page, is_first))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut followed = self.tails.lock();
        // The map's and this one's: nobody else follows, and nobody can begin to.
        if Arc::strong_count(&self.tail) == 2 {
            followed.remove(&self.task);
        }
    }
}

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
    followed: Mutex<HashMap<TaskId, Followed>>,
}

#[derive(Debug)]
struct Followed {
    tail: Arc<Tail>,
    followers: usize,
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
        let entry = followed.entry(task).or_insert_with(|| {
            let tail = Tail { last_seq: watch::channel(0).0, page: tokio::sync::Mutex::default() };
            Followed { tail: Arc::new(tail), followers: 0 }
        });
        entry.followers += 1;
        let (tail, last_seq) = (entry.tail.clone(), entry.tail.last_seq.subscribe());
        Follower { tails: self.clone(), task, tail, last_seq }
    }

    /// The task's stream has grown.
    pub fn grown(&self, task: TaskId, last_seq: u64) {
        if let Some(entry) = self.lock().get(&task) {
            entry.tail.last_seq.send_replace(last_seq);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Followed>> {
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
        if let Some(entry) = followed.get_mut(&self.task) {
            entry.followers -= 1;
            if entry.followers == 0 {
                followed.remove(&self.task);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(after: u64, texts: &[&str]) -> Shown {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for (index, one) in texts.iter().enumerate() {
            text += one;
            ends.push((after + 1 + index as u64, text.len()));
        }
        let end = after + texts.len() as u64;
        Shown { after, end, text: text.into(), ends, is_last: true }
    }

    async fn share(reader: &Follower, after: u64, fetched: Shown) -> (u64, u64, bool) {
        let fetch = std::future::ready(Ok::<_, ()>(fetched));
        let (page, is_first) = reader.share(after, fetch).await.expect("it is read");
        (page.after, page.end, is_first)
    }

    #[test]
    fn a_reader_is_given_what_it_has_not_seen() {
        let page = shown(4, &["five", "six", "seven"]);
        assert_eq!(page.above(4), "fivesixseven");
        assert_eq!(page.above(5), "sixseven");
        assert_eq!(page.above(6), "seven");
        assert_eq!(page.above(9), "");
    }

    #[tokio::test]
    async fn what_one_reader_has_read_the_others_take_over() {
        let tails = Arc::new(Tails::default());
        let task = TaskId(uuid::Uuid::nil());
        let (one, other) = (tails.follow(task), tails.follow(task));
        assert_eq!(share(&one, 2, shown(2, &["3", "4"])).await, (2, 4, true));
        // From there, and from within; not from before or behind it.
        assert_eq!(share(&other, 2, shown(2, &["x"])).await, (2, 4, true));
        assert_eq!(share(&other, 3, shown(3, &["x"])).await, (2, 4, true));
        assert_eq!(share(&other, 1, shown(1, &["2"])).await, (1, 2, false));
        assert_eq!(share(&one, 4, shown(4, &["5"])).await, (4, 5, true));
        assert_eq!(share(&other, 4, shown(4, &["x", "y"])).await, (4, 5, true));
    }

    #[tokio::test]
    async fn a_reader_is_told_of_growth_and_nothing_is_kept_when_all_have_gone() {
        let tails = Arc::new(Tails::default());
        let task = TaskId(uuid::Uuid::nil());
        tails.grown(task, 1);
        let (mut one, mut other) = (tails.follow(task), tails.follow(task));
        tails.grown(task, 7);
        one.grown().await;
        one.grown_beyond(6).await;
        drop(one);
        other.grown_beyond(6).await;
        assert_eq!(tails.lock().len(), 1);
        drop(other);
        assert_eq!(tails.lock().len(), 0);
    }
}

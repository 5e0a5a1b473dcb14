//! Who waits for a task's stream to grow.
//!
//! **Invariants** A reader is only told that there is more; it reads from the store at its own
//! pace. So a slow or dead reader holds up nobody, and costs one number (STR-2, STR-4).

use std::collections::HashMap;
use std::sync::Mutex;

use hostler_core::id::TaskId;
use tokio::sync::watch;

/// From this many on, entries whose readers have gone are swept before another is added: a task
/// that has come to rest grows no more, so nothing else would remove them.
const FORGOTTEN_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub struct Tails {
    readers: Mutex<HashMap<TaskId, watch::Sender<u64>>>,
}

impl Tails {
    /// Tells of the task's last `seq` as it grows.
    pub fn follow(&self, task: TaskId) -> watch::Receiver<u64> {
        let mut readers = self.readers.lock().expect("no holder of the lock panics");
        if readers.len() >= FORGOTTEN_MAX {
            readers.retain(|_, sender| sender.receiver_count() > 0);
        }
        readers.entry(task).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// The task's stream has grown.
    pub fn grown(&self, task: TaskId, last_seq: u64) {
        let mut readers = self.readers.lock().expect("no holder of the lock panics");
        if let Some(sender) = readers.get(&task)
            && sender.send(last_seq).is_err()
        {
            readers.remove(&task);
        }
    }
}

//! The spool with a connection that is in the test's hand.

use std::sync::Arc;
use std::time::Duration;

use hostler_wire::v1::{LogChunk, LogRecord};
use hostler_worker::spool::shipper::{Uplink, ship};
use hostler_worker::spool::{FILE_BYTES_MAX, MEMORY_BYTES_MAX, Spool};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    spool: Arc<Spool>,
    uplinks: watch::Sender<Option<Uplink>>,
    shipper: JoinHandle<()>,
    folder: TempDir,
}

impl Bench {
    fn start() -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Arc::new(Spool::new("a", 3, folder.path().join("a.log")));
        let (uplinks, uplink) = watch::channel(None);
        let shipper = tokio::spawn(ship(spool.clone(), uplink));
        Bench { spool, uplinks, shipper, folder }
    }

    fn connect(&self) -> mpsc::Receiver<LogChunk> {
        let (chunks, receiver) = mpsc::channel(4);
        self.uplinks.send_replace(Some(Uplink { chunks }));
        receiver
    }

    async fn end(self) {
        timeout(PATIENCE, self.shipper).await.expect("in time").expect("no panic");
        drop(self.spool);
        let left = std::fs::read_dir(self.folder.path()).expect("a folder").count();
        assert_eq!(left, 0, "the file is removed");
    }
}

fn record(data: &str) -> LogRecord {
    LogRecord { stream: "stdout".to_owned(), data: data.to_owned(), ..LogRecord::default() }
}

async fn room(spool: &Spool) {
    while !spool.has_room() {
        spool.moved().await;
    }
}

async fn next(chunks: &mut mpsc::Receiver<LogChunk>) -> LogChunk {
    timeout(PATIENCE, chunks.recv()).await.expect("in time").expect("a chunk")
}

fn texts(chunk: &LogChunk) -> Vec<&str> {
    chunk.records.iter().map(|record| record.data.as_str()).collect()
}

#[tokio::test]
async fn records_are_gathered_and_soon_on_their_way() {
    let bench = Bench::start();
    let mut chunks = bench.connect();
    bench.spool.push(record("one"));
    bench.spool.push(record("two"));
    let chunk = next(&mut chunks).await;
    assert_eq!((chunk.number, chunk.term, chunk.attempt_id.as_str()), (0, 3, "a"));
    assert_eq!(texts(&chunk), ["one", "two"]);
    bench.spool.push(record("three"));
    bench.spool.close();
    assert_eq!(next(&mut chunks).await.number, 1);
    bench.spool.acknowledge(1);
    bench.spool.acknowledge(2);
    assert_eq!(timeout(PATIENCE, bench.spool.drained()).await.expect("in time"), Some(2));
    bench.end().await;
}

#[tokio::test]
async fn a_new_connection_gets_what_is_not_acknowledged_again() {
    let bench = Bench::start();
    let mut chunks = bench.connect();
    for text in ["one", "two", "three"] {
        bench.spool.push(record(text));
        assert_eq!(texts(&next(&mut chunks).await), [text]);
    }
    bench.spool.acknowledge(1);
    bench.uplinks.send_replace(None);
    drop(chunks);
    let mut chunks = bench.connect();
    for (number, text) in [(1, "two"), (2, "three")] {
        let chunk = next(&mut chunks).await;
        assert_eq!((chunk.number, texts(&chunk)), (number, vec![text]));
    }
    bench.spool.close();
    // Acknowledgements that come late, twice, or for what was never sent do no harm.
    for next_number in [3, 1, 3, 99] {
        bench.spool.acknowledge(next_number);
    }
    assert_eq!(timeout(PATIENCE, bench.spool.drained()).await.expect("in time"), Some(3));
    bench.end().await;
}

#[tokio::test]
async fn what_was_flushed_is_told_when_the_server_has_it() {
    let bench = Bench::start();
    let mut chunks = bench.connect();
    assert!(bench.spool.has_all(bench.spool.flush()), "nothing was said yet");
    bench.spool.push(record("one"));
    let mark = bench.spool.flush();
    bench.spool.push(record("two"));
    assert!(!bench.spool.has_all(mark));
    let chunk = next(&mut chunks).await;
    assert_eq!(texts(&chunk), ["one"], "what comes later is no part of it");
    bench.spool.acknowledge(chunk.number + 1);
    assert!(bench.spool.has_all(mark));
    bench.spool.fence();
    bench.end().await;
}

#[tokio::test]
async fn what_memory_cannot_hold_goes_to_disk_and_comes_back_in_order() {
    const LINES: usize = 300;
    let bench = Bench::start();
    let line = |number: usize| format!("{number:06} {}", "x".repeat(50_000));
    for number in 0..LINES {
        timeout(PATIENCE, room(&bench.spool)).await.expect("the disk makes room");
        bench.spool.push(record(&line(number)));
        assert!(bench.spool.memory_bytes() <= 2 * MEMORY_BYTES_MAX);
    }
    assert!(bench.spool.file_bytes() > 10 << 20);
    bench.spool.close();
    let mut chunks = bench.connect();
    let mut seen = 0;
    while seen < LINES {
        let chunk = next(&mut chunks).await;
        for text in texts(&chunk) {
            assert_eq!(text, line(seen));
            seen += 1;
        }
        bench.spool.acknowledge(chunk.number + 1);
    }
    assert!(bench.spool.drained().await.is_some());
    bench.end().await;
}

#[tokio::test]
async fn the_bound_on_disk_holds_and_acknowledging_makes_room() {
    let bench = Bench::start();
    let text = "x".repeat(200_000);
    let fill = async || {
        let patience = Duration::from_millis(500);
        while timeout(patience, room(&bench.spool)).await.is_ok() {
            bench.spool.push(record(&text));
        }
    };
    timeout(PATIENCE, fill()).await.expect("it is full some time");
    let full = bench.spool.file_bytes();
    let bound = FILE_BYTES_MAX..FILE_BYTES_MAX + (4 << 20);
    assert!(bound.contains(&full), "{full}");
    let mut chunks = bench.connect();
    while !bench.spool.has_room() {
        let number = next(&mut chunks).await.number;
        bench.spool.acknowledge(number + 1);
    }
    bench.spool.fence();
    assert_eq!(bench.spool.drained().await, None);
    assert!(bench.spool.has_room());
    bench.end().await;
}

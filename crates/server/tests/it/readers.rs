//! Many readers of one stream, and slow ones (STR-2, STR-4).

use std::time::Duration;

use futures_util::StreamExt;
use hostler_wire::client::{Client, Event};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{PATIENCE, Running, TOKEN, TestServer};

/// Every record above the cursor up to the end of the run.
async fn read(client: Client, id: String, cursor: u64) -> Vec<u64> {
    let mut live = client.events(&id, cursor).await.unwrap();
    let mut seqs = Vec::new();
    loop {
        let next = tokio::time::timeout(PATIENCE, live.next()).await.expect("in time");
        match next.expect("the stream goes on").expect("an event") {
            Event::Snapshot(_) => {}
            Event::Record(record) => {
                seqs.push(record.seq);
                if record.event_name() == "record" && is_end(&record) {
                    return seqs;
                }
            }
        }
    }
}

fn is_end(record: &hostler_wire::json::Record) -> bool {
    use hostler_wire::json::RecordBody;
    matches!(&record.body, RecordBody::Event { event_type, .. } if event_type == "finished")
}

#[tokio::test]
async fn readers_that_come_at_any_time_see_every_record_once_and_in_order() {
    let server = TestServer::start().await;
    let mut running = Running::begin(&server).await;
    let client = Client::new(&server.url, Some(TOKEN), "default").unwrap();
    let mut readers = Vec::new();
    let large = "x".repeat(20_000);
    for number in 0..15 {
        for cursor in [0, number / 2] {
            let reading = read(client.clone(), running.id.clone(), cursor);
            readers.push((cursor, tokio::spawn(reading)));
        }
        // Some pages are cut by their size, and some hold a single line.
        let lines = if number % 3 == 0 { vec![large.as_str(); 5] } else { vec!["one"; 2] };
        running.log(number, &lines).await;
    }
    running.end().await;
    for (cursor, reader) in readers {
        let seqs = reader.await.expect("the reader ends well");
        let last = *seqs.last().expect("it read something");
        assert_eq!(seqs, (cursor + 1..=last).collect::<Vec<_>>());
    }
}

/// What the process holds in memory.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("the system tells");
    let pages: u64 = text.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    pages * 4_096
}

/// 20 readers that read nothing, of a stream of 10 MB: held whole for each it would be 200 MB.
#[tokio::test]
async fn slow_readers_hold_little_memory_and_hold_up_nobody() {
    const READERS: u64 = 20;
    let server = TestServer::start().await;
    let mut running = Running::begin(&server).await;
    let address = server.url.strip_prefix("http://").expect("an address").to_owned();
    let path = server.path(&format!("/tasks/{}/events", running.id));
    let path = path.strip_prefix(&server.url).expect("a path").to_owned();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = TcpStream::connect(&address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\n\
             accept: text/event-stream\r\n\r\n"
        );
        reader.write_all(request.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        reader.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        readers.push(reader);
    }
    let before = resident_bytes();
    let line = "x".repeat(50_000);
    for number in 0..20 {
        running.log(number, &[line.as_str(); 10]).await;
    }
    // Whoever reads is not held up by those who do not.
    let client = Client::new(&server.url, Some(TOKEN), "default").unwrap();
    let reading = tokio::spawn(read(client, running.id.clone(), 0));
    running.end().await;
    assert!(reading.await.expect("the reader ends well").len() > 200);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let grown = resident_bytes().saturating_sub(before);
    println!("{READERS} slow readers: {} KiB more", grown >> 10);
    assert!(grown < 80 << 20, "{grown} bytes");
    drop(readers);
}

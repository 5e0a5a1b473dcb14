//! What readers of a stream cost: appends and accepts a second with none and with many.
//!
//! `readers [COUNT] [SECONDS] [PACE_MS]`
#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "made for the tests")]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use support::{TOKEN, TestServer, TestWorker, input_of, started, turn_started};

fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let rest: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = rest[11].parse::<f64>().unwrap() + rest[12].parse::<f64>().unwrap();
    ticks / 100.0
}

async fn read_all(url: String, count: usize) {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let bytes = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..count {
        let (client, url, bytes) = (client.clone(), url.clone(), bytes.clone());
        tasks.push(tokio::spawn(async move {
            let request = client.get(url).bearer_auth(TOKEN).header("accept", "text/event-stream");
            let mut body = request.send().await.unwrap().bytes_stream();
            while let Some(Ok(piece)) = body.next().await {
                let records = piece.windows(13).filter(|w| w == b"event: record").count();
                bytes.fetch_add(records as u64, Ordering::Relaxed);
            }
        }));
    }
    for task in tasks {
        let _ = task.await;
    }
    println!("  records read by all readers: {}", bytes.load(Ordering::Relaxed));
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == "read") {
        return read_all(args[2].clone(), args[3].parse().unwrap()).await;
    }
    let number = |at: usize, or: u64| args.get(at).map_or(or, |text| text.parse().unwrap());
    let (readers, seconds, pace) = (number(1, 0), number(2, 5), number(3, 0));
    let server = TestServer::start().await;
    server.agent("coder").await;
    server.agent("other").await;
    let (_, answer) = server.post("/tasks", json!({ "agent_id": "coder", "message": "m" })).await;
    let id = answer["task"]["id"].as_str().unwrap().to_owned();
    let mut worker = TestWorker::connect(&server, "w1", 1).await;
    let assignment = worker.assignment().await;
    worker.report(&assignment, vec![started(), turn_started(&input_of(&assignment))]).await;
    let url = server.path(&format!("/tasks/{id}/events"));
    let child = (readers > 0).then(|| {
        let exe = std::env::current_exe().unwrap();
        std::process::Command::new(exe).args(["read", &url, &readers.to_string()]).spawn().unwrap()
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let accepts = Arc::new(AtomicU64::new(0));
    let mut clients = Vec::new();
    let http = reqwest::Client::new();
    for _ in 0..8 {
        let (stop, accepts, http) = (stop.clone(), accepts.clone(), http.clone());
        let url = server.path("/tasks");
        clients.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let body = json!({ "agent_id": "other", "message": "hello" });
                let sent = http.post(&url).bearer_auth(TOKEN).json(&body).send().await.unwrap();
                assert_eq!(sent.status(), 202);
                sent.bytes().await.unwrap();
                accepts.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let line = "x".repeat(100);
    let lines = vec![line.as_str(); 10];
    let (begin, before) = (Instant::now(), cpu());
    let mut chunks = 0;
    while begin.elapsed() < Duration::from_secs(seconds) {
        worker.log(&assignment, chunks, &lines).await;
        chunks += 1;
        if pace > 0 {
            tokio::time::sleep(Duration::from_millis(pace)).await;
        }
    }
    let (spent, elapsed) = (cpu() - before, begin.elapsed().as_secs_f64());
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let accepted = accepts.load(Ordering::Relaxed) as f64;
    println!(
        "readers {readers}: {:.0} chunks of 10 lines/s, {:.0} accepts/s, {:.2} CPU s/s",
        chunks as f64 / elapsed,
        accepted / elapsed,
        spent / elapsed
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop((server, child));
}

//! Clients that accept commands one by one, each after the answer to the one before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Fault;
use crate::client::{AGENT, Client, Target};
use crate::sample::{quantile_us, wall_ns};

/// Tasks of one lane and one runtime are one execution class.
#[derive(Clone, Debug)]
pub struct Class {
    pub lane: String,
    pub runtime: String,
}

impl Class {
    /// The class of every load that does not care.
    pub fn plain() -> Class {
        Class { lane: "main".to_owned(), runtime: "gvisor".to_owned() }
    }

    /// A command with about the 180 bytes of the probe's; its message begins with its key.
    pub fn command(&self, key: &str) -> String {
        let Class { lane, runtime } = self;
        let padding = "x".repeat(180);
        format!(
            "{{\"agent_id\":\"{AGENT}\",\"message\":\"{key} {padding}\",\
             \"idempotency_key\":\"{key}\",\"lane\":\"{lane}\",\
             \"policy\":{{\"runtime_type\":\"{runtime}\",\
             \"retry\":{{\"max_attempts\":1,\"delay_ms\":0}}}}}}"
        )
    }
}

/// Unique among all loads on a machine.
pub fn key(base: u64, number: u64) -> String {
    format!("k{base:x}-{number}")
}

/// When a load is over.
#[derive(Clone, Copy)]
enum End {
    After(Duration),
    Count(u64),
}

/// Durable accepts for some seconds.
pub async fn accept(target: Target, seconds: f64, clients: usize) -> Result<(), Fault> {
    let end = End::After(Duration::from_secs_f64(seconds));
    let (mut samples, elapsed) = drive(&target, end, clients, Class::plain()).await?;
    report(&mut samples, elapsed);
    Ok(())
}

/// A fixed number of durable accepts.
pub async fn fill(target: Target, tasks: u64, clients: usize, class: Class) -> Result<(), Fault> {
    let (mut samples, elapsed) = drive(&target, End::Count(tasks), clients, class).await?;
    report(&mut samples, elapsed);
    Ok(())
}

/// The part of `live` that accepts.
pub async fn pool(target: &Target, tasks: u64, clients: usize) -> Result<(), Fault> {
    drive(target, End::Count(tasks), clients, Class::plain()).await.map(|_| ())
}

fn report(samples: &mut [u64], elapsed: Duration) {
    let per_s = samples.len() as f64 / elapsed.as_secs_f64();
    let (p50, p99) = (quantile_us(samples, 0.5), quantile_us(samples, 0.99));
    println!("RESULT per_s={per_s:.0} p50_us={p50} p99_us={p99}");
}

/// The time of each accept, and of all.
async fn drive(
    target: &Target,
    end: End,
    clients: usize,
    class: Class,
) -> Result<(Vec<u64>, Duration), Fault> {
    Client::connect(target).await?.make_agent().await?;
    let (base, next) = (wall_ns(), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let mut set = JoinSet::new();
    for _ in 0..clients {
        let (target, next, class) = (target.clone(), next.clone(), class.clone());
        set.spawn(async move {
            let mut client = Client::connect(&target).await?;
            let mut samples = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let over = match end {
                    End::After(time) => begun.elapsed() >= time,
                    End::Count(count) => number >= count,
                };
                if over {
                    return Ok::<_, Fault>(samples);
                }
                let command = class.command(&key(base, number));
                let asked = Instant::now();
                client.accept(&command).await?;
                samples.push(u64::try_from(asked.elapsed().as_nanos()).unwrap_or(u64::MAX));
            }
        });
    }
    let mut samples = Vec::new();
    while let Some(done) = set.join_next().await {
        samples.extend(done??);
    }
    Ok((samples, begun.elapsed()))
}

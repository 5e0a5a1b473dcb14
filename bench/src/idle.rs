//! One task at a time on a server that has nothing else to do.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::Fault;
use crate::accept::{Class, key};
use crate::client::{Client, Target};
use crate::live::Worker;
use crate::sample::{quantile_us, wall_ns};

const PATIENCE: Duration = Duration::from_secs(20);

/// From the accept call to the worker's having the assignment, and to the accept's answer.
pub async fn idle(target: Target, samples: u64) -> Result<(), Fault> {
    let mut client = Client::connect(&target).await?;
    client.make_agent().await?;
    let mut worker = Worker::start(&target, &["watch", "64"]).await?;
    sleep(Duration::from_millis(300)).await;
    let (mut starts, mut answers) = (Vec::new(), Vec::new());
    let base = wall_ns();
    for number in 0..samples {
        let key = key(base, number);
        let command = Class::plain().command(&key);
        let asked = wall_ns();
        client.accept(&command).await?;
        answers.push(wall_ns().saturating_sub(asked));
        let line = timeout(PATIENCE, worker.lines.next_line()).await??;
        let line = line.ok_or("the worker ended")?;
        let mut words = line.split(' ').skip(1);
        if words.next() != Some(&key) {
            return Err(format!("the worker got another task: {line}").into());
        }
        let at: u64 = words.next().ok_or("a line without its time")?.parse()?;
        starts.push(at.saturating_sub(asked));
        sleep(Duration::from_millis(10 + number % 17)).await;
    }
    println!(
        "RESULT p50_us={} p99_us={} ack_p50_us={} ack_p99_us={}",
        quantile_us(&mut starts, 0.5),
        quantile_us(&mut starts, 0.99),
        quantile_us(&mut answers, 0.5),
        quantile_us(&mut answers, 0.99),
    );
    worker.child.kill().await?;
    Ok(())
}

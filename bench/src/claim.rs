//! How long it takes from a worker's offer until as many tasks are assigned to it.

use std::time::{Duration, Instant};

use hostler_wire::v1;
use hostler_wire::v1::server_frame::Body as ServerBody;
use hostler_wire::v1::worker_frame::Body as WorkerBody;
use tokio::time::sleep;

use crate::Fault;
use crate::accept::{Class, key};
use crate::client::{Client, Target};
use crate::sample::{quantile_us, wall_ns};
use crate::worker::{Link, Work};

/// Rounds of one offer each. With `refill` as many tasks are accepted before each round, in the
/// given class: nothing is queued there when the round is over. Without it the tasks are taken
/// from what is queued. What was assigned is ended between two rounds.
pub async fn claim(
    target: Target,
    rounds: u64,
    tasks: u64,
    class: Class,
    refill: bool,
) -> Result<(), Fault> {
    let mut client = Client::connect(&target).await?;
    client.make_agent().await?;
    let mut link = Link::connect(&target).await?;
    let mut work = Work::default();
    let mut samples = Vec::new();
    let base = wall_ns();
    for round in 0..rounds {
        if refill {
            for number in 0..tasks {
                let key = key(base, round * tasks + number);
                client.accept(&class.command(&key)).await?;
            }
        }
        link.send(work.heartbeat()).await?;
        sleep(Duration::from_millis(20)).await;
        let offered = Instant::now();
        link.send(WorkerBody::Offer(v1::Offer { total: (round + 1) * tasks })).await?;
        let mut taken = 0;
        while taken < tasks {
            if let ServerBody::Assign(assign) = next(&mut link).await? {
                for assignment in assign.assignments {
                    taken += u64::from(work.take(assignment));
                }
            }
        }
        samples.push(u64::try_from(offered.elapsed().as_nanos()).unwrap_or(u64::MAX));
        while let Some(report) = work.report() {
            link.send(report).await?;
        }
        while work.done < (round + 1) * tasks {
            if let ServerBody::ReportAck(ack) = next(&mut link).await? {
                work.acknowledged(ack)?;
            }
        }
    }
    let (p50, p99) = (quantile_us(&mut samples, 0.5), quantile_us(&mut samples, 0.99));
    let per_s = tasks as f64 / (p50.max(1) as f64 / 1e6);
    println!("RESULT per_s={per_s:.0} p50_us={p50} p99_us={p99}");
    Ok(())
}

async fn next(link: &mut Link) -> Result<ServerBody, Fault> {
    let frame = link.incoming.message().await?.ok_or("the server ended the connection")?;
    Ok(frame.body.ok_or("a frame without a body")?)
}

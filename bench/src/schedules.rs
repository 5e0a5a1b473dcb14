//! Many schedules that are due in the same minute, and somebody who accepts meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Fault;
use crate::accept::{Class, key};
use crate::client::{AGENT, Client, Target};
use crate::sample::{quantile_us, wall_ns};

const MINUTE_NS: u64 = 60_000_000_000;
/// So many are made in a second at least.
const MADE_PER_S: u64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(300);

/// Makes the schedules, waits for their tick, and says how late each has fired.
pub async fn schedules(target: Target, count: u64, clients: usize) -> Result<(), Fault> {
    Client::connect(&target).await?.make_agent().await?;
    let lead = Duration::from_secs(5 + count / MADE_PER_S);
    let earliest = wall_ns() + u64::try_from(lead.as_nanos())?;
    let tick = earliest.next_multiple_of(MINUTE_NS);
    make(&target, tick, count, clients).await?;
    if wall_ns() >= tick {
        return Err("the tick came before all schedules were made".into());
    }
    let mut client = Client::connect(&target).await?;
    let accepts = tokio::spawn(accept_meanwhile(target.clone(), tick));
    sleep(Duration::from_nanos(tick.saturating_sub(wall_ns()))).await;
    wait_for_the_last(&mut client).await?;
    let mut late_ms = read_lateness(&mut client, tick, count).await?;
    late_ms.sort_unstable();
    let mut waits = accepts.await??;
    let at = |index: usize| late_ms.get(index.min(late_ms.len() - 1)).copied().unwrap_or(0);
    let last = at(late_ms.len());
    println!(
        "RESULT per_s={} late_of_1000_ms={} late_p50_ms={} late_max_ms={last} \
         accept_p50_us={} accept_p99_us={} accepts={}",
        count * 1_000 / last.max(1),
        at(999),
        at(late_ms.len() / 2),
        quantile_us(&mut waits, 0.5),
        quantile_us(&mut waits, 0.99),
        waits.len(),
    );
    Ok(())
}

async fn make(target: &Target, tick: u64, count: u64, clients: usize) -> Result<(), Fault> {
    let minute = tick / MINUTE_NS % 60;
    let hour = tick / MINUTE_NS / 60 % 24;
    let next = Arc::new(AtomicU64::new(0));
    let mut set = JoinSet::new();
    for _ in 0..clients {
        let (target, next) = (target.clone(), next.clone());
        set.spawn(async move {
            let mut client = Client::connect(&target).await?;
            let body = format!(
                "{{\"agent_id\":\"{AGENT}\",\"cron_expr\":\"{minute} {hour} * * *\",\
                 \"prompt\":\"Look at what has come in, and say what is new.\"}}"
            );
            while next.fetch_add(1, Ordering::Relaxed) < count {
                client.make("/schedules", &body).await?;
            }
            Ok::<_, Fault>(())
        });
    }
    while let Some(done) = set.join_next().await {
        done??;
    }
    Ok(())
}

/// The times of accepts in the seconds after the tick.
async fn accept_meanwhile(target: Target, tick: u64) -> Result<Vec<u64>, Fault> {
    let mut client = Client::connect(&target).await?;
    sleep(Duration::from_nanos(tick.saturating_sub(wall_ns()))).await;
    let mut waits = Vec::new();
    for number in 0.. {
        let asked = wall_ns();
        if asked > tick + 3_000_000_000 {
            break;
        }
        client.accept(&Class::plain().command(&key(tick, number))).await?;
        waits.push(wall_ns().saturating_sub(asked));
    }
    Ok(waits)
}

/// What is due at one time fires by id, and the list begins with the last id.
async fn wait_for_the_last(client: &mut Client) -> Result<(), Fault> {
    let end = wall_ns() + u64::try_from(PATIENCE.as_nanos())?;
    loop {
        let page: Value = serde_json::from_slice(client.get("/schedules?limit=1").await?)?;
        if page["schedules"][0]["fired_count"] == 1 {
            return Ok(());
        }
        if wall_ns() > end {
            return Err("not all schedules have fired".into());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn read_lateness(client: &mut Client, tick: u64, count: u64) -> Result<Vec<u64>, Fault> {
    let (mut late_ms, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/schedules?limit=200&cursor={cursor}");
        let page: Value = serde_json::from_slice(client.get(&path).await?)?;
        for schedule in page["schedules"].as_array().ok_or("a page without schedules")? {
            if schedule["fired_count"] != 1 {
                return Err(format!("it has not fired once: {schedule}").into());
            }
            late_ms.push(millis_after(schedule["last_run_at"].as_str(), tick)?);
        }
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None if late_ms.len() as u64 == count => return Ok(late_ms),
            None => return Err(format!("{} of {count} schedules", late_ms.len()).into()),
        }
    }
}

/// How long after the tick, by the minutes, seconds and milliseconds of an RFC 3339 time.
fn millis_after(at: Option<&str>, tick: u64) -> Result<u64, Fault> {
    let at = at.ok_or("a schedule without its last run")?;
    let number = |range: std::ops::Range<usize>| -> Result<u64, Fault> {
        Ok(at.get(range).ok_or("a time that is too short")?.parse()?)
    };
    let of_hour = (number(14..16)? * 60 + number(17..19)?) * 1_000 + number(20..23)?;
    let tick_of_hour = tick / 1_000_000 % 3_600_000;
    Ok((of_hour + 3_600_000 - tick_of_hour) % 3_600_000)
}

#[cfg(test)]
mod tests {
    use super::millis_after;

    #[test]
    fn lateness_is_counted_across_the_hour() {
        let tick = 3_540_000_000_000;
        let late = |at: &str| millis_after(Some(at), tick).ok();
        assert_eq!(late("1970-01-01T00:59:00.000Z"), Some(0));
        assert_eq!(late("1970-01-01T01:00:01.250Z"), Some(61_250));
        assert_eq!(late("1970"), None);
    }
}

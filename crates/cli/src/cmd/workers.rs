//! `hostler workers`.

use hostler_wire::status::Exit;

use crate::args::{Global, Workers};
use crate::connect::Site;
use crate::print::{self, Table, age, clean_line};

pub async fn workers(global: &Global, workers: Workers) -> anyhow::Result<Exit> {
    let Workers::List = workers;
    let site = Site::find(global).await?;
    let list = site.client.list_workers().await?;
    if global.json {
        print::json(&list)?;
        return Ok(Exit::Ok);
    }
    let header = ["worker", "status", "pool", "runtimes", "runners", "cpu", "memory", "seen"];
    let mut table = Table::new("workers", &header);
    for worker in &list.workers {
        table.row([
            clean_line(&worker.id),
            worker.status.as_str().to_owned(),
            clean_line(&worker.pool),
            clean_line(&worker.runtimes.join(",")),
            clean_line(&worker.runners.join(",")),
            format!("{}", f64::from(worker.cpu_millis) / 1_000.0),
            format!("{} GiB", worker.memory_bytes >> 30),
            format!("{} ago", age(worker.updated_at)),
        ]);
    }
    table.print(list.next_cursor.as_deref());
    Ok(Exit::Ok)
}

//! `hostler instances`.

use hostler_wire::json::Instance;
use hostler_wire::status::Exit;

use crate::args::{Global, Instances};
use crate::connect::Site;
use crate::print::{self, Card, Table, clean_line, cut, short};

pub async fn instances(global: &Global, instances: Instances) -> anyhow::Result<Exit> {
    let site = Site::find(global).await?;
    match instances {
        Instances::List => {
            let list = site.client.list_instances().await?;
            match global.json {
                true => print::json(&list)?,
                false => table(&list.instances, list.next_cursor.as_deref()),
            }
        }
        Instances::Get { key } => {
            let instance = site.client.get_instance(&key).await?;
            match global.json {
                true => print::json(&instance)?,
                false => show(&instance),
            }
        }
    }
    Ok(Exit::Ok)
}

fn table(instances: &[Instance], next_cursor: Option<&str>) {
    let header = ["instance", "health", "agent", "lane", "runtime", "running", "of", "queued"];
    let mut table = Table::new("instances", &header);
    for instance in instances {
        let live = instance.pending_attempts + instance.running_attempts;
        table.row([
            cut(&clean_line(&instance.instance_key), 20),
            instance.status.as_str().to_owned(),
            short(instance.agent_id),
            clean_line(instance.lane.as_deref().unwrap_or_default()),
            instance.runtime_type.as_str().to_owned(),
            (live + instance.stopping_attempts).to_string(),
            instance.concurrency.to_string(),
            instance.queued_tasks.to_string(),
        ]);
    }
    table.print(next_cursor);
}

fn show(instance: &Instance) {
    let mut card = Card::default();
    card.line("instance", &instance.instance_key)
        .line("health", instance.status.as_str())
        .line("agent", instance.agent_id)
        .maybe("lane", instance.lane.as_ref())
        .line("runtime", instance.runtime_type.as_str())
        .line("concurrency", instance.concurrency)
        .line("may start", instance.desired_dispatch_target)
        .line("pending", instance.pending_attempts)
        .line("running", instance.running_attempts)
        .line("stopping", instance.stopping_attempts)
        .line("queued", format!("{}, {} parked", instance.queued_tasks, instance.parked_tasks))
        .line("threshold", format!("{} failures", instance.failed_attempt_threshold));
    card.print();
}

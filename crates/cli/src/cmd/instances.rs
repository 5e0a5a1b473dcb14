//! `hostler instances`.

use hostler_wire::json::{Agent, Instance, Paged, UpdateInstance};
use hostler_wire::status::Exit;

use crate::args::{Global, Instances};
use crate::connect::Site;
use crate::print::{self, Card, Table, clean_line, short};

pub async fn instances(global: &Global, instances: Instances) -> anyhow::Result<Exit> {
    let site = Site::find(global).await?;
    match instances {
        Instances::List { page } => {
            let page = Paged { limit: page.limit, cursor: page.cursor };
            let list = site.client.list_instances(&page).await?;
            match global.json {
                true => print::json(&list)?,
                false => {
                    let agents = site.client.list_agents().await?.agents;
                    table(&list.instances, &agents, list.next_cursor.as_deref());
                }
            }
        }
        Instances::Get { key } => told(global, &site.client.get_instance(&key).await?)?,
        Instances::Set { key, concurrency, concurrency_of_agent, threshold, weight } => {
            let own = concurrency.map(Some);
            let change = UpdateInstance {
                concurrency: if concurrency_of_agent { Some(None) } else { own },
                failed_attempt_threshold: threshold,
                weight,
            };
            told(global, &site.client.update_instance(&key, &change).await?)?;
        }
        Instances::Reset { key } => told(global, &site.client.reset_instance(&key).await?)?,
    }
    Ok(Exit::Ok)
}

fn told(global: &Global, instance: &Instance) -> anyhow::Result<()> {
    match global.json {
        true => print::json(instance)?,
        false => show(instance),
    }
    Ok(())
}

fn table(instances: &[Instance], agents: &[Agent], next_cursor: Option<&str>) {
    let header = ["instance", "health", "agent", "lane", "runtime", "running", "of", "queued"];
    let mut table = Table::new("instances", &header);
    for instance in instances {
        let live = instance.pending_attempts + instance.running_attempts;
        let agent = agents.iter().find(|agent| agent.id == instance.agent_id);
        table.row([
            clean_line(&instance.instance_key),
            instance.status.as_str().to_owned(),
            // One that was deleted is not listed.
            agent.map_or_else(|| short(instance.agent_id), |agent| agent.agent_key.clone()),
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
        .line("warm", instance.idle_attempts)
        .line("weight", instance.weight)
        .line("failures", failures(instance))
        .maybe("tried again", instance.probe_at.as_ref())
        .maybe("held by", instance.held_by.as_ref())
        .maybe("held until", instance.held_until.as_ref());
    for change in &instance.history {
        let (from, to) = (change.from.as_str(), change.to.as_str());
        card.line("changed", format!("{} {from} to {to}: {}", change.at, change.reason));
    }
    card.print();
}

fn failures(instance: &Instance) -> String {
    let (failed, most) = (instance.failed_attempts, instance.failed_attempt_threshold);
    format!("{failed} in a row; {most} degrade it")
}

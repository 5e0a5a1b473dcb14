//! `hostler dev`: server and worker for this machine, in one process.
//!
//! **Invariants** It listens on loopback only: its users may name any folder of this machine, and
//! its token goes over plain HTTP.

use hostler_wire::status::Exit;
use hostler_worker::{agent, sandbox};
use serde_json::json;

use crate::args::{DevArgs, Global};
use crate::connect::given;
use crate::embedded::{Local, Setup};
use crate::fault::Fault;
use crate::home;
use crate::keyboard::Stops;
use crate::print::{self, clean_line, dim, green, yellow};

pub async fn dev(global: &Global, args: DevArgs) -> anyhow::Result<Exit> {
    if !args.listen.ip().is_loopback() {
        let text = format!(
            "`hostler dev` listens on loopback only, such as 127.0.0.1:7700, not on {}; for other \
             machines there are `hostler server` and `hostler worker`",
            args.listen
        );
        return Err(Fault::usage(text).into());
    }
    let data_dir = home::data_dir(global.data_dir.as_deref())?;
    let mut stops = Stops::listen()?;
    let mut local = Local::start(Setup {
        listen: args.listen,
        data_dir,
        token: given(&global.token),
        slots: args.slots,
        retention: args.retention.retention(),
        embedded: false,
    })
    .await?;
    tell(&local, global.json)?;
    let failed = tokio::select! {
        _ = stops.next() => None,
        error = local.ended() => Some(error),
    };
    if failed.is_none() {
        print::err(dim("stopping; a second signal ends at once"));
    }
    let note = local.note.clone();
    let data_dir = local.data_dir.clone();
    tokio::select! {
        () = local.stop() => {}
        _ = stops.next() => note.remove(&data_dir),
    }
    failed.map_or(Ok(Exit::Ok), Err)
}

/// What there is, and what to do with it. Programs read the first line.
fn tell(local: &Local, json: bool) -> anyhow::Result<()> {
    let (url, token, dir) = (&local.note.url, &local.token, local.data_dir.display());
    if json {
        print::json(&json!({ "url": url, "token": token, "data_dir": dir.to_string() }))?;
    } else {
        // For a shell: copied as it is, or `eval`ed. A token that was given is known already, and
        // not to be found in somebody's log.
        match local.note.token_file {
            Some(_) => print::out(format!("export HOSTLER_URL={url} HOSTLER_TOKEN={token}")),
            None => print::out(format!("export HOSTLER_URL={url}")),
        }
        print::err(format!("{} {url}  {}", green("hostler runs"), dim(&format!("data in {dir}"))));
    }
    std::thread::spawn(move || {
        // Probing takes a second, which nobody should have to wait for.
        let lines = found();
        if !json {
            lines.iter().for_each(print::err);
        }
    });
    Ok(())
}

fn found() -> Vec<String> {
    let mut lines = Vec::new();
    let probes: Vec<_> = sandbox::runtimes().iter().map(|runtime| runtime.probe()).collect();
    let (here, missing): (Vec<_>, Vec<_>) = probes.iter().partition(|probe| probe.available);
    let names = |probes: &[&sandbox::Probe]| {
        probes.iter().map(|probe| probe.runtime).collect::<Vec<_>>().join(", ")
    };
    match here.is_empty() {
        true => lines.push(yellow("no sandbox runtime works here: nothing can run")),
        false => lines.push(format!("  runtimes  {}", names(&here))),
    }
    let agents = agent::agents();
    let (can, cannot): (Vec<_>, Vec<_>) = agents.iter().partition(|agent| agent.probe().is_ok());
    let can: Vec<_> = can.iter().map(|agent| agent.runner()).collect();
    lines.push(format!("  runners   {}", can.join(", ")));
    let mut gone: Vec<&str> = missing.iter().map(|probe| probe.runtime).collect();
    gone.extend(cannot.iter().map(|agent| agent.runner()));
    if !gone.is_empty() {
        let text = format!("  missing   {}: `hostler doctor` says why", gone.join(", "));
        lines.push(dim(&clean_line(&text)));
    }
    lines.push(dim("  next      hostler run \"say: hello\"   (in any folder of this machine)"));
    lines
}

//! One file per noun: each asks the server and prints its answer.

mod agents;
mod budgets;
mod completions;
mod dev;
mod doctor;
mod inputs;
mod instances;
mod run;
mod runs;
mod schedules;
mod send;
mod server;
mod tasks;
mod text;
mod worker;
mod workers;
mod workspaces;

use hostler_wire::status::Exit;

use crate::args::{Cli, Command};
use crate::print;

pub async fn carry_out(cli: Cli) -> anyhow::Result<Exit> {
    let global = cli.global;
    match cli.command {
        Command::Dev(args) => dev::dev(&global, args).await,
        Command::Server(args) => server::server(&global, args).await,
        Command::Worker(args) => worker::worker(&global, args).await,
        Command::Run(args) => run::run(&global, *args).await,
        Command::Tasks(tasks) => tasks::tasks(&global, tasks).await,
        Command::Send(args) => send::send(&global, args).await,
        Command::Inputs(inputs) => inputs::inputs(&global, inputs).await,
        Command::Agents(agents) => agents::agents(&global, agents).await,
        Command::Runs(runs) => runs::runs(&global, runs).await,
        Command::Schedules(of) => schedules::schedules(&global, of).await,
        Command::Instances(instances) => instances::instances(&global, instances).await,
        Command::Budgets(budgets) => budgets::budgets(&global, budgets).await,
        Command::Workspaces(of) => workspaces::workspaces(&global, of).await,
        Command::Workers(workers) => workers::workers(&global, workers).await,
        Command::Doctor => doctor::doctor(&global).await,
        Command::Completions { shell } => completions::completions(shell),
        Command::Version => version(global.json),
    }
}

fn version(json: bool) -> anyhow::Result<Exit> {
    let version = env!("CARGO_PKG_VERSION");
    match json {
        true => print::json(&serde_json::json!({ "version": version }))?,
        false => print::out(format!("hostler {version}")),
    }
    Ok(Exit::Ok)
}

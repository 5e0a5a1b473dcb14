//! What can be said on the command line.

mod agents;
mod run;
mod schedules;
mod service;
mod tasks;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use hostler_wire::status::Exit;

pub use agents::{Agents, ConfigArgs};
pub use run::RunArgs;
pub use schedules::{RuleArgs, Schedules};
pub use service::{DevArgs, ServerArgs, WorkerArgs};
pub use tasks::{
    Budgets, Inputs, Instances, ListTasksArgs, LogsArgs, Runs, SendArgs, Tasks, Workers, Workspaces,
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::White.on_default());

/// Durable orchestration of AI agents.
#[derive(Debug, Parser)]
#[command(name = "hostler", version, about, styles = STYLES, max_term_width = 88)]
#[command(after_help = "Begin with `hostler run \"say: hello\"`, or `hostler doctor`.")]
#[command(after_long_help = after_help())]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// How the command talks, and to which server.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Print JSON: one document, or one a line where more than one follows; errors too.
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// The server; without it the one running on this data directory.
    #[arg(long, global = true, env = "HOSTLER_URL", help_heading = "Global options")]
    pub url: Option<String>,
    /// The token; better given by the environment, where no process list shows it.
    #[arg(long, global = true, env = "HOSTLER_TOKEN", hide_env_values = true)]
    #[arg(help_heading = "Global options")]
    pub token: Option<String>,
    #[arg(long, global = true, env = "HOSTLER_WORKSPACE", default_value = "default")]
    #[arg(help_heading = "Global options")]
    /// The workspace.
    pub workspace: String,
    /// Where data is kept; without it $XDG_DATA_HOME/hostler or ~/.local/share/hostler.
    #[arg(long, global = true, env = "HOSTLER_DATA_DIR", value_name = "DIR")]
    #[arg(help_heading = "Global options")]
    pub data_dir: Option<PathBuf>,
    /// The form of the log on standard error; RUST_LOG says how much.
    #[arg(long, global = true, value_enum, default_value = "text")]
    #[arg(help_heading = "Global options")]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Server and worker in one process, for this machine
    ///
    /// The store is SQLite, in the data directory. Nothing but health is answered without the
    /// token: HOSTLER_TOKEN, or one that is made and kept in the data directory. Other commands of
    /// the same user find the server by themselves; the line on standard output is for other
    /// shells and machines of this loopback. A second signal ends it at once.
    Dev(DevArgs),
    /// The server alone.
    Server(ServerArgs),
    /// A worker for a server.
    Worker(WorkerArgs),
    /// Give an agent work and follow it
    ///
    /// The server is the one named by --url or HOSTLER_URL, else the one that runs on this data
    /// directory, else one that is started for this run and ends with it. The agent is the one
    /// named, else a configured one (`default` first), else Claude Code where it is installed with
    /// a key, else the built-in scripted agent.
    ///
    /// Without --json the agent's work goes to standard output and everything about it to standard
    /// error. With --json the lines are: the answer to the command (`accepted`), the task's records
    /// (`kind`) as they come, and at the end the run (`status`).
    ///
    /// Ctrl-C asks whether to leave the task running, to cancel it or to go on; a second one
    /// cancels. Where nobody can be asked, the first one cancels. The exit code is 0 for a run that
    /// ended well or was left running, and 1 for any other.
    Run(Box<RunArgs>),
    /// What was asked, and what became of it.
    #[command(subcommand)]
    Tasks(Tasks),
    /// Send a message to a task: while its agent works, or to go on with it.
    Send(SendArgs),
    /// Messages of a task: what became of each, and changes to those that wait.
    #[command(subcommand)]
    Inputs(Inputs),
    /// The configured agents.
    #[command(subcommand)]
    Agents(Agents),
    /// The runs of tasks, and their attempts.
    #[command(subcommand)]
    Runs(Runs),
    /// Rules that make tasks at their times.
    #[command(subcommand)]
    Schedules(Schedules),
    /// Concurrency and health of each class of work.
    #[command(subcommand)]
    Instances(Instances),
    /// What agents and the workspace may spend.
    #[command(subcommand)]
    Budgets(Budgets),
    /// Tenants: each has agents, tasks and schedules of its own.
    #[command(subcommand)]
    Workspaces(Workspaces),
    /// The workers of the server.
    #[command(subcommand)]
    Workers(Workers),
    /// What works here, what is missing, and how to get it.
    Doctor,
    /// A completion script for a shell.
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// The version.
    Version,
}

impl Command {
    /// It stays until it is stopped, and tells by its log what it does.
    pub fn is_service(&self) -> bool {
        matches!(self, Command::Dev(_) | Command::Server(_) | Command::Worker(_))
    }
}

fn after_help() -> String {
    let codes = Exit::ALL.map(|exit| format!("  {}  {}\n", exit.number(), exit.meaning()));
    format!(
        "Exit codes:\n{}\nBegin with `hostler run \"say: hello\"`, or `hostler doctor`.",
        codes.concat()
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}

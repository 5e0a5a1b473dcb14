//! `hostler run`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct RunArgs {
    /// What the agent is to do; `-` reads it from standard input.
    pub message: String,
    /// The agent's key or id.
    #[arg(long, short, value_name = "KEY")]
    pub agent: Option<String>,
    /// The conversation to go on with.
    #[arg(long, short, value_name = "ID")]
    pub session: Option<String>,
    /// The folder to offer to the agent [default: the current one, on this machine's server].
    #[arg(long, value_name = "DIR", conflicts_with = "no_dir")]
    pub dir: Option<PathBuf>,
    /// Offer no folder: the agent works in the workspace's own.
    #[arg(long)]
    pub no_dir: bool,
    /// Counted apart from the agent's other tasks.
    #[arg(long)]
    pub lane: Option<String>,
    #[arg(long, value_enum)]
    pub priority: Option<Priority>,
    /// Working time of each attempt in milliseconds; 0: no limit.
    #[arg(long, value_name = "MS")]
    pub timeout_ms: Option<i64>,
    /// The policy, such as '{"network_enabled": false}'.
    #[arg(long, value_name = "JSON")]
    pub policy_json: Option<String>,
    /// For people.
    #[arg(long)]
    pub label: Option<String>,
    /// The same key with the same command is carried out once.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Do not follow: end when the task is accepted.
    #[arg(long, short)]
    pub detach: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Priority {
    Urgent,
    High,
    Normal,
    Low,
}

impl Priority {
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Urgent => "urgent",
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        }
    }
}

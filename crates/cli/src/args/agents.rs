//! `hostler agents`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Agents {
    /// The agents of the workspace.
    List,
    /// One agent, by its key or id.
    Get { agent: String },
    /// A new agent.
    Create {
        /// Unique in the workspace; it names a directory.
        key: String,
        /// For people [default: the key].
        #[arg(long)]
        name: Option<String>,
        /// It takes no commands until it is updated with --active.
        #[arg(long)]
        inactive: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Change an agent: what is given is laid over its config, key by key.
    Update {
        agent: String,
        #[arg(long)]
        name: Option<String>,
        /// It takes commands.
        #[arg(long, conflicts_with = "inactive")]
        active: bool,
        /// It takes no commands.
        #[arg(long)]
        inactive: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Delete an agent: its key becomes free, and its tasks go on to their end.
    Delete { agent: String },
    /// The config that a new agent with this key starts from.
    Defaults { key: Option<String> },
}

/// Parts of an agent's config. A flag goes before --config-json, that before --config-file.
#[derive(Debug, Default, Args)]
pub struct ConfigArgs {
    /// The config, or a part of it, as a JSON object.
    #[arg(long, value_name = "JSON", help_heading = "Config")]
    pub config_json: Option<String>,
    /// The same from a file; `-` is standard input.
    #[arg(long, value_name = "FILE", help_heading = "Config")]
    pub config_file: Option<PathBuf>,
    /// `claude_code`, `command`, `scripted` …
    #[arg(long, help_heading = "Config")]
    pub runner: Option<String>,
    #[arg(long, help_heading = "Config")]
    pub model: Option<String>,
    #[arg(long, value_name = "TEXT", help_heading = "Config")]
    pub system_prompt: Option<String>,
    /// /workspace or a folder below it.
    #[arg(long, value_name = "DIR", help_heading = "Config")]
    pub workspace_dir: Option<String>,
    /// How many of its runs may be live at once.
    #[arg(long, value_name = "N", help_heading = "Config")]
    pub max_concurrency: Option<u32>,
    /// A program and its arguments for the runner `command`; may be given again, one word each.
    #[arg(long = "command", value_name = "WORD", help_heading = "Config")]
    #[arg(allow_hyphen_values = true)]
    pub command: Vec<String>,
    /// A variable of the agent's environment; may be given again.
    #[arg(long = "env", value_name = "NAME=VALUE", help_heading = "Config")]
    pub env: Vec<String>,
}

//! Tasks, their messages, their runs, and what carries them out.
//!
//! A task or run may be named by the first or last characters of its id, as long as only one
//! recent one fits.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Tasks {
    /// The newest tasks.
    List(ListTasksArgs),
    /// One task, with what it waits for.
    Get { task: String },
    /// The task's stream: what its agent said and did.
    Logs(LogsArgs),
    /// Stop it: gently, then by force. A finished task cannot be cancelled.
    Cancel { task: String },
    /// Put it out of sight.
    Archive { task: String },
}

#[derive(Debug, Args)]
pub struct ListTasksArgs {
    /// Only these states, with commas between them.
    #[arg(long, value_name = "STATES")]
    pub state: Option<String>,
    /// Only this agent's: its key or id.
    #[arg(long, value_name = "KEY")]
    pub agent: Option<String>,
    /// Only this conversation's.
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Archived ones too.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub page: PageArgs,
}

/// Which part of a list.
#[derive(Clone, Debug, Args)]
pub struct PageArgs {
    /// Rows, 1 to 200 [default: 50].
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// Go on where the list before ended: its `next_cursor`.
    #[arg(long)]
    pub cursor: Option<String>,
}

#[derive(Debug, Args)]
pub struct LogsArgs {
    pub task: String,
    /// Stay until the task has come to rest; the exit code is then its run's.
    #[arg(long, short)]
    pub follow: bool,
    /// Only what comes after this `seq`.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub after: u64,
}

#[derive(Debug, Args)]
pub struct SendArgs {
    pub task: String,
    /// What to say; `-` reads it from standard input.
    pub message: String,
    /// `followup` or `queue`: a later turn of its own, in the order of coming; `collect`: one turn
    /// with others like it; `steer`: into the running turn, if the agent can; `interrupt`: in
    /// place of the running turn.
    #[arg(long, default_value = "followup")]
    pub mode: String,
    /// Refused when another run is live.
    #[arg(long, value_name = "RUN")]
    pub expected_run: Option<String>,
    /// The same key with the same message is taken once.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Follow the task until the message has been dealt with.
    #[arg(long, short)]
    pub follow: bool,
}

#[derive(Debug, Subcommand)]
pub enum Inputs {
    /// The messages of a task, in the order of their coming.
    List { task: String },
    /// One message, with what became of it.
    Get { input: String },
    /// Another text for a message that waits.
    Edit {
        input: String,
        /// What to say instead; `-` reads it from standard input.
        message: String,
    },
    /// Another place for a message that waits.
    Move {
        input: String,
        /// Its place among those that wait, from 0.
        position: u32,
    },
    /// Take a message back that waits.
    Withdraw { input: String },
}

#[derive(Debug, Subcommand)]
pub enum Runs {
    /// The newest runs.
    List {
        /// Only this task's.
        #[arg(long)]
        task: Option<String>,
        /// Only these statuses, with commas between them.
        #[arg(long, value_name = "STATUSES")]
        status: Option<String>,
        /// Only this agent's: its key or id.
        #[arg(long, value_name = "KEY")]
        agent: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// One run.
    Get { run: String },
    /// Every try of a run.
    Attempts { run: String },
    /// The changes of a run's status.
    Snapshots { run: String },
    /// Stop it.
    Cancel { run: String },
}

#[derive(Debug, Subcommand)]
pub enum Instances {
    /// Every class of work that was seen.
    List {
        #[command(flatten)]
        page: PageArgs,
    },
    /// One of them, by its key.
    Get { key: String },
    /// Change what is named; the rest stays.
    Set {
        key: String,
        /// How many of its runs may be live at once, whatever the agent's config says.
        #[arg(long, value_name = "N", conflicts_with = "concurrency_of_agent")]
        concurrency: Option<i64>,
        /// What the agent's config says counts again.
        #[arg(long)]
        concurrency_of_agent: bool,
        /// Failures in a row that degrade it.
        #[arg(long, value_name = "N")]
        threshold: Option<i64>,
        /// Its share among the classes of its workspace.
        #[arg(long, value_name = "N")]
        weight: Option<i64>,
    },
    /// Healthy again, whatever it failed at.
    Reset { key: String },
}

#[derive(Debug, Subcommand)]
pub enum Workspaces {
    /// The workspaces of the server.
    List {
        #[command(flatten)]
        page: PageArgs,
    },
    /// One of them; the one that is used without a key.
    Get { key: Option<String> },
    /// A new workspace.
    Create { key: String },
    /// Nothing of it starts until it is resumed; what runs goes on.
    Pause { key: Option<String> },
    /// Its tasks start again.
    Resume { key: Option<String> },
    /// Its share among workspaces.
    Weigh { key: String, weight: i64 },
}

#[derive(Debug, Subcommand)]
pub enum Budgets {
    /// What may be spent, and what was: of an agent, or of the workspace.
    Get { agent: Option<String> },
    /// What all tasks of an agent, or of the workspace, may spend together.
    Set {
        agent: Option<String>,
        #[arg(long, value_name = "DOLLARS")]
        usd: Option<f64>,
        /// Input and output together.
        #[arg(long, value_name = "N")]
        tokens: Option<u64>,
        #[arg(long, value_name = "N")]
        turns: Option<u64>,
        /// `total`, `day` or `month`, in UTC.
        #[arg(long, default_value = "total")]
        period: String,
    },
    /// Take the limits away.
    Remove { agent: Option<String> },
    /// Nothing is spent, from here on.
    Reset { agent: Option<String> },
}

#[derive(Debug, Subcommand)]
pub enum Workers {
    /// The workers and what they offer.
    List,
}

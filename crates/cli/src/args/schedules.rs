//! Schedules: rules that make tasks.

use clap::{Args, Subcommand};

use super::tasks::PageArgs;

#[derive(Debug, Subcommand)]
pub enum Schedules {
    /// The schedules, newest first.
    List {
        /// Only this agent's: its key or id.
        #[arg(long, value_name = "KEY")]
        agent: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// One schedule.
    Get { schedule: String },
    /// A new schedule.
    Create {
        /// The agent's key or id.
        #[arg(long, value_name = "KEY")]
        agent: String,
        /// Minute, hour, day of the month, month, day of the week: `0 9 * * mon-fri`.
        #[arg(long, value_name = "EXPR")]
        cron: String,
        /// What its tasks say; `-` reads it from standard input.
        prompt: String,
        #[command(flatten)]
        rule: RuleArgs,
        /// It does not fire until it is resumed.
        #[arg(long)]
        paused: bool,
    },
    /// Change what is named; the rest stays.
    Update {
        schedule: String,
        #[arg(long, value_name = "EXPR")]
        cron: Option<String>,
        /// What its tasks say; `-` reads it from standard input.
        #[arg(long)]
        prompt: Option<String>,
        #[command(flatten)]
        rule: RuleArgs,
    },
    /// It does not fire until it is resumed.
    Pause { schedule: String },
    /// It fires again, from its next time on.
    Resume { schedule: String },
    /// Remove it; its tasks stay.
    Delete { schedule: String },
    /// Make a task of it now.
    Trigger {
        schedule: String,
        /// The same key is answered with the same task.
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
    },
    /// Fire the times of the past that have not fired.
    Backfill {
        schedule: String,
        /// RFC 3339, for example 2026-11-01T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        from: String,
        #[arg(long, value_name = "TIME")]
        to: String,
        /// Instead of the schedule's own.
        #[arg(long, value_name = "RULE")]
        overlap: Option<String>,
    },
    /// The times that did not fire, and why.
    Missed {
        schedule: String,
        #[command(flatten)]
        page: PageArgs,
    },
    /// The next times of an expression.
    Preview {
        cron: String,
        /// An IANA name [default: UTC].
        #[arg(long, value_name = "ZONE")]
        timezone: Option<String>,
        /// Times, 1 to 100 [default: 5].
        #[arg(long, value_name = "N")]
        count: Option<i64>,
    },
}

/// How a schedule fires.
#[derive(Debug, Args)]
pub struct RuleArgs {
    /// An IANA name, such as Europe/Vienna.
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// While an earlier task is open: `skip`, `buffer_one`, `buffer_all`, `cancel_other`,
    /// `allow_all`.
    #[arg(long, value_name = "RULE")]
    pub overlap: Option<String>,
    /// How late it may fire after a downtime.
    #[arg(long, value_name = "MS")]
    pub catchup_window_ms: Option<i64>,
    /// Each time fires up to so much later.
    #[arg(long, value_name = "MS")]
    pub jitter_ms: Option<i64>,
    /// Pause after so many failures in a row; 0 is never.
    #[arg(long, value_name = "N")]
    pub pause_after_failures: Option<i64>,
    /// A skill that its agent is to read first; may be given again.
    #[arg(long = "skill", value_name = "PATH")]
    pub skills: Vec<String>,
    /// `urgent`, `high`, `normal` or `low`.
    #[arg(long)]
    pub priority: Option<String>,
    /// Working time of each attempt; 0 is no limit.
    #[arg(long, value_name = "MS")]
    pub timeout_ms: Option<i64>,
}

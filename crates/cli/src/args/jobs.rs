//! Flags of what looks at jobs and ends them.

use clap::{Args, ValueEnum};
use huisuan_api::spec::quantity;
use huisuan_model::DurationMs;

use crate::select::Selector;

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only jobs in this state: waiting, running, succeeded, failed or cancelled.
    #[arg(long, value_name = "STATE", hide_possible_values = true, value_parser = ["waiting", "running", "succeeded", "failed", "cancelled"])]
    pub(crate) state: Option<String>,
    /// Only jobs of this tenant.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// The most jobs to list.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u64,
}

#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// Which job.
    #[arg(value_name = "JOB")]
    pub(crate) job: Selector,
}

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Which jobs.
    #[arg(value_name = "JOB", required = true)]
    pub(crate) jobs: Vec<Selector>,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Which job or task; the first task when only the job is named.
    #[arg(value_name = "JOB")]
    pub(crate) job: Selector,
    /// Goes on as the task writes, until it ends.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Which stream: stdout or stderr.
    #[arg(long, value_enum, default_value_t, hide_possible_values = true, value_name = "STREAM")]
    pub(crate) stream: StreamArg,
    /// Begins at this byte.
    #[arg(long, value_name = "BYTE", default_value_t = 0)]
    pub(crate) offset: u64,
}

/// The streams of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum StreamArg {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Which jobs.
    #[arg(value_name = "JOB", required = true)]
    pub(crate) jobs: Vec<Selector>,
    /// The longest wait, such as 90s or 1h30m; exits with 8 when it is over.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) timeout: Option<DurationMs>,
}

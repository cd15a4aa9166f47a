//! One replay with its figures.

use huisuan_schedule::queue::QueuePolicy;
use huisuan_twin::machine::{self, Outcome, ReplayError};
use serde::Serialize;
use thiserror::Error;

use super::filter::{Dropped, Filter, Requests, Workload};
use crate::read::SwfLog;

/// The figures of one log under one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The policy's name.
    pub policy: &'static str,
    /// Processors of the machine.
    pub procs: u64,
    /// Jobs that were replayed.
    pub jobs: u64,
    /// Mean of (wait + run) / max(run, 10 s), at least 1 for each job.
    pub mean_bounded_slowdown: f64,
    /// Mean wait.
    pub mean_wait_s: f64,
    /// Longest wait.
    pub max_wait_s: f64,
    /// Processor time held, as a part of what there was from the first submission to the last end.
    pub utilisation: f64,
    /// What was done to the log first.
    pub filter: Filter,
    /// Jobs left out, by cause.
    pub dropped: Dropped,
    /// Jobs cut to their requested time.
    pub cut: u64,
    /// Where requested times come from.
    pub requests: Requests,
    /// Equal for equal decisions.
    pub decision_hash: String,
}

/// Why a log cannot be studied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SwfError {
    /// Nobody says how large the machine is.
    #[error(
        "the log's header has neither MaxProcs nor MaxNodes\nhint: say how many processors there are with `--procs`"
    )]
    NoProcessors,
    /// The filter left nothing.
    #[error(
        "no job of the log can be replayed: {no_processors} without processors, {too_wide} too wide, {no_run_time} without run time, {no_requested_time} without requested time\nhint: try `--filter none`, or another `--procs`"
    )]
    NoJobs {
        /// As in [`Dropped`].
        no_processors: u64,
        /// As in [`Dropped`].
        too_wide: u64,
        /// As in [`Dropped`].
        no_run_time: u64,
        /// As in [`Dropped`].
        no_requested_time: u64,
    },
    /// The replay refused it.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// How many processors the machine has: what was asked for, or what the log says.
pub fn processors(log: &SwfLog, asked: Option<u64>) -> Result<u64, SwfError> {
    asked.or(log.processors_max).or(log.nodes_max).ok_or(SwfError::NoProcessors)
}

/// Replays a workload under a policy. `progress` is told now and then how many jobs have been submitted.
pub fn replay(
    workload: &Workload,
    filter: Filter,
    procs: u64,
    policy: QueuePolicy,
    progress: &mut dyn FnMut(usize),
) -> Result<(Report, Outcome), SwfError> {
    let Workload { jobs, dropped, cut, requests } = workload;
    if jobs.is_empty() {
        let Dropped { no_processors, too_wide, no_run_time, no_requested_time } = *dropped;
        return Err(SwfError::NoJobs { no_processors, too_wide, no_run_time, no_requested_time });
    }
    let outcome = machine::replay(jobs, procs, policy.open(procs), progress)?;
    let figures = &outcome.figures;
    let report = Report {
        policy: policy.name(),
        procs,
        jobs: figures.jobs,
        mean_bounded_slowdown: figures.mean_bounded_slowdown(),
        mean_wait_s: figures.mean_wait_s(),
        max_wait_s: figures.wait_max.0 as f64 / 1e3,
        utilisation: figures.utilisation(),
        filter,
        dropped: *dropped,
        cut: *cut,
        requests: *requests,
        decision_hash: outcome.decision_hash.clone(),
    };
    Ok((report, outcome))
}

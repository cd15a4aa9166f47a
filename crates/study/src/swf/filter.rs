//! From the lines of a log to the jobs of a replay.

use huisuan_model::{DurationMs, JobId, TimeMs};
use huisuan_twin::machine::LogJob;
use serde::Serialize;

use crate::read::{SwfJob, SwfLog};

/// What is done to a log before it is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// The filter of Gaussier, Glesser, Reis and Trystram ("Improving backfilling by using machine learning to
    /// predict running times", SC'15): jobs without processors, run time or requested time are dropped, and so
    /// are jobs wider than the machine; a job runs at most for what was requested.
    #[default]
    Study,
    /// Only what cannot run at all is dropped: jobs without processors or wider than the machine. An unknown run
    /// time counts as none, an unknown request as the run time, and a job may run longer than requested.
    None,
}

/// Where the requested times come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requests {
    /// From the users, as the log says.
    #[default]
    Log,
    /// The log holds none at all, so that run times stand in for them: whatever needs an estimate has a perfect one.
    RunTimes,
}

/// How many jobs were left out, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Dropped {
    /// They tell no processors.
    pub no_processors: u64,
    /// They need more than the machine has.
    pub too_wide: u64,
    /// They did not run.
    pub no_run_time: u64,
    /// They asked for no time.
    pub no_requested_time: u64,
}

/// The jobs of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// In order of submission; at one moment in the order of the file.
    pub jobs: Vec<LogJob>,
    /// What was left out.
    pub dropped: Dropped,
    /// Jobs whose run time was cut to what was requested.
    pub cut: u64,
    /// Where requested times come from.
    pub requests: Requests,
}

impl Dropped {
    /// All of them together.
    pub fn total(&self) -> u64 {
        self.no_processors + self.too_wide + self.no_run_time + self.no_requested_time
    }
}

impl Filter {
    /// Makes the jobs of a replay on a machine with so many processors.
    pub fn apply(self, log: &SwfLog, processors: u64) -> Workload {
        let none = log.jobs.iter().all(|job| job.time_requested_ms.is_none_or(|ms| ms == 0));
        let requests = if none { Requests::RunTimes } else { Requests::Log };
        let mut workload = Workload { jobs: Vec::new(), dropped: Dropped::default(), cut: 0, requests };
        for job in &log.jobs {
            if let Some(job) = self.job(job, processors, &mut workload) {
                workload.jobs.push(job);
            }
        }
        workload.jobs.sort_by_key(|job| job.submitted_at);
        workload
    }

    fn job(self, job: &SwfJob, processors: u64, workload: &mut Workload) -> Option<LogJob> {
        let dropped = &mut workload.dropped;
        let drop = |count: &mut u64| {
            *count += 1;
            None
        };
        let known = |value: Option<u64>| value.filter(|value| *value > 0);
        let Some(width) = job.processors() else {
            return drop(&mut dropped.no_processors);
        };
        if width > processors {
            return drop(&mut dropped.too_wide);
        }
        let requested = match workload.requests {
            Requests::Log => known(job.time_requested_ms),
            Requests::RunTimes => known(job.run_ms),
        };
        let (run_ms, limit_ms) = match (self, known(job.run_ms), requested) {
            (Filter::Study, None, _) => return drop(&mut dropped.no_run_time),
            (Filter::Study, _, None) => return drop(&mut dropped.no_requested_time),
            (Filter::Study, Some(run_ms), Some(requested_ms)) => {
                workload.cut += u64::from(run_ms > requested_ms);
                (run_ms.min(requested_ms), requested_ms)
            }
            (Filter::None, run_ms, requested) => {
                let run_ms = run_ms.unwrap_or(0);
                (run_ms, requested.unwrap_or(run_ms))
            }
        };
        Some(LogJob {
            id: JobId(job.number),
            submitted_at: TimeMs(i64::try_from(job.submit_ms).expect("the reader bounds times")),
            run: DurationMs(run_ms),
            limit: DurationMs(limit_ms),
            width,
            owner: job.user,
        })
    }
}

//! What came out of a replay.

use huisuan_model::{DurationMs, TimeMs, hex};
use sha2::{Digest, Sha256};

use super::replay::LogJob;

/// When every job of a log started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Start of each job, in the order of the log.
    pub starts: Vec<TimeMs>,
    /// The figures that replays are compared by.
    pub figures: Figures,
    /// SHA-256 of all starts, each in its job's place as 8 bytes, little end first: two replays with the same one
    /// decided alike.
    pub decision_hash: String,
}

/// Figures of one replay over all its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// How many jobs ran.
    pub jobs: u64,
    /// Sum of the bounded slowdowns in millionths. The bounded slowdown of a job is (wait + run) / max(run, 10 s),
    /// at least 1 (Feitelson et al., JSSPP 1997).
    pub slowdown_sum_ppm: u128,
    /// Sum of all waits.
    pub wait_sum_ms: u128,
    /// The longest wait.
    pub wait_max: DurationMs,
    /// Processor milliseconds that jobs held.
    pub used_ms: u128,
    /// Processor milliseconds from the first submission to the last end.
    pub capacity_ms: u128,
}

/// Shorter runs count as this long in the bounded slowdown.
const SLOWDOWN_BOUND_MS: u64 = 10_000;

impl Outcome {
    pub(super) fn new(log: &[LogJob], processors: u64, started_at: Vec<Option<TimeMs>>) -> Self {
        let starts: Vec<TimeMs> =
            started_at.into_iter().map(|at| at.expect("a job that fits the machine starts at last")).collect();
        let mut digest = Sha256::new();
        let mut figures = Figures { jobs: log.len() as u64, ..Figures::default() };
        let mut last_end = TimeMs(i64::MIN);
        for (job, start) in log.iter().zip(&starts) {
            digest.update(start.0.to_le_bytes());
            figures.add(job, start.since(job.submitted_at));
            last_end = last_end.max(start.after(job.run));
        }
        if let Some(first) = log.first() {
            figures.capacity_ms = u128::from(last_end.since(first.submitted_at).0) * u128::from(processors);
        }
        Outcome { starts, figures, decision_hash: hex::encode(&digest.finalize()) }
    }
}

impl Figures {
    /// Mean bounded slowdown; 0 without jobs.
    pub fn mean_bounded_slowdown(&self) -> f64 {
        mean(self.slowdown_sum_ppm, self.jobs) / 1e6
    }

    /// Mean wait in seconds; 0 without jobs.
    pub fn mean_wait_s(&self) -> f64 {
        mean(self.wait_sum_ms, self.jobs) / 1e3
    }

    /// The part of the capacity that jobs held, 0 to 1.
    pub fn utilisation(&self) -> f64 {
        if self.capacity_ms == 0 { 0.0 } else { self.used_ms as f64 / self.capacity_ms as f64 }
    }

    fn add(&mut self, job: &LogJob, wait: DurationMs) {
        let turnaround_ms = u128::from(wait.0) + u128::from(job.run.0);
        let slowdown_ppm = turnaround_ms * 1_000_000 / u128::from(job.run.0.max(SLOWDOWN_BOUND_MS));
        self.slowdown_sum_ppm += slowdown_ppm.max(1_000_000);
        self.wait_sum_ms += u128::from(wait.0);
        self.wait_max = self.wait_max.max(wait);
        self.used_ms += u128::from(job.run.0) * u128::from(job.width);
    }
}

fn mean(sum: u128, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}

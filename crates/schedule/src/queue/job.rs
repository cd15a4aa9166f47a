//! What a queue is told of a job.

use huisuan_model::{DurationMs, JobId, TimeMs};

/// A job as one queue sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueJob {
    /// Its id, unique among the jobs that wait or run. Ties do not end in it but in the order of submission.
    pub id: JobId,
    /// Processors that it holds from start to end; at least 1 and at most what the pool has.
    pub width: u64,
    /// The longest it may run: what the user asked for. A job that outlives it is reckoned with, not believed.
    pub limit: DurationMs,
    /// Who submitted it, as a number that the caller chooses, where it is known; predictions learn for each owner
    /// apart.
    pub owner: Option<u64>,
    /// When it was submitted; the guard against starvation counts from here.
    pub submitted_at: TimeMs,
}

//! `easy-sjbf`: as `easy`, but among those that may go ahead the one with the shortest limit does so first.

use huisuan_model::{DurationMs, TimeMs};

use super::{backfill::Order, job::QueueJob, predict::History};

/// The oldest, then the shortest.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShortestFirst;

impl Order for ShortestFirst {
    fn expected(&self, job: &QueueJob, _history: &History) -> DurationMs {
        job.limit
    }

    fn rank(&self, _job: &QueueJob, expected: DurationMs) -> u128 {
        u128::from(expected.0)
    }

    fn oldest_first(&self, _oldest: &QueueJob, _now: TimeMs) -> bool {
        true
    }
}

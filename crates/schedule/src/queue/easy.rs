//! `easy`: in the order of arrival; others go ahead in the same order where they do not delay the first.
//! Every job is expected to run to its limit, so that the promise to the first one holds.

use huisuan_model::{DurationMs, TimeMs};

use super::{backfill::Order, job::QueueJob, predict::History};

/// The order of arrival.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByArrival;

impl Order for ByArrival {
    fn expected(&self, job: &QueueJob, _history: &History) -> DurationMs {
        job.limit
    }

    fn rank(&self, _job: &QueueJob, _expected: DurationMs) -> u128 {
        0
    }

    fn oldest_first(&self, _oldest: &QueueJob, _now: TimeMs) -> bool {
        true
    }
}

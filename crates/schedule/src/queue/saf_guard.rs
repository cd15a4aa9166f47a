//! `saf-guard`: the job with the smallest predicted area (processors times run time) goes first, backfilled as in
//! `easy`; a job that has waited for longer than the guard goes before all others, the oldest first. Small jobs
//! first is the best known order without knowledge of run times, and without a guard it starves large ones for
//! months (Carastan-Santos and de Camargo, SC'17; Legrand et al., "Adapting batch scheduling to workload
//! characteristics", IPDPS 2019).

use huisuan_model::{DurationMs, TimeMs};

use super::{backfill::Order, job::QueueJob, predict::History};

/// How long a job waits before it goes first: two days.
pub const GUARD: DurationMs = DurationMs(2 * 24 * 3_600_000);

/// The smallest area, unless somebody has waited too long.
#[derive(Debug, Clone, Copy)]
pub(super) struct SmallestAreaFirst {
    guard: DurationMs,
}

impl Default for SmallestAreaFirst {
    fn default() -> Self {
        SmallestAreaFirst { guard: GUARD }
    }
}

impl Order for SmallestAreaFirst {
    fn expected(&self, job: &QueueJob, history: &History) -> DurationMs {
        history.predict(job.owner, job.limit)
    }

    fn rank(&self, job: &QueueJob, expected: DurationMs) -> u128 {
        u128::from(job.width) * u128::from(expected.0)
    }

    fn oldest_first(&self, oldest: &QueueJob, now: TimeMs) -> bool {
        now.since(oldest.submitted_at) >= self.guard
    }
}

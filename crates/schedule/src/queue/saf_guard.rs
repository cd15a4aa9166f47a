//! `saf-guard`: small jobs first, backfilled as in `easy`; a job that has waited for longer than the guard goes
//! before all others, the oldest first.
//!
//! Small is width × predicted run time²: the area that a job takes from all others, over the weight that a
//! moment of its wait has in the mean slowdown, which is one over its run time (Smith, "Various optimizers for
//! single-stage production", 1956). Orders of this family are the best known ones without knowledge of run times,
//! and without a guard they starve large jobs for months (Carastan-Santos and de Camargo, SC'17).
//!
//! A small job's promise is made from predictions, and an early or late end moves it. The promise to a job
//! past the guard is made from limits, so that no wrong prediction can delay it.

use huisuan_model::{DurationMs, TimeMs};

use super::{backfill::Order, job::QueueJob, predict::History};

/// How long a job waits before it goes first: five days. Between three and seven days the mean slowdown on public
/// logs hardly changes and the longest wait follows the guard; two days cost a tenth more slowdown.
pub const GUARD: DurationMs = DurationMs(5 * 24 * 3_600_000);

/// Shorter runs count as this long: the bounded slowdown does not tell them apart.
const RUN_MIN: DurationMs = DurationMs(10_000);

/// The smallest first, unless somebody has waited too long.
#[derive(Debug, Clone, Copy)]
pub(super) struct SmallestFirst {
    pub(super) guard: DurationMs,
}

impl Order for SmallestFirst {
    fn expected(&self, job: &QueueJob, history: &History) -> DurationMs {
        history.predict(job)
    }

    fn rank(&self, job: &QueueJob, expected: DurationMs) -> u128 {
        let run_ms = u128::from(expected.max(RUN_MIN).0);
        run_ms.saturating_mul(run_ms).saturating_mul(u128::from(job.width))
    }

    fn oldest_first(&self, oldest: &QueueJob, now: TimeMs) -> bool {
        now.since(oldest.submitted_at) >= self.guard
    }
}

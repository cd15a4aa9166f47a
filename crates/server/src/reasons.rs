//! Why jobs wait, as the last cycle left it: by shape, with the moment since which the reason holds.

use std::collections::BTreeMap;

use huisuan_model::{CentreId, Job, Reason, Shape, ShapeReason, TimeMs};

/// What is known of one waiting shape.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) reason: Reason,
    pub(crate) since: TimeMs,
    pub(crate) rejected: Vec<(CentreId, Reason)>,
}

/// All waiting shapes of one cycle.
#[derive(Debug, Default)]
pub(crate) struct Reasons(BTreeMap<Shape, Known>);

impl Reasons {
    /// The reasons of the next cycle; a code that stays keeps its `since`.
    pub(crate) fn followed_by(&self, next: Vec<ShapeReason>, now: TimeMs) -> Reasons {
        let known = next.into_iter().map(|ShapeReason { shape, reason, rejected }| {
            let before = self.0.get(&shape).filter(|known| known.reason.code() == reason.code());
            let since = before.map_or(now, |known| known.since);
            (shape, Known { reason, since, rejected })
        });
        Reasons(known.collect())
    }

    /// Why a job waits; `None` when it has nothing that waits.
    pub(crate) fn of(&self, job: &Job) -> Option<Known> {
        if job.state.terminal() || job.tasks.waiting.is_empty() {
            return None;
        }
        if let Some(first) = job.waits_for.first() {
            let jobs = u32::try_from(job.waits_for.len()).unwrap_or(u32::MAX);
            let reason = Reason::Dependency { on: first.job, when: first.when, jobs };
            return Some(Known { reason, since: job.submitted_at, rejected: Vec::new() });
        }
        if let Some(limit) = job.spec.parallel_max
            && job.tasks.active.len() >= u64::from(limit)
        {
            let since = job.started_at.unwrap_or(job.submitted_at);
            return Some(Known { reason: Reason::ParallelMax { limit }, since, rejected: Vec::new() });
        }
        let shape = Shape::of_job(job);
        let planned = self.0.get(&shape).cloned();
        let not_planned = || Known { reason: Reason::NotPlanned, since: job.submitted_at, rejected: Vec::new() };
        let mut known = planned.unwrap_or_else(not_planned);
        known.since = known.since.max(job.submitted_at);
        Some(known)
    }

    /// How many shapes wait for each reason.
    pub(crate) fn count_by_code(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for known in self.0.values() {
            *counts.entry(known.reason.code()).or_default() += 1;
        }
        counts
    }
}

//! Waiting jobs by shape, each shape's queue in order of priority, deadline, age and number.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use huisuan_model::{Job, JobId, Shape, TimeMs};

/// Larger priority first, then the earlier deadline, then the older job, then the smaller number.
type Rank = (Reverse<i32>, TimeMs, TimeMs, JobId);

/// The rank of what has no deadline: behind all that have one.
const NO_DEADLINE: TimeMs = TimeMs(i64::MAX);

/// One shape's jobs in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Queue(BTreeSet<Rank>);

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn head(&self, count: usize) -> impl Iterator<Item = JobId> + '_ {
        self.0.iter().take(count).map(|rank| rank.3)
    }
}

/// All queues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Queues(BTreeMap<Arc<Shape>, Queue>);

impl Queues {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<Shape>, &Queue)> {
        self.0.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, shape: &Shape) -> bool {
        self.0.contains_key(shape)
    }

    /// Takes a job out before its shape changes.
    pub(crate) fn remove(&mut self, job: &Job, shape: &Shape) {
        if let Some(queue) = self.0.get_mut(shape) {
            queue.0.remove(&rank(job));
            if queue.0.is_empty() {
                self.0.remove(shape);
            }
        }
    }

    /// Puts the job in or out of its shape's queue, as its tasks demand.
    pub(crate) fn update(&mut self, job: &Job, shape: Arc<Shape>) {
        if !schedulable(job) {
            return self.remove(job, &shape);
        }
        self.0.entry(shape).or_default().0.insert(rank(job));
    }
}

fn rank(job: &Job) -> Rank {
    let deadline = job.spec.deadline_at.unwrap_or(NO_DEADLINE);
    (Reverse(job.spec.priority), deadline, job.submitted_at, job.id)
}

/// A job stands in its queue while one more of its tasks might be placed: it waits for no other job, and its own limit
/// is not reached. A gang is placed whole.
pub(crate) fn schedulable(job: &Job) -> bool {
    let whole = !job.spec.gang || job.tasks.active.is_empty();
    let below_limit = job.spec.parallel_max.is_none_or(|limit| job.tasks.active.len() < u64::from(limit));
    !job.state.terminal()
        && !job.cancel_requested
        && job.waits_for.is_empty()
        && whole
        && !job.tasks.waiting.is_empty()
        && below_limit
}

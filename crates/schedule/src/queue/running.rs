//! What runs, when it should end, and when there will be room.

use std::collections::BTreeMap;

use huisuan_model::{DurationMs, JobId, TimeMs};

use super::{job::QueueJob, predict};

/// The processors of a pool and the jobs that hold them.
#[derive(Debug, Clone)]
pub(super) struct Running {
    processors: u64,
    free: u64,
    runs: BTreeMap<JobId, Run>,
    /// When they should end.
    expected: Ends,
    /// When they must end.
    limits: Ends,
}

/// A job that runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) job: QueueJob,
    pub(super) started_at: TimeMs,
    pub(super) expected_end: TimeMs,
    /// Its limit, or later once it has outlived that.
    pub(super) limit_end: TimeMs,
}

/// From which ends a promise is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// From those that are expected: it is broken when jobs run longer than predicted.
    Expected,
    /// From the limits: it holds unless a job outlives its limit.
    Limit,
}

/// The moment at which a job that does not fit now will fit, and how much is free then beside it. Who ends
/// before or takes no more than that does not delay it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shadow {
    pub(super) at: TimeMs,
    pub(super) extra: u64,
}

impl Running {
    pub(super) fn new(processors: u64) -> Self {
        let (expected, limits) = (Ends::default(), Ends::default());
        Running { processors, free: processors, runs: BTreeMap::new(), expected, limits }
    }

    /// Lets a job wait for these processors.
    ///
    /// # Panics
    /// If there are fewer than it needs: it could never start, so it is refused at the door.
    pub(super) fn admit(&self, job: &QueueJob) {
        assert!(job.width <= self.processors, "job {} is wider than its pool of {}", job.id, self.processors);
    }

    /// All processors of the pool.
    pub(super) fn processors(&self) -> u64 {
        self.processors
    }

    /// Processors that nobody holds.
    pub(super) fn free(&self) -> u64 {
        self.free
    }

    /// A job takes its processors.
    pub(super) fn start(&mut self, job: QueueJob, expected: DurationMs, now: TimeMs) {
        self.free = self.free.checked_sub(job.width).expect("a job starts only where it fits");
        let (expected_end, limit_end) = (now.after(expected), now.after(job.limit));
        self.runs.insert(job.id, Run { job, started_at: now, expected_end, limit_end });
        self.expected.insert(End { at: expected_end, job: job.id, width: job.width });
        self.limits.insert(End { at: limit_end, job: job.id, width: job.width });
    }

    /// A job gives its processors back; `None` when it does not run here.
    pub(super) fn end(&mut self, job: JobId) -> Option<Run> {
        let run = self.runs.remove(&job)?;
        self.free += run.job.width;
        self.expected.remove(End { at: run.expected_end, job, width: run.job.width });
        self.limits.remove(End { at: run.limit_end, job, width: run.job.width });
        Some(run)
    }

    /// Moves the ends that have passed to a later time; true when there were any. Who has outlived what was
    /// expected is expected to run to its limit; who has outlived that, for a while longer.
    pub(super) fn correct(&mut self, now: TimeMs) -> bool {
        for End { job, width, .. } in self.limits.take_passed(now) {
            let run = self.runs.get_mut(&job).expect("both collections hold the same jobs");
            run.limit_end = predict::overdue_end(run.started_at, now);
            self.limits.insert(End { at: run.limit_end, job, width });
        }
        let passed = self.expected.take_passed(now);
        for &End { job, width, .. } in &passed {
            let run = self.runs.get_mut(&job).expect("both collections hold the same jobs");
            run.expected_end = run.limit_end;
            self.expected.insert(End { at: run.expected_end, job, width });
        }
        !passed.is_empty()
    }

    /// When `width` processors will be free, if no end comes later than told and nothing else starts.
    pub(super) fn shadow(&self, width: u64, basis: Basis, now: TimeMs) -> Shadow {
        let ends = match basis {
            Basis::Expected => &self.expected,
            Basis::Limit => &self.limits,
        };
        let (mut at, mut free) = (now, self.free);
        for end in &ends.0 {
            // Ends of one moment free their processors together.
            if free >= width && end.at > at {
                break;
            }
            free += end.width;
            at = end.at;
        }
        Shadow { at, extra: free.checked_sub(width).expect("no job is wider than the pool") }
    }

    /// What runs, by id.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }
}

/// Ends to come, by time, then id.
#[derive(Debug, Clone, Default)]
struct Ends(Vec<End>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    at: TimeMs,
    job: JobId,
    width: u64,
}

impl Ends {
    fn insert(&mut self, end: End) {
        let at = self.0.partition_point(|other| *other < end);
        self.0.insert(at, end);
    }

    fn remove(&mut self, end: End) {
        let at = self.0.binary_search(&end).expect("what runs has an end to come");
        self.0.remove(at);
    }

    fn take_passed(&mut self, now: TimeMs) -> Vec<End> {
        let passed = self.0.partition_point(|end| end.at <= now);
        self.0.drain(..passed).collect()
    }
}

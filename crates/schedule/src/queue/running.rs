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
    /// The same jobs by expected end, then id.
    ends: Vec<End>,
}

/// A job that runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) job: QueueJob,
    pub(super) started_at: TimeMs,
    pub(super) expected_end: TimeMs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    at: TimeMs,
    job: JobId,
    width: u64,
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
        Running { processors, free: processors, runs: BTreeMap::new(), ends: Vec::new() }
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
        let expected_end = now.after(expected);
        self.runs.insert(job.id, Run { job, started_at: now, expected_end });
        self.insert(End { at: expected_end, job: job.id, width: job.width });
    }

    /// A job gives its processors back; `None` when it does not run here.
    pub(super) fn end(&mut self, job: JobId) -> Option<Run> {
        let run = self.runs.remove(&job)?;
        self.free += run.job.width;
        self.remove(&run);
        Some(run)
    }

    /// Moves the expected ends that have passed to a later time; true when there were any.
    pub(super) fn correct(&mut self, now: TimeMs) -> bool {
        let passed = self.ends.partition_point(|end| end.at <= now);
        let overdue: Vec<End> = self.ends.drain(..passed).collect();
        for End { job, width, .. } in &overdue {
            let run = self.runs.get_mut(job).expect("both collections hold the same jobs");
            run.expected_end = predict::corrected_end(run.started_at, run.job.limit, now);
            let end = End { at: run.expected_end, job: *job, width: *width };
            self.insert(end);
        }
        passed > 0
    }

    /// When `width` processors will be free, if all ends come when expected and nothing else starts.
    pub(super) fn shadow(&self, width: u64, now: TimeMs) -> Shadow {
        let (mut at, mut free) = (now, self.free);
        // Ends of one moment free their processors together.
        for end in &self.ends {
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

    fn insert(&mut self, end: End) {
        let at = self.ends.partition_point(|other| *other < end);
        self.ends.insert(at, end);
    }

    fn remove(&mut self, run: &Run) {
        let end = End { at: run.expected_end, job: run.job.id, width: run.job.width };
        let at = self.ends.binary_search(&end).expect("both collections hold the same jobs");
        self.ends.remove(at);
    }
}

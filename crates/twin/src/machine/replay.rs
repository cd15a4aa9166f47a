//! The replay, event by event.

use std::{cmp::Reverse, collections::BinaryHeap};

use huisuan_model::{DurationMs, JobId, TimeMs};
use huisuan_schedule::queue::{Queue, QueueJob};
use thiserror::Error;

use super::outcome::Outcome;

/// A job as a log tells it: what the queue is told, and what it learns only when it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogJob {
    /// The id in the log.
    pub id: JobId,
    /// When it was submitted.
    pub submitted_at: TimeMs,
    /// How long it runs once it has started.
    pub run: DurationMs,
    /// How long it said that it would run at most.
    pub limit: DurationMs,
    /// Processors.
    pub width: u64,
    /// Who submitted it, where the log says so.
    pub owner: Option<u64>,
}

/// Why a log cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// A job needs more processors than there are, or none.
    #[error(
        "job {job} needs {width} processors of a machine with {processors}\nhint: give the machine more with `--procs`, or drop such jobs with the filter `study`"
    )]
    Width {
        /// The job.
        job: JobId,
        /// What it needs.
        width: u64,
        /// What there is.
        processors: u64,
    },
    /// A job is submitted before the one ahead of it.
    #[error("job {job} is submitted before the job ahead of it in the log\nhint: sort the jobs by submit time")]
    Order {
        /// The job.
        job: JobId,
    },
}

/// How often progress is told: after so many submissions.
const PROGRESS_EVERY: usize = 1024;

/// Runs all jobs of a log, which is in order of submission, on `processors` equal processors. `progress` is told
/// now and then how many jobs have been submitted.
///
/// The order of events within one moment is that of pyss, the simulator with which published tables were made:
/// jobs that have reached their limit free their processors; then each submission is decided, in the order of the
/// log; then each end, in the order in which the jobs were started; then what was decided starts.
pub fn replay(
    log: &[LogJob],
    processors: u64,
    mut queue: Box<dyn Queue>,
    progress: &mut dyn FnMut(usize),
) -> Result<Outcome, ReplayError> {
    check(log, processors)?;
    let mut machine = Machine { log, started_at: vec![None; log.len()], running: BinaryHeap::new(), started: 0 };
    let mut submitted = 0;
    let (mut starting, mut ending) = (Vec::new(), Vec::new());
    while let Some(now) = machine.next(submitted, queue.wake_at()) {
        machine.ends(now, &mut ending);
        for &index in &ending {
            if log[index].run >= log[index].limit {
                queue.end(key(index), now);
            }
        }
        while submitted < log.len() && log[submitted].submitted_at == now {
            queue.submit(queued(&log[submitted], submitted), now);
            submitted += 1;
            if submitted.is_multiple_of(PROGRESS_EVERY) {
                progress(submitted);
            }
        }
        for &index in &ending {
            if log[index].run < log[index].limit {
                queue.end(key(index), now);
            }
            queue.replan(now);
        }
        queue.starts(now, &mut starting);
        for key in starting.drain(..) {
            machine.start(key, now);
        }
    }
    progress(submitted);
    Ok(Outcome::new(log, processors, machine.started_at))
}

fn check(log: &[LogJob], processors: u64) -> Result<(), ReplayError> {
    for job in log {
        if job.width == 0 || job.width > processors {
            return Err(ReplayError::Width { job: job.id, width: job.width, processors });
        }
    }
    let unsorted = log.windows(2).find(|pair| pair[1].submitted_at < pair[0].submitted_at);
    unsorted.map_or(Ok(()), |pair| Err(ReplayError::Order { job: pair[1].id }))
}

/// The machine itself. To the queue a job is known by its index in the log, which is unique whatever the log says.
struct Machine<'a> {
    log: &'a [LogJob],
    started_at: Vec<Option<TimeMs>>,
    /// Ends to come: time, then the order of starting.
    running: BinaryHeap<Reverse<(TimeMs, u64, usize)>>,
    started: u64,
}

impl Machine<'_> {
    fn next(&self, submitted: usize, wake_at: Option<TimeMs>) -> Option<TimeMs> {
        let submission = self.log.get(submitted).map(|job| job.submitted_at);
        let end = self.running.peek().map(|Reverse((at, ..))| *at);
        [submission, end, wake_at].into_iter().flatten().min()
    }

    /// Takes out the jobs that end now, in the order in which they started.
    fn ends(&mut self, now: TimeMs, into: &mut Vec<usize>) {
        into.clear();
        while let Some(&Reverse((at, _, index))) = self.running.peek()
            && at == now
        {
            self.running.pop();
            into.push(index);
        }
    }

    fn start(&mut self, key: JobId, now: TimeMs) {
        let index = usize::try_from(key.0).expect("keys are indices of the log");
        assert!(self.started_at[index].replace(now).is_none(), "a job starts once");
        self.running.push(Reverse((now.after(self.log[index].run), self.started, index)));
        self.started += 1;
    }
}

fn key(index: usize) -> JobId {
    JobId(index as u64)
}

fn queued(job: &LogJob, index: usize) -> QueueJob {
    let LogJob { submitted_at, limit, width, owner, .. } = *job;
    QueueJob { id: key(index), width, limit, owner, submitted_at }
}

//! EASY backfilling (Lifka, "The ANL/IBM SP scheduling system", JSSPP 1995) under any order of the queue: the
//! first job that does not fit is promised the earliest start, and others go ahead where they do not delay it.

use std::collections::BTreeMap;

use huisuan_model::{DurationMs, JobId, TimeMs};

use super::{
    job::QueueJob,
    policy::Queue,
    predict::History,
    running::{Basis, Run, Running, Shadow},
};

/// What distinguishes the policies that backfill.
pub(super) trait Order {
    /// How long a job is expected to run; at most its limit.
    fn expected(&self, job: &QueueJob, history: &History) -> DurationMs;

    /// A job's place in the queue; smaller goes first, equal ones as they arrived.
    fn rank(&self, job: &QueueJob, expected: DurationMs) -> u128;

    /// Whether the job that arrived first goes first, whatever its rank. It is promised its start from limits, so
    /// that no wrong expectation delays it.
    fn oldest_first(&self, oldest: &QueueJob, now: TimeMs) -> bool;
}

/// A queue that is backfilled.
#[derive(Debug, Clone)]
pub(super) struct Backfill<O> {
    order: O,
    running: Running,
    history: History,
    /// By rank, then arrival.
    waiting: Vec<Waiting>,
    /// Rank of each waiting job by its arrival.
    arrivals: BTreeMap<u64, u128>,
    arrived: u64,
    started: Vec<JobId>,
    /// Whose turn it is and what it was promised in the last pass; `None` when more may start than that pass saw.
    blocked: Option<(Turn, Shadow)>,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    arrival: u64,
    basis: Basis,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    rank: u128,
    arrival: u64,
    expected: DurationMs,
    job: QueueJob,
}

impl<O: Order> Backfill<O> {
    pub(super) fn new(processors: u64, order: O) -> Self {
        Backfill {
            order,
            running: Running::new(processors),
            history: History::default(),
            waiting: Vec::new(),
            arrivals: BTreeMap::new(),
            arrived: 0,
            started: Vec::new(),
            blocked: None,
        }
    }

    fn turn(&self, now: TimeMs) -> Option<Turn> {
        let (&arrival, &rank) = self.arrivals.first_key_value()?;
        let oldest = self.index(rank, arrival);
        Some(match self.order.oldest_first(&self.waiting[oldest].job, now) {
            true => Turn { arrival, basis: Basis::Limit },
            false => Turn { arrival: self.waiting[0].arrival, basis: Basis::Expected },
        })
    }

    fn index(&self, rank: u128, arrival: u64) -> usize {
        self.waiting.partition_point(|other| (other.rank, other.arrival) < (rank, arrival))
    }

    fn start(&mut self, index: usize, now: TimeMs) {
        let Waiting { job, expected, arrival, .. } = self.waiting.remove(index);
        self.arrivals.remove(&arrival);
        self.running.start(job, expected, now);
        self.started.push(job.id);
    }

    /// Starts a job ahead of the one whose turn it is if that does not delay it.
    fn try_ahead(&mut self, index: usize, basis: Basis, shadow: &mut Shadow, now: TimeMs) -> bool {
        let Waiting { expected, job, .. } = self.waiting[index];
        let span = match basis {
            Basis::Expected => expected,
            Basis::Limit => job.limit,
        };
        let in_time = now.after(span) <= shadow.at;
        if job.width > self.running.free() || !(in_time || job.width <= shadow.extra) {
            return false;
        }
        if !in_time {
            shadow.extra -= job.width;
        }
        self.start(index, now);
        true
    }

    fn pass(&mut self, now: TimeMs) {
        self.blocked = None;
        let (turn, mut shadow) = loop {
            let Some(turn) = self.turn(now) else { return };
            let index = self.index(self.arrivals[&turn.arrival], turn.arrival);
            let width = self.waiting[index].job.width;
            if width > self.running.free() {
                break (turn, self.running.shadow(width, turn.basis, now));
            }
            self.start(index, now);
        };
        let mut index = 0;
        while index < self.waiting.len() && self.running.free() > 0 {
            let ahead = self.waiting[index].arrival != turn.arrival;
            if !(ahead && self.try_ahead(index, turn.basis, &mut shadow, now)) {
                index += 1;
            }
        }
        self.blocked = Some((turn, shadow));
    }
}

impl<O: Order> Queue for Backfill<O> {
    fn submit(&mut self, job: QueueJob, now: TimeMs) {
        self.running.admit(&job);
        let expected = self.order.expected(&job, &self.history);
        let (rank, arrival) = (self.order.rank(&job, expected), self.arrived);
        self.arrived += 1;
        let index = self.index(rank, arrival);
        self.waiting.insert(index, Waiting { rank, arrival, expected, job });
        self.arrivals.insert(arrival, rank);
        let corrected = self.running.correct(now);
        // Since the last pass room has only shrunk: where the first is still the first and waits, none of the
        // others can start, and only the new job has to be looked at.
        match self.blocked {
            Some((turn, mut shadow)) if !corrected && self.turn(now) == Some(turn) => {
                self.try_ahead(index, turn.basis, &mut shadow, now);
                self.blocked = Some((turn, shadow));
            }
            _ => self.pass(now),
        }
    }

    fn end(&mut self, job: JobId, now: TimeMs) {
        if let Some(Run { job, started_at, .. }) = self.running.end(job) {
            self.history.learn(&job, now.since(started_at));
            self.blocked = None;
        }
    }

    fn replan(&mut self, now: TimeMs) {
        self.running.correct(now);
        self.pass(now);
    }

    fn starts(&mut self, _now: TimeMs, into: &mut Vec<JobId>) {
        into.append(&mut self.started);
    }

    fn wake_at(&self) -> Option<TimeMs> {
        None
    }

    fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

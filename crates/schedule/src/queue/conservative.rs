//! `conservative`: every job is promised a start when it arrives (Feitelson and Weil, "Utilization and
//! predictability in scheduling the IBM SP2 with backfilling", IPPS 1998). When a job ends, the promises are
//! made anew in the order of arrival, and each can only move to an earlier time.

use huisuan_model::{JobId, TimeMs};

use super::{
    job::QueueJob,
    policy::Queue,
    profile::Profile,
    running::{Run, Running},
};

/// A queue in which every job has a reservation.
#[derive(Debug, Clone)]
pub(super) struct Conservative {
    running: Running,
    profile: Profile<u64>,
    /// In the order of arrival.
    reserved: Vec<Reserved>,
    /// How many reservations were ever made or moved; of two with the same start the earlier one goes first.
    made: u64,
}

#[derive(Debug, Clone, Copy)]
struct Reserved {
    job: QueueJob,
    start: TimeMs,
    made: u64,
}

impl Conservative {
    pub(super) fn new(processors: u64) -> Self {
        Conservative {
            running: Running::new(processors),
            profile: Profile::new(TimeMs(i64::MIN), processors),
            reserved: Vec::new(),
            made: 0,
        }
    }

    fn reserve(&mut self, job: QueueJob, now: TimeMs) -> TimeMs {
        let start = self.profile.earliest(job.width, job.limit, now).expect("no job is wider than the pool");
        self.profile.take(job.width, start, start.after(job.limit));
        start
    }

    /// Forgets the past. Where a job has outlived its limit, or nobody asked for the starts when they were due, what
    /// was promised does not hold any more, and all promises are made anew.
    fn advance(&mut self, now: TimeMs) {
        self.profile.advance(now);
        let outlived = self.running.correct(now);
        if !outlived && self.reserved.iter().all(|reserved| reserved.start >= now) {
            return;
        }
        self.profile = Profile::new(now, self.running.processors());
        for run in self.running.runs() {
            self.profile.take(run.job.width, now, run.expected_end);
        }
        for index in 0..self.reserved.len() {
            let start = self.reserve(self.reserved[index].job, now);
            self.promise(index, start);
        }
    }

    fn promise(&mut self, index: usize, start: TimeMs) {
        if self.reserved[index].start != start {
            self.made += 1;
            self.reserved[index] = Reserved { start, made: self.made, ..self.reserved[index] };
        }
    }
}

impl Queue for Conservative {
    fn submit(&mut self, job: QueueJob, now: TimeMs) {
        self.running.admit(&job);
        self.advance(now);
        let start = self.reserve(job, now);
        self.made += 1;
        self.reserved.push(Reserved { job, start, made: self.made });
    }

    fn end(&mut self, job: JobId, now: TimeMs) {
        if let Some(Run { job, expected_end, .. }) = self.running.end(job) {
            self.profile.release(job.width, now, expected_end);
        }
    }

    fn replan(&mut self, now: TimeMs) {
        self.advance(now);
        for index in 0..self.reserved.len() {
            let Reserved { job, start, .. } = self.reserved[index];
            if start > now {
                self.profile.release(job.width, start, start.after(job.limit));
                let start = self.reserve(job, now);
                self.promise(index, start);
            }
        }
    }

    fn starts(&mut self, now: TimeMs, into: &mut Vec<JobId>) {
        self.advance(now);
        let mut due: Vec<Reserved> = self.reserved.iter().filter(|reserved| reserved.start <= now).copied().collect();
        due.sort_unstable_by_key(|reserved| (reserved.start, reserved.made));
        self.reserved.retain(|reserved| reserved.start > now);
        for Reserved { job, .. } in due {
            self.running.start(job, job.limit, now);
            into.push(job.id);
        }
    }

    fn wake_at(&self) -> Option<TimeMs> {
        self.reserved.iter().map(|reserved| reserved.start).min()
    }

    fn waiting(&self) -> usize {
        self.reserved.len()
    }
}

#[cfg(test)]
mod tests {
    use huisuan_model::DurationMs;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_promise_moves_to_a_later_time(
            rows in prop::collection::vec((0..4_i64, 1..=8_u64, 1..20_u64, 0..=100_u64), 1..40),
        ) {
            let mut queue = Conservative::new(8);
            let mut runs: Vec<(TimeMs, JobId)> = Vec::new();
            let mut promised: Vec<TimeMs> = Vec::new();
            let (mut now, mut starting) = (TimeMs(0), Vec::new());
            let mut arrivals = rows.iter().scan(0, |at, row| {
                *at += row.0;
                Some(TimeMs(*at * 10))
            }).peekable();
            loop {
                let ends = runs.iter().map(|run| run.0).min();
                let Some(next) = ends.into_iter().chain(arrivals.peek().copied()).chain(queue.wake_at()).min() else { break };
                prop_assert!(next >= now);
                now = next;
                // All that ends at a moment is told before anything is planned: a job that has reached its limit and
                // was not told to have ended counts as one that outlives it, and then no promise holds.
                let ended: Vec<_> = runs.extract_if(.., |run| run.0 == now).collect();
                ended.iter().for_each(|(_, job)| queue.end(*job, now));
                if !ended.is_empty() {
                    queue.replan(now);
                }
                while arrivals.next_if_eq(&now).is_some() {
                    let id = promised.len();
                    let (_, width, limit, _) = rows[id];
                    let limit = DurationMs(limit * 100);
                    queue.submit(QueueJob { id: JobId(id as u64), width, limit, owner: None, submitted_at: now }, now);
                    promised.push(queue.reserved.last().expect("just submitted").start);
                }
                queue.starts(now, &mut starting);
                for id in starting.drain(..) {
                    let (_, _, limit, part) = rows[id.0 as usize];
                    prop_assert!(now <= promised[id.0 as usize], "job {} at {}", id, now);
                    runs.push((now.after(DurationMs(limit * part)), id));
                }
                for reserved in &queue.reserved {
                    let promise = &mut promised[reserved.job.id.0 as usize];
                    prop_assert!(reserved.start <= *promise, "job {} from {} to {}", reserved.job.id, promise, reserved.start);
                    *promise = reserved.start;
                }
            }
            prop_assert_eq!(promised.len(), rows.len());
        }
    }
}

//! Laws that hold for every queue, under random logs. The driver keeps its own books, so that it shares nothing
//! with what it judges.

use huisuan_model::{DurationMs, JobId, TimeMs};
use proptest::prelude::*;

use super::{GUARD, Queue, QueueJob, QueuePolicy};

const HOUR_MS: u64 = 3_600_000;

/// A job and what nobody knows before it happens.
#[derive(Debug, Clone, Copy)]
struct Case {
    job: QueueJob,
    run: DurationMs,
}

/// A run of one job in the driver's books.
#[derive(Debug, Clone, Copy)]
struct Run {
    index: usize,
    start: TimeMs,
}

/// One machine, event by event.
struct Driver<'a> {
    cases: &'a [Case],
    processors: u64,
    running: Vec<Run>,
    starts: Vec<Option<TimeMs>>,
    submitted: usize,
}

impl<'a> Driver<'a> {
    fn new(cases: &'a [Case], processors: u64) -> Self {
        Driver { cases, processors, running: Vec::new(), starts: vec![None; cases.len()], submitted: 0 }
    }

    /// Runs all jobs; `look` sees the books after every moment.
    fn drive(mut self, mut queue: Box<dyn Queue>, mut look: impl FnMut(&Driver<'_>, TimeMs)) -> Vec<TimeMs> {
        let mut starting = Vec::new();
        while let Some(now) = self.next(queue.wake_at()) {
            let (ending, running) = self.running.iter().partition(|run| self.end(run) == now);
            self.running = running;
            let ending: Vec<Run> = ending;
            for run in &ending {
                queue.end(JobId(run.index as u64), now);
            }
            while self.cases.get(self.submitted).is_some_and(|case| case.job.submitted_at == now) {
                queue.submit(self.cases[self.submitted].job, now);
                self.submitted += 1;
            }
            if !ending.is_empty() {
                queue.replan(now);
            }
            queue.starts(now, &mut starting);
            for id in starting.drain(..) {
                self.start(usize::try_from(id.0).expect("ids are indices"), now);
            }
            look(&self, now);
            let waiting = self.starts[..self.submitted].iter().filter(|start| start.is_none()).count();
            assert_eq!(queue.waiting(), waiting, "the queue counts what waits");
        }
        self.starts.into_iter().map(|start| start.expect("every job starts at last")).collect()
    }

    fn next(&self, wake_at: Option<TimeMs>) -> Option<TimeMs> {
        let submission = self.cases.get(self.submitted).map(|case| case.job.submitted_at);
        self.running.iter().map(|run| self.end(run)).chain(submission).chain(wake_at).min()
    }

    fn end(&self, run: &Run) -> TimeMs {
        run.start.after(self.cases[run.index].run)
    }

    fn free(&self) -> u64 {
        self.processors - self.running.iter().map(|run| self.cases[run.index].job.width).sum::<u64>()
    }

    fn start(&mut self, index: usize, now: TimeMs) {
        assert!(index < self.submitted && self.starts[index].is_none(), "job {index} starts once, after it came");
        assert!(self.cases[index].job.width <= self.free(), "job {index} at {now}: more than there is");
        self.starts[index] = Some(now);
        self.running.push(Run { index, start: now });
    }

    /// The first job in the order of arrival that waits.
    fn oldest(&self) -> Option<usize> {
        (0..self.submitted).find(|index| self.starts[*index].is_none())
    }

    /// When so much will be free if every job that runs does so to its limit and nothing else starts.
    fn free_at(&self, width: u64) -> TimeMs {
        let mut limits: Vec<(TimeMs, u64)> = self
            .running
            .iter()
            .map(|run| (run.start.after(self.cases[run.index].job.limit), self.cases[run.index].job.width))
            .collect();
        limits.sort_unstable();
        let mut free = self.free();
        for (at, freed) in limits {
            free += freed;
            if free >= width {
                return at;
            }
        }
        panic!("a job is wider than the machine");
    }
}

fn no_look(_: &Driver<'_>, _: TimeMs) {}

/// Logs of up to 60 jobs on 16 processors, busy enough to wait for days; run times up to `over` hundredths of the
/// limit.
fn logs(over: u64) -> impl Strategy<Value = Vec<Case>> {
    let job = (0..30_u64, 1..=16_u64, 1..60_u64, 0..=over, 0..4_u64);
    prop::collection::vec(job, 1..60).prop_map(|rows| {
        let mut at_ms = 0;
        let case = |(id, (gap, width, limit_h, part, owner)): (usize, (u64, u64, u64, u64, u64))| {
            // A third of the jobs come together with the one before.
            at_ms += i64::try_from(gap.saturating_sub(10) * HOUR_MS / 4).expect("small");
            let limit = DurationMs(limit_h * HOUR_MS);
            let owner = (owner > 0).then_some(owner);
            let job = QueueJob { id: JobId(id as u64), width, limit, owner, submitted_at: TimeMs(at_ms) };
            Case { job, run: DurationMs(limit.0 * part / 100) }
        };
        rows.into_iter().enumerate().map(case).collect()
    })
}

proptest! {
    #[test]
    fn no_policy_gives_more_than_there_is(cases in logs(150), more in 0..3_u64) {
        for policy in QueuePolicy::ALL {
            Driver::new(&cases, 16 + more).drive(policy.open(16 + more), no_look);
        }
    }

    #[test]
    fn a_job_that_comes_to_an_empty_queue_and_fits_starts_at_once(cases in logs(150)) {
        for policy in QueuePolicy::ALL {
            Driver::new(&cases, 16).drive(policy.open(16), |driver, now| {
                let mut waiting = (0..driver.submitted).filter(|index| driver.starts[*index].is_none());
                if let (Some(only), None) = (waiting.next(), waiting.next()) {
                    assert!(driver.cases[only].job.width > driver.free(), "{policy} {now}: job {only} waits for nothing");
                }
            });
        }
    }

    #[test]
    fn fifo_starts_in_order_and_never_later_on_a_larger_machine(cases in logs(150), more in 1..9_u64) {
        let starts = Driver::new(&cases, 16).drive(QueuePolicy::Fifo.open(16), no_look);
        prop_assert!(starts.is_sorted());
        let larger = Driver::new(&cases, 16 + more).drive(QueuePolicy::Fifo.open(16 + more), no_look);
        prop_assert!(larger.iter().zip(&starts).all(|(larger, start)| larger <= start));
    }

    #[test]
    fn the_oldest_is_never_delayed_by_those_that_go_ahead(cases in logs(100)) {
        for policy in [QueuePolicy::Easy, QueuePolicy::EasySjbf] {
            promises_hold(&cases, policy, DurationMs(0));
        }
    }

    #[test]
    fn past_the_guard_nobody_is_overtaken_to_his_harm(cases in logs(100)) {
        promises_hold(&cases, QueuePolicy::SafGuard, GUARD);
    }

    #[test]
    fn the_same_log_gives_the_same_starts(cases in logs(150)) {
        for policy in QueuePolicy::ALL {
            let run = || Driver::new(&cases, 16).drive(policy.open(16), no_look);
            prop_assert_eq!(run(), run());
        }
    }
}

/// Whoever is the oldest that waits, and has for so long, starts no later than it could at that moment if nobody
/// went ahead and everybody ran to the limit.
fn promises_hold(cases: &[Case], policy: QueuePolicy, waited: DurationMs) {
    let mut promised: Vec<Option<TimeMs>> = vec![None; cases.len()];
    let starts = Driver::new(cases, 16).drive(policy.open(16), |driver, now| {
        if let Some(oldest) = driver.oldest()
            && now.since(cases[oldest].job.submitted_at) >= waited
        {
            let at = driver.free_at(cases[oldest].job.width);
            promised[oldest] = Some(promised[oldest].map_or(at, |before| before.min(at)));
        }
    });
    for (index, (start, promise)) in starts.iter().zip(promised).enumerate() {
        assert!(promise.is_none_or(|promise| *start <= promise), "{policy}: job {index} at {start}, not {promise:?}");
    }
}

/// The starts of jobs (submitted, width, limit, run), in hours.
#[track_caller]
fn check(policy: QueuePolicy, processors: u64, jobs: &[(i64, u64, u64, u64)], starts: &[i64]) {
    let case = |(id, &(at, width, limit, run)): (usize, &(i64, u64, u64, u64))| Case {
        job: QueueJob {
            id: JobId(id as u64),
            width,
            limit: DurationMs(limit * HOUR_MS),
            owner: Some(1),
            submitted_at: TimeMs(at * HOUR_MS as i64),
        },
        run: DurationMs(run * HOUR_MS),
    };
    let cases: Vec<Case> = jobs.iter().enumerate().map(case).collect();
    let found = Driver::new(&cases, processors).drive(policy.open(processors), no_look);
    let found: Vec<i64> = found.into_iter().map(|start| start.0 / HOUR_MS as i64).collect();
    assert_eq!(found, starts, "{policy}");
}

#[test]
fn each_policy_goes_its_way() {
    use QueuePolicy::{Conservative, Easy, EasySjbf, Fifo, SafGuard};
    // The third waits for eight hours; at three o'clock there is room beside the first, for the fourth or the fifth.
    let jobs = [(0, 6, 8, 8), (0, 4, 3, 3), (1, 8, 4, 4), (1, 4, 5, 5), (1, 4, 2, 2)];
    check(Fifo, 10, &jobs, &[0, 0, 8, 12, 12]);
    check(Easy, 10, &jobs, &[0, 0, 8, 3, 12]);
    check(EasySjbf, 10, &jobs, &[0, 0, 8, 12, 3]);
    check(Conservative, 10, &jobs, &[0, 0, 8, 3, 12]);
    // Width times run time squared: the fifth, the fourth, the third.
    check(SafGuard, 10, &jobs, &[0, 0, 10, 5, 3]);
}

#[test]
fn conservative_keeps_what_easy_takes() {
    // The fourth goes ahead of the third under easy, which promises nothing to the third.
    let jobs = [(0, 7, 2, 2), (0, 8, 2, 2), (0, 9, 2, 2), (1, 2, 5, 5)];
    check(QueuePolicy::Easy, 10, &jobs, &[0, 2, 6, 1]);
    check(QueuePolicy::Conservative, 10, &jobs, &[0, 2, 4, 6]);
}

#[test]
fn a_job_past_its_limit_is_reckoned_with() {
    // The first runs three times as long as it said; nothing starts on its processors before it ends.
    let jobs = [(0, 10, 2, 6), (1, 10, 1, 1), (1, 5, 1, 1), (1, 5, 3, 3)];
    check(QueuePolicy::Fifo, 10, &jobs, &[0, 6, 7, 7]);
    check(QueuePolicy::Easy, 10, &jobs, &[0, 6, 7, 7]);
    check(QueuePolicy::Conservative, 10, &jobs, &[0, 6, 7, 7]);
}

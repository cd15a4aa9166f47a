//! A scenario as a live load in fast motion: what comes when, and what becomes of it.
//!
//! The work begins on the scenario's first morning, with all that came in the day before and still runs. Gaps, lengths
//! and walltimes are divided by the speed. A job carries its truth in its command, so that whoever plays its centre
//! needs nothing else: `simulated length_ms=1500 spread_percent=130 failing_ppm=5000 busy_percent=85`.
//!
//! What is left out: jobs that follow others, faults, and, of the day before, jobs whose length is counted in work
//! (their length is not known before they are placed).

use std::sync::Arc;

use huisuan_model::{DurationMs, Gflop, JobSpec, RatedShare, StartOrder, TimeMs, spec::Work};
use huisuan_twin::{
    random::Stream,
    workload::{Arrival, Length, Truth, Workload},
};

use crate::scenario::Scenario;

/// The program of a simulated job.
const PROGRAM: &str = "simulated";
/// The local hour at which the work begins: the day's first busy one.
const BEGIN_MS: i64 = 10 * HOUR_MS;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Long enough for a demo that is never stopped, in days.
const DAYS: i64 = 3_660;

/// One job that comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coming {
    /// How long after the beginning, in real milliseconds; 0 for what runs already.
    pub after_ms: u64,
    /// What to submit.
    pub spec: JobSpec,
}

/// What becomes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// How long it runs, in real milliseconds.
    pub run_ms: u64,
    /// The code that it exits with.
    pub exit_code: i32,
    /// How much of its processors it keeps busy, in hundredths.
    pub busy_percent: u64,
}

/// The jobs of a scenario in the order in which they come.
#[derive(Debug, Clone)]
pub struct Lapse {
    workload: Workload,
    begin: TimeMs,
    speed: u64,
}

impl Lapse {
    /// A scenario in which `speed` seconds pass in one.
    pub fn new(scenario: &Scenario, speed: u64) -> Lapse {
        let begin = TimeMs(scenario.setup.start.0 + BEGIN_MS);
        let (from, until) = (TimeMs(begin.0 - DAY_MS), TimeMs(begin.0 + DAYS * DAY_MS));
        let workload =
            Workload::new(scenario.families.clone(), scenario.trace.clone(), from, until, scenario.setup.seed);
        Lapse { workload, begin, speed: speed.max(1) }
    }

    fn coming(&self, job: Arrival) -> Option<Coming> {
        let Arrival { at, spec, truth, .. } = job;
        let length = match truth.length {
            Length::Ms(ms) => Length::Ms(left(at, ms, self.begin)?),
            Length::Work(_) if at < self.begin => return None,
            Length::Work(work) => Length::Work(work),
        };
        let mut spec = Arc::unwrap_or_clone(spec);
        spec.walltime = DurationMs((spec.walltime.0 / self.speed).max(1));
        spec.work = Work::Command(command(length, &truth, self.speed));
        Some(Coming { after_ms: at.since(self.begin).0 / self.speed, spec })
    }
}

impl Iterator for Lapse {
    type Item = Coming;

    fn next(&mut self) -> Option<Coming> {
        loop {
            let job = self.workload.take()?;
            if let Some(coming) = self.coming(job) {
                return Some(coming);
            }
        }
    }
}

/// What becomes of the task of an order, where `share` of a pool works for it. Work that is no simulated job, such as
/// what somebody submits by hand, ends well after a second.
pub fn course(order: &StartOrder, share: Option<RatedShare>, seed: u64) -> Course {
    let Some((length, truth)) = truth(&order.spec, order.attempt.job.0, seed) else {
        return Course { run_ms: 1_000, exit_code: 0, busy_percent: 100 };
    };
    let truth = Truth { length, ..truth };
    let (run_ms, exit_code) = truth.of_task(order.attempt, order.spec.gang, share);
    Course { run_ms, exit_code, busy_percent: truth.busy_percent }
}

/// What is left of a job at `begin` that came at `at`, in milliseconds; `None` when it has ended before.
fn left(at: TimeMs, length_ms: u64, begin: TimeMs) -> Option<u64> {
    let behind = begin.since(at).0;
    length_ms.checked_sub(behind).filter(|&left| left > 0)
}

fn command(length: Length, truth: &Truth, speed: u64) -> Vec<String> {
    let length = match length {
        Length::Ms(ms) => format!("length_ms={}", (ms / speed).max(1)),
        Length::Work(work) => format!("work_gflop={}", (work.0 / speed).max(1)),
    };
    vec![
        PROGRAM.to_owned(),
        length,
        format!("spread_percent={}", truth.task_spread_percent),
        format!("failing_ppm={}", truth.failing_ppm),
        format!("busy_percent={}", truth.busy_percent),
    ]
}

/// The truth in a command; draws for tasks come from the job's number.
fn truth(spec: &JobSpec, job: u64, seed: u64) -> Option<(Length, Truth)> {
    let Work::Command(arguments) = &spec.work else { return None };
    let (program, fields) = arguments.split_first()?;
    if program != PROGRAM {
        return None;
    }
    let number = |name: &str| {
        let value = fields.iter().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.parse::<u64>().ok())
    };
    let length = match (number("length_ms"), number("work_gflop")) {
        (Some(ms), _) => Length::Ms(ms),
        (None, Some(work)) => Length::Work(Gflop(work)),
        (None, None) => return None,
    };
    let truth = Truth {
        family: 0,
        length,
        task_spread_percent: number("spread_percent").unwrap_or(100),
        failing_ppm: number("failing_ppm").unwrap_or(0),
        busy_percent: number("busy_percent").unwrap_or(100),
        stream: Stream::new(seed, "course").child(job),
    };
    Some((length, truth))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use huisuan_model::{AttemptId, CentreId, JobId, MilliDevices, Millicores, ProjectId, TenantId};

    use super::*;
    use crate::read::Text;

    fn city() -> Scenario {
        let text = Text::new("zhengzhou-2025.toml", include_str!("../../../scenarios/zhengzhou-2025.toml"));
        Scenario::parse(&text, Path::new("")).expect("a shipped scenario")
    }

    fn order(spec: &JobSpec, job: u64) -> StartOrder {
        StartOrder {
            attempt: AttemptId { job: JobId(job), task: 0, attempt: 1 },
            centre: CentreId::new("here").expect("a name"),
            tenant: TenantId::new("local").expect("a name"),
            project: ProjectId::new("default").expect("a name"),
            spec: Arc::new(spec.clone()),
            cores: Millicores(1_000),
            devices: MilliDevices::ZERO,
            pool: None,
            account: None,
        }
    }

    #[test]
    fn the_city_is_busy_from_the_first_moment() {
        let jobs: Vec<Coming> = Lapse::new(&city(), 60).take_while(|job| job.after_ms < 60_000).collect();
        let running = jobs.iter().filter(|job| job.after_ms == 0).count();
        assert!((200..2_000).contains(&running), "{running} jobs run already");
        assert!(jobs.is_sorted_by_key(|job| job.after_ms));
        // The first hour of the morning brings more than the day's mean of 3,000 jobs an hour.
        assert!((3_000..9_000).contains(&(jobs.len() - running)), "{} jobs in the first hour", jobs.len() - running);
        for job in &jobs {
            let course = course(&order(&job.spec, 1), None, 7);
            let gang = job.spec.gang || job.spec.tasks.len() == 1;
            assert!(!gang || course.run_ms <= job.spec.walltime.0, "{:?} {course:?}", job.spec.work);
        }
    }

    #[test]
    fn speed_divides_gaps_and_lengths() {
        let first = |speed| Lapse::new(&city(), speed).find(|job| job.after_ms > 0).expect("a job");
        let (slow, fast) = (first(1), first(60));
        assert_eq!((slow.after_ms / 60, slow.spec.walltime.0 / 60), (fast.after_ms, fast.spec.walltime.0));
        let run_ms = |job: &Coming| course(&order(&job.spec, 9), None, 7).run_ms;
        assert!(run_ms(&slow).abs_diff(run_ms(&fast) * 60) <= 60, "{slow:?} {fast:?}");
    }

    #[test]
    fn what_is_left_of_a_job() {
        let check = |at, length, expected| assert_eq!(left(TimeMs(at), length, TimeMs(100)), expected, "{at} {length}");
        check(40, 60, None);
        check(40, 61, Some(1));
        check(100, 7, Some(7));
        check(200, 7, Some(7));
    }

    #[test]
    fn a_course_depends_on_job_and_seed_alone() {
        let mut spec =
            JobSpec::command("x", &["simulated", "length_ms=500", "failing_ppm=500000", "spread_percent=200"]);
        let courses = |seed| (1..40).map(|job| course(&order(&spec, job), None, seed)).collect::<Vec<_>>();
        assert_eq!(courses(1), courses(1));
        assert_ne!(courses(1), courses(2));
        let failed = courses(1).iter().filter(|course| course.exit_code == 1).count();
        assert!((5..35).contains(&failed), "{failed} of 39");
        spec.work = Work::Command(vec!["echo".to_owned(), "hello".to_owned()]);
        assert_eq!(course(&order(&spec, 1), None, 1), Course { run_ms: 1_000, exit_code: 0, busy_percent: 100 });
    }
}

//! Jobs to come: families of similar jobs drawn at random, and jobs of a trace, merged by time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
};

use huisuan_model::{AttemptId, Gflop, JobSpec, ProjectId, RatedShare, TenantId, TimeMs};

use crate::random::Stream;

/// Milliseconds in an hour.
const HOUR_MS: i64 = 3_600_000;
/// Microseconds in a day.
const DAY_US: u64 = 86_400_000_000;

/// How long a task runs, which nobody knows before: neither the scheduler nor the virtual centre tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// This many milliseconds, wherever it runs.
    Ms(u64),
    /// As long as its share of the pool's true rate needs for this much work.
    Work(Gflop),
}

/// The truth about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The index of its family.
    pub family: usize,
    /// How long its tasks run.
    pub length: Length,
    /// How far tasks that do not start together differ: 68 of 100 within this factor, in hundredths.
    pub task_spread_percent: u64,
    /// How many of a million tasks exit with code 1 at their end.
    pub failing_ppm: u64,
    /// How much of the processors given it keeps busy, in hundredths.
    pub busy_percent: u64,
    /// Draws for each of its tasks.
    pub stream: Stream,
}

impl Truth {
    /// How long a task would run where `share` of a pool works for it, in milliseconds, and its exit code then.
    pub fn of_task(&self, attempt: AttemptId, gang: bool, share: Option<RatedShare>) -> (u64, i32) {
        let mut stream = self.stream.child(u64::from(attempt.task) << 32 | u64::from(attempt.attempt));
        let exit_code = i32::from(stream.chance(self.failing_ppm));
        let spread_percent = if gang { 100 } else { self.task_spread_percent };
        let mut spread =
            |length: u64| if spread_percent > 100 { stream.log_normal(length, spread_percent) } else { length };
        let run_ms = match self.length {
            Length::Ms(run_ms) => spread(run_ms),
            Length::Work(work) => share.map_or(u64::MAX, |share| {
                let rate = u128::from(share.sustained.0) * u128::from(share.part);
                let ms = u128::from(spread(work.0)) * 1_000 * u128::from(share.whole) / rate.max(1);
                u64::try_from(ms).unwrap_or(u64::MAX)
            }),
        };
        (run_ms.max(1), exit_code)
    }
}

/// One job that comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: TimeMs,
    /// Who pays.
    pub tenant: TenantId,
    /// What for.
    pub project: ProjectId,
    /// What is asked.
    pub spec: Arc<JobSpec>,
    /// What will happen.
    pub truth: Truth,
}

/// A random length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Half of the draws are below it.
    pub median: u64,
    /// 68 of 100 draws lie within this factor of the median, in hundredths; 100 for a constant.
    pub spread_percent: u64,
    /// No draw is below.
    pub min: u64,
    /// No draw is above.
    pub max: u64,
}

impl Draw {
    fn take(&self, stream: &mut Stream) -> u64 {
        stream.log_normal(self.median, self.spread_percent).clamp(self.min, self.max.max(self.min))
    }
}

/// What the draws of a family's length mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Work in GFLOP.
    Gflop,
}

/// Jobs that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its name, which also names its random stream.
    pub name: String,
    /// How many jobs come in a day on average.
    pub jobs_per_day: u64,
    /// How many jobs come at once.
    pub burst: u64,
    /// How busy each hour of the local day is; all alike for a constant rate. A family without weight never comes.
    pub hour_weights: [u64; 24],
    /// When the family's hours begin, in milliseconds after those of UTC.
    pub zone_ms: i64,
    /// Who submits, each with a weight.
    pub owners: Vec<((TenantId, ProjectId), u64)>,
    /// What is submitted, each with a weight.
    pub specs: Vec<(Arc<JobSpec>, u64)>,
    /// How long a task runs, or how much work it is.
    pub length: Draw,
    /// What `length` counts.
    pub unit: Unit,
    /// How far tasks of one job differ that do not start together, as a factor in hundredths; 100 for not at all.
    pub task_spread_percent: u64,
    /// How many of a million tasks exit with code 1.
    pub failing_ppm: u64,
    /// How much of its processors a task keeps busy, in hundredths.
    pub busy_percent: u64,
    /// The family whose jobs, when they end well, each bring one job of this one.
    pub after: Option<usize>,
}

/// All jobs to come, in the order of time.
#[derive(Debug, Clone)]
pub struct Workload {
    families: Vec<Source>,
    /// The next moment of each family in microseconds from the start, by time and then by index.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    trace: std::iter::Peekable<std::vec::IntoIter<Arrival>>,
    followers: BTreeMap<usize, Vec<usize>>,
    start: TimeMs,
    end: TimeMs,
}

/// A family and how far it is.
#[derive(Debug, Clone)]
struct Source {
    family: Family,
    gaps: Stream,
    jobs: Stream,
    /// Jobs of the present burst that have not come.
    burst_left: u64,
    count: u64,
}

impl Workload {
    /// Jobs of these families and this trace, from `start` to before `end`. A trace in disorder is put in order.
    pub fn new(families: Vec<Family>, mut trace: Vec<Arrival>, start: TimeMs, end: TimeMs, seed: u64) -> Self {
        trace.retain(|job| (start..end).contains(&job.at));
        trace.sort_by_key(|job| job.at);
        let mut followers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, family) in families.iter().enumerate() {
            if let Some(leader) = family.after {
                followers.entry(leader).or_default().push(index);
            }
        }
        let source = |family: Family| {
            let stream = |kind: &str| Stream::new(seed, &format!("{kind}/{}", family.name));
            Source { gaps: stream("arrivals"), jobs: stream("jobs"), family, burst_left: 0, count: 0 }
        };
        let families = families.into_iter().map(source).collect();
        let mut workload =
            Workload { families, heads: BinaryHeap::new(), trace: trace.into_iter().peekable(), followers, start, end };
        (0..workload.families.len()).for_each(|index| workload.advance(index, 0));
        workload
    }

    /// The projects of each tenant that jobs come for.
    pub fn projects(&self) -> BTreeMap<TenantId, BTreeSet<ProjectId>> {
        let mut projects: BTreeMap<TenantId, BTreeSet<ProjectId>> = BTreeMap::new();
        let owners = self.families.iter().flat_map(|source| &source.family.owners).map(|(owner, _)| owner.clone());
        let of_trace = self.trace.clone().map(|job| (job.tenant, job.project));
        for (tenant, project) in owners.chain(of_trace) {
            projects.entry(tenant).or_default().insert(project);
        }
        projects
    }

    /// The next job; `None` after the last.
    pub fn take(&mut self) -> Option<Arrival> {
        let head = self.heads.peek().map(|Reverse((at_us, index))| (self.moment(*at_us), *index));
        if let Some(job) = self.trace.peek()
            && head.is_none_or(|(at, _)| job.at <= at)
        {
            return self.trace.next();
        }
        let Reverse((at_us, index)) = self.heads.pop()?;
        let at = self.moment(at_us);
        let source = &mut self.families[index];
        if source.burst_left > 1 {
            source.burst_left -= 1;
            self.heads.push(Reverse((at_us, index)));
        } else {
            self.advance(index, at_us);
        }
        self.families[index].job(index, at, None)
    }

    /// The jobs that the good end of a job of `family` brings at once, for the same tenant.
    pub fn followers(&mut self, family: usize, owner: (&TenantId, &ProjectId), at: TimeMs) -> Vec<Arrival> {
        if at >= self.end {
            return Vec::new();
        }
        let indices = self.followers.get(&family).map_or(&[][..], Vec::as_slice);
        indices.iter().filter_map(|&index| self.families[index].job(index, at, Some(owner))).collect()
    }

    /// Puts a family's next moment after `after_us` in line.
    fn advance(&mut self, index: usize, after_us: u64) {
        let span_us = self.end.since(self.start).0.saturating_mul(1_000);
        let next = self.families[index].advance(after_us, self.start, span_us);
        self.heads.extend(next.map(|at_us| Reverse((at_us, index))));
    }

    fn moment(&self, at_us: u64) -> TimeMs {
        TimeMs(self.start.0.saturating_add(i64::try_from(at_us / 1_000).unwrap_or(i64::MAX)))
    }
}

impl Source {
    /// The family's next moment in microseconds from `start`: candidates at the rate of the busiest hour, each kept
    /// with the weight of its hour (thinning; Lewis, Shedler: "Simulation of nonhomogeneous Poisson processes by
    /// thinning", 1979). `None` when it would not be before `end_us`.
    fn advance(&mut self, after_us: u64, start: TimeMs, end_us: u64) -> Option<u64> {
        let family = &self.family;
        let weight_max = family.hour_weights.iter().copied().max().unwrap_or(0);
        let comes = family.after.is_none() && !family.owners.is_empty() && !family.specs.is_empty();
        if !comes || weight_max == 0 || family.jobs_per_day == 0 {
            return None;
        }
        self.burst_left = family.burst.max(1);
        let mean =
            u128::from(DAY_US) * u128::from(family.hour_weights.iter().sum::<u64>()) * u128::from(self.burst_left)
                / (24 * u128::from(weight_max) * u128::from(family.jobs_per_day));
        let mean_us = u64::try_from(mean).unwrap_or(u64::MAX);
        let mut at_us = after_us;
        loop {
            at_us = at_us.saturating_add(self.gaps.exponential(mean_us).max(1));
            if at_us >= end_us {
                return None;
            }
            let hours = (start.0 + family.zone_ms + (at_us / 1_000) as i64).div_euclid(HOUR_MS);
            let hour = usize::try_from(hours.rem_euclid(24)).expect("an hour of the day");
            if self.gaps.below(weight_max) < family.hour_weights[hour] {
                return Some(at_us);
            }
        }
    }

    /// Draws one job; `None` for a family without specs or owners.
    fn job(&mut self, index: usize, at: TimeMs, owner: Option<(&TenantId, &ProjectId)>) -> Option<Arrival> {
        let family = &self.family;
        self.count += 1;
        let mut stream = self.jobs.child(self.count);
        let own = &pick(&family.owners, &mut stream)?.0;
        let (tenant, project) = owner.unwrap_or((&own.0, &own.1));
        let spec = &pick(&family.specs, &mut stream)?.0;
        let length = family.length.take(&mut stream);
        let length = match family.unit {
            Unit::Ms => Length::Ms(length),
            Unit::Gflop => Length::Work(Gflop(length)),
        };
        let truth = Truth {
            family: index,
            length,
            task_spread_percent: family.task_spread_percent,
            failing_ppm: family.failing_ppm,
            busy_percent: family.busy_percent,
            stream: stream.child(0),
        };
        Some(Arrival { at, tenant: tenant.clone(), project: project.clone(), spec: spec.clone(), truth })
    }
}

fn pick<'a, T>(weighted: &'a [(T, u64)], stream: &mut Stream) -> Option<&'a (T, u64)> {
    match weighted {
        [only] => Some(only),
        many => {
            let weights: Vec<u64> = many.iter().map(|(_, weight)| *weight).collect();
            many.get(stream.pick(&weights))
        }
    }
}

//! A workload run by the real control and scheduler on virtual centres of its own network.

use std::sync::Arc;

use huisuan_model::{
    Bytes, Centre, CentreId, Class, Command, DurationMs, EngineKind, Event, GflopPerS, JobId, JobSpec, Mark,
    MilliDevices, Millicores, Money, Pool, PoolId, ProjectId, Rating, Tariff, Tenant, TenantId, TimeMs,
    centre::CURRENCY,
    command::Origin,
    spec::{DeviceNeed, Need, limits},
};
use huisuan_twin::{
    Observer, World,
    control::{Refusal, State},
    random::Stream,
    schedule::{Budget, Policy, Seed, queue::QueuePolicy},
    setup::{Planning, Setup, Site},
    workload::{Arrival, Length, Truth, Workload as Arrivals},
};

use super::{
    ImportedCentre, ImportedPool, Job, Made, Network, Workload,
    asked::{Asked, asked, part_id},
};
use crate::{
    one_queue::{NotOneQueue, OneQueue},
    scenario::Scenario,
};

/// How to run a workload.
#[derive(Debug, Clone)]
pub struct Options {
    /// The rules of choice.
    pub policy: Policy,
    /// Whether jobs may go to any centre with their hardware, or only to the one where they ran.
    pub anywhere: bool,
    /// The shortest time between two cycles of the scheduler, in milliseconds.
    pub plan_every_ms: u64,
}

/// The shortest time between two cycles where nothing else is said, in milliseconds.
pub(super) const PLAN_EVERY_MS: u64 = 1_000;

impl Default for Options {
    fn default() -> Self {
        Options { policy: Policy::default(), anywhere: false, plan_every_ms: PLAN_EVERY_MS }
    }
}

/// What became of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulation {
    /// What became of each job, in the order of the workload.
    pub fates: Vec<Fate>,
    /// One figure for all decisions.
    pub decision_hash: String,
    /// How many cycles the scheduler made.
    pub cycles: u64,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It started after so many milliseconds.
    Started {
        /// From its submission.
        wait_ms: u64,
    },
    /// It was refused at the door, with the reason.
    Refused(String),
    /// It never started.
    Waiting,
}

/// Runs the workload to its end. `progress` is told now and then how many jobs have come, of how many.
///
/// The same arguments give the same fates: nothing is drawn at random.
pub fn simulate(
    workload: &Workload,
    network: &Network,
    options: &Options,
    progress: impl FnMut(u64, u64),
) -> Simulation {
    let (setup, arrivals) = prepared(workload, network, options);
    let world = World::new(setup, arrivals, Watch::new(workload.jobs.len()));
    run(world, workload.jobs.len() as u64, progress)
}

/// The same where the network is one queue, under a policy of a queue.
///
/// # Errors
/// When the network is more than one queue.
pub fn simulate_queue(
    workload: &Workload,
    network: &Network,
    options: &Options,
    policy: QueuePolicy,
) -> Result<Simulation, NotOneQueue> {
    let (setup, arrivals) = prepared(workload, network, options);
    let queue = OneQueue::from(&setup, arrivals)?;
    Ok(queued(&queue, policy, 0))
}

/// The fates of the jobs of a family in one queue.
pub(super) fn queued(queue: &OneQueue, policy: QueuePolicy, family: usize) -> Simulation {
    let queued = queue.run(policy);
    let fate = |wait_ms: &Option<u64>| match wait_ms {
        Some(wait_ms) => Fate::Started { wait_ms: *wait_ms },
        None => Fate::Refused("larger than the pool".to_owned()),
    };
    let mine = queued.waits_ms.iter().zip(&queue.families).filter(|(_, of)| **of == family);
    let fates = mine.map(|(wait_ms, _)| fate(wait_ms)).collect();
    Simulation { fates, decision_hash: queued.outcome.decision_hash, cycles: 0 }
}

fn prepared(workload: &Workload, network: &Network, options: &Options) -> (Setup, Arrivals) {
    let jobs = &workload.jobs;
    let first_ms = jobs.first().map_or(0, |job| job.submit_at_ms);
    // After the last submission every job of the longest walltime could run alone before this.
    let span_ms = i64::try_from(limits::WALLTIME_MS_MAX).unwrap_or(i64::MAX).saturating_mul(1000);
    let end_ms = jobs.last().map_or(0, |job| job.submit_at_ms).saturating_add(span_ms);
    let asked = asked(workload, network, options.anywhere);
    let arrivals: Vec<Arrival> = jobs.iter().zip(asked).map(|(job, asked)| arrival(job, asked)).collect();
    let mut tenants: Vec<TenantId> = arrivals.iter().map(|arrival| arrival.tenant.clone()).collect();
    tenants.sort();
    tenants.dedup();
    let setup = Setup {
        start: TimeMs(first_ms),
        end: TimeMs(end_ms),
        seed: 0,
        tenants: tenants.into_iter().map(|id| (Tenant::new(id, u64::MAX), Money(0))).collect(),
        sites: network.centres.iter().map(|centre| site(centre, first_ms)).collect(),
        planning: Planning {
            policy: options.policy.clone(),
            budget: Budget::default(),
            seed: Seed(0),
            every_ms: options.plan_every_ms,
        },
        faults: Vec::new(),
        reservations: Vec::new(),
        rating_noise_ppm: 0,
        sample_every_ms: u64::MAX >> 1,
    };
    let arrivals = Arrivals::new(Vec::new(), arrivals, setup.start, setup.end, setup.seed);
    (setup, arrivals)
}

/// The same on a network that somebody wrote, with what else it has to do: only the fates of the imported jobs are
/// told. Those that would come after its end have none.
pub fn simulate_made(made: &Made, scenario: &Scenario, jobs: usize, progress: impl FnMut(u64, u64)) -> Simulation {
    let watch = Watch { family: made.family.unwrap_or(0), ..Watch::new(jobs) };
    run(scenario.world(watch), jobs as u64, progress)
}

fn run(mut world: World<Watch>, jobs: u64, mut progress: impl FnMut(u64, u64)) -> Simulation {
    let mut steps = 0_u64;
    while world.step().is_some() {
        steps += 1;
        if steps.is_multiple_of(4096) {
            progress(world.observer().came as u64, jobs);
        }
    }
    let (decision_hash, cycles) = (world.decisions().hash(), world.counts().cycles);
    Simulation { fates: world.into_observer().fates, decision_hash, cycles }
}

fn arrival(job: &Job, asked: Asked) -> Arrival {
    let devices = (asked.devices > 0).then(|| DeviceNeed {
        count: MilliDevices(asked.devices * 1000),
        any_of: asked.part.iter().map(|part| pool_id(part)).collect(),
        memory_min: Bytes::ZERO,
    });
    let centre = asked.centre.map(|name| CentreId::new(&name).expect(NAMES));
    let spec = JobSpec {
        need: Need::Hardware { cores: Millicores(asked.cores * 1000), devices },
        memory: Bytes(asked.memory_bytes),
        walltime: DurationMs(asked.walltime_ms),
        centres: centre.into_iter().collect(),
        ..JobSpec::command("job", &["true"])
    };
    let truth = Truth {
        family: 0,
        length: Length::Ms(job.run_ms.min(asked.walltime_ms)),
        task_spread_percent: 100,
        failing_ppm: 0,
        busy_percent: 100,
        stream: Stream::new(0, "import"),
    };
    Arrival {
        at: TimeMs(job.submit_at_ms),
        tenant: TenantId::new(&asked.tenant).expect(NAMES),
        project: ProjectId::new(&asked.project).expect(NAMES),
        spec: Arc::new(spec),
        truth,
    }
}

/// Why making a name does not fail.
const NAMES: &str = "made in the alphabet of ids";

/// Rates are assumed: they only count work, for nothing is paid and no other hardware is chosen by them.
pub(super) const CORE_GFLOP_PER_S: u64 = 10;
pub(super) const DEVICE_GFLOP_PER_S: u64 = 100_000;

fn site(centre: &ImportedCentre, now_ms: i64) -> Site {
    let class = if centre.pools.iter().any(|pool| pool.devices > 0) { Class::Ai } else { Class::Hpc };
    Site {
        centre: Centre::new(
            CentreId::new(&centre.name).expect(NAMES),
            class,
            EngineKind::Simulated,
            "UTC",
            Tariff { currency: CURRENCY.to_owned(), price_per_p_h: Money(0) },
        ),
        pools: centre.pools.iter().map(|pool| twin_pool(pool, class, now_ms)).collect(),
        order_delay_ms: 0,
        report_delay_ms: 0,
        hidden: None,
    }
}

fn twin_pool(pool: &ImportedPool, class: Class, now_ms: i64) -> Pool {
    let devices = pool.devices;
    let rate = match devices {
        0 => pool.cores.saturating_mul(CORE_GFLOP_PER_S),
        _ => devices.saturating_mul(DEVICE_GFLOP_PER_S),
    };
    Pool {
        id: pool_id(&pool.part),
        class,
        cores: Millicores(pool.cores.saturating_mul(1000)),
        memory: Bytes(room_gib(pool) << 30),
        devices: MilliDevices(devices.saturating_mul(1000)),
        device_memory: Bytes::ZERO,
        rating: Some(Rating {
            version: 1,
            sustained: GflopPerS(rate),
            nameplate: GflopPerS(rate),
            method: "assumed/1".to_owned(),
            mark: Mark::Declared,
            rated_at: TimeMs(now_ms),
            certificate: None,
            doubt: None,
        }),
        images: false,
        topology: None,
    }
}

/// The memory of a pool in whole GiB. A job takes a MiB at least, so there is one for every core.
pub(super) fn room_gib(pool: &ImportedPool) -> u64 {
    // Far below the type's end in bytes, so that no sum of what is used overflows.
    (pool.memory_bytes.saturating_add(pool.cores << 20).min(u64::MAX / 8) >> 30) + 1
}

fn pool_id(part: &str) -> PoolId {
    PoolId::new(&part_id(part)).expect(NAMES)
}

/// Notes when jobs of one family start.
pub(super) struct Watch {
    pub(super) fates: Vec<Fate>,
    family: usize,
    came: usize,
    /// For each job by number, from 1, its place in the workload and when it came; `None` for those of other families.
    accepted: Vec<Option<(usize, TimeMs)>>,
}

impl Watch {
    /// Watches so many jobs of the first family.
    pub(super) fn new(jobs: usize) -> Self {
        Watch { fates: vec![Fate::Waiting; jobs], family: 0, came: 0, accepted: Vec::new() }
    }

    fn started(&mut self, job: JobId, at: TimeMs) {
        let number = usize::try_from(job.0).ok().and_then(|number| number.checked_sub(1));
        let Some(&Some((index, came))) = number.and_then(|number| self.accepted.get(number)) else { return };
        if self.fates[index] == Fate::Waiting {
            self.fates[index] = Fate::Started { wait_ms: at.since(came).0 };
        }
    }
}

impl Observer for Watch {
    fn arrived(&mut self, now: TimeMs, arrival: &Arrival, refusal: Option<&Refusal>) {
        let mine = arrival.truth.family == self.family;
        let index = self.came;
        self.came += usize::from(mine);
        match refusal {
            Some(refusal) if mine => self.fates[index] = Fate::Refused(refusal.to_string()),
            Some(_) => {}
            None => self.accepted.push(mine.then_some((index, now))),
        }
    }

    fn decided(&mut self, _: TimeMs, _: &State, _: &Origin, _: &Command, events: &[Event]) {
        for event in events {
            match event {
                Event::AttemptStarted { attempt, at } => self.started(attempt.job, *at),
                Event::AttemptEnded { attempt, started_at: Some(at), .. } => self.started(attempt.job, *at),
                _ => {}
            }
        }
    }

    fn sampled(&mut self, _: TimeMs, _: &State) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{CPU, SizedBy};

    fn network(cores: u64, devices: u64) -> Network {
        let pool =
            |part: &str, cores, devices| ImportedPool { part: part.into(), cores, memory_bytes: 1 << 40, devices };
        let centre = ImportedCentre {
            name: "c".into(),
            cluster: "c".into(),
            partitions: vec!["p".into()],
            sized_by: SizedBy::Nodes,
            pools: vec![pool(CPU, cores, 0), pool("h100", devices, devices)],
        };
        Network { centres: vec![centre] }
    }

    fn job(submit_at_s: i64, run_s: u64, cores: u32, devices: u32) -> Job {
        Job {
            submit_at_ms: submit_at_s * 1000,
            run_ms: run_s * 1000,
            walltime_ms: Some(run_s * 1000),
            cores,
            devices,
            part: if devices > 0 { "h100".into() } else { String::new() },
            cluster: "c".into(),
            partition: "p".into(),
            ..Job::default()
        }
    }

    fn waits_s(jobs: &[Job]) -> Vec<Option<u64>> {
        let workload = Workload { jobs: jobs.to_vec() };
        let simulation = simulate(&workload, &network(4, 2), &Options::default(), |_, _| {});
        let wait = |fate: &Fate| match fate {
            Fate::Started { wait_ms } => Some(wait_ms / 1000),
            Fate::Refused(_) | Fate::Waiting => None,
        };
        simulation.fates.iter().map(wait).collect()
    }

    #[test]
    fn jobs_wait_for_what_they_need() {
        assert_eq!(waits_s(&[]), []);
        assert_eq!(waits_s(&[job(0, 60, 4, 0), job(10, 60, 4, 0)]), [Some(0), Some(50)]);
        // Devices are another pool than processors.
        assert_eq!(waits_s(&[job(0, 60, 4, 0), job(10, 60, 1, 1), job(10, 9, 1, 2)]), [Some(0), Some(0), Some(60)]);
    }

    #[test]
    fn a_type_that_nodes_do_not_tell_is_any() {
        let other = Job { part: "a100".into(), ..job(0, 60, 1, 1) };
        assert_eq!(
            waits_s(&[other, Job { part: String::new(), ..job(0, 60, 1, 1) }, job(0, 60, 1, 1)]),
            [Some(0), Some(0), Some(60)]
        );
    }

    #[test]
    fn what_is_larger_than_its_centre_is_refused() {
        assert_eq!(waits_s(&[job(0, 60, 5, 0), job(0, 60, 1, 3), job(0, 60, 4, 0)]), [None, None, Some(0)]);
    }

    #[test]
    fn a_job_may_outlive_its_limit_and_need_not_tell_one() {
        let late = Job { walltime_ms: Some(1000), ..job(0, 60, 4, 0) };
        let unlimited = Job { walltime_ms: None, ..job(1, 60, 4, 0) };
        assert_eq!(waits_s(&[late, unlimited, job(2, 1, 4, 0)]), [Some(0), Some(59), Some(118)]);
    }

    #[test]
    fn the_same_workload_has_the_same_fate() {
        let jobs = (0..50_u32).map(|number| job(i64::from(number), 100, 1 + number % 4, number % 3)).collect();
        let workload = Workload { jobs };
        let run = || simulate(&workload, &network(8, 4), &Options::default(), |_, _| {});
        assert_eq!(run(), run());
    }
}

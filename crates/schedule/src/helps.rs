//! What would help a waiting shape to start now, or else sooner: each change is made to the snapshot and tried with a
//! cycle before it is told.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use huisuan_model::{
    Bytes, DurationMs, JobId, Level, MilliDevices, Millicores, Placement, PoolId, RangeSet, Shape, TimeMs, spec::Need,
};

use crate::{
    cycle, fit,
    policy::{Budget, Policy, Seed},
    reach::{Near, Ways, near},
    snapshot::{JobView, ShapeView, Snapshot},
};

/// A change and what it would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    /// What to change.
    pub change: Change,
    /// How many of the job's tasks would start now.
    pub starts: u64,
    /// Where none would: by when the first of them, or the gang, would be promised to start. Sooner than it is now, or
    /// now nothing is promised.
    pub start_at: Option<TimeMs>,
    /// In how many racks those lie that would start now, where its tasks need no longer be in one.
    pub racks: Option<u32>,
}

/// A change of one waiting job of a shape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Another priority.
    Priority(i32),
    /// A shorter walltime, in milliseconds: it would end before capacity is kept for others, or before maintenance.
    Walltime(DurationMs),
    /// Fewer tasks in the gang.
    GangTasks(u32),
    /// Fewer cores for each task.
    Cores(Millicores),
    /// Fewer devices for each task, in thousandths.
    Devices(MilliDevices),
    /// Less memory for each task.
    Memory(Bytes),
    /// Devices of this part number too.
    Part(PoolId),
    /// Any centre instead of the list.
    AnyCentre,
    /// Any class of centre.
    AnyClass,
    /// More tasks at once than the job's own limit.
    NoParallelMax,
    /// A longer round trip to its users, in milliseconds.
    Latency(DurationMs),
    /// Not out of the reservation in advance that it names.
    NoReservation,
    /// Within a wider domain than it requires, or spread over as many racks as it takes.
    Within(Option<Level>),
}

/// The most changes of one kind that are tried.
const TRIES_MAX: usize = 8;

/// What would help the first waiting job of a shape, verified: with the change made to the snapshot, a cycle starts
/// tasks of it that it does not start now, or promises it an earlier start. Nothing for a shape that does not wait, or
/// whose first job starts anyway. It costs a few dozen cycles: it is for one job that somebody asks about.
pub fn helps(snapshot: &Snapshot, policy: &Policy, now: TimeMs, shape: &Shape) -> Vec<Help> {
    first_waiting(snapshot, shape).map_or_else(Vec::new, |job| helps_of(snapshot, policy, now, shape, job))
}

/// The same for any waiting job of a shape; nothing for one that the snapshot does not show.
pub fn helps_of(snapshot: &Snapshot, policy: &Policy, now: TimeMs, shape: &Shape, job: JobId) -> Vec<Help> {
    let Some(job) = view_of(snapshot, shape, job) else { return Vec::new() };
    let Outcome { starts, promised, .. } = outcome(snapshot, policy, now, job.id);
    if starts > 0 {
        return Vec::new();
    }
    let mut helps = Vec::new();
    for tries in candidates(snapshot, policy, now, shape, job) {
        let mut sooner: Option<Help> = None;
        // Of one kind the first that starts now is the smallest change; of those that do not, the first of the soonest.
        for change in tries.into_iter().take(TRIES_MAX) {
            let Some(changed) = change.apply_to(snapshot, shape, job.id) else { continue };
            let Outcome { starts, promised: start_at, racks } = outcome(&changed, policy, now, job.id);
            if starts > 0 {
                let racks = racks.filter(|_| matches!(change, Change::Within(_)));
                sooner = Some(Help { change, starts, start_at: None, racks });
                break;
            }
            let before = sooner.as_ref().map_or(promised, |best| best.start_at);
            if start_at.is_some_and(|at| before.is_none_or(|before| at < before)) {
                sooner = Some(Help { change, starts, start_at, racks: None });
            }
        }
        helps.extend(sooner);
    }
    helps
}

fn first_waiting(snapshot: &Snapshot, shape: &Shape) -> Option<JobId> {
    let view = snapshot.shapes.iter().find(|view| view.shape == *shape)?;
    view.jobs.iter().find(|job| !job.waiting.is_empty()).map(|job| job.id)
}

fn view_of<'a>(snapshot: &'a Snapshot, shape: &Shape, job: JobId) -> Option<&'a JobView> {
    let view = snapshot.shapes.iter().find(|view| view.shape == *shape)?;
    view.jobs.iter().find(|view| view.id == job && !view.waiting.is_empty())
}

/// How many tasks of a job a cycle starts, when it promises it a start, and in how many racks the tasks lie.
struct Outcome {
    starts: u64,
    promised: Option<TimeMs>,
    racks: Option<u32>,
}

fn outcome(snapshot: &Snapshot, policy: &Policy, now: TimeMs, job: JobId) -> Outcome {
    let plan = cycle(snapshot, policy, now, Budget::UNLIMITED.unexplained(), Seed::default());
    let own = plan.placements.iter().filter(|placement| placement.job == job);
    let promises = plan.reservations.iter().filter(|promise| promise.job == job);
    let promised = promises.map(|promise| promise.start_at).min();
    let racks = own.clone().next().and_then(|placement| racks(snapshot, placement));
    Outcome { starts: own.map(|placement| placement.tasks.len()).sum(), promised, racks }
}

/// In how many racks the tasks of a placement lie; `None` where the pool does not tell.
fn racks(snapshot: &Snapshot, placement: &Placement) -> Option<u32> {
    let centre = snapshot.centres.iter().find(|centre| centre.id == placement.centre)?;
    let topology = centre.pools.iter().find(|pool| pool.pool.id == placement.pool)?.pool.topology?;
    let racks: BTreeSet<u32> = placement.nodes.iter().map(|share| topology.rack_of(share.node)).collect();
    u32::try_from(racks.len()).ok().filter(|&racks| racks > 0)
}

impl Change {
    /// The snapshot with this change of the first waiting job of a shape; `None` when it has none, or when the change
    /// is none. The other jobs of the shape stay as they are.
    pub fn apply(&self, snapshot: &Snapshot, shape: &Shape) -> Option<Snapshot> {
        self.apply_to(snapshot, shape, first_waiting(snapshot, shape)?)
    }

    /// The same for any waiting job of the shape.
    pub fn apply_to(&self, snapshot: &Snapshot, shape: &Shape, job: JobId) -> Option<Snapshot> {
        let mut next = snapshot.clone();
        let view = next.shapes.iter_mut().find(|view| view.shape == *shape)?;
        let at = view.jobs.iter().position(|view| view.id == job && !view.waiting.is_empty())?;
        let mut job = view.jobs.remove(at);
        let (available, limit, budget, agreed) = (view.available, view.limit, view.budget, view.agreed.clone());
        let (mut changed, before) = (shape.clone(), job.clone());
        self.change(&mut changed, &mut job);
        if changed == *shape && job == before {
            return None;
        }
        next.shapes.retain(|view| !view.jobs.is_empty() || view.more > 0);
        match next.shapes.binary_search_by(|view| view.shape.cmp(&changed)) {
            Ok(found) => next.shapes[found].jobs.push(job),
            Err(place) => {
                let view = ShapeView { available, limit, budget, agreed, ..ShapeView::new(changed.clone(), vec![job]) };
                next.shapes.insert(place, view);
            }
        }
        let found = next.shapes.binary_search_by(|view| view.shape.cmp(&changed)).ok()?;
        next.shapes[found].jobs.sort_by_key(|job| {
            (Reverse(job.priority), job.deadline_at.unwrap_or(TimeMs(i64::MAX)), job.submitted_at, job.id)
        });
        Some(next)
    }

    fn change(&self, shape: &mut Shape, job: &mut JobView) {
        match (self, &mut shape.need) {
            (Change::Priority(priority), _) => job.priority = *priority,
            (Change::Walltime(walltime), _) => shape.walltime = *walltime,
            (Change::GangTasks(tasks), _) => {
                shape.gang = Some(*tasks);
                job.waiting = job.waiting.take(u64::from(*tasks));
            }
            (Change::Cores(fewer), Need::Hardware { cores, .. }) => *cores = *fewer,
            (Change::Devices(fewer), Need::Hardware { devices: Some(devices), .. }) => devices.count = *fewer,
            (Change::Part(part), Need::Hardware { devices: Some(devices), .. }) => {
                let parts: BTreeSet<PoolId> = devices.any_of.drain(..).chain([part.clone()]).collect();
                devices.any_of = parts.into_iter().collect();
            }
            (Change::Memory(less), _) => shape.memory = *less,
            (Change::AnyCentre, _) => shape.centres.clear(),
            (Change::AnyClass, _) => shape.class = None,
            (Change::NoParallelMax, _) => job.parallel_max = None,
            (Change::NoReservation, _) => shape.reservation = None,
            (Change::Within(level), _) => shape.topology = *level,
            (Change::Latency(longest), _) => {
                let reach = shape.reach.as_mut().map(Arc::make_mut);
                if let Some(bound) = reach.and_then(|reach| reach.latency.as_mut()) {
                    bound.round_trip_max = *longest;
                }
            }
            (Change::Cores(_) | Change::Devices(_) | Change::Part(_), _) => {}
        }
    }
}

/// What may help, kind by kind, the smallest change of each first.
fn candidates(snapshot: &Snapshot, policy: &Policy, now: TimeMs, shape: &Shape, job: &JobView) -> Vec<Vec<Change>> {
    let mut kinds = vec![priorities(snapshot, job), walltimes(snapshot, policy, now, shape)];
    let gang = shape.gang.filter(|_| job.waiting == RangeSet::from_range(0, job.waiting.len() as u32 - 1));
    kinds.push(halves(u64::from(gang.unwrap_or(0))).map(|tasks| Change::GangTasks(tasks as u32)).collect());
    if let Need::Hardware { cores, devices } = &shape.need {
        kinds.push(
            fewer(snapshot, shape, cores.0, |pool| pool.0).into_iter().map(|n| Change::Cores(Millicores(n))).collect(),
        );
        if let Some(devices) = devices {
            let smaller = halves(devices.count.0 / 1000).map(|count| count * 1000);
            kinds.push(smaller.map(|count| Change::Devices(MilliDevices(count))).collect());
            if !devices.any_of.is_empty() {
                kinds.push(parts(snapshot, &devices.any_of));
            }
        }
    }
    kinds.push(
        fewer(snapshot, shape, shape.memory.0, |pool| pool.1).into_iter().map(|n| Change::Memory(Bytes(n))).collect(),
    );
    kinds.push(if shape.centres.is_empty() { vec![] } else { vec![Change::AnyCentre] });
    kinds.push(if shape.class.is_none() { vec![] } else { vec![Change::AnyClass] });
    kinds.push(if job.parallel_max.is_none() { vec![] } else { vec![Change::NoParallelMax] });
    kinds.push(latencies(snapshot, shape));
    kinds.push(match shape.topology {
        None => vec![],
        Some(Level::Rack) => vec![Change::Within(Some(Level::Pod)), Change::Within(None)],
        Some(Level::Pod) => vec![Change::Within(None)],
    });
    kinds.push(if shape.reservation.is_none() { vec![] } else { vec![Change::NoReservation] });
    kinds
}

/// The priorities that pass others that wait, from the lowest.
fn priorities(snapshot: &Snapshot, job: &JobView) -> Vec<Change> {
    let all = snapshot.shapes.iter().filter_map(|view| view.jobs.first());
    let above: BTreeSet<i32> =
        all.map(|other| other.priority.saturating_add(1)).filter(|&p| p > job.priority).collect();
    above.into_iter().map(Change::Priority).collect()
}

/// Walltimes that end before what is kept for others, before maintenance, or with the job's own reservation; the
/// longest first.
fn walltimes(snapshot: &Snapshot, policy: &Policy, now: TimeMs, shape: &Shape) -> Vec<Change> {
    let plan = cycle(snapshot, policy, now, Budget::UNLIMITED.unexplained(), Seed::default());
    let promises = plan.reservations.iter().map(|promise| promise.start_at);
    let windows = snapshot.centres.iter().flat_map(|centre| &centre.closed).map(|window| window.from);
    let pools = snapshot.centres.iter().flat_map(|centre| &centre.pools);
    let reserved = pools.flat_map(|pool| &pool.reserved).flat_map(|kept| [kept.from, kept.until]);
    let spans: BTreeSet<DurationMs> = promises
        .chain(windows)
        .chain(reserved)
        .map(|at| at.since(now))
        .filter(|&span| span > DurationMs(0) && span < shape.walltime)
        .collect();
    spans.into_iter().rev().map(Change::Walltime).collect()
}

/// What is free of one resource in the pools of the right kind, where it is less than asked for; the most first.
fn fewer(snapshot: &Snapshot, shape: &Shape, asked: u64, free: impl Fn((u64, u64)) -> u64) -> Vec<u64> {
    let pools = snapshot.centres.iter().filter(|centre| fit::allowed(centre, shape)).flat_map(|centre| &centre.pools);
    let other = |answer| matches!(answer, fit::Answer::OtherKind | fit::Answer::NoImages);
    let fits = pools.filter(|pool| !other(fit::answer(&pool.pool, shape)));
    let left: BTreeSet<u64> = fits
        .map(|pool| {
            let cores = pool.pool.cores.0.saturating_sub(pool.used.cores.0);
            free((cores, pool.pool.memory.0.saturating_sub(pool.used.memory.0)))
        })
        .filter(|&left| left > 0 && left < asked)
        .collect();
    left.into_iter().rev().collect()
}

/// The round trips to centres beyond the bound, the shortest first.
fn latencies(snapshot: &Snapshot, shape: &Shape) -> Vec<Change> {
    if shape.reach.as_ref().is_none_or(|reach| reach.latency.is_none()) {
        return Vec::new();
    }
    let ways = snapshot.ways.clone().unwrap_or_else(|| Arc::new(Ways::of(&snapshot.centres)));
    let beyond = (0..snapshot.centres.len()).filter_map(|centre| match near(&ways, centre, shape) {
        Near::Beyond(us) => Some(DurationMs(us.div_ceil(1_000))),
        Near::Within | Near::Unknown => None,
    });
    beyond.collect::<BTreeSet<DurationMs>>().into_iter().map(Change::Latency).collect()
}

/// Part numbers of the network that the job does not accept yet.
fn parts(snapshot: &Snapshot, accepted: &[PoolId]) -> Vec<Change> {
    let pools = snapshot.centres.iter().flat_map(|centre| &centre.pools).filter(|pool| !pool.pool.devices.is_zero());
    let parts: BTreeSet<&PoolId> = pools.map(|pool| &pool.pool.id).filter(|id| !accepted.contains(id)).collect();
    parts.into_iter().map(|part| Change::Part(part.clone())).collect()
}

/// One less, then half and half again, down to one.
fn halves(count: u64) -> impl Iterator<Item = u64> {
    let first = count.checked_sub(1).filter(|&less| less > count / 2);
    let halves = std::iter::successors(Some(count / 2), |half| Some(half / 2)).take_while(|&half| half > 0);
    first.into_iter().chain(halves)
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Change::Priority(priority) => write!(f, "priority {priority}"),
            Change::Walltime(DurationMs(ms)) => write!(f, "walltime of {} s", ms / 1000),
            Change::GangTasks(tasks) => write!(f, "{tasks} tasks in the gang"),
            Change::Cores(Millicores(cores)) => write!(f, "{}.{:03} cores a task", cores / 1000, cores % 1000),
            Change::Devices(MilliDevices(count)) => write!(f, "{}.{:03} devices a task", count / 1000, count % 1000),
            Change::Memory(Bytes(bytes)) => write!(f, "{} MiB of memory a task", bytes >> 20),
            Change::Part(part) => write!(f, "devices {part} accepted"),
            Change::AnyCentre => write!(f, "any centre"),
            Change::AnyClass => write!(f, "any class of centre"),
            Change::NoParallelMax => write!(f, "no limit of parallel tasks"),
            Change::NoReservation => write!(f, "no reservation"),
            Change::Within(Some(level)) => write!(f, "all tasks in one {level}"),
            Change::Within(None) => write!(f, "spread over racks"),
            Change::Latency(DurationMs(ms)) => write!(f, "latency <= {ms} ms"),
        }
    }
}

//! A made-up network under heavy load, to measure a scheduling cycle with: many centres of accelerator nodes, far
//! more jobs than fit, many tenants with different weights. Every figure of it is assumed.

use std::sync::Arc;

use huisuan_model::{
    Bytes, CentreId, Class, DurationMs, GflopPerS, JobId, Mark, MilliDevices, Millicores, Money, Pool, PoolId,
    ProjectId, RangeSet, Rating, Shape, Tariff, TenantId, TimeMs,
    spec::{DeviceNeed, Need},
};
use huisuan_schedule::{
    Amounts, CentreView, JobView, PoolView, ProjectView, RunningView, ShapeView, Snapshot, TenantView,
    pack::{Fleet, Room, Slot},
};

use crate::random::Stream;

/// The moment at which the network is looked at.
pub const NOW: TimeMs = TimeMs(1_000_000_000_000);

/// How large the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Nodes of 8 devices over all centres.
    pub nodes: u64,
    /// Jobs that wait.
    pub pending: u64,
    /// Tenants, each with one to three projects.
    pub tenants: u64,
    /// Different requests for hardware; a tenant asks for a few of them.
    pub kinds: u64,
    /// Where the random choices begin.
    pub seed: u64,
}

const CENTRES: u64 = 12;
const DEVICES_OF_A_NODE: u64 = 8;
/// Part number, memory of a device in GiB, GFLOP/s of a device, cores and GiB of a node.
const PARTS: [(&str, u64, u64, u64, u64); 4] = [
    ("A100-SXM4-80G", 80, 312_000, 128, 1024),
    ("Ascend-910B2-64G", 64, 313_000, 192, 1536),
    ("H800-SXM5-80G", 80, 989_000, 192, 2048),
    ("DCU-Z100L-32G", 32, 49_000, 64, 512),
];
const HOUR_MS: u64 = 3_600_000;
/// Of every pool, so many percent are taken by what runs.
const RUNNING_PERCENT: u64 = 5;
const KINDS_OF_A_TENANT_MAX: u64 = 12;

/// The state of the network.
pub fn snapshot(load: &Load) -> Snapshot {
    let mut centres = centres(load);
    let tenants = tenants(load);
    running(load, &mut centres, &tenants);
    Snapshot {
        version: 1,
        centres,
        shapes: shapes(load, &tenants),
        tenants,
        targets: None,
        lengths: Arc::default(),
        ways: None,
        traffic: Arc::default(),
    }
}

fn centres(load: &Load) -> Vec<CentreView> {
    let stream = Stream::new(load.seed, "centres");
    let pools = CENTRES * 2;
    let centre = |number: u64| {
        let mut random = stream.child(number);
        let first = random.below(4);
        let second = (first + 1 + random.below(3)) % 4;
        let mut parts = [first, second];
        parts.sort_by_key(|&part| PARTS[index(part)].0);
        let pools = parts.into_iter().enumerate().map(|(at, part)| {
            let number = number * 2 + at as u64;
            let nodes = load.nodes / pools + u64::from(number < load.nodes % pools);
            pool(PARTS[index(part)], nodes)
        });
        CentreView {
            id: CentreId::new(&format!("centre-{:02}", number + 1)).expect("a valid name"),
            class: Class::Ai,
            active: true,
            tariff: Tariff {
                currency: "CNY".into(),
                price_per_p_h: Money(2_000_000 + 100_000 * random.below(20) as i64),
            },
            pools: pools.collect(),
            absent: false,
            closed: Vec::new(),
            place: None,
            facts: None,
            opaque: None,
        }
    };
    (0..CENTRES).map(centre).collect()
}

fn pool((name, device_gib, device_rate, cores, memory_gib): (&str, u64, u64, u64, u64), nodes: u64) -> PoolView {
    let devices = nodes * DEVICES_OF_A_NODE;
    let rating = Rating {
        version: 1,
        sustained: GflopPerS(devices * device_rate * 6 / 10),
        nameplate: GflopPerS(devices * device_rate),
        method: "assumed/1".into(),
        mark: Mark::Modelled,
        rated_at: TimeMs(0),
        certificate: None,
        doubt: None,
    };
    let pool = Pool {
        id: PoolId::new(name).expect("a valid name"),
        class: Class::Ai,
        cores: Millicores(nodes * cores * 1000),
        memory: Bytes((nodes * memory_gib) << 30),
        devices: MilliDevices(devices * 1000),
        device_memory: Bytes(device_gib << 30),
        rating: Some(rating),
        images: false,
        topology: None,
    };
    let room = Room::empty((cores * 1000) as u32, (memory_gib << 10) as u32, 0, DEVICES_OF_A_NODE as u8);
    let fleet = Fleet::new(std::iter::repeat_n(room, index(nodes)));
    PoolView {
        pool,
        used: Amounts::default(),
        long: Amounts::default(),
        holdings: Arc::default(),
        nodes: Some(fleet),
        node_ends: Vec::new(),
        reserved: Vec::new(),
    }
}

fn tenants(load: &Load) -> Vec<TenantView> {
    let stream = Stream::new(load.seed, "tenants");
    let tenant = |number: u64| {
        let mut random = stream.child(number);
        let id = TenantId::new(&format!("tenant-{number:06}")).expect("a valid name");
        let project = |number: u64| ProjectId::new(&format!("project-{number}")).expect("a valid name");
        let projects = (0..1 + random.below(3)).map(|at| ProjectView { id: project(at), weight: 1 + at as u32 });
        let projects = projects.collect();
        TenantView { weight: 1 + random.below(4) as u32, projects, ..TenantView::new(id, Money(i64::MAX / 4)) }
    };
    (0..load.tenants).map(tenant).collect()
}

/// Fills the first part of every pool with tasks of one device that end over the next day.
fn running(load: &Load, centres: &mut [CentreView], tenants: &[TenantView]) {
    let mut random = Stream::new(load.seed, "running");
    let each = Amounts { cores: Millicores(8000), memory: Bytes(32 << 30), devices: MilliDevices(1000) };
    for centre in centres {
        for pool in &mut centre.pools {
            let mut left = pool.pool.devices.0 / 1000 * RUNNING_PERCENT / 100;
            while left > 0 {
                let count = (1 + random.below(16)).min(left);
                let tenant = &tenants[index(random.below(load.tenants))];
                pool.used = pool.used.plus(each, count);
                (0..count).for_each(|task| occupy(pool, left - task));
                pool.long = pool.used;
                left -= count;
                let group = RunningView {
                    tenant: tenant.id.clone(),
                    project: tenant.projects[0].id.clone(),
                    each,
                    count,
                    ends_at: TimeMs(NOW.0 + 60_000 * (1 + random.below(24 * 60)) as i64),
                    preemptible: None,
                    stopping: false,
                };
                Arc::make_mut(&mut pool.holdings).add(&group);
            }
        }
    }
}

/// Takes a whole device of a node for the task with this number: on every twentieth node of the pool all of them.
fn occupy(pool: &mut PoolView, task: u64) {
    let fleet = pool.nodes.as_mut().expect("every pool has nodes");
    let (node, device) = ((task - 1) / DEVICES_OF_A_NODE, (task - 1) % DEVICES_OF_A_NODE);
    let node = (node * 100 / RUNNING_PERCENT).min(fleet.len() as u64 - 1) as u32;
    fleet.take(&Slot { node, cores_milli: 8000, memory_mib: 32 << 10, mask: 1 << device, each: 1000 });
}

/// Everything that waits. A job is of one of its tenant's kinds of work; some tenants have many more jobs than others.
fn shapes(load: &Load, tenants: &[TenantView]) -> Vec<ShapeView> {
    let kinds: Vec<Kind> = (0..load.kinds).map(|number| Kind::new(load.seed, number)).collect();
    let mut views = Vec::new();
    let mut of_tenant = Vec::new();
    for (number, tenant) in tenants.iter().enumerate() {
        let mut random = Stream::new(load.seed, "asks").child(number as u64);
        let first = views.len();
        for _ in 0..1 + random.below(KINDS_OF_A_TENANT_MAX) {
            let project = &tenant.projects[index(random.below(tenant.projects.len() as u64))];
            let kind = &kinds[index(random.below(load.kinds))];
            views.push((kind.shape(&tenant.id, &project.id), kind.tasks, Vec::new()));
        }
        of_tenant.push(first..views.len());
    }
    let mut random = Stream::new(load.seed, "jobs");
    for number in 1..=load.pending {
        // The product of two uniform draws: the first tenants have several times the jobs of the last ones.
        let end = 1 + random.below(load.tenants);
        let tenant = &of_tenant[index(random.below(end))];
        let at = tenant.start + index(random.below(tenant.len() as u64));
        let (_, tasks, jobs) = &mut views[at];
        jobs.push(job(number, *tasks, &mut random));
    }
    views.sort_by(|a, b| a.0.cmp(&b.0));
    let mut shapes: Vec<ShapeView> = Vec::new();
    for (shape, _, mut jobs) in views {
        match shapes.last_mut() {
            Some(last) if last.shape == shape => last.jobs.append(&mut jobs),
            _ => shapes.push(ShapeView::new(shape, jobs)),
        }
    }
    shapes.retain(|view| !view.jobs.is_empty());
    for view in &mut shapes {
        view.jobs.sort_by_key(|job| {
            let deadline = job.deadline_at.unwrap_or(TimeMs(i64::MAX));
            (std::cmp::Reverse(job.priority), deadline, job.submitted_at, job.id)
        });
    }
    shapes
}

fn job(number: u64, tasks: u32, random: &mut Stream) -> JobView {
    let submitted_at = TimeMs(NOW.0 - (random.below(3 * 24 * HOUR_MS)) as i64);
    let deadline_at = random.chance(20_000).then(|| TimeMs(NOW.0 + random.below(72 * HOUR_MS) as i64));
    JobView {
        id: JobId(number),
        priority: random.pick(&[1, 18, 1]) as i32 - 1,
        submitted_at,
        waiting: RangeSet::from_range(0, tasks - 1),
        active: 0,
        parallel_max: None,
        mean_run_ms: None,
        deadline_at,
        preemptible: false,
    }
}

/// One request for hardware.
struct Kind {
    devices: u64,
    cores: u64,
    memory: u64,
    memory_min: u64,
    parts: Vec<PoolId>,
    walltime: u64,
    /// Above 1 for gangs.
    tasks: u32,
}

impl Kind {
    fn new(seed: u64, number: u64) -> Kind {
        let mut random = Stream::new(seed, "kinds").child(number);
        let (mut devices, tasks) = match random.pick(&[8, 22, 12, 20, 30, 8]) {
            0 => (100 * (1 + random.below(9)), 1),
            1 => (1000, 1),
            2 => (2000, 1),
            3 => (4000, 1),
            4 => (8000, 1),
            _ => (8000, 1 << (1 + random.below(4))),
        };
        devices = devices.max(100);
        let cores = (devices * (2 + random.below(7))).max(500);
        let memory = (devices * (16 + random.below(48))) << 20;
        let mut parts: Vec<PoolId> = Vec::new();
        if random.chance(300_000) {
            let first = random.below(4);
            let names = [first, (first + 1 + random.below(3)) % 4];
            let names = &names[..index(1 + random.below(2))];
            parts = names.iter().map(|&part| PoolId::new(PARTS[index(part)].0).expect("a valid name")).collect();
            parts.sort();
        }
        Kind {
            devices,
            cores,
            memory,
            memory_min: [0, 0, 0, 32, 64, 80][index(random.below(6))] << 30,
            parts,
            walltime: HOUR_MS * (1 + random.below(72)),
            tasks,
        }
    }

    fn shape(&self, tenant: &TenantId, project: &ProjectId) -> Shape {
        let devices = DeviceNeed {
            count: MilliDevices(self.devices),
            any_of: self.parts.clone(),
            memory_min: Bytes(if self.parts.is_empty() { self.memory_min } else { 0 }),
        };
        Shape {
            tenant: tenant.clone(),
            project: project.clone(),
            class: Some(Class::Ai),
            centres: Vec::new(),
            refused_by: Vec::new(),
            need: Need::Hardware { cores: Millicores(self.cores), devices: Some(devices) },
            memory: Bytes(self.memory),
            walltime: DurationMs(self.walltime),
            gang: (self.tasks > 1).then_some(self.tasks),
            image: false,
            reach: None,
            reservation: None,
            own_budget: None,
            topology: None,
        }
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a number below a length")
}

#[cfg(test)]
mod tests {
    use huisuan_schedule::{Budget, Policy, Seed, check, cycle};

    use super::*;

    const SMALL: Load = Load { nodes: 240, pending: 4_000, tenants: 20, kinds: 30, seed: 1 };

    #[test]
    fn the_network_has_what_was_asked_for() {
        let made = snapshot(&SMALL);
        let devices: u64 = made.centres.iter().flat_map(|centre| &centre.pools).map(|pool| pool.pool.devices.0).sum();
        assert_eq!(devices, SMALL.nodes * 8 * 1000);
        assert_eq!(made.shapes.iter().map(|view| view.jobs.len() as u64).sum::<u64>(), SMALL.pending);
        assert_eq!(made.tenants.len() as u64, SMALL.tenants);
        assert_eq!(snapshot(&SMALL), made);
        assert_ne!(snapshot(&Load { seed: 2, ..SMALL }), made);
    }

    #[test]
    fn its_plan_is_legal_and_tells_why_everything_else_waits() {
        let made = snapshot(&SMALL);
        let policy = Policy::default();
        let plan = cycle(&made, &policy, NOW, Budget::default(), Seed(1));
        assert_eq!(check(&made, &policy, NOW, &plan), Ok(()));
        assert!(plan.placements.len() > 200, "{}", plan.placements.len());
        let whole =
            |view: &&ShapeView| view.jobs.iter().all(|job| plan.placements.iter().any(|place| place.job == job.id));
        assert_eq!(plan.reasons.len(), made.shapes.len() - made.shapes.iter().filter(whole).count());
    }
}

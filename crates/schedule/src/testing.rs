//! Snapshots in a few readable words, for tests.

use std::sync::Arc;

use huisuan_model::{
    Bytes, CentreId, Class, DurationMs, GflopPerS, JobId, Mark, MilliDevices, Millicores, Money, Place, Plan, Pool,
    PoolId, ProjectId, RangeSet, Rating, Reason, Shape, Tariff, TenantId, TimeMs,
    facts::{Link, Power},
    shape::Reach,
    spec::{DeviceNeed, LatencyBound, Need, Objective, Reading},
};

use crate::{
    Amounts, Budget, CentreView, JobView, Policy, PoolView, RunningView, Seed, ShapeView, Snapshot, TenantView, check,
    cycle, hold_each,
};

pub(crate) const GIB: u64 = 1 << 30;

/// The moment of every cycle here.
pub(crate) const NOW: TimeMs = TimeMs(1_000);

/// A centre of class hpc with one pool `cpu:x` of so many cores, 4 GiB and 10 GFLOP/s a core. One core costs one
/// currency unit an hour.
pub(crate) fn centre(id: &str, cores: u64) -> CentreView {
    let pool = pool("cpu:x", Class::Hpc, cores, 0);
    let tariff = Tariff { currency: "CNY".into(), price_per_p_h: Money(100_000_000_000) };
    let id = CentreId::new(id).expect("a valid name");
    CentreView {
        id,
        class: Class::Hpc,
        active: true,
        tariff,
        pools: vec![pool],
        absent: false,
        closed: Vec::new(),
        place: None,
        facts: None,
        opaque: None,
    }
}

/// A centre of class ai with one pool `A100` of so many devices of 80 GiB, 8 cores and 16 GiB for each.
pub(crate) fn device_centre(id: &str, devices: u64) -> CentreView {
    let pools = vec![pool("A100", Class::Ai, devices * 8, devices)];
    CentreView { class: Class::Ai, pools, ..centre(id, 0) }
}

pub(crate) fn pool(id: &str, class: Class, cores: u64, devices: u64) -> PoolView {
    let rating = Rating {
        version: 1,
        sustained: GflopPerS(if devices > 0 { devices * 1000 } else { cores * 10 }),
        nameplate: GflopPerS(cores * 20),
        method: "test/1".into(),
        mark: Mark::Measured,
        rated_at: TimeMs(0),
        certificate: None,
        doubt: None,
    };
    let pool = Pool {
        id: PoolId::new(id).expect("a valid name"),
        class,
        cores: Millicores(cores * 1000),
        memory: Bytes(if devices > 0 { devices * 16 * GIB } else { cores * 4 * GIB }),
        devices: MilliDevices(devices * 1000),
        device_memory: Bytes(if devices > 0 { 80 * GIB } else { 0 }),
        rating: Some(rating),
        images: false,
        topology: None,
    };
    PoolView {
        pool,
        used: Amounts::default(),
        long: Amounts::default(),
        holdings: Arc::default(),
        nodes: None,
        node_ends: Vec::new(),
        reserved: Vec::new(),
    }
}

impl CentreView {
    /// All of its pools run container images.
    pub(crate) fn with_images(mut self) -> Self {
        self.pools.iter_mut().for_each(|pool| pool.pool.images = true);
        self
    }

    pub(crate) fn price(mut self, per_core_hour: i64) -> Self {
        self.tariff.price_per_p_h = Money(per_core_hour * 100_000);
        self
    }

    pub(crate) fn paused(mut self) -> Self {
        self.active = false;
        self
    }

    pub(crate) fn unrated(mut self) -> Self {
        self.pools.iter_mut().for_each(|pool| pool.pool.rating = None);
        self
    }

    pub(crate) fn used(mut self, cores: u64) -> Self {
        self.pools[0].used.cores = Millicores(cores * 1000);
        self
    }

    /// Of what is used, so much by tasks that are not known to be short.
    pub(crate) fn long(mut self, cores: u64) -> Self {
        self.pools[0].long.cores = Millicores(cores * 1000);
        self
    }

    /// With a link of so many milliseconds there and back, and so many GB a second.
    pub(crate) fn link(self, to: &str, round_trip_ms: u64, gb_per_s: u64) -> Self {
        let to = CentreId::new(to).expect("a valid name");
        let link = Link {
            to,
            round_trip_us: round_trip_ms * 1_000,
            bytes_per_s: gb_per_s * 1_000_000_000,
            price_per_gb: Money::ZERO,
        };
        let mut facts = self.facts.as_deref().cloned().unwrap_or_default();
        facts.links.push(link);
        CentreView { facts: Some(Arc::new(facts)), ..self }
    }

    /// With a core of `cpu:x` that draws 10 W, and so many grams of CO2 for each kWh of half a currency unit.
    pub(crate) fn carbon(self, g_per_kwh: u32) -> Self {
        let power = Power {
            offset_minutes: 480,
            price_per_kwh: [Money(500_000); 24],
            carbon_g_per_kwh: [g_per_kwh; 24],
            pue_permille: 1_200,
            draw_mw: [(PoolId::new("cpu:x").expect("a valid name"), 10_000)].into(),
        };
        let mut facts = self.facts.as_deref().cloned().unwrap_or_default();
        facts.power = Some(Box::new(power));
        CentreView { facts: Some(Arc::new(facts)), ..self }
    }

    /// At a place in whole degrees.
    pub(crate) fn place(self, latitude: i32, longitude: i32) -> Self {
        let place =
            Place { latitude_microdegrees: latitude * 1_000_000, longitude_microdegrees: longitude * 1_000_000 };
        CentreView { place: Some(place), ..self }
    }

    pub(crate) fn with_pool(mut self, pool: PoolView) -> Self {
        self.pools.push(pool);
        self
    }
}

/// Tasks of tenant `lab`: so many cores, 1 GiB, one hour, at any centre.
pub(crate) fn shape(cores: u64) -> Shape {
    Shape {
        tenant: TenantId::new("lab").expect("a valid name"),
        project: ProjectId::new("p").expect("a valid name"),
        class: None,
        centres: Vec::new(),
        refused_by: Vec::new(),
        need: Need::Hardware { cores: Millicores(cores * 1000), devices: None },
        memory: Bytes(GIB),
        walltime: DurationMs(3_600_000),
        gang: None,
        image: false,
        reach: None,
        reservation: None,
        own_budget: None,
        topology: None,
    }
}

/// The same, within a round trip of so many milliseconds from a centre.
pub(crate) fn near_to(to: &str, round_trip_ms: u64, shape: Shape) -> Shape {
    let to = Some(CentreId::new(to).expect("a valid name"));
    let latency = Some(LatencyBound { round_trip_max: DurationMs(round_trip_ms), to, place: None });
    Shape { reach: Some(Arc::new(Reach { latency, ..Reach::default() })), ..shape }
}

/// The same, reading so many GiB of a centre.
pub(crate) fn reading(at: &str, gib: u64, shape: Shape) -> Shape {
    let reads = vec![Reading { at: CentreId::new(at).expect("a valid name"), bytes: Bytes(gib * GIB) }];
    Shape { reach: Some(Arc::new(Reach { reads, ..Reach::default() })), ..shape }
}

/// The same, preferring something.
pub(crate) fn preferring(objective: Objective, shape: Shape) -> Shape {
    Shape { reach: Some(Arc::new(Reach { objective, ..Reach::default() })), ..shape }
}

/// The same with devices of 80 GiB.
pub(crate) fn device_shape(devices: u64) -> Shape {
    let need = DeviceNeed { count: MilliDevices(devices * 1000), any_of: Vec::new(), memory_min: Bytes(80 * GIB) };
    Shape { need: Need::Hardware { cores: Millicores(1000), devices: Some(need) }, ..shape(1) }
}

/// Tasks that need a rate instead of named hardware.
pub(crate) fn rate_shape(class: Class, rate: u64) -> Shape {
    Shape { need: Need::Rate { class, rate: GflopPerS(rate), device_memory_min: Bytes(0) }, ..shape(1) }
}

pub(crate) fn gang(tasks: u32, cores: u64) -> Shape {
    Shape { gang: Some(tasks), ..shape(cores) }
}

pub(crate) fn at(centres: &[&str], shape: Shape) -> Shape {
    Shape { centres: centres.iter().map(|id| CentreId::new(id).expect("a valid name")).collect(), ..shape }
}

/// A job with so many waiting tasks, submitted in the order of ids.
pub(crate) fn job(id: u64, tasks: u32) -> JobView {
    JobView {
        id: JobId(id),
        priority: 0,
        submitted_at: TimeMs(i64::try_from(id).expect("a small number")),
        waiting: if tasks == 0 { RangeSet::new() } else { RangeSet::from_range(0, tasks - 1) },
        active: 0,
        parallel_max: None,
        mean_run_ms: None,
        deadline_at: None,
        preemptible: false,
    }
}

impl JobView {
    pub(crate) fn priority(self, priority: i32) -> Self {
        JobView { priority, ..self }
    }

    pub(crate) fn mean(self, mean_ms: u64) -> Self {
        JobView { mean_run_ms: Some(mean_ms), ..self }
    }

    pub(crate) fn parallel(self, active: u64, limit: u32) -> Self {
        JobView { active, parallel_max: Some(limit), ..self }
    }
}

/// A network where `lab` can pay for a thousand million core hours.
pub(crate) fn network(centres: Vec<CentreView>, jobs: Vec<(Shape, Vec<JobView>)>) -> Snapshot {
    let mut shapes: Vec<ShapeView> = jobs.into_iter().map(|(shape, jobs)| ShapeView::new(shape, jobs)).collect();
    shapes.sort_by(|a, b| a.shape.cmp(&b.shape));
    let id = TenantId::new("lab").expect("a valid name");
    let tenants = vec![TenantView::new(id, Money(1_000_000_000_000_000))];
    Snapshot {
        version: 7,
        centres,
        shapes,
        tenants,
        targets: None,
        lengths: Arc::default(),
        ways: None,
        traffic: Arc::default(),
    }
}

/// Counts attempts in or out of what is held of a centre's first pool; what is used of it is the caller's.
pub(crate) fn hold(snapshot: &mut Snapshot, centre: usize, group: &RunningView) {
    Arc::make_mut(&mut snapshot.centres[centre].pools[0].holdings).add(group);
}

pub(crate) fn let_go(snapshot: &mut Snapshot, centre: usize, group: &RunningView) {
    Arc::make_mut(&mut snapshot.centres[centre].pools[0].holdings).remove(group);
}

/// The groups that may be ended and those that were told to, with the number of their centre.
pub(crate) fn marked(snapshot: &Snapshot) -> Vec<(usize, RunningView)> {
    let centres = snapshot.centres.iter().enumerate();
    let owners = centres.flat_map(|(at, view)| view.pools[0].holdings.owners().iter().map(move |own| (at, own)));
    owners.flat_map(|(at, own)| own.marked().map(move |group| (at, group.clone()))).collect()
}

pub(crate) fn with_money(mut snapshot: Snapshot, millionths: i64) -> Snapshot {
    snapshot.tenants[0].available = Money(millionths);
    snapshot
}

/// One cycle with the usual policy, judged.
pub(crate) fn plan(snapshot: &Snapshot) -> Plan {
    plan_with(snapshot, &Policy::default(), Budget::default())
}

pub(crate) fn plan_with(snapshot: &Snapshot, policy: &Policy, budget: Budget) -> Plan {
    let plan = cycle(snapshot, policy, NOW, budget, Seed(1));
    assert_eq!(check(snapshot, policy, NOW, &plan), Ok(()));
    plan
}

/// Placements as `job:tasks@centre`, in their order.
pub(crate) fn places(plan: &Plan) -> Vec<String> {
    let text = |p: &huisuan_model::Placement| format!("{}:{}@{}", p.job, p.tasks, p.centre);
    plan.placements.iter().map(text).collect()
}

/// The only reason of a plan.
pub(crate) fn reason(plan: &Plan) -> &Reason {
    assert_eq!(plan.reasons.len(), 1, "{:?}", plan.reasons);
    &plan.reasons[0].reason
}

/// The snapshot of the moment after a plan was carried out.
pub(crate) fn after(snapshot: &Snapshot, plan: &Plan) -> Snapshot {
    let mut next = snapshot.clone();
    for placement in &plan.placements {
        let jobs = next.shapes.iter_mut().flat_map(|view| view.jobs.iter_mut().map(|job| (&view.shape, job)));
        let (shape, job) = { jobs }.find(|(_, job)| job.id == placement.job).expect("a placed job is known");
        let centre = next.centres.iter_mut().find(|centre| centre.id == placement.centre).expect("a known centre");
        let price = centre.tariff.price_per_p_h;
        let pool = centre.pools.iter_mut().find(|pool| pool.pool.id == placement.pool).expect("a known pool");
        let demand = crate::demand(&pool.pool, shape).expect("a pool that fits");
        let hold = hold_each(&pool.pool, price, &demand, shape);
        let tenant = next.tenants.iter_mut().find(|tenant| tenant.id == shape.tenant).expect("a known tenant");
        for task in placement.tasks.iter() {
            assert!(job.waiting.remove(task));
            job.active += 1;
            let each = Amounts { cores: placement.cores, memory: shape.memory, devices: placement.devices };
            pool.used = pool.used.plus(each, 1);
            if Policy::default().ahead_factor(job.mean_run_ms, shape.gang.is_some()) == 0 {
                pool.long = pool.long.plus(each, 1);
            }
            tenant.available.0 -= hold.0;
        }
    }
    next.version += 1;
    next.shapes.retain(|view| view.more > 0 || view.jobs.iter().any(|job| !job.waiting.is_empty()));
    next
}

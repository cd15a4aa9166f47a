//! What one cycle costs: `cargo run --release -p huisuan-schedule --example cycle_cost [JOBS] [SHAPES]`.
//!
//! Three centres of 4,096 cores; jobs of one task of 1 to 8 cores, spread over the shapes. Prints one line for each
//! kind of queue: tasks placed, reasons given, the shortest of 20 runs in microseconds.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "a measurement needs a clock, arguments and output; the crate itself has none of them"
)]

use std::time::Instant;

use huisuan_model::{
    Bytes, CentreId, Class, DurationMs, GflopPerS, JobId, Mark, MilliDevices, Millicores, Money, Pool, PoolId,
    ProjectId, RangeSet, Rating, Shape, Tariff, TenantId, TimeMs, spec::Need,
};
use huisuan_schedule::{
    Amounts, Budget, CentreView, JobView, Policy, PoolView, Seed, ShapeView, Snapshot, TenantView, cycle,
};

const CORES: u64 = 4_096;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number of jobs or shapes"));
    let jobs = arguments.next().unwrap_or(100_000);
    let shapes = arguments.next().unwrap_or(100);
    for (name, cores_used, tasks, mean_run_ms) in [
        ("free centres", 0, 1, None),
        ("full centres", CORES, 1, None),
        ("full centres, short tasks", CORES, 1, Some(5)),
        ("arrays of 1,000 short tasks", 0, 1_000, Some(5)),
    ] {
        let snapshot = snapshot(jobs, shapes, cores_used, tasks, mean_run_ms);
        let budget = Budget::UNLIMITED;
        let mut shortest_us = u128::MAX;
        let mut plan = cycle(&snapshot, &Policy::default(), TimeMs(0), budget, Seed(0));
        for _ in 0..20 {
            let start = Instant::now();
            plan = cycle(&snapshot, &Policy::default(), TimeMs(0), budget, Seed(0));
            shortest_us = shortest_us.min(start.elapsed().as_micros());
        }
        let tasks: u64 = plan.placements.iter().map(|placement| placement.tasks.len()).sum();
        let (placements, reasons) = (plan.placements.len(), plan.reasons.len());
        println!("{name}: {tasks} tasks in {placements} placements, {reasons} reasons, {shortest_us} us");
    }
}

fn snapshot(jobs: u64, shapes: u64, cores_used: u64, tasks: u32, mean_run_ms: Option<u64>) -> Snapshot {
    let tenant = TenantId::new("lab").expect("a valid name");
    let mut views: Vec<ShapeView> = (0..shapes).map(|number| shape(number, &tenant)).collect();
    for number in 0..jobs {
        let at = usize::try_from(number % shapes).expect("an index");
        views[at].jobs.push(JobView {
            id: JobId(number + 1),
            priority: 0,
            submitted_at: TimeMs(i64::try_from(number).expect("a small number")),
            waiting: RangeSet::from_range(0, tasks - 1),
            active: 0,
            parallel_max: None,
            mean_run_ms,
            deadline_at: None,
            preemptible: false,
        });
    }
    views.sort_by(|a, b| a.shape.cmp(&b.shape));
    Snapshot {
        version: 1,
        centres: ["ai-1", "hpc-1", "std-1"].map(|name| centre(name, cores_used)).to_vec(),
        shapes: views,
        tenants: vec![TenantView::new(tenant, Money(i64::MAX))],
        targets: None,
        lengths: Default::default(),
        ways: None,
        traffic: Default::default(),
    }
}

fn shape(number: u64, tenant: &TenantId) -> ShapeView {
    let shape = Shape {
        tenant: tenant.clone(),
        project: ProjectId::new(&format!("p{number}")).expect("a valid name"),
        class: None,
        centres: Vec::new(),
        refused_by: Vec::new(),
        need: Need::Hardware { cores: Millicores((number % 8 + 1) * 1000), devices: None },
        memory: Bytes(1 << 30),
        walltime: DurationMs(3_600_000),
        gang: None,
        image: false,
        reach: None,
        reservation: None,
        own_budget: None,
        topology: None,
    };
    ShapeView::new(shape, Vec::new())
}

fn centre(name: &str, cores_used: u64) -> CentreView {
    let rating = Rating {
        version: 1,
        sustained: GflopPerS(CORES * 10),
        nameplate: GflopPerS(CORES * 20),
        method: "example/1".into(),
        mark: Mark::Modelled,
        rated_at: TimeMs(0),
        certificate: None,
        doubt: None,
    };
    let pool = Pool {
        id: PoolId::new("cpu:x").expect("a valid name"),
        class: Class::Hpc,
        cores: Millicores(CORES * 1000),
        memory: Bytes(CORES << 32),
        devices: MilliDevices(0),
        device_memory: Bytes(0),
        rating: Some(rating),
        images: false,
        topology: None,
    };
    let used = Millicores(cores_used * 1000);
    let pool = PoolView {
        pool,
        used: Amounts { cores: used, memory: Bytes(cores_used << 30), devices: MilliDevices(0) },
        long: Amounts::default(),
        holdings: Default::default(),
        nodes: None,
        node_ends: Vec::new(),
        reserved: Vec::new(),
    };
    let tariff = Tariff { currency: "CNY".into(), price_per_p_h: Money(1_000_000) };
    let id = CentreId::new(name).expect("a valid name");
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

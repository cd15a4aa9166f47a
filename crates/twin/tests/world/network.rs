//! Small networks to simulate.

use std::sync::Arc;

use huisuan_model::{
    Bytes, Centre, CentreId, Class, DurationMs, EngineKind, Facts, GflopPerS, JobSpec, Mark, MilliDevices, Millicores,
    Money, Pool, PoolId, ProjectId, RangeSet, Rating, Tariff, Tenant, TenantId, TimeMs,
    facts::{Link, Power},
    spec::{LatencyBound, Need, Objective, Reading},
};
use huisuan_schedule::{Budget, Policy, Seed};
use huisuan_twin::{
    random::Stream,
    setup::{Fault, Planning, Setup, Site},
    workload::{Arrival, Draw, Family, Length, Truth, Unit},
};

/// 2025-01-01T00:00:00Z.
pub(crate) const START: TimeMs = TimeMs(1_735_689_600_000);
pub(crate) const HOUR_MS: u64 = 3_600_000;

pub(crate) fn centre(name: &str) -> CentreId {
    CentreId::new(name).expect("a name")
}

pub(crate) fn pool() -> PoolId {
    PoolId::new("cpu:test").expect("a name")
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("t").expect("a name")
}

pub(crate) fn project() -> ProjectId {
    ProjectId::new("p").expect("a name")
}

/// A moment so many minutes after the start.
pub(crate) fn minute(minutes: u64) -> TimeMs {
    START.after(DurationMs(minutes * 60_000))
}

/// A centre of so many cores, each 10 GFLOP/s, at a price of so many millionths for a P·h.
pub(crate) fn site(name: &str, cores: u64, price: i64) -> Site {
    let rating = Rating {
        version: 0,
        sustained: GflopPerS(cores * 10),
        nameplate: GflopPerS(cores * 12),
        method: "test/1".into(),
        mark: Mark::Modelled,
        rated_at: START,
        certificate: None,
        doubt: None,
    };
    let pool = Pool {
        id: pool(),
        class: Class::General,
        cores: Millicores(cores * 1_000),
        memory: Bytes(cores << 32),
        devices: MilliDevices::ZERO,
        device_memory: Bytes::ZERO,
        rating: Some(rating),
        images: false,
        topology: None,
    };
    let tariff = Tariff { currency: "CNY".into(), price_per_p_h: Money(price) };
    let centre = Centre::new(centre(name), Class::General, EngineKind::Local, "Asia/Shanghai", tariff);
    Site { centre, pools: vec![pool], order_delay_ms: 10, report_delay_ms: 500, hidden: None }
}

/// Four hours of one tenant with money.
pub(crate) fn setup(sites: Vec<Site>, faults: Vec<Fault>, seed: u64) -> Setup {
    Setup {
        start: START,
        end: minute(240),
        seed,
        tenants: vec![(Tenant::new(tenant(), 100_000), Money(1_000_000_000_000))],
        sites,
        planning: Planning { policy: Policy::default(), budget: Budget::default(), seed: Seed(seed), every_ms: 1_000 },
        faults,
        reservations: Vec::new(),
        rating_noise_ppm: 0,
        sample_every_ms: 600_000,
    }
}

/// Tasks of so many cores.
pub(crate) fn spec(name: &str, cores: u64, tasks: u32, gang: bool, retries: u32) -> Arc<JobSpec> {
    let mut spec = JobSpec::command(name, &["simulated"]);
    spec.need = Need::Hardware { cores: Millicores(cores * 1_000), devices: None };
    spec.tasks = RangeSet::from_range(0, tasks - 1);
    spec.gang = gang;
    spec.retries = retries;
    spec.walltime = DurationMs(2 * HOUR_MS);
    Arc::new(spec)
}

/// One job that runs for so many minutes.
pub(crate) fn job(at_minute: u64, spec: &Arc<JobSpec>, run_minutes: u64) -> Arrival {
    let truth = Truth {
        family: 0,
        length: Length::Ms(run_minutes * 60_000),
        task_spread_percent: 100,
        failing_ppm: 0,
        busy_percent: 100,
        stream: Stream::new(0, "jobs"),
    };
    Arrival { at: minute(at_minute), tenant: tenant(), project: project(), spec: spec.clone(), truth }
}

/// Jobs of this spec, so many a day.
pub(crate) fn family(name: &str, jobs_per_day: u64, specs: &[Arc<JobSpec>]) -> Family {
    Family {
        name: name.to_owned(),
        jobs_per_day,
        burst: 1,
        hour_weights: [1; 24],
        zone_ms: 0,
        owners: vec![((tenant(), project()), 1)],
        specs: specs.iter().map(|spec| (spec.clone(), 1)).collect(),
        length: Draw { median: 600_000, spread_percent: 300, min: 100, max: 3 * HOUR_MS },
        unit: Unit::Ms,
        task_spread_percent: 150,
        failing_ppm: 50_000,
        busy_percent: 100,
        after: None,
    }
}

/// Two centres with three kinds of work and every kind of fault.
pub(crate) fn busy(seed: u64) -> (Setup, Vec<Family>) {
    use huisuan_twin::setup::Span;
    let span = |from, until| Span { from: minute(from), until: minute(until) };
    let faults = vec![
        Fault::Nodes {
            centre: centre("a"),
            pool: pool(),
            nodes: 8,
            mean_between_ms: 8 * HOUR_MS,
            repair_ms: HOUR_MS / 2,
        },
        Fault::Outage { centre: centre("b"), span: span(60, 80), noticed_after_ms: 60_000 },
        Fault::LinkLoss { centre: centre("a"), span: span(100, 110) },
        Fault::Maintenance { centre: centre("b"), span: span(120, 150) },
        Fault::LinkLoss { centre: centre("b"), span: span(75, 85) },
    ];
    let sites = vec![site("a", 64, 3_000_000_000), site("b", 32, 2_000_000_000)];
    let mut setup = setup(sites, faults, seed);
    setup.rating_noise_ppm = 20_000;
    let mut tiny = family("tiny", 600, &[spec("tiny", 1, 40, false, 0)]);
    tiny.length = Draw { median: 80, spread_percent: 150, min: 10, max: 200 };
    let mut next = family("next", 0, &[spec("next", 1, 1, false, 0)]);
    next.after = Some(0);
    let gangs = [spec("gang", 4, 2, true, 0), spec("gang", 4, 8, true, 0)];
    let families =
        vec![family("array", 200, &[spec("array", 2, 10, false, 2)]), family("gang", 100, &gangs), tiny, next];
    (setup, families)
}

/// The same with a link between the two, power at both, and work that is bound to one or reads there. More of it comes
/// than the two can take.
pub(crate) fn linked(seed: u64) -> (Setup, Vec<Family>) {
    let (mut setup, mut families) = busy(seed);
    setup.planning.policy.targets_every_ms = 60_000;
    let link = Link { to: centre("b"), round_trip_us: 8_000, bytes_per_s: 1 << 30, price_per_gb: Money(100_000) };
    let power = |grams: u32| Power {
        offset_minutes: 480,
        price_per_kwh: [Money(500_000); 24],
        carbon_g_per_kwh: std::array::from_fn(|hour| grams + 10 * hour as u32),
        pue_permille: 1_300,
        draw_mw: [(pool(), 5_000)].into(),
    };
    let facts = [
        Facts { links: vec![link], power: Some(Box::new(power(500))), ..Facts::default() },
        Facts { power: Some(Box::new(power(200))), ..Facts::default() },
    ];
    for (site, facts) in setup.sites.iter_mut().zip(facts) {
        site.centre.facts = Some(Arc::new(facts));
    }
    let bound = LatencyBound { round_trip_max: DurationMs(5), to: Some(centre("a")), place: None };
    let near = JobSpec { latency: Some(bound), ..(*spec("near", 8, 2, false, 0)).clone() };
    let reads = vec![Reading { at: centre("a"), bytes: Bytes(1 << 40) }];
    let green = JobSpec { reads, objective: Objective::Greenest, ..(*spec("green", 8, 2, false, 0)).clone() };
    families.push(family("near", 400, &[Arc::new(near)]));
    families.push(family("green", 400, &[Arc::new(green)]));
    (setup, families)
}

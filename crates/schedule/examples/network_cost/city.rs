//! Made-up networks for measurements: centres of several kinds in three regions, links through hubs, tenants with and
//! without quotas, and classes of work that ask for more than there is. Every figure is assumed.

use huisuan_model::{Bytes, Class, Gflop, GflopPerS, Money, PoolId, TenantId};
use huisuan_schedule::network::{
    CentreSupply, Data, Hardware, Link, NetworkModel, Part, PoolSupply, Quota, StartDelay, TenantDue, Users, Wishes,
    WorkClass, WorkClassId,
};

/// Size of a network and what is asked of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Centres.
    pub(crate) centres: u64,
    /// Pools of each.
    pub(crate) pools: u64,
    /// Classes of work.
    pub(crate) classes: u64,
    /// Slots of an hour.
    pub(crate) slots: u32,
    /// Work that is asked, in thousandths of what there is.
    pub(crate) load_permille: u64,
}

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `least` to `most`, both included.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// Spread over orders of magnitude: `least` times 2^0 to 2^doublings.
    fn scale(&mut self, least: u64, doublings: u64) -> u64 {
        let whole = least << self.between(0, doublings);
        self.between(whole, 2 * whole)
    }
}

/// Part numbers: name, class, GFLOP/s, memory in GiB, watts, millionths an hour.
const PARTS: [(&str, Class, u64, u64, u64, i64); 12] = [
    ("A100-SXM4-80G", Class::Ai, 312_000, 80, 400, 12_000_000),
    ("A800-80G", Class::Ai, 312_000, 80, 400, 11_000_000),
    ("Ascend-910B2-64G", Class::Ai, 313_000, 64, 350, 9_000_000),
    ("Ascend-910B4-32G", Class::Ai, 240_000, 32, 310, 6_500_000),
    ("DCU-K100-64G", Class::Ai, 196_000, 64, 400, 6_000_000),
    ("H20-96G", Class::Ai, 148_000, 96, 400, 8_000_000),
    ("MLU370-48G", Class::Ai, 96_000, 48, 250, 3_500_000),
    ("cpu:EPYC-7742", Class::Hpc, 36, 0, 4, 90_000),
    ("cpu:EPYC-9654", Class::Hpc, 54, 0, 4, 130_000),
    ("cpu:Hygon-7285", Class::General, 40, 0, 5, 60_000),
    ("cpu:Kunpeng-920", Class::General, 42, 0, 3, 50_000),
    ("cpu:Xeon-8358", Class::General, 83, 0, 6, 120_000),
];

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a valid name")
}

/// A network of this size; the same seed makes the same one.
pub(crate) fn city(size: Size, seed: u64) -> NetworkModel {
    let mut random = Random(seed);
    let centres: Vec<CentreSupply> = (0..size.centres).map(|number| centre(&mut random, size, number)).collect();
    let links = links(&mut random, size.centres);
    let tenants = (0..40).map(|number| tenant(&mut random, number)).collect();
    let mut model =
        NetworkModel { slot_ms: 3_600_000, slots: size.slots, centres, links, tenants, classes: Vec::new() };
    model.classes = (0..size.classes).map(|number| class(&mut random, &model, size, number)).collect();
    fit_load(&mut model, size);
    model
}

/// The same network with every free capacity changed by up to this many thousandths.
pub(crate) fn shaken(model: &NetworkModel, permille: u64, seed: u64) -> NetworkModel {
    let mut random = Random(seed);
    let mut model = model.clone();
    for pool in model.centres.iter_mut().flat_map(|centre| &mut centre.pools) {
        for free in &mut pool.free {
            *free = *free * random.between(1_000 - permille, 1_000 + permille) / 1_000;
        }
    }
    model
}

/// The same network a while later: capacities and queues changed by up to so many thousandths, one class in fifty
/// gone, and the tasks of the others changed as much.
pub(crate) fn later(model: &NetworkModel, permille: u64, seed: u64) -> NetworkModel {
    let mut model = shaken(model, permille, seed);
    let mut random = Random(!seed);
    for pool in model.centres.iter_mut().flat_map(|centre| &mut centre.pools) {
        let factor = random.between(1_000 - permille, 1_000 + permille);
        pool.start =
            StartDelay { p50_ms: pool.start.p50_ms * factor / 1_000, p90_ms: pool.start.p90_ms * factor / 1_000 };
    }
    model.classes.retain(|_| !random.chance(2));
    for class in &mut model.classes {
        class.tasks = class.tasks * random.between(1_000 - permille, 1_000 + permille) / 1_000;
    }
    model
}

fn centre(random: &mut Random, size: Size, number: u64) -> CentreSupply {
    let base = random.between(250_000, 700_000) as i64;
    let price = std::array::from_fn(|hour| Money(if (8..22).contains(&hour) { base * 3 / 2 } else { base / 2 }));
    let grams = random.between(80, 800) as u32;
    let first = random.between(0, PARTS.len() as u64 - 1) as usize;
    let mut pools: Vec<PoolSupply> = (0..size.pools as usize)
        .map(|pool| {
            let (part, class, rate, memory, watts, price) = PARTS[(first + pool * 5) % PARTS.len()];
            let whole = if memory == 0 { random.scale(4_000, 4) } else { random.scale(100, 4) };
            let wait = random.scale(1_000, 10);
            PoolSupply {
                id: name(part),
                class,
                free: (0..size.slots).map(|_| whole * random.between(300, 1_000)).collect(),
                rate: GflopPerS(rate),
                device_memory: Bytes(memory << 30),
                power_mw: watts * 1_000,
                price_per_h: Money(price * random.between(800, 1_200) as i64 / 1_000),
                start: StartDelay { p50_ms: wait, p90_ms: 3 * wait },
            }
        })
        .collect();
    pools.sort_by(|a, b| a.id.cmp(&b.id));
    let kilowatts: u64 = pools.iter().map(|pool| pool.free[0] / 1_000 * pool.power_mw / 1_000_000).sum();
    CentreSupply {
        id: name(&format!("centre-{number:03}")),
        hour: random.between(0, 23) as u8,
        power_price_per_kwh: price,
        carbon_g_per_kwh: [grams; 24],
        pue_permille: random.between(1_080, 1_500) as u32,
        usable_permille: [1_000; 24],
        power_max_w: random.chance(30).then(|| [kilowatts * 900; 24]),
        in_flight_left: random.chance(25).then(|| random.scale(500, 3)),
        pools,
    }
}

/// Every fourth centre is a hub; hubs are all connected, every other centre to two of them.
fn links(random: &mut Random, centres: u64) -> Vec<Link> {
    let mut pairs = Vec::new();
    let hubs = centres.div_ceil(4);
    for from in 0..centres {
        for to in from + 1..centres {
            let (a, b) = (from % 4 == 0, to % 4 == 0);
            let near = |hub: u64, leaf: u64| (leaf / 4) % hubs == hub / 4 || (leaf / 4 + 1) % hubs == hub / 4;
            if (a && (b || near(from, to))) || (b && near(to, from)) {
                pairs.extend([(from, to), (to, from)]);
            }
        }
    }
    pairs.sort_unstable();
    pairs
        .into_iter()
        .map(|(from, to)| Link {
            from: name(&format!("centre-{from:03}")),
            to: name(&format!("centre-{to:03}")),
            bytes_per_s: random.scale(200_000_000, 5),
            latency_us: random.scale(500, 4),
            price_per_gb: Money(random.between(5_000, 60_000) as i64),
        })
        .collect()
}

fn tenant(random: &mut Random, number: u64) -> TenantDue {
    let quotas = match random.chance(20) {
        true => vec![Quota { class: Class::Ai, work_max: Gflop(random.scale(20_000_000_000, 4)) }],
        false => Vec::new(),
    };
    let id: TenantId = name(&format!("tenant-{number:02}"));
    TenantDue { id, lift_permille: random.between(0, 600) as i32 - 300, quotas }
}

fn class(random: &mut Random, model: &NetworkModel, size: Size, number: u64) -> WorkClass {
    let kind = [Class::Ai, Class::Ai, Class::Ai, Class::Hpc, Class::General][random.between(0, 4) as usize];
    let centre = |random: &mut Random| model.centres[random.between(0, size.centres - 1) as usize].id.clone();
    let ai = kind == Class::Ai;
    let width = if ai { 1_000 << random.between(0, 4) } else { 4_000 << random.between(0, 4) };
    let run_ms = random.scale(120_000, 5);
    let reference = if ai { 312_000 } else { 60 };
    let hardware = match random.chance(60) {
        true => Hardware::Neutral { class: kind, width, work: Gflop(reference * width / 1_000 * run_ms / 1_000) },
        false => Hardware::Parts(parts(random, kind, width, run_ms)),
    };
    let cost = i128::from(width) * i128::from(run_ms) * if ai { 10_000_000 } else { 90_000 } / 3_600_000_000;
    let worth = Money(i64::try_from(cost).expect("a small cost") * random.between(900, 4_000) as i64 / 1_000);
    WorkClass {
        id: WorkClassId(number + 1),
        tenant: model.tenants[random.between(0, model.tenants.len() as u64 - 1) as usize].id.clone(),
        tasks: random.scale(2, 6),
        hardware,
        device_memory_min: Bytes(if ai && random.chance(30) { 60 << 30 } else { 0 }),
        centres: Vec::new(),
        data: random.chance(60).then(|| Data { home: centre(random), bytes: Bytes(random.scale(50_000_000, 9)) }),
        users: random.chance(10).then(|| Users { at: centre(random), latency_max_us: random.between(2_000, 20_000) }),
        deadline_ms: random.chance(20).then(|| run_ms * 3 + random.between(1, 6) * 3_600_000),
        worth,
        wishes: Wishes {
            time_per_h: Money(worth.0 / random.between(4, 40) as i64),
            cost_permille: random.between(500, 1_000) as u32,
            energy_per_kwh: Money(random.between(0, 200_000) as i64),
            carbon_per_kg: Money(random.between(0, 300_000) as i64),
        },
        agreed: Vec::new(),
    }
}

fn parts(random: &mut Random, kind: Class, width: u64, run_ms: u64) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for &(part, class, rate, ..) in &PARTS {
        if class == kind && (parts.is_empty() || random.chance(75)) {
            let reference = if kind == Class::Ai { 312_000 } else { 60 };
            let efficiency = random.between(600, 1_000);
            let id: PoolId = name(part);
            parts.push(Part { id, width, run_ms: (run_ms * reference * 1_000 / rate / efficiency).max(1) });
        }
    }
    parts.sort_by(|a, b| a.id.cmp(&b.id));
    parts
}

/// Scales the numbers of tasks until each class of compute asks for its part of what there is.
fn fit_load(model: &mut NetworkModel, size: Size) {
    for kind in Class::ALL {
        let pools = model.centres.iter().flat_map(|centre| &centre.pools).filter(|pool| pool.class == kind);
        let there: u128 =
            pools.map(|pool| pool.free.iter().map(|&free| u128::from(free)).sum::<u128>() * 3_600_000).sum();
        let asks = |class: &WorkClass| match &class.hardware {
            Hardware::Parts(parts) => {
                let of_kind = PARTS.iter().any(|part| part.1 == kind && name::<PoolId>(part.0) == parts[0].id);
                of_kind.then(|| u128::from(parts[0].width * parts[0].run_ms))
            }
            Hardware::Neutral { class, width, work } => {
                let reference = if kind == Class::Ai { 312_000 } else { 60 };
                (*class == kind)
                    .then(|| u128::from(*width) * 1_000 * 1_000 * u128::from(work.0) / reference / u128::from(*width))
            }
        };
        let asked: u128 = model.classes.iter().filter_map(|class| Some(asks(class)? * u128::from(class.tasks))).sum();
        for class in model.classes.iter_mut().filter(|class| asks(class).is_some()) {
            let scaled = u128::from(class.tasks) * there * u128::from(size.load_permille) / 1_000 / asked.max(1);
            class.tasks = u64::try_from(scaled).expect("a small number").max(1);
        }
    }
}

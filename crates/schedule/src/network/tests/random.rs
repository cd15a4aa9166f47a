//! Small random networks in which every rule matters: thin links, caps, quotas, deadlines, bounds of latency.

use huisuan_model::{Bytes, Class, Gflop, GflopPerS, Money};

use crate::network::{
    AgreedPrice, CentreSupply, Data, Hardware, Link, NetworkModel, Part, PoolSupply, Quota, StartDelay, TenantDue,
    Users, Wishes, WorkClass, WorkClassId,
};

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// Below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: String) -> T {
    text.parse().expect("a valid name")
}

/// At most so many classes, each of at most so many tasks.
pub(super) fn network(seed: u64, classes_max: u64, tasks_max: u64) -> NetworkModel {
    let mut random = Random(seed.wrapping_mul(0x5851_F42D_4C95_7F2D));
    let random = &mut random;
    let slots = 1 + random.below(2) as u32;
    let centres: Vec<CentreSupply> = (0..1 + random.below(3)).map(|number| centre(random, number, slots)).collect();
    let mut links = Vec::new();
    for from in 0..centres.len() {
        for to in 0..centres.len() {
            if from != to && random.chance(70) {
                links.push(Link {
                    from: centres[from].id.clone(),
                    to: centres[to].id.clone(),
                    bytes_per_s: random.below(4),
                    latency_us: random.below(4) * 1_000,
                    price_per_gb: Money(random.below(3) as i64 * 1_000_000_000),
                });
            }
        }
    }
    let tenants: Vec<TenantDue> = (0..2)
        .map(|number| TenantDue {
            id: name(format!("t{number}")),
            lift_permille: random.below(600) as i32 - 200,
            quotas: match random.chance(30) {
                true => vec![Quota { class: Class::Ai, work_max: Gflop(random.below(60)) }],
                false => Vec::new(),
            },
        })
        .collect();
    let mut model = NetworkModel { slot_ms: 1_000, slots, centres, links, tenants, classes: Vec::new() };
    model.classes = (0..1 + random.below(classes_max)).map(|number| class(random, &model, number, tasks_max)).collect();
    model
}

fn centre(random: &mut Random, number: u64, slots: u32) -> CentreSupply {
    let pools = (0..1 + random.below(2)).map(|pool| PoolSupply {
        id: name(format!("p{pool}")),
        class: if random.chance(75) { Class::Ai } else { Class::Hpc },
        free: (0..slots).map(|_| random.below(9) * 500).collect(),
        rate: GflopPerS(random.below(4) * 5),
        device_memory: Bytes(random.below(3) * 40),
        power_mw: 1_000 * random.below(3),
        price_per_h: Money(random.below(5) as i64 * 3_600_000),
        start: match random.below(1_500) {
            p50_ms @ 0..400 => StartDelay { p50_ms, p90_ms: p50_ms + random.below(1_000) },
            _ => StartDelay::default(),
        },
    });
    let pools = pools.collect();
    CentreSupply {
        id: name(format!("c{number}")),
        hour: random.below(24) as u8,
        power_price_per_kwh: [Money(random.below(3_000_000_000) as i64 - 500_000_000); 24],
        carbon_g_per_kwh: [random.below(1_000) as u32; 24],
        pue_permille: 1_000 + random.below(500) as u32,
        usable_permille: [if random.chance(20) { random.below(1_001) as u16 } else { 1_000 }; 24],
        power_max_w: random.chance(30).then(|| [random.below(6); 24]),
        in_flight_left: random.chance(25).then(|| random.below(5)),
        pools,
    }
}

/// Every third class has a price of its own at some pool. Nothing is drawn, so that all else stays as it was.
fn agreed(model: &NetworkModel, number: u64) -> Vec<AgreedPrice> {
    let price = |centre: &CentreSupply, pool: &PoolSupply| AgreedPrice {
        centre: centre.id.clone(),
        pool: pool.id.clone(),
        price_per_h: Money((number as i64 + pool.price_per_h.0) / 2),
    };
    let all = model.centres.iter().flat_map(|centre| centre.pools.iter().map(move |pool| price(centre, pool)));
    if number % 3 == 1 { all.step_by(2).collect() } else { Vec::new() }
}

fn class(random: &mut Random, model: &NetworkModel, number: u64, tasks_max: u64) -> WorkClass {
    let centre = |random: &mut Random| model.centres[random.below(model.centres.len() as u64) as usize].id.clone();
    let width = 500 * (1 + random.below(4));
    let hardware = match random.chance(40) {
        true => Hardware::Neutral { class: Class::Ai, width, work: Gflop(1 + random.below(20)) },
        false => Hardware::Parts(
            (0..1 + random.below(2))
                .map(|part| Part { id: name(format!("p{part}")), width, run_ms: 100 + random.below(1_800) })
                .collect(),
        ),
    };
    WorkClass {
        id: WorkClassId(10 * (number + 1)),
        tenant: model.tenants[random.below(2) as usize].id.clone(),
        tasks: random.below(tasks_max + 1),
        hardware,
        device_memory_min: Bytes(if random.chance(25) { 40 } else { 0 }),
        centres: model.centres.iter().map(|one| one.id.clone()).filter(|_| random.chance(85)).collect(),
        data: random.chance(40).then(|| Data { home: centre(random), bytes: Bytes(random.below(3)) }),
        users: random.chance(25).then(|| Users { at: centre(random), latency_max_us: random.below(4) * 1_000 }),
        deadline_ms: random.chance(20).then(|| 500 + random.below(3_000)),
        worth: Money(random.below(20_000) as i64),
        wishes: Wishes {
            time_per_h: Money(random.below(3) as i64 * 1_800_000),
            cost_permille: random.below(1_500) as u32,
            energy_per_kwh: Money(random.below(2_000_000_000) as i64),
            carbon_per_kg: Money(random.below(2_000_000_000) as i64),
        },
        agreed: agreed(model, number),
    }
}

//! A snapshot as a model of the network level.
//!
//! What may run where is asked of the cycle itself, so that both levels agree: a class of work may go to the centres
//! of its candidates. Money makes terms comparable, and the weights of the policy give the rates: a term that weighs as
//! much as the price costs as much at its best place.

use huisuan_model::{CentreId, MilliDevices, Millicores, Money, Tariff, TenantId, TimeMs, facts, quantity::mul_div};

use super::{arrivals::Arrivals, lengths::Lengths};
use crate::{
    memory::Memory,
    network::{
        AgreedPrice, CentreSupply, Data, Hardware, Link, NetworkModel, Part, PoolSupply, StartDelay, TenantDue, Wishes,
        WorkClass, WorkClassId,
    },
    policy::{Policy, Weights},
    snapshot::{Agreed, Amounts, CentreView, PoolView, ShapeView, Snapshot},
    translate::{Candidate, Place, Problem},
};

const HOUR_MS: u64 = 3_600_000;
/// How far it plans, in one slot: what starts at its end would take nothing of a slot that follows, so that in several
/// the last one would look like a bargain.
const AHEAD_H: u64 = 4;
pub(super) const AHEAD_MS: u64 = AHEAD_H * HOUR_MS;
/// A task is worth so many times what it costs at its dearest place: all that has room is worth running.
const WORTH: i64 = 8;
/// The largest sum of money that the network level counts with.
const MONEY_MAX: i64 = 1_000_000_000_000_000;

/// A model, and the kind of work behind each class, by its number.
pub(super) struct Draft {
    pub(super) model: NetworkModel,
    pub(super) kinds: Vec<u64>,
}

/// The network of a snapshot with what waits and is expected.
pub(super) fn draft(snapshot: &Snapshot, arrivals: &Arrivals, policy: &Policy, now: TimeMs) -> Draft {
    let mut views: Vec<(u64, ShapeView, u64)> = arrivals
        .kinds()
        .map(|(number, agreed, kind)| {
            let view = ShapeView { agreed: agreed.to_vec(), ..ShapeView::new(kind.shape.clone(), Vec::new()) };
            (number, view, kind.tasks(AHEAD_H, now))
        })
        .collect();
    views.sort_by(|a, b| a.1.shape.cmp(&b.1.shape));
    // A shape stands twice where a contract began or ended meanwhile.
    views.dedup_by(|later, first| {
        let same = later.1.shape == first.1.shape;
        if same {
            first.2 = first.2.saturating_add(later.2);
        }
        same
    });
    let asked = Snapshot {
        version: snapshot.version,
        centres: snapshot.centres.clone(),
        shapes: views.iter().map(|(_, view, _)| view.clone()).collect(),
        tenants: Vec::new(),
        targets: None,
        ways: snapshot.ways.clone(),
        traffic: snapshot.traffic.clone(),
        lengths: snapshot.lengths.clone(),
    };
    let problem = Problem::new(&asked, policy, now, &mut Memory::default());
    let mut kinds = Vec::new();
    let mut classes = Vec::new();
    for (shape, (number, view, tasks)) in views.iter().enumerate() {
        let candidates = &problem.shapes[shape].places.candidates;
        if candidates.is_empty() || *tasks == 0 {
            continue;
        }
        let id = WorkClassId(kinds.len() as u64);
        classes.push(class(&problem, id, view, candidates, *tasks));
        kinds.push(*number);
    }
    let centres = snapshot.centres.iter().map(|centre| supply(centre, &snapshot.lengths, policy, now)).collect();
    let tenants = vec![TenantDue { id: everybody(), lift_permille: 0, quotas: Vec::new() }];
    let links = links(&snapshot.centres);
    Draft { model: NetworkModel { slot_ms: AHEAD_MS, slots: 1, centres, links, tenants, classes }, kinds }
}

/// Shares are the cycle's matter: the network level sees one tenant.
fn everybody() -> TenantId {
    TenantId::new("all").expect("the constant is a name")
}

fn class(problem: &Problem<'_>, id: WorkClassId, view: &ShapeView, candidates: &[Candidate], tasks: u64) -> WorkClass {
    let shape = &view.shape;
    let together = u64::from(shape.gang.unwrap_or(1));
    let lengths = &problem.snapshot.lengths;
    let run_ms = lengths.likely_ms(&shape.tenant, &shape.project, shape.walltime).max(1);
    let mut parts: Vec<Part> = Vec::new();
    let mut centres: Vec<CentreId> = Vec::new();
    let mut agreed: Vec<AgreedPrice> = Vec::new();
    for candidate in candidates {
        let Place { centre, pool } = problem.pools[candidate.pool];
        let each = if pool.pool.devices.is_zero() { candidate.demand.cores.0 } else { candidate.demand.devices.0 };
        let width = each.saturating_mul(together).clamp(1, 1 << 40);
        match parts.binary_search_by(|part| part.id.cmp(&pool.pool.id)) {
            // The same part is rated a little differently from centre to centre; the widest stands for all.
            Ok(at) => parts[at].width = parts[at].width.max(width),
            Err(at) => parts.insert(at, Part { id: pool.pool.id.clone(), width, run_ms }),
        }
        if centres.last() != Some(&centre.id) {
            centres.push(centre.id.clone());
        }
        if let Some(price_per_p_h) = Agreed::of(&view.agreed, &centre.id, &pool.pool.id) {
            let tariff = Tariff { price_per_p_h, ..centre.tariff.clone() };
            let price_per_h = price_per_h(pool, &tariff);
            agreed.push(AgreedPrice { centre: centre.id.clone(), pool: pool.pool.id.clone(), price_per_h });
        }
    }
    // Candidates are in the order of their scores.
    agreed.sort_by(|a, b| (&a.centre, &a.pool).cmp(&(&b.centre, &b.pool)));
    let reads = shape.reach.iter().flat_map(|reach| &reach.reads);
    let most = reads.max_by(|a, b| (a.bytes, &b.at).cmp(&(b.bytes, &a.at)));
    let data = most.filter(|reading| problem.ways.as_ref().is_some_and(|ways| ways.index(&reading.at).is_some()));
    let costs = candidates.iter().map(|candidate| candidate.hold.saturating_mul(together as i64));
    let dearest = costs.max().unwrap_or(0).clamp(1, MONEY_MAX / (2 * WORTH));
    WorkClass {
        id,
        tenant: everybody(),
        tasks: tasks.min(1 << 32),
        hardware: Hardware::Parts(parts),
        device_memory_min: huisuan_model::Bytes::ZERO,
        centres,
        data: data.map(|reading| Data {
            home: reading.at.clone(),
            bytes: huisuan_model::Bytes(reading.bytes.0.saturating_mul(together).min(1 << 50)),
        }),
        users: None,
        deadline_ms: None,
        worth: Money(dearest * WORTH),
        wishes: wishes(problem, view, candidates, together),
        agreed,
    }
}

/// What its owner minds, by the weights of the policy and of what it prefers.
fn wishes(problem: &Problem<'_>, view: &ShapeView, candidates: &[Candidate], together: u64) -> Wishes {
    let shape = &view.shape;
    let objective = shape.reach.as_ref().map_or_else(Default::default, |reach| reach.objective);
    let Weights { wait, price, carbon, .. } = problem.policy.weights.preferring(objective);
    let cheapest =
        candidates.iter().map(|candidate| i128::from(candidate.hold) * i128::from(together)).min().unwrap_or(0);
    // A weight beside that of the price, of the cheapest cost.
    let beside = |weight: i64, per: i128| {
        let money = cheapest * i128::from(weight.max(0)) / i128::from(price.max(1)) / per.max(1);
        Money(i64::try_from(money).unwrap_or(MONEY_MAX).clamp(0, MONEY_MAX))
    };
    let grams = |candidate: &Candidate| {
        let Place { centre, pool } = problem.pools[candidate.pool];
        let power = centre.facts.as_ref()?.power.as_ref()?;
        let each = if pool.pool.devices.is_zero() { candidate.demand.cores.0 } else { candidate.demand.devices.0 };
        let parts = each.saturating_mul(together);
        Some(power.energy(&pool.pool.id, parts, problem.now, shape.walltime)?.carbon_mg / 1_000)
    };
    let cleanest = candidates.iter().filter_map(grams).min().unwrap_or(0);
    let kilograms = i128::from(cleanest / 1_000).max(1);
    Wishes {
        time_per_h: beside(wait, i128::from(shape.walltime.0 / HOUR_MS).max(1) * 4),
        cost_permille: if price > 0 { 1_000 } else { 0 },
        energy_per_kwh: Money::ZERO,
        carbon_per_kg: if carbon > 0 { beside(carbon, kilograms) } else { Money::ZERO },
    }
}

fn supply(centre: &CentreView, lengths: &Lengths, policy: &Policy, now: TimeMs) -> CentreSupply {
    let power = centre.facts.as_ref().and_then(|facts| facts.power.as_ref());
    // A tariff pays for power, unless the policy minds it by itself.
    let bill = power.filter(|_| policy.weights.energy > 0);
    let pools = centre.pools.iter().map(|pool| pool_supply(centre, pool, lengths, now));
    CentreSupply {
        id: centre.id.clone(),
        hour: power.map_or(0, |power| power.hour(now).0),
        power_price_per_kwh: bill.map_or([Money::ZERO; 24], |power| power.price_per_kwh),
        carbon_g_per_kwh: power.map_or([0; 24], |power| power.carbon_g_per_kwh),
        pue_permille: power.map_or(1_000, |power| power.pue_permille),
        usable_permille: [1_000; 24],
        power_max_w: None,
        in_flight_left: centre.opaque.as_ref().map(|opaque| opaque.in_flight_most.saturating_sub(opaque.in_flight)),
        pools: pools.collect(),
    }
}

fn pool_supply(centre: &CentreView, view: &PoolView, lengths: &Lengths, now: TimeMs) -> PoolSupply {
    let pool = &view.pool;
    let devices = !pool.devices.is_zero();
    let (has, used) = if devices { (pool.devices.0, view.used.devices.0) } else { (pool.cores.0, view.used.cores.0) };
    let power = centre.facts.as_ref().and_then(|facts| facts.power.as_ref());
    let one = one_of(view);
    // What ends is free for the rest of the time.
    let amount = |amounts: &Amounts| if devices { amounts.devices.0 } else { amounts.cores.0 };
    let goes_on_permille = lengths.part_permille(&view.holdings, amount);
    let back = view.holdings.ends().map(|(end, given)| {
        let left_ms = mul_div(end.since(now).0, goes_on_permille, 1_000);
        u128::from(amount(&given)) * u128::from(AHEAD_MS.saturating_sub(left_ms))
    });
    let back = back.sum::<u128>() / u128::from(AHEAD_MS);
    let back = u64::try_from(back).unwrap_or(u64::MAX);
    let open = centre.active && !centre.absent;
    let free = if open { has.saturating_sub(used).saturating_add(back).min(has).min(1 << 50) } else { 0 };
    PoolSupply {
        id: pool.id.clone(),
        class: pool.class,
        free: vec![free],
        rate: huisuan_model::GflopPerS(pool.share(one.0, one.1).map_or(0, |share| share.rate_up().0).min(1 << 50)),
        device_memory: pool.device_memory,
        power_mw: power.and_then(|power| power.draw_mw.get(&pool.id)).copied().unwrap_or(0),
        price_per_h: price_per_h(view, &centre.tariff),
        start: centre.opaque.as_ref().map_or_else(StartDelay::default, |opaque| opaque.one_of(pool)),
    }
}

/// What one whole device or core of a pool costs for an hour.
fn price_per_h(view: &PoolView, tariff: &Tariff) -> Money {
    let (cores, devices) = one_of(view);
    Money(tariff.price(view.pool.work(cores, devices, HOUR_MS)).0.clamp(0, MONEY_MAX))
}

/// One whole device; a core where the pool has no devices.
fn one_of(view: &PoolView) -> (Millicores, MilliDevices) {
    if view.pool.devices.is_zero() {
        (Millicores(1_000), MilliDevices::ZERO)
    } else {
        (Millicores::ZERO, MilliDevices(1_000))
    }
}

/// Both directions of all links between known centres, by their ends.
fn links(centres: &[CentreView]) -> Vec<Link> {
    let declared = |from: &CentreView, to: &CentreView| {
        let links = from.facts.as_ref().map_or(&[][..], |facts| &facts.links);
        links.iter().find(|link| link.to == to.id).cloned()
    };
    let mut links = Vec::new();
    for from in centres {
        for to in centres.iter().filter(|to| to.id != from.id) {
            let link: Option<facts::Link> = declared(from, to).or_else(|| declared(to, from));
            links.extend(link.map(|link| Link {
                from: from.id.clone(),
                to: to.id.clone(),
                bytes_per_s: link.bytes_per_s,
                latency_us: link.round_trip_us / 2,
                price_per_gb: link.price_per_gb,
            }));
        }
    }
    links
}

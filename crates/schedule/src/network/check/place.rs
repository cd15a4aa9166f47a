//! One task at one place, for the judge: the rules of `choice`, written a second time.

use std::collections::BTreeMap;

use huisuan_model::{CentreId, Class};

use super::way::{Way, Ways};
use crate::network::{
    model::{CentreSupply, Hardware, NetworkModel, PoolSupply, WorkClass},
    plan::Scarce,
    terms::Terms,
};

const HOUR: u128 = 3_600_000;

/// What a task is worth and takes.
pub(in crate::network) struct Judged {
    pub(in crate::network) terms: Terms,
    pub(in crate::network) value: i64,
    pub(in crate::network) takes: BTreeMap<Scarce, u128>,
}

/// What there is of a scarce thing; `None` where nothing limits it.
pub(in crate::network) fn room(model: &NetworkModel, of: &Scarce) -> Option<u128> {
    let slot_ms = u128::from(model.slot_ms);
    let centre = |id: &CentreId| model.centres.iter().find(|supply| supply.id == *id);
    let hour = |supply: &CentreSupply, slot: u32| {
        let hours = u128::from(supply.hour) + u128::from(slot) * slot_ms / HOUR;
        usize::try_from(hours % 24).expect("below 24")
    };
    match of {
        Scarce::Pool { centre: id, pool, slot } => {
            let supply = centre(id)?;
            let free = supply.pools.iter().find(|supply| supply.id == *pool)?.free.get(*slot as usize)?;
            let usable = u128::from(*free) * u128::from(supply.usable_permille[hour(supply, *slot)]) / 1_000;
            Some((usable * slot_ms).min(u64::MAX.into()))
        }
        Scarce::Link { from, to, slot } if *slot < model.slots => {
            let link = model.links.iter().find(|link| link.from == *from && link.to == *to)?;
            Some((u128::from(link.bytes_per_s) * slot_ms / 1_000).min(u64::MAX.into()))
        }
        Scarce::Power { centre: id, slot } if *slot < model.slots => {
            let supply = centre(id)?;
            let watts = supply.power_max_w?[hour(supply, *slot)];
            Some((u128::from(watts) * slot_ms).min(u64::MAX.into()))
        }
        Scarce::Quota { tenant, class } => {
            let due = model.tenants.iter().find(|due| due.id == *tenant)?;
            due.quotas.iter().find(|quota| quota.class == *class).map(|quota| quota.work_max.0.into())
        }
        Scarce::InFlight { centre: id } => centre(id)?.in_flight_left.map(u128::from),
        Scarce::Link { .. } | Scarce::Power { .. } => None,
    }
}

/// Judges a task of a class on a pool, starting in a slot, alone in the network.
pub(in crate::network) fn judge(
    model: &NetworkModel,
    ways: &Ways<'_>,
    work: &WorkClass,
    centre: &CentreSupply,
    pool: &PoolSupply,
    slot: u32,
) -> Result<Judged, &'static str> {
    if !work.centres.is_empty() && !work.centres.contains(&centre.id) {
        return Err("a centre that it does not name");
    }
    let (width, run) = size(work, pool)?;
    if pool.device_memory < work.device_memory_min {
        return Err("too little memory");
    }
    if let Some(users) = &work.users {
        let way = ways.between(&users.at, &centre.id).ok_or("no way from its users")?;
        if way.latency_us > u128::from(users.latency_max_us) {
            return Err("too far from its users");
        }
    }
    let data = work.data.as_ref().filter(|data| data.bytes.0 > 0);
    let way = match data {
        Some(data) => Some(ways.between(&data.home, &centre.id).ok_or("no way for its data")?),
        None => None,
    };
    let bytes = data.map_or(0, |data| u128::from(data.bytes.0));
    let sending = way.as_ref().map_or(0, |way| sending_ms(way, bytes));
    let begin = u128::from(slot) * u128::from(model.slot_ms);
    let start = begin.max(u128::from(pool.start.p50_ms)).max(sending);
    if start >= begin + u128::from(model.slot_ms) {
        return Err("not ready within the slot");
    }
    let late = begin.max(u128::from(pool.start.p90_ms)).max(sending);
    if work.deadline_ms.is_some_and(|deadline| late + run > u128::from(deadline)) {
        return Err("too late");
    }
    let terms = worth(model, work, centre, pool, way.as_ref(), [width, run, start, bytes]);
    let value = terms.value();
    if value <= 0 {
        return Err("worth nothing there");
    }
    let mut takes = BTreeMap::new();
    for slot in 0..model.slots {
        let opens = u128::from(slot) * u128::from(model.slot_ms);
        let inside = (start + run).min(opens + u128::from(model.slot_ms)).saturating_sub(start.max(opens));
        if inside > 0 {
            let of = Scarce::Pool { centre: centre.id.clone(), pool: pool.id.clone(), slot };
            if width > room(model, &of).unwrap_or(0) / u128::from(model.slot_ms) {
                return Err("wider than what is free");
            }
            takes.insert(of, width * inside);
            takes.insert(Scarce::Power { centre: centre.id.clone(), slot }, millijoules(centre, pool, width, inside));
        }
    }
    for link in way.iter().flat_map(|way| &way.links) {
        for slot_before in 0..=slot {
            let of = Scarce::Link { from: link.from.clone(), to: link.to.clone(), slot: slot_before };
            takes.insert(of, bytes.div_ceil(u128::from(slot) + 1));
        }
    }
    let gflop = width * u128::from(pool.rate.0) * run / 1_000_000;
    takes.insert(Scarce::Quota { tenant: work.tenant.clone(), class: pool.class }, gflop);
    takes.insert(Scarce::InFlight { centre: centre.id.clone() }, 1);
    takes.retain(|of, units| *units > 0 && room(model, of).is_some());
    if takes.iter().any(|(of, units)| room(model, of).is_some_and(|room| *units > room)) {
        return Err("takes more than there is");
    }
    Ok(Judged { terms, value, takes })
}

/// Width in thousandths of a device, and milliseconds.
fn size(work: &WorkClass, pool: &PoolSupply) -> Result<(u128, u128), &'static str> {
    match &work.hardware {
        Hardware::Parts(parts) => {
            let part = parts.iter().find(|part| part.id == pool.id).ok_or("another part")?;
            Ok((part.width.into(), part.run_ms.into()))
        }
        Hardware::Neutral { class, width, work } => {
            if Class::ALL.iter().any(|other| other == class && *other != pool.class) {
                return Err("another class of compute");
            }
            let rate = u128::from(pool.rate.0) * u128::from(*width);
            if rate == 0 {
                return Err("not rated");
            }
            let century = 100 * 366 * 24 * HOUR;
            Ok((u128::from(*width), (u128::from(work.0) * 1_000_000).div_ceil(rate).clamp(1, century)))
        }
    }
}

fn sending_ms(way: &Way<'_>, bytes: u128) -> u128 {
    let thinnest = way.links.iter().map(|link| u128::from(link.bytes_per_s)).min();
    thinnest.map_or(0, |rate| (bytes * 1_000).div_ceil(rate) + way.latency_us.div_ceil(1_000))
}

fn millijoules(centre: &CentreSupply, pool: &PoolSupply, width: u128, ms: u128) -> u128 {
    let microjoules = (width * ms).div_ceil(1_000) * u128::from(pool.power_mw);
    (microjoules * u128::from(centre.pue_permille)).div_ceil(1_000_000)
}

fn worth(
    model: &NetworkModel,
    work: &WorkClass,
    centre: &CentreSupply,
    pool: &PoolSupply,
    way: Option<&Way<'_>>,
    [width, run, start, bytes]: [u128; 4],
) -> Terms {
    let lift = model.tenants.iter().find(|due| due.id == work.tenant).map_or(0, |due| due.lift_permille);
    let times = |a: u128, rate: i64, unit: u128| narrow(a) * i128::from(rate) / narrow(unit);
    let costs = |amount: i128| amount * i128::from(work.wishes.cost_permille) / 1_000;
    let microwatts = width * u128::from(pool.power_mw) * u128::from(centre.pue_permille) / 1_000;
    // Hour by hour of the run, each with its part of a whole hour.
    let (mut price, mut grams) = (0, 0);
    let days = run / (24 * HOUR);
    let mut at = start;
    while at < start + run - days * 24 * HOUR {
        let next = ((at / HOUR + 1) * HOUR).min(start + run - days * 24 * HOUR);
        let hour = usize::try_from((u128::from(centre.hour) + at / HOUR) % 24).expect("below 24");
        price += narrow(next - at) * i128::from(centre.power_price_per_kwh[hour].0);
        grams += narrow(next - at) * i128::from(centre.carbon_g_per_kwh[hour]);
        at = next;
    }
    for hour in 0..24 {
        price += narrow(days * HOUR) * i128::from(centre.power_price_per_kwh[hour].0);
        grams += narrow(days * HOUR) * i128::from(centre.carbon_g_per_kwh[hour]);
    }
    let kwh_of = |rate: i128| narrow(microwatts) * rate / 3_600_000_000_000_000;
    let energy = narrow(millijoules(centre, pool, width, run));
    let contract = work.agreed.iter().find(|price| price.centre == centre.id && price.pool == pool.id);
    let hourly = contract.map_or(pool.price_per_h.0, |price| price.price_per_h.0);
    let negative = |amount: i128| i64::try_from(-amount).unwrap_or(if amount < 0 { i64::MAX } else { i64::MIN });
    Terms {
        worth: work.worth.0,
        share: i64::try_from(i128::from(work.worth.0) * i128::from(lift) / 1_000).expect("checked by the model"),
        wait: negative(times(start, work.wishes.time_per_h.0, HOUR)),
        run: negative(times(run, work.wishes.time_per_h.0, HOUR)),
        price: negative(costs(times(width * run, hourly, 1_000 * HOUR))),
        transfer: negative(costs(narrow(bytes * way.map_or(0, |way| way.price_per_gb) / 1_000_000_000))),
        energy: negative(costs(kwh_of(price)) + energy * i128::from(work.wishes.energy_per_kwh.0) / 3_600_000_000),
        carbon: negative(kwh_of(grams * 1_000) * i128::from(work.wishes.carbon_per_kg.0) / 1_000_000),
    }
}

fn narrow(amount: u128) -> i128 {
    i128::try_from(amount).unwrap_or(i128::MAX)
}

//! One task of a class at one pool, starting in one slot: what it is worth there, what it uses, or why it may not.

use huisuan_model::{Bytes, Money};

use crate::network::{
    model::{CentreSupply, Curve, Hardware, PoolSupply, WorkClass},
    network::{Network, TIME_MAX_MS},
    problem::{RowIndex, Use},
    route::Route,
    terms::{Terms, WhyNot, clamp},
};

const HOUR_MS: u64 = 3_600_000;

/// A place that passed every rule that does not depend on the slot.
struct Fit<'a> {
    supply: &'a CentreSupply,
    pool: &'a PoolSupply,
    width: u64,
    run_ms: u64,
    route: Option<&'a Route>,
    bytes: u64,
    transfer_ms: u64,
}

/// Looks at a class and a pool in every slot: `found` gets the slot, and the terms with what is used or the reason
/// against. Uses are listed by row, each row once.
pub(super) fn choices(
    network: &Network,
    rows: &RowIndex,
    class: usize,
    pool: usize,
    mut found: impl FnMut(u32, Result<(Terms, &[Use]), WhyNot>),
) {
    let fit = match fit(network, class, pool) {
        Ok(fit) => fit,
        Err(why) => return found(0, Err(why)),
    };
    let mut uses = Vec::new();
    for slot in 0..network.model.slots {
        uses.clear();
        let answer = in_slot(network, rows, class, pool, &fit, slot, &mut uses);
        found(slot, answer.map(|terms| (terms, uses.as_slice())));
    }
}

fn fit(network: &Network, class: usize, pool: usize) -> Result<Fit<'_>, WhyNot> {
    let (work, place, at) = (&network.model.classes[class], network.pools[pool], network.classes[class]);
    let supply = &network.model.centres[place.centre];
    let pool = &supply.pools[place.pool];
    if !work.centres.is_empty() && work.centres.binary_search(&supply.id).is_err() {
        return Err(WhyNot::Centre);
    }
    let (width, run_ms) = speed(work, pool)?;
    if work.device_memory_min > pool.device_memory {
        return Err(WhyNot::Memory { needed: work.device_memory_min, has: pool.device_memory });
    }
    let no_link = |from: usize| WhyNot::Link { from: network.model.centres[from].id.clone() };
    if let (Some(users), Some(from)) = (&work.users, at.users) {
        let route = network.routes[from][place.centre].as_ref().ok_or_else(|| no_link(from))?;
        let (latency_us, latency_max_us) = (route.latency_us, users.latency_max_us);
        if latency_us > latency_max_us {
            return Err(WhyNot::Latency { at: users.at.clone(), latency_us, latency_max_us });
        }
    }
    let bytes = work.data.as_ref().map_or(0, |data| data.bytes.0);
    let route = match at.home {
        Some(home) if bytes > 0 => Some(network.routes[home][place.centre].as_ref().ok_or_else(|| no_link(home))?),
        _ => None,
    };
    let transfer_ms = route.filter(|route| !route.links.is_empty()).map_or(0, |route| {
        let sending = (u128::from(bytes) * 1_000).div_ceil(u128::from(route.bytes_per_s));
        narrow(sending).saturating_add(route.latency_us.div_ceil(1_000))
    });
    Ok(Fit { supply, pool, width, run_ms, route, bytes, transfer_ms })
}

/// Width and run time on a pool.
fn speed(work: &WorkClass, pool: &PoolSupply) -> Result<(u64, u64), WhyNot> {
    match &work.hardware {
        Hardware::Parts(parts) => match parts.binary_search_by(|part| part.id.cmp(&pool.id)) {
            Ok(at) => Ok((parts[at].width, parts[at].run_ms)),
            Err(_) => Err(WhyNot::Part { pool: pool.id.clone() }),
        },
        Hardware::Neutral { class, .. } if *class != pool.class => {
            Err(WhyNot::Class { needed: *class, has: pool.class })
        }
        Hardware::Neutral { .. } if pool.rate.0 == 0 => Err(WhyNot::Unrated),
        Hardware::Neutral { width, work, .. } => {
            // GFLOP / (GFLOP/s * width / 1000), in milliseconds.
            let run_ms = (u128::from(work.0) * 1_000_000).div_ceil(u128::from(pool.rate.0) * u128::from(*width));
            Ok((*width, narrow(run_ms).clamp(1, TIME_MAX_MS)))
        }
    }
}

fn in_slot(
    network: &Network,
    rows: &RowIndex,
    class: usize,
    pool: usize,
    fit: &Fit<'_>,
    slot: u32,
    uses: &mut Vec<Use>,
) -> Result<Terms, WhyNot> {
    let work = &network.model.classes[class];
    let slot_ms = network.model.slot_ms;
    let begin_ms = u64::from(slot) * slot_ms;
    let ready_ms = fit.pool.start.p50_ms.max(fit.transfer_ms);
    let slot_end_ms = begin_ms + slot_ms;
    if ready_ms >= slot_end_ms {
        return Err(WhyNot::Start { ready_ms, slot_end_ms });
    }
    let late_ms = begin_ms.max(fit.pool.start.p90_ms.max(fit.transfer_ms));
    if let Some(deadline_ms) = work.deadline_ms
        && late_ms.saturating_add(fit.run_ms) > deadline_ms
    {
        return Err(WhyNot::Deadline { end_ms: late_ms.saturating_add(fit.run_ms), deadline_ms });
    }
    let start_ms = begin_ms.max(ready_ms);
    let terms = terms(network, class, fit, start_ms);
    if terms.value() <= 0 {
        return Err(WhyNot::NoGain { loss: Money(terms.value().saturating_neg()) });
    }
    occupy(network, rows, pool, fit, start_ms, uses)?;
    carry(network, rows, fit, slot, uses)?;
    let done = u128::from(fit.width) * u128::from(fit.pool.rate.0) * u128::from(fit.run_ms) / 1_000_000;
    if let Some(row) = rows.quota(network.classes[class].tenant, fit.pool.class) {
        let (needed, has) = (narrow(done), rows.room(row));
        if needed > has {
            return Err(WhyNot::Quota { needed, has });
        }
        uses.push(Use { row, amount: needed });
    }
    if let Some(row) = rows.in_flight(network.pools[pool].centre) {
        if rows.room(row) == 0 {
            return Err(WhyNot::InFlight);
        }
        uses.push(Use { row, amount: 1 });
    }
    uses.retain(|one| one.amount > 0);
    Ok(terms)
}

/// Devices and power over the slots that the task runs in. What reaches past the horizon is for later plans.
fn occupy(
    network: &Network,
    rows: &RowIndex,
    pool: usize,
    fit: &Fit<'_>,
    start_ms: u64,
    uses: &mut Vec<Use>,
) -> Result<(), WhyNot> {
    let slot_ms = network.model.slot_ms;
    let end_ms = start_ms.saturating_add(fit.run_ms);
    let first = u32::try_from(start_ms / slot_ms).expect("it starts within the horizon");
    for slot in first..network.model.slots {
        let begin_ms = u64::from(slot) * slot_ms;
        if begin_ms >= end_ms {
            break;
        }
        let here_ms = end_ms.min(begin_ms + slot_ms) - start_ms.max(begin_ms);
        let row = rows.pool(pool, slot);
        let amount = narrow(u128::from(fit.width) * u128::from(here_ms));
        let has = rows.room(row) / slot_ms;
        if fit.width > has || amount > rows.room(row) {
            return Err(WhyNot::Capacity { needed: fit.width, has, slot });
        }
        uses.push(Use { row, amount });
        if let Some(row) = rows.power(network.pools[pool].centre, slot) {
            let (needed_mj, has_mj) = (site_energy_mj(fit, here_ms), rows.room(row));
            if needed_mj > has_mj {
                return Err(WhyNot::Power { needed_mj, has_mj, slot });
            }
            uses.push(Use { row, amount: needed_mj });
        }
    }
    Ok(())
}

/// Bytes over the links of the way, spread over the slots up to the one of the start.
fn carry(network: &Network, rows: &RowIndex, fit: &Fit<'_>, slot: u32, uses: &mut Vec<Use>) -> Result<(), WhyNot> {
    for &link in fit.route.map_or(&[][..], |route| &route.links) {
        let amount = fit.bytes.div_ceil(u64::from(slot) + 1);
        for earlier in 0..=slot {
            let row = rows.link(link as usize, earlier);
            if amount > rows.room(row) {
                let link = &network.model.links[link as usize];
                let (from, to) = (link.from.clone(), link.to.clone());
                return Err(WhyNot::Thin { from, to, needed: Bytes(amount), has: Bytes(rows.room(row)) });
            }
            uses.push(Use { row, amount });
        }
    }
    Ok(())
}

fn terms(network: &Network, class: usize, fit: &Fit<'_>, start_ms: u64) -> Terms {
    let work = &network.model.classes[class];
    let wishes = &work.wishes;
    let lift = network.model.tenants[network.classes[class].tenant].lift_permille;
    let worth = i128::from(work.worth.0);
    let permille = |amount: i128| clamp(-(amount * i128::from(wishes.cost_permille) / 1_000));
    let hours = |ms: u64| clamp(-(i128::from(wishes.time_per_h.0) * i128::from(ms) / i128::from(HOUR_MS)));
    let device_ms = i128::from(fit.width) * i128::from(fit.run_ms);
    let tariff = device_ms * i128::from(price_per_h(work, fit).0) / i128::from(1_000 * HOUR_MS);
    let per_gb = fit.route.map_or(0, |route| route.price_per_gb);
    let carry = i128::from(fit.bytes) * i128::from(per_gb) / 1_000_000_000;
    let (bill, carbon_mg) = electricity(fit, start_ms);
    let energy_mj = i128::from(site_energy_mj(fit, fit.run_ms));
    let wish = energy_mj * i128::from(wishes.energy_per_kwh.0) / 3_600_000_000;
    Terms {
        worth: work.worth.0,
        share: clamp(worth * i128::from(lift) / 1_000),
        wait: hours(start_ms),
        run: hours(fit.run_ms),
        price: permille(tariff),
        transfer: permille(carry),
        energy: permille(bill).saturating_add(clamp(-wish)),
        carbon: clamp(-(carbon_mg * i128::from(wishes.carbon_per_kg.0) / 1_000_000)),
    }
}

/// What a device costs its owner for an hour: what was agreed on, or else the tariff.
fn price_per_h(work: &WorkClass, fit: &Fit<'_>) -> Money {
    let place = (&fit.supply.id, &fit.pool.id);
    let agreed = work.agreed.binary_search_by(|one| (&one.centre, &one.pool).cmp(&place));
    agreed.map_or(fit.pool.price_per_h, |at| work.agreed[at].price_per_h)
}

/// The bill in millionths and CO2 in milligrams of a task, by the hours in which it runs.
fn electricity(fit: &Fit<'_>, start_ms: u64) -> (i128, i128) {
    let site_uw = i128::from(fit.width) * i128::from(fit.pool.power_mw) * i128::from(fit.supply.pue_permille) / 1_000;
    let hours = hours_of(fit.supply.hour, start_ms, fit.run_ms);
    let (mut price, mut grams) = (0, 0);
    for (hour, &ms) in hours.iter().enumerate() {
        price += i128::from(ms) * i128::from(fit.supply.power_price_per_kwh[hour].0);
        grams += i128::from(ms) * i128::from(fit.supply.carbon_g_per_kwh[hour]);
    }
    // Microwatts times milliseconds are nanojoules; a kWh has 3.6 * 10^15 of them.
    const NANOJOULE_PER_KWH: i128 = 3_600_000_000_000_000;
    (scaled(site_uw, price, NANOJOULE_PER_KWH), scaled(site_uw, grams * 1_000, NANOJOULE_PER_KWH))
}

/// `a * b / c`, rounded towards zero, capped instead of overflowing.
fn scaled(a: i128, b: i128, c: i128) -> i128 {
    a.checked_mul(b).map_or(if (a < 0) == (b < 0) { i128::from(i64::MAX) } else { i128::from(i64::MIN) }, |ab| ab / c)
}

/// Milliseconds of a run in each hour of the day.
fn hours_of(hour_now: u8, start_ms: u64, run_ms: u64) -> Curve<u64> {
    const DAY_MS: u64 = 24 * HOUR_MS;
    let mut hours = [run_ms / DAY_MS * HOUR_MS; 24];
    let mut at_ms = (u64::from(hour_now) * HOUR_MS + start_ms) % DAY_MS;
    let mut left_ms = run_ms % DAY_MS;
    while left_ms > 0 {
        let hour = at_ms / HOUR_MS % 24;
        let here_ms = left_ms.min(HOUR_MS - at_ms % HOUR_MS);
        hours[usize::try_from(hour).expect("an hour of the day")] += here_ms;
        left_ms -= here_ms;
        at_ms += here_ms;
    }
    hours
}

/// Energy of one task over a time, PUE included, in millijoules, rounded up.
fn site_energy_mj(fit: &Fit<'_>, time_ms: u64) -> u64 {
    // Thousandths of a device times seconds, times milliwatts, are microjoules.
    let device_uj = (u128::from(fit.width) * u128::from(time_ms)).div_ceil(1_000) * u128::from(fit.pool.power_mw);
    narrow((device_uj * u128::from(fit.supply.pue_permille)).div_ceil(1_000_000))
}

fn narrow(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

//! What ran away from its data and users, and what that saved.

use huisuan_model::Money;

use super::{
    Collector,
    figures::{Moved, Transfers},
    summary::{p_h, rounded},
    tally::{Away, PoolTally},
};
use crate::scenario::{HOURS, SiteFacts};

/// One entry for each family and pool, in their order.
pub(super) fn transfers(collector: &Collector<'_>) -> Vec<Transfers> {
    collector.away.iter().filter_map(|(&(family, pool), away)| transfer(collector, family, pool, away)).collect()
}

/// All of them together; `None` where nothing ran away from home.
pub(super) fn moved(transfers: &[Transfers], placements: u64) -> Option<Moved> {
    let tasks: u64 = transfers.iter().map(|one| one.tasks).sum();
    if tasks == 0 {
        return None;
    }
    let sum = |of: fn(&Transfers) -> f64| rounded(transfers.iter().map(of).sum());
    let money = |of: fn(&Transfers) -> i64| Money(transfers.iter().map(of).fold(0, i64::saturating_add)).into();
    let with_users = || transfers.iter().filter_map(|one| Some((one.round_trip_ms?, one.tasks as f64)));
    let users: f64 = with_users().map(|(_, tasks)| tasks).sum();
    let round_trips: f64 = with_users().map(|(ms, tasks)| ms * tasks).sum();
    Some(Moved {
        tasks,
        tasks_percent: rounded(tasks as f64 * 100.0 / placements.max(1) as f64),
        work_p_h: sum(|one| one.work_p_h),
        gib: sum(|one| one.gib),
        staging_s_mean: rounded(sum(|one| one.staging_s * one.tasks as f64) / tasks as f64),
        round_trip_ms_mean: (users > 0.0).then(|| rounded(round_trips / users)),
        saved: money(|one| one.saved.amount),
        energy_saved: money(|one| one.energy_saved.amount),
        carbon_saved_kg: sum(|one| one.carbon_saved_kg),
    })
}

fn transfer(collector: &Collector<'_>, family: usize, pool: usize, away: &Away) -> Option<Transfers> {
    let scenario = collector.scenario;
    let facts = &scenario.facts.families[family];
    let pool = &collector.pools[pool];
    let (from, to) = (facts.home()?, pool.centre);
    let (home, there) = (&scenario.setup.sites[from], &scenario.setup.sites[to]);
    let price = |site: &huisuan_twin::setup::Site| i128::from(site.centre.tariff.price_per_p_h.0);
    let cheaper = (price(home) - price(there)) * i128::try_from(away.work).unwrap_or(i128::MAX / (1 << 64));
    let saved = cheaper / i128::from(huisuan_model::quantity::GFLOP_PER_P_H);
    let kwh = machine_kwh(pool, away.busy_ms);
    let (sites, way) = (&scenario.facts.sites, &facts.round_trip_ms);
    let less = |of: fn(&SiteFacts) -> f64| kwh * (of(&sites[from]) - of(&sites[to]));
    let energy_saved = less(|site| site.pue * mean_of(&site.power_cny_per_kwh));
    let bytes = u128::from(away.tasks) * u128::from(facts.data_bytes);
    Some(Transfers {
        family: facts.name.clone(),
        from: home.centre.id.to_string(),
        to: there.centre.id.to_string(),
        tasks: away.tasks,
        gib: rounded(bytes as f64 / (1u64 << 30) as f64),
        staging_s: there.staging_ms.get(family).copied().unwrap_or(0) as f64 / 1_000.0,
        round_trip_ms: way[to].zip(way[from]).map(|(there, home)| rounded(there - home)),
        work_p_h: p_h(away.work),
        saved: Money(i64::try_from(saved).unwrap_or(i64::MAX)).into(),
        energy_saved: Money((energy_saved * 1e6).round() as i64).into(),
        carbon_saved_kg: rounded(less(|site| site.pue * mean_of(&site.carbon_g_per_kwh) / 1_000.0)),
    })
}

/// Energy of the machines alone that so many busy thousandths times milliseconds took beyond idling.
fn machine_kwh(pool: &PoolTally, busy_ms: u128) -> f64 {
    let watts = pool.facts.node_watts_busy - pool.facts.node_watts_idle;
    busy_ms as f64 / pool.whole.max(1) as f64 * pool.facts.nodes as f64 * watts / 3.6e9
}

fn mean_of(hours: &[f64; HOURS]) -> f64 {
    hours.iter().sum::<f64>() / HOURS as f64
}

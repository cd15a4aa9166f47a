//! What ran away from its data and users, what that saved, and what moving the data took.

use huisuan_model::Money;
use huisuan_twin::setup::Site;

use super::{
    Collector,
    figures::{Cost, LinkFigures, Moved, Net, TransferCosts, Transfers},
    moves::Moves,
    summary::{p_h, rounded},
    tally::{Away, PoolTally},
};
use crate::scenario::{HOURS, SiteFacts};

/// Bytes of a GiB.
const GIB: f64 = (1u64 << 30) as f64;

/// One entry for each family and pool, in their order.
pub(super) fn transfers(collector: &Collector<'_>) -> Vec<Transfers> {
    collector.away.iter().filter_map(|(&(family, pool), away)| transfer(collector, family, pool, away)).collect()
}

/// All of them together; `None` where nothing ran away from home.
pub(super) fn moved(collector: &Collector<'_>, transfers: &[Transfers], placements: u64) -> Option<Moved> {
    let tasks: u64 = transfers.iter().map(|one| one.tasks).sum();
    if tasks == 0 {
        return None;
    }
    let sum = |of: fn(&Transfers) -> f64| rounded(transfers.iter().map(of).sum());
    let money = |of: fn(&Transfers) -> Cost| {
        Cost::from(Money(transfers.iter().map(|one| of(one).amount).fold(0, i64::saturating_add)))
    };
    let with_users = || transfers.iter().filter_map(|one| Some((one.round_trip_ms?, one.tasks as f64)));
    let users: f64 = with_users().map(|(_, tasks)| tasks).sum();
    let round_trips: f64 = with_users().map(|(ms, tasks)| ms * tasks).sum();
    let moves = || collector.away.values().map(|away| &away.moves);
    let whole: u64 = moves().map(|one| one.whole).sum();
    let transfer = TransferCosts {
        price: money(|one| one.transfer.price),
        energy_kwh: sum(|one| one.transfer.energy_kwh),
        energy_price: money(|one| one.transfer.energy_price),
        carbon_kg: sum(|one| one.transfer.carbon_kg),
    };
    let (saved, energy_saved) = (money(|one| one.saved), money(|one| one.energy_saved));
    let carbon_saved_kg = sum(|one| one.carbon_saved_kg);
    Some(Moved {
        tasks,
        tasks_percent: rounded(tasks as f64 * 100.0 / placements.max(1) as f64),
        work_p_h: sum(|one| one.work_p_h),
        gib: sum(|one| one.gib),
        staging_s_mean: mean_s(moves().map(|one| one.lasted_ms).sum(), whole),
        staging_expected_s_mean: mean_s(moves().map(|one| one.expected_ms).sum(), whole),
        round_trip_ms_mean: (users > 0.0).then(|| rounded(round_trips / users)),
        saved,
        energy_saved,
        carbon_saved_kg,
        transfer,
        net: net(saved, energy_saved, carbon_saved_kg, &transfer),
    })
}

/// Every direction of a link that carried something.
pub(super) fn links(collector: &Collector<'_>) -> Vec<LinkFigures> {
    let scenario = collector.scenario;
    let name = |at: usize| scenario.setup.sites[at].centre.id.to_string();
    let span_s = scenario.setup.end.since(scenario.setup.start).0 as f64 / 1_000.0;
    let figures = collector.lines_used.iter().map(|(&(from, to), line)| LinkFigures {
        from: name(from),
        to: name(to),
        transfers: line.transfers,
        gib: rounded(line.bytes as f64 / GIB),
        used: rounded(line.bytes as f64 * 8e-9 / scenario.facts.links[&(from, to)].gbit_per_s / span_s),
    });
    figures.collect()
}

fn transfer(collector: &Collector<'_>, family: usize, pool: usize, away: &Away) -> Option<Transfers> {
    let scenario = collector.scenario;
    let facts = &scenario.facts.families[family];
    let pool = &collector.pools[pool];
    let (from, to) = (facts.home()?, pool.centre);
    let (home, there) = (&scenario.setup.sites[from], &scenario.setup.sites[to]);
    let price = |site: &Site| i128::from(site.centre.tariff.price_per_p_h.0);
    let cheaper = (price(home) - price(there)) * i128::try_from(away.work).unwrap_or(i128::MAX / (1 << 64));
    let saved = cheaper / i128::from(huisuan_model::quantity::GFLOP_PER_P_H);
    let saved = Money(i64::try_from(saved).unwrap_or(i64::MAX)).into();
    let (sites, way, moves) = (&scenario.facts.sites, &facts.round_trip_ms, &away.moves);
    let kwh = machine_kwh(pool, &away.busy_ms);
    let less = |of: fn(&SiteFacts) -> &[f64; HOURS]| -> f64 {
        let of_hour = |hour: usize| {
            let of_site = |site: &SiteFacts| site.pue * of(site)[hour];
            kwh[hour] * (of_site(&sites[from]) - of_site(&sites[to]))
        };
        (0..HOURS).map(of_hour).sum()
    };
    let energy_saved = money(less(|site| &site.power_cny_per_kwh));
    let carbon_saved_kg = rounded(less(|site| &site.carbon_g_per_kwh) / 1_000.0);
    let transfer = costs(moves);
    Some(Transfers {
        family: facts.name.clone(),
        from: home.centre.id.to_string(),
        to: there.centre.id.to_string(),
        tasks: away.tasks,
        gib: rounded(moves.bytes as f64 / GIB),
        staging_s: mean_s(moves.lasted_ms, moves.whole),
        staging_expected_s: mean_s(moves.expected_ms, moves.whole),
        staging_s_max: moves.lasted_ms_max as f64 / 1_000.0,
        round_trip_ms: way[to].zip(way[from]).map(|(there, home)| rounded(there - home)),
        work_p_h: p_h(away.work),
        saved,
        energy_saved,
        carbon_saved_kg,
        transfer,
        net: net(saved, energy_saved, carbon_saved_kg, &transfer),
    })
}

fn costs(moves: &Moves) -> TransferCosts {
    TransferCosts {
        price: money(moves.price_cny),
        energy_kwh: rounded(moves.kwh),
        energy_price: money(moves.energy_cny),
        carbon_kg: rounded(moves.carbon_kg),
    }
}

fn net(saved: Cost, energy_saved: Cost, carbon_saved_kg: f64, transfer: &TransferCosts) -> Net {
    let without = |gain: Cost, cost: Cost| Money(gain.amount.saturating_sub(cost.amount)).into();
    Net {
        saved: without(saved, transfer.price),
        energy_saved: without(energy_saved, transfer.energy_price),
        carbon_saved_kg: rounded(carbon_saved_kg - transfer.carbon_kg),
    }
}

/// Energy of the machines alone that so many busy thousandths times milliseconds took beyond idling, by hour.
fn machine_kwh(pool: &PoolTally, busy_ms: &[u128; HOURS]) -> [f64; HOURS] {
    let watts = pool.facts.node_watts_busy - pool.facts.node_watts_idle;
    busy_ms.map(|busy_ms| busy_ms as f64 / pool.whole.max(1) as f64 * pool.facts.nodes as f64 * watts / 3.6e9)
}

fn mean_s(sum_ms: u128, count: u64) -> f64 {
    rounded(sum_ms as f64 / count.max(1) as f64 / 1_000.0)
}

fn money(cny: f64) -> Cost {
    Money((cny * 1e6).round() as i64).into()
}

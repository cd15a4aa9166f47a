//! From what was collected to the report.

use std::collections::BTreeMap;

use huisuan_model::{Class, Money, TenantId, TimeMs, quantity::GFLOP_PER_P_H};
use huisuan_twin::World;

use super::{
    Collector, away,
    figures::{CentreFigures, ClassFigures, Groups, NetworkFigures, Report, Waits},
    tally::{Group, PoolTally},
};
use crate::scenario::Title;

/// GFLOP/s in one P.
const GFLOP_PER_S_PER_P: f64 = 1e6;

/// Six digits: more would be noise, and less would hide small parts of large networks.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

pub(super) fn p_h(work: u128) -> f64 {
    rounded(work as f64 / GFLOP_PER_P_H as f64)
}

fn money(sum: i128) -> Money {
    Money(i64::try_from(sum).unwrap_or(i64::MAX))
}

/// The report of a run that has ended.
pub fn report(world: World<Collector<'_>>) -> (Report, Vec<super::Line>) {
    let (counts, placements) = (world.counts(), world.decisions().tasks());
    let decision_hash = world.decisions().hash();
    let level = world.network_level();
    let mut collector = world.into_observer();
    let scenario = collector.scenario;
    let setup = &scenario.setup;
    let classes = collector.classes();
    let centres = collector.centres();
    let sum = |figure: fn(&PoolTally) -> f64| rounded(collector.pools.iter().map(figure).sum());
    let (energy_kwh, carbon_kg) = (sum(|pool| pool.energy_kwh), sum(|pool| pool.carbon_kg));
    let cost = money(collector.pools.iter().map(|pool| pool.cost).sum()).into();
    let (families, tenants) = (collector.families(), collector.tenants());
    let transfers = away::transfers(&collector);
    let report = Report {
        scenario: scenario.name.clone(),
        title: scenario.title.clone(),
        mark: "modelled",
        policy: setup.planning.policy.name.clone(),
        seed: setup.seed,
        simulated_s: setup.end.since(setup.start).0 as f64 / 1_000.0,
        jobs: counts.jobs,
        refused: counts.refused,
        placements,
        improved: counts.improved,
        decision_hash,
        events: counts.events,
        cycles: counts.cycles,
        utilisation: classes.iter().map(|(class, figures)| (*class, figures.allocated)).collect(),
        classes,
        families,
        tenants,
        centres,
        cost,
        energy_kwh,
        carbon_kg,
        network: (level.plans > 0).then(|| NetworkFigures {
            plans: level.plans,
            kinds: level.kinds,
            gap_percent_mean: rounded(level.gap_ppm_sum as f64 / level.plans as f64 / 1e4),
            gap_percent_max: rounded(f64::from(level.gap_ppm_max) / 1e4),
        }),
        moved: away::moved(&collector, &transfers, placements),
        transfers,
        links: away::links(&collector),
    };
    (report, collector.lines)
}

impl Collector<'_> {
    fn span(&self) -> (TimeMs, u64) {
        let setup = &self.scenario.setup;
        (setup.end, setup.end.since(setup.start).0)
    }

    /// The mean parts of several pools, each as heavy as its rate.
    fn means<'p>(&self, pools: impl Iterator<Item = &'p PoolTally>) -> (f64, f64) {
        let (end, span_ms) = self.span();
        let (mut allocated, mut busy, mut rate) = (0.0, 0.0, 0.0);
        for pool in pools {
            let means = pool.means(end, span_ms);
            allocated += means.0 * pool.rate;
            busy += means.1 * pool.rate;
            rate += pool.rate;
        }
        if rate > 0.0 { (rounded(allocated / rate), rounded(busy / rate)) } else { (0.0, 0.0) }
    }

    fn classes(&mut self) -> BTreeMap<Class, ClassFigures> {
        let mut classes = BTreeMap::new();
        for class in Class::ALL {
            let of_class = || self.pools.iter().filter(|pool| pool.class == class);
            if of_class().next().is_none() {
                continue;
            }
            let (allocated, used) = self.means(of_class());
            let figures = ClassFigures {
                nameplate_p: rounded(of_class().map(|pool| pool.nameplate).sum::<f64>() / GFLOP_PER_S_PER_P),
                rated_p: rounded(of_class().map(|pool| pool.rate).sum::<f64>() / GFLOP_PER_S_PER_P),
                allocated,
                used,
                delivered_p_h: p_h(of_class().map(|pool| pool.work).sum()),
                wait_s: self.waits.get_mut(&class).and_then(|waits| Waits::of(waits)),
                waiting_max: self.waiting_max.get(&class).copied().unwrap_or(0),
            };
            classes.insert(class, figures);
        }
        classes
    }

    fn centres(&self) -> BTreeMap<String, CentreFigures> {
        let sites = self.scenario.setup.sites.iter().zip(&self.scenario.facts.sites).enumerate();
        let figures = |(centre, (site, facts)): (usize, (&huisuan_twin::setup::Site, &crate::scenario::SiteFacts))| {
            let own = || self.pools.iter().filter(|pool| pool.centre == centre);
            let sum = |figure: fn(&PoolTally) -> f64| rounded(own().map(figure).sum());
            let (allocated, used) = self.means(own());
            let figures = CentreFigures {
                title: facts.title.clone(),
                class: site.centre.class,
                placements: own().map(|pool| pool.placements).sum(),
                lost: own().map(|pool| pool.lost).sum(),
                allocated,
                used,
                delivered_p_h: p_h(own().map(|pool| pool.work).sum()),
                earned: money(own().map(|pool| pool.cost).sum()).into(),
                energy_kwh: sum(|pool| pool.energy_kwh),
                energy_cost: Money((own().map(|pool| pool.energy_cny).sum::<f64>() * 1e6).round() as i64).into(),
                carbon_kg: sum(|pool| pool.carbon_kg),
            };
            (site.centre.id.to_string(), figures)
        };
        sites.map(figures).collect()
    }

    fn families(&mut self) -> BTreeMap<String, Groups> {
        let mut waiting: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        let (end, _) = self.span();
        for seen in self.jobs.values().filter(|seen| !seen.started) {
            waiting.entry(seen.family).or_default().push(end.since(seen.at).0);
        }
        let mut groups = BTreeMap::new();
        for (family, (facts, group)) in self.scenario.facts.families.iter().zip(&mut self.families).enumerate() {
            let waits = waiting.remove(&family).unwrap_or_default();
            let mut figures = of_group(group, waits, Some(facts.title.clone()));
            figures.round_trip_ms_max = facts.round_trip_ms_max;
            if facts.users_at.is_some() && group.tasks > 0 {
                figures.round_trip_ms = Some(rounded(group.round_trip_ms / group.tasks as f64));
            }
            groups.insert(facts.name.clone(), figures);
        }
        groups
    }

    fn tenants(&mut self) -> BTreeMap<String, Groups> {
        let mut waiting: BTreeMap<&TenantId, Vec<u64>> = BTreeMap::new();
        let end = self.scenario.setup.end;
        for seen in self.jobs.values().filter(|seen| !seen.started) {
            waiting.entry(&seen.tenant).or_default().push(end.since(seen.at).0);
        }
        let groups = self.tenants.iter_mut().map(|(tenant, group)| {
            (tenant.to_string(), of_group(group, waiting.remove(tenant).unwrap_or_default(), None))
        });
        groups.collect()
    }
}

fn of_group(group: &mut Group, mut still_waiting_ms: Vec<u64>, title: Option<Title>) -> Groups {
    Groups {
        title,
        jobs: group.jobs,
        refused: group.refused,
        refusal: group.refusal.clone(),
        started: group.waits_ms.len() as u64,
        succeeded: group.succeeded,
        failed: group.failed,
        wait_s: Waits::of(&mut group.waits_ms),
        still_waiting_s: Waits::of(&mut still_waiting_ms),
        cost: money(group.cost).into(),
        usage_p_h: group.work.iter().map(|(class, work)| (*class, p_h(*work))).collect(),
        round_trip_ms: None,
        round_trip_ms_max: None,
        gangs: group.gangs.some(),
    }
}

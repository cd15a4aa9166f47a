//! Hours of use: readings while an attempt runs, tariffs by the hour, budgets, what is priced anew, what is odd.

use huisuan_model::{
    AgreedPrice, AttemptId, Bytes, Command, DurationMs, Event, JobSpec, Metering, Money, OddityKind, RangeSet,
    ReportKind, TariffRule, TenantId, TimeMs, Usage,
    tenant::{Limit, TenantChange},
};
use proptest::prelude::*;

use super::{contracts::contract, rerate::meterings};
use crate::{
    Refusal,
    testing::{Network, attempt, cancelled, centre, exited, origin},
};

pub(super) const HOUR: i64 = 3_600_000;

/// One core of four rated 60 GFLOP/s: 15 GFLOP/s, 54,000 GFLOP an hour, 45,000 millionths an hour at 3,000 CNY.
pub(super) const HOUR_COST: i64 = 45_000;

pub(super) fn long(hours: u64) -> JobSpec {
    JobSpec {
        walltime: DurationMs(hours * HOUR as u64),
        class: Some(huisuan_model::Class::Hpc),
        ..JobSpec::command("long", &["/bin/true"])
    }
}

pub(super) fn usage(wall_ms: i64) -> Usage {
    Usage {
        wall: DurationMs(wall_ms as u64),
        cpu: DurationMs(wall_ms as u64 / 2),
        memory_peak: Bytes(1),
        ..Usage::default()
    }
}

/// A job that runs since the last full hour.
pub(super) fn running(spec: JobSpec) -> (Network, AttemptId) {
    let mut network = Network::new();
    network.pass(10 * HOUR - 1_000);
    network.submit(spec).expect("a job");
    network.plan();
    let id = attempt(1, 0, 1);
    network.report("hpc-1", vec![(id, ReportKind::Started)]);
    (network, id)
}

fn readings(network: &Network) -> Vec<(i64, i64, i64, i64)> {
    let begin = 10 * HOUR;
    let rows = network.state.touched.meters.iter().map(|row| &row.reading);
    rows.map(|row| (row.from.0 - begin, row.until.0 - begin, row.work, row.cost.0)).collect()
}

#[test]
fn full_hours_are_posted_while_an_attempt_runs() {
    let (mut network, id) = running(long(5));
    let free = |network: &Network| network.state.ledger.available(&origin().tenant, crate::books::home_currency());
    let held = free(&network);
    network.pass(HOUR + HOUR / 2);
    network.report("hpc-1", vec![(id, ReportKind::Used(usage(HOUR + HOUR / 2)))]);
    assert_eq!(readings(&network), [(0, HOUR, 54_000, HOUR_COST)]);
    assert_eq!((network.state.attempt(id).map(|row| row.cost), free(&network)), (Some(Money(HOUR_COST)), held));
    network.check_rebuilt();
    // The same and older news change nothing.
    for wall in [HOUR, HOUR + HOUR / 2, 5] {
        network.report("hpc-1", vec![(id, ReportKind::Used(usage(wall)))]);
    }
    assert_eq!(readings(&network).len(), 1);
    network.pass(2 * HOUR);
    network.report("hpc-1", vec![(id, network.ended(exited(0), 3 * HOUR as u64 + HOUR as u64 / 2))]);
    let expected = [(0, HOUR, 54_000, 45_000), (HOUR, 2 * HOUR, 54_000, 45_000), (2 * HOUR, 3 * HOUR, 54_000, 45_000)];
    assert_eq!(readings(&network)[..3], expected);
    assert_eq!(readings(&network)[3..], [(3 * HOUR, 3 * HOUR + HOUR / 2, 27_000, 22_500)]);
    let ended = &network.state.touched.attempts_ended[&id];
    assert_eq!((ended.cost, ended.work.0, ended.metered), (Money(157_500), 189_000, None));
    assert_eq!(network.state.ledger.earned(&centre("hpc-1"), crate::books::home_currency()), Money(157_500));
    network.check_meters();
    network.check_rebuilt();
}

#[test]
fn hours_that_were_read_stay_when_a_centre_forgets_the_rest() {
    let (mut network, id) = running(long(5));
    network.pass(HOUR + HOUR / 2);
    network.report("hpc-1", vec![(id, ReportKind::Used(usage(HOUR + HOUR / 2)))]);
    network.take(huisuan_model::Command::LoseRunning { centre: centre("hpc-1") });
    let ended = &network.state.touched.attempts_ended[&id];
    assert_eq!((ended.cost, ended.work.0), (Money(HOUR_COST), 54_000));
    network.check_meters();
    network.check_rebuilt();
}

#[test]
fn what_is_less_than_a_millionth_is_not_lost() {
    let mut network = Network::new();
    let spec = JobSpec { tasks: RangeSet::from_range(0, 3), ..long(1) };
    for job in 1..=30 {
        network.submit(spec.clone()).expect("a job");
        network.plan();
        // 15 GFLOP/s for 100 ms at 3,000 CNY: 1.25 millionths, of work cut to a GFLOP 0.83.
        network.pass(100);
        let ends = (0..4).map(|task| (attempt(job, task, 1), network.ended(exited(0), 100)));
        let ends = ends.collect();
        network.report("hpc-1", ends);
    }
    let earned = network.state.ledger.earned(&centre("hpc-1"), crate::books::home_currency());
    assert_eq!(earned, Money(100), "120 GFLOP at 3,000 CNY");
    network.check_meters();
    network.check_rebuilt();
}

pub(super) fn rule(price: i64, from: i64) -> TariffRule {
    TariffRule {
        id: 0,
        centre: centre("hpc-1"),
        tenant: None,
        pool: None,
        class: None,
        hours: None,
        priority_min: None,
        from: TimeMs(from),
        until: None,
        currency: "CNY".into(),
        price_per_p_h: Money(price),
    }
}

pub(super) fn set(network: &mut Network, rule: TariffRule, rerate: bool) -> Result<Vec<Event>, Refusal> {
    network.execute(huisuan_model::Command::SetTariffRule { rule, rerate })
}

#[test]
fn hours_of_the_day_have_their_own_price_and_the_dearest_is_held() {
    let mut network = Network::new();
    network.pass(10 * HOUR - 1_000);
    // The network's tenth hour is the 18th in Shanghai.
    let evening = TariffRule { hours: Some("19-20".parse().expect("hours")), ..rule(6_000_000_000, 10 * HOUR) };
    set(&mut network, evening, false).expect("a rule");
    set(&mut network, rule(1_000_000_000, 12 * HOUR), false).expect("a rule");
    network.submit(long(3)).expect("a job");
    network.plan();
    let id = attempt(1, 0, 1);
    assert_eq!(network.state.attempt(id).map(|row| row.hold), Some(Money(3 * 2 * HOUR_COST)));
    network.report("hpc-1", vec![(id, ReportKind::Started)]);
    network.pass(3 * HOUR);
    network.report("hpc-1", vec![(id, network.ended(exited(0), 3 * HOUR as u64))]);
    let costs: Vec<i64> = readings(&network).iter().map(|row| row.3).collect();
    assert_eq!(costs, [HOUR_COST, 2 * HOUR_COST, HOUR_COST / 3]);
    network.check_meters();
    network.check_rebuilt();
}

#[test]
fn a_price_that_was_agreed_is_that_tenants_alone() {
    for (tenant, cost) in [("local", HOUR_COST / 3), ("mill", HOUR_COST)] {
        let mut network = Network::new();
        network.pass(10 * HOUR - 1_000);
        let tenant = TenantId::new(tenant).expect("a name");
        if tenant.as_str() == "mill" {
            network.take(huisuan_model::Command::AddTenant { tenant: tenant.clone(), change: TenantChange::default() });
        }
        let agreed = TariffRule { tenant: Some(tenant), ..rule(1_000_000_000, 10 * HOUR) };
        set(&mut network, agreed, false).expect("a rule");
        network.submit(long(3)).expect("a job");
        network.plan();
        let id = attempt(1, 0, 1);
        assert_eq!(network.state.attempt(id).map(|row| row.hold), Some(Money(3 * cost)));
        network.report("hpc-1", vec![(id, ReportKind::Started)]);
        network.pass(HOUR);
        network.report("hpc-1", vec![(id, network.ended(exited(0), HOUR as u64))]);
        assert_eq!(readings(&network).iter().map(|row| row.3).collect::<Vec<_>>(), [cost]);
        network.check_meters();
        network.check_rebuilt();
    }
}

#[test]
fn bad_rules_are_refused() {
    let mut network = Network::new();
    network.pass(10 * HOUR - 1_000);
    let known = set(&mut network, rule(5, 20 * HOUR), false).expect("a rule");
    assert!(matches!(known[..], [Event::TariffRuleSet(TariffRule { id: 1, .. })]));
    let mut check = |changed: TariffRule, expected: &str| {
        let refusal = set(&mut network, changed, false).expect_err(expected);
        assert!(refusal.to_string().contains(expected), "{refusal}");
        assert!(!refusal.hint().is_empty());
    };
    check(rule(5, 30 * HOUR), "overlaps rule 1");
    check(rule(5, 9 * HOUR), "is past");
    check(TariffRule { currency: "EUR".into(), ..rule(5, 20 * HOUR) }, "its centre asks `CNY`");
    check(TariffRule { centre: centre("none"), ..rule(5, 20 * HOUR) }, "is not known");
    check(TariffRule { pool: "gpu".parse().ok(), ..rule(5, 20 * HOUR) }, "has no pool");
    check(TariffRule { tenant: "nobody".parse().ok(), ..rule(5, 20 * HOUR) }, "nobody");
    let end = |rule, until| huisuan_model::Command::EndTariffRule { rule, until: TimeMs(until) };
    for (rule, until, expected) in
        [(9, 30 * HOUR, "no tariff rule 9"), (1, 20 * HOUR, "no full hour after"), (1, 9 * HOUR, "is past")]
    {
        let refusal = network.execute(end(rule, until)).expect_err(expected);
        assert!(refusal.to_string().contains(expected), "{refusal}");
    }
    network.take(end(1, 30 * HOUR));
    set(&mut network, rule(5, 30 * HOUR), false).expect("the one before has ended by then");
    network.check_rebuilt();
}

#[test]
fn what_cannot_be_is_kept_with_its_reason() {
    let check = |story: &dyn Fn(&mut Network, AttemptId), kind: OddityKind, text: &str| {
        let (mut network, id) = running(long(5));
        network.pass(HOUR / 2);
        network.report("hpc-1", vec![(id, ReportKind::Used(usage(HOUR / 2)))]);
        story(&mut network, id);
        story(&mut network, id);
        let found = &network.state.touched.oddities;
        let kinds: Vec<OddityKind> = found.iter().map(|(_, oddity)| oddity.kind).collect();
        assert_eq!(kinds, [kind], "once, though it came twice: {found:?}");
        assert!(found[0].1.detail.contains(text), "{found:?}");
        network.check_rebuilt();
    };
    let used = |usage: Usage| ReportKind::Used(usage);
    check(
        &|network, id| {
            let cpu = DurationMs(7);
            network.report("hpc-1", vec![(id, used(Usage { cpu, ..usage(HOUR / 2 + 1) }))]);
        },
        OddityKind::Backwards,
        "processor time ran backwards from 900000 to 7",
    );
    check(
        &|network, id| {
            network.pass(HOUR);
            network.report("hpc-1", vec![(id, used(usage(5)))]);
        },
        OddityKind::Backwards,
        "run time ran backwards",
    );
    check(
        &|network, id| drop(network.report("hpc-1", vec![(id, used(usage(40 * HOUR)))])),
        OddityKind::TooLong,
        "ran for 144000000 ms",
    );
    check(
        &|network, id| {
            network.pass(HOUR);
            let what = used(usage(HOUR));
            let at = TimeMs(network.now.0 + HOUR);
            let report = huisuan_model::AttemptReport { attempt: id, at, what };
            let seq = network.state.centres()[&centre("hpc-1")].reported_seq + 1;
            let centre = centre("hpc-1");
            network.take(huisuan_model::Command::Report { centre, seq, reports: vec![report], past: None });
        },
        OddityKind::ClockAhead,
        "still to come",
    );
}

#[test]
fn work_beyond_the_books_is_cut_and_told() {
    let mut network = Network::new();
    let pool = network.state.centres()[&centre("hpc-1")].pools[&crate::testing::pool()].clone();
    // So fast and no faster than it says it can be: nothing is doubted.
    let all = huisuan_model::GflopPerS(u64::MAX);
    let rating = huisuan_model::Rating { sustained: all, nameplate: all, ..pool.rating.expect("rated") };
    let free = huisuan_model::Tariff { currency: "CNY".into(), price_per_p_h: Money(0) };
    let known = huisuan_model::Centre { tariff: free, ..network.state.centres()[&centre("hpc-1")].clone() };
    network.take(huisuan_model::Command::SetCentre(Box::new(known)));
    network.take(huisuan_model::Command::Rate { centre: centre("hpc-1"), pool: pool.id, rating });
    network.submit(long(5)).expect("a job");
    network.plan();
    network.pass(4 * HOUR);
    network.report("hpc-1", vec![(attempt(1, 0, 1), network.ended(exited(0), 4 * HOUR as u64))]);
    assert_eq!(network.state.touched.oddities.last().map(|(_, oddity)| oddity.kind), Some(OddityKind::Overflow));
    network.check_rebuilt();
    // The accounts are full: what is done there from then on counts as nothing, and nothing breaks.
    network.submit(long(5)).expect("a job");
    network.plan();
    network.report("hpc-1", vec![(attempt(2, 0, 1), ReportKind::Started)]);
    network.pass(3 * HOUR);
    network.report("hpc-1", vec![(attempt(2, 0, 1), ReportKind::Used(usage(2 * HOUR + 5)))]);
    network.report("hpc-1", vec![(attempt(2, 0, 1), network.ended(exited(0), 3 * HOUR as u64))]);
    assert_eq!(network.state.touched.attempts_ended[&attempt(2, 0, 1)].work.0, 0);
    network.check_rebuilt();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever runs, ends, fails, is cancelled or lost, with rules and contracts that come and go: the rows of the
    /// meter are whole, cost what was posted, every line is rounded once, and no budget is passed by a unit.
    #[test]
    fn the_meter_and_the_books_agree(steps in prop::collection::vec((0..10_u8, 0..5_u32, 1..9_000_000_i64), 1..60)) {
        let mut network = Network::new();
        let budget = 3_000_000;
        let change = TenantChange {
            budget_month: Some(Limit::Most(budget)),
            budget_hour: Some(Limit::Most(4 * HOUR_COST as u64)),
            ..TenantChange::default()
        };
        super::budget::limit(&mut network, change).expect("a budget");
        for (what, number, amount) in steps {
            let live: Vec<AttemptId> = network.state.attempts().map(|row| row.id).filter(|id| id.task != 9).collect();
            let id = live.get(number as usize).copied();
            match (what, id) {
                (0, _) => {
                    let tasks = RangeSet::from_range(0, number);
                    let walltime = DurationMs(amount as u64);
                    network.submit(JobSpec { walltime, tasks, ..long(1) }).expect("a job");
                }
                (1, _) => drop(network.plan()),
                (2, _) => network.pass(amount),
                (3, Some(id)) => drop(network.report("hpc-1", vec![(id, ReportKind::Used(usage(amount)))])),
                (4, Some(id)) => {
                    let outcome = if amount % 2 == 0 { exited(0) } else { cancelled() };
                    let end = network.ended(outcome, amount as u64);
                    network.report("hpc-1", vec![(id, end)]);
                }
                (5, _) => {
                    let hour = (network.now.0 / HOUR + 1 + i64::from(number)) * HOUR;
                    // A rule that overlaps is refused, and the story goes on.
                    drop(set(&mut network, rule(amount * 1000, hour), false));
                }
                (7, _) => {
                    let hour = (network.now.0 / HOUR + 1 + i64::from(number)) * HOUR;
                    let price = AgreedPrice::DiscountPermille(1 + (amount % 1000) as u16);
                    let price = if amount % 2 == 0 { AgreedPrice::PerPh(Money(amount * 1000)) } else { price };
                    drop(network.execute(Command::MakeContract(contract(price, hour))));
                }
                (9, _) => {
                    // An order to price anew what was used since some hours; nobody is made to pay what is not there.
                    let hour = (network.now.0 / HOUR - i64::from(number)).max(0) * HOUR;
                    drop(set(&mut network, rule(amount * 500, hour), true));
                    let readings: Vec<Metering> =
                        meterings(&network).into_iter().filter(|one| one.of.centre == centre("hpc-1")).collect();
                    let id = network.state.tariffs().next_id() - 1;
                    let kept = |one: &Metering| one.of.reading.from >= TimeMs(hour);
                    let readings = readings.into_iter().filter(kept).collect();
                    drop(network.execute(Command::Rerate { rule: id, readings }));
                }
                (8, _) => {
                    let until = TimeMs((network.now.0 / HOUR + 1) * HOUR);
                    drop(network.execute(Command::EndContract { contract: number, until }));
                }
                (6, Some(_)) if amount % 5 == 0 => {
                    network.take(huisuan_model::Command::LoseRunning { centre: centre("hpc-1") });
                }
                _ => {}
            }
            let spent = network.state.tally(&origin().tenant).map_or(0, |tally| tally.spent(tally.month, None));
            let held = network.state.ledger.held(&origin().tenant, crate::books::home_currency());
            // An order to price anew may ask for more than a budget: it is given by hand.
            let rows = network.state.touched.meters.iter().filter(|row| row.reading.adjusts.is_some());
            let anew: i128 = rows.map(|row| i128::from(row.reading.cost.0.max(0))).sum();
            prop_assert!(spent + i128::from(held.0) <= i128::from(budget) + anew, "{} {}", spent, held);
        }
        network.check_rebuilt();
        network.check_meters();
    }
}

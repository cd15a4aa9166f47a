//! Contracts: what is held and charged under one, where the scheduler goes for one, what running attempts pay when one
//! begins or ends.

use huisuan_model::{
    AgreedPrice, AskedReservation, Class, Command, Contract, Event, Millicores, Money, TimeMs, UnderContract,
    tenant::TenantChange,
};

use super::meter::{HOUR, HOUR_COST, long, running, usage};
use crate::{
    Outlook, Refusal,
    testing::{Network, attempt, centre, exited, origin, pool},
};

pub(super) fn contract(price: AgreedPrice, from: i64) -> Contract {
    Contract {
        id: 0,
        tenant: origin().tenant,
        centre: centre("hpc-1"),
        pool: None,
        class: None,
        from: TimeMs(from),
        until: None,
        currency: "CNY".into(),
        price,
        note: String::new(),
    }
}

fn make(network: &mut Network, contract: Contract) -> Result<Vec<Event>, Refusal> {
    network.execute(Command::MakeContract(contract))
}

/// Cost and contract of every reading.
fn readings(network: &Network) -> Vec<(i64, Option<u32>)> {
    let rows = network.state.touched.meters.iter().map(|row| &row.reading);
    rows.map(|row| (row.cost.0, row.contract.map(|under| under.id))).collect()
}

#[test]
fn work_under_contract_is_held_and_charged_by_it_for_its_tenant_alone() {
    for (tenant, price, each) in [
        ("local", AgreedPrice::PerPh(Money(1_000_000_000)), HOUR_COST / 3),
        ("local", AgreedPrice::DiscountPermille(200), HOUR_COST * 4 / 5),
        ("mill", AgreedPrice::PerPh(Money(1_000_000_000)), HOUR_COST),
    ] {
        let mut network = Network::new();
        network.pass(10 * HOUR - 1_000);
        let tenant = tenant.parse().expect("a name");
        network.take(Command::AddTenant { tenant: "mill".parse().expect("a name"), change: TenantChange::default() });
        let own = tenant == origin().tenant;
        make(&mut network, Contract { tenant, ..contract(price, 10 * HOUR) }).expect("a contract");
        network.submit(long(3)).expect("a job");
        network.plan();
        let id = attempt(1, 0, 1);
        assert_eq!(network.state.attempt(id).map(|row| row.hold), Some(Money(3 * each)));
        network.report("hpc-1", vec![(id, huisuan_model::ReportKind::Started)]);
        network.pass(HOUR);
        network.report("hpc-1", vec![(id, network.ended(exited(0), HOUR as u64))]);
        assert_eq!(readings(&network), [(each, own.then_some(1))]);
        let list_price = Money(3_000_000_000);
        let under = network.state.touched.meters[0].reading.contract;
        assert_eq!(under, own.then_some(UnderContract { id: 1, list_price }), "what the tariff asked is kept");
        network.check_meters();
        network.check_rebuilt();
    }
}

#[test]
fn what_runs_is_charged_by_the_contract_of_each_hour() {
    let (mut network, id) = running(long(5));
    // It begins an hour after the attempt did, and is ended two hours later.
    make(&mut network, contract(AgreedPrice::PerPh(Money(1_500_000_000)), 11 * HOUR)).expect("a contract");
    network.pass(HOUR + 5);
    network.report("hpc-1", vec![(id, huisuan_model::ReportKind::Used(usage(HOUR + 5)))]);
    network.take(Command::EndContract { contract: 1, until: TimeMs(13 * HOUR) });
    network.pass(4 * HOUR - 5);
    network.report("hpc-1", vec![(id, network.ended(exited(0), 5 * HOUR as u64))]);
    let (full, half) = (HOUR_COST, HOUR_COST / 2);
    assert_eq!(readings(&network), [(full, None), (half, Some(1)), (half, Some(1)), (full, None), (full, None)]);
    network.check_meters();
    network.check_rebuilt();
}

#[test]
fn an_end_that_comes_early_costs_no_more_than_was_held() {
    let mut network = Network::new();
    network.pass(10 * HOUR - 1_000);
    make(&mut network, contract(AgreedPrice::PerPh(Money(1_000_000_000)), 10 * HOUR)).expect("a contract");
    network.submit(long(3)).expect("a job");
    network.plan();
    let id = attempt(1, 0, 1);
    network.report("hpc-1", vec![(id, huisuan_model::ReportKind::Started)]);
    network.take(Command::EndContract { contract: 1, until: TimeMs(11 * HOUR) });
    network.pass(3 * HOUR);
    network.report("hpc-1", vec![(id, network.ended(exited(0), 3 * HOUR as u64))]);
    let third = HOUR_COST / 3;
    assert_eq!(readings(&network), [(third, Some(1)), (2 * third, None), (0, None)]);
    network.check_meters();
    network.check_rebuilt();
}

#[test]
fn the_scheduler_goes_where_a_price_was_agreed() {
    for (agreed, expected) in [(None, "a"), (Some(2_000_000_000), "b"), (Some(4_000_000_000), "a")] {
        let mut network = Network::new();
        network.open("a", Class::General, 4);
        network.open("b", Class::General, 4);
        network.pass(10 * HOUR - 1_000);
        if let Some(price) = agreed {
            let own = contract(AgreedPrice::PerPh(Money(price)), 10 * HOUR);
            make(&mut network, Contract { centre: centre("b"), pool: Some(pool()), ..own }).expect("a contract");
        }
        network.submit(huisuan_model::JobSpec { class: Some(Class::General), ..long(3) }).expect("a job");
        network.plan();
        let found = network.state.attempt(attempt(1, 0, 1)).expect("an attempt");
        assert_eq!(found.centre, centre(expected), "{agreed:?}");
    }
}

#[test]
fn a_plan_quotes_the_agreed_price() {
    let mut network = Network::new();
    network.pass(10 * HOUR - 2_000);
    make(&mut network, contract(AgreedPrice::PerPh(Money(1_000_000_000)), 10 * HOUR)).expect("a contract");
    let costs = |network: &Network, spec: &huisuan_model::JobSpec| {
        let outlook = Outlook::of(&network.state, &origin(), spec, network.now).expect("legal");
        let candidates = outlook.candidates(network.now).into_iter();
        candidates.filter(|one| one.centre == centre("hpc-1")).map(|one| one.cost).collect::<Vec<_>>()
    };
    assert_eq!(costs(&network, &long(3)), [Some(Money(HOUR_COST * 3))], "it has not begun yet");
    network.pass(1_000);
    assert_eq!(costs(&network, &long(3)), [Some(Money(HOUR_COST))]);
    // A budget that pays for it by the agreed price alone is enough.
    let thrifty = huisuan_model::JobSpec { budget: Some(Money(HOUR_COST)), ..long(3) };
    network.submit(thrifty.clone()).expect("affordable");
    network.take(Command::EndContract { contract: 1, until: TimeMs(11 * HOUR) });
    let refusal = network.submit(thrifty).expect_err("too dear");
    assert!(refusal.to_string().contains("budget"), "{refusal}");
}

#[test]
fn capacity_is_reserved_where_a_price_was_agreed() {
    for (agreed, expected) in [(false, "a"), (true, "b")] {
        let mut network = Network::new();
        network.open("a", Class::General, 4);
        network.open("b", Class::General, 4);
        network.pass(10 * HOUR - 1_000);
        if agreed {
            let own = contract(AgreedPrice::DiscountPermille(1), 10 * HOUR);
            make(&mut network, Contract { centre: centre("b"), ..own }).expect("a contract");
        }
        let asked = AskedReservation {
            tenant: origin().tenant,
            centre: None,
            pool: None,
            class: Some(Class::General),
            cores: Some(Millicores(1_000)),
            memory: None,
            devices: None,
            from: TimeMs(11 * HOUR),
            until: TimeMs(12 * HOUR),
            note: String::new(),
            own: false,
        };
        let events = network.take(Command::Reserve(Box::new(asked)));
        let [Event::ReservationAdded { centre: found, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(*found, centre(expected));
    }
}

#[test]
fn a_contract_that_ends_too_soon_is_not_counted_with() {
    let mut network = Network::new();
    network.open("a", Class::General, 4);
    network.open("b", Class::General, 4);
    network.pass(10 * HOUR - 1_000);
    let soon = contract(AgreedPrice::PerPh(Money(1)), 10 * HOUR);
    make(&mut network, Contract { centre: centre("b"), until: Some(TimeMs(13 * HOUR)), ..soon }).expect("a contract");
    network.submit(huisuan_model::JobSpec { class: Some(Class::General), ..long(3) }).expect("a job");
    network.plan();
    let found = network.state.attempt(attempt(1, 0, 1)).expect("an attempt");
    assert_eq!(found.centre, centre("a"), "it may start late, and then its last hour costs what the tariff says");
}

#[test]
fn bad_contracts_are_refused() {
    let mut network = Network::new();
    network.pass(10 * HOUR - 1_000);
    let price = AgreedPrice::PerPh(Money(5));
    let until = Some(TimeMs(30 * HOUR));
    make(&mut network, Contract { until, ..contract(price, 20 * HOUR) }).expect("a contract");
    let mut check = |changed: Contract, expected: &str| {
        let refusal = make(&mut network, changed).expect_err(expected);
        assert!(refusal.to_string().contains(expected), "{refusal}");
        assert!(!refusal.hint().is_empty());
    };
    check(contract(price, 21 * HOUR), "overlaps contract 1");
    check(contract(price, 9 * HOUR), "is past");
    check(Contract { currency: "EUR".into(), ..contract(price, 30 * HOUR) }, "its centre asks `CNY`");
    check(Contract { centre: centre("none"), ..contract(price, 30 * HOUR) }, "is not known");
    check(Contract { pool: "gpu".parse().ok(), ..contract(price, 30 * HOUR) }, "has no pool");
    check(Contract { tenant: "nobody".parse().expect("a name"), ..contract(price, 30 * HOUR) }, "nobody");
    for (contract, until, expected) in [
        (9, 30 * HOUR, "no contract 9"),
        (1, 9 * HOUR, "is past"),
        (1, 31 * HOUR, "later than"),
        (1, 25 * HOUR + 1, "not a full hour"),
    ] {
        let end = Command::EndContract { contract, until: TimeMs(until) };
        let refusal = network.execute(end).expect_err(expected);
        assert!(refusal.to_string().contains(expected), "{refusal}");
    }
    network.take(Command::EndContract { contract: 1, until: TimeMs(25 * HOUR) });
    make(&mut network, contract(price, 25 * HOUR)).expect("the one before has ended by then");
    network.check_rebuilt();
}

#[test]
fn a_contract_is_taken_back_before_it_begins_and_makes_room_for_another() {
    let mut network = Network::new();
    network.pass(10 * HOUR - 1_000);
    let price = AgreedPrice::PerPh(Money(5));
    make(&mut network, contract(price, 20 * HOUR)).expect("a contract");
    let end = Command::EndContract { contract: 1, until: TimeMs(11 * HOUR) };
    network.take(end.clone());
    assert!(network.state.tariffs().contracts.get(1).is_some_and(Contract::withdrawn));
    let refusal = network.execute(end).expect_err("it is gone");
    assert!(refusal.to_string().contains("has ended"), "{refusal}");
    make(&mut network, contract(price, 12 * HOUR)).expect("the other one never holds");
    // One that has begun ends at a later hour.
    network.pass(2 * HOUR + 5_000);
    let refusal = network.execute(Command::EndContract { contract: 2, until: TimeMs(12 * HOUR) }).expect_err("past");
    assert!(refusal.to_string().contains("is past"), "{refusal}");
    network.check_rebuilt();
}

/// What a replay says of a plan is what the plan was taken with.
#[test]
fn the_hold_of_a_placement_knows_the_contract() {
    for price in [3_000_000_000, 1_000_000_000] {
        let mut network = Network::new();
        network.pass(10 * HOUR - 1_000);
        make(&mut network, contract(AgreedPrice::PerPh(Money(price)), 10 * HOUR)).expect("a contract");
        network.pass(1_000);
        network.submit(long(1)).expect("a job");
        let (state, now) = (network.state.clone(), network.now);
        let plan = network.plan_alone();
        let placement = plan.placements.first().expect("a placement");
        let told = crate::hold_each(&state, placement, now).expect("all is known");
        network.take(Command::Plan(Box::new(plan.clone())));
        let held = network.state.attempt(attempt(1, 0, 1)).expect("placed").hold;
        assert_eq!((told, held), (held, Money(HOUR_COST * price / 3_000_000_000)));
    }
}

//! Stories from life, each with what people expect.

use huisuan_model::{Bytes, Class, Gflop, Money, PoolId};

use crate::network::{
    AgreedPrice, Answer, Data, Hardware, Network, Quota, Scarce, Terms, Users, WhyNot, WorkClassId, explain,
    tests::story::{HOUR_MS, UNIT, centre, centre_id, places, plan, two_centres, work},
};

fn at(centre: &str, slot: u32, tasks: u64) -> (String, String, u32, u64) {
    (centre.to_owned(), "GPU".to_owned(), slot, tasks)
}

#[test]
fn elastic_work_goes_where_power_is_cheap_and_work_bound_by_latency_stays() {
    let mut model = two_centres();
    model.classes = vec![work(1, 6, HOUR_MS), work(2, 6, HOUR_MS)];
    model.classes[1].users = Some(Users { at: centre_id("east"), latency_max_us: 5_000 });
    assert_eq!(places(&model, 1), [at("west", 0, 6)]);
    assert_eq!(places(&model, 2), [at("east", 0, 6)]);
    // A looser bound lets it follow.
    model.classes[1].users = Some(Users { at: centre_id("east"), latency_max_us: 15_000 });
    assert_eq!(places(&model, 2), [at("east", 0, 2), at("west", 0, 4)]);
}

#[test]
fn transfers_are_charged_to_work_that_moves() {
    // Power saves 0.5 units for a task of an hour; 40 GB cost 0.4 units to move, 60 GB cost 0.6.
    for (gigabytes, home) in [(40, "west"), (60, "east")] {
        let mut model = two_centres();
        model.classes = vec![work(1, 6, HOUR_MS / 2)];
        model.classes[0].hardware = two_hours_of_power();
        model.classes[0].data = Some(Data { home: centre_id("east"), bytes: Bytes(gigabytes * 1_000_000_000) });
        assert_eq!(places(&model, 1), [at(home, 0, 6)], "{gigabytes} GB");
    }
}

/// Two devices for half an hour: a kilowatt hour.
fn two_hours_of_power() -> Hardware {
    let part = crate::network::Part { id: "GPU".parse().unwrap(), width: 2_000, run_ms: HOUR_MS / 2 };
    Hardware::Parts(vec![part])
}

#[test]
fn a_link_too_thin_keeps_work_home() {
    let mut model = two_centres();
    model.classes = vec![work(1, 6, HOUR_MS)];
    model.classes[0].data = Some(Data { home: centre_id("east"), bytes: Bytes(10_000_000_000) });
    model.links.iter_mut().for_each(|link| link.bytes_per_s = 10_000_000);
    // 36 GB pass in an hour: three tasks can move.
    assert_eq!(places(&model, 1), [at("east", 0, 3), at("west", 0, 3)]);
    model.links.iter_mut().for_each(|link| link.bytes_per_s = 2_000_000);
    assert_eq!(places(&model, 1), [at("east", 0, 6)]);
    let network = Network::new(model.clone()).unwrap();
    let considered = explain(&network, &plan(&model), WorkClassId(1)).unwrap();
    assert_eq!(considered[1].centre, centre_id("west"));
    let why = WhyNot::Start { ready_ms: 5_000_015, slot_end_ms: HOUR_MS };
    assert_eq!(considered[1].answer, Answer::Refused { why });
}

#[test]
fn a_neutral_demand_takes_the_faster_part_at_equal_price_of_work() {
    let mut model = two_centres();
    model.centres.truncate(1);
    model.links.clear();
    let slow = model.centres[0].pools[0].clone();
    let mut fast = slow.clone();
    fast.id = "GPU2".parse().unwrap();
    fast.rate.0 *= 2;
    fast.price_per_h.0 *= 2;
    fast.power_mw *= 2;
    model.centres[0].pools.push(fast);
    model.classes = vec![work(1, 6, HOUR_MS)];
    model.classes[0].hardware = Hardware::Neutral { class: Class::Ai, width: 1_000, work: Gflop(100 * 3_600) };
    model.classes[0].wishes.time_per_h = Money(UNIT / 10);
    assert_eq!(places(&model, 1), [("east".to_owned(), "GPU2".to_owned(), 0, 6)]);
}

#[test]
fn a_curve_of_prices_moves_work_to_other_hours_unless_waiting_costs_more() {
    let mut model = two_centres();
    model.centres = vec![centre("east", 800_000, 800, 3)];
    model.centres[0].power_price_per_kwh[2] = Money(100_000);
    model.links.clear();
    model.slots = 3;
    model.classes = vec![work(1, 6, HOUR_MS)];
    assert_eq!(places(&model, 1), [at("east", 2, 6)]);
    model.classes[0].wishes.time_per_h = Money(UNIT);
    assert_eq!(places(&model, 1), [at("east", 0, 6)]);
}

#[test]
fn green_power_wins_when_carbon_counts() {
    let mut model = two_centres();
    model.centres[1].power_price_per_kwh = [Money(900_000); 24];
    model.classes = vec![work(1, 6, HOUR_MS)];
    assert_eq!(places(&model, 1), [at("east", 0, 6)]);
    model.classes[0].wishes.carbon_per_kg = Money(UNIT);
    assert_eq!(places(&model, 1), [at("west", 0, 6)]);
}

#[test]
fn caps_hold_and_have_a_price() {
    let mut model = two_centres();
    model.classes = vec![work(1, 30, HOUR_MS)];
    model.centres[0].power_max_w = Some([4_000; 24]);
    model.centres[1].in_flight_left = Some(3);
    assert_eq!(places(&model, 1), [at("east", 0, 4), at("west", 0, 3)]);
    let plan_of = plan(&model);
    assert_eq!(plan_of.gap_ppm, 0);
    let priced: Vec<&Scarce> = plan_of.prices.iter().map(|price| &price.of).collect();
    let expected =
        [Scarce::Power { centre: centre_id("east"), slot: 0 }, Scarce::InFlight { centre: centre_id("west") }];
    assert_eq!(priced, [&expected[0], &expected[1]]);
    // A kWh more in the east is worth a task: 5 units less tariff and power.
    assert_eq!(plan_of.prices[0].of_units(3_600_000_000).0, 3_199_999);
    model.centres[0].usable_permille = [200; 24];
    assert_eq!(places(&model, 1), [at("east", 0, 2), at("west", 0, 3)]);
    model.tenants[0].quotas = vec![Quota { class: Class::Ai, work_max: Gflop(4 * 360_000) }];
    assert_eq!(places(&model, 1), [at("east", 0, 1), at("west", 0, 3)]);
}

#[test]
fn tenants_below_their_share_come_first() {
    let mut model = two_centres();
    model.centres.truncate(1);
    model.links.clear();
    let mut other = model.tenants[0].clone();
    other.id = "poor".parse().unwrap();
    other.lift_permille = 100;
    model.tenants.push(other);
    model.classes = vec![work(1, 10, HOUR_MS), work(2, 6, HOUR_MS)];
    model.classes[1].tenant = "poor".parse().unwrap();
    assert_eq!(places(&model, 1), [at("east", 0, 4)]);
    assert_eq!(places(&model, 2), [at("east", 0, 6)]);
}

#[test]
fn every_choice_is_explained() {
    let mut model = two_centres();
    model.classes = vec![work(1, 6, HOUR_MS)];
    model.classes[0].device_memory_min = Bytes(64);
    model.centres[1].pools[0].device_memory = Bytes(32);
    let network = Network::new(model.clone()).unwrap();
    let considered = explain(&network, &plan(&model), WorkClassId(1)).unwrap();
    let terms = Terms { worth: 5 * UNIT, price: -UNIT, energy: -800_000, ..Terms::default() };
    let best = Answer::Possible { slot: 0, terms, scarcity: Money(0), planned: 6 };
    assert_eq!((considered[0].centre.as_str(), &considered[0].answer), ("east", &best));
    let why = WhyNot::Memory { needed: Bytes(64), has: Bytes(32) };
    assert_eq!(considered[1].answer, Answer::Refused { why });
    assert_eq!(explain(&network, &plan(&model), WorkClassId(2)), None);
}

/// A price that was agreed on counts instead of the tariff, for who has it and where it holds alone.
#[test]
fn a_contract_draws_its_owner_to_another_place() {
    let mut model = two_centres();
    model.classes = vec![work(1, 2, HOUR_MS), work(2, 2, HOUR_MS)];
    let east = &model.centres[0];
    let agreed = AgreedPrice { centre: east.id.clone(), pool: east.pools[0].id.clone(), price_per_h: Money(0) };
    // Power saves 0.5 units in the west, the contract a whole one in the east.
    model.classes[1].agreed = vec![agreed.clone()];
    assert_eq!(places(&model, 1), [at("west", 0, 2)]);
    assert_eq!(places(&model, 2), [at("east", 0, 2)]);
    model.classes[1].agreed[0].price_per_h = Money(UNIT * 3 / 4);
    assert_eq!(places(&model, 2), [at("west", 0, 2)]);
    let refused = |change: &dyn Fn(&mut Vec<AgreedPrice>)| {
        let mut wrong = model.clone();
        change(&mut wrong.classes[1].agreed);
        Network::new(wrong).is_err()
    };
    assert!(!refused(&|_| {}));
    assert!(refused(&|agreed| agreed[0].price_per_h = Money(-1)));
    assert!(refused(&|agreed| agreed[0].pool = PoolId::new("none").expect("a name")));
    assert!(refused(&|agreed| agreed[0].centre = centre_id("none")));
    assert!(refused(&|prices| prices.push(agreed.clone())));
}

//! Which ratings are believed.

use std::sync::Arc;

use huisuan_model::{Certificate, Doubt, GflopPerS, Mark, PoolId, Precision, PrecisionRate, Rating, TimeMs};

use super::*;
use crate::testing::pool;

fn plain(sustained: u64, nameplate: u64) -> Rating {
    Rating::plain(GflopPerS(sustained), GflopPerS(nameplate), "test/1", Mark::Measured, TimeMs(0))
}

fn signed(key: &str, sustained: u64) -> Rating {
    let certificate = Certificate { key: key.into(), ..Certificate::default() };
    Rating { certificate: Some(Arc::new(certificate)), ..plain(sustained, 100) }
}

fn rate(network: &mut Network, name: &str, rating: Rating) {
    network.take(Command::Rate { centre: centre(name), pool: pool(), rating });
}

fn doubt(network: &Network, name: &str) -> Option<&'static str> {
    let rating = network.state.centres()[&centre(name)].pools[&pool()].rating.as_ref();
    rating.and_then(|rating| rating.doubt.as_ref()).map(Doubt::code)
}

fn placed(network: &mut Network) -> usize {
    network.plan().iter().filter(|event| matches!(event, Event::TasksPlaced { .. })).count()
}

/// The doubt about a rating of `hpc-1`, which has four cores.
fn check(rating: Rating, expected: Option<&str>) {
    let mut network = Network::new();
    rate(&mut network, "hpc-1", rating);
    assert_eq!(doubt(&network, "hpc-1"), expected);
}

#[test]
fn a_rate_above_its_own_peak_is_not_believed() {
    check(plain(100, 100), None);
    check(plain(102, 100), None);
    check(plain(103, 100), Some("above-nameplate"));
    check(plain(103, 0), None);
    check(Rating { mark: Mark::Modelled, ..plain(103, 100) }, None);
    let other =
        PrecisionRate { precision: Precision::Fp32, sustained: Some(GflopPerS(300)), nameplate: Some(GflopPerS(200)) };
    let certificate = Certificate { rates: vec![other], ..Certificate::default() };
    check(Rating { certificate: Some(Arc::new(certificate)), ..plain(50, 100) }, Some("above-nameplate"));
}

#[test]
fn what_the_door_found_comes_first_and_an_agent_cannot_choose_its_version() {
    let mut network = Network::new();
    rate(&mut network, "hpc-1", Rating { version: 90, doubt: Some(Doubt::Signature), ..plain(900, 100) });
    assert_eq!(doubt(&network, "hpc-1"), Some("signature"));
    let rating = network.state.centres()[&centre("hpc-1")].pools[&pool()].rating.clone().expect("rated");
    assert_eq!(rating.version, 2);
}

/// Kinds and details of the alarms of `hpc-1`.
fn alarms(network: &Network) -> Vec<(huisuan_model::AlarmKind, String)> {
    let alarms = &network.state.centres()[&centre("hpc-1")].alarms;
    alarms.iter().map(|alarm| (alarm.kind, alarm.detail.clone())).collect()
}

#[test]
fn a_rate_far_from_the_last_one_raises_an_alarm_with_both() {
    for (second, expected) in [
        (plain(60, 100), None),
        (plain(48, 100), None),
        (plain(72, 100), None),
        (plain(47, 100), Some("measured 47 GFLOP/s (version 2), 21 % below the 60 GFLOP/s of version 1")),
        (plain(73, 100), Some("measured 73 GFLOP/s (version 2), 21 % above the 60 GFLOP/s of version 1")),
        (plain(900, 100), None),
        (Rating { method: "test/2".into(), ..plain(5, 100) }, None),
        (Rating { mark: Mark::Declared, ..plain(5, 100) }, None),
    ] {
        let mut network = Network::new();
        rate(&mut network, "hpc-1", second.clone());
        let found = alarms(&network);
        assert_eq!(found.len(), usize::from(expected.is_some()), "{second:?}: {found:?}");
        assert!(found.iter().all(|(_, detail)| detail.starts_with(expected.unwrap_or("?"))), "{found:?}");
        network.check_rebuilt();
    }
}

#[test]
fn a_rate_is_held_against_one_that_is_too_old_but_not_against_one_that_nobody_believed() {
    for (doubt, alarms_expected) in [(Doubt::Expired { at: TimeMs(5) }, 1), (Doubt::Signature, 0)] {
        let mut network = Network::new();
        network.take(Command::DoubtRating { centre: centre("hpc-1"), pool: pool(), doubt });
        rate(&mut network, "hpc-1", plain(30, 100));
        assert_eq!(alarms(&network).len(), alarms_expected);
    }
}

#[test]
fn an_alarm_of_a_rate_tells_the_latest_and_a_measurement_ends_that_of_none() {
    use huisuan_model::{Alarm, AlarmKind};
    let mut network = Network::new();
    let ignored = Alarm {
        kind: AlarmKind::MeasurementIgnored,
        subject: pool().to_string(),
        detail: "asked three times".into(),
        since: TimeMs(0),
    };
    network.take(Command::SetAlarms { centre: centre("hpc-1"), raised: vec![ignored], cleared: Vec::new() });
    for sustained in [30, 29, 60] {
        rate(&mut network, "hpc-1", plain(sustained, 100));
    }
    let found = alarms(&network);
    assert_eq!(found.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [AlarmKind::RateChanged]);
    assert!(found[0].1.starts_with("measured 60 GFLOP/s (version 4), 106 % above"), "{found:?}");
    network.check_rebuilt();
}

#[test]
fn far_above_its_peers_is_not_believed() {
    let mut network = Network::new();
    // Of 4 cores 60, 60 and 68 GFLOP/s; a core may reach two and a half times their median.
    for (name, sustained) in [("hpc-2", 60), ("hpc-3", 68)] {
        network.open(name, Class::Hpc, 4);
        rate(&mut network, name, plain(sustained, 400));
    }
    rate(&mut network, "hpc-1", plain(150, 400));
    assert_eq!(doubt(&network, "hpc-1"), None);
    rate(&mut network, "hpc-2", plain(60, 400));
    rate(&mut network, "hpc-1", plain(60, 400));
    network.open("hpc-4", Class::Hpc, 4);
    rate(&mut network, "hpc-4", plain(151, 400));
    assert_eq!(doubt(&network, "hpc-4"), Some("above-peers"));
    // Another method is not compared, and neither is another class.
    rate(&mut network, "hpc-4", Rating { method: "test/2".into(), ..plain(151, 400) });
    assert_eq!(doubt(&network, "hpc-4"), None);
    rate(&mut network, "ai-1", plain(400, 400));
    assert_eq!(doubt(&network, "ai-1"), None);
}

#[test]
fn a_centre_keeps_its_key_until_an_operator_accepts_another() {
    let mut network = Network::new();
    rate(&mut network, "hpc-1", signed("first", 60));
    assert_eq!(network.state.centres()[&centre("hpc-1")].rating_key.as_deref(), Some("first"));
    rate(&mut network, "hpc-1", signed("first", 61));
    assert_eq!(doubt(&network, "hpc-1"), None);
    rate(&mut network, "hpc-1", signed("second", 60));
    assert_eq!(doubt(&network, "hpc-1"), Some("other-key"));
    // The same from the only pool again: a doubted rating does not become the key.
    rate(&mut network, "hpc-1", signed("second", 60));
    assert_eq!(doubt(&network, "hpc-1"), Some("other-key"));
    rate(&mut network, "hpc-1", plain(60, 100));
    assert_eq!(doubt(&network, "hpc-1"), Some("other-key"), "unsigned is no way out");
    rate(&mut network, "hpc-1", signed("second", 60));
    network.take(Command::AcceptRating { centre: centre("hpc-1"), pool: pool() });
    assert_eq!(doubt(&network, "hpc-1"), None);
    rate(&mut network, "hpc-1", signed("second", 62));
    assert_eq!(doubt(&network, "hpc-1"), None);
    // Declared anew by its operator, the centre keeps the key.
    let declared = network.state.centres()[&centre("hpc-1")].clone();
    network.take(Command::SetCentre(Box::new(huisuan_model::Centre { rating_key: None, ..declared })));
    assert_eq!(network.state.centres()[&centre("hpc-1")].rating_key.as_deref(), Some("second"));
}

#[test]
fn nothing_new_is_placed_on_a_doubted_pool_and_what_runs_goes_on() {
    let mut network = Network::new();
    let at = |name: &str| JobSpec { centres: vec![centre("hpc-1")], ..job(name) };
    network.submit(at("before")).expect("taken");
    assert_eq!(placed(&mut network), 1);
    let expired =
        Command::DoubtRating { centre: centre("hpc-1"), pool: pool(), doubt: Doubt::Expired { at: TimeMs(5) } };
    assert_eq!(network.take(expired.clone()).len(), 1);
    assert!(network.take(expired).is_empty(), "the same doubt again changes nothing");
    network.submit(at("after")).expect("taken: the pool may be measured again");
    assert_eq!(placed(&mut network), 0);
    assert_eq!(network.state.used(&centre("hpc-1"), &pool()).attempts, 1);
    rate(&mut network, "hpc-1", plain(60, 100));
    assert_eq!(placed(&mut network), 1);
    assert!(network.take(Command::AcceptRating { centre: centre("hpc-1"), pool: pool() }).is_empty());
    let no_pool = Command::AcceptRating { centre: centre("hpc-1"), pool: PoolId::new("other").expect("a name") };
    assert!(matches!(network.execute(no_pool), Err(Refusal::NoPool { .. })));
}

#[test]
fn a_version_names_one_rating_for_ever() {
    let mut network = Network::new();
    let version = |network: &Network| {
        let known = network.state.centres()[&centre("hpc-1")].pools.get(&pool())?;
        known.rating.as_ref().map(|rating| rating.version)
    };
    let found = |network: &mut Network, cores: Option<u64>| {
        let known = network.state.centres()[&centre("ai-1")].pools[&pool()].clone();
        let pool = |cores| huisuan_model::Pool { cores: huisuan_model::Millicores(cores), rating: None, ..known };
        let pools = cores.map(pool).into_iter().collect();
        network.take(Command::Inventory { centre: centre("hpc-1"), pools });
    };
    rate(&mut network, "hpc-1", plain(61, 100));
    assert_eq!(version(&network), Some(2));
    // Other hardware, then none at all, then the first again: nobody counts anew.
    found(&mut network, Some(8_000));
    assert_eq!(version(&network), None, "it has to be measured");
    rate(&mut network, "hpc-1", plain(120, 200));
    assert_eq!(version(&network), Some(3));
    found(&mut network, None);
    network.check_rebuilt();
    found(&mut network, Some(4_000));
    let declared = network.state.centres()[&centre("hpc-1")].clone();
    let anew = huisuan_model::Centre { rating_versions: Default::default(), ..declared };
    network.take(Command::SetCentre(Box::new(anew)));
    rate(&mut network, "hpc-1", plain(62, 100));
    assert_eq!(version(&network), Some(4));
    network.check_rebuilt();
}

#[test]
fn ratings_count_up_and_survive_the_same_inventory() {
    let mut network = Network::new();
    let pools: Vec<_> = network.state.centres()[&centre("hpc-1")].pools.values().cloned().collect();
    let bare = |cores: u64| {
        let mut pools = pools.clone();
        pools[0].rating = None;
        pools[0].cores.0 = cores;
        Command::Inventory { centre: centre("hpc-1"), pools }
    };
    assert_eq!(network.take(bare(4000)), vec![], "nothing new");
    network.take(bare(3000));
    let pool = network.state.centres()[&centre("hpc-1")].pools.values().next().cloned().expect("a pool");
    assert_eq!(pool.rating, None, "other hardware is to be rated anew");
}

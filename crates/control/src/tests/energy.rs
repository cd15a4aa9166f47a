//! Energy of what was used: decided with its reading, whatever is declared later.

use std::sync::Arc;

use huisuan_model::{
    Bytes, Certificate, GflopPerS, Mark, Money, OddityKind, Rating, ReportKind, TimeMs, Usage,
    facts::{Facts, Power},
};

use super::meter::{HOUR, long, running, usage};
use crate::testing::{Network, centre, exited, origin, pool};

/// What the operator of `hpc-1` declares: 10 W for a core at work, a PUE of 1.25, and 500 g for a kWh.
fn powered(network: &mut Network, draw_mw: u64) {
    let power = Power {
        offset_minutes: 480,
        price_per_kwh: [Money(400_000); 24],
        carbon_g_per_kwh: [500; 24],
        pue_permille: 1_250,
        draw_mw: [(crate::testing::pool(), draw_mw)].into(),
    };
    let facts = Facts { power: Some(Box::new(power)), ..Facts::default() };
    network.take(huisuan_model::Command::SetFacts { centre: centre("hpc-1"), place: None, facts });
}

#[test]
fn energy_is_decided_with_its_reading_and_stays() {
    let (mut network, id) = running(long(5));
    let energies = |network: &Network| -> Vec<Option<(u64, Option<u32>)>> {
        let rows = network.state.touched.meters.iter().map(|row| row.reading.energy);
        rows.map(|energy| energy.map(|energy| (energy.joules, energy.carbon_g_per_kwh))).collect()
    };
    // Nobody says what the first hour took.
    network.pass(HOUR);
    network.report("hpc-1", vec![(id, ReportKind::Used(usage(HOUR)))]);
    powered(&mut network, 10_000);
    network.pass(HOUR);
    network.report("hpc-1", vec![(id, ReportKind::Used(usage(2 * HOUR)))]);
    // What is declared later changes nothing of it.
    powered(&mut network, 99_000);
    network.pass(HOUR / 2);
    network.report("hpc-1", vec![(id, network.ended(exited(0), 2 * HOUR as u64 + HOUR as u64 / 2))]);
    // One core for half of an hour at 12.5 W; then all of what was left at 123.75 W, for the half hour that was given.
    assert_eq!(energies(&network), [None, Some((22_500, Some(500))), Some((222_750, Some(500)))]);
    let tally = network.state.tally(&origin().tenant).and_then(|tally| tally.energy).expect("it is known");
    assert_eq!((tally.joules, tally.mark), (245_250, Mark::Modelled));
    assert_eq!(tally.carbon_mg, Some(22_500 * 500 / 3_600 + 222_750 * 500 / 3_600));
    network.check_meters();
    network.check_rebuilt();
}

/// What the records say: joules and who says so.
fn energies(network: &Network) -> Vec<(u64, Mark)> {
    let rows = network.state.touched.meters.iter().filter_map(|row| row.reading.energy);
    rows.map(|energy| (energy.joules, energy.mark)).collect()
}

#[test]
fn what_meters_counted_is_read_hour_by_hour() {
    let (mut network, id) = running(long(5));
    powered(&mut network, 10_000);
    let used = |wall: i64, joules| ReportKind::Used(Usage { joules, ..usage(wall) });
    network.pass(HOUR + HOUR / 2);
    network.report("hpc-1", vec![(id, used(HOUR + HOUR / 2, 3_000))]);
    // Two thirds of it are of the hour that is over; what its site takes beyond comes on top.
    assert_eq!(energies(&network), [(2_500, Mark::Measured)]);
    // The same and late news change nothing, and what fell is told of and not taken.
    network.report("hpc-1", vec![(id, used(HOUR, 2_000)), (id, used(HOUR + HOUR / 2, 3_000))]);
    network.pass(HOUR / 4);
    let events = network.report("hpc-1", vec![(id, used(HOUR + 3 * HOUR / 4, 100))]);
    let odd = |event: &huisuan_model::Event| matches!(event, huisuan_model::Event::OddityFound { oddity, .. } if oddity.kind == OddityKind::Backwards);
    assert!(events.iter().any(odd), "{events:?}");
    network.check_rebuilt();
    network.pass(HOUR / 4);
    network.report("hpc-1", vec![(id, used(2 * HOUR, 5_000))]);
    network.pass(HOUR / 2);
    // The meter is gone: what it did not count is modelled, half an hour of a core at 12.5 W.
    network.report("hpc-1", vec![(id, network.ended(exited(0), 2 * HOUR as u64 + HOUR as u64 / 2))]);
    let last = (12_500 * 1_800 / 1_000, Mark::Modelled);
    assert_eq!(energies(&network), [(2_500, Mark::Measured), (3_750, Mark::Measured), last]);
    let sum = network.state.tally(&origin().tenant).and_then(|tally| tally.energy).expect("it is known");
    assert_eq!((sum.joules, sum.mark), (2_500 + 3_750 + last.0, Mark::Modelled), "under the weakest mark");
    network.check_meters();
    network.check_rebuilt();
}

#[test]
fn late_time_takes_what_is_modelled_whatever_was_counted() {
    let (mut network, id) = running(long(5));
    powered(&mut network, 10_000);
    network.pass(2 * HOUR);
    let usage = |wall: i64, joules| Usage { joules, ..usage(wall) };
    let ended = ReportKind::Ended {
        started_at: Some(TimeMs(network.now.0 - 2 * HOUR)),
        outcome: exited(0),
        usage: usage(HOUR / 2, 4_000),
    };
    network.report("hpc-1", vec![(id, ended)]);
    // What its site takes is in the row, and the machine counted less: the same joules are no news beside it, and
    // neither are more of them without time.
    let mut expected = vec![(5_000, Mark::Measured)];
    for joules in [4_000, 4_500, 5_500] {
        let events = network.report("hpc-1", vec![(id, ReportKind::Used(usage(HOUR / 2, joules)))]);
        assert!(matches!(events[..], [huisuan_model::Event::ReportTaken { .. }]), "{events:?}");
        assert_eq!(energies(&network), expected);
    }
    // Half of a core at 12.5 W for half an hour, twice; whatever is counted of it.
    for (wall, joules) in [(HOUR, 4_800), (HOUR, 4_800), (HOUR + HOUR / 2, 9_000), (HOUR + HOUR / 2, 9_500)] {
        if wall > HOUR / 2 * expected.len() as i64 {
            expected.push((11_250, Mark::Modelled));
        }
        network.report("hpc-1", vec![(id, ReportKind::Used(usage(wall, joules)))]);
        assert_eq!(energies(&network), expected, "{wall} {joules}");
    }
    network.check_meters();
    network.check_rebuilt();
}

#[test]
fn more_energy_than_the_pool_can_take_is_odd_and_not_believed() {
    let mut network = Network::new();
    let certificate = Certificate {
        rates: Vec::new(),
        memory: Bytes(1 << 30),
        bandwidth_mb_per_s: None,
        watts: Some(100),
        host_hash: "ab".repeat(32),
        data_hash: "cd".repeat(32),
        expires_at: TimeMs(i64::MAX),
        key: "12".repeat(32),
        signature: "34".repeat(64),
    };
    let rating = Rating::plain(GflopPerS(60), GflopPerS(100), "test/1", Mark::Measured, network.now);
    let rating = Rating { certificate: Some(Arc::new(certificate)), ..rating };
    network.take(huisuan_model::Command::Rate { centre: centre("hpc-1"), pool: pool(), rating });
    network.submit(long(1)).expect("a job");
    network.plan();
    let id = crate::testing::attempt(1, 0, 1);
    network.pass(HOUR / 2);
    // Twice of 100 W for half an hour are 360 kJ.
    for (joules, odd) in [(360_000, 0), (360_001, 1), (u64::MAX, 0)] {
        let what = ReportKind::Used(Usage { joules, ..usage(HOUR / 2) });
        let events = network.report("hpc-1", vec![(id, what)]);
        let found = events.iter().filter(|event| matches!(event, huisuan_model::Event::OddityFound { .. })).count();
        assert_eq!(found, odd, "{joules}: {events:?}");
    }
    network.report("hpc-1", vec![(id, network.ended(exited(0), HOUR as u64 / 2))]);
    let marks: Vec<Mark> = energies(&network).into_iter().map(|(_, mark)| mark).collect();
    assert!(!marks.is_empty() && marks.iter().all(|mark| *mark == Mark::Declared), "{:?}", energies(&network));
    network.check_rebuilt();
}

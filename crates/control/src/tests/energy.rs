//! Energy of what was used: decided with its reading, whatever is declared later.

use huisuan_model::{
    Mark, Money, ReportKind,
    facts::{Facts, Power},
};

use super::meter::{HOUR, long, running, usage};
use crate::testing::{Network, centre, exited, origin};

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

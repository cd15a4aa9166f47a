//! What was used is priced anew on order: of what has ended, and of what still runs.

use huisuan_model::{Command, Metering, Money, Reading, ReportKind};

use super::meter::{HOUR, HOUR_COST, long, rule, running, set, usage};
use crate::testing::{Network, centre, exited};

/// The rows of the meter as a door would find them: net of corrections.
pub(super) fn meterings(network: &Network) -> Vec<Metering> {
    let rows = &network.state.touched.meters;
    let mut found: Vec<Metering> = Vec::new();
    for row in rows {
        match row.reading.adjusts.filter(|_| !row.reading.timed()) {
            None => {
                let running = network.state.attempt(row.attempt).is_some();
                found.push(Metering { of: row.clone(), priority: 0, next: 0, running });
            }
            Some(number) => {
                let names = |one: &&mut Metering| (one.of.attempt, one.of.reading.number) == (row.attempt, number);
                let named = found.iter_mut().find(names).expect("a reading");
                let cost = named.of.reading.cost.saturating_add(row.reading.cost);
                named.of.reading = Reading { cost, price: row.reading.price, ..named.of.reading.clone() };
            }
        }
    }
    for metering in &mut found {
        let own = rows.iter().filter(|row| row.attempt == metering.of.attempt);
        metering.next = own.map(|row| row.reading.number).max().unwrap_or(0) + 1;
    }
    found
}

#[test]
fn hours_of_what_runs_are_priced_anew_and_its_next_ones_count_on() {
    let (mut network, id) = running(long(5));
    network.pass(2 * HOUR + 5);
    network.report("hpc-1", vec![(id, ReportKind::Used(usage(2 * HOUR + 5)))]);
    set(&mut network, rule(1_500_000_000, 10 * HOUR), true).expect("an order");
    let read = meterings(&network);
    assert!(read.iter().all(|metering| metering.running));
    let rerate = |network: &mut Network, readings| network.take(Command::Rerate { rule: 1, readings });
    assert_eq!(rerate(&mut network, read.clone()).len(), 1);
    let earned = |network: &Network| network.state.ledger.earned(&centre("hpc-1"), crate::books::home_currency()).0;
    assert_eq!(earned(&network), HOUR_COST);
    network.check_rebuilt();
    let again = meterings(&network);
    assert!(rerate(&mut network, again).is_empty(), "it changes nothing a second time");
    network.pass(HOUR - 5);
    network.report("hpc-1", vec![(id, network.ended(exited(0), 3 * HOUR as u64))]);
    let rows: Vec<(u32, Option<u32>, i64)> = network
        .state
        .touched
        .meters
        .iter()
        .map(|row| &row.reading)
        .map(|row| (row.number, row.adjusts, row.cost.0))
        .collect();
    let half = HOUR_COST / 2;
    let expected =
        [(1, None, HOUR_COST), (2, None, HOUR_COST), (3, Some(1), -half), (4, Some(2), -half), (5, None, half)];
    assert_eq!(rows, expected);
    assert_eq!(earned(&network), 3 * half);
    // What was read while it ran is old now: it is left for the next order.
    assert!(rerate(&mut network, read).is_empty());
    network.check_meters();
    network.check_rebuilt();
}

#[test]
fn the_past_is_priced_anew_on_order_alone() {
    let (mut network, id) = running(long(3));
    network.pass(2 * HOUR);
    network.report("hpc-1", vec![(id, network.ended(exited(0), 2 * HOUR as u64))]);
    let rerate = |network: &mut Network, rule: u32| {
        let readings = meterings(network);
        network.take(Command::Rerate { rule, readings })
    };
    // Half the price from the second hour on, then again another one: each counts from the last.
    set(&mut network, rule(1_500_000_000, 11 * HOUR), true).expect("an order");
    rerate(&mut network, 1);
    assert_eq!(network.state.ledger.earned(&centre("hpc-1"), crate::books::home_currency()), Money(67_500));
    assert!(rerate(&mut network, 1).is_empty(), "it changes nothing a second time");
    set(&mut network, rule(6_000_000_000, 10 * HOUR), true).expect("an order");
    rerate(&mut network, 2);
    assert_eq!(network.state.ledger.earned(&centre("hpc-1"), crate::books::home_currency()), Money(180_000));
    network.check_meters();
    network.check_rebuilt();
    // Nobody can be made to pay what is not there.
    set(&mut network, rule(900_000_000_000_000, 10 * HOUR), true).expect("an order");
    let readings = meterings(&network);
    let refusal = network.execute(Command::Rerate { rule: 3, readings }).expect_err("too much");
    assert!(refusal.to_string().contains("would have to pay"), "{refusal}");
}

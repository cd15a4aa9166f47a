//! Whatever a centre's clock shows, what is recorded can have been: nothing begins before it was placed or ends after
//! it was told, and what was used is what the centre counted, not what its clock says.

use huisuan_model::{AttemptReport, Command, DurationMs, Event, ReportKind, TimeMs};
use proptest::prelude::*;

use super::meter::{HOUR, long, usage};
use crate::testing::{Network, attempt, centre, exited};

const DAY: i64 = 24 * HOUR;

/// Reports at a time by the centre's clock.
fn report(network: &mut Network, seq: u64, offset: i64, what: ReportKind) -> Vec<Event> {
    let at = TimeMs(network.now.0 + offset);
    let reports = vec![AttemptReport { attempt: attempt(1, 0, 1), at, what }];
    network.take(Command::Report { centre: centre("hpc-1"), seq, reports, past: None })
}

proptest! {
    /// A centre whose clock is wrong, differently at the start and at the end, and that may never tell of the start.
    #[test]
    fn times_lie_between_placement_and_report(
        at_start in -2 * DAY..2 * DAY,
        at_end in -2 * DAY..2 * DAY,
        waited in 0..HOUR,
        ran in 1..2 * HOUR,
        started in any::<bool>(),
    ) {
        let mut network = Network::new();
        network.pass(3 * DAY);
        network.submit(long(5)).expect("a job");
        network.plan();
        let placed = network.now;
        network.pass(waited);
        let started_at = Some(TimeMs(network.now.0 + at_start));
        if started {
            report(&mut network, 1, at_start, ReportKind::Started);
        }
        network.pass(ran);
        let end = ReportKind::Ended { started_at, outcome: exited(0), usage: usage(ran) };
        let events = report(&mut network, 2, at_end, end);
        let times = events.iter().find_map(|event| match event {
            Event::AttemptEnded { started_at, at, usage, .. } => Some((*started_at, *at, usage.wall)),
            _ => None,
        });
        let Some((Some(began), ended, wall)) = times else { panic!("it ended: {events:?}") };
        prop_assert!(placed <= began && began <= ended && ended <= network.now, "{placed} {began} {ended}");
        prop_assert_eq!(wall, DurationMs(ran.unsigned_abs()));
        network.check_meters();
        network.check_rebuilt();
    }
}

#[test]
fn a_start_that_is_still_to_come_was_before_what_it_ran() {
    let mut network = Network::new();
    network.submit(long(5)).expect("a job");
    network.plan();
    network.pass(HOUR);
    let started_at = Some(TimeMs(network.now.0 + DAY));
    let events =
        report(&mut network, 1, DAY, ReportKind::Ended { started_at, outcome: exited(0), usage: usage(HOUR / 2) });
    let now = network.now;
    let expected = (Some(TimeMs(now.0 - HOUR / 2)), now);
    let found = events.iter().find_map(|event| match event {
        Event::AttemptEnded { started_at, at, .. } => Some((*started_at, *at)),
        _ => None,
    });
    assert_eq!(found, Some(expected));
}

//! Data that is brought to tasks over links which others use, too.

use std::sync::Arc;

use huisuan_control::{Refusal, State};
use huisuan_model::{
    AttemptId, Bytes, Command, Event, Facts, JobSpec, Money, TimeMs, command::Origin, facts::Link, spec::Reading,
};
use huisuan_twin::{
    Observer, Transfer, World,
    setup::{Fault, Setup, Span},
    workload::{Arrival, Workload},
};

use crate::{
    network::{centre, job, linked, minute, setup, site, spec},
    of, restored,
};

const GB: u64 = 1_000_000_000;

/// What a test looks at: milliseconds from the tenth minute, by job.
#[derive(Debug, Default)]
struct Seen {
    started: Vec<(u64, u64)>,
    /// Job, bytes, whether it was all, beginning, end, and what was expected of it.
    moved: Vec<(u64, u64, bool, u64, u64, u64)>,
}

fn since(at: TimeMs) -> u64 {
    at.since(minute(10)).0
}

impl Observer for Seen {
    fn arrived(&mut self, _: TimeMs, _: &Arrival, refusal: Option<&Refusal>) {
        assert_eq!(refusal.map(ToString::to_string), None);
    }

    fn decided(&mut self, _: TimeMs, _: &State, _: &Origin, _: &Command, events: &[Event]) {
        for event in events {
            if let Event::AttemptStarted { attempt: AttemptId { job, .. }, at } = event {
                self.started.push((job.0, since(*at)));
            }
        }
    }

    fn moved(&mut self, transfer: &Transfer<'_>) {
        let Transfer { attempt, path, bytes, whole, began_at, ended_at, expected_ms } = *transfer;
        assert!(path.first() == Some(&0) && path.is_sorted(), "{path:?}");
        self.moved.push((attempt.job.0, bytes.0, whole, since(began_at), since(ended_at), expected_ms));
    }

    fn sampled(&mut self, _: TimeMs, _: &State) {}
}

/// `a` has the data, `b` lies 8 ms and `c` 4 ms behind it; both links carry a gigabyte a second.
fn chain(faults: Vec<Fault>) -> Setup {
    let mut setup = setup(["a", "b", "c"].map(|name| site(name, 16, 1_000_000_000)).into(), faults, 1);
    for (from, to, round_trip_us) in [(0, "b", 8_000), (1, "c", 4_000)] {
        let link = Link { to: centre(to), round_trip_us, bytes_per_s: GB, price_per_gb: Money::ZERO };
        let facts = Facts { links: vec![link], ..Facts::default() };
        setup.sites[from].centre.facts = Some(Arc::new(facts));
    }
    setup
}

/// Work at a centre whose tasks each read so many gigabytes at `a`.
fn reading(at: &str, gb: u64, tasks: u32, gang: bool) -> Arc<JobSpec> {
    let reads = vec![Reading { at: centre("a"), bytes: Bytes(gb * GB) }];
    Arc::new(JobSpec { reads, centres: vec![centre(at)], ..(*spec("reading", 1, tasks, gang, 0)).clone() })
}

fn ran(faults: Vec<Fault>, jobs: Vec<Arrival>) -> Seen {
    let setup = chain(faults);
    let workload = Workload::new(Vec::new(), jobs, setup.start, setup.end, 1);
    let mut world = World::new(setup, workload, Seen::default());
    world.run();
    world.into_observer()
}

#[test]
fn what_is_alone_comes_as_expected_and_what_shares_comes_later() {
    let own = ran(Vec::new(), vec![job(10, &reading("b", 60, 1, false), 5)]);
    assert_eq!(own.moved, [(1, 60 * GB, true, 10, 60_018, 60_008)]);
    assert_eq!(own.started, [(1, 60_018)], "an order takes 10 ms, the data a minute and a round trip");
    let [first, second] = ["b", "c"].map(|at| job(10, &reading(at, 60, 1, false), 5));
    let both = ran(Vec::new(), vec![first, second]);
    assert_eq!(both.started, [(1, 120_018), (2, 120_022)]);
    assert_eq!(both.moved[1], (2, 60 * GB, true, 10, 120_022, 60_012), "the second link is not the narrow one");
    let home = ran(Vec::new(), vec![job(10, &reading("a", 60, 1, false), 5)]);
    assert_eq!((home.started, home.moved), (vec![(1, 10)], Vec::new()));
}

#[test]
fn the_tasks_of_a_gang_share_the_way_as_the_scheduler_counts_it() {
    let seen = ran(Vec::new(), vec![job(10, &reading("b", 15, 4, true), 5)]);
    assert_eq!(seen.started, [(1, 60_018); 4]);
    assert!(seen.moved.iter().all(|moved| (moved.4 - moved.3, moved.5) == (60_008, 60_008)), "{:?}", seen.moved);
}

/// What has not started counts as a whole: nobody tells how far it is.
#[test]
fn the_scheduler_counts_with_what_is_under_way() {
    let late =
        Arrival { at: minute(10).after(huisuan_model::DurationMs(30_000)), ..job(10, &reading("c", 60, 1, false), 5) };
    let seen = ran(Vec::new(), vec![job(10, &reading("b", 60, 1, false), 5), late]);
    assert_eq!(seen.moved[0], (1, 60 * GB, true, 10, 90_018, 60_008));
    assert_eq!(seen.moved[1], (2, 60 * GB, true, 30_010, 120_022, 120_012));
}

#[test]
fn a_task_that_is_lost_leaves_its_share_to_the_others() {
    let span = Span { from: minute(20), until: minute(50) };
    let outage = Fault::Outage { centre: centre("b"), span, noticed_after_ms: 1_000 };
    let [lost, kept] = ["b", "c"].map(|at| job(10, &reading(at, 600, 1, false), 5));
    let seen = ran(vec![outage], vec![lost, kept]);
    // Half of the line each for all but 10 ms of ten minutes; the rest goes at full speed.
    assert_eq!(seen.moved[0], (1, 299_995_000_000, false, 10, 600_000, 600_008));
    assert_eq!(seen.moved[1], (2, 600 * GB, true, 10, 900_017, 600_012));
    assert_eq!(seen.started, [(2, 900_017)]);
}

#[test]
fn what_is_under_way_at_the_end_is_told() {
    let seen = ran(Vec::new(), vec![job(10, &reading("b", 100_000, 1, false), 5)]);
    let span_ms = 230 * 60_000 - 10;
    assert_eq!(seen.moved, [(1, span_ms * GB / 1_000, false, 10, span_ms + 10, 100_000_008)]);
}

#[test]
fn a_restart_in_the_midst_of_transfers_changes_nothing() {
    let network = || {
        let (mut setup, families) = linked(3);
        // What the network level has learnt ends with its process.
        setup.planning.policy.targets_every_ms = 0;
        (setup, families)
    };
    let mut plain = of(network(), 3);
    plain.run();
    let mut restarted = of(network(), 3);
    let mut next = 500;
    while restarted.step().is_some() {
        if restarted.counts().events >= next {
            next += 500;
            restarted.replace_control(restored);
        }
    }
    assert_eq!(restarted.decisions().hash(), plain.decisions().hash());
    assert!(restarted.control() == plain.control());
}

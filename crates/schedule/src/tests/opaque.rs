//! Centres that hide their queue: what may wait there, and how their starts weigh.

use std::sync::Arc;

use huisuan_model::{Band, OpaquePolicy, Reason, Shape, Starts, TimeMs, spec::Objective};
use proptest::prelude::*;

use crate::{
    Budget, CentreView, JobView, OpaqueView, Policy, Snapshot, Violation, check, hand_over,
    testing::{plan as plan_of, *},
};

const POLICY: OpaquePolicy = OpaquePolicy::DEFAULT;
const MINUTE_MS: i64 = 60_000;

/// The same with a queue of its own: so many of ours in it, the most that may be, and how long work waits there.
fn hiding(view: CentreView, (in_flight, most): (u64, u64), wait_ms: i64) -> CentreView {
    let mut starts = Starts::default();
    for _ in 0..POLICY.observations_min {
        starts.observe(&POLICY, Band { size: 5, load: 0 }, NOW, TimeMs(NOW.0 + wait_ms));
    }
    let mut opaque = OpaqueView::new(&starts, &POLICY, in_flight, &view.pools, NOW);
    opaque.in_flight_most = most;
    CentreView { opaque: Some(Arc::new(opaque)), ..view }
}

fn slurm(in_flight: u64, most: u64) -> CentreView {
    hiding(centre("a", 16), (in_flight, most), 0)
}

fn check_places(centres: Vec<CentreView>, jobs: Vec<(Shape, Vec<JobView>)>, expected: &[&str]) {
    assert_eq!(places(&plan_of(&network(centres, jobs))), expected);
}

#[test]
fn no_more_is_handed_over_than_may_wait() {
    for (in_flight, most, unit, room) in
        [(0, 4, 1, 4), (3, 4, 1, 1), (4, 4, 1, 0), (9, 4, 1, 0), (0, 4, 9, 9), (3, 4, 9, 9), (4, 4, 9, 0)]
    {
        assert_eq!(hand_over(in_flight, most, unit), room, "{in_flight} of {most}, {unit} together");
    }
    let array = || vec![(shape(1), vec![job(1, 8)])];
    check_places(vec![slurm(0, 4)], array(), &["1:0-3@a"]);
    check_places(vec![slurm(1, 4)], array(), &["1:0-2@a"]);
    check_places(vec![slurm(4, 4)], array(), &[]);
    check_places(vec![slurm(0, 64)], array(), &["1:0-7@a"]);
    // The limit is the centre's, not the pool's.
    let two = || slurm(0, 4).with_pool(pool("cpu:y", huisuan_model::Class::Hpc, 16, 0));
    assert_eq!(plan_of(&network(vec![two()], array())).placements.iter().map(|one| one.tasks.len()).sum::<u64>(), 4);
}

#[test]
fn the_rest_goes_elsewhere_or_says_why_it_waits() {
    let dear = || centre("b", 3).price(9_000_000);
    check_places(vec![slurm(2, 4), dear()], vec![(shape(1), vec![job(1, 5)])], &["1:0-1@a", "1:2-4@b"]);
    let plan = plan_of(&network(vec![slurm(3, 4)], vec![(shape(1), vec![job(1, 5)])]));
    let found = reason(&plan);
    assert!(matches!(found, Reason::InFlight { in_flight: 4, most: 4, centre } if centre.as_str() == "a"), "{found:?}");
    // What has no room at all waits for room.
    let full = network(vec![slurm(4, 4).used(16)], vec![(shape(1), vec![job(1, 5)])]);
    let plan = plan_of(&full);
    assert!(matches!(reason(&plan), Reason::Capacity { .. }), "{plan:?}");
    assert_eq!(plan.reservations.len(), 0, "nobody knows when the centre takes more");
}

#[test]
fn a_gang_is_handed_over_whole() {
    check_places(vec![slurm(3, 4)], vec![(gang(8, 1), vec![job(1, 8)])], &["1:0-7@a"]);
    check_places(vec![slurm(4, 4)], vec![(gang(8, 1), vec![job(1, 8)])], &[]);
}

#[test]
fn of_two_queues_the_faster_is_taken() {
    let slow = |price| hiding(centre("a", 16), (0, 64), 60 * MINUTE_MS).price(price);
    let fast = |price| hiding(centre("b", 16), (0, 64), MINUTE_MS).price(price);
    let one = |shape: Shape| vec![(shape, vec![job(1, 1)])];
    check_places(vec![slow(1_000_000), fast(1_000_000)], one(shape(1)), &["1:0@b"]);
    check_places(vec![slow(1_000_000), fast(1_200_000)], one(shape(1)), &["1:0@b"]);
    check_places(vec![slow(1_000_000), fast(9_000_000)], one(shape(1)), &["1:0@a"]);
    // What starts at once beats both.
    check_places(vec![slow(1_000_000), centre("c", 16)], one(shape(1)), &["1:0@c"]);
    let soonest = preferring(Objective::Soonest, shape(1));
    check_places(vec![slow(1_000_000), fast(9_000_000)], one(soonest), &["1:0@b"]);
    let plan = plan_of(&network(vec![slow(1_000_000)], one(shape(1))));
    let term = plan.placements[0].score.iter().find(|term| term.term == "start").map(|term| term.value);
    // An hour of work behind an hour of waiting, to the width of a bucket.
    assert!(term.is_some_and(|value| (220..=250).contains(&value)), "{term:?}");
    let plain = plan_of(&network(vec![centre("c", 16)], one(shape(1))));
    assert!(plain.placements[0].score.iter().all(|term| term.term != "start"), "nothing hides its queue");
}

#[test]
fn the_judge_counts_what_waits() {
    let snapshot = network(vec![slurm(0, 64)], vec![(shape(1), vec![job(1, 8)]), (gang(8, 1), vec![job(2, 8)])]);
    let plan = plan_of(&snapshot);
    let judged = |in_flight, most| {
        let mut snapshot = snapshot.clone();
        snapshot.centres[0] = slurm(in_flight, most);
        check(&snapshot, &Policy::default(), NOW, &plan)
    };
    assert_eq!(judged(48, 64), Ok(()));
    assert_eq!(judged(50, 64).is_ok(), plan.placements[1].job.0 == 2, "the gang goes last");
    let found = judged(57, 64).expect_err("an array goes over");
    assert!(found.iter().all(|one| matches!(one, Violation::InFlight { most: 64, .. })), "{found:?}");
}

proptest! {
    #[test]
    fn plans_are_legal_whatever_waits(
        limits in prop::collection::vec(prop::option::of((0u64..6, 1u64..8)), 3),
        asks in prop::collection::vec((1u64..4, 1u32..9, any::<bool>()), 1..7),
    ) {
        let names = ["a", "b", "c"];
        let centres = names.iter().zip(&limits).map(|(name, limit)| match limit {
            Some(limit) => hiding(centre(name, 12), *limit, MINUTE_MS),
            None => centre(name, 6),
        });
        let mut jobs: Vec<(Shape, Vec<JobView>)> = Vec::new();
        for (number, (cores, tasks, together)) in asks.into_iter().enumerate() {
            let shape = Shape { gang: together.then_some(tasks), ..shape(cores) };
            if jobs.iter().all(|(known, _)| *known != shape) {
                jobs.push((shape, vec![job(number as u64 + 1, tasks)]));
            }
        }
        let snapshot: Snapshot = network(centres.collect(), jobs);
        // Judged within.
        let plan = plan_with(&snapshot, &Policy::default(), Budget::default());
        let next = after(&snapshot, &plan);
        prop_assert_eq!(next.shapes.len(), plan.reasons.len());
    }
}

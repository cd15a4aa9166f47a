//! The judge must find what is wrong: a legal plan is spoilt in one way after the other.

use huisuan_model::{MilliDevices, Millicores, Money, Plan, PoolId, RangeSet};

use crate::{Budget, Policy, Seed, Snapshot, Violation, check, cycle, testing::*};

/// A gang of 3 x 2 cores (job 2) and an array of 4 x 1 (job 1) with at most 5 active, on 10 of 16 cores.
fn good() -> (Snapshot, Plan) {
    let jobs = vec![(shape(1), vec![job(1, 4).parallel(1, 5)]), (gang(3, 2), vec![job(2, 3)])];
    let snapshot = with_money(network(vec![centre("a", 16), centre("b", 16).paused()], jobs), 10_000_000);
    let plan = plan(&snapshot);
    assert_eq!(places(&plan), ["1:0-3@a", "2:0-2@a"]);
    (snapshot, plan)
}

fn kind(violation: &Violation) -> &'static str {
    match violation {
        Violation::Version { .. } => "version",
        Violation::UnknownJob { .. } => "unknown-job",
        Violation::UnknownPool { .. } => "unknown-pool",
        Violation::NoTasks { .. } => "no-tasks",
        Violation::TaskNotWaiting { .. } => "task-not-waiting",
        Violation::GangSplit { .. } => "gang-split",
        Violation::ParallelMax { .. } => "parallel-max",
        Violation::Forbidden { why, .. } => why,
        Violation::Amounts { .. } => "amounts",
        Violation::Capacity { resource, .. } => resource,
        Violation::InFlight { .. } => "in-flight",
        Violation::Budget { .. } => "budget",
        Violation::ShapeBudget { .. } => "shape-budget",
        Violation::Quota { .. } => "quota",
        Violation::UnknownPromise { .. } => "unknown-promise",
        Violation::Promise { .. } => "promise",
        Violation::TooManyPromises { .. } => "too-many-promises",
        Violation::Preemption { why, .. } | Violation::Improvement { why, .. } => why,
        Violation::Nodes { .. } => "nodes",
        Violation::OutsideReservation { .. } => "outside-reservation",
        Violation::Reservation { .. } => "reservation",
        Violation::Apart { .. } => "apart",
    }
}

fn check_spoilt(expected: &[&str], spoil: impl FnOnce(&mut Snapshot, &mut Plan)) {
    let (mut snapshot, mut plan) = good();
    spoil(&mut snapshot, &mut plan);
    let found = check(&snapshot, &Policy::default(), NOW, &plan).expect_err("a spoilt plan is illegal");
    assert_eq!(found.iter().map(kind).collect::<Vec<_>>(), expected);
}

#[test]
fn jobs_and_their_tasks_are_judged() {
    check_spoilt(&["version"], |_, plan| plan.version += 1);
    check_spoilt(&["unknown-job"], |_, plan| plan.placements[0].job.0 = 99);
    check_spoilt(&["no-tasks"], |_, plan| plan.placements[0].tasks = RangeSet::new());
    check_spoilt(&["task-not-waiting"], |_, plan| plan.placements[0].tasks = RangeSet::from_range(1, 4));
    check_spoilt(&["task-not-waiting", "budget"], |_, plan| {
        let twice = plan.placements[0].clone();
        plan.placements.push(twice);
    });
    check_spoilt(&["gang-split"], |_, plan| plan.placements[1].tasks = RangeSet::from_range(0, 1));
    check_spoilt(&["parallel-max"], |snapshot, _| snapshot.shapes[0].jobs[0].active = 2);
}

#[test]
fn places_are_judged() {
    check_spoilt(&["unknown-pool"], |_, plan| plan.placements[0].pool = PoolId::new("gone").expect("a valid name"));
    check_spoilt(&["the centre is paused"], |snapshot, plan| {
        plan.placements[0].centre = snapshot.centres[1].id.clone();
    });
    check_spoilt(&["the centre is not in its list"], |snapshot, _| {
        snapshot.shapes[1].shape.centres = vec![snapshot.centres[1].id.clone()];
    });
    check_spoilt(&["the centre is of another class"], |snapshot, _| {
        snapshot.shapes[1].shape.class = Some(huisuan_model::Class::Ai);
    });
    check_spoilt(&["the pool is not rated"; 2], |snapshot, _| snapshot.centres[0].pools[0].pool.rating = None);
    // Work is then counted by devices, of which the tasks have none.
    check_spoilt(&["the pool is other hardware"; 2], |snapshot, _| {
        snapshot.centres[0].pools[0].pool.devices = MilliDevices(1000);
    });
    check_spoilt(&["amounts"], |_, plan| plan.placements[0].cores = Millicores(999));
    check_spoilt(&["amounts", "thousandths of a device"], |_, plan| plan.placements[0].devices = MilliDevices(1));
}

#[test]
fn sums_are_judged() {
    check_spoilt(&["millicores"], |snapshot, _| snapshot.centres[0].pools[0].used.cores = Millicores(6_001));
    check_spoilt(&["bytes of memory"], |snapshot, _| snapshot.centres[0].pools[0].pool.memory.0 = 6 * GIB);
    check_spoilt(&["budget"], |snapshot, _| snapshot.tenants[0].available = Money(9_999_999));
    check_spoilt(&["budget"], |snapshot, _| snapshot.tenants.clear());
    check_spoilt(&["shape-budget"], |snapshot, _| snapshot.shapes[0].available = Some(Money(3_999_999)));
    check_spoilt(&["shape-budget"], |snapshot, _| snapshot.shapes[1].budget = Some(Money(5_999_999)));
}

#[test]
fn the_bound_of_what_goes_ahead_depends_on_the_length_of_tasks() {
    let network = |mean| network(vec![centre("a", 2)], vec![(shape(1), vec![job(1, 20).mean(mean)])]);
    let plan = cycle(&network(50), &Policy::default(), NOW, Budget::default(), Seed(0));
    assert_eq!(places(&plan), ["1:0-11@a"]);
    let check =
        |mean, legal| assert_eq!(check(&network(mean), &Policy::default(), NOW, &plan).is_ok(), legal, "{mean}");
    check(50, true);
    check(51, false);
    check(0, true);
    check(300, false);
}

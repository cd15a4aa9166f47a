//! Improvement: what the cycle has placed moves so that one more starts, and nobody loses by it.

use huisuan_model::{Class, DurationMs, GflopPerS, Millicores, Plan, PoolId, RangeSet, Shape};

use crate::{Budget, CentreView, JobView, Policy, Snapshot, Violation, testing::*};

/// Starts that others moved for, as `job:tasks for job:tasks@centre, ...`: who starts, and who would have been where.
fn improved(plan: &Plan) -> Vec<String> {
    let moved = |one: &huisuan_model::Moved| format!("{}:{}@{}", one.job, one.tasks, one.centre);
    let text = |one: &huisuan_model::Improvement| {
        format!("{}:{} for {}", one.job, one.tasks, one.moved.iter().map(moved).collect::<Vec<_>>().join(" "))
    };
    plan.improvements.iter().map(text).collect()
}

fn unimproved() -> Budget {
    Budget { improvement_steps_max: 0, ..Budget::default() }
}

/// The placements without and with improvement, and what is said of it.
fn check(snapshot: &Snapshot, before: &[&str], after: &[&str], said: &[&str]) -> Plan {
    let without = plan_with(snapshot, &Policy::default(), unimproved());
    assert_eq!((places(&without), without.improvements.len()), (before.iter().map(|&s| s.into()).collect(), 0));
    let with = plan(snapshot);
    let (mut placed, mut expected) = (places(&with), after.to_vec());
    placed.sort();
    expected.sort_unstable();
    assert_eq!(placed, expected);
    assert_eq!(improved(&with), said);
    with
}

/// Nothing moves, and the plan is the one without improvement.
fn check_unmoved(snapshot: &Snapshot, expected: &[&str]) {
    check(snapshot, expected, expected, &[]);
}

fn two(a: CentreView, b: CentreView, jobs: Vec<(Shape, Vec<JobView>)>) -> Snapshot {
    network(vec![a, b], jobs)
}

fn hours(hours: u64, shape: Shape) -> Shape {
    Shape { walltime: DurationMs(hours * 3_600_000), ..shape }
}

/// A core of it does so many GFLOP/s instead of 10.
fn rated(rate: u64, mut view: CentreView) -> CentreView {
    let pool = &mut view.pools[0].pool;
    let rating = pool.rating.as_mut().expect("it is rated");
    rating.sustained = GflopPerS(pool.cores.0 / 1_000 * rate);
    view
}

/// Of other hardware.
fn part(id: &str, mut view: CentreView) -> CentreView {
    view.pools[0].pool.id = PoolId::new(id).expect("a valid name");
    view
}

/// The first job takes `a` with all of its tasks, and another one that may go to `a` alone needs so many cores.
fn crowded(first: Shape, tasks: u32, cores: u64) -> Vec<(Shape, Vec<JobView>)> {
    vec![(first, vec![job(1, tasks)]), (at(&["a"], shape(cores)), vec![job(2, 1)])]
}

#[test]
fn who_fits_anywhere_leaves_the_only_place_of_another() {
    // The first job fits both and takes `a`, which comes first of two alike; the second one may go to `a` alone.
    let jobs = || vec![(shape(4), vec![job(1, 1)]), (at(&["a"], shape(3)), vec![job(2, 1)])];
    let plan = check(&two(centre("a", 4), centre("b", 4), jobs()), &["1:0@a"], &["1:0@b", "2:0@a"], &["2:0 for 1:0@a"]);
    assert!(plan.reservations.is_empty(), "a promise that is kept at once is none");
    assert!(plan.reasons.is_empty());
    let moved = plan.placements.iter().find(|placement| placement.job.0 == 1).expect("it is placed");
    assert_eq!(moved.score.last().map(|term| (&*term.term, term.value)), Some(("moved", 0)));
}

#[test]
fn the_fewest_move_and_those_of_the_last_turns() {
    let jobs = crowded(shape(1), 4, 2);
    check(
        &two(centre("a", 4), centre("b", 4), jobs),
        &["1:0-3@a"],
        &["1:0-1@a", "1:2-3@b", "2:0@a"],
        &["2:0 for 1:2-3@a"],
    );
    // Of two kinds the one of which fewer tasks are enough.
    let jobs = vec![(shape(1), vec![job(1, 3)]), (shape(3), vec![job(2, 1)]), (at(&["a"], shape(2)), vec![job(3, 1)])];
    let after = ["1:0-2@a", "2:0@b", "3:0@a"];
    check(&two(centre("a", 6), centre("b", 6), jobs), &["1:0-2@a", "2:0@a"], &after, &["3:0 for 2:0@a"]);
}

#[test]
fn several_kinds_move_together_where_none_is_enough() {
    let jobs = vec![(shape(2), vec![job(1, 1)]), (shape(1), vec![job(2, 1)]), (at(&["a"], shape(3)), vec![job(3, 1)])];
    let after = ["1:0@b", "2:0@b", "3:0@a"];
    let said = ["3:0 for 1:0@a 2:0@a"];
    check(&two(centre("a", 3), centre("b", 3), jobs), &["1:0@a", "2:0@a"], &after, &said);
    // What one kind gave too much of stays.
    let jobs = vec![(shape(2), vec![job(1, 1)]), (shape(1), vec![job(2, 3)]), (at(&["a"], shape(4)), vec![job(3, 1)])];
    let after = ["1:0@b", "2:0@a", "2:1-2@b", "3:0@a"];
    let said = ["3:0 for 2:1-2@a 1:0@a"];
    check(&two(centre("a", 5), centre("b", 5), jobs), &["1:0@a", "2:0-2@a"], &after, &said);
}

#[test]
fn a_gang_moves_as_a_whole_or_not_at_all() {
    let jobs = || crowded(gang(2, 2), 2, 3);
    let (before, after) = (["1:0-1@a"], ["1:0-1@b", "2:0@a"]);
    check(&two(centre("a", 4), centre("b", 4), jobs()), &before, &after, &["2:0 for 1:0-1@a"]);
    check_unmoved(&two(centre("a", 4), centre("b", 3), jobs()), &before);
    // One that waits starts as a whole, too.
    let jobs = vec![(shape(1), vec![job(1, 4)]), (at(&["a"], gang(2, 2)), vec![job(2, 2)])];
    let after = ["1:0-3@b", "2:0-1@a"];
    check(&two(centre("a", 4), centre("b", 4), jobs), &["1:0-3@a"], &after, &["2:0-1 for 1:0-3@a"]);
}

#[test]
fn nothing_moves_to_a_place_that_suits_less() {
    let jobs = || crowded(shape(4), 1, 3);
    let (a, b) = (|| centre("a", 4), || centre("b", 4));
    check_unmoved(&two(a(), b().price(1_000_001), jobs()), &["1:0@a"]);
    // Slower hardware costs less; it is never worth more than the place that the turn found.
    check_unmoved(&two(rated(20, a()).price(500_000), b(), jobs()), &["1:0@a"]);
    // What differs by no more than measurements do is taken to be alike, if it is the same part.
    let free = |rate| (rated(100, a()).price(0), rated(rate, b()).price(0));
    let ((fast, like), (_, slow)) = (free(95), free(94));
    check(&two(fast.clone(), like.clone(), jobs()), &["1:0@a"], &["1:0@b", "2:0@a"], &["2:0 for 1:0@a"]);
    check_unmoved(&two(fast.clone(), slow, jobs()), &["1:0@a"]);
    check_unmoved(&two(fast, part("cpu:y", like), jobs()), &["1:0@a"]);
    check_unmoved(&two(a(), b().used(1), jobs()), &["1:0@a"]);
    check_unmoved(&two(a(), b().paused(), jobs()), &["1:0@a"]);
    let mut general = b();
    (general.class, general.pools[0].pool.class) = (Class::General, Class::General);
    check_unmoved(&two(a(), general, jobs()), &["1:0@a"]);
    let near = vec![(near_to("a", 1, shape(4)), vec![job(1, 1)]), (at(&["a"], shape(3)), vec![job(2, 1)])];
    check_unmoved(&two(a().link("b", 2, 1), b().link("a", 2, 1), near), &["1:0@a"]);
    let data = vec![(reading("a", 900, shape(4)), vec![job(1, 1)]), (at(&["a"], shape(3)), vec![job(2, 1)])];
    check_unmoved(&two(a().link("b", 1, 1), b().link("a", 1, 1), data), &["1:0@a"]);
}

#[test]
fn neither_short_tasks_nor_those_that_hold_their_quota_move() {
    let short = vec![(shape(4), vec![job(1, 1).mean(100)]), (at(&["a"], shape(3)), vec![job(2, 1)])];
    check_unmoved(&two(centre("a", 4), centre("b", 4), short), &["1:0@a"]);
    // A unit of compute takes more cores where they are slower: as much as the quota leaves, or more.
    let (a, b) = (rated(20, centre("a", 4)), centre("b", 8));
    let jobs = || vec![(rate_shape(Class::Hpc, 40), vec![job(1, 1)]), (at(&["a"], shape(3)), vec![job(2, 1)])];
    let mut snapshot = two(a, b, jobs());
    snapshot.tenants[0].quota.cores = Some(Millicores(7_000));
    check(&snapshot, &["1:0@a"], &["1:0@b", "2:0@a"], &["2:0 for 1:0@a"]);
    snapshot.tenants[0].quota.cores = Some(Millicores(6_999));
    check_unmoved(&snapshot, &["1:0@a"]);
}

#[test]
fn room_goes_to_the_first_in_line_that_it_is_enough_for() {
    let waiting = |first: u64, second: u64| {
        let jobs = [(shape(4), 1), (at(&["a"], shape(first)), 2), (at(&["a"], hours(2, shape(second))), 3)];
        jobs.into_iter().map(|(shape, id)| (shape, vec![job(id, 1)])).collect()
    };
    let snapshot = |first, second| two(centre("a", 4), centre("b", 4), waiting(first, second));
    check(&snapshot(4, 1), &["1:0@a"], &["1:0@b", "2:0@a"], &["2:0 for 1:0@a"]);
    // The second one finds what the first one leaves.
    check(&snapshot(3, 1), &["1:0@a"], &["1:0@b", "2:0@a", "3:0@a"], &["2:0 for 1:0@a", "3:0 for "]);
    // The first one waits for more than what could move: it is not delayed, and its promise is as early.
    let mut busy = two(centre("a", 8), centre("b", 4), waiting(8, 1));
    busy.centres[0] = busy.centres[0].clone().used(4).long(4);
    let plan = check(&busy, &["1:0@a"], &["1:0@b", "3:0@a"], &["3:0 for 1:0@a"]);
    assert_eq!(plan.reservations.len(), 0, "what is used is never known to end");
}

#[test]
fn all_tasks_of_an_array_start_and_the_rest_has_a_reason() {
    let jobs = |tasks| vec![(shape(4), vec![job(1, 1)]), (at(&["a"], shape(1)), vec![job(2, tasks), job(3, 1)])];
    let snapshot = |tasks| two(centre("a", 4), centre("b", 4), jobs(tasks));
    let plan = check(&snapshot(3), &["1:0@a"], &["1:0@b", "2:0-2@a", "3:0@a"], &["2:0-2 for 1:0@a", "3:0 for "]);
    assert!(plan.reasons.is_empty() && plan.reservations.is_empty());
    let plan = check(&snapshot(6), &["1:0@a"], &["1:0@b", "2:0-3@a"], &["2:0-3 for 1:0@a"]);
    assert_eq!(reason(&plan).code(), "capacity");
    let promise = &plan.reservations[0];
    assert_eq!((plan.reservations.len(), promise.job.0, promise.tasks.to_string()), (1, 2, "4".to_owned()));
}

#[test]
fn what_may_end_for_others_may_go_for_them_first() {
    // `lab` would lose its task to `uni`, which is due half: now it goes elsewhere, and nothing ends.
    let mut snapshot = two(centre("a", 4), centre("b", 4), crowded(shape(4), 1, 2));
    snapshot.shapes.iter_mut().flat_map(|view| &mut view.jobs).for_each(|job| job.preemptible = true);
    let plan = check(&snapshot, &["1:0@a"], &["1:0@b", "2:0@a"], &["2:0 for 1:0@a"]);
    assert!(plan.preemptions.is_empty());
}

#[test]
fn the_search_ends_with_its_steps() {
    let snapshot = two(centre("a", 4), centre("b", 4), crowded(shape(4), 1, 3));
    let started = |improvement_steps_max| {
        let plan = plan_with(&snapshot, &Policy::default(), Budget { improvement_steps_max, ..Budget::default() });
        plan.placements.len()
    };
    assert_eq!([0, 1, 2, 3, 4, 1_000].map(started), [1, 1, 1, 2, 2, 2]);
}

#[test]
fn who_had_no_turn_yet_comes_before_any_move() {
    let mut jobs = crowded(shape(4), 1, 3);
    jobs.push((at(&["b"], shape(4)), vec![job(3, 1)]));
    let snapshot = two(centre("a", 4), centre("b", 4), jobs);
    let plan = plan_with(&snapshot, &Policy::default(), Budget { jobs_max: 2, ..Budget::default() });
    assert_eq!((places(&plan), plan.improvements.len()), (vec!["1:0@a".to_owned()], 0));
}

#[test]
fn the_next_job_of_a_shape_has_its_own_place_in_line() {
    let jobs = vec![
        (shape(3), vec![job(6, 2).priority(1)]),
        (shape(1), vec![job(1, 4)]),
        (at(&["a"], shape(2)), vec![job(4, 1)]),
        (at(&["a"], shape(3)), vec![job(2, 1), job(3, 1).priority(-1)]),
    ];
    let said = ["2:0 for 6:1@a", "4:0 for 6:0@a", "3:0 for 1:2-3@a"];
    let after = ["1:0-1@a", "1:2-3@b", "2:0@a", "3:0@a", "4:0@a", "6:0-1@b"];
    check(&two(centre("a", 10), centre("b", 10), jobs), &["6:0-1@a", "1:0-3@a"], &after, &said);
}

#[test]
fn improvements_are_judged() {
    let snapshot = two(centre("a", 4), centre("b", 4), crowded(shape(4), 1, 3));
    let good = plan(&snapshot);
    let spoilt = |expected: &str, spoil: &dyn Fn(&mut Snapshot, &mut Plan)| {
        let (mut snapshot, mut plan) = (snapshot.clone(), good.clone());
        spoil(&mut snapshot, &mut plan);
        let found = crate::check(&snapshot, &Policy::default(), NOW, &plan).expect_err("a spoilt plan is illegal");
        let improvement = |one: &Violation| matches!(one, Violation::Improvement { why, .. } if *why == expected);
        assert!(found.iter().any(improvement), "{expected}: {found:?}");
    };
    spoilt("others moved for it, and it does not start", &|_, plan| plan.improvements[0].job.0 = 3);
    spoilt("others moved for it, and it does not start", &|_, plan| plan.improvements[0].tasks = RangeSet::new());
    spoilt("the job or the place is not known", &|_, plan| plan.improvements[0].moved[0].job.0 = 3);
    spoilt("it does not start", &|_, plan| plan.improvements[0].moved[0].tasks = RangeSet::from_range(1, 1));
    spoilt("it starts where it would have anyway", &|snapshot, plan| {
        plan.improvements[0].moved[0].centre = snapshot.centres[1].id.clone();
    });
    spoilt("it costs more", &|snapshot, _| snapshot.centres[1] = centre("b", 4).price(1_000_001));
    spoilt("it starts in another class", &|snapshot, _| snapshot.centres[1].pools[0].pool.class = Class::General);
    spoilt("it starts on slower hardware", &|snapshot, _| {
        snapshot.centres[0] = rated(20, centre("a", 4).price(500_000))
    });
}

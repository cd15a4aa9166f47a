//! Where tasks go.

use huisuan_model::{Class, GflopPerS, MilliDevices, Millicores, Shape};

use crate::{Budget, Demand, Policy, room, testing::*};

fn check(snapshot: &crate::Snapshot, expected: &[&str]) {
    assert_eq!(places(&plan(snapshot)), expected);
}

#[test]
fn jobs_go_by_priority_then_age_then_id() {
    let mut tie = job(2, 1);
    tie.submitted_at = job(1, 1).submitted_at;
    let jobs = vec![
        (shape(2), vec![job(9, 1).priority(5), job(1, 1), tie]),
        (shape(1), vec![job(8, 1).priority(5), job(3, 2)]),
    ];
    check(&network(vec![centre("a", 7)], jobs), &["8:0@a", "9:0@a", "1:0@a", "2:0@a"]);
}

#[test]
fn an_array_is_placed_in_ranges_over_several_centres() {
    let snapshot = network(vec![centre("a", 4), centre("b", 8), centre("c", 2)], vec![(shape(2), vec![job(1, 10)])]);
    let plan = plan(&snapshot);
    assert_eq!(places(&plan), ["1:0@c", "1:1-2@a", "1:3-6@b"]);
    assert_eq!(reason(&plan).code(), "capacity");
}

#[test]
fn a_cheaper_centre_wins_and_ties_go_to_the_first_name() {
    let jobs = || vec![(shape(1), vec![job(1, 1)])];
    check(&network(vec![centre("a", 4), centre("b", 4)], jobs()), &["1:0@a"]);
    check(&network(vec![centre("a", 4).price(2_000_000), centre("b", 4)], jobs()), &["1:0@b"]);
    check(&network(vec![centre("a", 4), centre("b", 2)], jobs()), &["1:0@b"]);
    check(&network(vec![centre("a", 4).used(3), centre("b", 4)], jobs()), &["1:0@a"]);
}

#[test]
fn a_score_names_its_terms() {
    let snapshot =
        network(vec![centre("a", 4).price(2_000_000), centre("b", 4).used(4)], vec![(shape(1), vec![job(1, 1)])]);
    let plan = plan(&snapshot);
    let terms: Vec<String> =
        plan.placements[0].score.iter().map(|term| format!("{} {}", term.term, term.value)).collect();
    assert_eq!(terms, ["wait 1000", "price 250", "fit 25"]);
}

#[test]
fn a_gang_goes_whole_to_one_pool_or_not_at_all() {
    let two = || vec![centre("a", 4), centre("b", 6)];
    check(&network(two(), vec![(gang(3, 2), vec![job(1, 3)])]), &["1:0-2@b"]);
    check(&network(two(), vec![(gang(4, 2), vec![job(1, 4)])]), &[]);
    let split = vec![centre("a", 4).with_pool(pool("cpu:y", Class::Hpc, 4, 0))];
    check(&network(split, vec![(gang(4, 2), vec![job(1, 4)])]), &[]);
    let mixed = vec![(gang(3, 2), vec![job(1, 3), job(2, 3)]), (shape(1), vec![job(3, 9)])];
    check(&network(two(), mixed), &["1:0-2@b", "3:0-3@a"]);
}

#[test]
fn only_rated_pools_of_allowed_active_centres_take_work() {
    let check = |centre, shape, placed| {
        let snapshot = network(vec![centre], vec![(shape, vec![job(1, 1)])]);
        assert_eq!(plan(&snapshot).placements.len(), placed);
    };
    check(centre("a", 4), shape(4), 1);
    check(centre("a", 4), shape(5), 0);
    check(centre("a", 4).unrated(), shape(1), 0);
    check(centre("a", 4).paused(), shape(1), 0);
    check(centre("a", 4), at(&["a"], shape(1)), 1);
    check(centre("a", 4), at(&["b"], shape(1)), 0);
    check(centre("a", 4), huisuan_model::Shape { class: Some(Class::Hpc), ..shape(1) }, 1);
    check(centre("a", 4), huisuan_model::Shape { class: Some(Class::Ai), ..shape(1) }, 0);
    check(device_centre("a", 4), device_shape(4), 1);
    check(device_centre("a", 4), device_shape(5), 0);
    check(centre("a", 4), device_shape(1), 0);
    // Without devices a task would be counted as no work there.
    check(device_centre("a", 4), shape(1), 0);
}

#[test]
fn a_rate_becomes_hardware_by_the_rating() {
    let check = |shape, cores, devices| {
        let snapshot = network(vec![centre("a", 4), device_centre("b", 4)], vec![(shape, vec![job(1, 1)])]);
        let given: Vec<_> = plan(&snapshot).placements.iter().map(|p| (p.cores, p.devices)).collect();
        assert_eq!(given, [(Millicores(cores), MilliDevices(devices))]);
    };
    // 10 GFLOP/s a core, and 1000 GFLOP/s a device that comes with 8 cores.
    check(rate_shape(Class::Hpc, 25), 2500, 0);
    check(rate_shape(Class::Hpc, 40), 4000, 0);
    check(rate_shape(Class::Ai, 1500), 12_000, 1500);
    check(rate_shape(Class::Ai, 1), 8, 1);
}

#[test]
fn a_slower_rating_makes_a_rate_cost_more_cores() {
    let mut slow = centre("a", 4);
    if let Some(rating) = &mut slow.pools[0].pool.rating {
        rating.sustained = GflopPerS(20);
    }
    let plan = plan(&network(vec![slow], vec![(rate_shape(Class::Hpc, 10), vec![job(1, 1)])]));
    assert_eq!(plan.placements[0].cores, Millicores(2000));
}

#[test]
fn short_tasks_of_known_length_go_ahead_of_free_capacity() {
    let check = |job: crate::JobView, shape, used, placed: u64| {
        let snapshot = network(vec![centre("a", 4).used(used)], vec![(shape, vec![job])]);
        let tasks: u64 = plan(&snapshot).placements.iter().map(|p| p.tasks.len()).sum();
        assert_eq!(tasks, placed);
    };
    check(job(1, 1000), shape(1), 0, 4);
    check(job(1, 1000).mean(300), shape(1), 0, 4);
    check(job(1, 1000).mean(250), shape(1), 0, 8);
    check(job(1, 1000).mean(50), shape(1), 0, 24);
    check(job(1, 1000).mean(50), shape(1), 20, 4);
    check(job(1, 1000).mean(0), shape(1), 0, 260);
    check(job(1, 1000).mean(250), shape(3), 0, 2);
    check(job(1, 1000), shape(1), 5, 0);
    check(job(1, 2).mean(1), gang(2, 2), 0, 2);
    check(job(1, 2).mean(1), gang(2, 2), 1, 0);
}

#[test]
fn nothing_goes_ahead_behind_tasks_that_may_run_for_long() {
    let check = |used, long, placed: u64| {
        let jobs = vec![job(1, 1000).mean(125)];
        let snapshot = network(vec![centre("a", 4).used(used).long(long)], vec![(shape(1), jobs)]);
        let tasks: u64 = plan(&snapshot).placements.iter().map(|p| p.tasks.len()).sum();
        assert_eq!(tasks, placed, "{used} used, {long} of them long");
    };
    check(4, 0, 8);
    check(4, 3, 2);
    check(4, 4, 0);
    check(6, 3, 0);
    check(2, 2, 6);
}

#[test]
fn room_is_what_a_cycle_would_place() {
    let policy = Policy::default();
    for (used, mean, gang, expected) in [
        (0, None, false, 4),
        (3, None, false, 1),
        (9, None, false, 0),
        (9, Some(50), false, 15),
        (9, Some(50), true, 0),
    ] {
        let pool = &centre("a", 4).used(used).pools[0];
        let need = Demand { cores: Millicores(1000), devices: MilliDevices(0), memory: huisuan_model::Bytes(GIB) };
        let fits = room(&pool.pool, [pool.used, pool.long], &need, mean, gang, &policy);
        assert_eq!(fits, expected, "{used} {mean:?} {gang}");
    }
    let pool = &centre("a", 4).pools[0];
    let memory = huisuan_model::Bytes(9 * GIB);
    let one = |devices| Demand { cores: Millicores(1), devices: MilliDevices(devices), memory };
    let used = [pool.used, pool.long];
    assert_eq!(room(&pool.pool, used, &one(0), None, false, &policy), 1);
    assert_eq!(room(&pool.pool, used, &one(1), Some(1), false, &policy), 0);
}

#[test]
fn what_goes_ahead_is_spread_evenly() {
    let snapshot = network(vec![centre("a", 4), centre("b", 4)], vec![(shape(1), vec![job(1, 24).mean(10)])]);
    check(&snapshot, &["1:0-11@a", "1:12-23@b"]);
}

#[test]
fn nothing_goes_ahead_of_a_job_that_waits_for_the_pool() {
    // The first job needs the pool empty of what was placed ahead; the second would refill it for ever.
    let jobs = vec![(shape(4), vec![job(1, 1)]), (shape(1), vec![job(2, 100).mean(1)])];
    let snapshot = network(vec![centre("a", 4).used(3)], jobs);
    check(&snapshot, &["2:0@a"]);
    let snapshot =
        network(vec![centre("a", 4).used(4)], snapshot.shapes.into_iter().map(|s| (s.shape, s.jobs)).collect());
    let plan = plan(&snapshot);
    assert_eq!(places(&plan), [""; 0]);
    assert_eq!(plan.reasons.iter().map(|r| r.reason.code()).collect::<Vec<_>>(), ["behind", "capacity"]);
}

#[test]
fn parallel_max_and_money_limit_an_array() {
    let snapshot = network(vec![centre("a", 8)], vec![(shape(1), vec![job(1, 9).parallel(2, 5)])]);
    check(&snapshot, &["1:0-2@a"]);
    let snapshot = network(vec![centre("a", 8)], vec![(shape(1), vec![job(1, 9)])]);
    check(&with_money(snapshot.clone(), 3_999_999), &["1:0-2@a"]);
    check(&with_money(snapshot.clone(), -5), &[]);
    let free = network(vec![centre("a", 8).price(0)], vec![(shape(1), vec![job(1, 2)])]);
    check(&with_money(free, -5), &["1:0-1@a"]);
}

#[test]
fn a_cycle_stops_at_its_budget_but_never_splits_a_gang() {
    let jobs = || vec![(shape(1), vec![job(1, 3)]), (gang(3, 1), vec![job(2, 3), job(3, 3)])];
    let check = |placements_max, jobs_max, expected: &[&str]| {
        let snapshot = network(vec![centre("a", 20)], jobs());
        let budget = Budget { placements_max, jobs_max, ..Budget::default() };
        let plan = plan_with(&snapshot, &Policy::default(), budget);
        assert_eq!(places(&plan), expected);
        let rest = if expected.len() < 3 { "not-planned" } else { "" };
        assert!(plan.reasons.iter().all(|r| r.reason.code() == rest), "{:?}", plan.reasons);
        assert_eq!(plan.reasons.is_empty(), expected.len() == 3);
    };
    check(100, 100, &["1:0-2@a", "2:0-2@a", "3:0-2@a"]);
    check(2, 100, &["1:0-1@a"]);
    check(4, 100, &["1:0-2@a", "2:0-2@a"]);
    check(0, 100, &[]);
    check(100, 1, &["1:0-2@a"]);
}

#[test]
fn fragmented_tasks_keep_their_numbers() {
    let mut odd = job(1, 0);
    odd.waiting = "1,3,5-6,9".parse().expect("a set of ranges");
    check(&network(vec![centre("a", 2), centre("b", 3)], vec![(shape(1), vec![odd])]), &["1:1,3@a", "1:5-6,9@b"]);
}

#[test]
fn an_image_has_places_of_its_own() {
    // Beside a shape that asks for the same without an image: what is found for one is not what the other has.
    let image = Shape { image: true, ..shape(1) };
    let centres = vec![centre("a", 4), centre("b", 4).with_images()];
    let plan = plan(&network(centres, vec![(shape(1), vec![job(1, 1)]), (image, vec![job(2, 1)])]));
    assert_eq!(places(&plan), ["1:0@a", "2:0@b"]);
}

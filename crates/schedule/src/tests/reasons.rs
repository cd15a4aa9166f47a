//! Why tasks wait.

use huisuan_model::{BudgetLimit, Bytes, CentreId, Class, JobId, Millicores, Money, PoolId, Reason, TimeMs};

use crate::{CentreView, JobView, Snapshot, testing::*};

fn id(name: &str) -> CentreId {
    CentreId::new(name).expect("a valid name")
}

fn capacity(centre: &str, needed: u64, free: u64, memory_needed: u64, memory_free: u64) -> Reason {
    Reason::Capacity {
        centre: id(centre),
        pool: PoolId::new("cpu:x").expect("a valid name"),
        needed: Millicores(needed * 1000),
        free: Millicores(free * 1000),
        memory_needed: Bytes(memory_needed * GIB),
        memory_free: Bytes(memory_free * GIB),
    }
}

fn gang_capacity(centre: &str, needed: u32, fits: u32) -> Reason {
    Reason::GangCapacity { centre: id(centre), pool: PoolId::new("cpu:x").expect("a valid name"), needed, fits }
}

/// One job of one shape.
fn check(centres: Vec<CentreView>, shape: huisuan_model::Shape, job: JobView, expected: &Reason) {
    check_snapshot(&network(centres, vec![(shape, vec![job])]), expected);
}

fn check_snapshot(snapshot: &Snapshot, expected: &Reason) {
    assert_eq!(reason(&plan(snapshot)), expected);
}

#[test]
fn no_centre_could_take_it() {
    let none = |centres| Reason::NoCentre { centres };
    check(vec![], shape(1), job(1, 1), &none(0));
    check(vec![centre("a", 4).unrated()], shape(1), job(1, 1), &none(1));
    check(vec![device_centre("a", 4), device_centre("b", 4)], shape(1), job(1, 1), &none(2));
    check(vec![centre("a", 4)], at(&["b"], shape(1)), job(1, 1), &none(1));
    check(vec![centre("a", 4)], rate_shape(Class::General, 1), job(1, 1), &none(1));
}

#[test]
fn no_centre_that_could_take_it_runs_images() {
    let image = |shape| huisuan_model::Shape { image: true, ..shape };
    let none = |centres| Reason::NoImages { centres };
    check(vec![centre("a", 4), centre("b", 1)], image(shape(2)), job(1, 1), &none(2));
    check(vec![centre("a", 4)], image(device_shape(1)), job(1, 1), &none(1));
    // One that runs images and cannot take it for another reason is the nearer one.
    let other = device_centre("b", 4).with_images();
    check(vec![centre("a", 4), other], image(shape(1)), job(1, 1), &Reason::NoCentre { centres: 2 });
    let paused = centre("b", 4).with_images().paused();
    check(vec![centre("a", 4), paused], image(shape(1)), job(1, 1), &Reason::CentrePaused { centre: id("b") });
}

#[test]
fn centres_that_could_take_it_are_paused() {
    let paused = |name| Reason::CentrePaused { centre: id(name) };
    check(vec![centre("a", 1).paused(), centre("b", 4).paused()], shape(2), job(1, 1), &paused("b"));
    check(vec![device_centre("a", 1), centre("b", 4).paused()], shape(2), job(1, 1), &paused("b"));
}

#[test]
fn money_is_missing() {
    let budget = |needed, available| Reason::Budget { needed: Money(needed), available: Money(available), limit: None };
    let poor = |shape, jobs, millionths| {
        let centres = vec![centre("a", 8).price(3_000_000), centre("b", 8).price(2_000_000).used(8)];
        with_money(network(centres, vec![(shape, jobs)]), millionths)
    };
    check_snapshot(&poor(shape(1), vec![job(1, 1)], 1_999_999), &budget(2_000_000, 1_999_999));
    check_snapshot(&poor(gang(2, 1), vec![job(1, 2)], 3_999_999), &budget(4_000_000, 3_999_999));
    // The first job takes money for one task, and what is left is too little for the second.
    check_snapshot(&poor(shape(1), vec![job(1, 1), job(2, 1)], 4_500_000), &budget(2_000_000, 1_500_000));
    // It could pay the cheaper centre, which is full: waiting helps.
    check_snapshot(&poor(shape(1), vec![job(1, 1)], 2_000_000), &capacity("b", 1, 0, 1, 32));
}

/// Whichever leaves less is named: the limit of the shape, the limit of the tenant, or its money.
#[test]
fn a_limit_is_named_where_it_is_one() {
    let check = |tenant: (i64, Option<BudgetLimit>), shape_has: Option<(i64, BudgetLimit)>, expected| {
        let centres = vec![centre("a", 8).price(3_000_000), centre("b", 8).price(2_000_000)];
        let mut snapshot = with_money(network(centres, vec![(shape(1), vec![job(1, 4)])]), tenant.0);
        snapshot.tenants[0].limit = tenant.1;
        (snapshot.shapes[0].available, snapshot.shapes[0].limit) =
            (shape_has.map(|(left, _)| Money(left)), shape_has.map(|(_, limit)| limit));
        let (available, limit) = expected;
        let expected = Reason::Budget { needed: Money(2_000_000), available: Money(available), limit };
        check_snapshot(&snapshot, &expected);
    };
    let (month, hour, project) = (Some(BudgetLimit::Month), BudgetLimit::Hour, BudgetLimit::Project);
    check((1_000_000, month), None, (1_000_000, month));
    check((9_000_000, None), Some((1_000_000, hour)), (1_000_000, Some(hour)));
    check((9_000_000, month), Some((1_000_000, project)), (1_000_000, Some(project)));
    check((1_000_000, None), Some((1_500_000, project)), (1_000_000, None));
    check((1_000_000, month), Some((1_500_000, hour)), (1_000_000, month));
    // One task is paid from both; what is left to the shape is less.
    check((9_000_000, None), Some((3_500_000, hour)), (1_500_000, Some(hour)));
}

#[test]
fn a_jobs_own_budget_is_missing() {
    let check = |tenant, available, budget, expected: Reason| {
        let centres = vec![centre("a", 8).price(3_000_000), centre("b", 8).price(2_000_000)];
        let mut snapshot = with_money(network(centres, vec![(shape(1), vec![job(1, 4)])]), tenant);
        (snapshot.shapes[0].available, snapshot.shapes[0].budget) = (available, Some(Money(budget)));
        check_snapshot(&snapshot, &expected);
    };
    let own = |needed, left| Reason::JobBudget { needed: Money(needed), left: Money(left) };
    let tenants =
        |needed, available| Reason::Budget { needed: Money(needed), available: Money(available), limit: None };
    check(50_000_000, None, 1_999_999, own(2_000_000, 1_999_999));
    // Two tasks are paid, at the cheaper centre; what is left is too little for a third.
    check(50_000_000, None, 5_000_000, own(2_000_000, 1_000_000));
    check(50_000_000, Some(Money(50_000_000)), 5_000_000, own(2_000_000, 1_000_000));
    // Others are poorer than the job.
    check(4_500_000, None, 5_000_000, tenants(2_000_000, 500_000));
    check(50_000_000, Some(Money(4_500_000)), 5_000_000, tenants(2_000_000, 500_000));
    check(50_000_000, None, -5, own(2_000_000, -5));
}

#[test]
fn an_unknown_tenant_has_no_money() {
    let mut snapshot = network(vec![centre("a", 4)], vec![(shape(1), vec![job(1, 1)])]);
    snapshot.tenants.clear();
    check_snapshot(&snapshot, &Reason::Budget { needed: Money(1_000_000), available: Money(0), limit: None });
}

#[test]
fn the_jobs_own_limit_is_reached() {
    let limit = Reason::ParallelMax { limit: 5 };
    check(vec![centre("a", 8)], shape(1), job(1, 9).parallel(5, 5), &limit);
    check(vec![centre("a", 8)], shape(1), job(1, 9).parallel(6, 5), &limit);
    check(vec![centre("a", 8)], shape(1), job(1, 9).parallel(2, 5), &limit);
    // Capacity holds for the whole shape, the limit for one job of it only.
    let jobs = vec![job(1, 9).parallel(0, 5), job(2, 9)];
    check_snapshot(&network(vec![centre("a", 8)], vec![(shape(1), jobs)]), &capacity("a", 1, 0, 1, 24));
}

#[test]
fn hardware_is_busy_and_the_nearest_miss_is_named() {
    check(vec![centre("a", 8).used(7), centre("b", 8).used(6)], shape(4), job(1, 1), &capacity("b", 4, 2, 1, 32));
    check(vec![centre("a", 8).used(6), centre("b", 8).used(6)], shape(4), job(1, 1), &capacity("a", 4, 2, 1, 32));
    check(vec![centre("a", 8).used(9)], shape(4), job(1, 1), &capacity("a", 4, 0, 1, 32));
    let big = huisuan_model::Shape { memory: Bytes(20 * GIB), ..shape(1) };
    check(vec![centre("a", 8)], big, job(1, 2), &capacity("a", 1, 7, 20, 12));
}

#[test]
fn a_pool_that_shrank_below_a_waiting_job_shows_its_numbers() {
    check(vec![centre("a", 4)], shape(6), job(1, 1), &capacity("a", 6, 4, 1, 16));
    check(vec![centre("a", 4)], gang(3, 2), job(1, 3), &gang_capacity("a", 3, 2));
}

#[test]
fn a_gang_does_not_fit_together() {
    let centres = vec![centre("a", 8).used(6), centre("b", 8).used(3), centre("c", 8).used(3)];
    check(centres, gang(3, 2), job(1, 3), &gang_capacity("b", 3, 2));
}

#[test]
fn others_took_what_was_free() {
    let jobs = vec![(shape(1), vec![job(1, 4)]), (shape(2), vec![job(2, 1)])];
    let behind = Reason::Behind { ahead: 4, centre: id("b") };
    check_snapshot(&network(vec![centre("a", 1), centre("b", 3)], jobs), &behind);
    let jobs = vec![(shape(1), vec![job(1, 2)]), (gang(2, 2), vec![job(2, 2)])];
    check_snapshot(&network(vec![centre("a", 4)], jobs), &Reason::Behind { ahead: 2, centre: id("a") });
}

#[test]
fn a_window_that_leaves_jobs_out_is_not_planned() {
    let mut snapshot = network(vec![centre("a", 4)], vec![(shape(1), vec![job(1, 1)])]);
    snapshot.shapes[0].more = 3;
    check_snapshot(&snapshot, &Reason::NotPlanned);
}

#[test]
fn every_centre_in_question_answers() {
    let centres = vec![
        centre("a", 8).used(6),
        centre("b", 8).paused(),
        device_centre("c", 1),
        centre("d", 8),
        centre("e", 8).price(900_000_000),
        centre("f", 2),
    ];
    let jobs = vec![
        (at(&["d"], shape(1)), vec![job(1, 6).priority(1)]),
        (at(&["a", "b", "c", "d", "e", "f"], shape(4)), vec![job(2, 1)]),
    ];
    let plan = plan(&with_money(network(centres, jobs), 100_000_000));
    let lines: Vec<String> =
        plan.reasons[0].rejected.iter().map(|(centre, reason)| format!("{centre} {}", reason.code())).collect();
    assert_eq!(lines, ["a capacity", "b centre-paused", "c no-centre", "d behind", "e budget", "f capacity"]);
    assert_eq!(plan.reasons[0].reason, Reason::Behind { ahead: 6, centre: id("d") });
    assert_eq!(plan.placements[0].job, JobId(1));
}

#[test]
fn a_centre_outside_the_list_and_one_with_room_do_not_answer() {
    let jobs = vec![(at(&["a", "b"], shape(1)), vec![job(1, 9).parallel(1, 1)])];
    let plan = plan(&network(vec![centre("a", 8).used(8), centre("b", 8), centre("c", 8).used(8)], jobs));
    assert_eq!(plan.reasons[0].reason, Reason::ParallelMax { limit: 1 });
    assert_eq!(plan.reasons[0].rejected, [(id("a"), capacity("a", 1, 0, 1, 32))]);
}

#[test]
fn the_seed_changes_nothing_yet() {
    let snapshot = network(vec![centre("a", 4)], vec![(shape(1), vec![job(1, 9)])]);
    let with = |seed| {
        crate::cycle(&snapshot, &crate::Policy::default(), TimeMs(0), crate::Budget::default(), crate::Seed(seed))
    };
    assert_eq!(with(0), with(99));
}

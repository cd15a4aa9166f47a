//! What is kept for later: promises to jobs that found no room, maintenance, quotas.

use std::sync::Arc;

use huisuan_model::{
    CentreId, Class, JobId, MilliDevices, Millicores, PoolId, QuotaResource, Reason, Reservation, Shape, TimeMs,
};

use crate::{
    Amounts, Budget, CentreView, JobView, Policy, Quota, RunningView, Snapshot, Violation, Window, check, testing::*,
};

const HOUR_MS: i64 = 3_600_000;

/// Tasks of `lab` that run on the first pool of a centre: so many of one core, until so many hours from now.
fn runs(snapshot: Snapshot, centre: usize, groups: &[(u64, i64)]) -> Snapshot {
    let each = Amounts { cores: Millicores(1000), memory: huisuan_model::Bytes(GIB), devices: MilliDevices(0) };
    runs_each(snapshot, centre, each, groups)
}

fn runs_each(mut snapshot: Snapshot, centre: usize, each: Amounts, groups: &[(u64, i64)]) -> Snapshot {
    for &(count, hours) in groups {
        let pool = &mut snapshot.centres[centre].pools[0];
        pool.used = pool.used.plus(each, count);
        pool.long = pool.used;
        let shape = shape(1);
        let group = RunningView {
            tenant: shape.tenant,
            project: shape.project,
            each,
            count,
            ends_at: TimeMs(NOW.0 + hours * HOUR_MS),
            preemptible: None,
            stopping: false,
        };
        hold(&mut snapshot, centre, &group);
    }
    snapshot
}

fn hours(shape: Shape, hours: u64) -> Shape {
    Shape { walltime: huisuan_model::DurationMs(hours * HOUR_MS as u64), ..shape }
}

fn promises(plan: &huisuan_model::Plan) -> Vec<String> {
    let text = |one: &Reservation| {
        format!("{}:{}@{} in {} h", one.job, one.tasks, one.centre, (one.start_at.0 - NOW.0) / HOUR_MS)
    };
    plan.reservations.iter().map(text).collect()
}

fn check_plan(snapshot: &Snapshot, placed: &[&str], promised: &[&str]) {
    let plan = plan(snapshot);
    assert_eq!((places(&plan), promises(&plan)), (owned(placed), owned(promised)));
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Job 1 needs 4 cores of a centre of 8, where 6 run; jobs 2 and 3 need one each.
fn blocked(wall_hours: [u64; 2]) -> Snapshot {
    let jobs = vec![
        (gang(2, 2), vec![job(1, 2)]),
        (hours(shape(1), wall_hours[0]), vec![job(2, 1)]),
        (hours(at(&["a"], shape(1)), wall_hours[1]), vec![job(3, 1)]),
    ];
    runs(network(vec![centre("a", 8)], jobs), 0, &[(2, 3), (4, 5)])
}

#[test]
fn the_first_job_without_room_is_promised_the_earliest_start() {
    // At 3 h two cores come free, which makes 4.
    check_plan(&blocked([1, 1]), &["2:0@a", "3:0@a"], &["1:0-1@a in 3 h"]);
}

#[test]
fn others_start_only_when_they_do_not_delay_it() {
    check_plan(&blocked([3, 4]), &["2:0@a"], &["1:0-1@a in 3 h"]);
    check_plan(&blocked([4, 4]), &[], &["1:0-1@a in 3 h"]);
    let plan = plan(&blocked([4, 4]));
    let kept = Reason::Reserved {
        centre: CentreId::new("a").expect("a valid name"),
        pool: PoolId::new("cpu:x").expect("a valid name"),
        job: JobId(1),
        start_at: TimeMs(NOW.0 + 3 * HOUR_MS),
    };
    let reasons: Vec<&Reason> = plan.reasons.iter().map(|reason| &reason.reason).collect();
    assert_eq!(reasons.iter().filter(|&&reason| *reason == kept).count(), 2, "{reasons:?}");
}

#[test]
fn what_the_promise_leaves_free_may_be_taken_for_long() {
    let mut snapshot = blocked([9, 9]);
    // One core more is free all the time.
    snapshot.centres[0].pools[0].pool.cores.0 += 1000;
    check_plan(&snapshot, &["2:0@a"], &["1:0-1@a in 3 h"]);
}

#[test]
fn a_promise_is_made_where_the_job_can_start_first() {
    let jobs = vec![(gang(2, 2), vec![job(1, 2)])];
    let two = runs(network(vec![centre("a", 4), centre("b", 4)], jobs), 0, &[(4, 5)]);
    check_plan(&runs(two.clone(), 1, &[(4, 2)]), &[], &["1:0-1@b in 2 h"]);
    check_plan(&runs(two, 1, &[(4, 5)]), &[], &["1:0-1@a in 5 h"]);
}

#[test]
fn each_pool_promises_as_often_as_the_policy_says() {
    let jobs = vec![(shape(4), vec![job(1, 1)]), (shape(3), vec![job(2, 1)]), (shape(2), vec![job(3, 1)])];
    let snapshot = runs(network(vec![centre("a", 4)], jobs), 0, &[(4, 2)]);
    let check = |reservations_max, expected: &[&str]| {
        let policy = Policy { reservations_max, ..Policy::default() };
        assert_eq!(promises(&plan_with(&snapshot, &policy, Budget::default())), owned(expected));
    };
    check(0, &[]);
    check(1, &["1:0@a in 2 h"]);
    check(2, &["1:0@a in 2 h", "2:0@a in 3 h"]);
    check(9, &["1:0@a in 2 h", "2:0@a in 3 h", "3:0@a in 4 h"]);
}

#[test]
fn nothing_is_promised_to_what_is_never_free_or_cannot_be_paid() {
    let mut snapshot = blocked([4, 4]);
    snapshot.centres.iter_mut().for_each(|centre| centre.pools[0].holdings = Arc::default());
    check_plan(&snapshot, &["2:0@a", "3:0@a"], &[]);
    check_plan(&with_money(blocked([1, 1]), 3_000_000), &["2:0@a", "3:0@a"], &[]);
}

#[test]
fn what_should_have_ended_is_expected_in_a_moment() {
    let jobs = vec![(shape(4), vec![job(1, 1)])];
    let plan = plan(&runs(network(vec![centre("a", 4)], jobs), 0, &[(4, -2)]));
    assert_eq!(plan.reservations[0].start_at, TimeMs(NOW.0 + 1));
}

fn window(from_hours: i64, until_hours: i64, pool: Option<&str>) -> Window {
    let moment = |hours: i64| TimeMs(NOW.0 + hours * HOUR_MS);
    let pool = pool.map(|id| PoolId::new(id).expect("a valid name"));
    Window { from: moment(from_hours), until: moment(until_hours), pool }
}

fn closed(mut centre: CentreView, window: Window) -> CentreView {
    centre.closed.push(window);
    centre
}

#[test]
fn no_task_runs_into_maintenance() {
    let check = |window: Window, placed: &[&str]| {
        let jobs = vec![(hours(shape(1), 2), vec![job(1, 1)])];
        check_plan(&network(vec![closed(centre("a", 4), window)], jobs), placed, &[]);
    };
    check(window(2, 3, None), &["1:0@a"]);
    check(window(1, 3, None), &[]);
    check(window(-1, 1, None), &[]);
    check(window(-1, 0, None), &["1:0@a"]);
    check(window(1, 1, None), &["1:0@a"]);
    check(window(1, 3, Some("cpu:x")), &[]);
    check(window(1, 3, Some("cpu:y")), &["1:0@a"]);
}

#[test]
fn a_closed_centre_is_named_with_its_times() {
    let jobs = vec![(hours(shape(1), 2), vec![job(1, 1)])];
    let centres = vec![closed(centre("a", 4), window(1, 9, None)), closed(centre("b", 4), window(1, 3, None))];
    let plan = plan(&network(centres, jobs));
    let window = window(1, 3, None);
    let centre = CentreId::new("b").expect("a valid name");
    assert_eq!(*reason(&plan), Reason::CentreClosed { centre, from: window.from, until: window.until });
}

#[test]
fn a_promise_waits_until_maintenance_is_over() {
    // Four cores come free at 1 h, but the job takes two hours, and the pool closes from 2 h to 6 h.
    let mut snapshot = runs(network(vec![centre("a", 4)], vec![(hours(shape(4), 1), vec![job(1, 1)])]), 0, &[(4, 2)]);
    snapshot.centres[0].closed = vec![window(2, 6, None)];
    check_plan(&snapshot, &[], &["1:0@a in 6 h"]);
}

#[test]
fn an_absent_centre_takes_nothing() {
    let mut snapshot = network(vec![centre("a", 4), centre("b", 4).paused()], vec![(shape(1), vec![job(1, 1)])]);
    snapshot.centres[0].absent = true;
    check_plan(&snapshot, &[], &[]);
    let centre = snapshot.centres[0].id.clone();
    assert_eq!(*reason(&plan(&snapshot)), Reason::CentreAbsent { centre });
}

fn quota(mut snapshot: Snapshot, cores: Option<u64>, devices: Option<u64>) -> Snapshot {
    let quota = Quota { cores: cores.map(|n| Millicores(n * 1000)), devices: devices.map(|n| MilliDevices(n * 1000)) };
    snapshot.tenants[0].quota = quota;
    snapshot
}

#[test]
fn a_quota_limits_what_a_tenant_holds() {
    let jobs = vec![(shape(2), vec![job(1, 9)])];
    let snapshot = quota(runs(network(vec![centre("a", 20)], jobs), 0, &[(3, 1)]), Some(8), None);
    check_plan(&snapshot, &["1:0-1@a"], &[]);
    let held = Reason::Quota { resource: QuotaResource::Cores, needed: 2000, held: 7000, limit: 8000 };
    assert_eq!(*reason(&plan(&snapshot)), held);
    let jobs = vec![(device_shape(2), vec![job(1, 9)])];
    let snapshot = quota(network(vec![device_centre("a", 8)], jobs), Some(100), Some(5));
    check_plan(&snapshot, &["1:0-1@a"], &[]);
    let held = Reason::Quota { resource: QuotaResource::Devices, needed: 2000, held: 4000, limit: 5000 };
    assert_eq!(*reason(&plan(&snapshot)), held);
}

#[test]
fn a_gang_above_the_quota_waits_and_others_go() {
    let jobs = vec![(gang(3, 2), vec![job(1, 3)]), (shape(1), vec![job(2, 1)])];
    check_plan(&quota(network(vec![centre("a", 20)], jobs), Some(5), None), &["2:0@a"], &[]);
}

#[test]
fn promises_windows_and_quotas_are_judged() {
    let check_spoilt = |snapshot: &Snapshot, spoil: &dyn Fn(&mut Snapshot, &mut huisuan_model::Plan)| {
        let (mut snapshot, mut plan) = (snapshot.clone(), plan(snapshot));
        spoil(&mut snapshot, &mut plan);
        check(&snapshot, &Policy::default(), NOW, &plan).expect_err("a spoilt plan is illegal")
    };
    let one = |found: Vec<Violation>| format!("{found:?}");
    let snapshot = blocked([1, 1]);
    let found = check_spoilt(&snapshot, &|_, plan| plan.reservations[0].start_at.0 -= 1);
    assert!(one(found).contains("Promise {"));
    let found = check_spoilt(&snapshot, &|snapshot, _| snapshot.centres[0].pools[0].used.cores.0 += 1000);
    assert!(one(found).contains("Promise {"));
    let found = check_spoilt(&snapshot, &|snapshot, _| snapshot.centres[0].closed = vec![window(3, 4, None)]);
    assert!(one(found).contains("Promise {"));
    let found = check_spoilt(&snapshot, &|_, plan| plan.reservations[0].job = JobId(9));
    assert!(one(found).contains("UnknownPromise {"));
    let found = check_spoilt(&snapshot, &|_, plan| {
        let twice = plan.reservations[0].clone();
        plan.reservations.push(Reservation { start_at: TimeMs(NOW.0 + 99 * HOUR_MS), ..twice });
    });
    assert!(one(found).contains("TooManyPromises {"));
    let found = check_spoilt(&snapshot, &|snapshot, _| snapshot.centres[0].closed = vec![window(0, 1, None)]);
    assert!(one(found).contains("before the centre closes"));
    let found = check_spoilt(&snapshot, &|snapshot, _| snapshot.centres[0].absent = true);
    assert!(one(found).contains("absent"));
    let found = check_spoilt(&snapshot, &|snapshot, _| *snapshot = quota(snapshot.clone(), Some(7), None));
    assert!(one(found).contains("Quota {"));
}

#[test]
fn devices_are_promised_too() {
    let jobs = vec![(device_shape(4), vec![JobView { priority: 1, ..job(1, 1) }]), (device_shape(1), vec![job(2, 9)])];
    let mut snapshot = network(vec![device_centre("a", 4)], jobs);
    assert_eq!(snapshot.centres[0].class, Class::Ai);
    let each = Amounts { cores: Millicores(1000), memory: huisuan_model::Bytes(GIB), devices: MilliDevices(1000) };
    snapshot = runs_each(snapshot, 0, each, &[(1, 2)]);
    // Tasks of one hour fit before it, all nine of them three at a time, but only three now.
    check_plan(&snapshot, &["2:0-2@a"], &["1:0@a in 2 h"]);
}

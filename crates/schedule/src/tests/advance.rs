//! Reservations in advance: who names one gets what it keeps, others go around it.

use huisuan_model::{
    Bytes, CentreId, DurationMs, MilliDevices, Millicores, PoolId, Reason, ReservationId, Shape, TenantId, TimeMs,
};
use proptest::prelude::*;

use crate::{
    Amounts, Change, JobView, Policy, Reserved, RunningView, Snapshot, Violation, check, cycle, helps, testing::*,
};

const HOUR_MS: i64 = 3_600_000;

fn in_hours(hours: i64) -> TimeMs {
    TimeMs(NOW.0 + hours * HOUR_MS)
}

fn cores(count: u64) -> Amounts {
    Amounts { cores: Millicores(count * 1000), memory: Bytes(count * GIB), devices: MilliDevices(0) }
}

/// So many cores of a centre's first pool, with 1 GiB each, for `lab`.
fn reserved(mut snapshot: Snapshot, centre: usize, id: u32, count: u64, from_hours: i64, until_hours: i64) -> Snapshot {
    snapshot.centres[centre].pools[0].reserved.push(Reserved {
        id: ReservationId(id),
        tenant: TenantId::new("lab").expect("a valid name"),
        from: in_hours(from_hours),
        until: in_hours(until_hours),
        amounts: cores(count),
        used: Amounts::default(),
    });
    snapshot
}

/// Tasks of one core that run on the first pool until so many hours from now; of a reservation where one is named.
fn runs(mut snapshot: Snapshot, count: u64, hours: i64, of: Option<u32>) -> Snapshot {
    let pool = &mut snapshot.centres[0].pools[0];
    pool.used = pool.used.plus(cores(1), count);
    pool.long = pool.used;
    let mut ends_at = in_hours(hours);
    if let Some(kept) = pool.reserved.iter_mut().find(|kept| Some(kept.id.0) == of) {
        kept.used = kept.used.plus(cores(1), count);
        ends_at = kept.until;
    }
    let Shape { tenant, project, .. } = shape(1);
    let group = RunningView { tenant, project, each: cores(1), count, ends_at, preemptible: None, stopping: false };
    hold(&mut snapshot, 0, &group);
    snapshot
}

fn hours(hours: u64, shape: Shape) -> Shape {
    Shape { walltime: DurationMs(hours * HOUR_MS as u64), ..shape }
}

fn inside(id: u32, shape: Shape) -> Shape {
    Shape { reservation: Some(ReservationId(id)), ..shape }
}

/// A centre of eight cores.
fn eight(jobs: Vec<(Shape, Vec<JobView>)>) -> Snapshot {
    network(vec![centre("a", 8)], jobs)
}

fn check_places(snapshot: &Snapshot, expected: &[&str]) {
    assert_eq!(places(&plan(snapshot)), expected);
}

fn check_reason(snapshot: &Snapshot, expected: &Reason) {
    assert_eq!(reason(&plan(snapshot)), expected);
}

#[test]
fn others_go_around_what_is_kept() {
    let check = |walltime, expected: &[&str]| {
        let jobs = vec![(hours(walltime, shape(1)), vec![job(1, 9)])];
        check_places(&reserved(eight(jobs), 0, 1, 6, 2, 4), expected);
    };
    // What ends before it may have everything, what does not only the rest.
    check(2, &["1:0-7@a"]);
    check(3, &["1:0-1@a"]);
}

#[test]
fn who_names_it_gets_it_and_nobody_else() {
    let jobs = vec![(shape(1), vec![job(1, 9).priority(9)]), (inside(1, shape(1)), vec![job(2, 9)])];
    check_places(&reserved(eight(jobs.clone()), 0, 1, 6, 0, 4), &["1:0-1@a", "2:0-5@a"]);
    check_places(&reserved(eight(jobs.clone()), 0, 1, 8, 0, 4), &["2:0-7@a"]);
    check_places(&reserved(eight(jobs), 0, 1, 6, 0, 0), &["1:0-7@a"]);
}

#[test]
fn what_it_holds_itself_is_not_kept_twice() {
    let jobs = vec![(hours(3, shape(1)), vec![job(1, 9)]), (inside(1, shape(1)), vec![job(2, 9)])];
    let snapshot = reserved(eight(jobs), 0, 1, 5, -1, 4);
    // Three of its five cores are in use, two are left for it, three for others.
    check_places(&runs(snapshot, 3, 2, Some(1)), &["1:0-2@a", "2:0-1@a"]);
}

#[test]
fn two_reservations_meet() {
    // From 1 h to 3 h six cores are kept, before and after it three.
    let jobs = vec![(hours(4, shape(1)), vec![job(1, 9)])];
    let snapshot = reserved(reserved(eight(jobs), 0, 1, 3, 0, 3), 0, 2, 3, 1, 5);
    check_places(&snapshot, &["1:0-1@a"]);
}

#[test]
fn a_gang_starts_in_it_as_a_whole() {
    let check = |kept, expected: &[&str]| {
        let jobs = vec![(inside(1, gang(4, 1)), vec![job(1, 4)])];
        check_places(&reserved(eight(jobs), 0, 1, kept, 0, 4), expected);
    };
    check(4, &["1:0-3@a"]);
    check(3, &[]);
}

#[test]
fn nothing_is_filled_ahead_into_it() {
    let policy = Policy::default();
    let check = |from_hours, expected: u64| {
        let jobs = vec![(shape(1), vec![job(1, 900).mean(1)])];
        let plan = plan(&reserved(eight(jobs), 0, 1, 8, from_hours, 999));
        assert_eq!(plan.placements.iter().map(|one| one.tasks.len()).sum::<u64>(), expected, "{from_hours} h");
    };
    assert!(policy.ahead_factor(Some(1), false) >= 4);
    // Eight at a time, one after the other of an hour at most.
    check(1, 8);
    check(2, 16);
    check(3, 24);
}

#[test]
fn a_promise_waits_until_it_is_over() {
    let jobs = vec![(hours(3, shape(8)), vec![job(1, 1)]), (shape(1), vec![job(2, 1)])];
    let plan = plan(&reserved(eight(jobs), 0, 1, 1, 2, 5));
    assert_eq!((plan.reservations[0].start_at, places(&plan)), (in_hours(5), vec!["2:0@a".to_owned()]));
}

#[test]
fn reasons_name_the_reservation() {
    let (reservation, centre) = (ReservationId(1), CentreId::new("a").expect("a valid name"));
    let pool = PoolId::new("cpu:x").expect("a valid name");
    let one = |shape: Shape| eight(vec![(shape, vec![job(1, 1)])]);
    let kept = Reason::Kept { centre, pool, reservation, from: in_hours(1), until: in_hours(2) };
    check_reason(&reserved(one(hours(2, shape(1))), 0, 1, 8, 1, 2), &kept);
    let own = || one(inside(1, shape(1)));
    let later = Reason::ReservationLater { reservation, from: in_hours(1) };
    check_reason(&reserved(own(), 0, 1, 8, 1, 3), &later);
    let over = Reason::ReservationOver { reservation, until: Some(in_hours(0)) };
    check_reason(&reserved(own(), 0, 1, 8, -1, 0), &over);
    check_reason(&own(), &Reason::ReservationOver { reservation, until: None });
    let full = Reason::ReservationFull { reservation, needed: 1, fits: 0 };
    check_reason(&runs(reserved(own(), 0, 1, 2, -1, 3), 2, 2, Some(1)), &full);
    let mut paused = reserved(own(), 0, 1, 2, -1, 3);
    paused.centres[0].active = false;
    check_reason(&paused, &Reason::CentrePaused { centre: paused.centres[0].id.clone() });
}

#[test]
fn what_helps_is_told() {
    let snapshot = reserved(eight(vec![(inside(1, hours(4, shape(1))), vec![job(1, 1)])]), 0, 1, 4, -1, 3);
    let found = helps(&snapshot, &Policy::default(), NOW, &snapshot.shapes[0].shape);
    let changes: Vec<Change> = found.into_iter().map(|help| help.change).collect();
    assert_eq!(changes, [Change::Walltime(DurationMs(3 * HOUR_MS as u64)), Change::NoReservation]);
}

#[test]
fn a_plan_that_breaks_one_is_judged() {
    let check_spoilt = |from_hours: i64, shape: Shape, spoil: &dyn Fn(&mut Snapshot)| {
        let mut snapshot = reserved(eight(vec![(shape, vec![job(1, 4)])]), 0, 1, 4, from_hours, 6);
        let plan = plan(&snapshot);
        assert_eq!(places(&plan), ["1:0-3@a"]);
        spoil(&mut snapshot);
        check(&snapshot, &Policy::default(), NOW, &plan).expect_err("a spoilt plan is illegal")
    };
    let reservation = ReservationId(1);
    let outside = vec![Violation::OutsideReservation { job: huisuan_model::JobId(1), reservation }];
    let own = || inside(1, shape(1));
    let first = |snapshot: &mut Snapshot, change: &dyn Fn(&mut Reserved)| {
        change(&mut snapshot.centres[0].pools[0].reserved[0]);
    };
    assert_eq!(check_spoilt(0, own(), &|all| first(all, &|kept| kept.from.0 += 1)), outside);
    assert_eq!(check_spoilt(0, own(), &|all| first(all, &|kept| kept.until = NOW)), outside);
    assert_eq!(check_spoilt(0, own(), &|all| first(all, &|kept| kept.id = ReservationId(2))), outside);
    let other = TenantId::new("other").expect("a valid name");
    assert_eq!(check_spoilt(0, own(), &|all| first(all, &|kept| kept.tenant = other.clone())), outside);
    let found = check_spoilt(0, own(), &|all| first(all, &|kept| kept.amounts = cores(3)));
    assert!(matches!(found[..], [Violation::Reservation { .. }]), "{found:?}");
    let found = check_spoilt(2, hours(5, shape(1)), &|all| first(all, &|kept| kept.amounts = cores(5)));
    assert!(matches!(found[..], [Violation::Reservation { .. }]), "{found:?}");
}

proptest! {
    /// No plan reaches into what is kept for others, and what is kept and free is given to those who name it.
    #[test]
    fn reservations_are_kept_in_any_network(
        kept in prop::collection::vec((0usize..2, 1u64..5, -2i64..4, 1i64..5), 0..4),
        jobs in prop::collection::vec((1u64..4, 1u64..6, prop::option::of(0u32..5), 1u32..5, any::<bool>(), -1i32..2), 0..9),
        running in prop::collection::vec((1u64..3, 1i64..6, prop::option::of(1u32..4)), 0..4),
        (size, mean) in (1u64..13, prop::option::of(1u64..20_000_000)),
    ) {
        let jobs = jobs.into_iter().enumerate().map(|(number, (need, span, own, tasks, together, priority))| {
            let base = if together { gang(tasks, need) } else { shape(need) };
            let base = hours(span, base);
            let view = JobView { mean_run_ms: mean, ..job(number as u64 + 1, tasks).priority(priority) };
            (match own { Some(id) => inside(id, base), None => base }, vec![view])
        });
        let mut shapes: Vec<(Shape, Vec<JobView>)> = Vec::new();
        for (shape, views) in jobs {
            match shapes.iter_mut().find(|known| known.0 == shape) {
                Some(known) => known.1.extend(views),
                None => shapes.push((shape, views)),
            }
        }
        for (_, views) in &mut shapes {
            views.sort_by_key(|view| (std::cmp::Reverse(view.priority), view.submitted_at, view.id));
        }
        let mut snapshot = network(vec![centre("a", size), centre("b", 6)], shapes);
        for (number, (at, count, from, span)) in kept.into_iter().enumerate() {
            snapshot = reserved(snapshot, at, number as u32 + 1, count, from, from + span);
        }
        for (count, until, of) in running {
            let known = of.is_some_and(|id| snapshot.centres[0].pools[0].reserved.iter().any(|kept| {
                kept.id.0 == id && kept.from <= NOW && kept.until > NOW && kept.used.cores.0 + count * 1000 <= kept.amounts.cores.0
            }));
            let free = snapshot.centres[0].pools[0].pool.cores.0 >= snapshot.centres[0].pools[0].used.cores.0 + count * 1000;
            if free {
                snapshot = runs(snapshot, count, until, of.filter(|_| known));
            }
        }
        let plan = cycle(&snapshot, &Policy::default(), NOW, crate::Budget::default(), crate::Seed(1));
        prop_assert_eq!(check(&snapshot, &Policy::default(), NOW, &plan), Ok(()));
        for placement in &plan.placements {
            let (view, _) = snapshot.shapes.iter().flat_map(|view| view.jobs.iter().map(move |job| (view, job)))
                .find(|(_, job)| job.id == placement.job).expect("a placed job waits");
            let pool = &snapshot.centres.iter().find(|centre| centre.id == placement.centre).expect("a centre").pools[0];
            let end = NOW.after(view.shape.walltime);
            let own = pool.reserved.iter().find(|kept| Some(kept.id) == view.shape.reservation);
            prop_assert_eq!(own.is_some(), view.shape.reservation.is_some());
            prop_assert!(own.is_none_or(|kept| kept.from <= NOW && end <= kept.until));
        }
        // Everything that waits has a reason.
        prop_assert_eq!(plan.reasons.len(), snapshot.shapes.iter().filter(|view| {
            view.jobs.iter().any(|job| {
                let placed: u64 = plan.placements.iter().filter(|one| one.job == job.id).map(|one| one.tasks.len()).sum();
                placed < job.waiting.len()
            })
        }).count());
    }
}

//! What holds for every network and queue, tried on random ones.

use std::cmp::Reverse;

use huisuan_model::{
    Bytes, CentreId, Class, DurationMs, MilliDevices, Millicores, Money, Plan, Reason, Shape, TenantId, TimeMs,
};
use proptest::{prelude::*, sample::subsequence};

use crate::{
    Budget, CentreView, JobView, Order, Policy, Seed, Snapshot, TenantView, check, cycle, demand, hold_each, room,
    testing::*,
};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn any_centre(name: &'static str) -> impl Strategy<Value = CentreView> {
    let pools = prop::collection::btree_map(0..3usize, (1u64..10, 0u64..14, 0u64..10, any::<bool>()), 0..3);
    (pools, 0i64..4, prop::bool::weighted(0.8), prop::bool::weighted(0.9)).prop_map(
        move |(pools, price, active, rated)| {
            let pools = pools.into_iter().map(|(kind, (size, used, memory_used, cheap))| {
                let mut view = match kind {
                    0 => pool("A100", Class::Ai, size * 2, size),
                    1 => pool("cpu:x", Class::Hpc, size, 0),
                    _ => pool("cpu:y", if cheap { Class::General } else { Class::Hpc }, size * 3, 0),
                };
                view.used.cores = Millicores(used * 1000);
                view.used.memory = Bytes(memory_used * GIB);
                // Some of what runs is short, some is not.
                view.long.cores = Millicores(if cheap { used * 500 } else { used * 1000 });
                view
            });
            let made = CentreView { active, pools: pools.collect(), ..centre(name, 0) }.price(price * 500_000);
            let made = if price < 3 { made.with_images() } else { made };
            if rated { made } else { made.unrated() }
        },
    )
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let need = prop_oneof![
        6 => (1u64..6).prop_map(shape),
        1 => (1u64..3).prop_map(device_shape),
        2 => (prop::sample::select(Class::ALL.to_vec()), 1u64..60).prop_map(|(class, rate)| rate_shape(class, rate)),
    ];
    let class = prop_oneof![4 => Just(None), 1 => prop::sample::select(Class::ALL.to_vec()).prop_map(Some)];
    let names = prop_oneof![3 => Just(vec![]), 1 => subsequence(NAMES.to_vec(), 1..4)];
    let gang = prop_oneof![3 => Just(None), 1 => (1u32..5).prop_map(Some)];
    (need, class, names, gang, 1u64..6, 1u64..4, any::<bool>()).prop_map(
        |(need, class, names, gang, memory, hours, other)| {
            let tenant = TenantId::new(if other { "uni" } else { "lab" }).expect("a valid name");
            let walltime = DurationMs(hours * 1_800_000);
            let memory = Bytes(memory * GIB);
            Shape { tenant, class, gang, memory, walltime, image: hours == 3, ..at(&names, need) }
        },
    )
}

fn any_job() -> impl Strategy<Value = JobView> {
    let mean = prop_oneof![2 => Just(None), 1 => prop::sample::select(vec![Some(0), Some(40), Some(130), Some(900)])];
    let limit = prop_oneof![3 => Just(None), 1 => (1u32..6).prop_map(Some)];
    (0u32..14, -1i32..2, 0i64..3, mean, limit, 0u64..3).prop_map(|(tasks, priority, at, mean, limit, active)| JobView {
        submitted_at: TimeMs(at),
        mean_run_ms: mean,
        parallel_max: limit,
        active,
        ..job(1, tasks).priority(priority)
    })
}

/// A legal snapshot: ids given, jobs in queue order, gangs whole and without a limit.
fn assemble(centres: Vec<CentreView>, shapes: Vec<(Shape, Vec<JobView>)>, money: [i64; 2]) -> Snapshot {
    let mut id = 0;
    let mut merged: Vec<(Shape, Vec<JobView>)> = Vec::new();
    for (shape, mut jobs) in shapes {
        for one in &mut jobs {
            id += 1;
            one.id.0 = id;
            if let Some(tasks) = shape.gang {
                *one = JobView { id: one.id, priority: one.priority, submitted_at: one.submitted_at, ..job(id, tasks) };
            }
        }
        match merged.iter_mut().find(|(other, _)| *other == shape) {
            Some((_, known)) => known.append(&mut jobs),
            None => merged.push((shape, jobs)),
        }
    }
    for (_, jobs) in &mut merged {
        jobs.sort_by_key(|job| (Reverse(job.priority), job.submitted_at, job.id));
    }
    let tenant = |name: &str, money| TenantView::new(TenantId::new(name).expect("a valid name"), Money(money));
    Snapshot { tenants: vec![tenant("lab", money[0]), tenant("uni", money[1])], ..network(centres, merged) }
}

pub(super) fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let centres = (any_centre("a"), any_centre("b"), any_centre("c"), any_centre("d"))
        .prop_map(|(a, b, c, d)| vec![a, b, c, d])
        .prop_flat_map(|all| subsequence(all, 0..=4));
    let shapes = prop::collection::vec((any_shape(), prop::collection::vec(any_job(), 0..4)), 0..6);
    let money = prop_oneof![3 => Just(1_000_000_000_000), 1 => 0i64..30_000_000];
    (centres, shapes, [money.clone(), money]).prop_map(|(centres, shapes, money)| assemble(centres, shapes, money))
}

fn no_limit() -> Budget {
    Budget::UNLIMITED
}

/// Without promises, whatever fits now starts now.
fn no_promises() -> Policy {
    Policy { reservations_max: 0, ..Policy::default() }
}

fn without_means(mut snapshot: Snapshot) -> Snapshot {
    snapshot.shapes.iter_mut().flat_map(|view| &mut view.jobs).for_each(|job| job.mean_run_ms = None);
    snapshot
}

/// How many tasks of a job fit now into every pool that it may use and its tenant can pay for at least a unit.
fn rooms(snapshot: &Snapshot, shape: &Shape, unit: u64, mean_run_ms: Option<u64>) -> Vec<(CentreId, u64)> {
    let policy = Policy::default();
    let money = snapshot.tenants.iter().find(|tenant| tenant.id == shape.tenant).map_or(0, |tenant| tenant.available.0);
    let mut rooms = Vec::new();
    for centre in &snapshot.centres {
        let named = shape.centres.is_empty() || shape.centres.contains(&centre.id);
        if !centre.active || !named || shape.class.is_some_and(|class| class != centre.class) {
            continue;
        }
        for pool in &centre.pools {
            let Some(need) = demand(&pool.pool, shape) else {
                continue;
            };
            let hold = hold_each(&pool.pool, centre.tariff.price_per_p_h, &need, shape).0;
            if i128::from(hold) * i128::from(unit) <= i128::from(money.max(0)) {
                let gang = shape.gang.is_some();
                let fits = room(&pool.pool, [pool.used, pool.long], &need, mean_run_ms, gang, &policy);
                rooms.push((centre.id.clone(), fits));
            }
        }
    }
    rooms
}

fn placed(snapshot: &Snapshot) -> u64 {
    plan_with(snapshot, &no_promises(), no_limit()).placements.iter().map(|placement| placement.tasks.len()).sum()
}

proptest! {
    #[test]
    fn a_plan_is_legal_and_explains_what_waits(snapshot in any_snapshot(), placements_max in 0u64..60, jobs_max in 0u64..12) {
        let policy = Policy::default();
        for budget in [no_limit(), Budget { placements_max, jobs_max, ..no_limit() }] {
            let plan = cycle(&snapshot, &policy, NOW, budget, Seed(0));
            prop_assert_eq!(check(&snapshot, &policy, NOW, &plan), Ok(()));
            let waiting: Vec<Shape> = after(&snapshot, &plan).shapes.into_iter().map(|view| view.shape).collect();
            let explained: Vec<Shape> = plan.reasons.iter().map(|reason| reason.shape.clone()).collect();
            prop_assert_eq!(waiting, explained);
            let tasks: u64 = plan.placements.iter().map(|placement| placement.tasks.len()).sum();
            prop_assert!(tasks <= budget.placements_max.saturating_add(4), "a gang of this test has at most 4 tasks");
            prop_assert_eq!(&cycle(&snapshot, &policy, NOW, budget, Seed(0)), &plan);
            // Who asks for no reasons gets the same without them.
            let bare = cycle(&snapshot, &policy, NOW, budget.unexplained(), Seed(0));
            prop_assert_eq!(bare, Plan { reasons: Vec::new(), ..plan });
        }
    }

    #[test]
    fn nothing_that_fits_into_free_capacity_is_left_waiting(snapshot in any_snapshot()) {
        let plan = plan_with(&snapshot, &no_promises(), no_limit());
        let next = after(&snapshot, &plan);
        for view in &next.shapes {
            for job in view.jobs.iter().filter(|job| !job.waiting.is_empty()) {
                let unit = if view.shape.gang.is_some() { job.waiting.len() } else { 1 };
                let limited = job.parallel_max.is_some_and(|limit| job.active + unit > u64::from(limit));
                for (centre, fits) in rooms(&next, &view.shape, unit, None) {
                    prop_assert!(limited || fits < unit, "job {} fits at {}", job.id, centre);
                }
            }
        }
    }

    #[test]
    fn capacity_is_said_only_where_there_is_no_room(snapshot in any_snapshot()) {
        let plan = plan_with(&snapshot, &Policy::default(), no_limit());
        let next = after(&snapshot, &plan);
        for reason in plan.reasons.iter().filter(|reason| matches!(reason.reason, Reason::Capacity { .. })) {
            let view = next.shapes.iter().find(|view| view.shape == reason.shape).expect("it has a reason, so it waits");
            let waiting: Vec<&JobView> = view.jobs.iter().filter(|job| !job.waiting.is_empty()).collect();
            // With several jobs the reason is the first one's that has no limit of its own.
            let [only] = waiting[..] else { continue };
            for (centre, fits) in rooms(&next, &view.shape, 1, only.mean_run_ms) {
                prop_assert_eq!(fits, 0, "job {} has room at {}", only.id, centre);
            }
        }
    }

    #[test]
    fn a_second_cycle_finds_nothing_more(snapshot in any_snapshot().prop_map(without_means)) {
        let plan = plan_with(&snapshot, &no_promises(), no_limit());
        let again = plan_with(&after(&snapshot, &plan), &no_promises(), no_limit());
        prop_assert_eq!(again.placements, []);
    }

    #[test]
    fn later_jobs_do_not_change_what_earlier_ones_get(snapshot in any_snapshot()) {
        // Between tenants turns change with what each was given; within one queue they do not.
        let policy = Policy { order: Order { fair_share: false, ..Order::default() }, ..Policy::default() };
        // An improvement may move an earlier job for a later one: what holds then is in `improve_laws`.
        let unimproved = Budget { improvement_steps_max: 0, ..no_limit() };
        let whole = plan_with(&snapshot, &policy, unimproved);
        let jobs = snapshot.shapes.iter().flat_map(|view| &view.jobs);
        let last = jobs.max_by_key(|job| (Reverse(job.priority), job.submitted_at, job.id)).map(|job| job.id);
        let mut fewer = snapshot.clone();
        fewer.shapes.iter_mut().for_each(|view| view.jobs.retain(|job| Some(job.id) != last));
        let part = plan_with(&fewer, &policy, unimproved);
        let earlier: Vec<_> = whole.placements.into_iter().filter(|placement| Some(placement.job) != last).collect();
        prop_assert_eq!(part.placements, earlier);
    }

    #[test]
    fn more_hardware_never_places_less(
        (a, b, extra) in (any_centre("a"), any_centre("b"), any_centre("c")),
        asked in any_shape(),
        waiting in any_job(),
        pool in any::<prop::sample::Index>(),
        more in (0u64..9, 0u64..9, 0u64..9),
    ) {
        // Money is plenty and hardware is named: a dearer free centre is preferred to waiting for a cheap one, and more
        // cores of the same rating make each of them slower.
        let asked = Shape { gang: None, need: shape(1).need, ..asked };
        let queue = || vec![(asked.clone(), vec![waiting.clone()])];
        let money = [i64::MAX / 2; 2];
        let few = placed(&assemble(vec![a.clone(), b.clone()], queue(), money));
        prop_assert!(few <= placed(&assemble(vec![a.clone(), b.clone(), extra], queue(), money)));
        let mut larger = a;
        if !larger.pools.is_empty() {
            let count = larger.pools.len();
            let pool = &mut larger.pools[pool.index(count)].pool;
            pool.cores.0 += more.0 * 1000;
            pool.memory.0 += more.1 * GIB;
            if !pool.devices.is_zero() {
                pool.devices = MilliDevices(pool.devices.0 + more.2 * 1000);
            }
        }
        prop_assert!(few <= placed(&assemble(vec![larger, b], queue(), money)));
    }

    #[test]
    fn what_the_door_refuses_is_never_placed(snapshot in any_snapshot()) {
        let plan = plan_with(&snapshot, &Policy::default(), no_limit());
        let known = |id: &CentreId| snapshot.centres.iter().any(|centre| centre.id == *id);
        // A list with an unknown name is refused although the others might do: it is taken for a mistake in writing.
        for view in snapshot.shapes.iter().filter(|view| view.shape.centres.iter().all(known)) {
            if crate::never_fits(&snapshot.centres, &view.shape).is_some() {
                let placed = plan.placements.iter().any(|placement| view.jobs.iter().any(|job| job.id == placement.job));
                prop_assert!(!placed);
            }
        }
    }
}

//! What holds of every improvement, tried on random networks of centres that are much alike.

use std::{cmp::Reverse, collections::BTreeMap};

use huisuan_model::{CentreId, DurationMs, JobId, Millicores, Money, Plan, Shape, TenantId, TimeMs};
use proptest::{prelude::*, sample::subsequence};

use crate::{
    Amounts, Budget, CentreView, JobView, Memory, Order, Policy, Seed, ShapeView, Snapshot, TenantView, check, cycle,
    cycle_with, demand, hold_each, testing::*,
};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn any_centre(name: &'static str) -> impl Strategy<Value = CentreView> {
    let price = prop_oneof![9 => Just(2), 1 => 1i64..4];
    let used = prop_oneof![2 => Just(0), 1 => 0u64..4];
    let percent = prop_oneof![7 => Just(100), 1 => 98u64..=102];
    (5u64..14, used, price, percent).prop_map(move |(cores, used, price, percent)| {
        let used = used.min(cores);
        let mut view = centre(name, cores).price(price * 50_000).used(used).long(used);
        let rating = view.pools[0].pool.rating.as_mut().expect("it is rated");
        rating.sustained.0 = rating.sustained.0 * percent / 10;
        view
    })
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let names = prop_oneof![3 => Just(vec![]), 2 => Just(vec!["a"]), 1 => subsequence(NAMES.to_vec(), 1..3)];
    let gang = prop_oneof![3 => Just(None), 1 => (2u32..4).prop_map(Some)];
    (1u64..6, names, gang, 1u64..4, any::<bool>()).prop_map(|(cores, names, gang, hours, other)| {
        let tenant = TenantId::new(if other { "uni" } else { "lab" }).expect("a valid name");
        Shape { tenant, gang, walltime: DurationMs(hours * 3_600_000), ..at(&names, shape(cores)) }
    })
}

fn any_job() -> impl Strategy<Value = JobView> {
    let limit = prop_oneof![5 => Just(None), 1 => (1u32..4).prop_map(Some)];
    let mean = prop_oneof![7 => Just(None), 1 => Just(Some(100))];
    let tasks = prop_oneof![4 => 1u32..3, 1 => 3u32..7];
    (tasks, -1i32..2, limit, mean, any::<bool>()).prop_map(
        |(tasks, priority, parallel_max, mean_run_ms, preemptible)| JobView {
            parallel_max,
            mean_run_ms,
            preemptible,
            ..job(1, tasks).priority(priority)
        },
    )
}

fn any_crowd() -> impl Strategy<Value = Snapshot> {
    let centres = (any_centre("a"), any_centre("b"), any_centre("c"), any::<bool>());
    let shapes = prop::collection::vec((any_shape(), prop::collection::vec(any_job(), 1..3)), 3..7);
    let quota = prop_oneof![4 => Just(None), 1 => (6u64..20).prop_map(|cores| Some(Millicores(cores * 1000)))];
    (centres, shapes, prop_oneof![5 => Just(i64::MAX / 4), 1 => 3_000_000i64..30_000_000], quota).prop_map(
        |((a, b, c, third), shapes, money, quota)| {
            let mut snapshot = network(if third { vec![a, b, c] } else { vec![a, b] }, Vec::new());
            let uni = TenantId::new("uni").expect("a valid name");
            snapshot.tenants.push(TenantView::new(uni, Money(i64::MAX / 4)));
            snapshot.tenants[0].available = Money(money);
            snapshot.tenants[1].quota.cores = quota;
            let mut id = 0;
            let mut known: BTreeMap<Shape, Vec<JobView>> = BTreeMap::new();
            for (shape, jobs) in shapes {
                for one in jobs {
                    id += 1;
                    let whole = shape.gang.map_or(one.clone(), |tasks| job(id, tasks).priority(one.priority));
                    known.entry(shape.clone()).or_default().push(JobView {
                        id: JobId(id),
                        submitted_at: TimeMs(id as i64),
                        ..whole
                    });
                }
            }
            let line = |mut jobs: Vec<JobView>| {
                jobs.sort_by_key(|job| (Reverse(job.priority), job.submitted_at, job.id));
                jobs
            };
            snapshot.shapes = known.into_iter().map(|(shape, jobs)| ShapeView::new(shape, line(jobs))).collect();
            snapshot
        },
    )
}

fn unimproved() -> Budget {
    Budget { improvement_steps_max: 0, ..Budget::UNLIMITED }
}

/// Nobody is preempted: with preemption both plans may take back what they placed, and other tasks each.
fn policies() -> [Policy; 3] {
    let calm = Policy { preemptions_max: 0, ..Policy::default() };
    let several = Policy { reservations_max: 3, ..calm.clone() };
    [Policy { reservations_max: 0, ..calm.clone() }, calm, several]
}

fn view_of(snapshot: &Snapshot, job: JobId) -> (&Shape, &JobView) {
    let jobs = snapshot.shapes.iter().flat_map(|view| view.jobs.iter().map(move |job| (&view.shape, job)));
    { jobs }.find(|(_, view)| view.id == job).expect("a known job")
}

fn hold_at(snapshot: &Snapshot, centre: &CentreId, shape: &Shape) -> i64 {
    let centre = snapshot.centres.iter().find(|view| view.id == *centre).expect("a known centre");
    let pool = &centre.pools[0].pool;
    let demand = demand(pool, shape).expect("it fits there");
    hold_each(pool, centre.tariff.price_per_p_h, &demand, shape).0
}

/// What each task that starts costs.
fn started(snapshot: &Snapshot, plan: &Plan) -> BTreeMap<(JobId, u32), i64> {
    let of = |placement: &huisuan_model::Placement| {
        let hold = hold_at(snapshot, &placement.centre, view_of(snapshot, placement.job).0);
        placement.tasks.iter().map(|task| ((placement.job, task), hold)).collect::<Vec<_>>()
    };
    plan.placements.iter().flat_map(of).collect()
}

/// The first job that waits, where all are of one line, with how many of its tasks go together.
fn first_waiting(next: &Snapshot) -> Option<(&Shape, &JobView, u64)> {
    let jobs = next.shapes.iter().flat_map(|view| view.jobs.iter().map(move |job| (&view.shape, job)));
    let waits = jobs.filter(|(_, job)| {
        let full = job.parallel_max.is_some_and(|limit| job.active >= u64::from(limit));
        !job.waiting.is_empty() && !full
    });
    let first = { waits }.min_by_key(|(_, job)| (Reverse(job.priority), job.submitted_at, job.id));
    first.map(|(shape, job)| (shape, job, if shape.gang.is_some() { job.waiting.len() } else { 1 }))
}

/// Whether tasks fit, with so many cores less or more in use.
fn fits(next: &Snapshot, centre: usize, shape: &Shape, tasks: u64, given: u64, memory: u64) -> bool {
    let view = &next.centres[centre];
    let named = shape.centres.is_empty() || shape.centres.contains(&view.id);
    let Some(need) = demand(&view.pools[0].pool, shape).filter(|_| named) else { return false };
    let tenant = next.tenants.iter().find(|tenant| tenant.id == shape.tenant).expect("a known tenant");
    let each = Amounts { cores: need.cores, memory: need.memory, devices: need.devices };
    let pool = &view.pools[0];
    let less = Amounts { cores: Millicores(given), memory: huisuan_model::Bytes(memory), ..Amounts::default() };
    let used = pool.used.less(less).plus(each, tasks);
    let hold = i128::from(hold_at(next, &view.id, shape)) * i128::from(tasks);
    used.cores <= pool.pool.cores && used.memory <= pool.pool.memory && hold <= i128::from(tenant.available.0)
}

/// Whether one move of tasks of one shape, from one pool to another that costs no more, lets tasks start: all ways.
fn one_move_helps(before: &Snapshot, next: &Snapshot, plan: &Plan, first: (&Shape, u64)) -> bool {
    let (wanted, unit) = first;
    let mut placed: BTreeMap<(&Shape, usize), u64> = BTreeMap::new();
    for placement in &plan.placements {
        let at = before.centres.iter().position(|view| view.id == placement.centre).expect("a known centre");
        *placed.entry((view_of(before, placement.job).0, at)).or_default() += placement.tasks.len();
    }
    placed.into_iter().any(|((moved, from), count)| {
        let step = u64::from(moved.gang.unwrap_or(1));
        (0..before.centres.len()).filter(|&to| to != from).any(|to| {
            (1..=count / step).map(|units| units * step).any(|tasks| {
                let need = demand(&before.centres[from].pools[0].pool, moved).expect("it was placed there");
                let (cores, memory) = (need.cores.0 * tasks, need.memory.0 * tasks);
                let (here, there) = (&before.centres[from].id, &before.centres[to].id);
                fits(next, to, moved, tasks, 0, 0)
                    && hold_at(before, there, moved) <= hold_at(before, here, moved)
                    && fits(next, from, wanted, unit, cores, memory)
            })
        })
    })
}

/// One line, without promises, work of unknown length, and means for all.
fn plain(mut snapshot: Snapshot) -> (Snapshot, Policy) {
    for job in snapshot.shapes.iter_mut().flat_map(|view| &mut view.jobs) {
        (job.mean_run_ms, job.preemptible) = (None, false);
    }
    for tenant in &mut snapshot.tenants {
        (tenant.available, tenant.quota) = (Money(i64::MAX / 4), crate::Quota::default());
    }
    let order = Order { fair_share: false, ..Order::default() };
    (snapshot, Policy { order, reservations_max: 0, preemptions_max: 0, ..Policy::default() })
}

proptest! {
    #[test]
    fn nobody_loses_by_an_improvement(snapshot in any_crowd(), steps in prop_oneof![Just(u64::MAX), 1u64..60]) {
        for policy in policies() {
            let without = cycle(&snapshot, &policy, NOW, unimproved(), Seed(0));
            let budget = Budget { improvement_steps_max: steps, ..Budget::UNLIMITED };
            let with = cycle(&snapshot, &policy, NOW, budget, Seed(0));
            prop_assert_eq!(check(&snapshot, &policy, NOW, &with), Ok(()));
            let (before, after) = (started(&snapshot, &without), started(&snapshot, &with));
            for (task, hold) in &before {
                prop_assert!(after.get(task).is_some_and(|now| now <= hold), "task {:?} starts for no more", task);
            }
            let more: u64 = with.improvements.iter().map(|one| one.tasks.len()).sum();
            prop_assert_eq!(after.len() as u64, before.len() as u64 + more);
            for promise in &without.reservations {
                let kept = with.reservations.iter().any(|one| one.job == promise.job && one.start_at <= promise.start_at);
                let early = promise.tasks.iter().all(|task| after.contains_key(&(promise.job, task)));
                prop_assert!(kept || early, "job {} starts as early as it was promised", promise.job);
            }
            if with.improvements.is_empty() {
                prop_assert_eq!(with, without);
            }
        }
    }

    #[test]
    fn with_preemption_plans_are_legal_and_explain_what_waits(snapshot in any_crowd()) {
        let policy = Policy::default();
        let plan = cycle(&snapshot, &policy, NOW, Budget::UNLIMITED, Seed(0));
        prop_assert_eq!(check(&snapshot, &policy, NOW, &plan), Ok(()));
        let waiting: Vec<Shape> = after(&snapshot, &plan).shapes.into_iter().map(|view| view.shape).collect();
        let explained: Vec<Shape> = plan.reasons.iter().map(|reason| reason.shape.clone()).collect();
        prop_assert_eq!(waiting, explained);
        let mut memory = Memory::default();
        for _ in 0..2 {
            let again = cycle_with(&mut memory, &snapshot, &policy, NOW, Budget::UNLIMITED, Seed(0));
            prop_assert_eq!(&again, &plan);
        }
    }

    #[test]
    fn a_second_cycle_starts_nothing_more(snapshot in any_crowd()) {
        let (snapshot, policy) = plain(snapshot);
        let plan = cycle(&snapshot, &policy, NOW, Budget::UNLIMITED, Seed(0));
        let again = cycle(&after(&snapshot, &plan), &policy, NOW, Budget::UNLIMITED, Seed(0));
        prop_assert_eq!(again.placements, []);
    }

    #[test]
    fn where_one_move_lets_the_first_job_start_it_is_found(snapshot in any_crowd()) {
        let (snapshot, policy) = plain(snapshot);
        let without = cycle(&snapshot, &policy, NOW, unimproved(), Seed(0));
        let next = after(&snapshot, &without);
        let Some((shape, job, unit)) = first_waiting(&next) else { return Ok(()) };
        if one_move_helps(&snapshot, &next, &without, (shape, unit)) {
            let with = cycle(&snapshot, &policy, NOW, Budget::UNLIMITED, Seed(0));
            let first = job.waiting.first().expect("something of it waits");
            prop_assert!(started(&snapshot, &with).contains_key(&(job.id, first)), "job {} starts: {:?}", job.id, with);
        }
    }

    /// Of what an improvement started, nothing is where a job before it in line would fit.
    #[test]
    fn nobody_is_overtaken_by_an_improvement(snapshot in any_crowd()) {
        let (snapshot, policy) = plain(snapshot);
        let plan = cycle(&snapshot, &policy, NOW, Budget::UNLIMITED, Seed(0));
        let next = after(&snapshot, &plan);
        for improvement in &plan.improvements {
            let (own, job) = view_of(&snapshot, improvement.job);
            let line = |job: &JobView| (Reverse(job.priority), job.submitted_at, job.id);
            let last = improvement.tasks.last().expect("something starts");
            let here = |placement: &&huisuan_model::Placement| placement.job == job.id && placement.tasks.contains(last);
            let placement = plan.placements.iter().find(here).expect("it is placed");
            let centre = snapshot.centres.iter().position(|view| view.id == placement.centre).expect("a known centre");
            let unit = u64::from(own.gang.unwrap_or(1));
            let (cores, memory) = (placement.cores.0 * unit, own.memory.0 * unit);
            for view in &next.shapes {
                for before in view.jobs.iter().filter(|other| line(other) < line(job) && !other.waiting.is_empty()) {
                    let tasks = if view.shape.gang.is_some() { before.waiting.len() } else { 1 };
                    let full = before.parallel_max.is_some_and(|limit| before.active + tasks > u64::from(limit));
                    let would = fits(&next, centre, &view.shape, tasks, cores, memory);
                    prop_assert!(full || !would, "job {} takes what {} could", job.id, before.id);
                }
            }
        }
    }
}

/// How often anything of this is about something.
#[test]
fn the_random_crowds_are_improved_often_enough() {
    use proptest::{
        strategy::ValueTree,
        test_runner::{Config, RngSeed, TestRunner},
    };
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(1), ..Config::default() });
    let (mut improved, mut moved) = (0, 0);
    for _ in 0..200 {
        let snapshot = any_crowd().new_tree(&mut runner).expect("a crowd").current();
        let plan = cycle(&snapshot, &Policy::default(), NOW, Budget::UNLIMITED, Seed(0));
        improved += u32::from(!plan.improvements.is_empty());
        moved += u32::from(plan.improvements.iter().any(|one| one.moved.len() > 1));
    }
    assert!(improved >= 20 && moved >= 2, "{improved} of 200 improved, {moved} by several moves");
}

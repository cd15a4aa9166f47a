//! Whose turn it is: tenants and projects by their shares, jobs by urgency, size and age.

use std::sync::Arc;

use huisuan_model::{Class, JobId, Money, ProjectId, Shape, TenantId, TimeMs};
use proptest::prelude::*;

use crate::{
    Amounts, Budget, JobView, Order, Policy, ProjectView, RunningView, Seed, ShapeView, Snapshot, TenantView, cycle,
    testing::*,
};

const HOUR_MS: i64 = 3_600_000;

fn tenant(name: &str, weight: u32) -> TenantView {
    let id = TenantId::new(name).expect("a valid name");
    TenantView { weight, ..TenantView::new(id, Money(i64::MAX / 2)) }
}

/// The shape with another payer.
fn of(tenant: &str, project: &str, shape: Shape) -> Shape {
    let tenant = TenantId::new(tenant).expect("a valid name");
    Shape { tenant, project: ProjectId::new(project).expect("a valid name"), ..shape }
}

/// The snapshot with nothing running but `cores` cores of its first centre for a tenant's project.
fn running(snapshot: &mut Snapshot, tenant: &str, project: &str, cores: u64) {
    let shape = of(tenant, project, shape(1));
    let group = RunningView {
        tenant: shape.tenant,
        project: shape.project,
        each: Amounts { cores: huisuan_model::Millicores(1000), ..Amounts::default() },
        count: cores,
        ends_at: TimeMs(HOUR_MS),
        preemptible: None,
        stopping: false,
    };
    snapshot.centres[0].pools[0].holdings = Arc::new([group].into_iter().collect());
}

/// Who was given how many tasks, in the order of ids.
fn given(snapshot: &Snapshot, policy: &Policy) -> Vec<(JobId, u64)> {
    let mut given = std::collections::BTreeMap::new();
    for placement in plan_with(snapshot, policy, Budget::default()).placements {
        *given.entry(placement.job).or_default() += placement.tasks.len();
    }
    given.into_iter().collect()
}

fn check(snapshot: &Snapshot, expected: &[(u64, u64)]) {
    let expected: Vec<_> = expected.iter().map(|&(job, tasks)| (JobId(job), tasks)).collect();
    assert_eq!(given(snapshot, &Policy::default()), expected);
}

/// A network of 12 cores where two tenants wait with an array each.
fn two(weights: [u32; 2]) -> Snapshot {
    let jobs = vec![(of("lab", "p", shape(1)), vec![job(1, 100)]), (of("uni", "p", shape(1)), vec![job(2, 100)])];
    Snapshot {
        tenants: vec![tenant("lab", weights[0]), tenant("uni", weights[1])],
        ..network(vec![centre("a", 12)], jobs)
    }
}

#[test]
fn tenants_share_by_weight() {
    check(&two([1, 1]), &[(1, 6), (2, 6)]);
    check(&two([2, 1]), &[(1, 8), (2, 4)]);
    check(&two([1, 5]), &[(1, 2), (2, 10)]);
    check(&two([0, 1]), &[(1, 6), (2, 6)]);
}

#[test]
fn what_runs_counts() {
    let mut snapshot = two([1, 1]);
    snapshot.centres[0].pools[0].used.cores.0 = 4000;
    running(&mut snapshot, "lab", "p", 4);
    check(&snapshot, &[(1, 2), (2, 6)]);
    // Of a tenant that asks for nothing.
    running(&mut snapshot, "nobody", "p", 4);
    check(&snapshot, &[(1, 4), (2, 4)]);
}

#[test]
fn projects_share_what_their_tenant_has() {
    let jobs = vec![
        (of("lab", "p", shape(1)), vec![job(1, 100)]),
        (of("lab", "q", shape(1)), vec![job(2, 100)]),
        (of("uni", "p", shape(1)), vec![job(3, 100)]),
    ];
    let mut snapshot =
        Snapshot { tenants: vec![tenant("lab", 1), tenant("uni", 1)], ..network(vec![centre("a", 12)], jobs) };
    check(&snapshot, &[(1, 3), (2, 3), (3, 6)]);
    let id = ProjectId::new("q").expect("a valid name");
    snapshot.tenants[0].projects = vec![ProjectView { id, weight: 2 }];
    check(&snapshot, &[(1, 2), (2, 4), (3, 6)]);
    snapshot.centres[0].pools[0].used.cores.0 = 3000;
    running(&mut snapshot, "lab", "q", 3);
    check(&snapshot, &[(1, 2), (2, 1), (3, 6)]);
}

#[test]
fn the_dominant_class_decides() {
    // One holds half of the devices, the other half of the cores: they are due the same.
    let jobs = vec![
        (of("lab", "p", rate_shape(Class::Ai, 1000)), vec![job(1, 100)]),
        (of("uni", "p", rate_shape(Class::Hpc, 10)), vec![job(2, 100)]),
        (of("xue", "p", rate_shape(Class::Hpc, 10)), vec![job(3, 100)]),
    ];
    let tenants = vec![tenant("lab", 1), tenant("uni", 1), tenant("xue", 1)];
    let centres = vec![centre("a", 12), device_centre("b", 4)];
    check(&Snapshot { tenants, ..network(centres, jobs) }, &[(1, 4), (2, 6), (3, 6)]);
}

#[test]
fn without_fair_share_all_stand_in_one_queue() {
    let policy = Policy { order: Order { fair_share: false, ..Order::default() }, ..Policy::default() };
    assert_eq!(given(&two([1, 5]), &policy), [(JobId(1), 12)]);
}

#[test]
fn urgent_jobs_go_before_older_ones_of_their_priority() {
    let check = |deadline: i64, expected: &str| {
        let late = JobView { deadline_at: Some(TimeMs(deadline)), ..job(2, 1) };
        let jobs = vec![(shape(1), vec![job(1, 1)]), (shape(2), vec![late])];
        assert_eq!(places(&plan(&network(vec![centre("a", 9)], jobs)))[0], expected);
    };
    // Its walltime is an hour, the moment is 1 s, and urgent is what must start within a day.
    check(1_000 + HOUR_MS + 24 * HOUR_MS, "1:0@a");
    check(1_000 + HOUR_MS + 24 * HOUR_MS - 1, "2:0@a");
    check(1_000, "2:0@a");
    check(i64::MIN, "2:0@a");
    let late = JobView { deadline_at: Some(TimeMs(0)), ..job(2, 1) };
    let jobs = vec![(shape(1), vec![job(1, 1).priority(1)]), (shape(2), vec![late])];
    assert_eq!(places(&plan(&network(vec![centre("a", 9)], jobs)))[0], "1:0@a");
}

#[test]
fn small_jobs_go_first_until_a_large_one_has_waited_long_enough() {
    let check = |guard_ms, expected: &[&str]| {
        let order = Order { area_first: true, guard_ms, ..Order::default() };
        let jobs = vec![(shape(2), vec![job(1, 1)]), (shape(1), vec![job(5, 1)]), (gang(3, 1), vec![job(3, 3)])];
        let plan =
            plan_with(&network(vec![centre("a", 9)], jobs), &Policy { order, ..Policy::default() }, Budget::default());
        assert_eq!(places(&plan), expected);
    };
    check(1_000, &["5:0@a", "1:0@a", "3:0-2@a"]);
    // The moment is 1,000, job 1 came at 1, job 3 at 3.
    check(999, &["1:0@a", "5:0@a", "3:0-2@a"]);
    check(997, &["1:0@a", "3:0-2@a", "5:0@a"]);
}

/// The rule itself: every task on its own goes to the tenant and the project with the smallest share, compared by
/// cross-multiplication, and ends when nobody's next task fits.
fn one_by_one(cores: u64, arrays: &[(u64, u32)], weights: &[u32]) -> Vec<u64> {
    let mut given = vec![0u64; arrays.len()];
    let mut free = cores;
    loop {
        let waiting = (0..arrays.len()).filter(|&index| given[index] < u64::from(arrays[index].1));
        let fits = waiting.filter(|&index| arrays[index].0 <= free);
        let next = { fits }.min_by(|&a, &b| {
            let (a_share, b_share) =
                (given[a] * arrays[a].0 * u64::from(weights[b]), given[b] * arrays[b].0 * u64::from(weights[a]));
            a_share.cmp(&b_share).then(a.cmp(&b))
        });
        let Some(next) = next else { return given };
        given[next] += 1;
        free -= arrays[next].0;
    }
}

/// Shares have no memory: where one job fills the network, whoever has none running holds as little as the others.
#[test]
fn of_equal_shares_the_first_job_goes_first() {
    let of_age = |tenant: &str, id: u64, age_ms: i64| {
        let job = JobView { submitted_at: TimeMs(-age_ms), ..job(id, 1) };
        (of(tenant, "p", shape(4)), vec![job])
    };
    let mut snapshot =
        network(vec![centre("a", 4)], vec![of_age("anna", 1, 10), of_age("mia", 2, 30), of_age("zoe", 3, 20)]);
    snapshot.tenants = ["anna", "mia", "zoe"].map(|name| tenant(name, 1)).into();
    check(&snapshot, &[(2, 1)]);
}

proptest! {
    #[test]
    fn turns_are_as_if_task_by_task(
        cores in 1u64..200,
        arrays in prop::collection::vec((1u64..4, 1u32..80), 1..6),
        weights in prop::array::uniform5(1u32..6),
    ) {
        let name = |index: usize| format!("t{index}");
        let shapes = arrays.iter().enumerate().map(|(index, &(cores, tasks))| {
            (of(&name(index), "p", shape(cores)), vec![job(index as u64 + 1, tasks)])
        });
        let mut snapshot = network(vec![centre("a", cores)], shapes.collect());
        snapshot.centres[0].pools[0].pool.memory.0 *= 100;
        snapshot.tenants = (0..arrays.len()).map(|index| tenant(&name(index), weights[index])).collect();
        let mut placed = vec![0; arrays.len()];
        for (JobId(job), tasks) in given(&snapshot, &Policy::default()) {
            placed[usize::try_from(job).expect("a small number") - 1] = tasks;
        }
        prop_assert_eq!(placed, one_by_one(cores, &arrays, &weights));
    }

    /// Whatever tenants and projects are called, the same jobs start.
    #[test]
    fn names_decide_nothing(
        cores in 1u64..60,
        jobs in prop::collection::vec((0usize..4, 0usize..2, 1u64..30, 1u32..5, 0i64..4), 1..9),
        by in 1usize..4,
    ) {
        let named = |by: usize| {
            let shapes = jobs.iter().zip(1..).map(|(&(tenant, project, cores, tasks, age), id)| {
                let (tenant, project) = (format!("t{}", (tenant + by) % 4), format!("p{}", (project + by) % 2));
                let job = JobView { submitted_at: TimeMs(-age), ..job(id, tasks) };
                // No two shapes alike, so that none has to be joined with another.
                let shape = Shape { memory: huisuan_model::Bytes(id), ..shape(cores) };
                (of(&tenant, &project, shape), vec![job])
            });
            let mut snapshot = network(vec![centre("a", cores)], shapes.collect());
            snapshot.tenants = (0..4).map(|index| tenant(&format!("t{index}"), 1)).collect();
            given(&snapshot, &Policy::default())
        };
        prop_assert_eq!(named(0), named(by));
    }

    #[test]
    fn one_tenant_with_one_project_keeps_the_common_queue(
        shapes in prop::collection::vec((1u64..4, prop::collection::vec((1u32..9, -1i32..2), 1..4)), 1..5),
        cores in 1u64..40,
    ) {
        let mut id = 0;
        let mut views: Vec<ShapeView> = Vec::new();
        for (cores, jobs) in shapes {
            let shape = shape(cores);
            let mut jobs: Vec<JobView> = { jobs }.into_iter().map(|(tasks, priority)| {
                id += 1;
                job(id, tasks).priority(priority)
            }).collect();
            jobs.sort_by_key(|job| (std::cmp::Reverse(job.priority), job.id));
            if views.iter().all(|view| view.shape != shape) {
                views.push(ShapeView::new(shape, jobs));
            }
        }
        views.sort_by(|a, b| a.shape.cmp(&b.shape));
        let snapshot = Snapshot { shapes: views, ..network(vec![centre("a", cores), centre("b", cores)], vec![]) };
        let policy = |fair_share| Policy { order: Order { fair_share, ..Order::default() }, ..Policy::default() };
        let run = |policy| cycle(&snapshot, &policy, TimeMs(0), Budget::default(), Seed(0));
        prop_assert_eq!(run(policy(true)), run(policy(false)));
    }
}

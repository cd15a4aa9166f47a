//! Preemption: who may end whom, and that one round is enough.

use huisuan_model::{
    CentreId, JobId, MilliDevices, Millicores, Money, Plan, ProjectId, RangeSet, Shape, TenantId, TimeMs,
};
use proptest::prelude::*;

use crate::{
    Amounts, Budget, JobView, Policy, Preemptible, RunningView, Seed, ShapeView, Snapshot, TenantView, check, cycle,
    demand, testing::*,
};

const HOUR_MS: i64 = 3_600_000;
const TENANTS: [&str; 3] = ["lab", "uni", "xue"];

/// One group that runs: tenant, cores of a task, tasks, priority, hours since its start; a gang where the last is set.
type Group = (usize, u64, u32, i32, i64, bool);

fn of(tenant: usize, shape: Shape) -> Shape {
    Shape { tenant: TenantId::new(TENANTS[tenant]).expect("a valid name"), ..shape }
}

/// Adds groups that may be preempted to a centre while they fit; their jobs are numbered from 101.
fn load(snapshot: &mut Snapshot, centre: usize, groups: &[Group]) {
    for &(tenant, cores, tasks, priority, hours, gang) in groups {
        let number = marked(snapshot).len() as u64;
        let view = &mut snapshot.centres[centre].pools[0];
        let each =
            Amounts { cores: Millicores(cores * 1000), memory: huisuan_model::Bytes(GIB), devices: MilliDevices(0) };
        let used = view.used.plus(each, u64::from(tasks));
        if used.cores > view.pool.cores || used.memory > view.pool.memory {
            continue;
        }
        view.used = used;
        view.long = used;
        let preemptible = Preemptible {
            job: JobId(101 + number),
            tasks: RangeSet::from_range(0, tasks - 1),
            started_at: TimeMs(NOW.0 - hours * HOUR_MS),
            priority,
            gang,
        };
        let group = RunningView {
            tenant: TenantId::new(TENANTS[tenant]).expect("a valid name"),
            project: ProjectId::new("p").expect("a valid name"),
            each,
            count: u64::from(tasks),
            ends_at: TimeMs(NOW.0 + HOUR_MS * 24),
            preemptible: Some(preemptible),
            stopping: false,
        };
        hold(snapshot, centre, &group);
    }
}

/// Changes every group that may be preempted.
fn change_all(snapshot: &mut Snapshot, change: impl Fn(&mut RunningView)) {
    for (centre, mut group) in marked(snapshot) {
        let_go(snapshot, centre, &group);
        change(&mut group);
        hold(snapshot, centre, &group);
    }
}

/// Ends tasks of a job that may be preempted; gives the group that they were of, as it is without them.
fn end(snapshot: &mut Snapshot, job: JobId, tasks: &RangeSet) -> (usize, RunningView) {
    let of_job = |(_, group): &(usize, RunningView)| group.preemptible.as_ref().is_some_and(|one| one.job == job);
    let (centre, mut group) = marked(snapshot).into_iter().find(of_job).expect("what ends runs");
    let_go(snapshot, centre, &group);
    group.count -= tasks.len();
    let preemptible = group.preemptible.as_mut().expect("it may be preempted");
    tasks.iter().for_each(|task| assert!(preemptible.tasks.remove(task)));
    hold(snapshot, centre, &group);
    (centre, group)
}

fn three(weights: [u32; 3], cores: &[u64], jobs: Vec<(Shape, Vec<JobView>)>) -> Snapshot {
    let names = ["a", "b", "c"];
    let centres = cores.iter().zip(names).map(|(&cores, name)| centre(name, cores)).collect();
    let tenants = TENANTS.iter().zip(weights).map(|(name, weight)| {
        let id = TenantId::new(name).expect("a valid name");
        TenantView { weight, ..TenantView::new(id, Money(i64::MAX / 2)) }
    });
    Snapshot { tenants: tenants.collect(), ..network(centres, jobs) }
}

fn ends(plan: &Plan) -> Vec<String> {
    plan.preemptions.iter().map(|one| format!("{}:{}@{} for {}", one.job, one.tasks, one.centre, one.by)).collect()
}

fn check_round(snapshot: &Snapshot, expected: &[&str]) {
    assert_eq!(ends(&plan(snapshot)), expected);
}

/// `lab` fills a centre of 12 cores, and `uni` waits with an array of tasks of one core.
fn filled(groups: &[Group]) -> Snapshot {
    let mut snapshot = three([1, 1, 1], &[12], vec![(of(1, shape(1)), vec![job(1, 100)])]);
    load(&mut snapshot, 0, groups);
    snapshot
}

#[test]
fn a_tenant_gets_what_it_is_due_and_no_more() {
    check_round(&filled(&[(0, 1, 12, 0, 1, false)]), &["101:6-11@a for 1"]);
    // A third one has a part too, and does not lose what it is due.
    check_round(&filled(&[(0, 1, 9, 0, 1, false), (2, 1, 3, 0, 1, false)]), &["101:5-8@a for 1"]);
    let mut heavy = filled(&[(0, 1, 12, 0, 1, false)]);
    heavy.tenants[1].weight = 3;
    check_round(&heavy, &["101:3-11@a for 1"]);
}

#[test]
fn who_holds_what_it_is_due_preempts_nobody() {
    let mut snapshot = filled(&[(0, 1, 6, 0, 1, false), (1, 1, 6, 0, 1, false)]);
    check_round(&snapshot, &[]);
    change_all(&mut snapshot, |group| group.preemptible = None);
    check_round(&snapshot, &[]);
    let mut fixed = filled(&[(0, 1, 12, 0, 1, false)]);
    change_all(&mut fixed, |group| group.preemptible = None);
    check_round(&fixed, &[]);
    let policy = Policy { preemptions_max: 2, ..Policy::default() };
    assert_eq!(
        ends(&plan_with(&filled(&[(0, 1, 12, 0, 1, false)]), &policy, Budget::default())),
        ["101:10-11@a for 1"]
    );
}

#[test]
fn the_lowest_priority_and_the_least_lost_work_end_first() {
    let policy = Policy { preemptions_max: 1, ..Policy::default() };
    let check = |groups: &[Group], expected: &str| {
        assert_eq!(ends(&plan_with(&filled(groups), &policy, Budget::default())), [expected]);
    };
    check(&[(0, 1, 6, 0, 2, false), (0, 1, 6, 0, 1, false)], "102:5@a for 1");
    check(&[(0, 1, 6, -1, 2, false), (0, 1, 6, 0, 1, false)], "101:5@a for 1");
    check(&[(0, 1, 6, 0, 1, false), (0, 1, 6, 0, 1, false)], "101:5@a for 1");
    check(&[(0, 4, 3, 0, 1, false)], "101:2@a for 1");
}

#[test]
fn the_fewest_end() {
    let mut snapshot = three([1, 1, 1], &[12], vec![(of(1, shape(4)), vec![job(1, 1)])]);
    load(&mut snapshot, 0, &[(0, 1, 8, 0, 0, false), (0, 4, 1, 0, 20, false)]);
    check_round(&snapshot, &["102:0@a for 1"]);
}

#[test]
fn a_gang_ends_as_a_whole_and_starts_as_a_whole() {
    let groups = [(0, 1, 4, 0, 1, true), (0, 1, 4, 0, 9, true), (0, 1, 4, 0, 9, false)];
    let mut snapshot = three([1, 1, 1], &[12], vec![(of(1, gang(3, 1)), vec![job(1, 3)])]);
    load(&mut snapshot, 0, &groups);
    // One gang is as few as possible in parts but not in tasks; three single tasks are fewer than four.
    let plan = plan(&snapshot);
    assert_eq!(plan.preemptions.iter().map(|one| one.tasks.len()).sum::<u64>(), 4);
    assert_eq!(ends(&plan), ["101:0-3@a for 1"]);
    assert_eq!(plan.reservations.last().map(|one| (one.job, one.start_at)), Some((JobId(1), NOW)));
}

#[test]
fn what_a_gang_leaves_free_is_used() {
    // The gang of four makes room for one task of three cores; the core that is left is for the next one.
    let jobs = vec![(of(1, shape(3)), vec![job(1, 1)]), (of(2, shape(1)), vec![job(2, 1)])];
    let mut snapshot = three([1, 1, 1], &[12], jobs);
    load(&mut snapshot, 0, &[(0, 1, 4, 0, 1, true), (0, 1, 4, 0, 9, true), (0, 1, 4, 1, 9, true)]);
    let plan = plan(&snapshot);
    assert_eq!(ends(&plan), ["101:0-3@a for 1"]);
    let starts: Vec<u64> = plan.reservations.iter().filter(|one| one.start_at == NOW).map(|one| one.job.0).collect();
    assert_eq!(starts, [1, 2]);
}

#[test]
fn preemptions_are_judged() {
    let snapshot = filled(&[(0, 1, 12, 0, 1, false)]);
    let check_spoilt = |expected: &str, spoil: &dyn Fn(&mut Snapshot, &mut Plan)| {
        let (mut snapshot, mut plan) = (snapshot.clone(), plan(&snapshot));
        spoil(&mut snapshot, &mut plan);
        let found = check(&snapshot, &Policy::default(), NOW, &plan).expect_err("a spoilt plan is illegal");
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(texts.iter().any(|text| text.contains(expected)), "{texts:?}");
    };
    check_spoilt("may not be preempted", &|snapshot, _| change_all(snapshot, |group| group.preemptible = None));
    check_spoilt("ended twice", &|_, plan| plan.preemptions.push(plan.preemptions[0].clone()));
    check_spoilt("nothing starts", &|_, plan| plan.reservations.clear());
    check_spoilt("no room", &|_, plan| plan.preemptions[0].tasks = RangeSet::from_range(7, 11));
    check_spoilt("less than it is due", &|snapshot, _| snapshot.tenants[0].weight = 9);
    check_spoilt("more than it is due", &|snapshot, _| snapshot.tenants[0].weight = 9);
    check_spoilt("a gang ends", &|snapshot, _| {
        change_all(snapshot, |group| group.preemptible.as_mut().expect("it may be preempted").gang = true);
    });
}

/// The snapshot of the moment after preemptions were ordered, and nothing has ended yet.
fn ordered(snapshot: &Snapshot, plan: &Plan) -> Snapshot {
    let mut next = snapshot.clone();
    for ended in &plan.preemptions {
        let (centre, group) = end(&mut next, ended.job, &ended.tasks);
        hold(&mut next, centre, &RunningView { count: ended.tasks.len(), preemptible: None, stopping: true, ..group });
    }
    plan.placements.iter().for_each(|one| start(&mut next, one.job, &one.tasks, &one.centre));
    next
}

#[test]
fn while_something_ends_for_a_job_nothing_else_does() {
    for groups in [vec![(0, 1, 12, 0, 1, false)], vec![(0, 1, 9, 0, 1, false), (2, 1, 3, 0, 1, false)]] {
        let snapshot = filled(&groups);
        let next = ordered(&snapshot, &plan(&snapshot));
        check_round(&next, &[]);
        assert!(plan(&next).placements.is_empty(), "what ends still takes its room");
    }
}

/// The snapshot of the moment after a plan and its preemptions were carried out; what was ended has gone.
fn carried_out(snapshot: &Snapshot, plan: &Plan) -> Snapshot {
    let mut next = snapshot.clone();
    for ended in &plan.preemptions {
        let (_, group) = end(&mut next, ended.job, &ended.tasks);
        let given = Amounts::default().plus(group.each, ended.tasks.len());
        let centre = next.centres.iter_mut().find(|centre| centre.id == ended.centre).expect("a known centre");
        centre.pools[0].used = centre.pools[0].used.minus(given);
        centre.pools[0].long = centre.pools[0].used;
    }
    let placed = plan.placements.iter().map(|one| (one.job, &one.tasks, &one.centre));
    let starts = plan.reservations.iter().filter(|one| one.start_at == NOW);
    for (job, tasks, centre) in placed.chain(starts.map(|one| (one.job, &one.tasks, &one.centre))) {
        start(&mut next, job, tasks, centre);
    }
    next
}

fn start(next: &mut Snapshot, id: JobId, tasks: &RangeSet, centre: &CentreId) {
    let view = next.shapes.iter_mut().find(|view| view.jobs.iter().any(|job| job.id == id)).expect("a known job");
    let job = view.jobs.iter_mut().find(|job| job.id == id).expect("a known job");
    tasks.iter().for_each(|task| assert!(job.waiting.remove(task)));
    job.active += tasks.len();
    let shape = view.shape.clone();
    let at = next.centres.iter().position(|view| view.id == *centre).expect("a known centre");
    let pool = &mut next.centres[at].pools[0];
    let need = demand(&pool.pool, &shape).expect("a pool that fits");
    let each = Amounts { cores: need.cores, memory: need.memory, devices: need.devices };
    pool.used = pool.used.plus(each, tasks.len());
    pool.long = pool.used;
    let jobs = marked(next).into_iter().filter_map(|(_, group)| group.preemptible.map(|known| known.job.0));
    let last = jobs.max().unwrap_or(0).max(1_000);
    let group = RunningView {
        tenant: shape.tenant,
        project: shape.project,
        each,
        count: tasks.len(),
        ends_at: NOW.after(shape.walltime),
        preemptible: Some(Preemptible {
            job: JobId(last + 1),
            tasks: RangeSet::from_range(0, tasks.len() as u32 - 1),
            started_at: NOW,
            priority: 0,
            gang: shape.gang.is_some(),
        }),
        stopping: false,
    };
    hold(next, at, &group);
}

/// Cores of a tenant times 1,000; with pools of one class and one rate these are the shares.
fn held(snapshot: &Snapshot, tenant: &TenantId) -> u64 {
    let groups = marked(snapshot).into_iter().filter(|(_, group)| group.tenant == *tenant);
    groups.map(|(_, group)| group.each.cores.0 * group.count).sum()
}

/// Whether some set of tasks could be ended by the rule so that a waiting job starts: every set is tried.
fn allowed_preemption(snapshot: &Snapshot) -> Option<String> {
    let network: u64 = snapshot.centres.iter().map(|centre| centre.pools[0].pool.cores.0).sum();
    let running = marked(snapshot);
    let active = |tenant: &&TenantView| {
        running.iter().any(|(_, group)| group.tenant == tenant.id)
            || snapshot.shapes.iter().any(|view| view.shape.tenant == tenant.id)
    };
    let weights: u64 = snapshot.tenants.iter().filter(active).map(|tenant| u64::from(tenant.weight)).sum();
    let due = |id: &TenantId| {
        let weight = snapshot.tenants.iter().find(|tenant| tenant.id == *id).map_or(1, |tenant| tenant.weight);
        network * u64::from(weight)
    };
    for view in &snapshot.shapes {
        let Some(job) = view.jobs.iter().find(|job| !job.waiting.is_empty()) else { continue };
        let unit = u64::from(view.shape.gang.unwrap_or(1));
        for (number, centre) in snapshot.centres.iter().enumerate() {
            let pool = &centre.pools[0];
            let Some(need) = demand(&pool.pool, &view.shape) else { continue };
            let cores = need.cores.0 * unit;
            if (held(snapshot, &view.shape.tenant) + cores) * weights > due(&view.shape.tenant) {
                continue;
            }
            let free = pool.pool.cores.0 - pool.used.cores.0;
            let pieces: Vec<(&TenantId, u64)> = running
                .iter()
                .filter(|(at, _)| *at == number)
                .flat_map(|(_, group)| {
                    let gang = group.preemptible.as_ref().is_some_and(|preemptible| preemptible.gang);
                    let (parts, tasks) = if gang { (1, group.count) } else { (group.count, 1) };
                    std::iter::repeat_n((&group.tenant, group.each.cores.0 * tasks), parts as usize)
                })
                .collect();
            for set in 1u32..1 << pieces.len() {
                let ended: Vec<_> =
                    pieces.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1).map(|(_, one)| *one).collect();
                let given: u64 = ended.iter().map(|one| one.1).sum();
                let spared = ended.iter().all(|(tenant, _)| {
                    let lost: u64 = ended.iter().filter(|one| one.0 == *tenant).map(|one| one.1).sum();
                    (held(snapshot, tenant) - lost) * weights >= due(tenant)
                });
                if spared && free < cores && free + given >= cores {
                    return Some(format!("job {} at {} instead of {ended:?}", job.id, centre.id));
                }
            }
        }
    }
    None
}

fn any_round() -> impl Strategy<Value = Snapshot> {
    let group = (0usize..3, 1u64..4, 1u32..4, -1i32..2, 0i64..9, prop::bool::weighted(0.3));
    let waiting = (0usize..3, 1u64..5, 1u32..4, any::<bool>());
    (
        prop::array::uniform3(1u32..4),
        prop::collection::vec(4u64..10, 1..3),
        prop::collection::vec((0usize..2, group), 0..9),
        prop::collection::vec(waiting, 1..4),
    )
        .prop_map(|(weights, cores, groups, waiting)| {
            let mut jobs: Vec<(Shape, Vec<JobView>)> = Vec::new();
            for (number, (tenant, cores, tasks, together)) in waiting.into_iter().enumerate() {
                let shape = of(tenant, if together { gang(tasks, cores) } else { shape(cores) });
                if jobs.iter().all(|(known, _)| *known != shape) {
                    jobs.push((shape, vec![JobView { preemptible: true, ..job(number as u64 + 1, tasks) }]));
                }
            }
            let count = cores.len();
            let mut snapshot = three(weights, &cores, jobs);
            groups.iter().for_each(|(centre, group)| load(&mut snapshot, centre % count, &[*group]));
            snapshot
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn one_round_leaves_no_allowed_preemption(snapshot in any_round()) {
        let policy = Policy { reservations_max: 0, ..Policy::default() };
        let plan = plan_with(&snapshot, &policy, Budget::default());
        let next = carried_out(&snapshot, &plan);
        prop_assert_eq!(allowed_preemption(&next), None, "after {:?} and {:?}", places(&plan), ends(&plan));
        let again = cycle(&next, &policy, NOW, Budget::default(), Seed(0));
        prop_assert_eq!(ends(&again), Vec::<String>::new());
        // What a round took back may find another place in the next; after that nothing moves.
        let last = carried_out(&next, &again);
        let third = cycle(&last, &policy, NOW, Budget::default(), Seed(0));
        prop_assert_eq!((places(&third), ends(&third)), (vec![], vec![]));
    }

    #[test]
    fn a_round_with_promises_is_legal(snapshot in any_round(), reservations_max in 1u64..4) {
        let policy = Policy { reservations_max, ..Policy::default() };
        let plan = plan_with(&snapshot, &policy, Budget::default());
        let starts = plan.reservations.iter().filter(|one| one.start_at == NOW).count();
        prop_assert!(plan.preemptions.is_empty() || starts > 0);
        // Rounds while nothing that was told to end has ended are legal too, and come to rest: the room may go to
        // another one with the same right to it, but everybody moves towards what is due.
        let (mut next, mut plan, mut rounds) = (snapshot, plan, 0);
        while !plan.preemptions.is_empty() {
            next = ordered(&next, &plan);
            plan = plan_with(&next, &policy, Budget::default());
            rounds += 1;
            prop_assert!(rounds < 8, "still ending {:?}", ends(&plan));
        }
    }
}

#[test]
fn a_view_without_tasks_is_no_group() {
    let mut snapshot = filled(&[(0, 1, 12, 0, 1, false)]);
    snapshot.shapes.push(ShapeView::new(of(2, shape(1)), Vec::new()));
    // Who waits for nothing is due something all the same while its queue exists.
    check_round(&snapshot, &["101:8-11@a for 1"]);
}

//! Counterfactuals: each does what it says.

use huisuan_model::{Class, DurationMs, JobId, MilliDevices, Millicores, PoolId, Shape, TimeMs};
use proptest::prelude::*;

use crate::{
    Amounts, Budget, Change, Help, JobView, Policy, RunningView, Seed, Snapshot, Window, cycle, helps, helps_of,
    testing::*,
};

const HOUR_MS: u64 = 3_600_000;

fn texts(snapshot: &Snapshot, shape: &Shape) -> Vec<String> {
    let found = helps(snapshot, &Policy::default(), NOW, shape);
    found.iter().map(|help| format!("{}: {}", help.change, help.starts)).collect()
}

fn check(snapshot: &Snapshot, shape: &Shape, expected: &[&str]) {
    assert_eq!(texts(snapshot, shape), expected);
}

#[test]
fn smaller_requests_would_start() {
    let snapshot = network(vec![centre("a", 4).used(1)], vec![(shape(4), vec![job(1, 1)])]);
    check(&snapshot, &shape(4), &["3.000 cores a task: 1"]);
    let wide = gang(8, 1);
    let snapshot = network(vec![centre("a", 8).used(3)], vec![(wide.clone(), vec![job(1, 8)])]);
    check(&snapshot, &wide, &["4 tasks in the gang: 4"]);
    let large = Shape { memory: huisuan_model::Bytes(9 * GIB), ..shape(1) };
    let mut snapshot = network(vec![centre("a", 4)], vec![(large.clone(), vec![job(1, 1)])]);
    snapshot.centres[0].pools[0].used.memory.0 = 10 * GIB;
    check(&snapshot, &large, &["6144 MiB of memory a task: 1"]);
    let mut snapshot = network(vec![device_centre("a", 4)], vec![(device_shape(4), vec![job(1, 1)])]);
    snapshot.centres[0].pools[0].used.devices = MilliDevices(2000);
    check(&snapshot, &device_shape(4), &["2.000 devices a task: 1"]);
}

#[test]
fn going_first_would_start() {
    let jobs = vec![(shape(4), vec![job(1, 1).priority(3)]), (shape(3), vec![job(2, 1)])];
    check(&network(vec![centre("a", 4)], jobs), &shape(3), &["priority 4: 1"]);
}

#[test]
fn a_job_behind_another_of_its_shape_has_helps_of_its_own() {
    let jobs = vec![(shape(4), vec![job(1, 1), job(2, 1)])];
    let snapshot = network(vec![centre("a", 6)], jobs);
    let found = |id: u64| helps_of(&snapshot, &Policy::default(), NOW, &shape(4), JobId(id));
    assert_eq!((found(1), found(3)), (vec![], vec![]), "one starts now, the other is not known");
    let texts: Vec<String> = found(2).iter().map(|help| format!("{}: {}", help.change, help.starts)).collect();
    assert!(texts.contains(&"priority 1: 1".to_owned()), "{texts:?}");
}

#[test]
fn being_less_choosy_would_start() {
    let two = || vec![centre("a", 4).used(4), centre("b", 4)];
    let tied = at(&["a"], shape(1));
    check(&network(two(), vec![(tied.clone(), vec![job(1, 2)])]), &tied, &["any centre: 2"]);
    let ai = Shape { class: Some(Class::Ai), ..shape(1) };
    check(&network(two(), vec![(ai.clone(), vec![job(1, 2)])]), &ai, &["any class of centre: 2"]);
    let mut other = device_shape(1);
    if let huisuan_model::spec::Need::Hardware { devices: Some(devices), .. } = &mut other.need {
        devices.any_of = vec![PoolId::new("H100").expect("a valid name")];
    }
    let snapshot = network(vec![device_centre("a", 4)], vec![(other.clone(), vec![job(1, 1)])]);
    check(&snapshot, &other, &["devices A100 accepted: 1"]);
    let limited = job(1, 5).parallel(2, 2);
    let snapshot = network(vec![centre("a", 4)], vec![(shape(1), vec![limited])]);
    check(&snapshot, &shape(1), &["no limit of parallel tasks: 4"]);
}

#[test]
fn ending_before_maintenance_would_start() {
    let mut snapshot = network(vec![centre("a", 4)], vec![(shape(1), vec![job(1, 1)])]);
    let from = TimeMs(NOW.0 + 1_800_000);
    snapshot.centres[0].closed = vec![Window { from, until: TimeMs(i64::MAX), pool: None }];
    check(&snapshot, &shape(1), &["walltime of 1800 s: 1"]);
}

/// What is used of a centre is so many tasks of one core that end in so many hours.
fn runs_until(snapshot: &mut Snapshot, centre: usize, count: u64, hours: i64) {
    let Shape { tenant, project, .. } = shape(1);
    let each = Amounts { cores: Millicores(1000), ..Amounts::default() };
    let ends_at = TimeMs(NOW.0 + hours * HOUR_MS as i64);
    let group = RunningView { tenant, project, each, count, ends_at, preemptible: None, stopping: false };
    hold(snapshot, centre, &group);
}

#[test]
fn a_sooner_start_is_told_where_none_starts_now() {
    let jobs = vec![(shape(4), vec![job(1, 1).priority(3)]), (shape(3), vec![job(2, 1)])];
    let mut snapshot = network(vec![centre("a", 4).used(4)], jobs);
    runs_until(&mut snapshot, 0, 4, 2);
    let found = helps(&snapshot, &Policy::default(), NOW, &shape(3));
    let start_at = Some(TimeMs(NOW.0 + 2 * HOUR_MS as i64));
    assert_eq!(found, [Help { change: Change::Priority(4), starts: 0, start_at, racks: None }]);
    assert_eq!(helps(&snapshot, &Policy::default(), NOW, &shape(4)), [], "it is the next anyway");
}

#[test]
fn what_starts_or_does_not_wait_needs_no_help() {
    let snapshot = network(vec![centre("a", 4)], vec![(shape(1), vec![job(1, 1)])]);
    check(&snapshot, &shape(1), &[]);
    check(&snapshot, &shape(2), &[]);
    check(&network(vec![], vec![(shape(1), vec![job(1, 1)])]), &shape(1), &[]);
}

fn any_state() -> impl Strategy<Value = Snapshot> {
    let centres = (prop::array::uniform2((1u64..10, 0u64..10)), (1u64..5, 0u64..5), prop::option::of(0u64..4));
    let waiting = (0usize..4, 1u64..6, 1u32..6, -1i32..3, 1u64..5, any::<bool>(), any::<bool>());
    (centres, prop::collection::vec(waiting, 1..6)).prop_map(|((plain, (devices, busy), window), waiting)| {
        let [a, b] = plain;
        let mut third = device_centre("c", devices);
        third.pools[0].used.devices = MilliDevices(busy.min(devices) * 1000);
        let mut centres = vec![centre("a", a.0).used(a.1.min(a.0)), centre("b", b.0).used(b.1.min(b.0)), third];
        if let Some(hours) = window {
            let from = TimeMs(NOW.0 + (hours * HOUR_MS) as i64);
            centres[0].closed = vec![Window { from, until: TimeMs(from.0 + 99), pool: None }];
        }
        let mut jobs: Vec<(Shape, Vec<JobView>)> = Vec::new();
        for (number, (kind, size, tasks, priority, hours, tied, limited)) in waiting.into_iter().enumerate() {
            let mut asked = match kind {
                0 => shape(size),
                1 => gang(tasks, size),
                2 => device_shape(size),
                _ => Shape { class: Some(Class::Hpc), memory: huisuan_model::Bytes(size * 4 * GIB), ..shape(1) },
            };
            asked.walltime = DurationMs(hours * HOUR_MS);
            let asked = if tied { at(&["b"], asked) } else { asked };
            let one = job(number as u64 + 1, tasks).priority(priority);
            let one = if limited && kind != 1 { one.parallel(1, 1) } else { one };
            match jobs.iter_mut().find(|(known, _)| *known == asked) {
                Some((_, known)) => known.push(one),
                None => jobs.push((asked, vec![one])),
            }
        }
        for (_, jobs) in &mut jobs {
            jobs.sort_by_key(|job| (std::cmp::Reverse(job.priority), job.id));
        }
        let used = [a.1.min(a.0), b.1.min(b.0)];
        let mut snapshot = network(centres, jobs);
        for (at, count) in used.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            runs_until(&mut snapshot, at, count, at as i64 + 1 + busy as i64);
        }
        snapshot
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_help_does_what_it_says(snapshot in any_state()) {
        let policy = Policy::default();
        let started = |snapshot: &Snapshot, job| {
            let plan = cycle(snapshot, &policy, NOW, Budget::default(), Seed(0));
            let own = plan.placements.iter().filter(|placement| placement.job == job);
            own.map(|placement| placement.tasks.len()).sum::<u64>()
        };
        let promised = |snapshot: &Snapshot, job| {
            let plan = cycle(snapshot, &policy, NOW, Budget::default(), Seed(0));
            plan.reservations.iter().filter(|promise| promise.job == job).map(|promise| promise.start_at).min()
        };
        for view in &snapshot.shapes {
            let job = view.jobs[0].id;
            for help in helps(&snapshot, &policy, NOW, &view.shape) {
                prop_assert_eq!(started(&snapshot, job), 0);
                let changed = help.change.apply(&snapshot, &view.shape).expect("a change of a waiting job");
                prop_assert_eq!(help.starts > 0, help.start_at.is_none());
                prop_assert_eq!(started(&changed, job), help.starts, "{}", help.change);
                if let Some(start_at) = help.start_at {
                    prop_assert_eq!(promised(&changed, job), Some(start_at), "{}", help.change);
                    prop_assert!(promised(&snapshot, job).is_none_or(|before| start_at < before), "{}", help.change);
                }
            }
        }
    }
}

#[test]
fn a_change_that_is_none_changes_nothing() {
    let snapshot = network(vec![centre("a", 4)], vec![(shape(1), vec![job(1, 1)])]);
    assert_eq!(Change::Priority(0).apply(&snapshot, &shape(1)), None);
    assert_eq!(Change::Cores(Millicores(500)).apply(&snapshot, &shape(2)), None);
    assert!(Change::Cores(Millicores(500)).apply(&snapshot, &shape(1)).is_some());
}

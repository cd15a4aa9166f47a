//! Gangs and racks: where the tasks of one lie, why it waits, what is refused.

use huisuan_model::{DurationMs, Level, MilliDevices, Plan, ProjectId, Reason, Shape, TenantId, TimeMs, Topology};
use proptest::prelude::*;

use crate::{
    Amounts, CentreView, Change, Policy, RunningView, Snapshot, check, helps, never_fits,
    pack::{Fleet, Room, Slot},
    testing::*,
};

/// A centre of nodes with 4 devices each, two to a rack and two racks to a pod; the first devices of each are taken.
fn racks(id: &str, taken: &[u16]) -> CentreView {
    racks_of(id, taken, Topology { nodes: taken.len() as u32, rack_nodes: 2, pod_racks: Some(2) })
}

fn racks_of(id: &str, taken: &[u16], topology: Topology) -> CentreView {
    let mut view = device_centre(id, taken.len() as u64 * 4);
    let pool = &mut view.pools[0];
    let mut fleet = Fleet::new(std::iter::repeat_n(Room::empty(32_000, 64 << 10, 0, 4), taken.len()));
    for (node, &count) in taken.iter().enumerate() {
        fleet.take(&Slot { node: node as u32, cores_milli: 0, memory_mib: 0, mask: (1 << count) - 1, each: 1000 });
        pool.used.devices.0 += u64::from(count) * 1000;
    }
    pool.long = pool.used;
    (pool.nodes, pool.pool.topology) = (Some(fleet), Some(topology));
    view
}

/// What is taken of each node comes free at these moments after now, in minutes.
fn until(mut view: CentreView, taken: &[u16], minutes: &[i64]) -> CentreView {
    let pool = &mut view.pools[0];
    let mut holdings = crate::Holdings::default();
    for (&count, &minutes) in taken.iter().zip(minutes) {
        let end = TimeMs(NOW.0 + minutes * 60_000);
        pool.node_ends.push(if count > 0 { end } else { TimeMs(0) });
        holdings.add(&RunningView {
            tenant: TenantId::new("lab").expect("a valid name"),
            project: ProjectId::new("p").expect("a valid name"),
            each: Amounts { devices: MilliDevices(1_000), ..Amounts::default() },
            count: u64::from(count),
            ends_at: end,
            preemptible: None,
            stopping: false,
        });
    }
    pool.holdings = std::sync::Arc::new(holdings);
    view
}

/// A gang of tasks with so many devices each.
fn gang_of(tasks: u32, devices: u64, topology: Option<Level>) -> Shape {
    Shape { gang: Some(tasks), topology, ..device_shape(devices) }
}

fn nodes(plan: &Plan) -> Vec<u32> {
    plan.placements.iter().flat_map(|placement| &placement.nodes).map(|share| share.node).collect()
}

fn check_nodes(taken: &[u16], shape: Shape, expected: &[u32]) {
    let tasks = shape.gang.expect("a gang");
    let plan = plan(&network(vec![racks("a", taken)], vec![(shape, vec![job(1, tasks)])]));
    assert_eq!(nodes(&plan), expected, "{:?}", plan.reasons);
}

#[test]
fn a_gang_lies_in_the_fullest_domain_that_takes_it() {
    // One rack has room for two, one for three, one for four.
    check_nodes(&[0, 0, 0, 1, 4, 2, 2, 2], gang_of(2, 2, None), &[6, 7]);
    check_nodes(&[0, 0, 0, 1, 4, 2, 2, 2], gang_of(3, 2, None), &[3, 2, 2]);
    check_nodes(&[0, 0, 0, 1, 4, 2, 2, 2], gang_of(4, 2, None), &[0, 0, 1, 1]);
    // No rack takes five: the pod does, in two racks; eight need both pods.
    check_nodes(&[0, 0, 0, 1, 4, 2, 2, 2], gang_of(5, 2, None), &[0, 0, 1, 1, 3]);
    check_nodes(&[0, 0, 0, 1, 4, 2, 2, 2], gang_of(8, 2, None), &[0, 0, 1, 1, 3, 2, 2, 5]);
    // Of the racks of a span the last is the fullest that takes the rest.
    check_nodes(&[0, 0, 0, 0, 4, 2, 4, 4], gang_of(9, 2, None), &[0, 0, 1, 1, 2, 2, 3, 3, 5]);
}

#[test]
fn what_is_required_is_kept_to() {
    check_nodes(&[0, 0, 0, 1, 4, 2, 2, 2], gang_of(4, 2, Some(Level::Rack)), &[0, 0, 1, 1]);
    check_nodes(&[0, 0, 0, 1, 4, 2, 2, 2], gang_of(5, 2, Some(Level::Pod)), &[0, 0, 1, 1, 3]);
    check_nodes(&[0, 1, 0, 1, 4, 2, 2, 2], gang_of(4, 2, Some(Level::Rack)), &[]);
    check_nodes(&[0, 0, 0, 1, 4, 2, 2, 2], gang_of(8, 2, Some(Level::Pod)), &[]);
}

#[test]
fn the_reason_has_the_numbers_and_what_helps_does() {
    let shape = gang_of(4, 2, Some(Level::Rack));
    let snapshot = network(vec![racks("a", &[0, 1, 0, 1, 0, 4, 4, 4])], vec![(shape.clone(), vec![job(1, 4)])]);
    let plan = plan(&snapshot);
    let found = reason(&plan);
    assert!(
        matches!(found, Reason::TopologyCapacity { level: Level::Rack, needed: 4, fits: 3, free: 9, .. }),
        "{found:?}"
    );
    assert_eq!(plan.reservations, [], "no start is promised in the pool at large");
    let found = helps(&snapshot, &Policy::default(), NOW, &shape);
    let within = found.iter().find(|help| matches!(help.change, Change::Within(_))).expect("spreading it helps");
    assert_eq!((within.starts, within.racks, &within.change), (4, Some(2), &Change::Within(Some(Level::Pod))));
    // Where even a pod is too full, it starts only when spread.
    let snapshot = network(vec![racks("a", &[2, 2, 4, 2, 2, 2, 2, 4])], vec![(shape.clone(), vec![job(1, 4)])]);
    let found = helps(&snapshot, &Policy::default(), NOW, &shape);
    assert!(found.iter().any(|help| help.change == Change::Within(None) && help.starts == 4), "{found:?}");
}

#[test]
fn a_rack_is_kept_for_the_gang_that_waits_for_one() {
    let (taken, minutes) = ([2, 0, 4, 4], [10, 0, 300, 300]);
    let waits = gang_of(4, 2, Some(Level::Rack));
    let single = |minutes: u64| Shape { walltime: DurationMs(minutes * 60_000), ..device_shape(1) };
    let centres = || vec![until(racks("a", &taken), &taken, &minutes)];
    let jobs = vec![(waits, vec![job(1, 4)]), (single(20), vec![job(2, 1)]), (single(5), vec![job(3, 2)])];
    let snapshot = network(centres(), jobs);
    let first = plan(&snapshot);
    let promises: Vec<(u64, i64)> = first.reservations.iter().map(|one| (one.job.0, one.start_at.0 - NOW.0)).collect();
    assert_eq!(promises, [(1, 600_000)], "when the first node of the first rack has come free");
    // What ends by then goes between, what does not waits for the gang.
    assert_eq!((places(&first), nodes(&first)), (vec!["3:0-1@a".to_owned()], vec![0, 0]));
    let reasons: Vec<&Reason> = first.reasons.iter().map(|found| &found.reason).collect();
    let kept = |reason: &&&Reason| matches!(reason, Reason::Reserved { job, .. } if job.0 == 1);
    let own = |reason: &&&Reason| matches!(reason, Reason::GangCapacity { needed: 4, .. });
    assert!(
        reasons.len() == 2 && reasons.iter().any(|one| kept(&one)) && reasons.iter().any(|one| own(&one)),
        "{reasons:?}"
    );
    // Where nobody knows when nodes come free, nothing is promised, and nothing kept.
    let mut snapshot = snapshot;
    snapshot.centres[0].pools[0].node_ends.clear();
    let second = plan(&snapshot);
    assert_eq!((second.reservations.len(), places(&second)), (0, vec!["2:0@a".to_owned(), "3:0-1@a".to_owned()]));
}

#[test]
fn a_promise_that_no_rack_keeps_is_found() {
    let (taken, minutes) = ([2, 0, 4, 4], [10, 0, 300, 300]);
    let jobs = vec![(gang_of(4, 2, Some(Level::Rack)), vec![job(1, 4)])];
    let snapshot = network(vec![until(racks("a", &taken), &taken, &minutes)], jobs);
    let mut early = plan(&snapshot);
    early.reservations[0].start_at = TimeMs(NOW.0 + 599_999);
    let found = check(&snapshot, &Policy::default(), NOW, &early).expect_err("a node is not free yet");
    assert!(found.iter().any(|one| one.to_string().contains("not within one rack")), "{found:?}");
}

#[test]
fn what_no_rack_could_take_is_refused() {
    let refused =
        |centres: Vec<CentreView>, shape: &Shape| never_fits(&centres, shape).map(|refused| refused.to_string());
    let centres = || vec![racks("a", &[4; 8])];
    assert_eq!(refused(centres(), &gang_of(4, 2, Some(Level::Rack))), None);
    let text = refused(centres(), &gang_of(5, 2, Some(Level::Rack))).expect("no rack takes five");
    assert!(text.contains("room for 5 tasks in one rack, a rack of pool A100 (2 nodes) takes 4"), "{text}");
    assert!(text.contains("hint: ask for a wider domain"), "{text}");
    assert_eq!(refused(centres(), &gang_of(5, 2, Some(Level::Pod))), None);
    let text = refused(centres(), &gang_of(9, 3, None)).expect("a node takes one task of three devices");
    assert!(text.contains("needs room for 9 tasks, the 8 nodes of pool A100 take 8"), "{text}");
    let text = refused(centres(), &device_shape(5)).expect("no node has five devices");
    assert!(text.contains("5 devices on one node, a node of pool A100 has 32, 64 and 4"), "{text}");
    let text = refused(vec![device_centre("b", 8)], &gang_of(2, 1, Some(Level::Rack))).expect("it tells of no racks");
    assert!(text.contains("does not tell which nodes of pool A100"), "{text}");
    let flat = Topology { nodes: 8, rack_nodes: 2, pod_racks: None };
    assert!(refused(vec![racks_of("a", &[0; 8], flat)], &gang_of(2, 1, Some(Level::Pod))).is_some());
}

#[test]
fn one_machine_is_one_rack() {
    let mut centre = device_centre("a", 8);
    centre.pools[0].pool.topology = Some(Topology::ONE_NODE);
    let jobs = vec![(gang_of(4, 2, Some(Level::Rack)), vec![job(1, 4)])];
    assert_eq!(places(&plan(&network(vec![centre.clone()], jobs.clone()))), ["1:0-3@a"]);
    // One that has several and shows none is not believed.
    centre.pools[0].pool.topology = Some(Topology { nodes: 2, rack_nodes: 2, pod_racks: None });
    assert_eq!(places(&plan(&network(vec![centre], jobs))), [""; 0]);
}

#[test]
fn the_judge_finds_a_gang_that_is_spread() {
    let shape = gang_of(2, 2, Some(Level::Rack));
    let snapshot = network(vec![racks("a", &[0, 0, 0, 0])], vec![(shape, vec![job(1, 2)])]);
    let mut plan = plan(&snapshot);
    assert_eq!(nodes(&plan), [0, 0]);
    plan.placements[0].nodes[1].node = 2;
    plan.placements[0].nodes[1].devices = 0b0011;
    let found = check(&snapshot, &Policy::default(), NOW, &plan).expect_err("it is in two racks");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].to_string().contains("not within one rack"), "{found:?}");
}

/// How many tasks of so many devices each node takes.
fn room(taken: &[u16], devices: u16) -> Vec<u32> {
    taken.iter().map(|taken| u32::from((4 - taken) / devices)).collect()
}

/// Whether some domain of so many nodes takes the gang, by looking at all of them.
fn exists(taken: &[u16], devices: u16, tasks: u32, width: usize) -> bool {
    room(taken, devices).chunks(width).any(|nodes| nodes.iter().sum::<u32>() >= tasks)
}

/// The fewest racks that take the gang, by trying every set of them.
fn fewest_racks(taken: &[u16], devices: u16, tasks: u32) -> Option<u32> {
    let racks: Vec<u32> = room(taken, devices).chunks(2).map(|nodes| nodes.iter().sum()).collect();
    let sets = 0u32..1 << racks.len();
    let sum = |set: u32| (0..racks.len()).filter(|rack| set >> rack & 1 == 1).map(|rack| racks[rack]).sum::<u32>();
    sets.filter(|&set| sum(set) >= tasks).map(u32::count_ones).min()
}

fn one_gang(taken: &[u16], shape: Shape) -> Snapshot {
    let tasks = shape.gang.expect("a gang");
    network(vec![racks("a", taken)], vec![(shape, vec![job(1, tasks)])])
}

proptest! {
    #[test]
    fn a_place_is_found_exactly_when_there_is_one(
        taken in prop::collection::vec(0u16..5, 2..13),
        (devices, tasks) in (1u16..5, 1u32..12),
    ) {
        let found = |topology| {
            let plan = plan(&one_gang(&taken, gang_of(tasks, u64::from(devices), topology)));
            nodes(&plan)
        };
        prop_assert_eq!(!found(Some(Level::Rack)).is_empty(), exists(&taken, devices, tasks, 2));
        prop_assert_eq!(!found(Some(Level::Pod)).is_empty(), exists(&taken, devices, tasks, 4));
        let anywhere = found(None);
        let racks: std::collections::BTreeSet<u32> = anywhere.iter().map(|node| node / 2).collect();
        let pods: std::collections::BTreeSet<u32> = anywhere.iter().map(|node| node / 4).collect();
        match fewest_racks(&taken, devices, tasks) {
            None => prop_assert!(anywhere.is_empty()),
            Some(fewest) => {
                let in_pod = exists(&taken, devices, tasks, 4);
                prop_assert_eq!(pods.len() == 1, in_pod, "the smallest domain that takes it");
                // Within one pod it takes the fewest racks of that one.
                prop_assert!(racks.len() as u32 == fewest || in_pod && racks.len() <= 2, "{:?} {}", racks, fewest);
                prop_assert_eq!(racks.len() == 1, fewest == 1);
            }
        }
    }

    #[test]
    fn gangs_among_others_leave_legal_plans_and_what_helps_helps(
        taken in prop::collection::vec(0u16..5, 2..13),
        minutes in prop::collection::vec(0i64..90, 13),
        asks in prop::collection::vec((1u64..5, 1u32..7, 0u8..4, 1u64..90), 1..6),
    ) {
        let mut jobs: Vec<(Shape, Vec<crate::JobView>)> = Vec::new();
        for (number, (devices, tasks, kind, walltime)) in asks.into_iter().enumerate() {
            let topology = match kind { 2 => Some(Level::Rack), 3 => Some(Level::Pod), _ => None };
            let walltime = DurationMs(walltime * 60_000);
            let shape = Shape { gang: (kind > 0).then_some(tasks), topology, walltime, ..device_shape(devices) };
            if jobs.iter().all(|(known, _)| *known != shape) {
                jobs.push((shape, vec![job(number as u64 + 1, tasks)]));
            }
        }
        let snapshot = network(vec![until(racks("a", &taken), &taken, &minutes)], jobs);
        let first = plan(&snapshot);
        prop_assert_eq!(&plan(&snapshot), &first);
        for found in &first.reasons {
            if let Reason::TopologyCapacity { needed, fits, free, .. } = found.reason {
                prop_assert!(fits < needed && fits <= free && found.shape.topology.is_some(), "{:?}", found);
            }
            for help in helps(&snapshot, &Policy::default(), NOW, &found.shape) {
                let changed = help.change.apply(&snapshot, &found.shape).expect("a change that was made before");
                let own = plan(&changed).placements.into_iter().filter(|placement| {
                    snapshot.shapes.iter().any(|view| view.shape == found.shape && view.jobs[0].id == placement.job)
                });
                prop_assert_eq!(own.map(|placement| placement.tasks.len()).sum::<u64>(), help.starts);
            }
        }
    }
}

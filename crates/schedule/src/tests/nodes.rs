//! Pools that show their nodes: every task gets a node and devices of it.

use huisuan_model::{MilliDevices, NodeShare, Placement, Plan, Reason, Shape};
use proptest::prelude::*;

use crate::{
    Budget, CentreView, Policy, Seed, Snapshot, check, cycle,
    pack::{Fleet, Room, Slot},
    testing::*,
};

/// A centre of so many nodes with 4 devices, 32 cores and 64 GiB each.
fn shown(id: &str, nodes: usize) -> CentreView {
    let mut view = device_centre(id, nodes as u64 * 4);
    view.pools[0].nodes = Some(Fleet::new(std::iter::repeat_n(Room::empty(32_000, 64 << 10, 0, 4), nodes)));
    view
}

/// The same with the first devices of every node taken.
fn occupied(mut view: CentreView, devices: &[u16]) -> CentreView {
    let pool = &mut view.pools[0];
    let fleet = pool.nodes.as_mut().expect("it shows its nodes");
    for (node, &count) in devices.iter().enumerate() {
        fleet.take(&Slot { node: node as u32, cores_milli: 0, memory_mib: 0, mask: (1 << count) - 1, each: 1000 });
        pool.used.devices.0 += u64::from(count) * 1000;
    }
    pool.long = pool.used;
    view
}

fn thousandths(count: u64) -> Shape {
    let mut shape = device_shape(1);
    if let huisuan_model::spec::Need::Hardware { devices: Some(devices), .. } = &mut shape.need {
        devices.count = MilliDevices(count);
    }
    shape
}

fn nodes(plan: &Plan) -> Vec<String> {
    let text = |placement: &Placement| {
        let shares = placement.nodes.iter();
        let shares = shares.map(|NodeShare { node, devices, each }| format!("{node}/{devices:04b}x{each}"));
        format!("{}: {}", placement.job, shares.collect::<Vec<_>>().join(" "))
    };
    plan.placements.iter().map(text).collect()
}

fn check_nodes(centres: Vec<CentreView>, jobs: Vec<(Shape, Vec<crate::JobView>)>, expected: &[&str]) {
    assert_eq!(nodes(&plan(&network(centres, jobs))), expected);
}

#[test]
fn the_tightest_node_is_taken() {
    let centre = || occupied(shown("a", 3), &[0, 3, 2]);
    check_nodes(vec![centre()], vec![(device_shape(1), vec![job(1, 2)])], &["1: 1/1000x1000 2/0100x1000"]);
    check_nodes(vec![centre()], vec![(device_shape(2), vec![job(1, 2)])], &["1: 2/1100x1000 0/0011x1000"]);
    check_nodes(vec![centre()], vec![(thousandths(400), vec![job(1, 3)])], &["1: 1/1000x400 1/1000x400 2/0100x400"]);
    check_nodes(vec![centre()], vec![(thousandths(1500), vec![job(1, 1)])], &["1: 2/1100x1000"]);
}

#[test]
fn enough_in_sum_is_not_enough() {
    let centres = vec![occupied(shown("a", 3), &[3, 3, 3])];
    let snapshot = network(centres, vec![(device_shape(2), vec![job(1, 1)])]);
    let plan = plan(&snapshot);
    assert_eq!(nodes(&plan), [""; 0]);
    let found = reason(&plan);
    let free = (MilliDevices(2000), MilliDevices(1000), MilliDevices(3000));
    assert!(
        matches!(found, Reason::NodeCapacity { needed, node_free, free: sum, .. } if (*needed, *node_free, *sum) == free),
        "{found:?}"
    );
}

#[test]
fn another_centre_takes_what_finds_no_node() {
    let centres = vec![occupied(shown("a", 2), &[3, 3]), shown("b", 1).price(2_000_000)];
    let snapshot = network(centres, vec![(device_shape(2), vec![job(1, 1)])]);
    assert_eq!(places(&plan(&snapshot)), ["1:0@b"]);
}

#[test]
fn a_gang_finds_nodes_for_all_or_none() {
    let gang = |tasks| Shape { gang: Some(tasks), ..device_shape(2) };
    let centre = || occupied(shown("a", 3), &[1, 2, 3]);
    check_nodes(vec![centre()], vec![(gang(2), vec![job(1, 2)])], &["1: 1/1100x1000 0/0110x1000"]);
    check_nodes(vec![centre()], vec![(gang(3), vec![job(1, 3)])], &[]);
    // What it gave back is there for others.
    let jobs = vec![(gang(3), vec![job(1, 3)]), (device_shape(1), vec![job(2, 1)])];
    check_nodes(vec![centre()], jobs, &["2: 2/1000x1000"]);
}

#[test]
fn nodes_are_judged() {
    let snapshot = network(vec![occupied(shown("a", 2), &[1, 0])], vec![(device_shape(2), vec![job(1, 2)])]);
    let good = plan(&snapshot);
    let check_spoilt = |spoil: &dyn Fn(&mut Plan)| {
        let mut plan = good.clone();
        spoil(&mut plan);
        assert!(check(&snapshot, &Policy::default(), NOW, &plan).is_err(), "{plan:?}");
    };
    check_spoilt(&|plan| plan.placements[0].nodes.clear());
    check_spoilt(&|plan| plan.placements[0].nodes[0].node = 9);
    check_spoilt(&|plan| plan.placements[0].nodes[0].devices = 0b0001);
    check_spoilt(&|plan| plan.placements[0].nodes[0].devices = 0b0011);
    check_spoilt(&|plan| plan.placements[0].nodes[1] = plan.placements[0].nodes[0]);
    check_spoilt(&|plan| plan.placements[0].nodes[0].each = 900);
}

proptest! {
    #[test]
    fn plans_over_nodes_are_legal_and_the_same_again(
        taken in prop::collection::vec(0u16..5, 1..6),
        asks in prop::collection::vec((prop::sample::select(vec![100u64, 300, 500, 1000, 2000, 4000]), 1u32..9, any::<bool>()), 1..7),
    ) {
        let centres = vec![occupied(shown("a", taken.len()), &taken), shown("b", 2).price(2_000_000)];
        let mut jobs: Vec<(Shape, Vec<crate::JobView>)> = Vec::new();
        for (number, (devices, tasks, gang)) in asks.into_iter().enumerate() {
            let shape = Shape { gang: gang.then_some(tasks), ..thousandths(devices) };
            if jobs.iter().all(|(known, _)| *known != shape) {
                jobs.push((shape, vec![job(number as u64 + 1, tasks)]));
            }
        }
        let snapshot: Snapshot = network(centres, jobs);
        let plan = plan_with(&snapshot, &Policy::default(), Budget::default());
        prop_assert_eq!(&cycle(&snapshot, &Policy::default(), NOW, Budget::default(), Seed(9)), &plan);
        let waiting = snapshot.shapes.len() - plan.reasons.len();
        let whole = snapshot.shapes.iter().filter(|view| {
            let placed = plan.placements.iter().filter(|placement| placement.job == view.jobs[0].id);
            placed.map(|placement| placement.tasks.len()).sum::<u64>() == view.jobs[0].waiting.len()
        });
        prop_assert_eq!(whole.count(), waiting);
    }
}

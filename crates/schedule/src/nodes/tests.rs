//! The sums of racks follow every task, and what finds no room leaves everything as it was.

use huisuan_model::{Bytes, JobId, Level, MilliDevices, Millicores, NodeShare, TimeMs, Topology};
use proptest::prelude::*;

use super::{Nodes, Wanted, racks::Racks};
use crate::{
    Demand, PoolView,
    pack::{Fleet, Room},
    testing::device_centre,
};

const NODES: usize = 11;
const TOPOLOGY: Topology = Topology { nodes: NODES as u32, rack_nodes: 3, pod_racks: Some(2) };

/// Nodes of 4 devices, 16 cores and 32 GiB, the last rack and the last pod smaller than the others.
fn nodes() -> Nodes {
    let mut pool: PoolView = device_centre("a", NODES as u64 * 4).pools.remove(0);
    pool.nodes = Some(Fleet::new(std::iter::repeat_n(Room::empty(16_000, 32 << 10, 0, 4), NODES)));
    pool.pool.topology = Some(TOPOLOGY);
    pool.node_ends = vec![TimeMs(0); NODES];
    Nodes::of(&pool).expect("it shows its nodes")
}

fn demand(devices: u64, cores: u64, gib: u64) -> Demand {
    Demand { devices: MilliDevices(devices), cores: Millicores(cores * 1_000), memory: Bytes(gib << 30) }
}

#[derive(Debug, Clone)]
struct Step {
    demand: (u64, u64, u64),
    count: u64,
    gang: bool,
    level: Option<Level>,
    end: i64,
    keep: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let devices = prop::sample::select(vec![0u64, 200, 500, 1_000, 2_000, 3_000]);
    let level = prop::option::of(prop::sample::select(vec![Level::Rack, Level::Pod]));
    let all = ((devices, 1u64..9, 1u64..12), 1u64..9, any::<bool>(), level, 0i64..100, 0u8..5);
    all.prop_map(|(demand, count, gang, level, end, keep)| Step { demand, count, gang, level, end, keep: keep == 0 })
}

proptest! {
    #[test]
    fn sums_follow_tasks_and_nothing_is_left_of_a_failure(steps in prop::collection::vec(step(), 1..24)) {
        let mut nodes = nodes();
        let mut job = 0;
        for Step { demand: (devices, cores, gib), count, gang, level, end, keep } in steps {
            let demand = demand(devices, cores, gib);
            let (before, sums) = (nodes.packer.fleet().clone(), nodes.racks.clone());
            let mut found: Vec<NodeShare> = Vec::new();
            let unit = if gang { count } else { 1 };
            let wanted = Wanted { count, unit, gang: gang.then_some(level), end: TimeMs(end) };
            let settled = nodes.settle(&demand, wanted, &mut found);
            prop_assert_eq!(found.len() as u64, settled);
            prop_assert!(settled == 0 || settled >= unit);
            let fleet = nodes.packer.fleet();
            prop_assert_eq!(nodes.racks.as_ref(), Some(&Racks::new(TOPOLOGY, fleet)));
            if settled == 0 {
                prop_assert_eq!(fleet, &before);
                prop_assert_eq!(&nodes.racks, &sums);
            }
            let opening = keep.then(|| nodes.opening(&demand, Level::Rack, 1, 2, TimeMs(0))).flatten();
            if let Some(opening) = opening {
                job += 1;
                let after = nodes.packer.fleet().clone();
                nodes.keep(JobId(job), TimeMs(opening.at.0 + end / 2), opening.nodes, 0);
                // What ends in time finds it as it was before, and it is closed again afterwards.
                let closed = nodes.packer.fleet().clone();
                let open = nodes.open_until(TimeMs(i64::MIN));
                let same = job > 1 || nodes.packer.fleet() == &after;
                nodes.close_again(open);
                prop_assert!(same && nodes.packer.fleet() == &closed);
                prop_assert_eq!(nodes.racks.as_ref(), Some(&Racks::new(TOPOLOGY, nodes.packer.fleet())));
            }
        }
    }
}

#[test]
fn nothing_that_outlasts_it_goes_where_a_rack_is_kept() {
    let mut nodes = nodes();
    let opening = nodes.opening(&demand(4_000, 1, 1), Level::Rack, 3, 1, TimeMs(0)).expect("an empty rack");
    assert_eq!((opening.at, opening.nodes.clone()), (TimeMs(1), 0..3));
    nodes.keep(JobId(1), TimeMs(50), opening.nodes, 3);
    let mut settle = |end: i64| {
        let wanted = Wanted { count: 44, unit: 1, gang: None, end: TimeMs(end) };
        let mut found = Vec::new();
        let count = nodes.settle(&demand(1_000, 1, 1), wanted, &mut found);
        (count, found.iter().filter(|share| share.node < 3).count())
    };
    assert_eq!(settle(51), (32, 0), "the other racks are filled");
    assert_eq!(settle(50), (12, 12), "what ends by then is let in");
}

#[test]
fn a_pool_without_devices_has_racks_too() {
    let mut nodes = nodes();
    let wanted = Wanted { count: 6, unit: 6, gang: Some(Some(Level::Rack)), end: TimeMs(9) };
    let mut found = Vec::new();
    assert_eq!(nodes.settle(&demand(0, 8, 1), wanted, &mut found), 6);
    let racks: Vec<u32> = found.iter().map(|share| TOPOLOGY.rack_of(share.node)).collect();
    assert_eq!(racks, [0; 6]);
    assert_eq!(nodes.settle(&demand(0, 9, 1), Wanted { count: 4, unit: 4, ..wanted }, &mut found), 0);
}

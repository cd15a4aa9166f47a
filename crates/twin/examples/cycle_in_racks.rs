//! What one cycle costs where racks count: `cargo run --release -p huisuan-twin --example cycle_in_racks [NODES]
//! [JOBS]`.
//!
//! The network of `huisuan twin bench-cycle`, whose pools tell of racks of 32 nodes and pods of 16 racks; the gangs
//! require a rack, but one in four only prefers to be near. Prints one JSON object: processor time of the thread for a
//! cycle with its reasons, the shortest of five, without racks and with them.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement needs a clock, arguments and output; the crate itself has none of them"
)]

use huisuan_model::{Level, Plan, TimeMs, Topology};
use huisuan_schedule::{Budget, Policy, Seed, Snapshot, check, cycle};
use huisuan_twin::bench::{Load, NOW, snapshot};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number of nodes or jobs"));
    let nodes = arguments.next().unwrap_or(66_000);
    let pending = arguments.next().unwrap_or(1_000_000);
    let plain = snapshot(&Load { nodes, pending, tenants: 1_000, kinds: 1_000, seed: 1 });
    let racks = in_racks(plain.clone());
    let (plain_ms, plain_plan) = shortest(&plain);
    let (racks_ms, plan) = shortest(&racks);
    // The judge looks at every job for every placement.
    if nodes <= 500 {
        assert_eq!(check(&racks, &Policy::default(), NOW, &plan), Ok(()));
    }
    let required = |view: &&huisuan_schedule::ShapeView| view.shape.topology.is_some();
    let gangs: usize = racks.shapes.iter().filter(required).map(|view| view.jobs.len()).sum();
    let tasks = |plan: &Plan| plan.placements.iter().map(|placement| placement.tasks.len()).sum::<u64>();
    println!(
        "{{\"nodes\":{nodes},\"pending\":{pending},\"gangs_requiring_a_rack\":{gangs},\"plain_ms\":{plain_ms:.1},\
         \"plain_placements\":{},\"racks_ms\":{racks_ms:.1},\"racks_placements\":{},\"promises\":{},\"reasons\":{}}}",
        tasks(&plain_plan),
        tasks(&plan),
        plan.reservations.len(),
        plan.reasons.len()
    );
}

fn in_racks(mut snapshot: Snapshot) -> Snapshot {
    for pool in snapshot.centres.iter_mut().flat_map(|centre| &mut centre.pools) {
        let nodes = pool.nodes.as_ref().map_or(0, huisuan_schedule::pack::Fleet::len);
        let topology = Topology { nodes: u32::try_from(nodes).expect("a pool"), rack_nodes: 32, pod_racks: Some(16) };
        pool.pool.topology = Some(topology);
        pool.node_ends = (0..nodes).map(|node| TimeMs(NOW.0 + 60_000 * (node as i64 * 7 % 1_440))).collect();
    }
    for (number, view) in snapshot.shapes.iter_mut().enumerate() {
        view.shape.topology = view.shape.gang.filter(|_| number % 4 > 0).map(|_| Level::Rack);
    }
    snapshot.shapes.sort_by(|a, b| a.shape.cmp(&b.shape));
    snapshot
}

fn shortest(snapshot: &Snapshot) -> (f64, Plan) {
    let mut best: Option<(f64, Plan)> = None;
    for _ in 0..5 {
        let before = cpu_ms();
        let plan = cycle(snapshot, &Policy::default(), NOW, Budget::default(), Seed(1));
        let took = cpu_ms() - before;
        if best.as_ref().is_none_or(|best| took < best.0) {
            best = Some((took, plan));
        }
    }
    best.expect("it ran")
}

/// Processor time of this thread.
fn cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let ns: u64 = text.split_whitespace().next().and_then(|word| word.parse().ok()).expect("nanoseconds");
    ns as f64 / 1e6
}

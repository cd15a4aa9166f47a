//! What a plan of the network level costs and how good it is:
//! `cargo run --release -p huisuan-schedule --example network_cost [CENTRES] [POOLS] [CLASSES] [SLOTS] [SEEDS]
//! [FIRST]`.
//!
//! For each seed a made-up network is planned from nothing by both planners; then every capacity changes by up to 3 %
//! and it is planned again with the first plan as hint; and again where queues,
//! tasks and classes have changed too. CPU time of this thread, from Linux. The last line is JSON:
//! the longest solves, the largest gap of the greedy plan to the bound of the linear program, the largest gap
//! that each planner reports of itself, in percent, and a hash of all plans, which must not change between machines
//! and builds.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement needs a clock, arguments and output; the crate itself has none of them"
)]

mod city;

use city::{Size, city, later, shaken};
use huisuan_schedule::network::{
    Budget, Greedy, Linear, Network, NetworkModel, NetworkPlan, NetworkPlanner, check_network,
};

#[derive(Default)]
struct Worst {
    greedy_ms: f64,
    cold_ms: f64,
    warm_ms: f64,
    later_ms: f64,
    greedy_gap: f64,
    greedy_own_gap: f64,
    linear_gap: f64,
    hash: u64,
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let mut next = |otherwise| arguments.next().unwrap_or(otherwise);
    let (centres, pools, classes) = (next(12), next(6), next(1_000));
    let slots = u32::try_from(next(1)).expect("a small number of slots");
    let size = Size { centres, pools, classes, slots, load_permille: 1_300 };
    let mut worst = Worst::default();
    let (seeds, first) = (next(10), next(0));
    for seed in first..first + seeds {
        let model = city(size, seed);
        let (greedy, greedy_ms) = planned("greedy", seed, &model, &Greedy, None, &mut worst);
        let (cold, cold_ms) = planned("linear", seed, &model, &Linear, None, &mut worst);
        let (warm, warm_ms) =
            planned("linear, warm", seed, &shaken(&model, 30, seed), &Linear, Some(&cold), &mut worst);
        let (_, later_ms) = planned("linear, later", seed, &later(&model, 30, seed), &Linear, Some(&cold), &mut worst);
        let gap = (cold.bound - greedy.value) as f64 / cold.bound as f64 * 100.0;
        println!("greedy to linear, seed {seed}: gap {gap:.3} %");
        worst.greedy_ms = worst.greedy_ms.max(greedy_ms);
        worst.cold_ms = worst.cold_ms.max(cold_ms);
        worst.warm_ms = worst.warm_ms.max(warm_ms);
        worst.later_ms = worst.later_ms.max(later_ms);
        worst.greedy_gap = worst.greedy_gap.max(gap);
        worst.greedy_own_gap = worst.greedy_own_gap.max(percent(&greedy));
        worst.linear_gap = worst.linear_gap.max(percent(&cold)).max(percent(&warm));
    }
    let Worst { greedy_ms, cold_ms, warm_ms, later_ms, greedy_gap, greedy_own_gap, linear_gap, hash } = worst;
    println!(
        "{{\"greedy_cpu_ms\": {greedy_ms:.1}, \"cold_cpu_ms\": {cold_ms:.1}, \"warm_cpu_ms\": {warm_ms:.1}, \
         \"later_cpu_ms\": {later_ms:.1}, \
         \"greedy_gap\": {greedy_gap:.3}, \"greedy_own_gap\": {greedy_own_gap:.3}, \"linear_gap\": {linear_gap:.3}, \
         \"plan_hash\": \"{hash:016x}\"}}"
    );
}

fn percent(plan: &NetworkPlan) -> f64 {
    f64::from(plan.gap_ppm) / 10_000.0
}

fn planned(
    what: &str,
    seed: u64,
    model: &NetworkModel,
    planner: &dyn NetworkPlanner,
    hint: Option<&NetworkPlan>,
    worst: &mut Worst,
) -> (NetworkPlan, f64) {
    let network = Network::new(model.clone()).expect("a valid model");
    let before = cpu_ns();
    let plan = planner.plan(&network, hint, Budget::default());
    let cpu_ms = (cpu_ns() - before) as f64 / 1e6;
    if let Err(found) = check_network(model, &plan) {
        panic!("{what}, seed {seed}: {found:?}");
    }
    let NetworkPlan { value, bound, pivots, .. } = &plan;
    let gap = percent(&plan);
    println!("{what}, seed {seed}: value {value}, bound {bound}, gap {gap:.3} %, {pivots} pivots, {cpu_ms:.1} ms");
    // FNV-1a of everything that the plan says.
    for byte in format!("{plan:?}").bytes() {
        worst.hash = (worst.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    (plan, cpu_ms)
}

fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells the CPU time of a thread");
    text.split(' ').next().and_then(|number| number.parse().ok()).expect("its first field is a number")
}

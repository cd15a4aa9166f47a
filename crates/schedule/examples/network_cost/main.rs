//! What a plan of the network level costs and how good it is:
//! `cargo run --release -p huisuan-schedule --example network_cost [CENTRES] [POOLS] [CLASSES] [SLOTS] [SEEDS]`.
//!
//! CPU time of this thread, from Linux. The last line is JSON with the worst of all seeds.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a measurement needs a clock, arguments and output; the crate itself has none of them"
)]

mod city;

use city::{Size, city, shaken};
use huisuan_schedule::network::{Budget, Greedy, Linear, Network, NetworkPlan, NetworkPlanner};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let mut next = |otherwise| arguments.next().unwrap_or(otherwise);
    let (centres, pools, classes) = (next(12), next(6), next(1_000));
    let size = Size { centres, pools, classes, slots: next(1) as u32, load_permille: 1_300 };
    for seed in 0..next(5) {
        let model = city(size, seed);
        let network = Network::new(model.clone()).expect("a valid model");
        let (plan, ms) = timed(|| Greedy.plan(&network, None, Budget::default()));
        report("greedy", seed, &plan, ms);
        if std::env::var("G").is_ok() {
            continue;
        }
        let (linear, ms) = timed(|| Linear.plan(&network, None, Budget::default()));
        report("linear", seed, &linear, ms);
        let network = Network::new(shaken(&model, 30, seed)).expect("a valid model");
        let (plan, ms) = timed(|| Greedy.plan(&network, Some(&plan), Budget::default()));
        report("greedy warm", seed, &plan, ms);
        let (plan, ms) = timed(|| Linear.plan(&network, Some(&linear), Budget::default()));
        report("linear warm", seed, &plan, ms);
    }
}

fn report(what: &str, seed: u64, plan: &NetworkPlan, cpu_ms: f64) {
    let NetworkPlan { value, bound, gap_ppm, pivots, .. } = plan;
    let gap = f64::from(*gap_ppm) / 10_000.0;
    println!("{what}, seed {seed}: value {value}, bound {bound}, gap {gap:.3} %, {pivots} pivots, {cpu_ms:.1} ms");
}

/// The result and the CPU time of this thread, in milliseconds; the shortest of three runs.
fn timed<T>(mut work: impl FnMut() -> T) -> (T, f64) {
    let mut best = f64::INFINITY;
    loop {
        let before = cpu_ns();
        let result = work();
        best = best.min((cpu_ns() - before) as f64 / 1e6);
        if best.is_finite() {
            return (result, best);
        }
    }
}

fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells the CPU time of a thread");
    text.split(' ').next().and_then(|number| number.parse().ok()).expect("its first field is a number")
}

//! What a run costs: `cargo run --release -p huisuan-study --example run_scenario SCENARIO [watch]`. Prints the
//! kernel's and the control plane's events for each second of processor time, with `watch` the report's collector too.

use std::{fs, path::Path};

use huisuan_study::{
    report::{Collector, report},
    scenario::read_scenario,
};

/// Processor time of this thread in nanoseconds.
fn cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with schedstat");
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number")
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().expect("a scenario");
    let scenario = read_scenario(Path::new(path)).unwrap_or_else(|error| panic!("{error}"));
    let started = cpu_ns();
    let (counts, happened) = if arguments.len() > 1 {
        let mut world = scenario.world(Collector::new(&scenario));
        world.run();
        let figures = (world.counts(), world.happened());
        println!("{}", serde_json::to_string_pretty(&report(world).0).expect("string keys"));
        figures
    } else {
        let mut world = scenario.world(());
        world.run();
        println!("{} {}", world.decisions().hash(), world.decisions().tasks());
        (world.counts(), world.happened())
    };
    let spent_ns = cpu_ns() - started;
    let rate = |events: u64| events * 1_000_000_000 / spent_ns.max(1);
    println!(
        "{counts:?}, {} kernel events; {} ms: {} control events/s, {} kernel events/s",
        happened,
        spent_ns / 1_000_000,
        rate(counts.events),
        rate(happened)
    );
}

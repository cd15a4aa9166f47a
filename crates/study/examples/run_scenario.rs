//! What a run costs: `cargo run --release -p huisuan-study --example run_scenario SCENARIO [watch]`. Prints the
//! kernel's and the control plane's events for each second of processor time, with `watch` the report's collector too.
//! The last line is JSON.

use std::{fs, path::Path};

use huisuan_study::{
    report::{Collector, report},
    scenario::read_scenario,
};

/// As in the shipped binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    let (counts, happened, hash) = if arguments.len() > 1 {
        let mut world = scenario.world(Collector::new(&scenario));
        world.run();
        let figures = (world.counts(), world.happened(), world.decisions().hash());
        println!("{}", serde_json::to_string_pretty(&report(world).0).expect("string keys"));
        figures
    } else {
        let mut world = scenario.world(());
        world.run();
        (world.counts(), world.happened(), world.decisions().hash())
    };
    let spent_ns = cpu_ns() - started;
    let rate = |events: u64| events * 1_000_000_000 / spent_ns.max(1);
    println!("{counts:?}, {happened} kernel events, {} per second", rate(happened));
    let (cpu_ms, control_per_s) = (spent_ns / 1_000_000, rate(counts.events));
    println!(
        "{}",
        serde_json::json!({ "cpu_ms": cpu_ms, "control_events_per_s": control_per_s, "decision_hash": hash,
            "jobs": counts.jobs, "cycles": counts.cycles, "peak_rss_mb": peak_rss_mb() })
    );
}

/// The most memory that this process ever had, in MB.
fn peak_rss_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).expect("a number") * 1024 / 1_000_000
}

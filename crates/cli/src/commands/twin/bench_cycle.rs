//! `twin bench-cycle`: what one scheduling cycle of a large made-up network costs.

use clap::{Args, value_parser};
use huisuan_study::bench_cycle::{self, Load, Report};
use serde::Serialize;

use crate::{
    failure::Failure,
    session::Session,
    table::{Cell, Listing},
    text,
};

#[derive(Debug, Args)]
pub(crate) struct BenchCycleArgs {
    /// Nodes of 8 accelerators over 12 centres.
    #[arg(long, value_name = "N", default_value_t = 66_000, value_parser = value_parser!(u64).range(24..=10_000_000))]
    nodes: u64,
    /// Jobs that wait.
    #[arg(long, value_name = "M", default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1..=100_000_000))]
    pending: u64,
    /// Tenants, with different weights.
    #[arg(long, value_name = "T", default_value_t = 1_000, value_parser = value_parser!(u64).range(1..=1_000_000))]
    tenants: u64,
    /// Different requests for hardware.
    #[arg(long, value_name = "K", default_value_t = 1_000, value_parser = value_parser!(u64).range(1..=1_000_000))]
    shapes: u64,
    /// How often the cycle is run; the shortest counts.
    #[arg(long, value_name = "R", default_value_t = 5, value_parser = value_parser!(u32).range(1..=1_000))]
    repeats: u32,
    /// Seed of everything random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// The answer of `twin bench-cycle -o json`.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    report: Report,
    /// The most memory that this process ever had.
    peak_rss_mb: u64,
    nodes: u64,
    pending: u64,
    tenants: u64,
    shapes: u64,
    seed: u64,
    /// Times are measured; the network is made up.
    mark: &'static str,
}

/// Measures and reports.
pub(crate) fn bench_cycle(session: &Session, args: &BenchCycleArgs) -> Result<(), Failure> {
    let &BenchCycleArgs { nodes, pending, tenants, shapes, repeats, seed } = args;
    session.output.remark(&format!("a made-up network of {} nodes, seed {seed} ...", text::grouped(nodes)));
    let report = bench_cycle::run(&Load { nodes, pending, tenants, kinds: shapes, seed }, repeats, cpu_ns);
    let peak_rss_mb = peak_rss_kb()?.div_ceil(1000);
    let answer = Answer { report, peak_rss_mb, nodes, pending, tenants, shapes, seed, mark: "measured" };
    session.output.one(&answer, || listing(&answer), |output| output.table(&listing(&answer)))
}

fn listing(answer: &Answer) -> Listing {
    let columns = [
        "nodes",
        "pending",
        "groups",
        "placements",
        "cycle_cpu_ms",
        "median",
        "worst",
        "placements_per_s",
        "peak_rss_mb",
        "decision_hash",
    ];
    let mut listing = Listing::new(&columns);
    let figure = |number: u64| Cell::figure(text::grouped(number), number);
    listing.row(vec![
        figure(answer.nodes),
        figure(answer.pending),
        figure(answer.report.groups),
        figure(answer.report.placements),
        figure(answer.report.cycle_cpu_ms),
        figure(answer.report.cycle_cpu_median_ms),
        figure(answer.report.cycle_cpu_worst_ms),
        figure(answer.report.placements_per_s),
        figure(answer.peak_rss_mb),
        Cell::text(&answer.report.decision_hash),
    ]);
    listing
}

/// Processor time of this thread: what else runs on the machine does not count.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

fn peak_rss_kb() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    Ok(number.unwrap_or(0) * 1024 / 1000)
}

//! One scheduling cycle of a made-up network, measured: how much processor time it takes to plan and to say why the
//! rest waits.

use std::{collections::BTreeMap, io};

use huisuan_model::Plan;
use huisuan_schedule::{Budget, Policy, Seed, cycle};
use huisuan_twin::bench;
pub use huisuan_twin::bench::Load;
use serde::Serialize;

/// What was measured. Every figure of the network is assumed; times are measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Tasks of the plan that start.
    pub placements: u64,
    /// Jobs of which a task starts.
    pub jobs_started: u64,
    /// Tasks for each second of processor time.
    pub placements_per_s: u64,
    /// Processor time of the shortest cycle, reasons included, in milliseconds rounded up.
    pub cycle_cpu_ms: u64,
    /// The same of the cycle in the middle, the longer of two.
    pub cycle_cpu_median_ms: u64,
    /// The same of the longest cycle.
    pub cycle_cpu_worst_ms: u64,
    /// The same of every cycle, in microseconds.
    pub cycles_us: Vec<u64>,
    /// Shapes in the scheduler's sense: kinds of work by tenant and project.
    pub groups: u64,
    /// Waiting groups by the code of their reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Capacity kept free for jobs at the head.
    pub reservations: u64,
    /// A hash of all that was decided, reasons included, in hexadecimal.
    pub decision_hash: String,
}

/// Plans the same network `repeats` times, at least once. `cpu_ns` reads the processor time of this thread.
///
/// # Panics
///
/// When two cycles decide differently: that is a bug.
pub fn run(load: &Load, repeats: u32, cpu_ns: impl Fn() -> u64) -> Report {
    let snapshot = bench::snapshot(load);
    let policy = Policy::default();
    let mut cycles_us = Vec::new();
    let mut first: Option<(Plan, String)> = None;
    for _ in 0..repeats.max(1) {
        let before = cpu_ns();
        let plan = cycle(&snapshot, &policy, bench::NOW, Budget::UNLIMITED, Seed(load.seed));
        cycles_us.push(cpu_ns().saturating_sub(before) / 1000);
        let hash = decision_hash(&plan);
        match &first {
            Some((_, known)) => assert_eq!(*known, hash, "the same snapshot gives the same plan"),
            None => first = Some((plan, hash)),
        }
    }
    let (plan, decision_hash) = first.expect("there was at least one cycle");
    let mut sorted_us = cycles_us.clone();
    sorted_us.sort_unstable();
    let at = |index: usize| sorted_us[index].div_ceil(1000);
    let (shortest_us, last) = (sorted_us[0], sorted_us.len() - 1);
    let placements = plan.placements.iter().map(|placement| placement.tasks.len()).sum();
    let mut reasons = BTreeMap::new();
    for reason in &plan.reasons {
        *reasons.entry(reason.reason.code()).or_default() += 1;
    }
    let mut jobs: Vec<_> = plan.placements.iter().map(|placement| placement.job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    Report {
        placements,
        jobs_started: jobs.len() as u64,
        placements_per_s: placements * 1_000_000 / shortest_us.max(1),
        cycle_cpu_ms: at(0),
        cycle_cpu_median_ms: at(sorted_us.len() / 2),
        cycle_cpu_worst_ms: at(last),
        cycles_us,
        groups: snapshot.shapes.len() as u64,
        reasons,
        reservations: plan.reservations.len() as u64,
        decision_hash,
    }
}

/// FNV-1a over the plan and its reasons as JSON: equal on every machine, in debug and release.
pub fn decision_hash(plan: &Plan) -> String {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    let written = serde_json::to_writer(&mut hash, plan).and_then(|()| {
        plan.reasons
            .iter()
            .try_for_each(|reason| serde_json::to_writer(&mut hash, &(&reason.shape, &reason.reason, &reason.rejected)))
    });
    written.expect("a plan is JSON, and a hash takes everything");
    format!("{:016x}", hash.0)
}

struct Fnv(u64);

impl io::Write for Fnv {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    const SMALL: Load = Load { nodes: 240, pending: 4_000, tenants: 20, kinds: 30, seed: 1 };

    #[test]
    fn figures_follow_from_the_plan() {
        let clock = Cell::new(0);
        let report = run(&SMALL, 2, || {
            clock.set(clock.get() + 1_500_000);
            clock.get()
        });
        assert_eq!((report.cycle_cpu_ms, report.cycles_us), (2, vec![1500, 1500]));
        assert_eq!(report.placements_per_s, report.placements * 1_000_000 / 1500);
        assert!(report.jobs_started <= report.placements && report.jobs_started > 200);
        assert!(report.reasons.values().sum::<u64>() <= report.groups);
    }

    #[test]
    fn the_shortest_the_middle_and_the_longest_cycle_are_told() {
        // The clock is read before and after each of four cycles.
        let readings = RefCell::new([0, 9, 9, 11, 11, 51, 51, 59].into_iter());
        let report = run(&SMALL, 4, || readings.borrow_mut().next().expect("two readings for each cycle") * 1_000_000);
        assert_eq!(report.cycles_us, [9_000, 2_000, 40_000, 8_000]);
        let Report { cycle_cpu_ms, cycle_cpu_median_ms, cycle_cpu_worst_ms, .. } = report;
        assert_eq!((cycle_cpu_ms, cycle_cpu_median_ms, cycle_cpu_worst_ms), (2, 9, 40));
    }

    /// The same in a debug and in a release build (`twin bench-cycle --nodes 240 --pending 4000 --tenants 20 --shapes
    /// 30`). A change of the rules changes it; then it is written anew, and the release build asked again.
    #[test]
    fn decisions_are_those_of_every_build() {
        let report = run(&SMALL, 1, || 0);
        assert_eq!(report.decision_hash, "8f5d3b4edac907b6");
    }

    #[test]
    fn the_hash_tells_plans_apart() {
        let hash = |seed| run(&Load { seed, ..SMALL }, 1, || 0).decision_hash;
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
    }
}

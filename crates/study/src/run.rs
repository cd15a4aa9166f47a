//! Runs a scenario and reports.

use crate::{
    report::{Collector, Line, Report, report},
    scenario::Scenario,
};

/// Between two calls of a progress bar so many events happen.
const STEPS: u32 = 4096;

/// Runs a scenario to its end. `progress` is told now and then which part of the simulated time is over, from 0 to 1.
pub fn run(scenario: &Scenario, mut progress: impl FnMut(f64)) -> (Report, Vec<Line>) {
    let mut world = scenario.world(Collector::new(scenario));
    let span_ms = scenario.setup.end.since(scenario.setup.start).0.max(1);
    let mut steps = 0;
    while let Some(now) = world.step() {
        steps += 1;
        if steps == STEPS {
            steps = 0;
            progress(now.since(scenario.setup.start).0 as f64 / span_ms as f64);
        }
    }
    world.close();
    report(world)
}

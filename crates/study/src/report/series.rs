//! The time series of a run.

use std::{collections::BTreeMap, fmt::Write as _};

use huisuan_model::{CentreId, Class};
use serde::Serialize;

/// One moment of the series; ratios and counts are by class.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Line {
    /// Seconds from the start of the run.
    pub at_s: f64,
    /// Mean since the line before: the part of the class's rate that was given to tasks.
    pub allocated: BTreeMap<Class, f64>,
    /// Mean since the line before: the part of the class's rate that tasks kept busy.
    pub used: BTreeMap<Class, f64>,
    /// Jobs that have no task placed or running.
    pub waiting: BTreeMap<Class, u64>,
    /// Tasks placed or running.
    pub running: BTreeMap<Class, u64>,
    /// Half of the jobs that started since the line before waited no longer, in seconds; absent when none started.
    pub wait_p50_s: BTreeMap<Class, f64>,
    /// Power of all centres, in kW.
    pub power_kw: f64,
    /// What each centre has come to since the start of the run.
    pub centres: BTreeMap<CentreId, CentreLine>,
}

/// What one centre, or all of them, have come to since the start of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct CentreLine {
    /// What tenants paid for tasks that have ended.
    pub cost_cny: f64,
    /// Energy of the whole site.
    pub energy_kwh: f64,
    /// What that cost.
    pub energy_cny: f64,
    /// What it emitted.
    pub carbon_kg: f64,
}

impl CentreLine {
    const COLUMNS: [&str; 4] = ["cost_cny", "energy_kwh", "energy_cny", "carbon_kg"];

    fn plus(self, other: &CentreLine) -> CentreLine {
        CentreLine {
            cost_cny: self.cost_cny + other.cost_cny,
            energy_kwh: self.energy_kwh + other.energy_kwh,
            energy_cny: self.energy_cny + other.energy_cny,
            carbon_kg: self.carbon_kg + other.carbon_kg,
        }
    }

    fn figures(&self) -> [f64; 4] {
        [self.cost_cny, self.energy_kwh, self.energy_cny, self.carbon_kg]
    }
}

/// The series as comma-separated values with a header line; empty fields for what is not known. What all centres and
/// each of them have come to stands at the end.
pub fn csv(lines: &[Line]) -> String {
    let mut text = String::from("at_s");
    for class in Class::ALL {
        for column in ["allocated", "used", "waiting_jobs", "running_tasks", "wait_p50_s"] {
            // Writing to a string cannot fail.
            let _ = write!(text, ",{class}_{column}");
        }
    }
    text.push_str(",power_kw");
    let centres: Vec<&CentreId> = lines.first().map_or_else(Vec::new, |line| line.centres.keys().collect());
    let owners = std::iter::once("all").chain(centres.iter().map(|id| id.as_str()));
    for (owner, column) in owners.flat_map(|owner| CentreLine::COLUMNS.map(|column| (owner, column))) {
        let _ = write!(text, ",{owner}_{column}");
    }
    text.push('\n');
    for line in lines {
        let _ = write!(text, "{}", line.at_s);
        for class in &Class::ALL {
            let ratio =
                |map: &BTreeMap<Class, f64>| map.get(class).map_or(String::new(), |value| format!("{value:.6}"));
            let count = |map: &BTreeMap<Class, u64>| map.get(class).map_or(String::new(), u64::to_string);
            let wait = line.wait_p50_s.get(class).map_or(String::new(), f64::to_string);
            let (allocated, used) = (ratio(&line.allocated), ratio(&line.used));
            let (waiting, running) = (count(&line.waiting), count(&line.running));
            let _ = write!(text, ",{allocated},{used},{waiting},{running},{wait}");
        }
        let _ = write!(text, ",{:.3}", line.power_kw);
        let all = line.centres.values().fold(CentreLine::default(), CentreLine::plus);
        for figure in std::iter::once(&all).chain(line.centres.values()).flat_map(CentreLine::figures) {
            let _ = write!(text, ",{figure:.3}");
        }
        text.push('\n');
    }
    text
}

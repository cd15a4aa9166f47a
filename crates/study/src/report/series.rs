//! The time series of a run.

use std::{collections::BTreeMap, fmt::Write as _};

use huisuan_model::Class;
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
}

/// The series as comma-separated values with a header line; empty fields for what is not known.
pub fn csv(lines: &[Line]) -> String {
    let mut text = String::from("at_s");
    for class in Class::ALL {
        for column in ["allocated", "used", "waiting_jobs", "running_tasks", "wait_p50_s"] {
            // Writing to a string cannot fail.
            let _ = write!(text, ",{class}_{column}");
        }
    }
    text.push_str(",power_kw\n");
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
        let _ = writeln!(text, ",{:.3}", line.power_kw);
    }
    text
}

//! Two ways to run the same work, compared seed by seed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    report::Report,
    statistics::{Difference, UnpairedError, paired_difference},
};

/// One figure, both ways.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Its mean over all seeds, the first way.
    pub before: f64,
    /// Its mean over all seeds, the second way.
    pub after: f64,
    /// The mean difference with its 95 % interval; absent for a single seed.
    pub difference: Option<Difference>,
}

/// All figures that both ways have, by name: `wait_mean_s/class/ai`, `cost_cny`, `utilisation/general`.
pub type Comparison = BTreeMap<String, Compared>;

/// Compares runs of both ways, each with its seed.
///
/// # Errors
/// When a seed was run one way only.
pub fn compare(before: &[Report], after: &[Report]) -> Result<Comparison, UnpairedError> {
    let mut names: BTreeMap<String, [BTreeMap<u64, f64>; 2]> = BTreeMap::new();
    for (side, reports) in [before, after].into_iter().enumerate() {
        for report in reports {
            for (name, value) in figures(report) {
                names.entry(name).or_default()[side].insert(report.seed, value);
            }
        }
    }
    let mut compared = Comparison::new();
    for (name, [before, after]) in names {
        let mean = |values: &BTreeMap<u64, f64>| values.values().sum::<f64>() / values.len() as f64;
        let difference = match paired_difference(&before, &after) {
            Ok(difference) => Some(difference),
            // A figure that one way has in no run, such as waits of a class without work, cannot be compared.
            Err(UnpairedError::Seed(_)) if before.is_empty() || after.is_empty() => continue,
            Err(UnpairedError::TooFew(_)) => None,
            Err(error) => return Err(error),
        };
        compared.insert(name, Compared { before: mean(&before), after: mean(&after), difference });
    }
    Ok(compared)
}

/// The figures of a report that are compared.
fn figures(report: &Report) -> Vec<(String, f64)> {
    let mut figures = vec![
        ("cost_cny".to_owned(), report.cost.amount as f64 / 1e6),
        ("energy_kwh".to_owned(), report.energy_kwh),
        ("energy_cny".to_owned(), report.centres.values().map(|centre| centre.energy_cost.amount as f64 / 1e6).sum()),
        ("carbon_kg".to_owned(), report.carbon_kg),
        ("moved_gib".to_owned(), report.transfers.iter().map(|transfer| transfer.gib).sum()),
        ("transfer_cny".to_owned(), report.transfers.iter().map(|one| one.transfer.price.amount as f64 / 1e6).sum()),
        ("staging_s_mean".to_owned(), report.moved.as_ref().map_or(0.0, |moved| moved.staging_s_mean)),
        ("placements".to_owned(), report.placements as f64),
    ];
    for (class, found) in &report.classes {
        figures.push((format!("utilisation/{class}"), found.allocated));
        let waits = found.wait_s.iter().flat_map(|waits| [("mean", waits.mean), ("p95", waits.p95)]);
        figures.extend(waits.map(|(kind, wait)| (format!("wait_{kind}_s/class/{class}"), wait)));
    }
    for (kind, groups) in [("family", &report.families), ("tenant", &report.tenants)] {
        for (name, group) in groups {
            figures.push((format!("cost_cny/{kind}/{name}"), group.cost.amount as f64 / 1e6));
            figures.push((format!("succeeded/{kind}/{name}"), group.succeeded as f64));
            let waits = group.wait_s.iter().flat_map(|waits| [("mean", waits.mean), ("p95", waits.p95)]);
            figures.extend(waits.map(|(which, wait)| (format!("wait_{which}_s/{kind}/{name}"), wait)));
        }
    }
    figures
}

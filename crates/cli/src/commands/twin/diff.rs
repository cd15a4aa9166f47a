//! `twin diff`: two scenarios, or two policies on one, paired by seed.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use huisuan_study::{
    diff::{Compared, Comparison, compare},
    report::Report,
};
use serde::Serialize;

use super::run::{load, simulate};
use crate::{
    failure::{Exit, Failure},
    session::Session,
    table::{Cell, Listing},
};

#[derive(Debug, Args)]
#[command(
    override_usage = "huisuan twin diff [OPTIONS] SCENARIO SCENARIO\n       huisuan twin diff [OPTIONS] SCENARIO --policies POLICY,POLICY"
)]
pub(crate) struct DiffArgs {
    /// One scenario with `--policies`, otherwise two.
    #[arg(value_name = "SCENARIO", required = true, num_args = 1..=2, value_hint = ValueHint::FilePath)]
    pub(crate) scenarios: Vec<PathBuf>,
    /// The two policies of one scenario.
    #[arg(long, value_name = "POLICIES", value_delimiter = ',', num_args = 1)]
    pub(crate) policies: Vec<String>,
    /// The first seed; that of the first scenario when absent.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// How many seeds both ways are run with; the difference has a confidence interval from 2 on.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
}

#[derive(Debug, Serialize)]
struct Answer {
    /// Where the figures come from.
    mark: &'static str,
    /// What stands on either side: a scenario and its policy.
    sides: [String; 2],
    seeds: Vec<u64>,
    figures: Comparison,
}

/// Runs both ways with every seed and compares.
pub(crate) fn diff(session: &Session, args: &DiffArgs) -> Result<(), Failure> {
    let (first, second) = match (args.scenarios.as_slice(), args.policies.as_slice()) {
        ([one], [before, after]) => ((one, Some(before)), (one, Some(after))),
        ([one, other], []) => ((one, None), (other, None)),
        _ => {
            let message = "what to compare is not clear";
            return Err(Failure::new(Exit::Usage, message).hint("name two scenarios, or one and `--policies A,B`"));
        }
    };
    let from = match args.seed {
        Some(seed) => seed,
        None => load(first.0, None, first.1.map(String::as_str))?.setup.seed,
    };
    let seeds: Vec<u64> = (0..args.seeds).map(|step| from.wrapping_add(step)).collect();
    let mut sides: [Vec<Report>; 2] = [Vec::new(), Vec::new()];
    for (reports, (path, policy)) in sides.iter_mut().zip([first, second]) {
        for &seed in &seeds {
            let scenario = load(path, Some(seed), policy.map(String::as_str))?;
            reports.push(simulate(session, &scenario).0);
        }
    }
    let [before, after] = &sides;
    let figures = compare(before, after).map_err(|error| Failure::new(Exit::Error, error))?;
    let name = |reports: &[Report]| reports.first().map(|report| format!("{} {}", report.scenario, report.policy));
    let sides = [name(before), name(after)].map(Option::unwrap_or_default);
    let answer = Answer { mark: "modelled", sides, seeds, figures };
    session.output.one(
        &answer,
        || listing(&answer, |_| true),
        |output| {
            let [before, after] = &answer.sides;
            let head = format!("MODELLED: {before} against {after}, {} seeds from {from}", answer.seeds.len());
            let equal = answer.figures.values().filter(|figure| alike(figure)).count();
            if equal == answer.figures.len() {
                return format!("{head}\n\nall {equal} figures are equal");
            }
            let note = format!("{equal} of {} figures are equal and not shown", answer.figures.len());
            let table = output.table(&listing(&answer, |compared| !alike(compared)));
            format!("{head}\n\n{table}\n\n{note}")
        },
    )
}

/// Whether both ways came to the same, as far as three digits tell.
fn alike(compared: &Compared) -> bool {
    let found = compared.difference.as_ref();
    let spread = found.map_or(0.0, |found| found.low.abs().max(found.high.abs()));
    rounded(compared.after - compared.before) == 0.0 && rounded(spread) == 0.0
}

/// Three digits, and no minus before a zero.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3 + 0.0
}

/// Some of the figures; CSV and JSON have all of them.
fn listing(answer: &Answer, shown: fn(&Compared) -> bool) -> Listing {
    let mut listing = Listing::new(&["figure", "before", "after", "difference", "low", "high", "clear"]);
    for (name, compared) in answer.figures.iter().filter(|(_, compared)| shown(compared)) {
        let figure = |value: f64| Cell::figure(format!("{:.3}", rounded(value)), value + 0.0);
        let mut row = vec![Cell::text(name), figure(compared.before), figure(compared.after)];
        match &compared.difference {
            Some(found) => {
                row.extend([figure(found.mean), figure(found.low), figure(found.high)]);
                row.push(Cell::text(if found.clear() { "yes" } else { "no" }));
            }
            None => {
                row.push(figure(compared.after - compared.before));
                row.extend([Cell::none(), Cell::none(), Cell::none()]);
            }
        }
        listing.row(row);
    }
    listing
}

#[cfg(test)]
mod tests {
    use huisuan_study::statistics::Difference;

    use super::*;

    #[test]
    fn only_what_differs_is_shown_and_no_zero_is_negative() {
        let check = |before: f64, after: f64, shown: bool| {
            assert_eq!(alike(&Compared { before, after, difference: None }), !shown, "{before} {after}");
        };
        check(1.0, 1.0, false);
        check(1.0, 1.0 - 1e-9, false);
        check(1.0, 1.001, true);
        check(0.0, -0.002, true);
        for (value, text) in [(-0.000_1, "0.000"), (-0.0, "0.000"), (-0.001_2, "-0.001"), (2.0, "2.000")] {
            assert_eq!(format!("{:.3}", rounded(value)), text);
        }
        // Differences that cancel out between seeds are no equality.
        let difference = Some(Difference { pairs: 2, mean: 0.0, low: -3.0, high: 3.0 });
        assert!(!alike(&Compared { before: 1.0, after: 1.0, difference }));
    }
}

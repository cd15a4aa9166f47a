//! `twin diff`: two scenarios, or two policies on one, paired by seed.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use huisuan_study::{
    diff::{Comparison, compare},
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
        || listing(&answer),
        |output| {
            let [before, after] = &answer.sides;
            let head = format!("MODELLED: {before} against {after}, {} seeds from {from}", answer.seeds.len());
            format!("{head}\n\n{}", output.table(&listing(&answer)))
        },
    )
}

fn listing(answer: &Answer) -> Listing {
    let mut listing = Listing::new(&["figure", "before", "after", "difference", "low", "high", "clear"]);
    for (name, compared) in &answer.figures {
        let figure = |value: f64| Cell::figure(format!("{value:.3}"), value);
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

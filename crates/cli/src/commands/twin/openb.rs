//! `twin openb`: the published packing protocol on the lists of Alibaba's GPU trace of 2023.

use std::{fmt, path::PathBuf};

use clap::{Args, ValueEnum, ValueHint, value_parser};
use huisuan_study::{BoundBy, OpenbStudy, Search, packing::Packing, policies::nodes as of_nodes};
use serde::Serialize;

use super::policies::{Policies, one_or_all};
use crate::{
    failure::{Exit, Failure},
    output::fields,
    session::Session,
    table::{Cell, Listing},
    text,
};

/// The policy that is run when none is named.
const DEFAULT: &str = "default";

#[derive(Debug, Args)]
pub(crate) struct OpenbArgs {
    /// The list of nodes (`openb_node_list_*.csv`); packed with gzip or not.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    nodes: PathBuf,
    /// The list of tasks (`openb_pod_list_*.csv`); packed with gzip or not.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pods: PathBuf,
    /// random, dotprod, bestfit, fgd or default; `all` compares them.
    #[arg(long, value_name = "POLICY", default_value = DEFAULT, value_parser = policies)]
    policy: Policies<Packing>,
    /// Devices asked for in all, as a multiple of what the nodes have.
    #[arg(long, value_name = "FACTOR", default_value = "1.3", value_parser = load_permille)]
    load: u64,
    /// Seed of the order of arrival.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Runs this many seeds, from the given one on; mean and standard deviation are told.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u64).range(1..=1_000))]
    seeds: u64,
    /// Nodes that are looked at: `scan` all, `index` candidates as the live scheduler does; by size when absent.
    #[arg(long, value_enum, hide_possible_values = true, value_name = "SEARCH")]
    search: Option<SearchArg>,
}

/// The searches by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum SearchArg {
    Scan,
    Index,
}

fn load_permille(text: &str) -> Result<u64, String> {
    let load: f64 = text.parse().map_err(|_| "a number such as 1.3 is expected".to_owned())?;
    if (0.001..=100.0).contains(&load) {
        Ok((load * 1000.0).round() as u64)
    } else {
        Err("from 0.001 to 100 times the capacity is possible".to_owned())
    }
}

fn policies(text: &str) -> Result<Policies<Packing>, String> {
    one_or_all(text, &Packing::ALL, of_nodes)
}

/// The answer of `twin openb -o json` for one policy; for all of them, each is an element of `policies`.
/// Figures are means over the seeds.
#[derive(Debug, Serialize)]
struct Answer {
    policy: &'static str,
    search: &'static str,
    seed: u64,
    seeds: u64,
    load: f64,
    /// Percent of the devices, when as much was asked for; absent when the load is less.
    gpu_allocation_at_100: Option<f64>,
    gpu_allocation_at_130: Option<f64>,
    /// Percent at the end of the arrivals, with its standard deviation over the seeds.
    gpu_allocation: f64,
    gpu_allocation_sd: f64,
    /// Percent that no placement of these arrivals passes.
    upper_bound: f64,
    /// What it comes from for the first seed: `devices` where nothing below all of them was found, else `demand`,
    /// `room` (cores, memory, models) or `fractions`.
    bound_by: &'static str,
    /// Points from what was allocated to that bound.
    gap: f64,
    /// Percent that a placement reaches which knows all arrivals beforehand: perfect lies between it and the bound.
    /// Absent for fleets whose nodes are not all looked at.
    hindsight: Option<f64>,
    decisions: u64,
    placed: u64,
    /// Processor time of one run, without reading files.
    cpu_ms: f64,
    /// Of the first seed.
    decision_hash: String,
    /// Where the figures come from.
    mark: &'static str,
}

/// The answer for all policies.
#[derive(Debug, Serialize)]
struct Comparison<'a> {
    policies: &'a [Answer],
}

/// Runs and reports.
pub(crate) fn openb(session: &Session, args: &OpenbArgs) -> Result<(), Failure> {
    let output = session.output;
    let study = OpenbStudy::read(&args.nodes, &args.pods).map_err(failure)?;
    if study.nodes.capacity_thousandths() == 0 {
        let message = format!("file `{}`: no node has a device", args.nodes.display());
        return Err(Failure::new(Exit::Usage, message).hint("take the list of GPU nodes or of all nodes"));
    }
    let (tasks, nodes) = (study.tasks.len() as u64, study.nodes.rooms.len() as u64);
    let devices = study.nodes.capacity_thousandths() / 1000;
    let about = [text::count(tasks, "task"), text::count(nodes, "node"), text::count(devices, "device")];
    output.remark(&format!("{} drawn for {} with {}, seed {}", about[0], about[1], about[2], args.seed));
    let answers: Vec<Answer> = args.policy.0.iter().map(|&policy| answer(&study, args, policy)).collect();
    match answers.as_slice() {
        [answer] => output.one(answer, || listing(&answers), |_| people(answer)),
        _ => output.list(&Comparison { policies: &answers }, &answers, "no policy", || listing(&answers)),
    }
}

fn answer(study: &OpenbStudy, args: &OpenbArgs, policy: Packing) -> Answer {
    let search = match args.search {
        Some(SearchArg::Scan) => Search::Scan,
        Some(SearchArg::Index) => Search::Index,
        None => Search::of(study.nodes.rooms.len()),
    };
    let capacity = study.nodes.capacity_thousandths() as f64;
    let mut cpu_ns = 0;
    let mut outcomes = Vec::new();
    let (mut bounds, mut reached, mut bound_by) = (Vec::new(), Vec::new(), None);
    let small = Search::of(study.nodes.rooms.len()) == Search::Scan;
    for seed in (0..args.seeds).map(|number| args.seed.wrapping_add(number)) {
        let arrivals = study.arrivals(args.load, seed);
        let before_ns = thread_cpu_ns();
        outcomes.push(study.run(policy, search, &arrivals, seed));
        cpu_ns += thread_cpu_ns() - before_ns;
        let (bound, by) = study.upper_bound_percent(&arrivals);
        bounds.push(bound);
        bound_by.get_or_insert(by);
        if small {
            reached.push(study.hindsight_percent(&arrivals));
        }
    }
    let at = |percent| {
        let values: Option<Vec<f64>> = outcomes.iter().map(|outcome| outcome.curve.at(percent)).collect();
        values.map(|values| rounded(mean(&values)))
    };
    let ends: Vec<f64> =
        outcomes.iter().map(|outcome| outcome.allocated_thousandths as f64 * 100.0 / capacity).collect();
    Answer {
        policy: policy.name(),
        search: search.name(),
        seed: args.seed,
        seeds: args.seeds,
        load: args.load as f64 / 1000.0,
        gpu_allocation_at_100: at(100),
        gpu_allocation_at_130: at(130),
        gpu_allocation: rounded(mean(&ends)),
        gpu_allocation_sd: rounded(deviation(&ends)),
        upper_bound: rounded(mean(&bounds)),
        bound_by: word(bound_by.expect("at least one seed is run")),
        gap: rounded(mean(&bounds) - mean(&ends)),
        hindsight: small.then(|| rounded(mean(&reached))),
        decisions: outcomes.iter().map(|outcome| outcome.decisions).sum::<u64>() / args.seeds,
        placed: outcomes.iter().map(|outcome| outcome.placed).sum::<u64>() / args.seeds,
        cpu_ms: cpu_ns as f64 / 1e6 / args.seeds as f64,
        decision_hash: format!("{:016x}", outcomes[0].decision_hash),
        mark: "modelled",
    }
}

fn people(answer: &Answer) -> String {
    let percent = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2} %"));
    fields(&[
        ("policy", answer.policy.to_owned()),
        ("allocated at 100 %", percent(answer.gpu_allocation_at_100)),
        ("allocated at 130 %", percent(answer.gpu_allocation_at_130)),
        ("at the end", format!("{:.2} %, sd {:.2}", answer.gpu_allocation, answer.gpu_allocation_sd)),
        ("with hindsight", percent(answer.hindsight)),
        ("no policy passes", format!("{:.2} %: {}", answer.upper_bound, why(answer.bound_by))),
        ("gap to that", format!("{:.2} points", answer.gap)),
        ("decisions", text::grouped(answer.decisions)),
        ("processor time", format!("{:.1} ms", answer.cpu_ms)),
        ("decision hash", answer.decision_hash.clone()),
    ])
}

fn word(by: BoundBy) -> &'static str {
    match by {
        BoundBy::Demand => "demand",
        BoundBy::Devices => "devices",
        BoundBy::Room => "room",
        BoundBy::Fractions => "fractions",
    }
}

/// Why nothing passes the bound.
fn why(by: &str) -> &'static str {
    match by {
        "demand" => "no more is asked for",
        "room" => "cores, memory or models are too few for more",
        "fractions" => "too few tasks fill whole devices, alone or together",
        _ => "no bound below all devices found, for tasks that fill them fit in sum",
    }
}

fn listing(answers: &[Answer]) -> Listing {
    let columns = ["policy", "gpu_allocation_at_100", "gpu_allocation_at_130", "upper_bound", "decisions", "cpu_ms"];
    let mut listing = Listing::with_details(
        &columns,
        &["gap", "bound_by", "hindsight", "gpu_allocation_sd", "search", "decision_hash"],
    );
    for answer in answers {
        let percent = |value: Option<f64>| match value {
            Some(value) => Cell::figure(format!("{value:.2} %"), value),
            None => Cell::none(),
        };
        listing.row(vec![
            Cell::text(answer.policy),
            percent(answer.gpu_allocation_at_100),
            percent(answer.gpu_allocation_at_130),
            percent(Some(answer.upper_bound)),
            Cell::figure(text::grouped(answer.decisions), answer.decisions),
            Cell::figure(format!("{:.1} ms", answer.cpu_ms), answer.cpu_ms),
            Cell::figure(format!("{:.2}", answer.gap), answer.gap),
            Cell::text(answer.bound_by),
            percent(answer.hindsight),
            Cell::figure(format!("{:.2}", answer.gpu_allocation_sd), answer.gpu_allocation_sd),
            Cell::text(answer.search),
            Cell::text(&answer.decision_hash),
        ]);
    }
    listing
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation of a sample; zero of a single value.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if values.len() < 2 { 0.0 } else { (squares / (values.len() - 1) as f64).sqrt() }
}

/// To a ten-thousandth of a percent: a device in 6,000 is 160 of these.
fn rounded(percent: f64) -> f64 {
    (percent * 1e4).round() / 1e4
}

/// Processor time of this thread: what else runs on the machine does not count.
fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// An error of a file: its first part says what is wrong, what follows `hint:` what to do.
fn failure(error: impl fmt::Display) -> Failure {
    let text = error.to_string();
    match text.split_once("\nhint: ") {
        Some((message, hint)) => Failure::new(Exit::Usage, message).hint(hint),
        None => Failure::new(Exit::Usage, text),
    }
}

//! `twin run`: one scenario, one report.

use std::{
    fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use huisuan_study::{
    plot::charts,
    report::{Cost, Line, Moved, NetworkFigures, Report, csv},
    scenario::{Scenario, read_scenario},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{
    one_queue,
    policies::{Chosen, chosen, said},
    spent::Spent,
};
use crate::{
    failure::Failure,
    output::{Output, fields},
    session::Session,
    table::{Cell, Listing},
};

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The scenario file.
    #[arg(value_name = "SCENARIO", value_hint = ValueHint::FilePath)]
    pub(crate) scenario: PathBuf,
    /// Another seed than the file's.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another policy than the file's: one of its own, or balanced, soonest, cheapest, tightest; in a scenario of one
    /// pool also one of a queue: fifo, easy, easy-sjbf, conservative, saf-guard.
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<String>,
    /// Writes report.json, series.csv and plots there.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,
}

/// The answer of `twin run -o json`.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(flatten)]
    spent: Spent,
}

/// Runs and reports.
pub(crate) fn run(session: &Session, args: &RunArgs) -> Result<(), Failure> {
    let scenario = match chosen(load(&args.scenario, args.seed, None)?, args.policy.as_deref())? {
        Chosen::Network(scenario) => scenario,
        Chosen::Queue(queue, policy) => return one_queue::run(session, args, &queue, policy),
    };
    let (report, lines) = simulate(session, &scenario);
    if let Some(folder) = &args.out {
        write(folder, &report, &lines)?;
    }
    let answer = Answer { report: &report, spent: Spent::now() };
    session.output.one(&answer, || listing(&report), |output| people(output, &answer))
}

/// Reads a scenario; a file that says nonsense is a mistake of use.
pub(super) fn load(path: &Path, seed: Option<u64>, policy: Option<&str>) -> Result<Scenario, Failure> {
    let mut scenario = read_scenario(path).map_err(refused)?;
    if let Some(name) = policy {
        scenario = scenario.with_policy(name).map_err(said)?;
    }
    Ok(match seed {
        Some(seed) => scenario.with_seed(seed),
        None => scenario,
    })
}

pub(super) fn refused(error: huisuan_study::read::ReadError) -> Failure {
    said(error)
}

/// Runs a scenario with a bar on a terminal.
pub(super) fn simulate(session: &Session, scenario: &Scenario) -> (Report, Vec<Line>) {
    let hidden = session.output.quiet || !io::stderr().is_terminal();
    let bar = if hidden { ProgressBar::hidden() } else { ProgressBar::new(1_000) };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent} % of the simulated time, {eta} to go");
    bar.set_style(style.expect("the constant is a template"));
    bar.set_message(scenario.name.clone());
    let outcome = huisuan_study::run(scenario, |part| bar.set_position((part * 1_000.0) as u64));
    bar.finish_and_clear();
    outcome
}

fn write(folder: &Path, report: &Report, lines: &[Line]) -> Result<(), Failure> {
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| Failure::file("written", &path, &error))
    };
    fs::create_dir_all(folder).map_err(|error| Failure::file("made", folder, &error))?;
    let json = serde_json::to_string_pretty(report).expect("a report has string keys");
    put("report.json", &(json + "\n"))?;
    put("series.csv", &csv(lines))?;
    charts(report, lines).iter().try_for_each(|(name, chart)| put(&format!("{name}.svg"), &chart.svg()))
}

fn seconds(value: f64) -> String {
    format!("{value:.1} s")
}

fn people(output: &Output, answer: &Answer<'_>) -> String {
    let report = answer.report;
    let head = fields(&[
        ("scenario", format!("{} ({}), MODELLED: simulated, not measured", report.scenario, report.title.en)),
        ("policy", format!("{}, seed {}", report.policy, report.seed)),
        ("simulated", format!("{:.1} h", report.simulated_s / 3_600.0)),
        ("jobs", format!("{}, {} refused", report.jobs, report.refused)),
        ("tasks placed", format!("{} in {} cycles", report.placements, report.cycles)),
        ("of these improved", format!("{}, for which others moved", report.improved)),
        ("cost", format!("{:.2} {}", report.cost.amount as f64 / 1e6, report.cost.currency)),
        ("energy", format!("{:.0} kWh, {:.0} kg CO2", report.energy_kwh, report.carbon_kg)),
        ("network level", report.network.as_ref().map(network_level).unwrap_or_default()),
        ("decisions", report.decision_hash.clone()),
        ("took", format!("{} ms of processor time, {} MB", answer.spent.cpu_ms, answer.spent.peak_rss_mb)),
    ]);
    let figures = output.table(&listing(report));
    if report.transfers.is_empty() {
        return format!("{head}\n\n{figures}");
    }
    let moved = report.moved.as_ref().map(moved).unwrap_or_default();
    format!("{head}\n\n{figures}\n\nAway from data and users{moved}:\n{}", output.table(&away(report)))
}

/// What ran away from home, in one line.
fn moved(moved: &Moved) -> String {
    let cny = |cost: Cost| cost.amount as f64 / 1e6;
    let latency = moved.round_trip_ms_mean.map_or_else(String::new, |ms| format!(", {ms:.1} ms there and back"));
    let (net, transfer) = (&moved.net, &moved.transfer);
    format!(
        ": {} tasks ({:.1} %), {:.0} GiB moved for {:.2} CNY and {:.1} kWh; saved, net of that, {:.2} CNY, {:.2} CNY of \
         power and {:.0} kg CO2; added {:.1} s for data ({:.1} s expected){latency}",
        moved.tasks,
        moved.tasks_percent,
        moved.gib,
        cny(transfer.price),
        transfer.energy_kwh,
        cny(net.saved),
        cny(net.energy_saved),
        net.carbon_saved_kg,
        moved.staging_s_mean,
        moved.staging_expected_s_mean,
    )
}

fn network_level(figures: &NetworkFigures) -> String {
    let (mean, max) = (figures.gap_percent_mean, figures.gap_percent_max);
    format!("{} plans, {mean:.2} % from their bounds on average, {max:.2} % at worst", figures.plans)
}

/// What ran away from home: what moved, what that saved, what it added.
fn away(report: &Report) -> Listing {
    let columns = ["family", "to", "tasks", "moved_gib", "delay_s", "expected_s", "round_trip_ms", "saved_cny"];
    let details = ["delay_max_s", "transfer_cny", "transfer_kwh", "transfer_carbon_kg"];
    let mut listing =
        Listing::with_details(&[&columns[..], &["power_saved_cny", "carbon_saved_kg"]].concat(), &details);
    for transfer in &report.transfers {
        let figure = |value: f64| Cell::figure(format!("{value:.1}"), value);
        listing.row(vec![
            Cell::text(&transfer.family),
            Cell::text(&transfer.to),
            Cell::figure(transfer.tasks, transfer.tasks),
            figure(transfer.gib),
            figure(transfer.staging_s),
            figure(transfer.staging_expected_s),
            transfer.round_trip_ms.map_or_else(Cell::none, figure),
            figure(transfer.saved.amount as f64 / 1e6),
            figure(transfer.energy_saved.amount as f64 / 1e6),
            figure(transfer.carbon_saved_kg),
            figure(transfer.staging_s_max),
            figure(transfer.transfer.price.amount as f64 / 1e6),
            figure(transfer.transfer.energy_kwh),
            figure(transfer.transfer.carbon_kg),
        ]);
    }
    listing
}

fn listing(report: &Report) -> Listing {
    let columns =
        ["kind", "name", "jobs", "allocated", "used", "wait_p50_s", "wait_p95_s", "wait_max_s", "delivered_p_h"];
    let mut listing = Listing::new(&columns);
    for (class, figures) in &report.classes {
        let wait = |figure: fn(&huisuan_study::report::Waits) -> f64| match &figures.wait_s {
            Some(waits) => Cell::figure(seconds(figure(waits)), figure(waits)),
            None => Cell::none(),
        };
        listing.row(vec![
            Cell::text("class"),
            Cell::text(class),
            Cell::none(),
            Cell::figure(format!("{:.1} %", figures.allocated * 100.0), figures.allocated),
            Cell::figure(format!("{:.1} %", figures.used * 100.0), figures.used),
            wait(|waits| waits.p50),
            wait(|waits| waits.p95),
            wait(|waits| waits.max),
            Cell::figure(format!("{:.1}", figures.delivered_p_h), figures.delivered_p_h),
        ]);
    }
    for (kind, groups) in [("family", &report.families), ("tenant", &report.tenants)] {
        for (name, group) in groups {
            let wait = |figure: fn(&huisuan_study::report::Waits) -> f64| match &group.wait_s {
                Some(waits) => Cell::figure(seconds(figure(waits)), figure(waits)),
                None => Cell::none(),
            };
            let p_h: f64 = group.usage_p_h.values().sum();
            listing.row(vec![
                Cell::text(kind),
                Cell::text(name),
                Cell::figure(group.jobs.to_string(), group.jobs),
                Cell::none(),
                Cell::none(),
                wait(|waits| waits.p50),
                wait(|waits| waits.p95),
                wait(|waits| waits.max),
                if group.usage_p_h.len() == 1 { Cell::figure(format!("{p_h:.1}"), p_h) } else { Cell::none() },
            ]);
        }
    }
    listing
}

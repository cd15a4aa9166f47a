//! `twin import`: what happened at a site becomes a workload and a network; with `--run`, what our policy would have
//! made of it.

use std::{
    fmt::Write as _,
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueHint};
use huisuan_study::{
    import::{self, Comparison, Fate, Group, ImportError, Network, Options, Simulation, SiteImport},
    read::{sacct, sinfo},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::spent::Spent;
use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Session,
    table::{Cell, Listing},
    text,
};

/// What can be imported.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// A Slurm site, from a dump of its accounting.
    #[command(after_help = site_commands())]
    Sacct(SacctArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SacctArgs {
    /// The dump; packed with gzip or not.
    #[arg(value_name = "DUMP", value_hint = ValueHint::FilePath)]
    dump: PathBuf,
    /// The site's nodes, from `sinfo`; without them a centre is as large as its jobs at once ever were.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    nodes: Option<PathBuf>,
    /// The time zone of the dump, such as `Asia/Shanghai`, where its times are local.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Writes a scenario with its jobs, the workload and this report there; with --run also every job's waits.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    out: Option<PathBuf>,
    /// Runs the jobs again under our default policy and shows both waits side by side.
    #[arg(long)]
    run: bool,
    /// With --run: jobs may go to every centre with their hardware, not only to where they ran.
    #[arg(long, requires = "run")]
    anywhere: bool,
    /// With --run: how many users are shown, those with the most core hours first.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
}

/// What to run at the site.
fn site_commands() -> String {
    format!("At the site:\n  {} > dump\n  {} > nodes", sacct::COMMAND, sinfo::COMMAND)
}

/// The answer of `twin import sacct -o json`.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    /// Jobs that ran.
    jobs: u64,
    /// From the first submission to the last end.
    from: &'a str,
    until: &'a str,
    /// Lines of the dump, and what was left out.
    dump: sacct::SacctCounts,
    #[serde(flatten)]
    network: &'a Network,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Run>,
}

/// What `--run` found.
#[derive(Debug, Serialize)]
struct Run {
    policy: String,
    #[serde(flatten)]
    comparison: Comparison,
    decision_hash: String,
    cycles: u64,
    #[serde(flatten)]
    spent: Spent,
    /// What the figures do not know.
    caveats: Vec<String>,
    mark: &'static str,
}

/// Imports.
pub(crate) fn import(session: &Session, command: &ImportCommand) -> Result<(), Failure> {
    let ImportCommand::Sacct(args) = command;
    let site = import::import_sacct(&args.dump, args.nodes.as_deref(), args.zone.as_deref()).map_err(failure)?;
    if let Some(folder) = &args.out {
        fs::create_dir_all(folder).map_err(|error| Failure::file("made", folder, &error))?;
        write(folder, "workload.csv", &site.workload.to_csv())?;
        let name = args.dump.file_stem().unwrap_or_default().to_string_lossy();
        write(folder, "scenario.toml", &import::scenario_toml(&name, &site.workload, &site.network))?;
        write(folder, import::JOBS_FILE, &import::jobs_csv(&site.workload, &site.network, args.anywhere))?;
    }
    let run = if args.run { Some(run(session, args, &site)?) } else { None };
    let answer = Answer {
        jobs: site.workload.jobs.len() as u64,
        from: &site.span.0,
        until: &site.span.1,
        dump: site.counts,
        network: &site.network,
        run,
    };
    if let Some(folder) = &args.out {
        write(folder, "report.json", &pretty(&answer))?;
    }
    let listing =
        || answer.run.as_ref().map_or_else(|| centres(&site.network), |run| groups(&run.comparison, usize::MAX));
    session.output.one(&answer, listing, |output| people(output, &answer, args.top))
}

fn run(session: &Session, args: &SacctArgs, site: &SiteImport) -> Result<Run, Failure> {
    let options = Options { anywhere: args.anywhere, ..Options::default() };
    let bar = bar(session.output, site.workload.jobs.len() as u64);
    let simulation = import::simulate(&site.workload, &site.network, &options, |jobs, _| bar.set_position(jobs));
    bar.finish_and_clear();
    if let Some(folder) = &args.out {
        write(folder, "waits.csv", &fates(site, &simulation))?;
    }
    Ok(Run {
        policy: options.policy.name.clone(),
        comparison: import::compare(&site.workload, &simulation),
        decision_hash: simulation.decision_hash,
        cycles: simulation.cycles,
        spent: Spent::now(),
        caveats: site.caveats(&options),
        mark: "modelled",
    })
}

fn bar(output: Output, jobs: u64) -> ProgressBar {
    if output.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("simulating {bar:30} {pos}/{len} jobs").expect("the constant is a template");
    ProgressBar::new(jobs).with_style(style)
}

fn failure(error: ImportError) -> Failure {
    let text = error.to_string();
    match text.split_once("\nhint: ") {
        Some((message, hint)) => Failure::new(Exit::Usage, message).hint(hint),
        None => {
            Failure::new(Exit::Usage, text).hint("see `huisuan twin import sacct --help` for the form of the files")
        }
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let file = folder.join(name);
    fs::write(&file, text).map_err(|error| Failure::file("written", &file, &error))
}

fn pretty<T: Serialize>(object: &T) -> String {
    serde_json::to_string_pretty(object).expect("our types have string keys") + "\n"
}

/// Every job with both of its waits.
fn fates(site: &SiteImport, simulation: &Simulation) -> String {
    let mut csv = "name,observed_wait_ms,modelled_wait_ms\n".to_owned();
    for (job, fate) in site.workload.jobs.iter().zip(&simulation.fates) {
        let observed = job.observed_wait_ms.map_or_else(String::new, |wait_ms| wait_ms.to_string());
        let modelled = if let Fate::Started { wait_ms } = fate { wait_ms.to_string() } else { String::new() };
        // Numbers of jobs, with an array's index at most: nothing to be quoted.
        let _ = writeln!(csv, "{},{observed},{modelled}", job.name.replace([',', '"'], " "));
    }
    csv
}

fn people(output: &Output, answer: &Answer<'_>, top: usize) -> String {
    let mut said = format!("{} ran from {} to {}", text::count(answer.jobs, "job"), answer.from, answer.until);
    let dump = &answer.dump;
    let left_out = [
        (dump.steps, "of steps"),
        (dump.pending, "still pending"),
        (dump.never_started, "never started"),
        (dump.without_cores, "without cores"),
    ];
    let left_out: Vec<String> = left_out
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", text::grouped(*count)))
        .collect();
    if !left_out.is_empty() {
        let _ = write!(said, "; lines left out: {}", left_out.join(", "));
    }
    let _ = write!(said, "\n\n{}", output.table(&centres(answer.network)));
    if let Some(run) = &answer.run {
        let _ = write!(said, "\n\nWaits as they were (observed), and under policy `{}` (modelled):\n\n", run.policy);
        said.push_str(&output.table(&groups(&run.comparison, top)));
        for (count, what) in
            [(run.comparison.refused, "larger than its centre"), (run.comparison.never_started, "that never started")]
        {
            if count > 0 {
                let _ = write!(said, "\n{} {what}", text::count(count, "job"));
            }
        }
        let _ = write!(said, "\n\nWhat the modelled figures do not know:\n- {}", run.caveats.join("\n- "));
    }
    said
}

fn centres(network: &Network) -> Listing {
    let mut listing = Listing::new(&["centre", "partitions", "pool", "cores", "memory_bytes", "devices", "sized_by"]);
    for centre in &network.centres {
        let sized_by = match centre.sized_by {
            import::SizedBy::Nodes => "nodes",
            import::SizedBy::Peak => "peak",
        };
        for pool in &centre.pools {
            listing.row(vec![
                Cell::text(&centre.name),
                Cell::text(centre.partitions.join(" ")),
                Cell::text(&pool.part),
                Cell::figure(text::grouped(pool.cores), pool.cores),
                Cell::figure(text::memory(pool.memory_bytes), pool.memory_bytes),
                Cell::figure(text::grouped(pool.devices), pool.devices),
                Cell::text(sized_by),
            ]);
        }
    }
    listing
}

fn groups(comparison: &Comparison, top: usize) -> Listing {
    let mut listing = Listing::with_details(
        &[
            "of",
            "name",
            "jobs",
            "core_h",
            "mean_observed_ms",
            "mean_modelled_ms",
            "p95_observed_ms",
            "p95_modelled_ms",
            "slowdown_observed",
            "slowdown_modelled",
        ],
        &["device_h", "p50_observed_ms", "p50_modelled_ms", "max_observed_ms", "max_modelled_ms"],
    );
    let rows = std::iter::once(("all", &comparison.all))
        .chain(comparison.partitions.iter().map(|group| ("partition", group)))
        .chain(comparison.users.iter().take(top).map(|group| ("user", group)));
    for (of, group) in rows {
        listing.row(row(of, group));
    }
    listing
}

fn row(of: &str, group: &Group) -> Vec<Cell> {
    let seconds = |value: f64| {
        let ms = (value * 1000.0).round() as u64;
        Cell::figure(text::span(ms), ms)
    };
    let ratio = |value: f64| Cell::figure(format!("{value:.2}"), value);
    let (was, would_be) = (&group.observed, &group.modelled);
    vec![
        Cell::text(of),
        Cell::text(&group.name),
        Cell::figure(text::grouped(group.jobs), group.jobs),
        Cell::figure(text::grouped(group.core_h as u64), group.core_h),
        seconds(was.mean_s),
        seconds(would_be.mean_s),
        seconds(was.p95_s),
        seconds(would_be.p95_s),
        ratio(was.mean_bounded_slowdown),
        ratio(would_be.mean_bounded_slowdown),
        Cell::figure(text::grouped(group.device_h as u64), group.device_h),
        seconds(was.p50_s),
        seconds(would_be.p50_s),
        seconds(was.max_s),
        seconds(would_be.max_s),
    ]
}

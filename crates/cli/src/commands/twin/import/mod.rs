//! `twin import`: files from outside become a workload and a network, or the hours of a centre; with `--run`, what our
//! policy makes of them.

mod people;

use std::{
    fmt::Write as _,
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint, builder::PossibleValuesParser, value_parser};
use huisuan_study::{
    import::{
        self, Assumptions, Comparison, Fate, Format, Gives, HoursOfDay, ImportError, Imported, JOBS_FILE, LeftOut,
        Made, Network, NetworkFile, Options, SEED, Simulation, TokenRates,
    },
    read::{sacct, sinfo},
    report::Report,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{
    policies::{of_network, queue_policy, said},
    run::{refused, simulate},
    spent::Spent,
};
use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Session,
};

#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub(crate) struct ImportArgs {
    /// What the files are, as listed below.
    #[arg(value_name = "FORMAT", value_parser = PossibleValuesParser::new(Format::ALL.map(|row| row.1)),
        hide_possible_values = true)]
    format: String,
    /// The files; packed with gzip or not. Jobs of several traces are put together.
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// A scenario to put the jobs or hours into; without it a network is made from the jobs.
    #[arg(long, value_name = "SCENARIO", value_hint = ValueHint::FilePath)]
    network: Option<PathBuf>,
    /// prices, carbon: the centre of the network that they are of.
    #[arg(long, value_name = "CENTRE")]
    centre: Option<String>,
    /// sacct: the site's nodes, from `sinfo`; without them a centre is as large as its jobs at once ever were.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    nodes: Option<PathBuf>,
    /// sacct, prices, carbon: the time zone of clocks there, such as `Asia/Shanghai`.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// philly, sia, azure: cores beside each GPU, which the trace does not tell.
    #[arg(long, value_name = "N", default_value_t = Assumptions::default().cores_per_device,
        value_parser = value_parser!(u32).range(1..=1_000))]
    cores_per_device: u32,
    /// sia: how long each job runs, in seconds, which the trace does not tell.
    #[arg(long, value_name = "SECONDS", default_value_t = Assumptions::default().run_ms / 1_000,
        value_parser = value_parser!(u64).range(1..=31_622_400))]
    run_time: u64,
    /// azure: tokens of a prompt that a GPU reads in a second.
    #[arg(long, value_name = "N", default_value_t = Assumptions::default().tokens_per_s.prompt,
        value_parser = value_parser!(u32).range(1..))]
    prompt_rate: u32,
    /// azure: tokens of an answer that a GPU writes in a second.
    #[arg(long, value_name = "N", default_value_t = Assumptions::default().tokens_per_s.answer,
        value_parser = value_parser!(u32).range(1..))]
    answer_rate: u32,
    /// prices: yuan for one euro.
    #[arg(long, value_name = "YUAN", default_value_t = Assumptions::default().cny_per_eur, value_parser = exchange_rate)]
    cny_per_eur: f64,
    /// Writes a scenario with its jobs, the workload and this report there; with --run also every job's waits.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    out: Option<PathBuf>,
    /// Runs it under our default policy and shows the waits, beside those of the trace where it tells them.
    #[arg(long)]
    run: bool,
    /// With --run: another policy than the network's, as in `twin run`.
    #[arg(long, value_name = "POLICY", requires = "run")]
    policy: Option<String>,
    /// With --run: jobs may go to every centre with their hardware, not only to where they ran.
    #[arg(long, requires = "run")]
    anywhere: bool,
    /// With --run: how many users are shown, those with the most core hours first.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
}

fn exchange_rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok().filter(|rate| (0.01..=100.0).contains(rate));
    rate.ok_or_else(|| "a number from 0.01 to 100 is expected".to_owned())
}

/// The table of formats, and what to run at a site.
fn after_help() -> String {
    let mut text = "Formats:\n".to_owned();
    for (_, name, _, is) in Format::ALL {
        let _ = writeln!(text, "  {name:8}{is}");
    }
    let _ = write!(text, "\nFor sacct, at the site:\n  {} > dump\n  {} > nodes", sacct::COMMAND, sinfo::COMMAND);
    text
}

/// The answer of `twin import -o json` for formats of jobs.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    format: &'static str,
    /// Jobs that ran.
    jobs: u64,
    /// From the first submission to the last end.
    from: &'a str,
    until: &'a str,
    /// Lines of a dump of `sacct`, and what was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    dump: Option<sacct::SacctCounts>,
    /// What was left out of other files, and why.
    left_out: &'a [LeftOut],
    /// What the files do not tell and what stood in for it.
    assumed: &'a [String],
    /// Of the scenario; nothing in it is drawn.
    seed: u64,
    /// The network that was given; absent where one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    #[serde(flatten)]
    made: Option<&'a Network>,
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

/// The answer for formats of hours.
#[derive(Debug, Serialize)]
struct HoursAnswer<'a> {
    format: &'static str,
    network: String,
    centre: &'a str,
    #[serde(flatten)]
    hours: &'a HoursOfDay,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Report>,
}

/// Imports.
pub(crate) fn import(session: &Session, args: &ImportArgs) -> Result<(), Failure> {
    let format = Format::of(&args.format).expect("clap lets only formats in");
    let tokens_per_s = TokenRates { prompt: args.prompt_rate, answer: args.answer_rate };
    let assume = Assumptions {
        cores_per_device: args.cores_per_device,
        run_ms: args.run_time * 1_000,
        tokens_per_s,
        cny_per_eur: args.cny_per_eur,
    };
    let network = args.network.as_deref().map(NetworkFile::read).transpose().map_err(refused)?;
    match (format.gives(), network) {
        (Gives::Hours, Some(network)) => hours(session, args, format, &network, &assume),
        (Gives::Hours, None) => {
            let message = format!("format `{}` gives the hours of a centre, and no network was given", format.name());
            Err(Failure::new(Exit::Usage, message)
                .hint("name a scenario and one of its centres: --network FILE --centre NAME"))
        }
        (Gives::Jobs, network) => jobs(session, args, format, network.as_ref(), &assume),
    }
}

/// The only file of formats that read one.
fn only(args: &ImportArgs, format: Format) -> Result<&Path, Failure> {
    match args.files.as_slice() {
        [file] => Ok(file),
        files => Err(failure(ImportError::OneFile { format: format.name(), files: files.len() })),
    }
}

fn hours(
    session: &Session,
    args: &ImportArgs,
    format: Format,
    network: &NetworkFile,
    assume: &Assumptions,
) -> Result<(), Failure> {
    let file = only(args, format)?;
    let Some(centre) = args.centre.as_deref() else {
        let message = format!("format `{}` gives the hours of a centre, and none was named", format.name());
        return Err(Failure::new(Exit::Usage, message).hint("name one of the network: --centre NAME"));
    };
    let zone = args.zone.as_deref();
    let (made, hours) = import::import_hours(format, file, zone, network, centre, assume).map_err(failure)?;
    let scenario = made.scenario().map_err(refused)?;
    let seed = scenario.setup.seed;
    let run = args.run.then(|| simulate(session, &scenario).0);
    let named = args.network.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let answer = HoursAnswer { format: format.name(), network: named, centre, hours: &hours, seed, run };
    if let Some(folder) = &args.out {
        write_made(folder, &made)?;
        write(folder, "report.json", &pretty(&answer))?;
    }
    session.output.one(&answer, || people::of_hours(&hours), |output| people::hours(output, &answer))
}

fn jobs(
    session: &Session,
    args: &ImportArgs,
    format: Format,
    network: Option<&NetworkFile>,
    assume: &Assumptions,
) -> Result<(), Failure> {
    let imported = match format {
        Format::Sacct => import::import_sacct(only(args, format)?, args.nodes.as_deref(), args.zone.as_deref()),
        _ => import::import_jobs(format, &args.files, assume),
    };
    let imported = imported.map_err(failure)?;
    let name = args.files[0].file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let made = network.map(|network| network.with_jobs(&name, &imported));
    if let Some(folder) = &args.out {
        fs::create_dir_all(folder).map_err(|error| Failure::file("made", folder, &error))?;
        write(folder, "workload.csv", &imported.workload.to_csv())?;
        match &made {
            Some(made) => write_made(folder, made)?,
            None => {
                write(folder, "scenario.toml", &imported.scenario_toml(&name))?;
                let jobs = import::jobs_csv(&imported.workload, &imported.network, args.anywhere);
                write(folder, JOBS_FILE, &jobs)?;
            }
        }
    }
    let run = if args.run { Some(run(session, args, &imported, made.as_ref())?) } else { None };
    let answer = Answer {
        format: format.name(),
        jobs: imported.workload.jobs.len() as u64,
        from: &imported.span.0,
        until: &imported.span.1,
        dump: imported.counts,
        left_out: &imported.left_out,
        assumed: &imported.assumed,
        seed: SEED,
        network: args.network.as_ref().map(|path| path.display().to_string()),
        made: made.is_none().then_some(&imported.network),
        run,
    };
    if let Some(folder) = &args.out {
        write(folder, "report.json", &pretty(&answer))?;
    }
    session.output.one(&answer, || people::listing(&answer), |output| people::jobs(output, &answer, args.top))
}

fn run(session: &Session, args: &ImportArgs, imported: &Imported, made: Option<&Made>) -> Result<Run, Failure> {
    let mut options = Options { anywhere: args.anywhere || made.is_some(), ..Options::default() };
    let name = args.policy.as_deref();
    let jobs = imported.workload.jobs.len();
    let bar = bar(session.output, jobs as u64);
    let progress = |jobs, _| bar.set_position(jobs);
    let (simulation, policy) = match made {
        None => match name.and_then(queue_policy) {
            Some(policy) => {
                let ran = import::simulate_queue(&imported.workload, &imported.network, &options, policy);
                (ran.map_err(said)?, policy.name().to_owned())
            }
            None => {
                options.policy = name.map(of_network).transpose()?.unwrap_or_default();
                let ran = import::simulate(&imported.workload, &imported.network, &options, progress);
                (ran, options.policy.name.clone())
            }
        },
        Some(made) => {
            let mut scenario = made.scenario().map_err(refused)?;
            if let Some(name) = name {
                scenario = scenario.with_policy(name).map_err(said)?;
            }
            let policy = scenario.setup.planning.policy.name.clone();
            (import::simulate_made(made, &scenario, jobs, progress), policy)
        }
    };
    bar.finish_and_clear();
    if let Some(folder) = &args.out {
        write(folder, "waits.csv", &fates(imported, &simulation))?;
    }
    Ok(Run {
        policy,
        comparison: import::compare(&imported.workload, &simulation),
        decision_hash: simulation.decision_hash,
        cycles: simulation.cycles,
        spent: Spent::now(),
        caveats: imported.caveats(&options),
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
        None => Failure::new(Exit::Usage, text)
            .hint("see `huisuan twin import --help` and docs/traces.md for the form of the files"),
    }
}

fn write_made(folder: &Path, made: &Made) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::file("made", folder, &error))?;
    write(folder, "scenario.toml", &made.toml.text)?;
    made.traces.iter().try_for_each(|(name, text)| write(folder, name, &text.text))
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let file = folder.join(name);
    fs::write(&file, text).map_err(|error| Failure::file("written", &file, &error))
}

fn pretty<T: Serialize>(object: &T) -> String {
    serde_json::to_string_pretty(object).expect("our types have string keys") + "\n"
}

/// Every job with both of its waits.
fn fates(imported: &Imported, simulation: &Simulation) -> String {
    let mut csv = "name,observed_wait_ms,modelled_wait_ms\n".to_owned();
    for (job, fate) in imported.workload.jobs.iter().zip(&simulation.fates) {
        let observed = job.observed_wait_ms.map_or_else(String::new, |wait_ms| wait_ms.to_string());
        let modelled = if let Fate::Started { wait_ms } = fate { wait_ms.to_string() } else { String::new() };
        // Numbers of jobs, with an array's index at most: nothing to be quoted.
        let _ = writeln!(csv, "{},{observed},{modelled}", job.name.replace([',', '"'], " "));
    }
    csv
}

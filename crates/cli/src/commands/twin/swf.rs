//! `twin swf`: the log of a parallel machine, replayed under the policies of one queue.

use std::{fmt, io::IsTerminal, path::PathBuf};

use clap::{Args, ValueEnum, ValueHint, value_parser};
use huisuan_study::{
    policies::queue as of_queues,
    read::{read_swf, read_text},
    swf::{self, Filter, QueuePolicy, Report, Requests, Workload},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::policies::{Policies, one_or_all};
use crate::{
    failure::{Exit, Failure},
    output::{Output, fields},
    session::Session,
    table::{Cell, Listing},
    text,
};

#[derive(Debug, Args)]
pub(crate) struct SwfArgs {
    /// A log in the Standard Workload Format; packed with gzip or not.
    #[arg(value_name = "LOG", value_hint = ValueHint::FilePath)]
    log: PathBuf,
    /// fifo, easy, easy-sjbf, conservative, saf-guard or default; `all` compares them.
    #[arg(long, value_name = "POLICY", default_value = "all", value_parser = policies)]
    policy: Policies<QueuePolicy>,
    /// Processors of the machine; as many as the log's header says when absent.
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=1_000_000_000))]
    procs: Option<u64>,
    /// What is left out first: `study` drops jobs without processors, run time or requested time and cuts run
    /// times to what was requested; `none` drops only what cannot run.
    #[arg(long, value_enum, default_value_t, hide_possible_values = true, value_name = "FILTER")]
    filter: FilterArg,
}

/// The filters by name.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum FilterArg {
    #[default]
    Study,
    None,
}

fn policies(text: &str) -> Result<Policies<QueuePolicy>, String> {
    one_or_all(text, &QueuePolicy::ALL, of_queues)
}

/// The answer of `twin swf -o json` for one policy; for all of them, each is an element of `policies`.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    report: Report,
    /// Processor time of the replay alone, without reading the log.
    cpu_ms: f64,
    jobs_per_cpu_s: u64,
    /// Where the figures come from.
    mark: &'static str,
}

/// The answer for all policies.
#[derive(Debug, Serialize)]
struct Comparison<'a> {
    policies: &'a [Answer],
}

/// Replays and reports.
pub(crate) fn swf(session: &Session, args: &SwfArgs) -> Result<(), Failure> {
    let output = session.output;
    let log = read_text(&args.log).and_then(|text| read_swf(&text)).map_err(failure)?;
    let procs = swf::processors(&log, args.procs).map_err(failure)?;
    let filter = match args.filter {
        FilterArg::Study => Filter::Study,
        FilterArg::None => Filter::None,
    };
    let workload = filter.apply(&log, procs);
    output.remark(&about(&log.machine, procs, filter, &workload));
    let mut answers = Vec::new();
    for &policy in &args.policy.0 {
        answers.push(answer(output, &workload, filter, procs, policy)?);
    }
    match answers.as_slice() {
        [answer] => output.one(answer, || listing(&answers), |_| people(answer)),
        _ => output.list(&Comparison { policies: &answers }, &answers, "no policy", || listing(&answers)),
    }
}

fn answer(
    output: Output,
    workload: &Workload,
    filter: Filter,
    procs: u64,
    policy: QueuePolicy,
) -> Result<Answer, Failure> {
    let bar = bar(output, policy, workload.jobs.len() as u64);
    let before_ns = cpu_ns();
    let replayed = swf::replay(workload, filter, procs, policy, &mut |jobs| bar.set_position(jobs as u64));
    let cpu_ns = cpu_ns() - before_ns;
    bar.finish_and_clear();
    let (report, _) = replayed.map_err(failure)?;
    let jobs_per_cpu_s = u128::from(report.jobs) * 1_000_000_000 / u128::from(cpu_ns.max(1));
    Ok(Answer {
        jobs_per_cpu_s: u64::try_from(jobs_per_cpu_s).unwrap_or(u64::MAX),
        cpu_ms: cpu_ns as f64 / 1e6,
        report,
        mark: "modelled",
    })
}

/// What is replayed and what was left out, in one line.
fn about(machine: &str, procs: u64, filter: Filter, workload: &Workload) -> String {
    let dropped = &workload.dropped;
    let causes = [
        (dropped.no_processors, "without processors"),
        (dropped.too_wide, "wider than the machine"),
        (dropped.no_run_time, "without run time"),
        (dropped.no_requested_time, "without requested time"),
    ];
    let causes: Vec<String> = causes
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, cause)| format!("{} {cause}", text::grouped(count)))
        .collect();
    let left_out = if causes.is_empty() { String::new() } else { format!(", left out {}", causes.join(", ")) };
    let cut = if workload.cut == 0 { String::new() } else { format!(", {} cut to their request", workload.cut) };
    let requests = match workload.requests {
        Requests::Log => "",
        Requests::RunTimes => "; no time was requested, so run times stand in for requests",
    };
    let name = match filter {
        Filter::Study => "study",
        Filter::None => "none",
    };
    let machine = if machine.is_empty() { String::new() } else { format!("{machine}: ") };
    let (jobs, procs) = (text::count(workload.jobs.len() as u64, "job"), text::count(procs, "processor"));
    format!("{machine}{jobs} on {procs}, filter {name}{left_out}{cut}{requests}")
}

fn bar(output: Output, policy: QueuePolicy, jobs: u64) -> ProgressBar {
    if output.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix:12} {bar:30} {pos}/{len} jobs").expect("a constant template");
    ProgressBar::new(jobs).with_style(style).with_prefix(policy.name())
}

fn people(answer: &Answer) -> String {
    let report = &answer.report;
    fields(&[
        ("policy", report.policy.to_owned()),
        ("jobs", text::grouped(report.jobs)),
        ("mean bounded slowdown", format!("{:.2}", report.mean_bounded_slowdown)),
        ("mean wait", span(report.mean_wait_s)),
        ("longest wait", span(report.max_wait_s)),
        ("utilisation", format!("{:.1} %", report.utilisation * 100.0)),
        ("processor time", format!("{:.1} ms", answer.cpu_ms)),
        ("decisions", report.decision_hash[..16].to_owned()),
    ])
}

fn listing(answers: &[Answer]) -> Listing {
    let columns = ["policy", "jobs", "mean_bounded_slowdown", "mean_wait_s", "max_wait_s", "utilisation", "cpu_ms"];
    let mut listing = Listing::with_details(&columns, &["procs", "dropped", "decision_hash"]);
    for Answer { report, cpu_ms, .. } in answers {
        listing.row(vec![
            Cell::text(report.policy),
            Cell::figure(text::grouped(report.jobs), report.jobs),
            Cell::figure(format!("{:.2}", report.mean_bounded_slowdown), report.mean_bounded_slowdown),
            Cell::figure(span(report.mean_wait_s), report.mean_wait_s),
            Cell::figure(span(report.max_wait_s), report.max_wait_s),
            Cell::figure(format!("{:.1} %", report.utilisation * 100.0), report.utilisation),
            Cell::figure(format!("{cpu_ms:.1} ms"), cpu_ms),
            Cell::figure(report.procs, report.procs),
            Cell::figure(report.dropped.total(), report.dropped.total()),
            Cell::text(&report.decision_hash),
        ]);
    }
    listing
}

fn span(seconds: f64) -> String {
    text::span((seconds * 1e3) as u64)
}

/// Processor time of this thread: what else runs on the machine does not count.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// An error of a file or study: its first part says what is wrong, what follows `hint:` what to do.
fn failure(error: impl fmt::Display) -> Failure {
    let text = error.to_string();
    match text.split_once("\nhint: ") {
        Some((message, hint)) => Failure::new(Exit::Usage, message).hint(hint),
        None => Failure::new(Exit::Usage, text),
    }
}

//! The demo's live display: one line for each centre and job on a terminal, one line for each change
//! elsewhere. Both are remarks and go to standard error.

use std::{collections::BTreeMap, io::IsTerminal, time::Duration};

use huisuan_api::centres::CentreView;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::follow::{Followed, Frame};
use crate::{
    commands::{jobs::amount, wait::terminal},
    failure::one_line,
    output::Output,
    table::Tone,
    text,
};

/// How the demo shows what goes on.
pub(crate) enum Display {
    /// Lines that are redrawn in place.
    Live(Live),
    /// A line for every change.
    Plain(Plain),
}

impl Display {
    /// Live on a terminal, plain elsewhere.
    pub(crate) fn new(output: Output) -> Display {
        if !output.quiet && std::io::stderr().is_terminal() {
            Display::Live(Live {
                bars: MultiProgress::new(),
                centres: BTreeMap::new(),
                jobs: BTreeMap::new(),
                colour: output.colour,
            })
        } else {
            Display::Plain(Plain { output, last: BTreeMap::new() })
        }
    }

    /// Says something above the lines.
    pub(crate) fn say(&self, text: &str) {
        match self {
            // A terminal that is gone is no reason to stop.
            Display::Live(live) => drop(live.bars.println(text)),
            Display::Plain(plain) => plain.output.remark(text),
        }
    }

    /// Shows one look at the network.
    pub(crate) fn frame(&mut self, frame: &Frame<'_>) {
        match self {
            Display::Live(live) => live.frame(frame),
            Display::Plain(plain) => plain.frame(frame),
        }
    }

    /// Leaves the last look where it is.
    pub(crate) fn finish(&self) {
        if let Display::Live(live) = self {
            live.centres.values().chain(live.jobs.values()).for_each(ProgressBar::abandon);
        }
    }
}

/// Lines that are redrawn in place.
pub(crate) struct Live {
    bars: MultiProgress,
    centres: BTreeMap<String, ProgressBar>,
    jobs: BTreeMap<u64, ProgressBar>,
    colour: bool,
}

/// A line of the display: name, bar, text cut at the terminal's edge.
const LINE: &str = "{prefix:15} {bar:12} {wide_msg}";

impl Live {
    fn frame(&mut self, frame: &Frame<'_>) {
        for centre in frame.centres {
            let (used, all) = cores(centre);
            let bars = &self.bars;
            let bar = self.centres.entry(centre.centre.clone()).or_insert_with(|| bars.add(line(all)));
            update(bar, centre.centre.clone(), used, all, centre_text(centre));
        }
        for job in frame.jobs {
            let tasks = &job.summary.tasks;
            let bars = &self.bars;
            let bar = self.jobs.entry(job.summary.job_id).or_insert_with(|| bars.add(line(tasks.total)));
            let ended = tasks.total.saturating_sub(tasks.waiting + tasks.active);
            let name = format!("{:>2} {}", job.summary.job_id, job.summary.name);
            update(bar, name, ended, tasks.total, job_text(job, self.colour));
        }
    }
}

/// Every call that changes a bar draws all of them anew, so only what differs is set.
fn update(bar: &ProgressBar, name: String, position: u64, length: u64, text: String) {
    if bar.prefix() != name {
        bar.set_prefix(name);
    }
    if bar.length() != Some(length.max(1)) {
        bar.set_length(length.max(1));
    }
    if bar.position() != position {
        bar.set_position(position);
    }
    if bar.message() != text {
        bar.set_message(text);
    }
}

fn line(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(LINE).expect("the template is constant and well formed");
    ProgressBar::new(length.max(1)).with_style(style.progress_chars("━╸─"))
}

/// A line for every change.
pub(crate) struct Plain {
    output: Output,
    last: BTreeMap<String, String>,
}

impl Plain {
    fn frame(&mut self, frame: &Frame<'_>) {
        for centre in frame.centres {
            let rated = centre.pools.iter().find_map(|pool| pool.rating.as_ref());
            let what = match (centre.connected, rated) {
                (true, Some(_)) => centre_text(centre),
                (true, None) => "joined, measures itself".to_owned(),
                (false, _) => continue,
            };
            let key = format!("{}{}", centre.connected, rated.is_some());
            self.change(format!("centre {}", centre.centre), key, &what, frame.elapsed);
        }
        for job in frame.jobs {
            // Reasons of waiting come and go with every cycle: the first one is said.
            let key = format!("{} {:?}", job.summary.state, job.summary.centres);
            let name = format!("job {} {}", job.summary.job_id, job.summary.name);
            self.change(name, key, &job_text(job, false), frame.elapsed);
        }
    }

    fn change(&mut self, name: String, key: String, what: &str, elapsed: Duration) {
        let at = text::span(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        if self.last.get(&name) != Some(&key) {
            self.output.remark(&format!("{at:>8}  {name}: {}", one_line(what)));
            self.last.insert(name, key);
        }
    }
}

/// Cores given away and all cores, in thousandths.
fn cores(centre: &CentreView) -> (u64, u64) {
    let sum = |value: fn(&huisuan_api::centres::PoolView) -> f64| {
        (centre.pools.iter().map(value).sum::<f64>() * 1000.0).round() as u64
    };
    (sum(|pool| pool.cores_used), sum(|pool| pool.cores))
}

fn centre_text(centre: &CentreView) -> String {
    let (used, all) = cores(centre);
    let rating = centre.pools.iter().find_map(|pool| pool.rating.as_ref());
    let rate = match rating {
        Some(rating) => format!("{} {}, {}", centre.class, text::rate(rating.sustained_gflop_per_s), rating.mark),
        None => format!("{}, measures itself", centre.class),
    };
    let shared = if centre.overlapping { " (shared)" } else { "" };
    format!("{}/{} cores{shared}, {rate}, {}", text::cores(used), text::cores(all), text::count(centre.active, "task"))
}

fn job_text(job: &Followed, colour: bool) -> String {
    let summary = &job.summary;
    let tasks = &summary.tasks;
    let state = Tone::of(&summary.state).paint(&summary.state, colour);
    let centres = &job.summary.centres;
    let place = if centres.is_empty() { String::new() } else { format!(" at {}", centres.join(" ")) };
    let ended = tasks.total.saturating_sub(tasks.waiting + tasks.active);
    let progress = if tasks.total > 1 { format!(" {ended}/{}", tasks.total) } else { String::new() };
    if terminal(summary) {
        let took = summary.started_at.zip(summary.ended_at).map(|(from, to)| to.0.since(from.0).0);
        let took = took.map(|ms| format!(" in {}", text::span(ms))).unwrap_or_default();
        return format!("{state}{progress}{place}{took}, {}", amount(&summary.cost));
    }
    let why = if job.why.is_empty() { String::new() } else { format!(": {}", job.why) };
    format!("{state}{progress}{place}{why}")
}

#[cfg(test)]
mod tests {
    use huisuan_api::{
        jobs::{JobSummary, TaskCounts},
        wire::{Amount, Timestamp, Usage},
    };
    use huisuan_model::TimeMs;

    use super::*;
    use crate::demo::examples::Wish;

    fn job(state: &str, tasks: TaskCounts, centres: &[&str], why: &str) -> Followed {
        let at = |ms| Timestamp(TimeMs(ms));
        let summary = JobSummary {
            job_id: 3,
            name: "words".to_owned(),
            tenant: "local".to_owned(),
            project: "default".to_owned(),
            state: state.to_owned(),
            tasks,
            centres: centres.iter().map(|&name| name.to_owned()).collect(),
            submitted_at: at(0),
            started_at: Some(at(1_000)),
            ended_at: Some(at(2_500)),
            reason: None,
            end_reason: None,
            usage: Usage::default(),
            cost: Amount { amount: 12, currency: "CNY".to_owned() },
        };
        Followed { summary, why: why.to_owned(), wish: Wish::Succeed, cancel_sent: false }
    }

    #[track_caller]
    fn check(job: &Followed, expected: &str) {
        assert_eq!(job_text(job, false), expected);
    }

    #[test]
    fn a_job_says_where_why_and_how_far() {
        let one = TaskCounts { waiting: 1, total: 1, ..TaskCounts::default() };
        check(&job("waiting", one, &[], "2 of 2 cores are busy"), "waiting: 2 of 2 cores are busy");
        check(&job("waiting", one, &[], ""), "waiting");
        let four = TaskCounts { active: 1, succeeded: 3, total: 4, ..TaskCounts::default() };
        check(&job("running", four, &["ai-1", "hpc-1"], "start 60"), "running 3/4 at ai-1 hpc-1: start 60");
        let all = TaskCounts { succeeded: 4, total: 4, ..TaskCounts::default() };
        check(&job("succeeded", all, &["hpc-1"], "start 60"), "succeeded 4/4 at hpc-1 in 1.5 s, CNY 0.000012");
    }

    #[test]
    fn colours_are_for_terminals() {
        let one = TaskCounts { succeeded: 1, total: 1, ..TaskCounts::default() };
        assert!(job_text(&job("succeeded", one, &[], ""), true).starts_with("\u{1b}[32msucceeded\u{1b}[0m"));
    }
}

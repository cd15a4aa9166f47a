//! Benchmarks with a range of allowed results. `docs/benchmarks.md` describes the range files.
//!
//! A benchmark is any command whose last line on standard output is a JSON object. Its range file in
//! `xtask/ranges` names the command, where the metrics stand in that object, what was measured when and
//! on which machine, and how far a result may be off.

use crate::repository::Repository;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::fs;
use std::process::{Command, Stdio};

const FOLDER: &str = "xtask/ranges";

/// One range file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The name of the benchmark; equal to the name of the file without its ending.
    pub name: String,
    /// A command that is run first and not measured, for instance a release build.
    #[serde(default)]
    pub prepare: Vec<String>,
    /// The program and its arguments. No shell is involved. `{jobs}` in it stands for `jobs`.
    pub command: Vec<String>,
    /// How many jobs it runs, where that can be chosen.
    pub jobs: Option<u64>,
    /// The machine on which the expected values were measured.
    pub machine: String,
    /// The day on which they were measured, `YYYY-MM-DD`.
    pub date: String,
    /// What the benchmark stands for, and why the margins are what they are.
    pub note: String,
    /// The values that are compared.
    pub metrics: Vec<Metric>,
}

/// One value of a benchmark with its range.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Where the value stands in the JSON object, as a JSON pointer (RFC 6901): `/cycle_cpu_ms`.
    pub pointer: String,
    /// The value measured on `machine` at `date`.
    pub expected: f64,
    /// How far a result may be off, as a ratio of `expected`: 0.2 is 20 percent. 0 asks for equality.
    pub margin: f64,
    /// The unit, for people.
    pub unit: String,
    /// Which results are good news; `neither` when both directions are wrong.
    pub better: Better,
}

/// The direction in which a metric improves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Less is better: times, memory.
    Lower,
    /// More is better: rates.
    Higher,
    /// Any other value is wrong: counts, hashes of decisions.
    Neither,
}

/// How a result compares with its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Inside.
    Within,
    /// Outside on the good side: the range is out of date, which is not a failure.
    Improved,
    /// Outside on the bad side.
    OutOfRange,
}

impl Metric {
    /// Compares a measured value with the range. A value that is not a number is out of range.
    #[must_use]
    pub fn judge(&self, measured: f64) -> Verdict {
        let slack = (self.expected * self.margin).abs();
        let (low, high) = (self.expected - slack, self.expected + slack);
        if (low..=high).contains(&measured) {
            return Verdict::Within;
        }
        match self.better {
            Better::Lower if measured < low => Verdict::Improved,
            Better::Higher if measured > high => Verdict::Improved,
            _ => Verdict::OutOfRange,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pointer, expected, margin, unit, .. } = self;
        let percent = margin * 100.0;
        write!(f, "{pointer}: {expected} {unit} within {percent:.0} %")
    }
}

/// Reads the range files with the given names, or all of them, in the order of their names.
///
/// # Errors
///
/// When a named file is missing, or one is not valid.
pub fn load(repository: &Repository, names: &[String]) -> Result<Vec<Range>> {
    let mut stems = names.to_vec();
    if stems.is_empty() {
        let folder = repository.join(FOLDER);
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {FOLDER}"))?;
        for entry in entries {
            let path = entry?.path();
            if let (Some("toml"), Some(stem)) =
                (path.extension().and_then(|ending| ending.to_str()), path.file_stem().and_then(|stem| stem.to_str()))
            {
                stems.push(stem.to_owned());
            }
        }
        stems.sort();
    }
    stems
        .iter()
        .map(|stem| {
            let path = format!("{FOLDER}/{stem}.toml");
            parse(stem, &repository.read(&path)?).with_context(|| format!("{path} is not valid"))
        })
        .collect()
}

fn parse(stem: &str, text: &str) -> Result<Range> {
    let range: Range = toml::from_str(text)?;
    ensure!(range.name == stem, "the name must be that of the file");
    ensure!(!range.command.is_empty(), "the command is empty");
    let asks = range.command.iter().any(|word| word.contains("{jobs}"));
    ensure!(asks == range.jobs.is_some(), "`jobs` and `{{jobs}}` in the command belong together");
    ensure!(!range.metrics.is_empty(), "there is no metric");
    for metric in &range.metrics {
        ensure!(
            metric.expected.is_finite() && metric.margin.is_finite() && metric.margin >= 0.0,
            "{}: expected and margin must be numbers, margin not negative",
            metric.pointer
        );
    }
    Ok(range)
}

/// Makes the benchmarks run another number of jobs.
///
/// # Errors
///
/// When one of them has no number of jobs to choose.
pub fn choose_jobs(ranges: &mut [Range], jobs: u64) -> Result<()> {
    for range in ranges {
        ensure!(range.jobs.is_some(), "benchmark {} runs no number of jobs; hint: leave out --jobs", range.name);
        range.jobs = Some(jobs);
    }
    Ok(())
}

/// Prints the benchmarks with their ranges.
pub fn list(ranges: &[Range]) {
    for range in ranges {
        println!("{} ({}, {})", range.name, range.machine, range.date);
        for metric in &range.metrics {
            println!("  {metric}");
        }
    }
}

/// Runs the benchmarks, prints measured values beside their ranges, and tells whether all are within.
#[must_use]
pub fn run(repository: &Repository, ranges: &[Range]) -> bool {
    let mut failed = 0;
    for range in ranges {
        println!("{} (expected on {}, {})", range.name, range.machine, range.date);
        match measure(repository, range) {
            Ok(result) => {
                for metric in &range.metrics {
                    let (line, good) = compare(metric, &result);
                    println!("  {line}");
                    failed += u32::from(!good);
                }
            }
            Err(error) => {
                println!("  failed: {error:#}");
                failed += 1;
            }
        }
    }
    println!("{} benchmarks, {failed} results out of range or missing", ranges.len());
    failed == 0
}

/// One line for a metric, and whether it is acceptable.
fn compare(metric: &Metric, result: &Value) -> (String, bool) {
    let Some(measured) = result.pointer(&metric.pointer).and_then(Value::as_f64) else {
        return (format!("{metric}: no such number in the result"), false);
    };
    let verdict = metric.judge(measured);
    let word = match verdict {
        Verdict::Within => "within",
        Verdict::Improved => "better than the range; hint: update the range file",
        Verdict::OutOfRange => "OUT OF RANGE",
    };
    let change = (measured / metric.expected - 1.0) * 100.0;
    let line = format!("{metric}: measured {measured} ({change:+.1} %), {word}");
    (line, verdict != Verdict::OutOfRange)
}

/// Runs a benchmark's commands and reads the last line it prints.
fn measure(repository: &Repository, range: &Range) -> Result<Value> {
    if !range.prepare.is_empty() {
        let status = command(repository, &range.prepare, None)
            .stdout(Stdio::null())
            .status()
            .context("cannot start the preparing command")?;
        ensure!(status.success(), "preparing command: {status}");
    }
    let output = command(repository, &range.command, range.jobs)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", range.command[0]))?;
    ensure!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) else {
        bail!("nothing was printed on standard output");
    };
    serde_json::from_str(line).context("the last line printed is not JSON")
}

fn command(repository: &Repository, words: &[String], jobs: Option<u64>) -> Command {
    let word = |word: &String| jobs.map_or_else(|| word.clone(), |jobs| word.replace("{jobs}", &jobs.to_string()));
    let mut command = Command::new(&words[0]);
    command.args(words[1..].iter().map(word)).current_dir(repository.root());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(better: Better) -> Metric {
        Metric { pointer: "/ms".to_owned(), expected: 100.0, margin: 0.2, unit: "ms".to_owned(), better }
    }

    fn range(command: &[&str]) -> Range {
        Range {
            name: "x".to_owned(),
            prepare: Vec::new(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            jobs: None,
            machine: "any".to_owned(),
            date: "2026-11-22".to_owned(),
            note: String::new(),
            metrics: vec![metric(Better::Lower)],
        }
    }

    fn passes(command: &[&str]) -> bool {
        run(&Repository::locate().unwrap(), &[range(command)])
    }

    #[test]
    fn results_are_judged_by_direction() {
        for (better, measured, verdict) in [
            (Better::Lower, 120.0, Verdict::Within),
            (Better::Lower, 121.0, Verdict::OutOfRange),
            (Better::Lower, 79.0, Verdict::Improved),
            (Better::Higher, 121.0, Verdict::Improved),
            (Better::Higher, 79.0, Verdict::OutOfRange),
            (Better::Neither, 79.0, Verdict::OutOfRange),
            (Better::Neither, 121.0, Verdict::OutOfRange),
            (Better::Lower, f64::NAN, Verdict::OutOfRange),
        ] {
            assert_eq!(metric(better).judge(measured), verdict, "{better:?} {measured}");
        }
    }

    #[test]
    fn ranges_of_negative_and_exact_values_work() {
        let negative = Metric { expected: -100.0, ..metric(Better::Neither) };
        assert_eq!(negative.judge(-110.0), Verdict::Within);
        let exact = Metric { margin: 0.0, ..metric(Better::Neither) };
        assert_eq!(exact.judge(100.0), Verdict::Within);
        assert_eq!(exact.judge(100.1), Verdict::OutOfRange);
    }

    #[test]
    fn the_last_line_of_a_command_is_compared() {
        assert!(passes(&["echo", "working\n{\"ms\": 110}\n"]));
        assert!(!passes(&["echo", "{\"ms\": 130}"]));
    }

    #[test]
    fn a_number_of_jobs_is_chosen_where_there_is_one() {
        let mut ranges = [range(&["echo", "{\"ms\": {jobs}}"])];
        assert!(choose_jobs(&mut ranges, 100).is_err());
        ranges[0].jobs = Some(130);
        assert!(!run(&Repository::locate().unwrap(), &ranges));
        choose_jobs(&mut ranges, 100).expect("its number of jobs can be chosen");
        assert!(run(&Repository::locate().unwrap(), &ranges));
    }

    #[test]
    fn a_benchmark_that_says_nothing_useful_fails() {
        assert!(!passes(&["echo", "{\"s\": 1}"]));
        assert!(!passes(&["echo", "{\"ms\": \"110\"}"]));
        assert!(!passes(&["echo", "110 ms"]));
        assert!(!passes(&["true"]));
        assert!(!passes(&["false"]));
        assert!(!passes(&["no-such-program-anywhere"]));
    }

    #[test]
    fn a_failed_preparation_fails_the_benchmark() {
        let mut range = range(&["echo", "{\"ms\": 100}"]);
        range.prepare = vec!["false".to_owned()];
        assert!(!run(&Repository::locate().unwrap(), &[range]));
    }

    const FILE: &str = "name = \"x\"\ncommand = [\"echo\", \"{}\"]\nmachine = \"any\"\n\
        date = \"2026-11-22\"\nnote = \"\"\n[[metrics]]\npointer = \"/ms\"\nexpected = 1.0\n\
        margin = 0.1\nunit = \"ms\"\nbetter = \"lower\"\n";

    #[test]
    fn range_files_are_checked() {
        assert!(parse("x", FILE).is_ok());
        assert!(parse("y", FILE).is_err());
        for (from, to) in [
            ("margin = 0.1", "margin = -0.1"),
            ("margin = 0.1", "margins = 0.1"),
            ("[\"echo\", \"{}\"]", "[]"),
            ("\"{}\"", "\"{jobs}\""),
            ("\"lower\"", "\"less\""),
        ] {
            assert!(parse("x", &FILE.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn the_committed_range_files_are_valid() {
        load(&Repository::locate().unwrap(), &[]).unwrap();
    }
}

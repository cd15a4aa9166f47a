//! Slurm batch scripts: an unchanged script becomes a job, and a report says what became of each of
//! its directives.
//!
//! Nothing is dropped in silence: what cannot be honoured is approximated or ignored with a note, and
//! what would make another job of it is refused.

mod job;
mod lines;
mod options;
mod switches;
#[cfg(test)]
mod tests;
mod wishes;

use std::collections::BTreeMap;

use huisuan_model::{CentreId, JobSpec};
use serde::{Deserialize, Serialize};

use self::{
    options::{Fate, Known, Meaning, Wish, Written},
    wishes::Wishes,
};
use super::{
    problem::{SpecProblem, shorten},
    similar::nearest,
};
use crate::problem::ErrorCode;

/// What a script's directives are read against.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The script's file name; its last part names the job.
    pub script_name: String,
    /// Where the user stands: the folder of the job unless `--chdir` says otherwise.
    pub directory: String,
    /// The user's environment, for `--export=NAME`.
    pub environment: BTreeMap<String, String>,
    /// The network's centres, for `--partition`; empty when nobody asked.
    pub centres: Vec<CentreId>,
}

/// What became of one directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Treatment {
    /// It means here what it means in Slurm.
    Honoured,
    /// It means nearly the same; the note says what differs.
    Approximated,
    /// It has no meaning here; the job runs without it.
    Ignored,
    /// The job would not be what was asked; it is not submitted.
    Refused,
}

impl Treatment {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Treatment::Honoured => "honoured",
            Treatment::Approximated => "approximated",
            Treatment::Ignored => "ignored",
            Treatment::Refused => "refused",
        }
    }
}

/// One line of the compatibility report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectiveReport {
    /// The line of the script, from 1; 0 for the command line.
    pub line: u32,
    /// The directive, such as `--mem=4G`.
    pub directive: String,
    /// What became of it.
    pub treatment: Treatment,
    /// What it became, or why not.
    pub note: String,
}

/// A script as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbatch {
    /// What became of each directive, in the order of the script, command line last.
    pub report: Vec<DirectiveReport>,
    /// The job, or the first thing that refuses it.
    pub job: Result<JobSpec, SpecProblem>,
}

impl Sbatch {
    /// True when a directive was ignored that may have mattered: what `--strict` does not accept.
    pub fn lossy(&self) -> bool {
        self.report.iter().any(|line| line.treatment >= Treatment::Ignored)
    }
}

/// Cuts Slurm's own command line, `[OPTION]... [SCRIPT [ARGUMENT]...]`, into the options and the rest.
/// Values may follow their option as words of their own: `-c 4 --array 1-4 job.sh`.
pub fn split_command_line(words: &[String]) -> (&[String], &[String]) {
    words.split_at(options::options_length(words))
}

/// Reads a script. `options` are those of the command line, which go before the script's own;
/// `arguments` are given to the script.
pub fn read_sbatch(script: &str, options: &[String], arguments: &[String], context: &Context) -> Sbatch {
    let mut reading = Reading::default();
    let job = reading.read(script, options, arguments, context);
    let report = reading.entries.into_iter().map(|(_, entry)| entry).collect();
    Sbatch { report, job: reading.refusal.map_or(job, Err) }
}

/// The report while it is being made.
#[derive(Default)]
struct Reading {
    entries: Vec<(Option<Wish>, DirectiveReport)>,
    wishes: Wishes,
    /// The first directive that was refused.
    refusal: Option<SpecProblem>,
}

impl Reading {
    fn read(
        &mut self,
        script: &str,
        options: &[String],
        arguments: &[String],
        context: &Context,
    ) -> Result<JobSpec, SpecProblem> {
        if !script.starts_with("#!") {
            let first = script.lines().next().unwrap_or("");
            return Err(SpecProblem::invalid("script", first, "a first line such as #!/bin/sh")
                .with_hint("a batch script begins with the program that reads it"));
        }
        for line in lines::lines(script)? {
            if line.in_effect {
                self.take_all(options::parse(line.number, &line.words), context);
            } else {
                let note = "stands below the first command, where directives are not read, as in Slurm";
                self.enter(line.number, line.words.join(" "), None, (Treatment::Ignored, note.to_owned()));
            }
        }
        self.take_all(options::parse(0, options), context);
        self.look_for_srun(script);
        let mut amendments = Vec::new();
        let job = job::job(script, arguments, &self.wishes, context, &mut amendments);
        for (wish, (treatment, note)) in amendments {
            self.amend(wish, treatment, note);
        }
        job
    }

    fn take_all(&mut self, written: Vec<Written>, context: &Context) {
        for Written { line, text, option } in written {
            match option {
                Meaning::Option(known, value) => self.take(line, text, known, value, context),
                Meaning::NoValue(known) => self.refuse(line, text, format!("--{}", known.long), "", "one"),
                Meaning::Word if ["hetjob", "packjob", ":"].contains(&text.as_str()) => {
                    let expected = "one kind of task: heterogeneous jobs are not supported";
                    self.refuse(line, text, "#SBATCH".to_owned(), "hetjob", expected);
                }
                Meaning::Word => {
                    let note = "is no option".to_owned();
                    self.enter(line, text, None, (Treatment::Ignored, note));
                }
                Meaning::Unknown(name) => {
                    let near = nearest(&name, options::OPTIONS.iter().map(|known| known.long));
                    let note = match near {
                        Some(near) => format!("is not known; did you mean --{near}?"),
                        None => "is not known".to_owned(),
                    };
                    self.enter(line, text, None, (Treatment::Ignored, note));
                }
            }
        }
    }

    fn take(&mut self, line: u32, text: String, known: &Known, value: Option<String>, context: &Context) {
        match known.fate {
            Fate::Always(Treatment::Refused, note) => {
                let value = value.unwrap_or_default();
                let problem = SpecProblem::invalid(format!("--{}", known.long), value, note);
                let problem = problem.with_code(ErrorCode::NotSupported).with_hint("take the directive out");
                self.refusal.get_or_insert(problem);
                self.enter(line, text, None, (Treatment::Refused, note.to_owned()));
            }
            Fate::Always(treatment, note) => self.enter(line, text, None, (treatment, note.to_owned())),
            Fate::Shapes(wish) => {
                let value = value.unwrap_or_default();
                match self.wishes.take(wish, &value, context) {
                    Ok(taken) => {
                        self.replace(wish);
                        self.enter(line, text, Some(wish), taken);
                    }
                    Err(expected) => self.refuse(line, text, format!("--{}", known.long), &value, &expected),
                }
            }
        }
    }

    fn refuse(&mut self, line: u32, text: String, field: String, value: &str, expected: &str) {
        let has = if value.is_empty() { "has no value, expected" } else { "expected" };
        self.enter(line, text, None, (Treatment::Refused, format!("{has} {expected}")));
        self.refusal.get_or_insert(SpecProblem::invalid(field, value, expected));
    }

    fn enter(&mut self, line: u32, directive: String, wish: Option<Wish>, (treatment, note): (Treatment, String)) {
        self.entries.push((wish, DirectiveReport { line, directive, treatment, note }));
    }

    /// Says of an earlier option of the same kind that it no longer counts.
    fn replace(&mut self, wish: Wish) {
        for (entered, entry) in &mut self.entries {
            if *entered == Some(wish) {
                *entered = None;
                entry.treatment = Treatment::Honoured;
                "replaced by a later one".clone_into(&mut entry.note);
            }
        }
    }

    fn amend(&mut self, wish: Wish, treatment: Treatment, note: String) {
        if let Some((_, entry)) = self.entries.iter_mut().find(|(entered, _)| *entered == Some(wish)) {
            if entry.treatment == Treatment::Honoured {
                entry.note = note;
            } else {
                entry.note = format!("{}; {note}", entry.note);
            }
            entry.treatment = entry.treatment.max(treatment);
        }
    }

    /// Slurm's launcher is not there; a script that calls it would fail at that line.
    fn look_for_srun(&mut self, script: &str) {
        let calls = |line: &str| line.split_whitespace().find(|&word| word != "exec" && word != "time") == Some("srun");
        if let Some((number, line)) = (1..).zip(script.lines()).find(|(_, line)| calls(line)) {
            let note = "srun is not provided: every task runs the whole script; write the command without it";
            self.enter(number, shorten(line.trim()), None, (Treatment::Ignored, note.to_owned()));
        }
    }
}

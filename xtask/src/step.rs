//! Runs named steps one after another, streams what they print, and sums up with wall times.

use crate::{limit, repository::Repository};
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

/// No command of a step runs longer: the whole of the tests is to take less than an hour, and a test that hangs is to
/// be named and not waited for.
const COMMAND_LIMIT: Duration = Duration::from_secs(45 * 60);

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed, for this reason.
    Failed(String),
    /// It could not be run and need not be, for this reason; the summary says so.
    Skipped(String),
}

/// The steps that were run so far.
#[derive(Debug)]
pub struct Steps<'a> {
    repository: &'a Repository,
    done: Vec<(String, Outcome, Duration)>,
}

impl<'a> Steps<'a> {
    /// No steps yet; commands run in the root of the repository.
    #[must_use]
    pub fn new(repository: &'a Repository) -> Self {
        Self { repository, done: Vec::new() }
    }

    /// Runs a function as a step. A failed step does not stop the following ones: one run shows all
    /// that is wrong.
    pub fn call(&mut self, name: &str, step: impl FnOnce() -> Outcome) {
        eprintln!("\n=== {name}");
        let from = Instant::now();
        let outcome = step();
        if let Outcome::Failed(reason) | Outcome::Skipped(reason) = &outcome {
            eprintln!("{name}: {reason}");
        }
        self.done.push((name.to_owned(), outcome, from.elapsed()));
    }

    /// Runs a command as a step. Its output is not captured, so it streams.
    pub fn command(&mut self, name: &str, command: &mut Command) {
        command.current_dir(self.repository.root());
        self.call(name, || status(command));
    }

    /// Runs `cargo` with the given arguments, separated by blanks, as a step.
    pub fn cargo(&mut self, name: &str, arguments: &str) {
        self.command(name, cargo().args(arguments.split_whitespace()));
    }

    /// Prints the summary and tells whether no step failed.
    #[must_use]
    pub fn finish(self) -> bool {
        eprintln!("\n{}", summary(&self.done));
        self.passed()
    }

    fn passed(&self) -> bool {
        !self.done.iter().any(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_)))
    }
}

/// The cargo that runs this program, so that the pinned toolchain is kept.
#[must_use]
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command to its end and turns its exit into an outcome.
pub fn status(command: &mut Command) -> Outcome {
    match limit::run(command, COMMAND_LIMIT) {
        Ok(Some(status)) if status.success() => Outcome::Passed,
        Ok(Some(status)) => Outcome::Failed(status.to_string()),
        Ok(None) => {
            Outcome::Failed(format!("not done after {} minutes, so it was ended", COMMAND_LIMIT.as_secs() / 60))
        }
        Err(error) => Outcome::Failed(format!("cannot start {}: {error}", command.get_program().to_string_lossy())),
    }
}

fn summary(done: &[(String, Outcome, Duration)]) -> String {
    let mut text = String::from("summary\n");
    let mut total = Duration::ZERO;
    for (name, outcome, elapsed) in done {
        let word = match outcome {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Failed(reason) => format!("FAILED: {reason}"),
            Outcome::Skipped(reason) => format!("not run: {reason}"),
        };
        total += *elapsed;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:8.1} s  {name:<24} {word}", elapsed.as_secs_f64());
    }
    let failed = done.iter().filter(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_))).count();
    let _ = write!(text, "{:8.1} s  {} steps, {failed} failed", total.as_secs_f64(), done.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Repository {
        Repository::at(&std::env::temp_dir())
    }

    #[test]
    fn a_failed_step_fails_the_whole_and_the_rest_still_runs() {
        let repository = repository();
        let mut steps = Steps::new(&repository);
        steps.command("bad", &mut Command::new("false"));
        steps.command("good", &mut Command::new("true"));
        steps.call("later", || Outcome::Skipped("no network".to_owned()));
        let text = summary(&steps.done);
        assert!(text.contains("FAILED: exit status: 1"), "{text}");
        assert!(text.contains("not run: no network"), "{text}");
        assert!(text.ends_with("3 steps, 1 failed"), "{text}");
        assert!(!steps.finish());
    }

    #[test]
    fn skipped_steps_do_not_fail_but_missing_programs_do() {
        let repository = repository();
        let mut steps = Steps::new(&repository);
        steps.call("later", || Outcome::Skipped("no network".to_owned()));
        assert!(steps.passed());
        steps.command("absent", &mut Command::new("no-such-program-anywhere"));
        assert!(!steps.passed());
    }
}

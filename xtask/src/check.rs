//! `cargo xtask check`: everything a change must pass. Continuous integration adds nothing to it.

use crate::repository::Repository;
use crate::setup::{self, CARGO_DENY, TYPOS, Tool, Use};
use crate::step::{Outcome, Steps, cargo, status};
use crate::test;
use crate::tidy::{documents, sources};
use anyhow::Result;
use std::process::Command;

/// Runs all checks; false when one failed.
///
/// # Errors
///
/// When a system package is missing and cannot be installed.
pub fn run(repository: &Repository) -> Result<bool> {
    setup::packages(&[Use::Tests])?;
    let mut steps = Steps::new(repository);
    steps.cargo("format", "fmt --all --check");
    steps.cargo("lints", "clippy --workspace --all-targets -- --deny warnings");
    let accelerators = "clippy -p huisuan-measure --all-targets --features cuda -- --deny warnings";
    steps.cargo("lints of what measures accelerators", accelerators);
    test::add(&mut steps, repository, test::SEED);
    steps.command(
        "documentation",
        cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"),
    );
    steps.call("dependencies", || {
        tool(repository, &CARGO_DENY, &["check", "--hide-inclusion-graph", "licenses", "bans", "sources"])
    });
    steps.call("advisories", || advisories(repository));
    steps.call("spelling", || tool(repository, &TYPOS, &["--config", "typos.toml"]));
    steps.call("links", || links(repository));
    steps.call("long files", || long_files(repository));
    Ok(steps.finish())
}

/// Runs an installed tool; a missing one is a failure that says how to install it.
fn tool(repository: &Repository, tool: &Tool, arguments: &[&str]) -> Outcome {
    match tool.find(repository) {
        Ok(path) => status(Command::new(path).args(arguments).current_dir(repository.root())),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// Known vulnerabilities. The database is fetched first: without it the step is reported as not run,
/// because a developer without a network connection is not at fault.
fn advisories(repository: &Repository) -> Outcome {
    match tool(repository, &CARGO_DENY, &["fetch", "db"]) {
        Outcome::Passed => tool(repository, &CARGO_DENY, &["check", "--disable-fetch", "advisories"]),
        Outcome::Failed(reason) if CARGO_DENY.find(repository).is_ok() => {
            Outcome::Skipped(format!("advisory database cannot be fetched ({reason})"))
        }
        outcome => outcome,
    }
}

fn links(repository: &Repository) -> Outcome {
    let files = match repository.text_files() {
        Ok(files) => files,
        Err(error) => return Outcome::Failed(format!("{error:#}")),
    };
    let findings = documents::broken_links(&files, |path| repository.join(path).exists());
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Outcome::Passed,
        count => Outcome::Failed(format!("{count} links lead nowhere")),
    }
}

/// Names the files that have grown long. It never fails; the hard limit is a test.
fn long_files(repository: &Repository) -> Outcome {
    match repository.text_files() {
        Ok(files) => {
            for finding in sources::long_files(&files, sources::LINES_AIMED_AT) {
                eprintln!("{finding}");
            }
            Outcome::Passed
        }
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

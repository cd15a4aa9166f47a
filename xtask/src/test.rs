//! `cargo xtask test`: all tests, with what they need installed first.

use crate::python;
use crate::repository::Repository;
use crate::setup::{self, Use};
use crate::step::{Outcome, Steps, cargo};
use anyhow::Result;

/// Crash tests need a binary with failpoints compiled in, which no other test may see.
const CRASH_TESTS: &str = "crates/cli/tests/crash.rs";

/// Tests before programs that are not ours.
const OUTSIDERS: &str = "crates/cli/tests/outsiders.rs";
/// What those tests need from the Python package index.
const OUTSIDERS_NEED: [&str; 1] = ["beancount==3.2.3"];

/// Runs all tests; false when one failed.
///
/// # Errors
///
/// When a system package is missing and cannot be installed.
pub fn run(repository: &Repository) -> Result<bool> {
    setup::packages(&[Use::Tests])?;
    let mut steps = Steps::new(repository);
    add(&mut steps, repository);
    Ok(steps.finish())
}

/// Runs the test steps as part of a longer list.
pub(crate) fn add(steps: &mut Steps<'_>, repository: &Repository) {
    steps.cargo("tests", "test --workspace --all-targets");
    steps.cargo("documentation tests", "test --workspace --doc");
    if repository.join(CRASH_TESTS).is_file() {
        steps.cargo("crash tests", "test -p huisuan-cli --features failpoints --test crash");
    }
    if repository.join(OUTSIDERS).is_file() {
        match python::venv(repository, "books", &OUTSIDERS_NEED) {
            Ok(python) => steps.command(
                "books before outsiders",
                cargo().args(["test", "-p", "huisuan-cli", "--test", "outsiders"]).env("HUISUAN_PYTHON", python),
            ),
            Err(error) => steps.call("books before outsiders", || Outcome::Failed(format!("{error:#}"))),
        }
    }
}

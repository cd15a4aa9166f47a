//! `cargo xtask test`: all tests, with what they need installed first.

use crate::focus;
use crate::repository::Repository;
use crate::setup::{self, Use};
use crate::step::{Outcome, Steps, cargo};
use anyhow::Result;

/// Crash tests need a binary with failpoints compiled in, which no other test may see.
const CRASH_TESTS: &str = "crates/cli/tests/crash.rs";

/// Bills before programs that are not ours.
const BILLS: &str = "crates/ledger/tests/focus.rs";

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
    if repository.join(BILLS).is_file() {
        match focus::environment(repository) {
            Ok(python) => steps.command(
                "bills before outsiders",
                cargo().args(["test", "-p", "huisuan-ledger", "--test", "focus"]).env("HUISUAN_FOCUS_PYTHON", python),
            ),
            Err(error) => steps.call("bills before outsiders", || Outcome::Failed(format!("{error:#}"))),
        }
    }
}

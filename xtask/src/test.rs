//! `cargo xtask test`: all tests, with what they need installed first.

use crate::repository::Repository;
use crate::setup::{self, Use};
use crate::step::Steps;
use anyhow::Result;

/// Crash tests need a binary with failpoints compiled in, which no other test may see.
const CRASH_TESTS: &str = "crates/cli/tests/crash.rs";

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
    steps.cargo(
        "engine crash tests",
        "test -p huisuan-drivers --features failpoints --test contract -- crash:: faults::",
    );
    if repository.join(CRASH_TESTS).is_file() {
        steps.cargo("crash tests", "test -p huisuan-cli --features failpoints --test crash");
    }
}

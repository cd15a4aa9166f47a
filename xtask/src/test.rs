//! `cargo xtask test`: all tests, with what they need installed first.

use crate::python;
use crate::repository::Repository;
use crate::setup::{self, Use};
use crate::step::{self, Outcome, Steps};
use anyhow::Result;

/// Crash tests need a binary with failpoints compiled in, which no other test may see.
const CRASH_TESTS: &str = "crates/cli/tests/crash.rs";

/// The seed of a run that names none.
pub const SEED: u64 = 1;

/// Tests before programs that are not ours.
const OUTSIDERS: &str = "crates/cli/tests/outsiders.rs";
/// What those tests need from the Python package index.
const OUTSIDERS_NEED: [&str; 1] = ["beancount==3.2.3"];

/// Runs all tests; false when one failed.
///
/// # Errors
///
/// When a system package is missing and cannot be installed.
pub fn run(repository: &Repository, seed: u64) -> Result<bool> {
    setup::packages(&[Use::Tests])?;
    let mut steps = Steps::new(repository);
    add(&mut steps, repository, seed);
    Ok(steps.finish())
}

/// Runs the test steps as part of a longer list. All that is drawn at random is drawn from the seed, so that two runs
/// on the same code test the same: a change is never blamed for what another seed would have found before it.
pub(crate) fn add(steps: &mut Steps<'_>, repository: &Repository, seed: u64) {
    eprintln!("seed {seed}; other cases: cargo xtask test --seed N");
    let cargo = |arguments: &str| {
        let mut command = step::cargo();
        command.args(arguments.split_whitespace());
        command.env("PROPTEST_RNG_SEED", seed.to_string()).env("HUISUAN_SEED", seed.to_string());
        command
    };
    steps.command("tests", &mut cargo("test --workspace --all-targets"));
    steps.command("documentation tests", &mut cargo("test --workspace --doc"));
    let engines = "test -p huisuan-drivers --features failpoints --test contract -- crash:: faults::";
    steps.command("engine crash tests", &mut cargo(engines));
    if repository.join(CRASH_TESTS).is_file() {
        steps.command("crash tests", &mut cargo("test -p huisuan-cli --features failpoints --test crash"));
    }
    if repository.join(OUTSIDERS).is_file() {
        match python::venv(repository, "books", &OUTSIDERS_NEED) {
            Ok(python) => steps.command(
                "books before outsiders",
                cargo("test -p huisuan-cli --test outsiders").env("HUISUAN_PYTHON", python),
            ),
            Err(error) => steps.call("books before outsiders", || Outcome::Failed(format!("{error:#}"))),
        }
    }
}

//! `cargo xtask test`: all tests, with what they need installed first.

use crate::{
    faults, focus, kubernetes, python,
    repository::Repository,
    setup::{self, Use},
    step::{self, Outcome, Steps},
};
use anyhow::Result;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Crash tests need a binary with failpoints compiled in, which no other test may see.
const CRASH_TESTS: &str = "crates/cli/tests/crash.rs";

/// The seed of a run that names none.
pub const SEED: u64 = 1;

/// What the tests of the books need from the Python package index.
const OUTSIDERS_NEED: [&str; 1] = ["beancount==3.2.3"];
/// An object store for the tests of data: a fake of S3.
const OBJECTS_NEED: [&str; 1] = ["moto[s3,server]==5.2.1"];

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
    let cargo = |arguments: &str| cargo(arguments, seed);
    steps.command("build", &mut cargo("test --workspace --all-targets --no-run"));
    // One program that fails hides no other.
    steps.command("tests", &mut cargo("test --workspace --all-targets --no-fail-fast"));
    steps.call("public traces", traces);
    steps.command("documentation tests", &mut cargo("test --workspace --doc"));
    steps.command("accelerators, on fakes", &mut cargo("test -p huisuan-measure --features cuda"));
    let engines = "test -p huisuan-drivers --features failpoints --test contract -- crash:: faults::";
    steps.command("engine crash tests", &mut cargo(engines));
    steps.call("network namespaces", faults::namespaces);
    if repository.join(CRASH_TESTS).is_file() {
        steps.command("crash tests", &mut cargo("test -p huisuan-cli --features failpoints --test crash"));
    }
    let outsiders = python::venv(repository, "books", &OUTSIDERS_NEED);
    let test = cargo("test -p huisuan-cli --test outsiders");
    before_outsiders(steps, "books before outsiders", outsiders, test, "HUISUAN_PYTHON");
    let objects = python::venv(repository, "objects", &OBJECTS_NEED);
    let test = cargo("test -p huisuan-cli --test objects");
    before_outsiders(steps, "data of an object store", objects, test, "HUISUAN_MOTO");
    let test = cargo("test -p huisuan-ledger --test focus");
    before_outsiders(steps, "bills before outsiders", focus::environment(repository), test, "HUISUAN_FOCUS_PYTHON");
    kubernetes::add(steps, repository, seed);
}

/// Whether the tests had the public traces: without them they compare no published result, and pass.
fn traces() -> Outcome {
    match std::env::var_os("HUISUAN_TRACES") {
        Some(folder) if Path::new(&folder).is_dir() => Outcome::Passed,
        Some(folder) => Outcome::Failed(format!("HUISUAN_TRACES names `{}`, which is no folder", folder.display())),
        None => Outcome::Skipped("HUISUAN_TRACES names no folder: no published result was compared".to_owned()),
    }
}

/// `cargo` with arguments separated by blanks, and the seed of all that is drawn.
pub(crate) fn cargo(arguments: &str, seed: u64) -> Command {
    let mut command = step::cargo();
    command.args(arguments.split_whitespace());
    command.env("PROPTEST_RNG_SEED", seed.to_string()).env("HUISUAN_SEED", seed.to_string());
    command
}

/// Tests before programs that are not ours, with the interpreter that has them named in a variable.
fn before_outsiders(
    steps: &mut Steps<'_>,
    name: &str,
    python: Result<PathBuf>,
    mut test: Command,
    variable: &'static str,
) {
    match python {
        Ok(python) => steps.command(name, test.env(variable, python)),
        Err(error) => steps.call(name, || Outcome::Failed(format!("{error:#}"))),
    }
}

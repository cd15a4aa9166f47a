//! `cargo xtask faults`: rounds of faults against real processes, as many as asked for.

use crate::repository::Repository;
use crate::step::{Outcome, cargo, status};
use anyhow::Result;

/// Runs the rounds; false when a promise was broken. What broke can be repeated with the seed that is printed.
///
/// # Errors
///
/// Never yet; like the other tasks it may come to need something that is not there.
pub fn run(repository: &Repository, rounds: u64, seed: Option<u64>) -> Result<bool> {
    let mut command = cargo();
    command.args(["test", "-p", "huisuan-cli", "--features", "failpoints", "--test", "crash", "--"]);
    command.args(["--exact", "--nocapture", "faults_of_every_kind"]);
    command.env("HUISUAN_ROUNDS", rounds.to_string());
    if let Some(seed) = seed {
        command.env("HUISUAN_SEED", seed.to_string());
    }
    Ok(status(command.current_dir(repository.root())) == Outcome::Passed)
}

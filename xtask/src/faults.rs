//! `cargo xtask faults`: rounds of faults against real processes, as many as asked for.

use crate::repository::Repository;
use crate::step::cargo;
use anyhow::{Context, Result};

/// What the faults happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// A server and agents of local centres: kills, hangs, cut lines, full disks. About 5,000 rounds in an hour.
    Network,
    /// An agent and the daemons of a real Slurm cluster: kills and hangs.
    Slurm,
}

/// Runs the rounds; false when a promise was broken. What broke can be repeated with the seed that is printed.
///
/// # Errors
///
/// When cargo cannot be started.
pub fn run(repository: &Repository, target: Target, rounds: u64, seed: Option<u64>) -> Result<bool> {
    let (package, program, test) = match target {
        Target::Network => ("huisuan-cli", "crash", "faults_of_every_kind"),
        Target::Slurm => ("huisuan-drivers", "contract", "rounds::every_attempt_starts_once_and_its_end_is_told"),
    };
    let mut command = cargo();
    command.args(["test", "-p", package, "--features", "failpoints", "--test", program, "--"]);
    command.args(["--exact", "--nocapture", test]);
    command.env("HUISUAN_ROUNDS", rounds.to_string());
    if let Some(seed) = seed {
        command.env("HUISUAN_SEED", seed.to_string());
    }
    let status = command.current_dir(repository.root()).status().context("start cargo")?;
    Ok(status.success())
}

//! `cargo xtask faults`: rounds of faults against real processes, as many as asked for.

use crate::repository::Repository;
use crate::setup::{self, Use};
use crate::step::{Outcome, cargo};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// What the faults happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// A server and agents of local centres: kills, hangs, cut lines, full disks. About 5,000 rounds in an hour.
    Network,
    /// The same with each site in a network namespace of its own: links that are down, lose packets, pass them in one
    /// direction or slowly. About 1,000 rounds in an hour; only root may make namespaces.
    Links,
    /// The same on machines whose clocks jump, by seconds and by days. About 5,000 rounds in an hour.
    Clocks,
    /// A server, an agent and the daemons of a real Slurm cluster, twice side by side: kills, hangs, cut lines, full
    /// disks, clocks that jump. About 3,000 rounds in an hour.
    Slurm,
}

/// Whether network namespaces can be made here; without them the rounds on links are not run.
pub(crate) fn namespaces() -> Outcome {
    match Command::new("unshare").args(["--net", "true"]).output() {
        Ok(output) if output.status.success() => Outcome::Passed,
        Ok(output) => Outcome::Skipped(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Outcome::Skipped(format!("unshare: {error}")),
    }
}

/// Runs the rounds; false when a promise was broken. What broke can be repeated with the seed that is printed.
///
/// # Errors
///
/// When what the rounds need is missing and cannot be installed, or cargo cannot be started.
pub fn run(repository: &Repository, target: Target, rounds: u64, seed: Option<u64>) -> Result<bool> {
    setup::packages(&[Use::Tests])?;
    if target == Target::Links
        && let Outcome::Skipped(reason) = namespaces()
    {
        bail!("no network namespaces here: {reason}; hint: run it as root");
    }
    let test = match target {
        Target::Network => "faults_of_every_kind",
        Target::Links => "links_that_lose_packets",
        Target::Clocks => "clocks_that_jump",
        Target::Slurm => "clusters_that_die",
    };
    let mut command = cargo();
    command.args(["test", "-p", "huisuan-cli", "--features", "failpoints", "--test", "crash", "--"]);
    command.args(["--exact", "--nocapture", test]);
    command.env("HUISUAN_ROUNDS", rounds.to_string());
    if let Some(seed) = seed {
        command.env("HUISUAN_SEED", seed.to_string());
    }
    let status = command.current_dir(repository.root()).status().context("start cargo")?;
    Ok(status.success())
}

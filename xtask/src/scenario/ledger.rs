//! Rounds of random operations with crashes, duplicates, reordering and delay, on the ledger and a small reference
//! model side by side; and how much processor time a round took. A failure names the seed and the round.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Options;
use crate::{repository::Repository, step::cargo};

/// What the issue asks for.
const ROUNDS: u64 = 1_000_000;

pub(super) fn run(repository: &Repository, options: Options) -> Result<Value> {
    let build = ["build", "--quiet", "--release", "-p", "huisuan-ledger", "--example", "campaign"];
    let built = cargo().args(build).current_dir(repository.root()).status().context("start cargo")?;
    ensure!(built.success(), "the campaign cannot be built");
    let seed = options.seed.unwrap_or(1);
    eprintln!("seed {seed}");
    let rounds = options.rounds.unwrap_or(ROUNDS).to_string();
    let program = repository.target().join("release/examples/campaign");
    let output = Command::new(program).args([rounds, seed.to_string()]).output().context("start the campaign")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("read what the campaign came to")
}

//! Whole-system measurements: each starts real processes, prints one line of JSON, and leaves nothing behind.
//! The range files in `xtask/ranges` run them through `cargo xtask scenario NAME`.

mod decisions;
mod hyperqueue;
mod ledger;
mod network;
mod queue;
mod restart;
mod rivals;
mod submit;
mod tasks;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::repository::Repository;

/// A measurement by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Scenario {
    /// Durable submissions by 64 clients, against bare inserts of the same rows.
    Submit,
    /// An array of 10,000 tasks, against HyperQueue and against bare process creation.
    Tasks,
    /// The replay of a made-up log of 30,000 jobs under every policy of one queue.
    Queue,
    /// The replay of one log by AccaSim, where it is there by pyss, and by `twin swf`.
    Rivals,
    /// A start with a million waiting jobs, to the first placement.
    Restart,
    /// A million rounds of operations with faults on the ledger and a reference model.
    Ledger,
    /// Scenarios and cycles of the twin in a debug and in a release build: they must decide alike.
    Decisions,
}

/// What the scenarios with random input can be told.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Options {
    /// How many rounds, for `ledger`.
    #[arg(long)]
    pub rounds: Option<u64>,
    /// Seed of everything random, for `ledger`.
    #[arg(long)]
    pub seed: Option<u64>,
}

/// Runs a scenario with release builds and prints its result.
pub fn run(repository: &Repository, scenario: Scenario, options: Options) -> Result<()> {
    let result = match scenario {
        Scenario::Submit => submit::run(repository)?,
        Scenario::Tasks => tasks::run(repository)?,
        Scenario::Queue => queue::run(repository)?,
        Scenario::Rivals => rivals::run(repository)?,
        Scenario::Restart => restart::run(repository)?,
        Scenario::Ledger => ledger::run(repository, options)?,
        Scenario::Decisions => decisions::run(repository)?,
    };
    println!("{result}");
    Ok(())
}

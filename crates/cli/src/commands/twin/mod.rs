//! `twin`: the network in simulated time; one file for each command.

pub(crate) mod bench_cycle;

use clap::Subcommand;

use crate::{failure::Failure, session::Session};

/// The commands of `twin`.
#[derive(Debug, Subcommand)]
pub(crate) enum TwinCommand {
    /// Measures one scheduling cycle of a large made-up network.
    BenchCycle(bench_cycle::BenchCycleArgs),
}

/// Runs the command that was asked for.
pub(crate) fn twin(session: &Session, command: &TwinCommand) -> Result<(), Failure> {
    match command {
        TwinCommand::BenchCycle(args) => bench_cycle::bench_cycle(session, args),
    }
}

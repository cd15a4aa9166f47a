//! `twin`: the network in simulated time; one file for each command.

pub(crate) mod diff;
pub(crate) mod replay;
pub(crate) mod run;
mod spent;

use clap::Subcommand;

use crate::{failure::Failure, session::Session};

/// The commands of `twin`.
#[derive(Debug, Subcommand)]
pub(crate) enum TwinCommand {
    /// Runs a scenario and reports waits, use, cost and energy.
    Run(run::RunArgs),
    /// Compares two scenarios, or two policies on one, seed by seed.
    Diff(diff::DiffArgs),
    /// Makes the plans of a journal again, under its own policy or another.
    Replay(replay::ReplayArgs),
}

/// Runs the command that was asked for.
pub(crate) fn twin(session: &Session, command: &TwinCommand) -> Result<(), Failure> {
    match command {
        TwinCommand::Run(args) => run::run(session, args),
        TwinCommand::Diff(args) => diff::diff(session, args),
        TwinCommand::Replay(args) => replay::replay(session, args),
    }
}

//! `twin`: the network in simulated time; one file for each command.

pub(crate) mod import;

use clap::Subcommand;

use crate::{failure::Failure, session::Session};

/// The commands of `twin`.
#[derive(Debug, Subcommand)]
pub(crate) enum TwinCommand {
    /// Turns what happened at a site into a workload and a network.
    #[command(subcommand)]
    Import(import::ImportCommand),
}

/// Runs the command that was asked for.
pub(crate) fn twin(session: &Session, command: &TwinCommand) -> Result<(), Failure> {
    match command {
        TwinCommand::Import(command) => import::import(session, command),
    }
}

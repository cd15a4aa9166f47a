//! `twin`: the network in simulated time; one file for each command.

pub(crate) mod swf;

use clap::Subcommand;

use crate::{failure::Failure, session::Session};

/// The commands of `twin`.
#[derive(Debug, Subcommand)]
pub(crate) enum TwinCommand {
    /// Replays the log of a parallel machine under the policies of one queue.
    Swf(swf::SwfArgs),
}

/// Runs the command that was asked for.
pub(crate) fn twin(session: &Session, command: &TwinCommand) -> Result<(), Failure> {
    match command {
        TwinCommand::Swf(args) => swf::swf(session, args),
    }
}

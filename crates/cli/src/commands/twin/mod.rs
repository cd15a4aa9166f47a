//! `twin`: the network in simulated time; one file for each command.

pub(crate) mod bench_cycle;
pub(crate) mod diff;
pub(crate) mod import;
mod one_queue;
pub(crate) mod openb;
pub(crate) mod policies;
pub(crate) mod replay;
pub(crate) mod run;
mod spent;
pub(crate) mod swf;

use clap::Subcommand;

use crate::{failure::Failure, session::Session};

/// The commands of `twin`.
#[derive(Debug, Subcommand)]
pub(crate) enum TwinCommand {
    /// Replays the log of a parallel machine under the policies of one queue.
    Swf(swf::SwfArgs),
    /// Packs the task lists of Alibaba's GPU trace of 2023 onto its nodes, as published.
    Openb(openb::OpenbArgs),
    /// Runs a scenario and reports waits, use, cost and energy.
    Run(run::RunArgs),
    /// Turns traces, logs and series from outside into a scenario, and runs it.
    Import(import::ImportArgs),
    /// Measures one scheduling cycle of a large made-up network.
    ///
    /// `cycle_cpu_ms` is everything from the snapshot to the plan on one thread: the index of nodes, the order of
    /// turns, placements with their nodes, promises and the reasons of all that waits. Making the network is not in it.
    BenchCycle(bench_cycle::BenchCycleArgs),
    /// Compares two scenarios, or two policies on one, seed by seed.
    Diff(diff::DiffArgs),
    /// Makes the plans of a journal again, under its own policy or another.
    Replay(replay::ReplayArgs),
}

/// Runs the command that was asked for.
pub(crate) fn twin(session: &Session, command: &TwinCommand) -> Result<(), Failure> {
    match command {
        TwinCommand::Swf(args) => swf::swf(session, args),
        TwinCommand::Openb(args) => openb::openb(session, args),
        TwinCommand::Run(args) => run::run(session, args),
        TwinCommand::Import(args) => import::import(session, args),
        TwinCommand::BenchCycle(args) => bench_cycle::bench_cycle(session, args),
        TwinCommand::Diff(args) => diff::diff(session, args),
        TwinCommand::Replay(args) => replay::replay(session, args),
    }
}

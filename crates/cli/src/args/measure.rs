//! What this machine sustains, and what makers say.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use huisuan_model::RangeSet;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct MeasureArgs {
    #[command(subcommand)]
    pub(crate) what: Option<MeasureCommand>,
    /// The processors to measure, such as `0-3,8`; all when absent.
    #[arg(long, value_name = "LIST")]
    pub(crate) cores: Option<RangeSet>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MeasureCommand {
    /// Lists what makers declare of devices and processors, or what a name may mean.
    Parts(PartsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PartsArgs {
    /// A part, or a name under which parts are sold, such as `A100 80GB` or `Ascend 910B`; all parts when absent.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// A file with further or corrected parts, in the form of the files in `crates/measure/parts`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) parts: Option<PathBuf>,
}

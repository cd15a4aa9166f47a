//! Commands at a centre: the agent and what it starts.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use huisuan_api::spec::quantity;
use huisuan_model::{Bytes, CentreId, Class, RangeSet};

#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// What `huisuan centre add` printed, or HUISUAN_JOIN, or `@FILE` to keep it out of lists of processes; it names
    /// server, centre, class and token.
    #[arg(long, value_name = "TOKEN", env = "HUISUAN_JOIN", hide_env = true)]
    pub(crate) join: Option<String>,
    /// The centre's name, when there is no join token.
    #[arg(long, value_name = "NAME", conflicts_with = "join")]
    pub(crate) centre: Option<CentreId>,
    /// The class that the centre is run as: ai, hpc or general.
    #[arg(long, value_name = "CLASS", conflicts_with = "join")]
    pub(crate) class: Option<Class>,
    /// What runs the work here: local, slurm or kubernetes.
    #[arg(long, value_enum, value_name = "ENGINE", default_value_t, hide_possible_values = true)]
    pub(crate) engine: EngineArg,
    /// The file that says how to use the engine, in TOML; for local it may be left out.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) engine_config: Option<PathBuf>,
    /// What this site allows, in TOML: tenants, sizes, hours, accounts. Kept here, whatever the server orders.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) policy: Option<PathBuf>,
    /// Looks whether everything is in order here, and joins nothing.
    #[arg(long)]
    pub(crate) check: bool,
    /// Where orders and results are kept; `~/.local/share/huisuan/agents/NAME` when absent.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,
    /// The processors given to the network, such as `0-3,8`; all when absent. For local.
    #[arg(long, value_name = "LIST")]
    pub(crate) cores: Option<RangeSet>,
    /// The memory given to the network; nine tenths of the machine's when absent. For local.
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(crate) memory: Option<Bytes>,
}

/// The engines that an agent can drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum EngineArg {
    /// Processes of this machine.
    #[default]
    Local,
    /// A Slurm cluster.
    Slurm,
    /// A Kubernetes cluster.
    Kubernetes,
}

impl EngineArg {
    /// The word of the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            EngineArg::Local => "local",
            EngineArg::Slurm => "slurm",
            EngineArg::Kubernetes => "kubernetes",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SuperviseArgs {
    /// The folder of the centre.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

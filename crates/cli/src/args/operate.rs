//! Commands of operators: centres, tenants, books, checks.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use huisuan_api::spec::quantity;
use huisuan_model::{CentreId, Money, PoolId, ProjectId, TenantId};

use crate::parse;

#[derive(Debug, Subcommand)]
pub(crate) enum CentreCommand {
    /// Lists all centres.
    Ls,
    /// Shows one centre with its pools.
    Show(CentreArgs),
    /// Places no new work there; what runs goes on.
    Pause(CentreArgs),
    /// Places work there again.
    Resume(CentreArgs),
    /// Declares maintenance: no task is placed that could run into it.
    Maintain(MaintainArgs),
    /// Lists the maintenance of a centre.
    Windows(CentreArgs),
    /// Takes maintenance back.
    CancelWindow(WindowArgs),
    /// Has pools measured again when nothing runs there.
    Measure(PoolArgs),
    /// Believes doubted ratings of a centre and the key that signed them.
    AcceptRating(PoolArgs),
}

/// A centre.
#[derive(Debug, Args)]
pub(crate) struct CentreArgs {
    /// Which centre.
    #[arg(value_name = "CENTRE")]
    pub(crate) centre: CentreId,
}

/// Maintenance of a centre.
#[derive(Debug, Args)]
pub(crate) struct MaintainArgs {
    /// Which centre.
    #[arg(value_name = "CENTRE")]
    pub(crate) centre: CentreId,
    /// When it begins: 2026-03-01T20:00:00+08:00, `now`, or from now on such as `+2h`.
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    pub(crate) from: parse::Moment,
    /// When it is over, written in the same ways.
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    pub(crate) until: parse::Moment,
    /// Only this pool; the whole centre when absent.
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<PoolId>,
    /// Why, for people.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) note: String,
}

/// A pool of a centre, or all of them.
#[derive(Debug, Args)]
pub(crate) struct PoolArgs {
    /// Which centre.
    #[arg(value_name = "CENTRE")]
    pub(crate) centre: CentreId,
    /// Which pool; all when absent.
    #[arg(value_name = "POOL")]
    pub(crate) pool: Option<PoolId>,
}

/// One window of a centre.
#[derive(Debug, Args)]
pub(crate) struct WindowArgs {
    /// Which centre.
    #[arg(value_name = "CENTRE")]
    pub(crate) centre: CentreId,
    /// The number of the window.
    #[arg(value_name = "WINDOW")]
    pub(crate) window: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Lists all tenants.
    Ls,
    /// Adds a tenant.
    Add(TenantSetArgs),
    /// Changes a tenant; what is not named stays as it is.
    Set(TenantSetArgs),
    /// Gives a tenant a new token and prints it, this once.
    Token(TenantArgs),
}

/// A tenant.
#[derive(Debug, Args)]
pub(crate) struct TenantArgs {
    /// Which tenant.
    #[arg(value_name = "NAME")]
    pub(crate) tenant: TenantId,
}

/// A tenant and what is set of it.
#[derive(Debug, Args)]
pub(crate) struct TenantSetArgs {
    /// Which tenant.
    #[arg(value_name = "NAME")]
    pub(crate) tenant: TenantId,
    #[command(flatten)]
    pub(crate) settings: TenantSettings,
}

/// What an operator sets of a tenant.
#[derive(Debug, Args)]
pub(crate) struct TenantSettings {
    /// Twice the weight is due twice the share; from 1.
    #[arg(long, value_name = "N")]
    pub(crate) weight: Option<u32>,
    /// The most cores that it may hold at once, or `none`.
    #[arg(long, value_name = "CORES")]
    pub(crate) quota_cores: Option<String>,
    /// The most accelerators that it may hold at once, or `none`.
    #[arg(long, value_name = "DEVICES")]
    pub(crate) quota_devices: Option<String>,
    /// The most jobs that it may have which have not ended.
    #[arg(long, value_name = "N")]
    pub(crate) jobs_max: Option<u64>,
    /// Money to spend, on top of what it has, such as 1000 or 12.50.
    #[arg(long, value_name = "AMOUNT", value_parser = quantity::money)]
    pub(crate) fund: Option<Money>,
    /// A project and its weight within the tenant's share; may be given several times.
    #[arg(long = "project", value_name = "NAME[:WEIGHT]", value_parser = parse::project)]
    pub(crate) projects: Vec<(ProjectId, u32)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Lists all accounts and says whether they add up to nothing.
    Balance,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Checks the data folder of a server that does not run: its journal against its tables and books.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,
}

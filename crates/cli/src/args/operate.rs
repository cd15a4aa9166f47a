//! Commands of operators: centres, tenants, books, checks.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use huisuan_api::spec::quantity;
use huisuan_model::{CentreId, Class, DurationMs, Money, PoolId, ProjectId, TenantId};

use super::EngineArg;
use crate::parse;

#[derive(Debug, Subcommand)]
pub(crate) enum CentreCommand {
    /// Makes a centre known and prints how its site joins it.
    Add(CentreAddArgs),
    /// Gives a centre's agent a new token and prints how its site joins it; the one before is void.
    Token(CentreTokenArgs),
    /// Lists all centres.
    Ls,
    /// Shows one centre with its pools.
    Show(CentreArgs),
    /// Places no new work there; what runs goes on.
    Pause(CentreArgs),
    /// Places work there again.
    Resume(CentreArgs),
    /// Pauses a centre and waits until nothing is left there.
    Drain(CentreDrainArgs),
    /// Lists what at centres wants a person's eyes.
    Alarms(CentreAlarmsArgs),
    /// Declares maintenance: no task is placed that could run into it.
    Maintain(MaintainArgs),
    /// Lists the maintenance of a centre.
    Windows(CentreArgs),
    /// Takes maintenance back.
    CancelWindow(WindowArgs),
}

/// A centre.
#[derive(Debug, Args)]
pub(crate) struct CentreArgs {
    /// Which centre.
    #[arg(value_name = "CENTRE")]
    pub(crate) centre: CentreId,
}

/// A new centre.
#[derive(Debug, Args)]
pub(crate) struct CentreAddArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub(crate) centre: CentreId,
    /// The class that it is run as: ai, hpc or general.
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Class,
    /// What runs the work there: local, slurm or kubernetes.
    #[arg(long, value_enum, value_name = "ENGINE", default_value_t, hide_possible_values = true)]
    pub(crate) engine: EngineArg,
    /// Its IANA time zone, such as Asia/Shanghai.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) zone: String,
    /// The price in CNY of one P·h of its class.
    #[arg(long, value_name = "PRICE", default_value = "0", value_parser = quantity::money)]
    pub(crate) price: Money,
    /// Where the site reaches this server; the address that this command uses when absent.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) address: Option<String>,
}

/// A new token.
#[derive(Debug, Args)]
pub(crate) struct CentreTokenArgs {
    /// Which centre.
    #[arg(value_name = "CENTRE")]
    pub(crate) centre: CentreId,
    /// Says that the token before may become void: an agent that has it is no longer heard.
    #[arg(long, required = true)]
    pub(crate) rotate: bool,
    /// Where the site reaches this server; the address that this command uses when absent.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) address: Option<String>,
}

/// Alarms.
#[derive(Debug, Args)]
pub(crate) struct CentreAlarmsArgs {
    /// Clears those of this centre; what is still so is raised again.
    #[arg(long, value_name = "CENTRE")]
    pub(crate) clear: Option<CentreId>,
}

/// A centre to empty.
#[derive(Debug, Args)]
pub(crate) struct CentreDrainArgs {
    /// Which centre.
    #[arg(value_name = "CENTRE")]
    pub(crate) centre: CentreId,
    /// The longest wait, such as 90s or 1h30m; exits with 8 when it is over. It stays paused.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) timeout: Option<DurationMs>,
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

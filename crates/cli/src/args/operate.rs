//! Commands of operators: centres, tenants, books, checks.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use huisuan_api::{Timestamp, books::moment, spec::quantity};
use huisuan_model::{CentreId, Class, DurationMs, Money, PoolId, ProjectId, TenantId, tenant::Limit};

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
    #[arg(long, value_name = "PRICE", default_value = "0", allow_negative_numbers = true, value_parser = quantity::money)]
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
pub(crate) enum NetworkCommand {
    /// Declares places, links and power of centres from a TOML file; what was declared of them before is replaced.
    Set(NetworkSetArgs),
    /// Shows what is declared.
    Show,
}

/// A file about the network.
#[derive(Debug, Args)]
pub(crate) struct NetworkSetArgs {
    /// The file; its fields are those of scenarios.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Lists all tenants.
    Ls,
    /// Adds a tenant.
    Add(TenantSetArgs),
    /// Changes a tenant; what is not named stays as it is.
    Set(TenantSetArgs),
    /// Closes the account of a tenant that has no jobs and owes nothing; its bills stay.
    Close(TenantArgs),
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
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = quantity::money)]
    pub(crate) fund: Option<Money>,
    /// A project and its weight within the tenant's share; may be given several times.
    #[arg(long = "project", value_name = "NAME[:WEIGHT]", value_parser = parse::project)]
    pub(crate) projects: Vec<(ProjectId, u32)>,
    /// The industry that its use is counted under in reports; empty for none.
    #[arg(long, value_name = "NAME")]
    pub(crate) industry: Option<String>,
    /// The most money in a calendar month, such as 1000, or `none`.
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = parse::budget)]
    pub(crate) budget_month: Option<Limit>,
    /// The most money for an hour of all that runs at once, or `none`.
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = parse::budget)]
    pub(crate) budget_hour: Option<Limit>,
    /// The most money of a project in a month, or `none`; may be given several times.
    #[arg(long = "budget-project", value_name = "NAME=AMOUNT", value_parser = parse::project_budget)]
    pub(crate) budget_projects: Vec<(ProjectId, Limit)>,
    /// What it may owe: it pays when the bill has come.
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = quantity::money)]
    pub(crate) credit: Option<Money>,
    /// Whether it may reserve capacity in advance for itself, up to its quota: yes or no.
    #[arg(long, value_name = "YES", value_parser = parse::yes)]
    pub(crate) may_reserve: Option<bool>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Lists all accounts and says whether they add up to nothing.
    Balance,
    /// Derives every balance again from the journal, by other code, and checks the chain over all transfers.
    Audit(AuditArgs),
    /// Lists the hash at the end of each day: keep some elsewhere to prove later that nothing was altered.
    Days,
    /// Writes transfers in a form that other programs read.
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The data folder of a server that does not run, instead of a server.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,
}

/// Forms of an export of the books.
const LEDGER_FORMATS: [&str; 5] = ["beancount", "csv", "json", "focus-1.2", "focus-1.0"];

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// How: beancount, csv or json for transfers; focus-1.2 or focus-1.0 for the bills of all tenants.
    #[arg(long, value_name = "FORMAT", value_parser = LEDGER_FORMATS, hide_possible_values = true)]
    pub(crate) format: String,
    /// Only what was booked at this moment or later: a day such as 2026-11-22 (UTC), or a time in RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) from: Option<Timestamp>,
    /// Only what was booked before this moment.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) to: Option<Timestamp>,
    /// The data folder of a server that does not run, instead of a server.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Checks the data folder of a server that does not run: its journal against its tables and books.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ApiArgs {
    /// The method; GET alone, because it changes nothing.
    #[arg(value_name = "METHOD", ignore_case = true, value_parser = ["GET"])]
    pub(crate) method: String,
    /// The path, such as /v1/jobs?state=running.
    #[arg(value_name = "PATH", value_parser = parse::path)]
    pub(crate) path: String,
}

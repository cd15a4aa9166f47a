//! Commands of contracts.

use clap::{Args, Subcommand};
use huisuan_api::spec::quantity;
use huisuan_model::{CentreId, Class, Money, PoolId, TenantId};

use crate::parse;

#[derive(Debug, Subcommand)]
pub(crate) enum ContractCommand {
    /// Lists the contracts between tenants and centres.
    Ls,
    /// Makes a contract: its price goes before the tariff from its first moment on.
    Add(ContractAddArgs),
    /// Ends a contract at a full hour to come.
    End(ContractEndArgs),
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("agreed").required(true))]
pub(crate) struct ContractAddArgs {
    /// Who pays.
    #[arg(value_name = "TENANT")]
    pub(crate) tenant: TenantId,
    /// Whose compute it is.
    #[arg(value_name = "CENTRE")]
    pub(crate) centre: CentreId,
    /// The price in CNY of one P·h, at all hours.
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = quantity::money, group = "agreed")]
    pub(crate) price: Option<Money>,
    /// Or what is taken off the tariff's price, such as 15% or 12.5%.
    #[arg(long, value_name = "PERCENT", value_parser = parse::discount, group = "agreed")]
    pub(crate) discount: Option<u16>,
    /// Only for this pool.
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<PoolId>,
    /// Only for pools of this class: ai, hpc or general.
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<Class>,
    /// When it begins, a full hour such as 2026-12-01T00:00:00+08:00; the next one when absent.
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    pub(crate) from: Option<parse::Moment>,
    /// When it is over, written in the same ways; never when absent.
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    pub(crate) until: Option<parse::Moment>,
    /// For people: the number of the paper, for instance.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) note: String,
}

#[derive(Debug, Args)]
pub(crate) struct ContractEndArgs {
    /// The number of the contract.
    #[arg(value_name = "CONTRACT")]
    pub(crate) contract: u32,
    /// The first moment after it, a full hour; the next one when absent.
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    pub(crate) at: Option<parse::Moment>,
}

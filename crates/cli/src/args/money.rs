//! Commands of money: bills, tariffs, reports.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use huisuan_api::spec::quantity;
use huisuan_model::{CentreId, Class, HourSet, Money, PoolId, TenantId};

use crate::parse;

#[derive(Debug, Subcommand)]
pub(crate) enum BillCommand {
    /// Lists the bills of a month, or the statements of centres.
    Ls(BillListArgs),
    /// Shows a bill line by line, or the meter records of one line.
    Show(BillShowArgs),
    /// Writes a bill as CSV, as FOCUS 1.2 or as a page for printing.
    Export(BillExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BillListArgs {
    /// The month, such as 2026-11; the present one when absent.
    #[arg(long, value_name = "MONTH")]
    pub(crate) month: Option<String>,
    /// The settlement statements of centres instead of the bills of tenants.
    #[arg(long, visible_alias = "centers")]
    pub(crate) centres: bool,
}

/// Whose bill of which month.
#[derive(Debug, Args)]
pub(crate) struct BillArgs {
    /// The month, such as 2026-11; the present one when absent.
    #[arg(long, value_name = "MONTH")]
    pub(crate) month: Option<String>,
    /// The tenant; `local` when neither a tenant nor a centre is named.
    #[arg(long, value_name = "NAME", conflicts_with = "centre")]
    pub(crate) tenant: Option<TenantId>,
    /// The settlement statement of this centre instead.
    #[arg(long, visible_alias = "center", value_name = "NAME")]
    pub(crate) centre: Option<CentreId>,
}

#[derive(Debug, Args)]
pub(crate) struct BillShowArgs {
    #[command(flatten)]
    pub(crate) of: BillArgs,
    /// Opens this line down to its meter records.
    #[arg(long, value_name = "LINE")]
    pub(crate) trace: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BillExportArgs {
    #[command(flatten)]
    pub(crate) of: BillArgs,
    /// csv, focus-1.2, focus-1.0 (with the names of older tools beside them) or html.
    #[arg(long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    pub(crate) format: BillFormat,
    /// The language of a page: en or zh.
    #[arg(long, value_name = "LANGUAGE", value_parser = ["en", "zh"], default_value = "en", hide_possible_values = true)]
    pub(crate) language: String,
}

/// Forms of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum BillFormat {
    /// One row a line.
    #[default]
    Csv,
    /// FinOps Open Cost and Usage Specification 1.2.
    #[value(name = "focus-1.2")]
    Focus12,
    /// The same with the names of version 1.0 beside them.
    #[value(name = "focus-1.0")]
    Focus10,
    /// A page for printing.
    Html,
}

impl BillFormat {
    /// The word of the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            BillFormat::Csv => "csv",
            BillFormat::Focus12 => "focus-1.2",
            BillFormat::Focus10 => "focus-1.0",
            BillFormat::Html => "html",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum TariffCommand {
    /// Lists the prices of centres and the rules that change them.
    Ls,
    /// Adds a rule: another price for a tenant, a pool, a class, hours of the day or a priority.
    Add(TariffAddArgs),
    /// Ends a rule at a full hour to come.
    End(TariffEndArgs),
    /// Prices anew what was used since a rule's first moment; repeating it changes nothing.
    Rerate(TariffRuleArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TariffAddArgs {
    /// Whose price.
    #[arg(value_name = "CENTRE")]
    pub(crate) centre: CentreId,
    /// The price in CNY of one P·h.
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true, value_parser = quantity::money)]
    pub(crate) price: Money,
    /// Only for this tenant: a price that was agreed with it. It goes before all others.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<TenantId>,
    /// Only for this pool.
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<PoolId>,
    /// Only for pools of this class: ai, hpc or general.
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<Class>,
    /// Only in these hours of the day in the centre's zone, such as 8-12,14-22 or 22-6.
    #[arg(long, value_name = "HOURS")]
    pub(crate) hours: Option<HourSet>,
    /// Only for jobs of this priority or a higher one.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = quantity::priority)]
    pub(crate) priority: Option<i32>,
    /// When it begins, a full hour such as 2026-12-01T00:00:00+08:00; the next one when absent.
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    pub(crate) from: Option<parse::Moment>,
    /// When it is over, written in the same ways; never when absent.
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    pub(crate) until: Option<parse::Moment>,
    /// The order to price anew what was used since it begins: only then may it begin in the past or meet another rule.
    #[arg(long)]
    pub(crate) rerate: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TariffRuleArgs {
    /// The number of the rule.
    #[arg(value_name = "RULE")]
    pub(crate) rule: u32,
}

#[derive(Debug, Args)]
pub(crate) struct TariffEndArgs {
    /// The number of the rule.
    #[arg(value_name = "RULE")]
    pub(crate) rule: u32,
    /// The first moment after it, a full hour; the next one when absent.
    #[arg(long, value_name = "TIME", value_parser = parse::moment)]
    pub(crate) at: Option<parse::Moment>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Capacity, delivery and growth by month or quarter, who used it, and which industries.
    Growth(GrowthArgs),
    /// Accounts for every hour of every pool: used, idle and unavailable are its capacity.
    Hours(HoursArgs),
    /// Lists what centres reported and cannot be, with the reason.
    Oddities,
}

#[derive(Debug, Args)]
pub(crate) struct GrowthArgs {
    /// month or quarter.
    #[arg(long, value_name = "PERIOD", value_parser = ["month", "quarter"], default_value = "month", hide_possible_values = true)]
    pub(crate) by: String,
    /// A declared series to set beside it: CSV with the columns period, name and value.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) indicator: Option<PathBuf>,
    /// Writes plots as SVG files into this folder, one for each class.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) svg: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct HoursArgs {
    /// Only this centre.
    #[arg(long, visible_alias = "center", value_name = "NAME")]
    pub(crate) centre: Option<CentreId>,
    /// How many hours back from now, at most 744.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=744))]
    pub(crate) hours: u32,
}

//! Bills of tenants, statements of centres, tariffs: on the wire. Money is in millionths, work in GFLOP of its class.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::wire::{Amount, EnergyFields, Timestamp, Usage};

/// The bills or statements of a month, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BillList {
    /// The month, such as `2026-11`, in the zone of bills.
    pub month: String,
    /// Whether it is over: what is listed never changes again then.
    pub closed: bool,
    /// One for each who has any.
    pub bills: Vec<BillSummary>,
}

/// One bill in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BillSummary {
    /// The tenant, or the centre of a statement.
    pub name: String,
    /// The sum of its lines.
    pub total: Amount,
    /// Meter records in it.
    pub records: u64,
}

/// A bill or a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BillView {
    /// What it is filed under.
    pub number: String,
    /// The tenant, or the centre of a statement.
    pub name: String,
    /// The month, such as `2026-11`.
    pub month: String,
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// Whether the month is over.
    pub closed: bool,
    /// The sum of the lines.
    pub total: Amount,
    /// Work by class; classes are never added.
    pub work: Usage,
    /// Energy and CO2 of the lines that know it.
    #[serde(flatten)]
    pub energy: EnergyFields,
    /// What is priced alike, by name.
    pub lines: Vec<BillLine>,
}

/// A line of a bill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BillLine {
    /// Names it, for its records.
    pub line: String,
    /// Who pays.
    pub tenant: String,
    /// Where.
    pub centre: String,
    /// On what.
    pub pool: String,
    /// The class of the work.
    pub class: String,
    /// What for.
    pub project: String,
    /// The rule of the tariff; 0 for the centre's own price.
    pub rule: u32,
    /// The contract that set the price instead.
    #[serde(default)]
    pub contract: Option<u32>,
    /// What the tariff asks for one P·h: the price itself where no contract is.
    pub list_price_per_p_h: Amount,
    /// The price of one P·h.
    pub price_per_p_h: Amount,
    /// Whether it corrects what was billed before.
    pub correction: bool,
    /// Work in GFLOP.
    pub work_gflop: i64,
    /// The same in P·h, for people.
    pub work_p_h: f64,
    /// Processor time.
    pub cpu_ms: u64,
    /// Energy and CO2, where they are known.
    #[serde(flatten)]
    pub energy: EnergyFields,
    /// Attempts.
    pub attempts: u64,
    /// Meter records.
    pub records: u64,
    /// The sum of what was posted.
    pub cost: Amount,
}

/// The meter records of a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordList {
    /// The line.
    pub line: String,
    /// The sum of the records.
    pub total: Amount,
    /// In the order of booking.
    pub records: Vec<RecordView>,
}

/// One row of the meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordView {
    /// Whose: `job.task.attempt`.
    pub attempt: String,
    /// Counts up from 1 for an attempt.
    pub number: u32,
    /// The record that it corrects.
    pub adjusts: Option<u32>,
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// When it was booked.
    pub booked_at: Timestamp,
    /// Work.
    pub work_gflop: i64,
    /// Processor time.
    pub cpu_ms: u64,
    /// Energy in joules, where it is known.
    pub energy_j: Option<u64>,
    /// Where that comes from: `measured`, `modelled` or `declared`.
    #[serde(default)]
    pub energy_mark: Option<String>,
    /// Grams of CO2 for each kWh at that time, where the grid is known.
    #[serde(default)]
    pub carbon_g_per_kwh: Option<u32>,
    /// The version of the pool's rating.
    pub rating_version: u32,
    /// The sustained rate of the whole pool.
    pub sustained_gflop_per_s: u64,
    /// Thousandths of cores or devices given.
    pub part: u64,
    /// The same of the whole pool.
    pub whole: u64,
    /// The rule of the tariff; 0 for the centre's own price.
    pub rule: u32,
    /// The contract that set the price instead.
    #[serde(default)]
    pub contract: Option<u32>,
    /// What the tariff asked for one P·h: the price itself where no contract is.
    pub list_price_per_p_h: Amount,
    /// The price of one P·h.
    pub price_per_p_h: Amount,
    /// What was posted.
    pub cost: Amount,
}

/// Which month.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MonthQuery {
    /// Such as `2026-11`; the present one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
}

/// Which line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LineQuery {
    /// Its name on the bill.
    pub line: String,
}

/// In which form.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `csv`, `focus-1.2`, `focus-1.0` or `html`.
    #[param(pattern = "^(csv|focus-1.2|focus-1.0|html)$")]
    pub format: String,
    /// Of a page: `en` or `zh`; `en` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(pattern = "^(en|zh)$")]
    pub language: Option<String>,
}

/// All rules of tariffs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TariffList {
    /// What is asked where no rule is met, by centre.
    pub base: Vec<BasePrice>,
    /// The rules by number.
    pub rules: Vec<TariffRuleView>,
}

/// A centre's own price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BasePrice {
    /// Whose.
    pub centre: String,
    /// The price of one P·h of its class.
    pub price_per_p_h: Amount,
    /// The zone of its hours.
    pub zone: String,
}

/// A rule of a tariff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TariffRuleView {
    /// Its number.
    pub rule: u32,
    /// Whose price.
    pub centre: String,
    /// Only for this tenant: a price that was agreed with it.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Only for this pool.
    pub pool: Option<String>,
    /// Only for pools of this class.
    pub class: Option<String>,
    /// Only in these hours of the day, such as `8-12,14-22`, in the centre's zone.
    pub hours: Option<String>,
    /// Only for jobs of this priority or a higher one.
    pub priority_min: Option<i32>,
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it; open when `null`.
    pub until: Option<Timestamp>,
    /// The price of one P·h.
    pub price_per_p_h: Amount,
}

/// A new rule of a tariff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TariffRuleRequest {
    /// Whose price.
    pub centre: String,
    /// Only for this tenant: a price that was agreed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only for this pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Only for pools of this class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Only in these hours of the day, such as `8-12,14-22` or `22-6`, in the centre's zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// Only for jobs of this priority or a higher one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_min: Option<i32>,
    /// Its first moment, a full hour of the centre's zone; the next one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The first moment after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Millionths of the network's currency for one P·h.
    pub price_per_p_h: i64,
    /// The order to price anew what was used since `from`: only then may it be past, or meet another rule.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rerate: bool,
}

/// The end of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TariffEndRequest {
    /// The first moment after it: a full hour to come; the next one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What was priced anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rerated {
    /// The rule.
    pub rule: u32,
    /// Meter records that were corrected.
    pub corrected: u64,
    /// What tenants pay on top; less than nothing where they got something back.
    pub difference: Amount,
    /// Records of attempts that ended meanwhile and may have been left out: give the order again.
    pub running: u64,
}

//! Reports of planners and operators: on the wire. Work is in GFLOP of its class, and classes are never added.

use std::collections::BTreeMap;

use huisuan_model::Class;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::wire::{ClassUsage, EnergyFields, Timestamp};

/// Capacity and delivery, period by period. All figures are of this network; none is declared by anybody but the rate
/// of pools that were never measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GrowthView {
    /// `month` or `quarter`.
    pub by: String,
    /// The zone of its calendar.
    pub zone: String,
    /// The periods in their order, without gaps.
    pub periods: Vec<PeriodView>,
}

/// One period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PeriodView {
    /// `2026-11` or `2026-Q4`.
    pub period: String,
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// Whether it is over.
    pub complete: bool,
    /// Its figures by class.
    #[schema(value_type = BTreeMap<String, GrowthFigures>)]
    pub classes: BTreeMap<Class, GrowthFigures>,
}

/// The figures of one class in one period. A growth of 0.1 is 10 % more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GrowthFigures {
    /// What was there: sustained rate times time.
    pub capacity: ClassUsage,
    /// What was delivered.
    pub delivered: ClassUsage,
    /// Delivered of what was there; `null` where nothing was.
    pub allocated_share: Option<f64>,
    /// Processor time used of the time of cores given; `null` for devices.
    pub used_share: Option<f64>,
    /// Energy and CO2 of what was delivered and knows it.
    #[serde(flatten)]
    pub energy: EnergyFields,
    /// Against the period before; `null` without one.
    pub growth: Option<f64>,
    /// Against the same period of the year before; `null` without one.
    pub growth_year: Option<f64>,
    /// Delivered in the year up to and with this period.
    pub to_date: ClassUsage,
    /// The same against the year before; `null` where that is not known from its beginning.
    pub growth_to_date: Option<f64>,
    /// Who used most.
    pub tenants: Vec<RankView>,
    /// By the industry of tenants.
    pub industries: Vec<RankView>,
}

/// A place in a ranking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RankView {
    /// The tenant or the industry; `-` for tenants without one.
    pub name: String,
    /// From 1.
    pub rank: u32,
    /// What was delivered.
    pub delivered: ClassUsage,
    /// Of all that was delivered of the class.
    pub share: f64,
}

/// Hours of pools: `used + idle + unavailable = capacity` in each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HourList {
    /// By centre, pool and hour.
    pub hours: Vec<HourView>,
}

/// One hour of one pool, in milliseconds of whole devices; of cores where the pool has no devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HourView {
    /// Where.
    pub centre: String,
    /// On what.
    pub pool: String,
    /// The class of the pool.
    pub class: String,
    /// Its first moment, a full hour of UTC.
    pub from: Timestamp,
    /// All that was there, in thousandths times milliseconds.
    pub capacity: i64,
    /// What attempts had.
    pub used: i64,
    /// What nobody had.
    pub idle: i64,
    /// What nobody could have had.
    pub unavailable: i64,
    /// What attempts had beyond the capacity, by their centres' clocks.
    pub beyond: i64,
}

/// What was found odd in reports of centres, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OddityList {
    /// At most 1,000.
    pub oddities: Vec<OddityView>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OddityView {
    /// Counts up.
    pub number: u64,
    /// Where.
    pub centre: String,
    /// About which attempt.
    pub attempt: String,
    /// `backwards`, `too-long`, `clock-ahead`, `clock-behind`, `overflow`, `too-much-energy`, `unknown-attempt`,
    /// `foreign-attempt`, `second-end`, `late`, `number-reused` or `too-many`.
    pub kind: String,
    /// When it came.
    pub at: Timestamp,
    /// What was reported and what was taken instead.
    pub detail: String,
    /// How often at least it came within an hour of `since`: the tenth time, the hundredth and so on are told.
    pub count: u64,
    /// When it came first.
    pub since: Timestamp,
}

/// The query of a growth report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GrowthQuery {
    /// `month` or `quarter`; `month` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(pattern = "^(month|quarter)$")]
    pub by: Option<String>,
}

/// The query of hours.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HoursQuery {
    /// Only this centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centre: Option<String>,
    /// How many hours back from now, 1 to 744; 24 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<u32>,
}

//! The report of a run.

use std::collections::BTreeMap;

use huisuan_model::{Class, Money, centre::CURRENCY};
use serde::Serialize;

use super::racks::GangFigures;
use crate::{scenario::Title, statistics::Summary};

/// An amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Millionths of the currency.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: &'static str,
}

impl From<Money> for Cost {
    fn from(money: Money) -> Self {
        Cost { amount: money.0, currency: CURRENCY }
    }
}

/// How long jobs waited for their first task to run, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Waits {
    /// Half of the jobs waited no longer.
    pub p50: f64,
    /// 95 of 100 jobs waited no longer.
    pub p95: f64,
    /// The longest wait.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
}

impl Waits {
    /// Of waits in milliseconds; `None` when there are none.
    pub(super) fn of(waits_ms: &mut [u64]) -> Option<Waits> {
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let summary = Summary::of(waits_ms)?;
        Some(Waits {
            p50: seconds(summary.p50),
            p95: seconds(summary.p95),
            max: seconds(summary.max),
            mean: (summary.mean * 10.0).round() / 10_000.0,
        })
    }
}

/// Jobs that belong together: of one family or of one tenant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Groups {
    /// What people call them, where the scenario says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    /// Jobs that came.
    pub jobs: u64,
    /// Jobs refused at the door.
    pub refused: u64,
    /// Why the first of these was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Jobs whose first task has begun to run.
    pub started: u64,
    /// Jobs that ended well.
    pub succeeded: u64,
    /// Jobs that ended badly.
    pub failed: u64,
    /// Waits of started jobs.
    pub wait_s: Option<Waits>,
    /// How long those have waited that had not started at the end.
    pub still_waiting_s: Option<Waits>,
    /// Posted cost of ended tasks.
    pub cost: Cost,
    /// Work of ended tasks, by class.
    pub usage_p_h: BTreeMap<Class, f64>,
    /// Mean round trip from users to where their tasks ran, for families with users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<f64>,
    /// The longest that they bear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_ms_max: Option<f64>,
    /// Where gangs lay, of families that had some in pools whose racks are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gangs: Option<GangFigures>,
}

/// One class of compute.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Nameplate of all pools.
    pub nameplate_p: f64,
    /// Sustained rate of all pools, as rated.
    pub rated_p: f64,
    /// Mean part of the rate that was given to tasks.
    pub allocated: f64,
    /// Mean part of the rate that tasks kept busy.
    pub used: f64,
    /// Work of ended tasks.
    pub delivered_p_h: f64,
    /// Waits of jobs whose first task ran in this class.
    pub wait_s: Option<Waits>,
    /// The most jobs that waited at a sample.
    pub waiting_max: u64,
}

/// One centre.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CentreFigures {
    /// What people call it.
    pub title: Title,
    /// What it is run as.
    pub class: Class,
    /// Tasks placed there.
    pub placements: u64,
    /// Attempts that the centre lost.
    pub lost: u64,
    /// Mean part of its rate that was given to tasks.
    pub allocated: f64,
    /// Mean part of its rate that tasks kept busy.
    pub used: f64,
    /// Work of ended tasks.
    pub delivered_p_h: f64,
    /// What tenants paid.
    pub earned: Cost,
    /// Energy of the whole site, from idle and busy power of its nodes and its PUE.
    pub energy_kwh: f64,
    /// What that energy cost.
    pub energy_cost: Cost,
    /// What it emitted.
    pub carbon_kg: f64,
}

/// Work that ran away from its data and users: what moved, what it saved, what it added.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transfers {
    /// Which family.
    pub family: String,
    /// The centre next to its data, or to its users where it has no data.
    pub from: String,
    /// Where it ran.
    pub to: String,
    /// Tasks that ran there.
    pub tasks: u64,
    /// Data moved for them.
    pub gib: f64,
    /// How long a transfer delayed its task on average.
    pub staging_s: f64,
    /// How long the scheduler took these transfers to last.
    pub staging_expected_s: f64,
    /// The longest of these transfers.
    pub staging_s_max: f64,
    /// Round trip that users have more than at home.
    pub round_trip_ms: Option<f64>,
    /// Work of ended tasks.
    pub work_p_h: f64,
    /// What tenants paid less than the same work costs at home; negative when they paid more.
    pub saved: Cost,
    /// What the energy of its ended tasks cost less than the same energy of machines at home in the same hours, both
    /// with their PUE.
    pub energy_saved: Cost,
    /// What it emitted less, likewise.
    pub carbon_saved_kg: f64,
    /// What moving the data took.
    pub transfer: TransferCosts,
    /// What remains of all that was saved.
    pub net: Net,
}

/// What moving data took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TransferCosts {
    /// The price of the links.
    pub price: Cost,
    /// Energy of the links.
    pub energy_kwh: f64,
    /// What that cost where the data lay, in the hours of the transfers.
    pub energy_price: Cost,
    /// What it emitted there.
    pub carbon_kg: f64,
}

/// What remains of savings when the transfers are paid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Net {
    /// Of what tenants paid less: without the price of the links.
    pub saved: Cost,
    /// Of what energy cost less.
    pub energy_saved: Cost,
    /// Of what was emitted less.
    pub carbon_saved_kg: f64,
}

/// One direction of a link that carried something.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkFigures {
    /// Where it begins.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// Transfers that went over it, whole or not.
    pub transfers: u64,
    /// What it carried.
    pub gib: f64,
    /// The mean part of its bandwidth that was used.
    pub used: f64,
}

/// What ran away from its data and users, in sum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moved {
    /// Tasks.
    pub tasks: u64,
    /// The part of all tasks that ran.
    pub tasks_percent: f64,
    /// Work of those that ended.
    pub work_p_h: f64,
    /// Data moved for them.
    pub gib: f64,
    /// How long a transfer delayed its task on average.
    pub staging_s_mean: f64,
    /// How long the scheduler took them to last.
    pub staging_expected_s_mean: f64,
    /// Round trip that their users have more than at home, on average over tasks of families with users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_ms_mean: Option<f64>,
    /// What tenants paid less.
    pub saved: Cost,
    /// What its energy cost less.
    pub energy_saved: Cost,
    /// What it emitted less.
    pub carbon_saved_kg: f64,
    /// What moving the data took.
    pub transfer: TransferCosts,
    /// What remains of all that was saved.
    pub net: Net,
}

/// Plans of the network level.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NetworkFigures {
    /// How many.
    pub plans: u64,
    /// Kinds of work in the last one.
    pub kinds: u64,
    /// How far they were from their proven bounds on average, in percent of these.
    pub gap_percent_mean: f64,
    /// The same of the worst.
    pub gap_percent_max: f64,
}

/// The report of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Which scenario.
    pub scenario: String,
    /// What people call it.
    pub title: Title,
    /// Where the figures come from: always `modelled`.
    pub mark: &'static str,
    /// Under which policy.
    pub policy: String,
    /// With which seed.
    pub seed: u64,
    /// How long a time was simulated.
    pub simulated_s: f64,
    /// Jobs that came.
    pub jobs: u64,
    /// Jobs refused at the door.
    pub refused: u64,
    /// Tasks placed.
    pub placements: u64,
    /// Of these, tasks that started because others that were placed with them had moved to make room.
    pub improved: u64,
    /// One figure for all placements: equal when two runs decided alike.
    pub decision_hash: String,
    /// Events of the control plane.
    pub events: u64,
    /// Cycles of the scheduler.
    pub cycles: u64,
    /// Mean part of each class's rate that was given to tasks.
    pub utilisation: BTreeMap<Class, f64>,
    /// By class.
    pub classes: BTreeMap<Class, ClassFigures>,
    /// By family.
    pub families: BTreeMap<String, Groups>,
    /// By tenant.
    pub tenants: BTreeMap<String, Groups>,
    /// By centre.
    pub centres: BTreeMap<String, CentreFigures>,
    /// Posted cost of ended tasks.
    pub cost: Cost,
    /// Energy of all sites.
    pub energy_kwh: f64,
    /// What all sites emitted.
    pub carbon_kg: f64,
    /// What the network level planned; absent where the centres declare neither links nor power.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkFigures>,
    /// All that ran away from home, in sum; absent where nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
    /// What ran away from home.
    pub transfers: Vec<Transfers>,
    /// Links that carried something, each direction for itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkFigures>,
}

//! The answer of the network level, and who can give it.

use huisuan_model::{CentreId, Class, Money, PoolId, TenantId};
use serde::{Deserialize, Serialize};

use crate::network::{model::WorkClassId, network::Network, problem::FRACTION_BITS, terms::Terms};

/// Who can plan.
pub trait NetworkPlanner {
    /// Plans. The same arguments give the same plan. `hint` is an earlier plan of a similar network: it makes the
    /// search shorter. A plan is legal and its bound holds whatever the hint says.
    fn plan(&self, network: &Network, hint: Option<&NetworkPlan>, budget: Budget) -> NetworkPlan;
}

/// The most that one plan does. What it costs is within a factor of the number of columns for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Rounds in which prices follow demand; each looks at every column once.
    pub rounds_max: u32,
    /// Pivots of the simplex method; each looks at every column once.
    pub pivots_max: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { rounds_max: 40, pivots_max: 20_000 }
    }
}

/// How many tasks of each class go where, and how good that is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkPlan {
    /// What to start, by class, centre, pool and slot.
    pub amounts: Vec<Amount>,
    /// What that is worth, in millionths.
    pub value: i128,
    /// No plan is worth more, in millionths. The prices prove it.
    pub bound: i128,
    /// `(bound - value) / bound` in millionths; 0 where the bound is 0. Never negative.
    pub gap_ppm: u32,
    /// What the bound rests on: what one more unit of each scarce thing would be worth. Those that are not listed
    /// are zero.
    pub prices: Vec<Price>,
    /// Where a next solver may begin; empty from planners that have none.
    pub basis: Basis,
    /// Pivots that the simplex method made.
    pub pivots: u32,
    /// Whether the linear program behind the plan was solved to its optimum.
    pub solved: bool,
}

/// Tasks of one class that start at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// The class.
    pub class: WorkClassId,
    /// Where.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// In which slot, from 0.
    pub slot: u32,
    /// How many, at least one.
    pub tasks: u64,
    /// What one of them is worth there.
    pub terms: Terms,
}

/// What can run out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Scarce {
    /// A pool in a slot; its unit is a thousandth of a device for a millisecond.
    Pool {
        /// Where.
        centre: CentreId,
        /// Which.
        pool: PoolId,
        /// When.
        slot: u32,
    },
    /// A link in a slot; its unit is a byte.
    Link {
        /// Where it begins.
        from: CentreId,
        /// Where it ends.
        to: CentreId,
        /// When.
        slot: u32,
    },
    /// The power cap of a centre in a slot; its unit is a millijoule.
    Power {
        /// Where.
        centre: CentreId,
        /// When.
        slot: u32,
    },
    /// A tenant's quota of a class of compute; its unit is a GFLOP.
    Quota {
        /// Whose.
        tenant: TenantId,
        /// Of what.
        class: Class,
    },
    /// What an opaque centre still takes; its unit is a task.
    InFlight {
        /// Where.
        centre: CentreId,
    },
}

/// The shadow price of one scarce thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of what.
    pub of: Scarce,
    /// Millionths for one unit, times 2^40.
    pub fixed: u128,
}

impl Price {
    /// The price of so many units, in millionths, rounded down: 3,600,000,000 of them are a device for an hour, or
    /// a kWh; 1,000,000,000 are a gigabyte.
    pub fn of_units(&self, units: u64) -> Money {
        let amount = self.fixed.saturating_mul(u128::from(units)) >> FRACTION_BITS;
        Money(i64::try_from(amount).unwrap_or(i64::MAX))
    }
}

/// A basis of the linear program, by name, so that it outlives classes and pools that come and go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// Basic choices of each class, its key first.
    pub held: Vec<Held>,
    /// Rows that are full.
    pub tight: Vec<Scarce>,
}

/// A basic choice of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The class.
    pub class: WorkClassId,
    /// Where; `None` for tasks that are left out.
    pub place: Option<(CentreId, PoolId, u32)>,
}

/// `(bound - value) / bound` in millionths, rounded up.
pub(super) fn gap_ppm(value: i128, bound: i128) -> u32 {
    assert!(value <= bound, "a bound holds for every plan: value {value}, bound {bound}");
    if bound <= 0 {
        return 0;
    }
    let (mut gap, mut whole) = (bound - value, bound);
    // Millionths of a number of more than 100 bits would overflow; both lose the same low bits.
    while whole >> 100 > 0 {
        (gap, whole) = (gap >> 1, whole >> 1);
    }
    u32::try_from((gap * 1_000_000 + whole - 1) / whole).expect("a part is at most the whole")
}

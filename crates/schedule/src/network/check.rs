//! An independent judge of network plans. It is written from the rules, not from the planners, and shares no code
//! with them: a mistake in one is found by the other.

pub(in crate::network) mod place;
pub(in crate::network) mod way;

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{CentreId, PoolId};

use crate::network::{
    model::{NetworkModel, WorkClass, WorkClassId},
    plan::{NetworkPlan, Scarce},
};
use place::Judged;
use way::Ways;

/// A rule that a network plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkViolation {
    /// A class, centre, pool or slot is not in the model.
    #[error("class {}: no place `{centre}` `{pool}` slot {slot}, or no such class", class.0)]
    Unknown {
        /// Which class.
        class: WorkClassId,
        /// Where.
        centre: CentreId,
        /// On what.
        pool: PoolId,
        /// When.
        slot: u32,
    },
    /// An amount of no tasks, or two amounts of one class for one place.
    #[error("class {}: an amount is empty or stands twice", class.0)]
    Amount {
        /// Which class.
        class: WorkClassId,
    },
    /// A task may not run there.
    #[error("class {}: may not run on `{pool}` of `{centre}` in slot {slot}: {why}", class.0)]
    Forbidden {
        /// Which class.
        class: WorkClassId,
        /// Where.
        centre: CentreId,
        /// On what.
        pool: PoolId,
        /// When.
        slot: u32,
        /// Which rule.
        why: &'static str,
    },
    /// The terms of an amount are not what a task is worth there.
    #[error("class {}: terms sum to {said}, a task is worth {found}", class.0)]
    Terms {
        /// Which class.
        class: WorkClassId,
        /// By the plan.
        said: i64,
        /// By the judge.
        found: i64,
    },
    /// More tasks start than wait.
    #[error("class {}: {planned} tasks start, {wait} wait", class.0)]
    Tasks {
        /// Which class.
        class: WorkClassId,
        /// In the plan.
        planned: u128,
        /// In the model.
        wait: u64,
    },
    /// More is used than there is.
    #[error("{of:?}: {used} used, {room} there")]
    Room {
        /// Of what.
        of: Scarce,
        /// By the plan.
        used: u128,
        /// In the model.
        room: u128,
    },
    /// The value is not the sum of its parts, or the gap not that of value and bound.
    #[error("{figure} is {said}, found {found}")]
    Figure {
        /// Which.
        figure: &'static str,
        /// By the plan.
        said: i128,
        /// By the judge.
        found: i128,
    },
    /// The prices name something twice or something that the model does not have.
    #[error("the price of {of:?} stands twice, or nothing limits it")]
    Price {
        /// Of what.
        of: Scarce,
    },
}

/// Whether a plan obeys every rule, its figures are right, and its prices prove its bound.
///
/// # Errors
///
/// With everything that is wrong.
pub fn check_network(model: &NetworkModel, plan: &NetworkPlan) -> Result<(), Vec<NetworkViolation>> {
    let ways = Ways::new(model);
    let mut found = Vec::new();
    let value = amounts(model, &ways, plan, &mut found);
    if value != plan.value {
        found.push(NetworkViolation::Figure { figure: "value", said: plan.value, found: value });
    }
    if plan.bound < plan.value {
        found.push(NetworkViolation::Figure { figure: "bound", said: plan.bound, found: plan.value });
    } else {
        let whole = plan.bound.unsigned_abs();
        let missing = whole - u128::try_from(plan.value).unwrap_or(0);
        // Up to 2^100 a million of it still fits; above, 20 bits less do not show in a millionth.
        let (missing, whole) = if whole >> 100 == 0 { (missing, whole) } else { (missing >> 27, whole >> 27) };
        let gap = if whole == 0 { 0 } else { (missing * 1_000_000).div_ceil(whole) };
        if gap != u128::from(plan.gap_ppm) {
            let (said, gap) = (plan.gap_ppm.into(), i128::try_from(gap).unwrap_or(i128::MAX));
            found.push(NetworkViolation::Figure { figure: "gap_ppm", said, found: gap });
        }
    }
    if let Some(bound) = certificate(model, &ways, plan, &mut found)
        && bound != plan.bound
    {
        found.push(NetworkViolation::Figure { figure: "bound", said: plan.bound, found: bound });
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// Judges the amounts and returns what they are worth.
fn amounts(model: &NetworkModel, ways: &Ways<'_>, plan: &NetworkPlan, found: &mut Vec<NetworkViolation>) -> i128 {
    let mut used: BTreeMap<Scarce, u128> = BTreeMap::new();
    let mut started: BTreeMap<WorkClassId, u128> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut value = 0;
    for amount in &plan.amounts {
        let (class, slot) = (amount.class, amount.slot);
        let (centre, pool) = (amount.centre.clone(), amount.pool.clone());
        if amount.tasks == 0 || !seen.insert((class, &amount.centre, &amount.pool, slot)) {
            found.push(NetworkViolation::Amount { class });
        }
        let work = model.classes.iter().find(|work| work.id == class);
        let supply = model.centres.iter().find(|supply| supply.id == centre);
        let found_pool = supply.and_then(|supply| supply.pools.iter().find(|supply| supply.id == pool));
        let (Some(work), Some(supply), Some(found_pool), true) = (work, supply, found_pool, slot < model.slots) else {
            found.push(NetworkViolation::Unknown { class, centre, pool, slot });
            continue;
        };
        match place::judge(model, ways, work, supply, found_pool, slot) {
            Err(why) => found.push(NetworkViolation::Forbidden { class, centre, pool, slot, why }),
            Ok(Judged { terms, value: each, takes }) => {
                if terms != amount.terms {
                    found.push(NetworkViolation::Terms { class, said: amount.terms.value(), found: each });
                }
                value += i128::from(each) * i128::from(amount.tasks);
                for (of, units) in takes {
                    *used.entry(of).or_default() += units * u128::from(amount.tasks);
                }
            }
        }
        *started.entry(class).or_default() += u128::from(amount.tasks);
    }
    for (class, planned) in started {
        let wait = model.classes.iter().find(|work| work.id == class).map_or(0, |work| work.tasks);
        if planned > u128::from(wait) {
            found.push(NetworkViolation::Tasks { class, planned, wait });
        }
    }
    for (of, used) in used {
        let room = place::room(model, &of).unwrap_or(0);
        if used > room {
            found.push(NetworkViolation::Room { of, used, room });
        }
    }
    value
}

/// The bound that the prices of the plan prove: what all that is scarce costs, and what each class still gains.
/// `None` where a number is too large to say.
fn certificate(
    model: &NetworkModel,
    ways: &Ways<'_>,
    plan: &NetworkPlan,
    found: &mut Vec<NetworkViolation>,
) -> Option<i128> {
    const ONE: u128 = 1 << 40;
    let mut prices: BTreeMap<&Scarce, u128> = BTreeMap::new();
    let (mut whole, mut part) = (0_u128, 0_u128);
    for price in &plan.prices {
        let room = place::room(model, &price.of);
        if prices.insert(&price.of, price.fixed).is_some() || room.is_none() {
            found.push(NetworkViolation::Price { of: price.of.clone() });
        }
        let cost = room.unwrap_or(0).checked_mul(price.fixed)?;
        (whole, part) = (whole + cost / ONE, part + cost % ONE);
    }
    let gain = |work: &WorkClass| {
        let mut best = 0;
        for supply in &model.centres {
            for pool in &supply.pools {
                for slot in 0..model.slots {
                    if let Ok(judged) = place::judge(model, ways, work, supply, pool, slot) {
                        best = best.max(left_over(&judged, &prices));
                    }
                }
            }
        }
        best
    };
    for work in &model.classes {
        let gain = gain(work).checked_mul(u128::from(work.tasks))?;
        (whole, part) = (whole + gain / ONE, part + gain % ONE);
    }
    i128::try_from(whole + part / ONE).ok()
}

/// What a task gains at a place above the price of what it takes, with 40 binary places.
fn left_over(judged: &Judged, prices: &BTreeMap<&Scarce, u128>) -> u128 {
    let mut left = u128::from(judged.value.unsigned_abs()) << 40;
    for (of, units) in &judged.takes {
        let price = prices.get(of).copied().unwrap_or(0);
        left = left.saturating_sub(units.saturating_mul(price));
    }
    left
}

//! The choices of one class for people: what every place is worth to it term by term, or why it may not run there.

use huisuan_model::{CentreId, Money, PoolId};
use serde::{Deserialize, Serialize};

use crate::network::{
    choice::choices,
    greedy::prices_of,
    model::WorkClassId,
    network::Network,
    plan::NetworkPlan,
    problem::{FRACTION_BITS, RowIndex},
    terms::{Terms, WhyNot},
};

/// One pool in the eyes of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// Where.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// What it says.
    pub answer: Answer,
}

/// What a pool says to a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// A task may run there.
    Possible {
        /// In the slot where it gains most.
        slot: u32,
        /// What one task is worth there.
        terms: Terms,
        /// What the scarce things that it takes are worth to others, in millionths.
        scarcity: Money,
        /// Tasks that the plan starts there, in all slots.
        planned: u64,
    },
    /// It may not, in any slot.
    Refused {
        /// Why not in the slot where it came furthest.
        why: WhyNot,
    },
}

impl Answer {
    /// What a task gains there above what others would: the value of its terms less scarcity. `None` where it may
    /// not run.
    pub fn gain(&self) -> Option<i64> {
        match self {
            Answer::Possible { terms, scarcity, .. } => Some(terms.value().saturating_sub(scarcity.0)),
            Answer::Refused { .. } => None,
        }
    }
}

/// Every pool of the network in the eyes of a class, those where a task gains most first, then by centre and pool.
/// `None` when the network does not have the class.
pub fn explain(network: &Network, plan: &NetworkPlan, class: WorkClassId) -> Option<Vec<Considered>> {
    let at = network.class_index(class)?;
    let rows = RowIndex::new(network);
    let prices = prices_of(network, &rows, plan);
    let mut considered = Vec::new();
    for (number, place) in network.pools.iter().enumerate() {
        let centre = &network.model.centres[place.centre];
        let pool = &centre.pools[place.pool];
        let here = |amount: &&crate::network::Amount| {
            amount.class == class && amount.centre == centre.id && amount.pool == pool.id
        };
        let planned = plan.amounts.iter().filter(here).map(|amount| amount.tasks).sum();
        let mut best: Option<Answer> = None;
        choices(network, &rows, at, number, |slot, found| {
            let answer = match found {
                Ok((terms, uses)) => {
                    let cost = |one: &crate::network::problem::Use| {
                        u128::from(one.amount).saturating_mul(prices[one.row as usize])
                    };
                    let cost = uses.iter().map(cost).fold(0, u128::saturating_add) >> FRACTION_BITS;
                    let scarcity = Money(i64::try_from(cost).unwrap_or(i64::MAX));
                    Answer::Possible { slot, terms, scarcity, planned }
                }
                Err(why) => Answer::Refused { why },
            };
            if best.as_ref().is_none_or(|known| rank(&answer) > rank(known)) {
                best = Some(answer);
            }
        });
        let answer = best.expect("a horizon has at least one slot");
        considered.push(Considered { centre: centre.id.clone(), pool: pool.id.clone(), answer });
    }
    let best_first = |one: &Considered| std::cmp::Reverse(one.answer.gain());
    considered.sort_by_key(best_first);
    Some(considered)
}

/// Possible before refused; then by gain, or by how many rules were passed.
fn rank(answer: &Answer) -> (bool, i64) {
    match answer {
        Answer::Possible { .. } => (true, answer.gain().unwrap_or(i64::MIN)),
        Answer::Refused { why } => (false, why.stage()),
    }
}

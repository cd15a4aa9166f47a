//! What the network level wants of each kind of work: which part of it should start where.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{CentreId, PoolId},
    quantity::TimeMs,
};

/// A plan of the network level, as the cycles that follow it use it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// The moment that it was made for.
    pub made_at: TimeMs,
    /// For each kind of work, by [`crate::Shape::kind`], its places in the order of centres and pools.
    pub kinds: BTreeMap<u64, Vec<TargetPart>>,
    /// What the plan is worth, in millionths.
    pub value: i64,
    /// No plan is worth more than `value` and this part of the bound, in millionths. Never negative.
    pub gap_ppm: u32,
}

/// The part of a kind of work that should go to a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetPart {
    /// Where.
    pub centre: CentreId,
    /// On what.
    pub pool: PoolId,
    /// How much, in thousandths.
    pub permille: u32,
}

impl Targets {
    /// The places of a kind of work; none where the plan does not have it.
    pub fn of(&self, kind: u64) -> &[TargetPart] {
        self.kinds.get(&kind).map_or(&[], Vec::as_slice)
    }
}

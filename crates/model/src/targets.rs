//! What the network level wants of each kind of work: which part of it should start where.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{CentreId, PoolId},
    quantity::{DurationMs, Money, TimeMs},
};

/// A plan of the network level, as the cycles that follow it use it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// The moment that it was made for.
    pub made_at: TimeMs,
    /// For each kind of work, by [`crate::Shape::kind`], its places in the order of centres and pools.
    pub kinds: BTreeMap<u64, Vec<TargetPart>>,
    /// What is scarce: places whose room others would pay for, in the order of centres and pools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scarce: Vec<ScarcePool>,
    /// What the plan is worth, in millionths.
    pub value: i64,
    /// No plan is worth more than `value` and this part of the bound, in millionths. Never negative.
    pub gap_ppm: u32,
}

/// The shadow price of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScarcePool {
    /// Where.
    pub centre: CentreId,
    /// Which.
    pub pool: PoolId,
    /// What one device more (one core, where it has no devices) would be worth for an hour, in millionths.
    pub per_hour: Money,
    /// How far ahead that was planned, in milliseconds: what lies beyond is not scarce yet.
    pub ahead_ms: u64,
}

impl ScarcePool {
    /// What so many thousandths of its devices are worth to others from now on for a time, in millionths.
    pub fn price(&self, parts: u64, run: DurationMs) -> Money {
        const HOUR_MS: i128 = 3_600_000;
        let money = i128::from(self.per_hour.0) * i128::from(run.0.min(self.ahead_ms)) / HOUR_MS;
        let money = money.saturating_mul(i128::from(parts)) / 1_000;
        Money(i64::try_from(money).unwrap_or(i64::MAX))
    }
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

    /// The shadow price of a pool; `None` where it is not scarce.
    pub fn scarce(&self, centre: &CentreId, pool: &PoolId) -> Option<&ScarcePool> {
        self.scarce.iter().find(|scarce| scarce.centre == *centre && scarce.pool == *pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_price_goes_by_hours_and_devices() {
        let scarce = ScarcePool {
            centre: CentreId::new("a").expect("a name"),
            pool: PoolId::new("A100").expect("a name"),
            per_hour: Money(100),
            ahead_ms: 7_200_000,
        };
        for (parts, ms, price) in
            [(1_000, 3_600_000, 100), (2_000, 1_800_000, 100), (500, 7_200_000, 100), (1_000, u64::MAX, 200)]
        {
            assert_eq!(scarce.price(parts, DurationMs(ms)), Money(price), "{parts} {ms}");
        }
    }
}

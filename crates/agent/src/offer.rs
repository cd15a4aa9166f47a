//! Whether the centre still has what the server was told of: nodes go and come, and the server knows of pools from the
//! hello alone.

use std::time::{Duration, Instant};

use huisuan_drivers::Engine;
use huisuan_model::{Pool, PoolId};

use crate::gate::Gate;

/// How long what was seen is good.
const EVERY: Duration = Duration::from_secs(20);
/// The same of a centre that had nothing to offer, such as a cluster whose controller was just started.
const EVERY_OF_NOTHING: Duration = Duration::from_secs(2);

/// What the server was told, and when that is to be looked at again.
#[derive(Debug)]
pub(crate) struct Offer<'a> {
    told: &'a [Pool],
    next: Instant,
}

impl<'a> Offer<'a> {
    pub(crate) fn of(told: &'a [Pool]) -> Offer<'a> {
        Offer { told, next: Instant::now() + every(told) }
    }

    /// How long it is from now to the next look.
    pub(crate) fn rest(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Whether the pools are others by now. An engine that cannot be asked has changed nothing.
    pub(crate) fn changed(&mut self, engine: &dyn Engine, gate: &Gate) -> bool {
        if !self.rest().is_zero() {
            return false;
        }
        self.next = Instant::now() + every(self.told);
        engine.pools().is_ok_and(|pools| offered(pools, gate) != self.told)
    }
}

fn every(told: &[Pool]) -> Duration {
    if told.is_empty() { EVERY_OF_NOTHING } else { EVERY }
}

/// Of these pools those that the site offers.
pub(crate) fn offered(mut pools: Vec<Pool>, gate: &Gate) -> Vec<Pool> {
    pools.retain(|pool| gate.policy().offers(pool.id.as_str()));
    pools
}

/// Of pools without a rating those that are others than before: new, or of another size, which voids a rating.
pub(crate) fn changed(before: &[Pool], now: &[Pool], mut unrated: Vec<PoolId>) -> Vec<PoolId> {
    unrated.retain(|id| now.iter().any(|pool| pool.id == *id && !before.contains(pool)));
    unrated
}

#[cfg(test)]
mod tests {
    use huisuan_model::{Bytes, Class, MilliDevices, Millicores};

    use super::*;

    fn pools(cores: &[(&str, u64)]) -> Vec<Pool> {
        let pool = |&(name, cores): &(&str, u64)| Pool {
            id: PoolId::new(name).expect("a name"),
            class: Class::General,
            cores: Millicores(cores),
            memory: Bytes(1 << 30),
            devices: MilliDevices::ZERO,
            device_memory: Bytes::ZERO,
            rating: None,
            images: false,
            topology: None,
        };
        cores.iter().map(pool).collect()
    }

    #[test]
    fn what_is_new_or_of_another_size_is_rated_and_nothing_else() {
        let check = |before: &[(&str, u64)], now: &[(&str, u64)], expected: &[&str]| {
            let (before, now) = (pools(before), pools(now));
            let unrated = now.iter().map(|pool| pool.id.clone()).collect();
            let found = changed(&before, &now, unrated);
            assert_eq!(found.iter().map(PoolId::as_str).collect::<Vec<_>>(), expected);
        };
        check(&[], &[], &[]);
        check(&[("a", 8)], &[("a", 8)], &[]);
        check(&[("a", 8)], &[("a", 16)], &["a"]);
        check(&[], &[("a", 8)], &["a"]);
        check(&[("a", 8), ("b", 4)], &[("a", 8), ("b", 2), ("c", 1)], &["b", "c"]);
        // One that has a rating is not asked for.
        assert_eq!(changed(&pools(&[]), &pools(&[("a", 8)]), Vec::new()), []);
    }
}

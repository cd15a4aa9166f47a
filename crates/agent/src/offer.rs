//! Whether the centre still has what the server was told of: nodes go and come, and the server knows of pools from the
//! hello alone.

use std::time::{Duration, Instant};

use huisuan_drivers::Engine;
use huisuan_model::Pool;

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

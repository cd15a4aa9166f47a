//! How to choose, and how much to do in one cycle.

use huisuan_model::{OpaquePolicy, spec::Objective};
use serde::{Deserialize, Serialize};

/// The rules of choice. It is part of the state and changed by commands, so that a replay knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What people call it.
    pub name: String,
    /// How much work, in milliseconds of every core, may be placed ahead of free capacity. It hides the
    /// round trip between two tasks; it must outlast one report, one cycle and one order, and longer only
    /// makes what comes next wait.
    pub lookahead_ms: u64,
    /// The most work placed ahead, in multiples of a pool's capacity, however short the tasks are.
    pub ahead_factor_max: u64,
    /// What counts in choosing among places.
    pub weights: Weights,
    /// What counts in choosing among jobs.
    pub order: Order,
    /// For how many jobs that found no room capacity of each pool is kept (EASY backfilling keeps it for one). Others
    /// start only when they do not delay them.
    pub reservations_max: u64,
    /// The most jobs for which others are preempted in one cycle.
    pub preemptions_max: u64,
    /// How starts of opaque centres are learnt, and how much may wait there.
    pub opaque: OpaquePolicy,
    /// How long targets of the network level are used before they are made anew, in milliseconds; 0 for no targets.
    pub targets_every_ms: u64,
}

/// Whose turn it is. Tenants and projects come before jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Order {
    /// Tenants and their projects take turns by their weighted dominant share; otherwise all jobs are as of one
    /// project.
    pub fair_share: bool,
    /// A job goes before others of its priority once it must start within this to meet its deadline.
    pub urgent_ms: u64,
    /// Of jobs of the same priority those go first that need the least rate times walltime.
    pub area_first: bool,
    /// A job that has waited so long goes before the smaller ones. It bounds how long it can be overtaken.
    pub guard_ms: u64,
}

const DAY_MS: u64 = 86_400_000;

impl Default for Order {
    /// First come, first served within a project, as people expect. `area_first` waits less on the whole, as `saf-guard`
    /// of one pool does, which cuts the mean bounded slowdown of public logs by a third to a half (docs/traces.md).
    fn default() -> Self {
        Order { fair_share: true, urgent_ms: DAY_MS, area_first: false, guard_ms: 2 * DAY_MS }
    }
}

/// The most that each term adds to the score of a place. Larger counts more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Term `wait`: the whole of it where capacity is free now, and this much less for every full
    /// capacity of the pool that is already placed ahead.
    pub wait: i64,
    /// Term `price`: the whole of it at the cheapest place, half of it at twice its price.
    pub price: i64,
    /// Term `fit`: the whole of it where a task leaves no core free.
    pub fit: i64,
    /// Term `start`: the whole of it where work starts at once, half of it where half of the work waits for longer than
    /// the job may run. Only where a centre that could take it hides its queue.
    pub start: i64,
    /// Term `transfer`: the whole of it where the data of a job lies, half of it where bringing it takes as long as the
    /// job may run. Only for jobs that say what they read.
    pub transfer: i64,
    /// Term `energy`: the whole of it where the electricity of a task costs least, half of it at twice the bill. Only
    /// for places that declare their power.
    pub energy: i64,
    /// Term `carbon`: the same for the CO2 of a task.
    pub carbon: i64,
    /// Term `target`: the whole of it at the place to which the network level sends most of this kind of work.
    pub target: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            name: "balanced".to_owned(),
            lookahead_ms: 250,
            ahead_factor_max: 64,
            weights: Weights::default(),
            order: Order::default(),
            reservations_max: 1,
            preemptions_max: 1_000,
            opaque: OpaquePolicy::DEFAULT,
            targets_every_ms: 0,
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Weights { wait: 1000, price: 500, fit: 100, start: 500, transfer: 500, energy: 0, carbon: 0, target: 200 }
    }
}

impl Weights {
    /// What counts for a job that prefers something. What it prefers outweighs everything but waiting: a place with
    /// room now still goes before one without.
    pub fn preferring(&self, objective: Objective) -> Weights {
        let most = self.wait.max(self.price).max(0).saturating_mul(4);
        let fewer = |weight: i64| weight / 10;
        let Weights { price, energy, carbon, .. } = *self;
        match objective {
            Objective::Balanced => self.clone(),
            Objective::Soonest => Weights {
                price: fewer(price),
                start: most,
                transfer: most,
                energy: fewer(energy),
                carbon: fewer(carbon),
                target: 0,
                ..self.clone()
            },
            Objective::Cheapest => Weights { price: most, carbon: fewer(carbon), target: 0, ..self.clone() },
            Objective::Greenest => Weights { carbon: most, price: fewer(price), target: 0, ..self.clone() },
        }
    }
}

impl Policy {
    /// How many times a pool's capacity may be placed ahead with tasks of this length; 0 where the length
    /// is not known, and for gangs, which start together or not at all.
    pub fn ahead_factor(&self, mean_run_ms: Option<u64>, gang: bool) -> u64 {
        match mean_run_ms {
            Some(mean_ms) if !gang => (self.lookahead_ms / mean_ms.max(1)).min(self.ahead_factor_max),
            _ => 0,
        }
    }
}

/// The most that one cycle does; what is left waits for the next one as `not-planned`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Tasks placed. A gang is placed whole while any of this is left, so it may be passed by one gang.
    pub placements_max: u64,
    /// Jobs looked at.
    pub jobs_max: u64,
    /// Steps of the search for placements of the cycle that may move to make room for one more: a step is a look at one
    /// pool of a waiting job, or at one other place of what would move. 0 for no such search.
    pub improvement_steps_max: u64,
    /// Shapes that are told why they wait; 0 where nobody asks, as in a twin. What is placed does not depend on it.
    pub reasons_max: u64,
}

impl Budget {
    /// As much as there is to do.
    pub const UNLIMITED: Budget =
        Budget { placements_max: u64::MAX, jobs_max: u64::MAX, improvement_steps_max: u64::MAX, reasons_max: u64::MAX };

    /// The same without reasons.
    #[must_use]
    pub fn unexplained(self) -> Budget {
        Budget { reasons_max: 0, ..self }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget { placements_max: 100_000, jobs_max: 1_000_000, improvement_steps_max: 10_000, reasons_max: u64::MAX }
    }
}

/// Where a cycle's random choices begin. None are made yet: every tie ends in an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seed(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ahead_factor_is_the_lookahead_in_tasks() {
        let policy = Policy::default();
        for (mean_run_ms, gang, factor) in [
            (None, false, 0),
            (Some(0), false, 64),
            (Some(1), false, 64),
            (Some(10), false, 25),
            (Some(250), false, 1),
            (Some(251), false, 0),
            (Some(u64::MAX), false, 0),
            (Some(1), true, 0),
        ] {
            assert_eq!(policy.ahead_factor(mean_run_ms, gang), factor, "{mean_run_ms:?} {gang}");
        }
    }
}

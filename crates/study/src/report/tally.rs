//! What is added up while a run goes on, by pool and by group of jobs.

use std::collections::BTreeMap;

use huisuan_model::{Class, Pool, TimeMs, Topology};

use super::{level::Level, moves::Moves, racks::GangFigures};
use crate::scenario::{HOURS, PoolFacts, SiteFacts};

/// One pool.
#[derive(Debug)]
pub(super) struct PoolTally {
    pub(super) centre: usize,
    pub(super) class: Class,
    /// Whether parts are counted in devices, not cores.
    pub(super) devices: bool,
    /// All of it, in thousandths.
    pub(super) whole: u64,
    /// Sustained rate of all of it, in GFLOP/s.
    pub(super) rate: f64,
    /// The same as declared.
    pub(super) nameplate: f64,
    pub(super) facts: PoolFacts,
    pub(super) allocated: Level,
    pub(super) busy: Level,
    pub(super) topology: Option<Topology>,
    before: (u128, u128),
    pub(super) placements: u64,
    pub(super) lost: u64,
    pub(super) work: u128,
    pub(super) cost: i128,
    pub(super) energy_kwh: f64,
    pub(super) energy_cny: f64,
    pub(super) carbon_kg: f64,
}

/// Means over the time between two samples.
pub(super) struct Part {
    pub(super) allocated: f64,
    pub(super) busy: f64,
    pub(super) power_w: f64,
}

impl PoolTally {
    pub(super) fn new(centre: usize, pool: &Pool, facts: PoolFacts, start: TimeMs) -> Self {
        let devices = !pool.devices.is_zero();
        let rating = pool.rating.as_ref();
        PoolTally {
            centre,
            class: pool.class,
            devices,
            whole: if devices { pool.devices.0 } else { pool.cores.0 },
            rate: rating.map_or(0, |rating| rating.sustained.0) as f64,
            nameplate: rating.map_or(0, |rating| rating.nameplate.0) as f64,
            facts,
            allocated: Level::new(start.0),
            busy: Level::new(start.0),
            topology: pool.topology,
            before: (0, 0),
            placements: 0,
            lost: 0,
            work: 0,
            cost: 0,
            energy_kwh: 0.0,
            energy_cny: 0.0,
            carbon_kg: 0.0,
        }
    }

    /// Goes on by `span_ms` to `now`: what was allocated and busy, and the energy of the whole site for it.
    pub(super) fn advance(&mut self, now: TimeMs, span_ms: u64, hour: usize, site: &SiteFacts) -> Part {
        let sums = (self.allocated.until(now.0), self.busy.until(now.0));
        let whole = self.whole as f64 * span_ms as f64;
        let mean = |sum: u128| if whole > 0.0 { sum as f64 / whole } else { 0.0 };
        let (allocated, busy) = (mean(sums.0 - self.before.0), mean(sums.1 - self.before.1));
        self.before = sums;
        let PoolFacts { nodes, node_watts_idle, node_watts_busy } = self.facts;
        let node_w = node_watts_idle + (node_watts_busy - node_watts_idle) * busy;
        let power_w = nodes as f64 * node_w * site.pue;
        let kwh = power_w * span_ms as f64 / 3.6e9;
        self.energy_kwh += kwh;
        self.energy_cny += kwh * site.power_cny_per_kwh[hour];
        self.carbon_kg += kwh * site.carbon_g_per_kwh[hour] / 1_000.0;
        Part { allocated, busy, power_w }
    }

    /// Means over the whole run: the parts of the pool that were allocated and busy.
    pub(super) fn means(&self, end: TimeMs, span_ms: u64) -> (f64, f64) {
        let whole = (self.whole as f64 * span_ms as f64).max(1.0);
        (self.allocated.until(end.0) as f64 / whole, self.busy.until(end.0) as f64 / whole)
    }
}

/// Jobs that belong together.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) jobs: u64,
    pub(super) refused: u64,
    pub(super) refusal: Option<String>,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) waits_ms: Vec<u64>,
    pub(super) cost: i128,
    pub(super) work: BTreeMap<Class, u128>,
    /// Tasks that ran, and the sum of the round trips to them.
    pub(super) tasks: u64,
    pub(super) round_trip_ms: f64,
    pub(super) gangs: GangFigures,
}

/// Tasks of a family that ran in a pool away from their data and users.
#[derive(Debug, Default)]
pub(super) struct Away {
    pub(super) tasks: u64,
    /// Of those that have ended.
    pub(super) work: u128,
    /// Of those that have ended: thousandths kept busy times milliseconds, by hour of the local day.
    pub(super) busy_ms: [u128; HOURS],
    pub(super) moves: Moves,
}

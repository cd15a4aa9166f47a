//! How many tasks fit into a pool now. Capacity comes in layers: the first is what the pool has, each
//! further one is as much again and may be filled ahead with tasks that are short enough for it.

use huisuan_model::{Bytes, MilliDevices, Millicores, Pool};

use crate::{fit::Demand, policy::Policy, snapshot::PoolView};

/// What is used of a pool while a cycle goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) cores: Millicores,
    pub(crate) memory: Bytes,
    pub(crate) devices: MilliDevices,
}

/// How many more tasks fit into the pool now: into what is free, and, where the tasks' mean length is known and
/// they are no gang, into what may be placed ahead. `control` re-checks placements with it.
pub fn room(
    pool: &PoolView,
    cores: Millicores,
    devices: MilliDevices,
    memory: Bytes,
    mean_run_ms: Option<u64>,
    gang: bool,
    policy: &Policy,
) -> u64 {
    let load = Load { cores: pool.cores_used, memory: pool.memory_used, devices: pool.devices_used };
    load.room(&pool.pool, &Demand { cores, devices, memory }, policy.ahead_factor(mean_run_ms, gang))
}

impl Load {
    pub(crate) fn of(pool: &PoolView) -> Self {
        Load { cores: pool.cores_used, memory: pool.memory_used, devices: pool.devices_used }
    }

    /// How many tasks fit when layers up to `layer` may be filled, the first being 0.
    pub(crate) fn room(&self, pool: &Pool, demand: &Demand, layer: u64) -> u64 {
        self.dimensions(pool, demand)
            .into_iter()
            .filter(|dimension| dimension.need > 0)
            .map(|dimension| dimension.free(layer) / dimension.need)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// The lowest layer with room for a task; `None` when the pool lacks a needed resource altogether.
    pub(crate) fn layer(&self, pool: &Pool, demand: &Demand) -> Option<u64> {
        let mut highest = 0;
        for dimension in self.dimensions(pool, demand) {
            highest = highest.max(dimension.layer()?);
        }
        Some(highest)
    }

    pub(crate) fn add(&mut self, demand: &Demand, tasks: u64) {
        self.cores.0 = self.cores.0.saturating_add(demand.cores.0.saturating_mul(tasks));
        self.memory.0 = self.memory.0.saturating_add(demand.memory.0.saturating_mul(tasks));
        self.devices.0 = self.devices.0.saturating_add(demand.devices.0.saturating_mul(tasks));
    }

    /// Cores, memory and devices, in this order.
    pub(crate) fn dimensions(&self, pool: &Pool, demand: &Demand) -> [Dimension; 3] {
        [
            Dimension { has: pool.cores.0, used: self.cores.0, need: demand.cores.0 },
            Dimension { has: pool.memory.0, used: self.memory.0, need: demand.memory.0 },
            Dimension { has: pool.devices.0, used: self.devices.0, need: demand.devices.0 },
        ]
    }
}

/// One resource of a pool against one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dimension {
    pub(crate) has: u64,
    pub(crate) used: u64,
    pub(crate) need: u64,
}

impl Dimension {
    /// What is free up to and with `layer`.
    pub(crate) fn free(&self, layer: u64) -> u64 {
        self.has.saturating_mul(layer.saturating_add(1)).saturating_sub(self.used)
    }

    fn layer(&self) -> Option<u64> {
        match (self.need, self.has) {
            (0, _) => Some(0),
            (_, 0) => None,
            _ => Some(self.used.saturating_add(self.need).div_ceil(self.has) - 1),
        }
    }

    /// What one task lacks of it now, in millionths of all of it.
    pub(crate) fn missing_ppm(&self) -> u64 {
        huisuan_model::quantity::mul_div(self.need.saturating_sub(self.free(0)), 1_000_000, self.has.max(1))
    }
}

//! How many tasks fit into a pool now. Capacity comes in layers: the first is what the pool has, each
//! further one is as much again and may be filled ahead with tasks that are short enough for it.

use huisuan_model::Pool;

use crate::{
    fit::Demand,
    policy::Policy,
    snapshot::{Amounts, PoolView},
};

/// What a pool has and what is used of it while a cycle goes on: all that is asked for at every turn, in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    has: Amounts,
    used: Amounts,
    long: Amounts,
}

/// How many more tasks fit into the pool now: into what is free, and, where the tasks' mean length is known and
/// they are no gang, into what may be placed ahead. `used` is what all tasks in it take and what those take that are
/// not known to be short. `control` re-checks placements with it.
pub fn room(
    pool: &Pool,
    [used, long]: [Amounts; 2],
    demand: &Demand,
    mean_run_ms: Option<u64>,
    gang: bool,
    policy: &Policy,
) -> u64 {
    Load::new(pool, used, long).room(demand, policy.ahead_factor(mean_run_ms, gang))
}

impl Load {
    pub(crate) fn of(view: &PoolView) -> Self {
        Load::new(&view.pool, view.used, view.long)
    }

    fn new(pool: &Pool, used: Amounts, long: Amounts) -> Self {
        Load { has: Amounts { cores: pool.cores, memory: pool.memory, devices: pool.devices }, used, long }
    }

    /// How many tasks fit when layers up to `layer` may be filled, the first being 0.
    pub(crate) fn room(&self, demand: &Demand, layer: u64) -> u64 {
        self.dimensions(demand)
            .into_iter()
            .filter(|dimension| dimension.need > 0)
            .map(|dimension| dimension.free(layer) / dimension.need)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Whether a task fits into what is free.
    pub(crate) fn fits(&self, demand: &Demand) -> bool {
        let fits = |need: u64, used: u64, has: u64| need == 0 || used.saturating_add(need) <= has;
        fits(demand.devices.0, self.used.devices.0, self.has.devices.0)
            && fits(demand.cores.0, self.used.cores.0, self.has.cores.0)
            && fits(demand.memory.0, self.used.memory.0, self.has.memory.0)
    }

    /// Whether that many tasks fit when layers up to `layer` may be filled.
    pub(crate) fn takes(&self, demand: &Demand, layer: u64, tasks: u64) -> bool {
        if (layer, tasks) == (0, 1) { self.fits(demand) } else { self.room(demand, layer) >= tasks }
    }

    /// The lowest layer with room for a task; `None` when the pool lacks a needed resource altogether.
    pub(crate) fn layer(&self, demand: &Demand) -> Option<u64> {
        let mut highest = 0;
        for dimension in self.dimensions(demand) {
            highest = highest.max(dimension.layer()?);
        }
        Some(highest)
    }

    /// Takes tasks in; `short` when their length is known to lie within the look-ahead.
    pub(crate) fn add(&mut self, demand: &Demand, tasks: u64, short: bool) {
        let each = Amounts { cores: demand.cores, memory: demand.memory, devices: demand.devices };
        self.used = self.used.plus(each, tasks);
        if !short {
            self.long = self.long.plus(each, tasks);
        }
    }

    /// Takes amounts out that were in.
    pub(crate) fn remove(&mut self, amounts: Amounts) {
        self.used = self.used.less(amounts);
        self.long = self.long.less(amounts);
    }

    /// What is free; `None` while anything is placed ahead of it.
    pub(crate) fn free(&self) -> Option<Amounts> {
        (self.used.less(self.has) == Amounts::default()).then(|| self.has.less(self.used))
    }

    /// What is used.
    pub(crate) fn used(&self) -> Amounts {
        self.used
    }

    /// What a place is scored by: devices, or cores where a task takes none.
    pub(crate) fn scarcer(&self, demand: &Demand) -> Dimension {
        let [cores, _, devices] = self.dimensions(demand);
        if devices.need > 0 { devices } else { cores }
    }

    /// Cores, memory and devices, in this order.
    pub(crate) fn dimensions(&self, demand: &Demand) -> [Dimension; 3] {
        let Load { has, used, long } = self;
        [
            Dimension { has: has.cores.0, used: used.cores.0, long: long.cores.0, need: demand.cores.0 },
            Dimension { has: has.memory.0, used: used.memory.0, long: long.memory.0, need: demand.memory.0 },
            Dimension { has: has.devices.0, used: used.devices.0, long: long.devices.0, need: demand.devices.0 },
        ]
    }
}

/// One resource of a pool against one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dimension {
    pub(crate) has: u64,
    pub(crate) used: u64,
    /// The part of `used` that stays for longer than the look-ahead.
    pub(crate) long: u64,
    pub(crate) need: u64,
}

impl Dimension {
    /// What is free up to and with `layer`. A layer ahead is as large as what comes free soon: the resource
    /// without what stays.
    pub(crate) fn free(&self, layer: u64) -> u64 {
        let ahead = self.has.saturating_sub(self.long).saturating_mul(layer);
        self.has.saturating_add(ahead).saturating_sub(self.used)
    }

    fn layer(&self) -> Option<u64> {
        let over = self.used.saturating_add(self.need).saturating_sub(self.has);
        match (self.need, self.has, over, self.has.saturating_sub(self.long)) {
            (0, ..) => Some(0),
            (_, 0, ..) => None,
            (.., 0, _) => Some(0),
            (.., 0) => None,
            (.., over, ahead) => Some(over.div_ceil(ahead)),
        }
    }

    /// What one task lacks of it now, in millionths of all of it.
    pub(crate) fn missing_ppm(&self) -> u64 {
        huisuan_model::quantity::mul_div(self.need.saturating_sub(self.free(0)), 1_000_000, self.has.max(1))
    }
}

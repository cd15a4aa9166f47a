//! From nodes to pools, and what of them an order asks for.

use std::collections::BTreeMap;

use huisuan_model::{Bytes, DurationMs, MilliDevices, Millicores, Pool, PoolId, StartOrder, spec::Need};

use super::{answers::Node, config::SlurmConfig};
use crate::engine::Alarm;

/// The pool of nodes without accelerators when the configuration names none.
const CPU_POOL: &str = "cpu:slurm";

/// A pool, and the largest of its nodes: an attempt runs on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    pool: Pool,
    /// `gpu:h100`; `None` for the pool of processors.
    gres: Option<String>,
    cores_max: u64,
    memory_max: Bytes,
    devices_max: u64,
}

/// What a cluster has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    parts: Vec<Part>,
    walltime_max: Option<DurationMs>,
    alarms: Vec<Alarm>,
}

impl Inventory {
    /// Sums up nodes. A node in several partitions counts once; one that is down or drained counts as an alarm only.
    /// A node with accelerators belongs to the pool of its first type.
    pub(super) fn of(nodes: &[Node], config: &SlurmConfig) -> Inventory {
        let mut inventory = Inventory::default();
        let mut by_name: BTreeMap<&str, &Node> = BTreeMap::new();
        let mut limits = Vec::new();
        for node in nodes {
            by_name.insert(&node.name, node);
            limits.push(node.walltime_max);
        }
        // Several partitions may have several limits; Slurm takes the first partition that fits.
        inventory.walltime_max = if limits.contains(&None) { None } else { limits.into_iter().flatten().max() };
        for node in by_name.into_values() {
            if !node.usable() {
                let reason = if node.reason.is_empty() { String::new() } else { format!(": {}", node.reason) };
                let what = format!("is {}{reason}; hint: scontrol show node {}", node.state, node.name);
                inventory.alarms.push(Alarm { subject: format!("node {}", node.name), what });
                continue;
            }
            inventory.add(node, config);
        }
        inventory.parts.sort_by(|a, b| a.pool.id.cmp(&b.pool.id));
        inventory
    }

    fn add(&mut self, node: &Node, config: &SlurmConfig) {
        let device = node.devices.iter().find(|(_, count)| **count > 0);
        let gres = device.map(|(name, _)| name.clone());
        let count = device.map_or(0, |(_, count)| *count);
        let at = self.parts.iter().position(|part| part.gres == gres).unwrap_or_else(|| {
            self.parts.push(Part::new(gres, config));
            self.parts.len() - 1
        });
        let part = &mut self.parts[at];
        part.pool.cores = part.pool.cores.saturating_add(Millicores(node.cpus.saturating_mul(1000)));
        part.pool.memory = Bytes(part.pool.memory.0.saturating_add(node.memory.0));
        part.pool.devices = part.pool.devices.saturating_add(MilliDevices(count.saturating_mul(1000)));
        part.cores_max = part.cores_max.max(node.cpus);
        part.memory_max = part.memory_max.max(node.memory);
        part.devices_max = part.devices_max.max(count);
    }

    pub(super) fn pools(&self) -> Vec<Pool> {
        self.parts.iter().map(|part| part.pool.clone()).collect()
    }

    pub(super) fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }

    /// Whether it was ever read.
    pub(super) fn known(&self) -> bool {
        !self.parts.is_empty() || !self.alarms.is_empty()
    }

    /// The longest time limit that a job may be given, in minutes.
    pub(super) fn minutes_max(&self) -> u64 {
        self.walltime_max.map_or(u64::MAX, |most| most.0 / 60_000).max(1)
    }

    /// The value of `--gres` that an order needs, or why it can never run here. While nothing is known of the cluster
    /// everything may fit.
    pub(super) fn gres(&self, order: &StartOrder) -> Result<Option<String>, String> {
        if order.cores.is_zero() {
            return Err("it asks for no cores".to_owned());
        }
        if order.spec.image.is_some() {
            return Err("it asks for a container image, this engine runs processes only".to_owned());
        }
        if !order.devices.0.is_multiple_of(1000) {
            return Err("it asks for a part of an accelerator, this engine gives whole ones".to_owned());
        }
        let (cores, devices) = (order.cores.cores_up(), order.devices.0 / 1000);
        if self.parts.is_empty() {
            return Ok((devices > 0).then(|| format!("gpu:{devices}")));
        }
        if let Some(most) = self.walltime_max
            && order.walltime() > most
        {
            return Err(format!("it asks for {} ms, the partition's limit is {} ms", order.walltime().0, most.0));
        }
        let all = || self.parts.iter().filter(|part| order.pool.as_ref().is_none_or(|pool| *pool == part.pool.id));
        if let (Some(pool), None) = (&order.pool, all().next()) {
            return Err(format!("it was placed on pool {pool}, which this centre does not have now"));
        }
        let most_cores = all().map(|part| part.cores_max).max().unwrap_or(0);
        if cores > most_cores {
            return Err(format!("it asks for {cores} cores, the largest node has {most_cores} cores"));
        }
        let most_memory = all().map(|part| part.memory_max).max().unwrap_or_default();
        if order.memory() > most_memory {
            return Err(format!("it asks for {} of memory, the largest node has {most_memory}", order.memory()));
        }
        let fits = |part: &&Part| {
            cores <= part.cores_max
                && order.memory() <= part.memory_max
                && devices <= part.devices_max
                && (devices == 0 || part.is_wanted(order))
        };
        let part = all().find(fits).ok_or("no node has this many cores, memory and devices together")?;
        Ok(part.gres.as_ref().filter(|_| devices > 0).map(|gres| format!("{gres}:{devices}")))
    }
}

impl Part {
    fn new(gres: Option<String>, config: &SlurmConfig) -> Part {
        let known = config.devices.iter().find(|device| Some(&device.gres) == gres.as_ref());
        let id = match (&gres, known) {
            (_, Some(device)) => device.pool.clone(),
            (Some(gres), None) => PoolId::new(gres).unwrap_or_else(|_| pool_id("gpu:slurm")),
            (None, None) => config.cpu_pool.clone().unwrap_or_else(|| pool_id(CPU_POOL)),
        };
        let class = match (&gres, known) {
            (_, Some(device)) => device.class,
            (Some(_), None) => huisuan_model::Class::Ai,
            (None, None) => config.class,
        };
        let pool = Pool {
            id,
            class,
            cores: Millicores::ZERO,
            memory: Bytes::ZERO,
            devices: MilliDevices::ZERO,
            device_memory: known.map_or(Bytes::ZERO, |device| device.memory),
            rating: None,
        };
        Part { pool, gres, cores_max: 0, memory_max: Bytes::ZERO, devices_max: 0 }
    }

    /// Whether its devices are among those that the job names.
    fn is_wanted(&self, order: &StartOrder) -> bool {
        match &order.spec.need {
            Need::Hardware { devices: Some(need), .. } => {
                (need.any_of.is_empty() || need.any_of.contains(&self.pool.id))
                    && need.memory_min <= self.pool.device_memory
            }
            Need::Rate { device_memory_min, .. } => *device_memory_min <= self.pool.device_memory,
            Need::Hardware { devices: None, .. } => true,
        }
    }
}

fn pool_id(text: &str) -> PoolId {
    PoolId::new(text).expect("a name of the right alphabet")
}

//! The books of nodes: what attempts hold of each, where the network chooses them.

use std::collections::{BTreeMap, BTreeSet};

use huisuan_model::{Attempt, EngineKind, Job, Level, NodeShare, Placement, Pool, Topology};
use huisuan_schedule::pack::{DEVICES_MAX, Fleet, Room, Slot, WHOLE};

/// What attempts hold of the nodes of one pool. Counted is what they took, whatever the nodes have by now: a pool that
/// says that it is smaller changes nothing here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NodesTaken {
    nodes: BTreeMap<u32, NodeTaken>,
}

/// What is held of one node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct NodeTaken {
    attempts: u64,
    cores_milli: u64,
    memory_mib: u64,
    /// Thousandths of each device.
    devices: [u64; DEVICES_MAX],
}

/// The topology that is believed of a pool that a centre tells of: only a simulated one is told which nodes to use, and
/// a machine is one node.
pub(crate) fn believed(engine: EngineKind, pool: &Pool) -> Option<Topology> {
    let topology = pool.topology.filter(|topology| topology.fault(pool).is_none());
    match engine {
        EngineKind::Simulated => topology,
        EngineKind::Local => topology.filter(|topology| topology.nodes == 1),
        EngineKind::Slurm | EngineKind::Kubernetes => None,
    }
}

/// The topology of a pool with several nodes: of one, the sums of the pool say all.
fn several(pool: &Pool) -> Option<Topology> {
    pool.topology.filter(|topology| topology.nodes > 1)
}

impl NodesTaken {
    pub(crate) fn add(&mut self, attempt: &Attempt, job: &Job) {
        let Some(share) = attempt.node else { return };
        let node = self.nodes.entry(share.node).or_default();
        let (cores_milli, memory_mib) = (attempt.cores.0, memory_mib(job));
        node.attempts += 1;
        node.cores_milli += cores_milli;
        node.memory_mib += memory_mib;
        devices(share).for_each(|device| node.devices[device] += u64::from(share.each));
    }

    pub(crate) fn remove(&mut self, attempt: &Attempt, job: &Job) {
        let Some(share) = attempt.node else { return };
        let node = self.nodes.get_mut(&share.node).expect("a live attempt takes of its node");
        node.attempts -= 1;
        node.cores_milli -= attempt.cores.0;
        node.memory_mib -= memory_mib(job);
        devices(share).for_each(|device| node.devices[device] -= u64::from(share.each));
        if node.attempts == 0 {
            self.nodes.remove(&share.node);
        }
    }

    /// The nodes of a pool with what is free on them; `None` where they are not known.
    pub(crate) fn fleet(&self, pool: &Pool) -> Option<Fleet> {
        let topology = several(pool)?;
        let mut fleet = Fleet::new(std::iter::repeat_n(empty(pool, &topology), topology.nodes as usize));
        for (&node, taken) in self.nodes.range(..topology.nodes) {
            let room = *fleet.room(node);
            let (cores_milli, memory_mib) =
                (least(taken.cores_milli, room.cores_milli), least(taken.memory_mib, room.memory_mib));
            fleet.take(&Slot { node, cores_milli, memory_mib, mask: 0, each: 0 });
            for (device, &thousandths) in taken.devices.iter().enumerate().filter(|(_, taken)| **taken > 0) {
                let each = u16::try_from(thousandths).unwrap_or(WHOLE).min(room.free[device]);
                fleet.take(&Slot { node, cores_milli: 0, memory_mib: 0, mask: 1 << device, each });
            }
        }
        Some(fleet)
    }

    /// Whether the nodes of a placement have room for its tasks and lie as near to each other as is required; it names
    /// none where nodes are not known.
    pub(crate) fn takes(&self, pool: &Pool, placement: &Placement, job: &Job) -> bool {
        let Some(topology) = several(pool) else { return placement.nodes.is_empty() };
        if placement.nodes.len() as u64 != placement.tasks.len() {
            return false;
        }
        let within = job.spec.topology.required().is_none_or(|level| one_domain(&topology, level, &placement.nodes));
        let mut rooms: BTreeMap<u32, NodeTaken> = BTreeMap::new();
        let part = empty(pool, &topology);
        within
            && placement.nodes.iter().all(|&share| {
                let taken =
                    rooms.entry(share.node).or_insert_with(|| self.nodes.get(&share.node).cloned().unwrap_or_default());
                taken.cores_milli += placement.cores.0;
                taken.memory_mib += memory_mib(job);
                devices(share).for_each(|device| taken.devices[device] += u64::from(share.each));
                let given = u64::from(share.devices.count_ones()) * u64::from(share.each);
                let free = |device: usize| u64::from(part.free[device]) >= taken.devices[device];
                share.node < topology.nodes
                    && given >= placement.devices.0
                    && taken.cores_milli <= u64::from(part.cores_milli)
                    && taken.memory_mib <= u64::from(part.memory_mib)
                    && devices(share).all(free)
            })
    }
}

fn one_domain(topology: &Topology, level: Level, nodes: &[NodeShare]) -> bool {
    let Some(width) = topology.width(level) else { return false };
    let domains: BTreeSet<u32> = nodes.iter().map(|share| share.node / width.max(1)).collect();
    domains.len() == 1
}

fn empty(pool: &Pool, topology: &Topology) -> Room {
    let part = topology.part(pool);
    Room::empty(part.cores_milli, part.memory_mib, 0, part.devices.min(DEVICES_MAX as u8))
}

fn least(taken: u64, free: u32) -> u32 {
    u32::try_from(taken).unwrap_or(u32::MAX).min(free)
}

fn memory_mib(job: &Job) -> u64 {
    job.spec.memory.0.div_ceil(1 << 20)
}

fn devices(share: NodeShare) -> impl Iterator<Item = usize> {
    (0..DEVICES_MAX).filter(move |&device| share.devices >> device & 1 == 1)
}

//! What is free of each rack, in sums: how many tasks it may take at most is known without a look at its nodes.

use std::ops::Range;

use huisuan_model::{Level, Topology};

use crate::pack::{Ask, DEVICES_MAX, Devices, Fleet, Room};

/// The racks of one pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Racks {
    pub(super) topology: Topology,
    sums: Vec<Sums>,
}

/// What is free on the nodes of one rack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Sums {
    cores_milli: u64,
    memory_mib: u64,
    /// Thousandths of devices.
    shares: u64,
    /// How many nodes have so many whole devices.
    with_wholes: [u32; DEVICES_MAX + 1],
}

impl Sums {
    fn add(&mut self, room: &Room) {
        self.cores_milli += u64::from(room.cores_milli);
        self.memory_mib += u64::from(room.memory_mib);
        self.shares += u64::from(room.free_total());
        self.with_wholes[usize::from(room.wholes())] += 1;
    }

    fn remove(&mut self, room: &Room) {
        self.cores_milli -= u64::from(room.cores_milli);
        self.memory_mib -= u64::from(room.memory_mib);
        self.shares -= u64::from(room.free_total());
        self.with_wholes[usize::from(room.wholes())] -= 1;
    }

    /// No more tasks than this fit; where devices are what is scarce, it is how many do.
    fn most(&self, ask: &Ask) -> u64 {
        let within = |free: u64, each: u32| free.checked_div(u64::from(each)).unwrap_or(u64::MAX);
        let devices = match ask.devices.normal() {
            Devices::None => u64::MAX,
            Devices::Share(share) => within(self.shares, u32::from(share)),
            Devices::Whole(count) => {
                let nodes = (0u64..).zip(self.with_wholes);
                nodes.map(|(wholes, nodes)| wholes / u64::from(count) * u64::from(nodes)).sum()
            }
        };
        devices.min(within(self.cores_milli, ask.cores_milli)).min(within(self.memory_mib, ask.memory_mib))
    }
}

impl Racks {
    pub(super) fn new(topology: Topology, fleet: &Fleet) -> Self {
        let mut sums = vec![Sums::default(); topology.racks() as usize];
        for (node, room) in fleet.rooms() {
            sums[topology.rack_of(node) as usize].add(room);
        }
        Racks { topology, sums }
    }

    /// A node has another room.
    pub(super) fn change(&mut self, node: u32, before: &Room, after: &Room) {
        let sums = &mut self.sums[self.topology.rack_of(node) as usize];
        sums.remove(before);
        sums.add(after);
    }

    /// The nodes of some racks.
    pub(super) fn nodes_of(&self, racks: &Range<usize>) -> Range<u32> {
        let rack = |rack: usize| u32::try_from(rack).expect("racks are numbered in 32 bits");
        self.topology.nodes_of(rack(racks.start)).start..self.topology.nodes_of(rack(racks.end)).start
    }

    /// For each rack the most tasks that may fit.
    pub(super) fn most(&self, ask: &Ask) -> Vec<u64> {
        self.sums.iter().map(|sums| sums.most(ask)).collect()
    }

    /// The racks of each domain of a level; all of them for none.
    pub(super) fn domains(&self, level: Option<Level>) -> impl Iterator<Item = Range<usize>> + use<> {
        let racks = self.sums.len();
        let step = match level {
            Some(Level::Rack) => 1,
            Some(Level::Pod) => self.topology.pod_racks.map_or(racks, |racks| racks as usize),
            None => racks,
        };
        (0..racks).step_by(step.max(1)).map(move |first| first..first.saturating_add(step.max(1)).min(racks))
    }
}

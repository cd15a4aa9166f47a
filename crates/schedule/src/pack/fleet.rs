//! All nodes of one network, as columns.

use super::{
    ask::{Ask, DEVICES_MAX, Devices, WHOLE},
    room::Room,
};

/// Where a task goes: everything that giving it back needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The node, by its place in the fleet.
    pub node: u32,
    /// Processor taken, in thousandths of a core.
    pub cores_milli: u32,
    /// Memory taken, in MiB.
    pub memory_mib: u32,
    /// The devices taken from, one bit each.
    pub mask: u16,
    /// Thousandths taken from each of them.
    pub each: u16,
}

impl Slot {
    /// The slot of a fitting ask on a node; a share goes to `device`.
    pub fn of(node: u32, room: &Room, ask: &Ask, device: u8) -> Slot {
        let each = match ask.devices {
            Devices::None => 0,
            Devices::Share(share) => share,
            Devices::Whole(_) => WHOLE,
        };
        let mask = room.mask(ask, device);
        Slot { node, cores_milli: ask.cores_milli, memory_mib: ask.memory_mib, mask, each }
    }
}

/// The nodes, numbered in the order they were given in: that order is the last tie-break of every
/// policy, so the caller sorts nodes by their stable names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Cores of each node when nothing is taken.
    cores_most: Vec<u32>,
    cores_milli: Vec<u32>,
    memory_mib: Vec<u32>,
    part: Vec<u8>,
    devices: Vec<u8>,
    free: Vec<[u16; DEVICES_MAX]>,
}

impl Fleet {
    /// A fleet of nodes with nothing taken; a state is restored by taking what was taken.
    ///
    /// # Panics
    ///
    /// When a node has a part above 63, more than 16 devices, or a device with more than it is.
    pub fn new(nodes: impl IntoIterator<Item = Room>) -> Self {
        let mut fleet = Fleet {
            cores_most: vec![],
            cores_milli: vec![],
            memory_mib: vec![],
            part: vec![],
            devices: vec![],
            free: vec![],
        };
        for room in nodes {
            assert!(room.part < 64 && usize::from(room.devices) <= DEVICES_MAX, "node beyond the limits: {room:?}");
            assert!(room.free.iter().all(|&free| free <= WHOLE), "device above its thousandths: {room:?}");
            fleet.cores_most.push(room.cores_milli);
            fleet.cores_milli.push(room.cores_milli);
            fleet.memory_mib.push(room.memory_mib);
            fleet.part.push(room.part);
            fleet.devices.push(room.devices);
            fleet.free.push(room.free);
        }
        fleet
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.part.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.part.is_empty()
    }

    /// Thousandths of cores of a node when nothing is taken.
    pub fn cores_most(&self, node: u32) -> u32 {
        self.cores_most[node as usize]
    }

    /// What is free on a node.
    pub fn room(&self, node: u32) -> Room {
        let at = node as usize;
        Room {
            cores_milli: self.cores_milli[at],
            memory_mib: self.memory_mib[at],
            part: self.part[at],
            devices: self.devices[at],
            free: self.free[at],
        }
    }

    /// All nodes with what is free on them.
    pub fn rooms(&self) -> impl Iterator<Item = (u32, Room)> + '_ {
        (0u32..).take(self.len()).map(|node| (node, self.room(node)))
    }

    /// Whether processor and memory of a node suffice: the cheap half of [`Room::fits`].
    pub fn holds(&self, node: u32, ask: &Ask) -> bool {
        let at = node as usize;
        self.cores_milli[at] >= ask.cores_milli && self.memory_mib[at] >= ask.memory_mib
    }

    /// Takes a slot.
    ///
    /// # Panics
    ///
    /// When the slot is not free: the caller placed it on another state.
    pub fn take(&mut self, slot: &Slot) {
        let at = slot.node as usize;
        let taken = "a slot is taken from the state it was placed on";
        self.cores_milli[at] = self.cores_milli[at].checked_sub(slot.cores_milli).expect(taken);
        self.memory_mib[at] = self.memory_mib[at].checked_sub(slot.memory_mib).expect(taken);
        for device in bits(slot.mask) {
            self.free[at][device] = self.free[at][device].checked_sub(slot.each).expect(taken);
        }
    }

    /// Gives a slot back.
    ///
    /// # Panics
    ///
    /// When a device would have more than it is: the slot was given back before.
    pub fn release(&mut self, slot: &Slot) {
        let at = slot.node as usize;
        self.cores_milli[at] += slot.cores_milli;
        self.memory_mib[at] += slot.memory_mib;
        for device in bits(slot.mask) {
            let free = self.free[at][device] + slot.each;
            assert!(free <= WHOLE, "slot given back twice: {slot:?}");
            self.free[at][device] = free;
        }
    }
}

/// The places of the bits of a mask, ascending.
fn bits(mask: u16) -> impl Iterator<Item = usize> {
    (0..DEVICES_MAX).filter(move |&bit| mask >> bit & 1 == 1)
}

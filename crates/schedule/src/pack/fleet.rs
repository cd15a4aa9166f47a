//! All nodes of one network.

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
///
/// A node's room is one record and not spread over columns: the index jumps to single nodes, and a jump
/// costs one cache line this way instead of four.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Cores of each node when nothing is taken.
    cores_most: Vec<u32>,
    rooms: Vec<Room>,
}

impl Fleet {
    /// A fleet of nodes with nothing taken; a state is restored by taking what was taken.
    ///
    /// # Panics
    ///
    /// When a node has a part above 63, more than 16 devices, or a device with more than it is.
    pub fn new(nodes: impl IntoIterator<Item = Room>) -> Self {
        let rooms: Vec<Room> = nodes.into_iter().collect();
        for room in &rooms {
            assert!(room.part < 64 && usize::from(room.devices) <= DEVICES_MAX, "node beyond the limits: {room:?}");
            assert!(room.free.iter().all(|&free| free <= WHOLE), "device above its thousandths: {room:?}");
        }
        Fleet { cores_most: rooms.iter().map(|room| room.cores_milli).collect(), rooms }
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// Thousandths of cores of a node when nothing is taken.
    pub fn cores_most(&self, node: u32) -> u32 {
        self.cores_most[node as usize]
    }

    /// What is free on a node.
    pub fn room(&self, node: u32) -> &Room {
        &self.rooms[node as usize]
    }

    /// All nodes with what is free on them.
    pub fn rooms(&self) -> impl Iterator<Item = (u32, &Room)> + '_ {
        (0u32..).zip(&self.rooms)
    }

    /// Takes a slot.
    ///
    /// # Panics
    ///
    /// When the slot is not free: the caller placed it on another state.
    pub fn take(&mut self, slot: &Slot) {
        let room = &mut self.rooms[slot.node as usize];
        let taken = "a slot is taken from the state it was placed on";
        room.cores_milli = room.cores_milli.checked_sub(slot.cores_milli).expect(taken);
        room.memory_mib = room.memory_mib.checked_sub(slot.memory_mib).expect(taken);
        for device in bits(slot.mask) {
            room.free[device] = room.free[device].checked_sub(slot.each).expect(taken);
        }
    }

    /// Gives a slot back.
    ///
    /// # Panics
    ///
    /// When a device would have more than it is: the slot was given back before.
    pub fn release(&mut self, slot: &Slot) {
        let room = &mut self.rooms[slot.node as usize];
        room.cores_milli += slot.cores_milli;
        room.memory_mib += slot.memory_mib;
        for device in bits(slot.mask) {
            let free = room.free[device] + slot.each;
            assert!(free <= WHOLE, "slot given back twice: {slot:?}");
            room.free[device] = free;
        }
    }
}

/// The places of the bits of a mask, ascending.
fn bits(mask: u16) -> impl Iterator<Item = usize> {
    (0..DEVICES_MAX).filter(move |&bit| mask >> bit & 1 == 1)
}

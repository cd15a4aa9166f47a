//! What is free on one node.

use super::ask::{Ask, DEVICES_MAX, Devices, WHOLE};

/// The free part of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Room {
    /// Free processor, in thousandths of a core.
    pub cores_milli: u32,
    /// Free memory, in MiB.
    pub memory_mib: u32,
    /// Part number of its devices, 0 to 63; of nodes without devices, any number of their own.
    pub part: u8,
    /// How many devices it has, 0 to 16.
    pub devices: u8,
    /// Free thousandths of each device; zero behind the last one.
    pub free: [u16; DEVICES_MAX],
}

impl Room {
    /// An empty node whose devices are all free.
    pub fn empty(cores_milli: u32, memory_mib: u32, part: u8, devices: u8) -> Self {
        let mut free = [0; DEVICES_MAX];
        free[..usize::from(devices)].fill(WHOLE);
        Room { cores_milli, memory_mib, part, devices, free }
    }

    /// Free thousandths of its devices.
    pub fn free(&self) -> &[u16] {
        &self.free[..usize::from(self.devices)]
    }

    /// Free thousandths in all.
    pub fn free_total(&self) -> u32 {
        self.free().iter().map(|&free| u32::from(free)).sum()
    }

    /// Free thousandths of devices that are in use.
    pub fn fractions(&self) -> u32 {
        self.free().iter().filter(|&&free| free < WHOLE).map(|&free| u32::from(free)).sum()
    }

    /// How many devices are wholly free.
    pub fn wholes(&self) -> u8 {
        self.free().iter().map(|&free| u8::from(free == WHOLE)).sum()
    }

    /// Whether the ask fits now.
    pub fn fits(&self, ask: &Ask) -> bool {
        self.cores_milli >= ask.cores_milli
            && self.memory_mib >= ask.memory_mib
            && match ask.devices {
                Devices::None => true,
                Devices::Share(share) => ask.parts.contains(self.part) && self.free().iter().any(|&free| free >= share),
                Devices::Whole(count) => ask.parts.contains(self.part) && self.wholes() >= count,
            }
    }

    /// The device with the least room that a share still fits, the first of equals.
    pub fn tightest(&self, share: u16) -> Option<u8> {
        let fitting = (0u8..).zip(self.free()).filter(|&(_, &free)| free >= share);
        fitting.min_by_key(|&(device, &free)| (free, device)).map(|(device, _)| device)
    }

    /// The mask of devices that a fitting ask takes when a share goes to `device`; whole devices are the
    /// first wholly free ones.
    pub fn mask(&self, ask: &Ask, device: u8) -> u16 {
        match ask.devices {
            Devices::None => 0,
            Devices::Share(_) => 1 << device,
            Devices::Whole(count) => {
                let wholes = (0u8..).zip(self.free()).filter(|&(_, &free)| free == WHOLE);
                wholes.take(usize::from(count)).fold(0, |mask, (device, _)| mask | 1 << device)
            }
        }
    }

    /// The room that is left when a fitting ask is taken, a share from `device`.
    #[must_use]
    pub fn after(&self, ask: &Ask, device: u8) -> Room {
        let mut left = *self;
        left.cores_milli -= ask.cores_milli;
        left.memory_mib -= ask.memory_mib;
        match ask.devices {
            Devices::None => {}
            Devices::Share(share) => left.free[usize::from(device)] -= share,
            Devices::Whole(count) => {
                let count = usize::from(count);
                left.free.iter_mut().filter(|free| **free == WHOLE).take(count).for_each(|free| *free = 0);
            }
        }
        left
    }
}

//! Nodes of one make, in cells.

use crate::pack::{Ask, Fleet, Room, WHOLE};

use super::cell::Cell;

/// Levels of the largest free fraction of a device: 20 thousandths each; they fit one mask of 64 bits.
pub(super) const FRACTIONS: usize = 50;
/// Levels of free cores, of the most that a node of the kind has; they fit one mask of 32 bits.
pub(super) const CORES: usize = 32;

/// What nodes of one kind share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Make {
    /// Part number of the devices.
    pub(super) part: u8,
    /// How many devices there are.
    pub(super) devices: u8,
    /// Cores, to a power of two.
    pub(super) cores_log: u32,
}

/// The nodes of one make. A node is in one cell, by whole devices free, by the largest free fraction of a
/// device, and by free cores; bit masks say which cells hold any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) make: Make,
    /// Thousandths of a core in one level.
    cores_step: u32,
    /// For each fraction, the numbers of whole devices with nodes.
    wholes: [u32; FRACTIONS],
    /// The fractions with nodes.
    fractions: u64,
    /// For each number of whole devices and fraction, the levels of cores with nodes.
    cores: Vec<u32>,
    cells: Vec<Cell>,
}

/// A place among the cells of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) fraction: usize,
    pub(super) wholes: usize,
    pub(super) cores: usize,
}

impl Key {
    fn row(self) -> usize {
        self.wholes * FRACTIONS + self.fraction
    }

    fn cell(self) -> usize {
        self.row() * CORES + self.cores
    }
}

impl Kind {
    /// A kind without nodes, none of which will have more cores than these.
    pub(super) fn new(make: Make, cores_max: u32) -> Self {
        let rows = (usize::from(make.devices) + 1) * FRACTIONS;
        Kind {
            make,
            cores_step: cores_max / CORES as u32 + 1,
            wholes: [0; FRACTIONS],
            fractions: 0,
            cores: vec![0; rows],
            cells: vec![Cell::default(); rows * CORES],
        }
    }

    /// The level of an amount of cores; more than any node has is the level behind the last.
    pub(super) fn cores_level(&self, cores_milli: u32) -> usize {
        ((cores_milli / self.cores_step) as usize).min(CORES)
    }

    /// Where a room belongs.
    pub(super) fn key(&self, room: &Room) -> Key {
        let (mut wholes, mut fraction) = (0, 0);
        for &free in room.free() {
            if free == WHOLE {
                wholes += 1;
            } else {
                fraction = fraction.max(free);
            }
        }
        Key { fraction: fraction_level(fraction), wholes, cores: self.cores_level(room.cores_milli).min(CORES - 1) }
    }

    /// Adds a node.
    pub(super) fn add(&mut self, key: Key, node: u32, fleet: &Fleet) {
        self.cells[key.cell()].add(node, fleet);
        self.cores[key.row()] |= 1 << key.cores;
        self.wholes[key.fraction] |= 1 << key.wholes;
        self.fractions |= 1 << key.fraction;
    }

    /// Removes a node.
    pub(super) fn remove(&mut self, key: Key, node: u32) {
        self.cells[key.cell()].remove(node);
        if self.cells[key.cell()].is_empty() {
            self.cores[key.row()] &= !(1 << key.cores);
            if self.cores[key.row()] == 0 {
                self.wholes[key.fraction] &= !(1 << key.wholes);
                if self.wholes[key.fraction] == 0 {
                    self.fractions &= !(1 << key.fraction);
                }
            }
        }
    }

    /// The fractions from a level on at which there are nodes.
    pub(super) fn fractions_from(&self, level: usize) -> Bits {
        Bits(self.fractions & u64::MAX.checked_shl(level as u32).unwrap_or(0))
    }

    /// The numbers of whole devices, at least so many, with nodes at a fraction.
    pub(super) fn wholes_from(&self, fraction: usize, least: usize) -> Bits {
        Bits(u64::from(self.wholes[fraction]) & u64::MAX.checked_shl(least as u32).unwrap_or(0))
    }

    /// The levels of cores with nodes at a fraction and number of whole devices, from the least that an ask
    /// fits: those that leave too few cores for the devices that stay free, and those that leave enough.
    /// A free device wants `cores_each`; only which nodes are compared depends on it, not how they are rated.
    pub(super) fn cores_for(&self, (fraction, wholes): (usize, usize), ask: &Ask, cores_each: u32) -> (Bits, Bits) {
        let row = Key { fraction, wholes, cores: 0 }.row();
        let free = wholes * usize::from(WHOLE) + fraction * usize::from(WHOLE) / FRACTIONS;
        let left = (free as u32).saturating_sub(ask.devices.thousandths());
        let level = |cores_milli: u32| u64::MAX << self.cores_level(cores_milli);
        let fitting = u64::from(self.cores[row]) & level(ask.cores_milli);
        let balanced = level(ask.cores_milli.saturating_add(left.saturating_mul(cores_each)));
        (Bits(fitting & !balanced), Bits(fitting & balanced))
    }

    /// The levels of cores, from one on, with nodes at a fraction and number of whole devices.
    pub(super) fn cores_from(&self, fraction: usize, wholes: usize, level: usize) -> Bits {
        Bits(u64::from(self.cores[Key { fraction, wholes, cores: 0 }.row()]) & (u64::MAX << level))
    }

    /// A cell.
    pub(super) fn cell(&mut self, key: Key) -> &mut Cell {
        &mut self.cells[key.cell()]
    }
}

/// The level of a free fraction of a device.
pub(super) fn fraction_level(free: u16) -> usize {
    usize::from(free) * FRACTIONS / usize::from(WHOLE)
}

/// The set bits of a word, ascending.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits(pub(super) u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let bit = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (bit < u64::BITS).then_some(bit as usize)
    }
}

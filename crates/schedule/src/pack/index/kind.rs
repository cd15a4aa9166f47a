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
    // Which cells hold any, in the orders in which they are walked.
    /// Fractions; for each of them, numbers of whole devices; for each row of both, levels of cores.
    fractions: u64,
    wholes_at: [u32; FRACTIONS],
    cores: Vec<u32>,
    /// Numbers of whole devices; for each of them, fractions and levels of cores; for each pair of number and level,
    /// fractions.
    wholes: u32,
    fractions_with: Vec<u64>,
    cores_with: Vec<u32>,
    fractions_at: Vec<u64>,
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

    fn level(self) -> usize {
        self.wholes * CORES + self.cores
    }

    fn cell(self) -> usize {
        self.row() * CORES + self.cores
    }
}

impl Kind {
    /// A kind without nodes, none of which will have more cores than these.
    pub(super) fn new(make: Make, cores_max: u32) -> Self {
        let numbers = usize::from(make.devices) + 1;
        let rows = numbers * FRACTIONS;
        Kind {
            make,
            cores_step: cores_max / CORES as u32 + 1,
            fractions: 0,
            wholes_at: [0; FRACTIONS],
            cores: vec![0; rows],
            wholes: 0,
            fractions_with: vec![0; numbers],
            cores_with: vec![0; numbers],
            fractions_at: vec![0; numbers * CORES],
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
        self.fractions |= 1 << key.fraction;
        self.wholes_at[key.fraction] |= 1 << key.wholes;
        self.cores[key.row()] |= 1 << key.cores;
        self.wholes |= 1 << key.wholes;
        self.fractions_with[key.wholes] |= 1 << key.fraction;
        self.cores_with[key.wholes] |= 1 << key.cores;
        self.fractions_at[key.level()] |= 1 << key.fraction;
    }

    /// Removes a node that is as it was when it was added.
    pub(super) fn remove(&mut self, key: Key, node: u32, fleet: &Fleet) {
        self.cells[key.cell()].remove(node, fleet);
        if self.cells[key.cell()].is_empty() {
            self.cores[key.row()] &= !(1 << key.cores);
            if self.cores[key.row()] == 0 {
                self.wholes_at[key.fraction] &= !(1 << key.wholes);
                self.fractions_with[key.wholes] &= !(1 << key.fraction);
            }
            self.fractions_at[key.level()] &= !(1 << key.fraction);
            if self.fractions_at[key.level()] == 0 {
                self.cores_with[key.wholes] &= !(1 << key.cores);
            }
            if self.wholes_at[key.fraction] == 0 {
                self.fractions &= !(1 << key.fraction);
            }
            if self.cores_with[key.wholes] == 0 {
                self.wholes &= !(1 << key.wholes);
            }
        }
    }

    /// The fractions from a level on at which there are nodes.
    pub(super) fn fractions_from(&self, level: usize) -> Bits {
        Bits(self.fractions & u64::MAX.checked_shl(level as u32).unwrap_or(0))
    }

    /// The numbers of whole devices with nodes at a fraction.
    pub(super) fn wholes_at(&self, fraction: usize) -> Bits {
        Bits(u64::from(self.wholes_at[fraction]))
    }

    /// The numbers of whole devices, at least so many, with nodes.
    pub(super) fn wholes_from(&self, least: usize) -> Bits {
        Bits(u64::from(self.wholes) & u64::MAX.checked_shl(least as u32).unwrap_or(0))
    }

    /// The fractions of nodes with so many whole devices.
    pub(super) fn fractions_with(&self, wholes: usize) -> Bits {
        Bits(self.fractions_with[wholes])
    }

    /// The same of those at a level of cores.
    pub(super) fn fractions_at(&self, wholes: usize, cores: usize) -> Bits {
        Bits(self.fractions_at[Key { fraction: 0, wholes, cores }.level()])
    }

    /// The levels of cores with nodes at a fraction and number of whole devices, from the least that an ask
    /// fits: those that leave too few cores for the devices that stay free, and those that leave enough.
    /// A free device wants `cores_each`; only which nodes are compared depends on it, not how they are rated.
    pub(super) fn cores_for(&self, (fraction, wholes): (usize, usize), ask: &Ask, cores_each: u32) -> (Bits, Bits) {
        let row = Key { fraction, wholes, cores: 0 }.row();
        let free = wholes * usize::from(WHOLE) + fraction * usize::from(WHOLE) / FRACTIONS;
        self.split(self.cores[row], free as u32, ask, cores_each)
    }

    /// The same whatever the fractions, which are taken to be of no use.
    pub(super) fn any_cores_for(&self, wholes: usize, ask: &Ask, cores_each: u32) -> (Bits, Bits) {
        self.split(self.cores_with[wholes], (wholes * usize::from(WHOLE)) as u32, ask, cores_each)
    }

    fn split(&self, cores: u32, free: u32, ask: &Ask, cores_each: u32) -> (Bits, Bits) {
        let left = free.saturating_sub(ask.devices.thousandths());
        let level = |cores_milli: u32| u64::MAX << self.cores_level(cores_milli);
        let fitting = u64::from(cores) & level(ask.cores_milli);
        let enough = level(ask.cores_milli.saturating_add(left.saturating_mul(cores_each)));
        (Bits(fitting & !enough), Bits(fitting & enough))
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

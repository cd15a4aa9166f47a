//! The nodes of one cell.

use crate::pack::{Ask, Fleet};

/// Nodes in falling order of their free fractions in all, then of their numbers: the first one, which is taken most, is
/// removed from the end. The smallest fractions come first because nothing is lost with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cell {
    nodes: Vec<(u32, u32)>,
    /// No node of the cell has more than this free; may be too high, never too low.
    cores_max: u32,
    memory_max: u32,
}

impl Cell {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a node that is not in it.
    pub(super) fn add(&mut self, node: u32, fleet: &Fleet) {
        let room = fleet.room(node);
        if self.nodes.is_empty() {
            (self.cores_max, self.memory_max) = (0, 0);
        }
        self.cores_max = self.cores_max.max(room.cores_milli);
        self.memory_max = self.memory_max.max(room.memory_mib);
        let entry = (room.fractions(), node);
        let at = self.nodes.partition_point(|&other| other > entry);
        self.nodes.insert(at, entry);
    }

    /// Removes a node that is in it.
    pub(super) fn remove(&mut self, node: u32, fleet: &Fleet) {
        let entry = (fleet.room(node).fractions(), node);
        let at = self.nodes.partition_point(|&other| other > entry);
        debug_assert_eq!(self.nodes.get(at), Some(&entry), "an indexed node is in its cell");
        self.nodes.remove(at);
    }

    /// Adds the first few nodes that fit. When there is none the bounds become exact, so that the cell is
    /// not walked in vain again; the answer never depends on them.
    pub(super) fn fitting(&mut self, fleet: &Fleet, ask: &Ask, most: usize, into: &mut Vec<u32>) {
        if self.cores_max < ask.cores_milli || self.memory_max < ask.memory_mib {
            return;
        }
        let fits = |node: &u32| fleet.room(*node).fits(ask);
        let before = into.len();
        into.extend(self.nodes.iter().rev().map(|&(_, node)| node).filter(fits).take(most));
        if into.len() == before {
            self.tighten(fleet);
        }
    }

    /// The first node that fits; the same with the bounds.
    pub(super) fn first(&mut self, fleet: &Fleet, ask: &Ask) -> Option<u32> {
        if self.cores_max < ask.cores_milli || self.memory_max < ask.memory_mib {
            return None;
        }
        let found = self.nodes.iter().rev().map(|&(_, node)| node).find(|&node| fleet.room(node).fits(ask));
        if found.is_none() {
            self.tighten(fleet);
        }
        found
    }

    fn tighten(&mut self, fleet: &Fleet) {
        let rooms = || self.nodes.iter().map(|&(_, node)| fleet.room(node));
        self.cores_max = rooms().map(|room| room.cores_milli).max().unwrap_or(0);
        self.memory_max = rooms().map(|room| room.memory_mib).max().unwrap_or(0);
    }
}

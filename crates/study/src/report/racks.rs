//! Where the tasks of gangs lay: within one rack or pod, or spread.

use std::collections::BTreeSet;

use huisuan_model::{Level, NodeShare, Topology};
use serde::Serialize;

/// Gangs that were placed where racks are known, by the smallest domain that all of it lay in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct GangFigures {
    /// In one rack.
    pub in_one_rack: u64,
    /// In several racks of one pod.
    pub in_one_pod: u64,
    /// In several pods, or in several racks where there are no pods.
    pub spread: u64,
    /// Racks of all of them together.
    pub racks: u64,
}

impl GangFigures {
    /// Counts one gang by its nodes.
    pub(super) fn count(&mut self, topology: &Topology, nodes: &[NodeShare]) {
        let racks: BTreeSet<u32> = nodes.iter().map(|share| topology.rack_of(share.node)).collect();
        let width = topology.width(Level::Pod);
        let pods = width.map(|width| nodes.iter().map(|share| share.node / width.max(1)).collect::<BTreeSet<u32>>());
        self.racks += racks.len() as u64;
        match (racks.len(), pods.map(|pods| pods.len())) {
            (0 | 1, _) => self.in_one_rack += 1,
            (_, Some(1)) => self.in_one_pod += 1,
            _ => self.spread += 1,
        }
    }

    /// Nothing where none was counted.
    pub(super) fn some(self) -> Option<GangFigures> {
        (self != GangFigures::default()).then_some(self)
    }
}

//! The rankings of a packer: one for each ask of the mix that was placed lately.

use std::collections::BTreeMap;

use crate::pack::{Ask, Fleet, Rule};

use super::{changes::Changes, ranking::Ranking};

/// The fewest nodes that a ranking keeps: those of 150 asks then stay in the processor's second cache.
pub(super) const KEPT_LEAST: usize = 256;
/// Most rankings; then the one that was used the longest ago makes room.
pub(super) const RANKINGS_MOST: usize = 1024;

/// Rankings and what they have to follow.
#[derive(Debug, Clone)]
pub(super) struct Rankings {
    /// None while there are no rankings: who never asks for them pays nothing.
    changes: Option<Changes>,
    by_ask: BTreeMap<Ask, Ranking>,
    kept_least: usize,
    most: usize,
}

impl Rankings {
    /// None yet: `most` of them at once, each of at least so many nodes.
    pub(super) fn new(kept_least: usize, most: usize) -> Self {
        Rankings { changes: None, by_ask: BTreeMap::new(), kept_least, most }
    }

    /// A node changed.
    pub(super) fn change(&mut self, node: u32, fleet: &Fleet, rule: &Rule) {
        if let Some(changes) = &mut self.changes {
            changes.add(node, fleet, rule);
        }
    }

    /// The best of all nodes for an ask, and the device there.
    pub(super) fn best(&mut self, ask: &Ask, fleet: &Fleet, rule: &Rule) -> Option<(u32, u8)> {
        let changes = self.changes.get_or_insert_with(|| Changes::new(fleet));
        let serving = Ranking::serving(ask);
        if !self.by_ask.contains_key(&serving) && self.by_ask.len() >= self.most {
            let oldest = self.by_ask.iter().min_by_key(|(_, ranking)| ranking.seen()).map(|(ask, _)| *ask);
            oldest.map(|oldest| self.by_ask.remove(&oldest));
        }
        let ranking =
            self.by_ask.entry(serving).or_insert_with(|| Ranking::new(serving, self.kept_least, fleet, rule, changes));
        ranking.best(ask, fleet, rule, changes)
    }
}

//! The nodes that are best for one ask, kept from one decision to the next.
//!
//! Between two decisions for an ask only a few nodes change, and only those are rated anew. What is found is the best
//! of all nodes, as if each had been looked at.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::pack::{Ask, Fleet, Room, Rule};

use super::changes::Changes;

/// The most nodes that a ranking keeps, as a part of the fleet.
const KEPT_MOST_OF: usize = 8;

/// A node with its score, the better one first and the first node of equals, and the number of its last change.
type Key = (i64, Reverse<u32>, u32);

/// The best nodes for one ask.
#[derive(Debug, Clone)]
pub(super) struct Ranking {
    ask: Ask,
    /// The next change that it has not seen.
    seen: u64,
    /// Nodes that changed since they were rated are left where they are until they come up.
    keys: BinaryHeap<Key>,
    /// Every node that fits and is better than this one is among the keys; without it, every one that fits.
    least: Option<(i64, Reverse<u32>)>,
    /// How many nodes are kept: more where they are used up, fewer where better ones come; and at least how many.
    kept: usize,
    kept_least: usize,
}

impl Ranking {
    /// What the ranking is of that serves an ask: asks for nearly as much memory share one, for scores do not depend on
    /// it.
    pub(super) fn serving(ask: &Ask) -> Ask {
        let dropped = 29_u32.saturating_sub(ask.memory_mib.leading_zeros());
        Ask { memory_mib: ask.memory_mib >> dropped << dropped, ..*ask }
    }

    /// For an ask, of all nodes.
    pub(super) fn new(ask: Ask, kept_least: usize, fleet: &Fleet, rule: &Rule, changes: &Changes) -> Self {
        let (keys, kept) = (BinaryHeap::new(), kept_least);
        let mut ranking = Ranking { ask, seen: 0, keys, least: None, kept, kept_least };
        ranking.rank(fleet, rule, changes);
        ranking
    }

    /// The next change that it has not seen: the least of all rankings was used the longest ago.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// The best node for an ask that this ranking serves, and the device there.
    pub(super) fn best(&mut self, ask: &Ask, fleet: &Fleet, rule: &Rule, changes: &mut Changes) -> Option<(u32, u8)> {
        self.follow(fleet, rule, changes);
        // Nodes that lack only the memory by which the ask is above what the ranking is of.
        let mut lacking = Vec::new();
        let best = loop {
            let Some(&(score, Reverse(node), number)) = self.keys.peek() else {
                if self.least.is_none() {
                    break None;
                }
                let most = (fleet.len() / KEPT_MOST_OF).max(self.kept_least);
                self.kept = (2 * self.kept).min(most) + lacking.len();
                lacking.clear();
                self.rank(fleet, rule, changes);
                continue;
            };
            let room = fleet.room(node);
            // Numbers come again after four billion changes, so the score must be true as well.
            let same = number == changes.last_of(node) && room.fits(&self.ask);
            match same.then(|| rule.rate(&self.ask, room, 0, node)).filter(|rate| rate.score == score) {
                Some(rate) if room.memory_mib >= ask.memory_mib => break Some((node, rate.device)),
                Some(_) => lacking.extend(self.keys.pop()),
                None => drop(self.keys.pop()),
            }
        };
        self.keys.extend(lacking);
        best
    }

    /// Rates what changed.
    fn follow(&mut self, fleet: &Fleet, rule: &Rule, changes: &mut Changes) {
        let next = changes.next();
        let Some(changed) = changes.since(self.seen, &self.ask) else { return self.rank(fleet, rule, changes) };
        self.seen = next;
        for (node, weighed, number) in changed {
            let (score, node) = (rule.rate_weighed(&self.ask, weighed).score, Reverse(node));
            if self.least.is_none_or(|least| (score, node) > least) {
                self.keys.push((score, node, number));
            }
        }
        if self.keys.len() > 2 * self.kept {
            self.forget(changes);
        }
    }

    /// Looks through the whole fleet.
    fn rank(&mut self, fleet: &Fleet, rule: &Rule, changes: &Changes) {
        self.seen = changes.next();
        // Empty nodes of one part are mostly alike.
        let mut lately: [Option<(&Room, i64)>; 64] = [None; 64];
        let fitting = fleet.rooms().filter(|(_, room)| room.fits(&self.ask));
        let keys = fitting.map(|(node, room)| {
            let lately = &mut lately[usize::from(room.part)];
            let known = lately.filter(|(known, _)| *known == room);
            let (_, score) = *lately.insert(known.unwrap_or_else(|| (room, rule.rate(&self.ask, room, 0, node).score)));
            (score, Reverse(node), changes.last_of(node))
        });
        let keys = keys.collect();
        self.least = None;
        self.keep(keys);
    }

    /// Drops the nodes that changed since, and those that are not needed as long as better ones come.
    fn forget(&mut self, changes: &Changes) {
        let mut keys = std::mem::take(&mut self.keys).into_vec();
        keys.retain(|&(_, Reverse(node), number)| number == changes.last_of(node));
        if keys.len() > self.kept {
            self.kept = (self.kept / 2).max(self.kept_least);
        }
        self.keep(keys);
    }

    fn keep(&mut self, mut keys: Vec<Key>) {
        if keys.len() > self.kept {
            let (_, &mut (score, node, _), _) = keys.select_nth_unstable_by_key(self.kept, |&key| Reverse(key));
            self.least = Some((score, node));
            keys.truncate(self.kept);
        }
        self.keys = BinaryHeap::from(keys);
    }
}

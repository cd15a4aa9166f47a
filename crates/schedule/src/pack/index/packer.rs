//! A fleet under one policy, placed through the index.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::pack::{Ask, Devices, Fleet, Rule, Slot};

use super::{
    dead::Dead,
    kind::{Kind, Make},
    rankings::{KEPT_LEAST, RANKINGS_MOST, Rankings},
    walk::{Looks, Search, Width, tightest},
};

/// A fleet under one policy, without a look at every node.
///
/// For what makes up at least a thousandth of the work the best of all nodes is taken, the first one of equals: the best
/// ones of each such ask are kept in a ranking, for which only nodes that changed are rated anew.
///
/// For what is rarer that costs more than it brings. There the index names some dozens of candidates, spread over kinds
/// of nodes, tightness and free cores: a few of every kind, then more of the kinds whose first ones were best. The policy
/// rates them all, and the best one is taken.
///
/// What is decided depends on the fleet's state alone, not on how it came about: a packer built from a restored fleet
/// decides alike.
#[derive(Debug, Clone)]
pub struct Packer {
    fleet: Fleet,
    rule: Rule,
    kinds: Vec<Kind>,
    /// The kind of each node.
    kind_of: Vec<u32>,
    /// Which nodes are in their cells, and the others.
    in_cells: Vec<bool>,
    outside: Vec<u32>,
    looks: Looks,
    dead: Dead,
    rankings: Rankings,
    /// Number of decisions so far; the draw of `random`.
    draws: u64,
    /// The candidates of the last ask, and the best one of every look; kept for their memory.
    candidates: Vec<u32>,
    best: Vec<Best>,
}

/// The best candidate of one look: score, first node, device, number of the kind. The largest one is the best of all.
type Best = (i64, Reverse<u32>, u8, usize);

impl Packer {
    /// Indexes a fleet.
    pub fn new(fleet: Fleet, rule: Rule) -> Self {
        let mut makes: BTreeMap<Make, u32> = BTreeMap::new();
        for (node, room) in fleet.rooms() {
            let cores = makes.entry(make(&fleet, node, room.part, room.devices)).or_default();
            *cores = fleet.cores_most(node).max(*cores);
        }
        let kinds = makes.iter().map(|(&make, &cores)| Kind::new(make, cores)).collect();
        let place: BTreeMap<Make, u32> = makes.into_keys().zip(0..).collect();
        let kind_of = fleet.rooms().map(|(node, room)| place[&make(&fleet, node, room.part, room.devices)]).collect();
        let (dead, candidates) = (Dead::default(), Vec::new());
        let looks = Looks::of(fleet.len());
        let best = Vec::new();
        let rankings = Rankings::new(KEPT_LEAST, RANKINGS_MOST);
        // Cells keep nodes in falling order: entered so, each goes near the end.
        let outside = (0..u32::try_from(fleet.len()).expect("nodes are numbered in 32 bits")).rev().collect();
        let in_cells = vec![false; fleet.len()];
        Packer { fleet, rule, kinds, kind_of, in_cells, outside, looks, dead, rankings, draws: 0, candidates, best }
    }

    /// The same with other looks than its size asks for.
    #[cfg(test)]
    pub(super) fn with_looks(mut self, looks: Looks) -> Self {
        self.looks = looks;
        self
    }

    /// The same with so few nodes kept in rankings, and so few of these, that both are always short.
    #[cfg(test)]
    pub(super) fn with_rankings(mut self, kept_least: usize, rankings_most: usize) -> Self {
        self.rankings = Rankings::new(kept_least, rankings_most);
        self
    }

    /// The nodes.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The best slot for an ask now; none only when it fits no node.
    pub fn place(&mut self, ask: &Ask) -> Option<Slot> {
        self.draws += 1;
        self.candidates.clear();
        if self.rule.ranks(ask) {
            let (node, device) = self.rankings.best(ask, &self.fleet, &self.rule)?;
            return Some(Slot::of(node, self.fleet.room(node), ask, device));
        }
        if self.dead.knows(ask) {
            return None;
        }
        self.enter();
        self.best.clear();
        let Looks { first, second } = self.looks;
        for number in 0..self.kinds.len() {
            if ask.devices == Devices::None || ask.parts.contains(self.kinds[number].make.part) {
                self.look(ask, number, &first);
            }
        }
        if let Some((most, width)) = second {
            self.best.sort_unstable_by_key(|&best| Reverse(best));
            for at in 0..self.best.len().min(most) {
                self.look(ask, self.best[at].3, &width);
            }
        }
        let Some(&(_, Reverse(node), device, _)) = self.best.iter().max() else {
            self.dead.add(ask);
            return None;
        };
        Some(Slot::of(node, self.fleet.room(node), ask, device))
    }

    /// Adds the candidates of one kind and notes the best of them.
    fn look(&mut self, ask: &Ask, number: usize, width: &Width) {
        let before = self.candidates.len();
        let Packer { fleet, rule, kinds, draws, candidates, best, .. } = self;
        let cores_each = rule.cores_per_device();
        Search { fleet, ask, cores_each, into: candidates }.candidates(&mut kinds[number], width);
        let rated = candidates[before..].iter().map(|&node| {
            let rate = rule.rate(ask, fleet.room(node), *draws, node);
            (rate.score, Reverse(node), rate.device, number)
        });
        best.extend(rated.max());
    }

    /// The candidates of the last ask; none when it is one that comes often.
    pub fn candidates(&self) -> &[u32] {
        &self.candidates
    }

    /// Takes a slot that was placed now.
    pub fn take(&mut self, slot: &Slot) {
        self.change(slot.node, |fleet| fleet.take(slot));
    }

    /// Gives a slot back.
    pub fn release(&mut self, slot: &Slot) {
        self.change(slot.node, |fleet| fleet.release(slot));
        self.dead.revive(&self.fleet, slot.node);
    }

    /// Places and takes an ask.
    pub fn settle(&mut self, ask: &Ask) -> Option<Slot> {
        let slot = self.place(ask)?;
        self.take(&slot);
        Some(slot)
    }

    /// Where an ask fits most tightly, without rating: the least fraction, then the fewest whole devices, then the
    /// fewest cores, then the first node. An order of magnitude cheaper than [`place`](Self::place), for cycles that
    /// place a hundred thousand tasks.
    pub fn place_tight(&mut self, ask: &Ask) -> Option<Slot> {
        if self.dead.knows(ask) {
            return None;
        }
        self.enter();
        for kind in &mut self.kinds {
            if let Some(node) = tightest(kind, &self.fleet, ask) {
                let room = self.fleet.room(node);
                let device = match ask.devices {
                    Devices::Share(share) => room.tightest(share).unwrap_or(0),
                    Devices::None | Devices::Whole(_) => 0,
                };
                return Some(Slot::of(node, room, ask, device));
            }
        }
        self.dead.add(ask);
        None
    }

    /// Places and takes all asks of a gang, or leaves everything as it was.
    pub fn settle_all<'a>(&mut self, asks: impl IntoIterator<Item = &'a Ask>) -> Option<Vec<Slot>> {
        let mut slots = Vec::new();
        for ask in asks {
            match self.settle(ask) {
                Some(slot) => slots.push(slot),
                None => {
                    slots.iter().rev().for_each(|slot| self.release(slot));
                    return None;
                }
            }
        }
        Some(slots)
    }

    /// A node changes: it leaves its cell until cells are asked for, and those who rank are told.
    fn change(&mut self, node: u32, change: impl FnOnce(&mut Fleet)) {
        if std::mem::take(&mut self.in_cells[node as usize]) {
            let kind = &mut self.kinds[self.kind_of[node as usize] as usize];
            kind.remove(kind.key(self.fleet.room(node)), node, &self.fleet);
            self.outside.push(node);
        }
        change(&mut self.fleet);
        self.rankings.change(node, &self.fleet, &self.rule);
    }

    /// Brings all nodes into the cells where they belong now.
    fn enter(&mut self) {
        let Packer { fleet, kinds, kind_of, in_cells, outside, .. } = self;
        for node in outside.drain(..) {
            let kind = &mut kinds[kind_of[node as usize] as usize];
            kind.add(kind.key(fleet.room(node)), node, fleet);
            in_cells[node as usize] = true;
        }
    }
}

fn make(fleet: &Fleet, node: u32, part: u8, devices: u8) -> Make {
    Make { part, devices, cores_log: fleet.cores_most(node).checked_ilog2().unwrap_or(0) }
}

//! A fleet under one policy, placed through the index.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::pack::{Ask, Devices, Fleet, Rule, Slot};

use super::{
    dead::Dead,
    kind::{Kind, Make},
    walk::{Width, candidates, tightest},
};

/// A fleet under one policy, without a look at every node.
///
/// For an ask the index names some dozens of candidates, spread over kinds of nodes, tightness and free
/// cores; the policy rates them all, and the best one is taken, the first node of equals. What is decided
/// depends on the fleet's state alone, not on how it came about: a packer built from a restored fleet
/// decides alike.
#[derive(Debug, Clone)]
pub struct Packer {
    fleet: Fleet,
    rule: Rule,
    kinds: Vec<Kind>,
    /// The kind of each node.
    kind_of: Vec<u32>,
    width: Width,
    dead: Dead,
    /// Number of decisions so far; the draw of `random`.
    draws: u64,
    /// The candidates of the last ask; kept for its memory.
    candidates: Vec<u32>,
}

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
        let kind_count = place.len();
        let (dead, candidates, width) = (Dead::default(), Vec::new(), Width::of(fleet.len(), kind_count));
        let width = Width { cores_each: rule.cores_per_device(), ..width };
        let mut packer = Packer { fleet, rule, kinds, kind_of, width, dead, draws: 0, candidates };
        // Cells keep nodes in falling order: entered so, each goes to the end.
        for node in (0..u32::try_from(packer.fleet.len()).expect("nodes are numbered in 32 bits")).rev() {
            packer.enter(node);
        }
        packer
    }

    /// The same with another width than its size asks for.
    #[cfg(test)]
    pub(super) fn with_width(mut self, width: Width) -> Self {
        self.width = Width { cores_each: self.width.cores_each, ..width };
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
        if self.dead.knows(ask) {
            return None;
        }
        candidates(&mut self.kinds, &self.fleet, ask, self.width, &mut self.candidates);
        let rated =
            self.candidates.iter().map(|&node| (self.rule.rate(ask, self.fleet.room(node), self.draws, node), node));
        let best = rated.max_by_key(|&(rate, node)| (rate.score, Reverse(node)));
        let Some((rate, node)) = best else {
            self.dead.add(ask);
            return None;
        };
        Some(Slot::of(node, self.fleet.room(node), ask, rate.device))
    }

    /// The candidates of the last ask, for tests and explanations.
    pub fn candidates(&self) -> &[u32] {
        &self.candidates
    }

    /// Takes a slot that was placed now.
    pub fn take(&mut self, slot: &Slot) {
        self.leave(slot.node);
        self.fleet.take(slot);
        self.enter(slot.node);
    }

    /// Gives a slot back.
    pub fn release(&mut self, slot: &Slot) {
        self.leave(slot.node);
        self.fleet.release(slot);
        self.enter(slot.node);
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

    fn enter(&mut self, node: u32) {
        let kind = &mut self.kinds[self.kind_of[node as usize] as usize];
        kind.add(kind.key(self.fleet.room(node)), node, &self.fleet);
    }

    fn leave(&mut self, node: u32) {
        let kind = &mut self.kinds[self.kind_of[node as usize] as usize];
        kind.remove(kind.key(self.fleet.room(node)), node);
    }
}

fn make(fleet: &Fleet, node: u32, part: u8, devices: u8) -> Make {
    Make { part, devices, cores_log: fleet.cores_most(node).checked_ilog2().unwrap_or(0) }
}

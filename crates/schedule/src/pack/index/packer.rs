//! A fleet under one policy, placed through the index.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::pack::{Ask, Devices, Fleet, Rule, Slot};

use super::{
    dead::Dead,
    kind::{Kind, Make},
    walk::{Looks, Search, Width, tightest},
};

/// A fleet under one policy, without a look at every node.
///
/// For an ask the index names some dozens of candidates, spread over kinds of nodes, tightness and free cores: a few of
/// every kind, then more of the kinds whose first ones were best. The policy rates them all, and the best one is taken,
/// the first node of equals. What is decided depends on the fleet's state alone, not on how it came about: a packer
/// built from a restored fleet decides alike.
#[derive(Debug, Clone)]
pub struct Packer {
    fleet: Fleet,
    rule: Rule,
    kinds: Vec<Kind>,
    /// The kind of each node.
    kind_of: Vec<u32>,
    looks: Looks,
    dead: Dead,
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
        let looks = Looks::of(fleet.len(), place.len());
        let best = Vec::new();
        let mut packer = Packer { fleet, rule, kinds, kind_of, looks, dead, draws: 0, candidates, best };
        // Cells keep nodes in falling order: entered so, each goes near the end.
        for node in (0..u32::try_from(packer.fleet.len()).expect("nodes are numbered in 32 bits")).rev() {
            packer.enter(node);
        }
        packer
    }

    /// The same with other looks than its size asks for.
    #[cfg(test)]
    pub(super) fn with_looks(mut self, looks: Looks) -> Self {
        self.looks = looks;
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
        kind.remove(kind.key(self.fleet.room(node)), node, &self.fleet);
    }
}

fn make(fleet: &Fleet, node: u32, part: u8, devices: u8) -> Make {
    Make { part, devices, cores_log: fleet.cores_most(node).checked_ilog2().unwrap_or(0) }
}

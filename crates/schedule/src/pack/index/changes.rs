//! The nodes that changed lately.

use std::collections::VecDeque;

use crate::pack::{Ask, Devices, Fleet, Parts, Rule, WHOLE, weighed::Weighed};

/// What asks and rooms compare to see whether they may fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Brief {
    parts: Parts,
    cores_milli: u32,
    memory_mib: u32,
    /// Most thousandths of one device.
    largest: u16,
    wholes: u8,
}

impl Brief {
    fn of(weighed: &Weighed) -> Self {
        let room = &weighed.room;
        Brief {
            parts: Parts::one(room.part),
            cores_milli: room.cores_milli,
            memory_mib: room.memory_mib,
            largest: room.free().iter().copied().max().unwrap_or(0),
            wholes: weighed.wholes(),
        }
    }

    /// What a room must have for an ask.
    fn wanted(ask: &Ask) -> Self {
        let (parts, largest, wholes) = match ask.devices {
            Devices::None => (Parts::ANY, 0, 0),
            Devices::Share(share) => (ask.parts, share, 0),
            Devices::Whole(count) => (ask.parts, if count == 0 { 0 } else { WHOLE }, count),
        };
        Brief { parts, cores_milli: ask.cores_milli, memory_mib: ask.memory_mib, largest, wholes }
    }

    /// Whether there is as much of all as is wanted, without a branch: one in six rooms fits, and nobody can guess
    /// which.
    fn has(&self, wanted: &Brief) -> bool {
        let lacks = |have: u64, want: u64| have.wrapping_sub(want);
        let lacks = lacks(u64::from(self.cores_milli), u64::from(wanted.cores_milli))
            | lacks(u64::from(self.memory_mib), u64::from(wanted.memory_mib))
            | lacks(u64::from(self.largest), u64::from(wanted.largest))
            | lacks(u64::from(self.wholes), u64::from(wanted.wholes));
        (lacks >> 63 == 0) & (self.parts.0 & wanted.parts.0 != 0)
    }
}

/// Nodes with their rooms, each once, in the order of their last changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    /// The number of the first one.
    first: u64,
    /// A change that was followed by another one of the same node is of no part.
    briefs: VecDeque<Brief>,
    nodes: VecDeque<(u32, Weighed)>,
    /// The last digits of the number of the last change of each node; zero before the first one.
    last_of: Vec<u32>,
    /// Places among the changes that may fit; kept for its memory.
    found: Vec<usize>,
}

impl Changes {
    /// No changes of a fleet.
    pub(super) fn new(fleet: &Fleet) -> Self {
        Changes { first: 1, last_of: vec![0; fleet.len()], ..Changes::default() }
    }

    /// A node changed.
    pub(super) fn add(&mut self, node: u32, fleet: &Fleet, rule: &Rule) {
        let place = self.last_of[node as usize].wrapping_sub(self.first as u32) as usize;
        if self.nodes.get(place).is_some_and(|before| before.0 == node) {
            self.briefs[place].parts = Parts(0);
        }
        // Who saw none of so many had better look through the fleet.
        if self.nodes.len() > fleet.len() {
            self.nodes.pop_front();
            self.briefs.pop_front();
            self.first += 1;
        }
        self.last_of[node as usize] = self.next() as u32;
        let weighed = rule.weigh(fleet.room(node));
        self.briefs.push_back(Brief::of(&weighed));
        self.nodes.push_back((node, weighed));
    }

    /// The number of the next one.
    pub(super) fn next(&self) -> u64 {
        self.first + self.nodes.len() as u64
    }

    /// The last digits of the number of the last change of a node.
    pub(super) fn last_of(&self, node: u32) -> u32 {
        self.last_of[node as usize]
    }

    /// The nodes that changed from a number on and may fit an ask, with their numbers; none when they are not all known
    /// any more.
    pub(super) fn since(&mut self, number: u64, ask: &Ask) -> Option<impl Iterator<Item = (u32, &Weighed, u32)>> {
        let start = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let wanted = Brief::wanted(ask);
        self.found.resize(self.briefs.len().max(self.found.len()), 0);
        let mut count = 0;
        for (place, brief) in (start..).zip(self.briefs.range(start..)) {
            self.found[count] = place;
            count += usize::from(brief.has(&wanted));
        }
        let (nodes, first) = (&self.nodes, self.first);
        Some(self.found[..count].iter().map(move |&place| {
            let (node, weighed) = &nodes[place];
            (*node, weighed, (first + place as u64) as u32)
        }))
    }
}

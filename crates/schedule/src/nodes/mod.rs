//! The nodes of pools whose centres show them, while a cycle goes on.
//!
//! - `kept`: a rack kept for a gang that found none;
//! - `racks`: what is free of each rack, in sums that follow every task;
//! - `together`: the nodes of a gang, near to each other.

mod kept;
mod racks;
#[cfg(test)]
mod tests;
mod together;

use huisuan_model::{Level, NodeShare, TimeMs};

use self::{kept::Kept, racks::Racks};
use crate::{
    fit::Demand,
    pack::{Ask, DEVICES_MAX, Devices, Mix, Packer, Packing, Parts, Rule, Slot, WHOLE},
    snapshot::PoolView,
};

/// The nodes of one pool.
#[derive(Debug, Clone)]
pub(crate) struct Nodes {
    packer: Packer,
    /// Where the pool says how they are connected.
    racks: Option<Racks>,
    /// By when all that runs on each node has ended; empty where that is not known.
    ends: Vec<TimeMs>,
    /// Racks and pods that are kept for gangs.
    kept: Vec<Kept>,
}

/// How many tasks find nodes, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// So many.
    pub(crate) count: u64,
    /// None when fewer than so many find one.
    pub(crate) unit: u64,
    /// Whether they are a gang, and the domain that all of it must lie in, if it must.
    pub(crate) gang: Option<Option<Level>>,
    /// When the last of them ends if they start now.
    pub(crate) end: TimeMs,
}

impl Nodes {
    /// Those of a pool; `None` where its centre shows none.
    pub(crate) fn of(pool: &PoolView) -> Option<Nodes> {
        let fleet = pool.nodes.as_ref()?;
        // The tightest node is taken without rating: a cycle may place a hundred thousand tasks.
        let rule = Rule::new(Packing::BestFit, Mix::of(Vec::new()), 0);
        let topology = pool.pool.topology.filter(|topology| topology.nodes as usize == fleet.len());
        let racks = topology.map(|topology| Racks::new(topology, fleet));
        let (ends, kept) = (pool.node_ends.clone(), Vec::new());
        Some(Nodes { packer: Packer::new(fleet.clone(), rule), racks, ends, kept })
    }

    /// Gives nodes to tasks, and says to how many.
    pub(crate) fn settle(&mut self, demand: &Demand, wanted: Wanted, into: &mut Vec<NodeShare>) -> u64 {
        let Some(ask) = ask(demand) else { return 0 };
        let (open, first) = (self.open_until(wanted.end), into.len());
        let count = self.settle_open(&ask, wanted, into);
        self.close_again(open);
        for share in &into[first..] {
            if let Some(end) = self.ends.get_mut(share.node as usize) {
                *end = wanted.end.max(*end);
            }
        }
        count
    }

    fn settle_open(&mut self, ask: &Ask, wanted: Wanted, into: &mut Vec<NodeShare>) -> u64 {
        match (wanted.gang, &self.racks) {
            (Some(required), Some(racks)) => {
                let Some(found) = together::nodes(racks, self.packer.fleet(), ask, wanted.count, required) else {
                    return 0;
                };
                found.into_iter().for_each(|(node, tasks)| self.fill(node, ask, tasks, into));
                wanted.count
            }
            (Some(Some(_)), None) => 0,
            (Some(None), None) | (None, _) => self.settle_anywhere(ask, wanted, into),
        }
    }

    fn settle_anywhere(&mut self, ask: &Ask, Wanted { count, unit, .. }: Wanted, into: &mut Vec<NodeShare>) -> u64 {
        let first = into.len();
        let mut slots: Vec<Slot> = Vec::new();
        for settled in 0..count {
            let Some(slot) = self.packer.place_tight(ask) else {
                if settled < unit {
                    slots.iter().rev().for_each(|slot| self.release(slot));
                    into.truncate(first);
                    return 0;
                }
                return settled;
            };
            self.take(&slot, into);
            if unit > 1 {
                slots.push(slot);
            }
        }
        count
    }

    /// Gives so many tasks a node that has room for them.
    fn fill(&mut self, node: u32, ask: &Ask, tasks: u64, into: &mut Vec<NodeShare>) {
        for _ in 0..tasks {
            let room = self.packer.fleet().room(node);
            let device = match ask.devices {
                Devices::Share(share) => room.tightest(share).unwrap_or(0),
                Devices::None | Devices::Whole(_) => 0,
            };
            let slot = Slot::of(node, room, ask, device);
            self.take(&slot, into);
        }
    }

    fn take(&mut self, slot: &Slot, into: &mut Vec<NodeShare>) {
        self.occupy(slot);
        into.push(NodeShare { node: slot.node, devices: slot.mask, each: slot.each });
    }

    fn occupy(&mut self, slot: &Slot) {
        let before = *self.packer.fleet().room(slot.node);
        self.packer.take(slot);
        if let Some(racks) = &mut self.racks {
            racks.change(slot.node, &before, self.packer.fleet().room(slot.node));
        }
    }

    fn release(&mut self, slot: &Slot) {
        let before = *self.packer.fleet().room(slot.node);
        self.packer.release(slot);
        if let Some(racks) = &mut self.racks {
            racks.change(slot.node, &before, self.packer.fleet().room(slot.node));
        }
    }

    /// The most thousandths of devices that are free on one node.
    pub(crate) fn largest_free(&self) -> u64 {
        self.packer.fleet().rooms().map(|(_, room)| u64::from(room.free_total())).max().unwrap_or(0)
    }

    /// How many tasks fit into the roomiest domain of a level, `tasks` at most.
    pub(crate) fn roomiest(&self, demand: &Demand, level: Level, tasks: u64) -> u64 {
        let (Some(ask), Some(racks)) = (ask(demand), &self.racks) else { return 0 };
        together::roomiest(racks, self.packer.fleet(), &ask, level).min(tasks)
    }
}

/// What a task asks of one node; `None` when no node could ever have it. Of several devices only whole ones are given.
fn ask(demand: &Demand) -> Option<Ask> {
    let devices = match demand.devices.0 {
        0 => Devices::None,
        share if share < u64::from(WHOLE) => Devices::Share(u16::try_from(share).ok()?),
        thousandths => {
            let count = thousandths.div_ceil(u64::from(WHOLE));
            Devices::Whole(u8::try_from(count).ok().filter(|&count| usize::from(count) <= DEVICES_MAX)?)
        }
    };
    let cores_milli = u32::try_from(demand.cores.0).ok()?;
    let memory_mib = u32::try_from(demand.memory.0.div_ceil(1 << 20)).ok()?;
    Some(Ask { cores_milli, memory_mib, devices, parts: Parts::ANY })
}

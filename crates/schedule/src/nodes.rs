//! The nodes of pools whose centres show them, while a cycle goes on.

use huisuan_model::NodeShare;

use crate::{
    fit::Demand,
    pack::{Ask, DEVICES_MAX, Devices, Mix, Packer, Packing, Parts, Rule, Slot, WHOLE},
    snapshot::PoolView,
};

/// The index over the nodes of a pool; `None` where its centre shows none.
pub(crate) fn index(pool: &PoolView) -> Option<Packer> {
    let fleet = pool.nodes.as_ref()?;
    // The tightest node is taken without rating: a cycle may place a hundred thousand tasks.
    let rule = Rule::new(Packing::BestFit, Mix::of(Vec::new()), 0);
    Some(Packer::new(fleet.clone(), rule))
}

/// What a task asks of one node; `None` when no node could ever have it. Of several devices only whole ones are given.
pub(crate) fn ask(demand: &Demand) -> Option<Ask> {
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

/// Gives nodes to up to `count` tasks, to none when fewer than `unit` find one, and says to how many.
pub(crate) fn settle(packer: &mut Packer, demand: &Demand, count: u64, unit: u64, into: &mut Vec<NodeShare>) -> u64 {
    let Some(ask) = ask(demand) else { return 0 };
    let first = into.len();
    let mut slots: Vec<Slot> = Vec::new();
    for settled in 0..count {
        let Some(slot) = packer.place_tight(&ask) else {
            if settled < unit {
                slots.iter().rev().for_each(|slot| packer.release(slot));
                into.truncate(first);
                return 0;
            }
            return settled;
        };
        packer.take(&slot);
        into.push(NodeShare { node: slot.node, devices: slot.mask, each: slot.each });
        if unit > 1 {
            slots.push(slot);
        }
    }
    count
}

/// The most thousandths of devices that are free on one node.
pub(crate) fn largest_free(packer: &Packer) -> u64 {
    packer.fleet().rooms().map(|(_, room)| u64::from(room.free_total())).max().unwrap_or(0)
}

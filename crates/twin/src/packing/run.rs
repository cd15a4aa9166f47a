//! One run and its curve.

use huisuan_schedule::pack::{Ask, Packer, Scan, Slot};

use super::Arrivals;

/// Something that places tasks for good.
pub trait Placer {
    /// Places an ask and takes its slot, or finds no room for it.
    fn settle(&mut self, ask: &Ask) -> Option<Slot>;
}

impl Placer for Scan {
    fn settle(&mut self, ask: &Ask) -> Option<Slot> {
        let slot = self.place(ask)?;
        self.take(&slot);
        Some(slot)
    }
}

impl Placer for Packer {
    fn settle(&mut self, ask: &Ask) -> Option<Slot> {
        Packer::settle(self, ask)
    }
}

/// Allocation against arrived demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    capacity_thousandths: u64,
    /// For each percent: sum of the allocated thousandths after every arrival at it, and their number.
    points: Vec<(u128, u64)>,
}

impl Curve {
    fn new(capacity_thousandths: u64) -> Self {
        Curve { capacity_thousandths, points: Vec::new() }
    }

    fn record(&mut self, arrived: u64, allocated: u64) {
        let percent = (arrived * 200 / self.capacity_thousandths).div_ceil(2) as usize;
        if self.points.len() <= percent {
            self.points.resize(percent + 1, (0, 0));
        }
        self.points[percent].0 += u128::from(allocated);
        self.points[percent].1 += 1;
    }

    /// Allocated devices in percent of the capacity when `percent` of it has been asked for: the mean
    /// over the arrivals that round to it, as in the published tables. None where nothing arrived.
    pub fn at(&self, percent: usize) -> Option<f64> {
        let &(sum, count) = self.points.get(percent).filter(|(_, count)| *count > 0)?;
        Some(sum as f64 * 100.0 / (count as f64 * self.capacity_thousandths as f64))
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Allocation against demand.
    pub curve: Curve,
    /// How many tasks arrived.
    pub decisions: u64,
    /// How many of them found room.
    pub placed: u64,
    /// Allocated thousandths of devices at the end.
    pub allocated_thousandths: u64,
    /// A hash over every decision in order (FNV-1a, 64 bits).
    pub decision_hash: u64,
}

/// Lets all tasks arrive.
pub fn run(placer: &mut impl Placer, list: &[Ask], arrivals: &Arrivals, capacity_thousandths: u64) -> Outcome {
    let mut outcome = Outcome {
        curve: Curve::new(capacity_thousandths),
        decisions: 0,
        placed: 0,
        allocated_thousandths: 0,
        decision_hash: 0xcbf2_9ce4_8422_2325,
    };
    let mut arrived = 0;
    for &place in &arrivals.order {
        let ask = &list[place as usize];
        let slot = placer.settle(ask);
        arrived += u64::from(ask.devices.thousandths());
        outcome.decisions += 1;
        if slot.is_some() {
            outcome.placed += 1;
            outcome.allocated_thousandths += u64::from(ask.devices.thousandths());
        }
        outcome.curve.record(arrived, outcome.allocated_thousandths);
        let (node, mask) = slot.map_or((u32::MAX, 0), |slot| (slot.node, slot.mask));
        for byte in node.to_le_bytes().into_iter().chain(mask.to_le_bytes()) {
            outcome.decision_hash = (outcome.decision_hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    outcome
}

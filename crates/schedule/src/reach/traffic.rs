//! What is under way between centres: the data of tasks that are placed and have not started.
//!
//! How far each is nobody tells: all of it counts until its task starts, so that estimates are high rather than low.

use std::collections::BTreeMap;

use huisuan_model::{Bytes, CentreId, facts};

use super::Ways;

/// Data under way, by the centres that it goes from and to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traffic(BTreeMap<(CentreId, CentreId), Flow>);

/// What goes one way, or over one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Flow {
    bytes: u128,
    transfers: u64,
}

impl Traffic {
    /// Counts a transfer in.
    pub fn add(&mut self, from: &CentreId, to: &CentreId, bytes: Bytes) {
        let flow = self.0.entry((from.clone(), to.clone())).or_default();
        flow.bytes += u128::from(bytes.0);
        flow.transfers += 1;
    }

    /// Counts a transfer out.
    ///
    /// # Panics
    ///
    /// When it was not counted in.
    pub fn remove(&mut self, from: &CentreId, to: &CentreId, bytes: Bytes) {
        let ends = (from.clone(), to.clone());
        let flow = self.0.get_mut(&ends).expect("what is under way was counted in");
        flow.bytes -= u128::from(bytes.0);
        flow.transfers -= 1;
        if flow.transfers == 0 {
            self.0.remove(&ends);
        }
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What each direction of a link has under way, by the places of its ends in the order of ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loads(BTreeMap<(usize, usize), Flow>);

impl Loads {
    /// Of what is under way over these ways.
    pub fn of(traffic: &Traffic, ways: &Ways) -> Self {
        let mut loads: BTreeMap<(usize, usize), Flow> = BTreeMap::new();
        for ((from, to), flow) in &traffic.0 {
            let ends = ways.index(from).zip(ways.index(to));
            for line in ends.and_then(|(from, to)| ways.path(from, to)).iter().flat_map(|path| path.windows(2)) {
                let load = loads.entry((line[0], line[1])).or_default();
                load.bytes += flow.bytes;
                load.transfers += flow.transfers;
            }
        }
        Loads(loads)
    }

    /// How long it takes until each of so many tasks has been brought so many bytes, the asking for them included, in
    /// milliseconds, rounded up; `None` where no links lead. All that is under way on a link shares it evenly: of each
    /// other transfer no more is moved meanwhile than of one's own.
    pub fn transfer_ms(&self, ways: &Ways, (from, to): (usize, usize), each: Bytes, tasks: u64) -> Option<u64> {
        let own = u128::from(each.0) * u128::from(tasks);
        let mut longest_ms = 0;
        for line in ways.path(from, to)?.windows(2) {
            let load = self.0.get(&(line[0], line[1])).copied().unwrap_or_default();
            let others = load.bytes.min(u128::from(load.transfers) * u128::from(each.0));
            let bytes = Bytes(u64::try_from(own + others).unwrap_or(u64::MAX));
            longest_ms = longest_ms.max(facts::transfer_ms(bytes, ways.between(line[0], line[1])?.bytes_per_s?));
        }
        Some(longest_ms.saturating_add(ways.between(from, to)?.round_trip_us.div_ceil(1_000)))
    }
}

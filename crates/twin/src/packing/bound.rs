//! What no policy can pass, and what one reaches that knows everything beforehand: perfect lies between the two.

use std::{cmp::Reverse, collections::BTreeMap};

use huisuan_schedule::pack::{Ask, Devices, Fleet, Mix, Packing, Rule, Scan};

use super::Arrivals;

/// Rounds of price finding; every round gives a valid bound, more of them a closer one.
const ROUNDS: u32 = 2000;

/// Nodes of one kind: what they have together.
#[derive(Debug, Default)]
struct Kind {
    devices: u8,
    part: u8,
    /// Devices, cores and memory of all of them, in thousandths and MiB.
    room: [f64; 3],
    /// Cores and memory of the largest of them.
    largest: [u32; 2],
}

/// An upper bound, in thousandths of a device, of what any placement of these arrivals on an empty fleet
/// allocates, whoever decides and in whatever order.
///
/// It is the dual value of a relaxation: tasks may be cut, and nodes of one kind share their devices, cores and
/// memory. For any prices of these three the value is a bound (weak duality), so a search for good prices by
/// subgradients cannot make it wrong, only loose. Fractions that do not fill a device are not seen.
pub fn upper_bound_thousandths(fleet: &Fleet, list: &[Ask], arrivals: &Arrivals) -> f64 {
    let mut kinds: BTreeMap<(u8, u8, u32), Kind> = BTreeMap::new();
    for (node, room) in fleet.rooms().filter(|(_, room)| room.devices > 0) {
        let kind = kinds.entry((room.part, room.devices, fleet.cores_most(node))).or_default();
        (kind.part, kind.devices) = (room.part, room.devices);
        let has = [room.free_total(), room.cores_milli, room.memory_mib];
        kind.room.iter_mut().zip(has).for_each(|(sum, amount)| *sum += f64::from(amount));
        kind.largest = [kind.largest[0].max(room.cores_milli), kind.largest[1].max(room.memory_mib)];
    }
    let kinds: Vec<Kind> = kinds.into_values().collect();
    let mut counts: BTreeMap<Ask, f64> = BTreeMap::new();
    for &place in &arrivals.order {
        let ask = &list[place as usize];
        if ask.devices != Devices::None {
            *counts.entry(*ask).or_default() += 1.0;
        }
    }
    let tasks: Vec<Task> = counts.into_iter().map(|(ask, count)| Task::new(&ask, count, &kinds)).collect();
    cheapest(&kinds, &tasks)
}

/// What a placement with hindsight allocates, in thousandths of a device: it knows all arrivals, takes the largest and
/// then the most frugal ones first, and refuses tasks without devices. No bound can be below it, so the distance of the
/// two says how close both are; what a policy lacks to it is the price of not knowing what comes.
pub fn hindsight_thousandths(fleet: &Fleet, list: &[Ask], arrivals: &Arrivals) -> u64 {
    let mut order: Vec<u32> = arrivals.order.clone();
    order.retain(|&place| list[place as usize].devices != Devices::None);
    order.sort_by_key(|&place| {
        let Ask { devices, cores_milli, memory_mib, parts } = list[place as usize];
        (Reverse(devices.thousandths()), parts.0.count_ones(), cores_milli, memory_mib, place)
    });
    let mix = Mix::typical(order.iter().map(|&place| &list[place as usize]), 100).on(fleet);
    let mut scan = Scan::new(fleet.clone(), Rule::new(Packing::Default, mix, 0));
    let mut allocated = 0;
    for ask in order.iter().map(|&place| &list[place as usize]) {
        if let Some(slot) = scan.place(ask) {
            scan.take(&slot);
            allocated += u64::from(ask.devices.thousandths());
        }
    }
    allocated
}

/// Equal tasks.
struct Task {
    count: f64,
    takes: [f64; 3],
    /// The kinds with nodes that one of them could fit when empty.
    kinds: Vec<usize>,
}

impl Task {
    fn new(ask: &Ask, count: f64, kinds: &[Kind]) -> Self {
        let fits = |kind: &Kind| {
            let devices = ask.devices.thousandths().div_ceil(1000);
            let enough = kind.largest[0] >= ask.cores_milli && kind.largest[1] >= ask.memory_mib;
            enough && ask.parts.contains(kind.part) && u32::from(kind.devices) >= devices
        };
        let takes = [ask.devices.thousandths(), ask.cores_milli, ask.memory_mib].map(f64::from);
        Task { count, takes, kinds: (0..kinds.len()).filter(|&kind| fits(&kinds[kind])).collect() }
    }
}

/// The least dual value that was found.
fn cheapest(kinds: &[Kind], tasks: &[Task]) -> f64 {
    // With a price of one for devices alone the value is the capacity.
    let mut prices: Vec<[f64; 3]> = vec![[1.0, 0.0, 0.0]; kinds.len()];
    let mut least = f64::INFINITY;
    for round in 0..ROUNDS {
        let mut value = 0.0;
        let mut slack: Vec<[f64; 3]> = kinds.iter().map(|kind| kind.room).collect();
        for (kind, prices) in kinds.iter().zip(&prices) {
            value += kind.room.iter().zip(prices).map(|(room, price)| room * price).sum::<f64>();
        }
        for task in tasks {
            let gain = |kind: usize| {
                task.takes[0] - task.takes.iter().zip(&prices[kind]).map(|(takes, price)| takes * price).sum::<f64>()
            };
            let best = task.kinds.iter().map(|&kind| (gain(kind), kind)).max_by(|one, other| one.0.total_cmp(&other.0));
            if let Some((gain, kind)) = best.filter(|(gain, _)| *gain > 0.0) {
                value += task.count * gain;
                slack[kind].iter_mut().zip(task.takes).for_each(|(left, takes)| *left -= task.count * takes);
            }
        }
        least = least.min(value);
        // Relative to what there is, so that cores and megabytes count alike; steps fall like one over the root.
        let relative = |kind: usize, resource: usize| slack[kind][resource] / kinds[kind].room[resource].max(1.0);
        let places = || (0..kinds.len()).flat_map(|kind| (0..3).map(move |resource| (kind, resource)));
        let largest = places().map(|(kind, resource)| relative(kind, resource).abs()).fold(1e-9, f64::max);
        let step = 0.5 / (largest * f64::from(round + 1).sqrt());
        for (kind, resource) in places() {
            let worth = kinds[kind].room[0] / kinds[kind].room[resource].max(1.0);
            let price = prices[kind][resource] - step * worth * relative(kind, resource);
            prices[kind][resource] = price.max(0.0);
        }
    }
    let wanted: f64 = tasks.iter().filter(|task| !task.kinds.is_empty()).map(|task| task.count * task.takes[0]).sum();
    least.min(wanted)
}

#[cfg(test)]
mod tests {
    use huisuan_schedule::pack::{Parts, Room, Slot};
    use proptest::prelude::*;

    use crate::packing::run;

    use super::*;

    fn ask(cores_milli: u32, devices: Devices, parts: Parts) -> Ask {
        Ask { cores_milli, memory_mib: 1, devices, parts }
    }

    fn check(list: &[Ask], expected: f64) {
        let fleet = Fleet::new([Room::empty(16_000, 100, 0, 4), Room::empty(16_000, 100, 1, 4)]);
        let arrivals = Arrivals { order: (0..list.len() as u32).collect(), demand_thousandths: 0 };
        let bound = upper_bound_thousandths(&fleet, list, &arrivals);
        assert!((bound - expected).abs() <= expected * 0.02, "{bound} where {expected} is possible");
    }

    #[test]
    fn the_bound_is_close_where_the_limit_is_plain() {
        check(&vec![ask(1, Devices::Whole(1), Parts::ANY); 20], 8000.0);
        check(&[ask(1, Devices::Whole(1), Parts::ANY); 3], 3000.0);
        check(&vec![ask(1, Devices::Whole(1), Parts::one(1)); 20], 4000.0);
        check(&vec![ask(8_000, Devices::Whole(1), Parts::ANY); 20], 4000.0);
        check(&vec![ask(1, Devices::Whole(5), Parts::ANY); 20], 0.0);
    }

    /// The most that can be allocated of these tasks: every choice is tried.
    fn most(fleet: &mut Fleet, tasks: &[Ask]) -> u64 {
        let Some((ask, rest)) = tasks.split_first() else { return 0 };
        let mut best = most(fleet, rest);
        for node in 0..fleet.len() as u32 {
            let room = *fleet.room(node);
            let devices = if let Devices::Share(_) = ask.devices { 0..room.devices } else { 0..1 };
            for device in devices.filter(|_| room.fits(ask)) {
                let enough = |share| room.free()[usize::from(device)] >= share;
                if !matches!(ask.devices, Devices::Share(share) if !enough(share)) {
                    let slot = Slot::of(node, &room, ask, device);
                    fleet.take(&slot);
                    best = best.max(u64::from(ask.devices.thousandths()) + most(fleet, rest));
                    fleet.release(&slot);
                }
            }
        }
        best
    }

    proptest! {
        #[test]
        fn the_best_placement_lies_between_hindsight_and_the_bound(
            shapes in prop::collection::vec((0u32..9_000, 0u8..3, 1u16..1000, 1u64..4), 1..6),
        ) {
            let list: Vec<Ask> = shapes.iter().map(|&(cores, count, share, parts)| {
                let devices = if count == 0 { Devices::Share(share) } else { Devices::Whole(count) };
                ask(cores, devices, Parts(parts))
            }).collect();
            let mut fleet = Fleet::new([Room::empty(12_000, 100, 0, 2), Room::empty(8_000, 100, 1, 1)]);
            let arrivals = Arrivals { order: (0..list.len() as u32).collect(), demand_thousandths: 0 };
            let best = most(&mut fleet, &list);
            prop_assert!(hindsight_thousandths(&fleet, &list, &arrivals) <= best);
            prop_assert!(best as f64 <= upper_bound_thousandths(&fleet, &list, &arrivals) + 1e-6);
        }

        #[test]
        fn no_run_passes_the_bound(
            shapes in prop::collection::vec((0u32..20_000, 0u8..4, 1u16..1000, 1u64..4), 1..30),
            seed: u64,
        ) {
            let list: Vec<Ask> = shapes.iter().map(|&(cores, count, share, parts)| {
                let devices = if count == 0 { Devices::Share(share) } else { Devices::Whole(count) };
                ask(cores, devices, Parts(parts))
            }).collect();
            let fleet = Fleet::new([Room::empty(32_000, 100, 0, 4), Room::empty(24_000, 100, 1, 2)]);
            let arrivals = Arrivals::new(&list, 6000, 2000, seed);
            let bound = upper_bound_thousandths(&fleet, &list, &arrivals);
            let rule = Rule::new(Packing::Default, Mix::typical(&list, 95).on(&fleet), 0);
            let outcome = run(&mut Scan::new(fleet, rule), &list, &arrivals, 6000);
            prop_assert!(outcome.allocated_thousandths as f64 <= bound + 1e-6);
        }
    }
}

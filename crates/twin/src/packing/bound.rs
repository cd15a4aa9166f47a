//! What no policy can pass.

use std::collections::BTreeMap;

use huisuan_schedule::pack::{Ask, Devices, Fleet, WHOLE};

use super::{Arrivals, patterns::Patterns};

/// Rounds of one stage of price finding; every round gives a valid bound, more of them a closer one.
const ROUNDS: u32 = 1500;
/// Devices, cores and memory.
pub(super) const PLAIN: usize = 3;
/// One more for each way to see fractions.
const RESOURCES: usize = PLAIN + STEPS.len();

/// An amount of each resource.
pub(super) type Amounts = [f64; RESOURCES];

/// A way to count fractions of a device so that the parts of one device never count for more than the whole: a dual
/// feasible function (Fekete and Schepers, "New classes of fast lower bounds for bin packing problems", Mathematical
/// Programming 2001). Where the parts of devices that tasks take cannot be put together to whole ones, one of these
/// fills up before the devices themselves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A part counts as many of so many equal steps as it reaches beyond: with one, more than a half counts as all.
    Reached(u32),
    /// Parts below so many thousandths count as nothing, and those that leave less than that as all.
    Beyond(u16),
}

/// The stages: how many resources have a price, and the first step. Each begins where the one before was best.
const STAGES: [(usize, f64); 4] = [(PLAIN, 0.5), (RESOURCES, 0.5), (RESOURCES, 0.1), (RESOURCES, 0.02)];

pub(super) const STEPS: [Step; 7] = [
    Step::Reached(1),
    Step::Reached(2),
    Step::Reached(3),
    Step::Beyond(100),
    Step::Beyond(200),
    Step::Beyond(300),
    Step::Beyond(400),
];

impl Step {
    /// What a part of a device counts for, in thousandths of one.
    pub(super) fn of(self, share: u16) -> f64 {
        let whole = u32::from(WHOLE);
        match self {
            Step::Reached(steps) => match u32::from(share) * (steps + 1) {
                exact if exact % whole == 0 => f64::from(share),
                reached => f64::from(reached / whole) * f64::from(whole) / f64::from(steps),
            },
            Step::Beyond(least) if share < least => 0.0,
            Step::Beyond(least) if share > WHOLE - least => f64::from(whole),
            Step::Beyond(_) => f64::from(share),
        }
    }
}

/// Nodes of one kind: what they have together.
#[derive(Debug, Default)]
pub(super) struct Kind {
    devices: u8,
    part: u8,
    /// Of all of them: devices in thousandths, cores in thousandths, MiB, and devices as each step counts them.
    pub(super) room: Amounts,
    /// Cores and memory of the largest of them.
    largest: [u32; 2],
}

/// What keeps every placement from allocating more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundBy {
    /// No more is asked for by tasks that fit a node.
    Demand,
    /// Nothing below all devices was found: in sum there is work that fills them.
    Devices,
    /// Cores, memory or models.
    Room,
    /// Parts of devices that cannot be put together to whole ones: a look at them made it lower.
    Fractions,
}

/// An upper bound of what placements allocate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// Thousandths of devices.
    pub thousandths: f64,
    /// What it comes from.
    pub by: BoundBy,
}

/// An upper bound of what any placement of these arrivals on an empty fleet allocates, whoever decides and in whatever
/// order.
///
/// It is the dual value of a relaxation: tasks may be spread over any number of nodes as long as the parts of a device
/// that they take can be put together to devices, and nodes of one kind share their devices, cores and memory. For any
/// prices of these the value is a bound (weak duality), so a search for good prices by subgradients cannot make it
/// wrong, only loose.
pub fn upper_bound(fleet: &Fleet, list: &[Ask], arrivals: &Arrivals) -> Bound {
    let mut kinds: BTreeMap<(u8, u8, u32), Kind> = BTreeMap::new();
    for (node, room) in fleet.rooms().filter(|(_, room)| room.devices > 0) {
        let kind = kinds.entry((room.part, room.devices, fleet.cores_most(node))).or_default();
        (kind.part, kind.devices) = (room.part, room.devices);
        let mut has = [f64::from(room.devices) * f64::from(WHOLE); RESOURCES];
        has[..PLAIN].copy_from_slice(&[room.free_total(), room.cores_milli, room.memory_mib].map(f64::from));
        kind.room.iter_mut().zip(has).for_each(|(sum, amount)| *sum += amount);
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
    let wanted: f64 = tasks.iter().filter(|task| !task.kinds.is_empty()).map(|task| task.count * task.takes[0]).sum();
    let devices: f64 = kinds.iter().map(|kind| kind.room[PLAIN]).sum();
    let (room, prices, stepped) = Search::new(&kinds, &tasks).least();
    let parts = Patterns::new(&kinds, &tasks, &prices).least(stepped);
    // Prices are found by a search: what is lower by less than this is no other reason.
    let below = |one: f64, other: f64| one < other * (1.0 - 1e-5);
    let shares = tasks.iter().any(|task| matches!(task.devices, Devices::Share(_)));
    let by = match () {
        () if !below(parts.min(devices), wanted) => BoundBy::Demand,
        () if shares && below(parts, room.min(devices)) => BoundBy::Fractions,
        () if below(parts, devices) => BoundBy::Room,
        () => BoundBy::Devices,
    };
    Bound { thousandths: parts.min(wanted), by }
}

/// Equal tasks.
pub(super) struct Task {
    pub(super) count: f64,
    pub(super) devices: Devices,
    pub(super) takes: Amounts,
    /// The kinds with nodes that one of them could fit when empty.
    pub(super) kinds: Vec<usize>,
}

impl Task {
    fn new(ask: &Ask, count: f64, kinds: &[Kind]) -> Self {
        let fits = |kind: &Kind| {
            let devices = ask.devices.thousandths().div_ceil(1000);
            let enough = kind.largest[0] >= ask.cores_milli && kind.largest[1] >= ask.memory_mib;
            enough && ask.parts.contains(kind.part) && u32::from(kind.devices) >= devices
        };
        let whole = f64::from(ask.devices.thousandths());
        let mut takes = [whole; RESOURCES];
        takes[1..PLAIN].copy_from_slice(&[ask.cores_milli, ask.memory_mib].map(f64::from));
        for (takes, step) in takes[PLAIN..].iter_mut().zip(STEPS) {
            *takes = if let Devices::Share(share) = ask.devices { step.of(share) } else { whole };
        }
        Task {
            count,
            devices: ask.devices,
            takes,
            kinds: (0..kinds.len()).filter(|&kind| fits(&kinds[kind])).collect(),
        }
    }
}

/// A search for prices.
struct Search<'a> {
    kinds: &'a [Kind],
    tasks: &'a [Task],
    /// Of each kind's resources, and those with the least value that was found.
    prices: Vec<Amounts>,
    best: Vec<Amounts>,
    least: f64,
}

impl<'a> Search<'a> {
    fn new(kinds: &'a [Kind], tasks: &'a [Task]) -> Self {
        // With a price of one for devices alone the value is the capacity.
        let mut devices = [0.0; RESOURCES];
        devices[0] = 1.0;
        let prices = vec![devices; kinds.len()];
        Search { kinds, tasks, best: prices.clone(), prices, least: f64::INFINITY }
    }

    /// The least dual value that was found without a look at fractions, the prices of the least one of all, and that
    /// one; fractions are seen from where prices without them are good.
    fn least(mut self) -> (f64, Vec<Amounts>, f64) {
        let mut plain = f64::INFINITY;
        for (resources, first) in STAGES {
            self.prices.clone_from(&self.best);
            for round in 0..ROUNDS {
                self.step(first / f64::from(round + 1).sqrt(), resources);
            }
            plain = plain.min(if resources == PLAIN { self.least } else { plain });
        }
        (plain, self.best, self.least)
    }

    /// Values the prices and moves those of the first `resources` by a part against what is left over or lacks.
    fn step(&mut self, by: f64, resources: usize) {
        let mut value = 0.0;
        let mut slack: Vec<Amounts> = self.kinds.iter().map(|kind| kind.room).collect();
        let product = |amounts: &Amounts, prices: &Amounts| -> f64 {
            amounts[..resources].iter().zip(prices).map(|(amount, price)| amount * price).sum()
        };
        for (kind, prices) in self.kinds.iter().zip(&self.prices) {
            value += product(&kind.room, prices);
        }
        for task in self.tasks {
            let gain = |kind: usize| task.takes[0] - product(&task.takes, &self.prices[kind]);
            let best = task.kinds.iter().map(|&kind| (gain(kind), kind)).max_by(|one, other| one.0.total_cmp(&other.0));
            if let Some((gain, kind)) = best.filter(|(gain, _)| *gain > 0.0) {
                value += task.count * gain;
                slack[kind].iter_mut().zip(task.takes).for_each(|(left, takes)| *left -= task.count * takes);
            }
        }
        if value < self.least {
            self.least = value;
            self.best.clone_from(&self.prices);
        }
        // Relative to what there is, so that cores and megabytes count alike; steps fall like one over the root.
        let relative = |kind: usize, resource: usize| slack[kind][resource] / self.kinds[kind].room[resource].max(1.0);
        let places = || (0..self.kinds.len()).flat_map(|kind| (0..resources).map(move |resource| (kind, resource)));
        let largest = places().map(|(kind, resource)| relative(kind, resource).abs()).fold(1e-9, f64::max);
        let step = by / largest;
        for (kind, resource) in places() {
            let worth = self.kinds[kind].room[0] / self.kinds[kind].room[resource].max(1.0);
            let price = self.prices[kind][resource] - step * worth * relative(kind, resource);
            self.prices[kind][resource] = price.max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use huisuan_schedule::pack::{Mix, Packing, Parts, Room, Rule, Scan, Slot};
    use proptest::prelude::*;

    use crate::packing::{hindsight_thousandths, run};

    use super::*;

    fn upper_bound_thousandths(fleet: &Fleet, list: &[Ask], arrivals: &Arrivals) -> f64 {
        upper_bound(fleet, list, arrivals).thousandths
    }

    fn ask(cores_milli: u32, devices: Devices, parts: Parts) -> Ask {
        Ask { cores_milli, memory_mib: 1, devices, parts }
    }

    fn check(list: &[Ask], by: BoundBy, expected: f64) {
        let fleet = Fleet::new([Room::empty(16_000, 100, 0, 4), Room::empty(16_000, 100, 1, 4)]);
        let arrivals = Arrivals { order: (0..list.len() as u32).collect(), demand_thousandths: 0 };
        let bound = upper_bound(&fleet, list, &arrivals);
        let Bound { thousandths, .. } = bound;
        assert!((thousandths - expected).abs() <= expected * 0.01, "{thousandths} where {expected} is possible");
        assert_eq!(bound.by, by, "{bound:?} of {list:?}");
    }

    #[test]
    fn the_bound_is_close_where_the_limit_is_plain() {
        check(&vec![ask(1, Devices::Whole(1), Parts::ANY); 20], BoundBy::Devices, 8000.0);
        check(&[ask(1, Devices::Whole(1), Parts::ANY); 3], BoundBy::Demand, 3000.0);
        check(&vec![ask(1, Devices::Whole(1), Parts::one(1)); 20], BoundBy::Room, 4000.0);
        check(&vec![ask(8_000, Devices::Whole(1), Parts::ANY); 20], BoundBy::Room, 4000.0);
        check(&vec![ask(1, Devices::Whole(5), Parts::ANY); 20], BoundBy::Demand, 0.0);
    }

    #[test]
    fn fractions_that_do_not_make_a_device_are_seen() {
        // One to a device, two, and three.
        check(&vec![ask(1, Devices::Share(600), Parts::ANY); 20], BoundBy::Fractions, 4800.0);
        check(&vec![ask(1, Devices::Share(350), Parts::ANY); 40], BoundBy::Fractions, 5600.0);
        check(&vec![ask(1, Devices::Share(260), Parts::ANY); 60], BoundBy::Fractions, 6240.0);
        check(&vec![ask(1, Devices::Share(500), Parts::ANY); 40], BoundBy::Devices, 8000.0);
        // Eight pairs of 600 and 300; nothing goes beside 750 but 250.
        let pairs = [ask(1, Devices::Share(600), Parts::ANY), ask(1, Devices::Share(300), Parts::ANY)];
        check(&pairs.repeat(20), BoundBy::Fractions, 7200.0);
        let alone = [ask(1, Devices::Share(750), Parts::ANY), ask(1, Devices::Share(350), Parts::ANY)];
        check(&alone.map(|ask| [ask; 8]).concat(), BoundBy::Fractions, 6000.0);
        // Nothing fills a device beside 810 and 160, and no known function sees that.
        let nearly = [ask(1, Devices::Share(810), Parts::ANY), ask(1, Devices::Share(160), Parts::ANY)];
        check(&nearly.repeat(20), BoundBy::Fractions, 7760.0);
        // Three of the eight are filled by whole tasks.
        let beside = [nearly.repeat(20), vec![ask(1, Devices::Whole(1), Parts::ANY); 3]].concat();
        check(&beside, BoundBy::Fractions, 7850.0);
    }

    proptest! {
        #[test]
        fn parts_of_a_device_count_for_no_more_than_it(shares in prop::collection::vec(1u16..=1000, 1..12)) {
            let mut parts = shares;
            while parts.iter().map(|&share| u32::from(share)).sum::<u32>() > 1000 {
                parts.pop();
            }
            for step in STEPS {
                let counted: f64 = parts.iter().map(|&share| step.of(share)).sum();
                prop_assert!(counted <= 1000.0 + 1e-9, "{step:?} of {parts:?}");
                prop_assert!((step.of(1000) - 1000.0).abs() < 1e-9);
            }
        }
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
        #![proptest_config(ProptestConfig::with_cases(64))]

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
